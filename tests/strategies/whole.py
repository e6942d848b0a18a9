"""One history with every kind of statement in it, built once."""

from __future__ import annotations

from functools import cache

from proofroom.adapters.cast import Work
from proofroom.domain.snapshot import encode_state
from proofroom.domain.statements.attestation import Vote
from proofroom.domain.statements.consent import Limits, Metadata, ScopeContext, ScopeName
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import HOUR_MS, History, resign, wire_grant, with_parameters
from proofroom.testing.keys import key
from strategies.accusing import punish
from strategies.consenting import compromise, delegate, erase, rotate, set_recovery
from strategies.governing import govern
from strategies.selling import TENTH, list_work, open_market
from strategies.spending import withdraw


@cache
def whole_history() -> History:
    """A history with every kind of statement: two paid eras and one in which nothing was attested; yours to read, not to write.

    Two customers (the second with a short deposit, by a payer statement), three nodes, a batch with dissent and silence, one that is
    rejected in part, one without enough beacons, a late record, a record that is sold, a renewed and a revoked grant, a wallet's wire form.
    Node 2 misreports in three eras, and validator 7 withholds in two.
    """
    bonds, attestation = {"slash_floor": "1000", "slash_multiple": 3}, {"suspend_after": 2}
    history = History(seed="whole", validators=9, parameters=with_parameters(bonds=bonds, attestation=attestation))
    cast, sponsor = history.cast, key("sponsor")
    cast.controllers[8] = cast.providers[0]  # answers for a node: never eligible
    history.tick()
    history.write(*cast.founding(), cast.deposit(cast.manager.keyid, 10**9, account="cluster-bond"))
    history.write(cast.open_vault(), cast.grant(limits=Limits(cpu_ms=10**9, per="era")), cast.certify())
    history.write(wire_grant(history, key("wallet-2"), "v-2"))
    history.write(cast.payer(sponsor, 10**15))
    history.write(cast.deposit(cast.user.keyid, 10**13), cast.deposit(sponsor.keyid, 1_234_567))
    history.write(cast.open_era(0))
    history.sleep(1_500)
    history.work(0, Work(1_000, 0.5), Work(999, 0.000001, 7 * 2**40, 3 * 2**20 + 1, 17, 3), Work(1))
    history.work(0, Work(777), Work(12_345, 2), customer=sponsor.keyid)
    first = history.seal(0)
    history.sleep(10)
    members = history.reveal_beacons(first, range(7))  # validator 7 is missing
    history.tick(60_000)
    members = history.cast.members(history.state, first)
    silent, doubter, *rest = members
    votes: dict[int, Vote | None] = {i: make_vote(5) for i in rest}
    history.vote(first, {silent: None, doubter: make_vote(5, {1: "unobserved", 2: "overclaimed-cpu"}), **votes})
    history.work(0, *[Work(100 + i) for i in range(9)])
    second = history.seal(0)
    history.attest(second, *[{2: "result-mismatch"}] * 4, {7: "observation-conflict"})
    history.tick(61_000)
    history.work(0, Work(5), Work(6))
    third = history.seal(0, 1)
    history.reveal_beacons(third, range(5))  # five of eight are too few
    history.tick(24 * HOUR_MS)
    history.write(cast.open_era(1), cast.grant([("v-7c21", "calendar"), ("v-7c21", "mail")], replace=True))
    history.sleep(2_000)
    history.work(1, Work(50_000, 0, 2**50, 2**30, 1, 1))
    history.write(open_market(cast))
    history.work(1, Work(77), customer=sponsor.keyid, listing=list_work(history, ratio=TENTH))
    history.write(cast.activity(history.grant, 1, Work(3), node=2))
    history.attest(history.seal(1), *[{2: "result-mismatch"}] * 4)
    history.write(cast.close_era(1), cast.grant(created_at=cast.now(1), revoked=True))
    history.write(cast.open_era(2))
    history.tick(1_000)
    history.write(cast.close_era(2))
    history.write(erase(cast, "epoch 0"))
    history.write(cast.deposit(sponsor.keyid, 1_000_000))
    history.write(withdraw(cast, cast.user, 10**9), withdraw(cast, cast.providers[0], 1, "provider"))
    history.tick(7 * 24 * HOUR_MS)
    owner, scope = key("wallet-3"), ScopeContext(context=ScopeName(vaultId="v-3", scopeId="mail"))
    grant = history.write(wire_grant(history, owner, "v-3", metadata=Metadata(scopes=(scope,), delegable=True)))
    passed_on = delegate(cast, cast.agent, key("sub-agent").keyid, grant.verified.digest, [str(scope.context)])
    history.write(resign(passed_on, user_pub_key=owner.keyid))
    govern(history)
    history.write(set_recovery(cast, owner, key("wallet-3-recovery")), rotate(cast, owner, key("wallet-3-b")))
    history.write(compromise(cast, owner, history.state.size - 1, key("wallet-3-c"), key("wallet-3-recovery")))
    punish(history, node=2, absent=7)
    history.tick()
    return history


def written(history: History) -> bytes:
    """Two of its states and all that was signed, as bytes that depend on nothing else."""
    payloads = [entry.verified.envelope.payload for entry in history.entries]
    return b"".join([encode_state(history.state, b""), encode_state(history.states[90], b""), *payloads])
