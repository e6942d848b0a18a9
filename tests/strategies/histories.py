"""Whole histories of a ledger in memory: a fake clock, keys that follow from names, the cast, and nothing but ``transition``.

>>> history = History()                        # genesis, nothing else
>>> history.write(*history.cast.founding())    # cluster, validators, bonds; what is due is stated before and after each
>>> history.sleep(60_000)                      # only the clock moves; `tick` records that it did
>>> history.attest(0)                          # beacon, commitments and votes of round 0
>>> history.entries, history.states            # states[i] is the state before entry i, states[-1] the newest

:func:`whole_history` is one history with every kind of statement in it, built once; :func:`store_of` puts a history into a
``MemoryStore`` with its checkpoints.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import orjson

from proofroom.adapters.cast import PARAMETERS, Cast, Work
from proofroom.adapters.keys import Key
from proofroom.adapters.mapper import StoredEntry, to_stored_entry
from proofroom.adapters.stores import Batch, MemoryStore
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.entry import Entry, encode_signatures, entry_bytes
from proofroom.domain.envelope import Envelope, sign, verify
from proofroom.domain.ids import Digest, KeyId, from_ms, to_ms
from proofroom.domain.signing import Signer
from proofroom.domain.state import RULES, State
from proofroom.domain.statements import KINDS, Statement
from proofroom.domain.statements.attestation import Vote
from proofroom.domain.statements.consent import Limits, Metadata, ScopeContext, ScopeName, WireGrant
from proofroom.domain.statements.fields import Model
from proofroom.domain.statements.governance import Parameters
from proofroom.domain.statements.ledger import Genesis, Tick
from proofroom.domain.transition import next_due, transition
from proofroom.domain.voting import make_vote
from strategies.accusing import punish
from strategies.consenting import compromise, delegate, erase, rotate, set_recovery
from strategies.governing import govern
from strategies.selling import TENTH, list_work, open_market
from strategies.spending import withdraw

START_MS = to_ms("2026-03-01T09:00:00Z")
HOUR_MS = 3_600_000
ORIGIN = "example.org/room"

_KEYS: dict[KeyId, Key] = {}


@cache
def key(name: str) -> Key:
    """The key of a party: always the same for the same name."""
    made = Key(hashlib.sha256(name.encode()).digest())
    _KEYS[made.keyid] = made
    return made


def key_of(keyid: KeyId) -> Key:
    """The key that :func:`key` made under this key id."""
    return _KEYS[keyid]


def deterministic_randomness(seed: str) -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    stream, at = hashlib.shake_256(seed.encode()), 0

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        return stream.digest(at)[-count:]

    return take


def make_genesis(**changes: Any) -> Genesis:
    """A genesis statement with keys of the names ``ledger``, ``checkpoint`` and ``bank``."""
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "created_at": from_ms(START_MS),
        "rules": RULES,
        "ledger_key": key("ledger").keyid,
        "ledger_recovery_key": key("ledger-recovery").keyid,
        "checkpoint_key": key("checkpoint").keyid,
        "checkpoint_recovery_key": key("checkpoint-recovery").keyid,
        "bank_keys": [key("bank").keyid],
        "unit": "CERE",
    }
    return Genesis(**fields | changes)


def with_parameters(**groups: dict[str, Any]) -> Parameters:
    """The cast's parameters with some fields changed, by group; ``top`` are those that have none."""
    changes: dict[str, Any] = {
        group: getattr(PARAMETERS, group).model_copy(update=fields)
        for group, fields in groups.items()
        if group != "top"
    }
    return PARAMETERS.model_copy(update=changes | groups.get("top", {}))


def resign(
    envelope: Envelope, *, without: Iterable[KeyId] = (), extra: Iterable[Signer] = (), **changes: Any
) -> Envelope:
    """The same statement with some fields changed, signed by the same keys, but for those left out and added."""
    value = orjson.loads(envelope.payload)
    plain = {name: field.to_json() if isinstance(field, Model) else field for name, field in changes.items()}
    signers: list[Signer] = [key_of(s.keyid) for s in envelope.signatures if s.keyid not in set(without)]
    return sign(KINDS[envelope.payload_type].model_validate({**value, **plain}), *signers, *extra)


class History:
    """A ledger that grows in memory, from genesis on.

    Args:
        seed: of the randomness in ids and digests.
        genesis: changes to the fields of the genesis statement.
        cast: arguments of :class:`~proofroom.adapters.cast.Cast`.
    """

    def __init__(self, *, seed: str = "", genesis: Mapping[str, Any] | None = None, **cast: Any) -> None:
        self.clock = START_MS
        self.entries: list[Entry] = []
        self.states: list[State] = [State()]
        self.record(sign(make_genesis(**genesis or {}), key("ledger"), key("checkpoint")))
        self.cast = Cast(
            self.state.ledger, lambda: self.clock, key, randomness=deterministic_randomness(f"cast {seed}"), **cast
        )

    @property
    def state(self) -> State:
        """The newest state."""
        return self.states[-1]

    @property
    def grant(self) -> Digest:
        """The newest version that the cast's wallet granted."""
        return self.state.grants[self.cast.user.keyid, self.cast.agent.keyid].digest

    def entry(self, envelope: Envelope, at_ms: int | None = None) -> Entry:
        """The envelope as the next entry, at this time or the clock's; it is not recorded."""
        return Entry(self.state.size, self.clock if at_ms is None else at_ms, verify(envelope))

    def record(self, envelope: Envelope) -> Entry:
        """Record exactly this, now. Raises what the transition raises, and is then unchanged."""
        entry = self.entry(envelope)
        state = transition(self.state, entry)
        self.entries.append(entry)
        self.states.append(state)
        return entry

    def write(self, *envelopes: Envelope) -> Entry:
        """Record all of them, and whatever is due before and after each, as the write path does. The last entry."""
        self.state_due()
        for envelope in envelopes:
            self.record(envelope)
            self.state_due()
        return self.entries[-1]

    def due(self) -> Statement | None:
        """What the ledger must state now."""
        return next_due(self.state, self.clock)

    def state_due(self) -> None:
        """Record all that is due now."""
        while (due := self.due()) is not None:
            self.record(sign(due, key("ledger")))

    def sleep(self, ms: int) -> None:
        """Let the clock run on; nothing is recorded."""
        self.clock += ms

    def tick(self, ms: int = 0) -> None:
        """Let the clock run on, record what is due, and say that time passed."""
        self.sleep(ms)
        self.state_due()
        self.record(sign(Tick(ledger=self.state.ledger, index=self.state.size), key("ledger")))

    def found(self, *, deposit: int = 10**12) -> None:
        """Cluster, validators, bonds, consent and a deposit of the cast's wallet: all that comes before the first era."""
        cast = self.cast
        self.write(*cast.founding(), *cast.consent(), cast.deposit(cast.user.keyid, deposit))

    def work(self, era: int, *works: Work, **changes: Any) -> list[Entry]:
        """Record one activity for each piece of work, on the nodes in turn."""
        return [
            self.write(self.cast.activity(self.grant, era, work, node=i % 3, **changes)) for i, work in enumerate(works)
        ]

    def seal(self, era: int, count: int | None = None) -> int:
        """Seal the oldest unsealed records of the cast's orchestrator: all, or so many. The number of the round."""
        facts = self.state.eras[self.cast.cluster, era]
        queue = facts.queues[self.cast.orchestrator.keyid]
        last = queue.tail if count is None else queue.head + count
        self.write(self.cast.seal(era, facts.batches, [queue.records[i].id for i in range(queue.head, last)]))
        return self.state.clusters[self.cast.cluster].rounds - 1

    def reveal_beacons(self, round: int, validators: Iterable[int] | None = None) -> list[int]:
        """The validators (by number; None is all eligible) reveal their beacon values. The committee, when it was drawn by then."""
        eligible = self.state.rounds[self.cast.cluster, round].eligible
        numbers = [i for i, v in enumerate(self.cast.validators) if v.keyid in eligible]
        for i in numbers if validators is None else validators:
            self.write(self.cast.reveal_beacon(round, i))
        return self.cast.members(self.state, round)

    def vote(self, round: int, votes: Mapping[int, Vote | None]) -> None:
        """The validators commit to votes and reveal them; who has None commits (to nothing in particular) and stays silent."""
        for i, vote in votes.items():
            self.write(self.cast.commit(self.state, round, i, vote or make_vote(1)))
        for i, vote in votes.items():
            if vote is not None:
                self.write(self.cast.reveal(round, i, vote))

    def attest(self, round: int, *doubts: dict[int, str]) -> None:
        """All eligible reveal, and the whole committee votes: the first members with these doubts, the others in agreement."""
        members = self.reveal_beacons(round)
        facts = self.state.rounds[self.cast.cluster, round]
        padded = [*doubts, *({} for _ in members)]
        votes = [make_vote(len(facts.records), d, judged=facts.judged) for d in padded]
        self.vote(round, dict(zip(members, votes, strict=False)))


def wire_grant(history: History, wallet: Key, vault: str, **changes: Any) -> Envelope:
    """A grant as wallets in the field send it."""
    fields: dict[str, Any] = {
        "agent_service_pub_key": history.cast.agent.keyid,
        "user_pub_key": wallet.keyid,
        "created_at": from_ms(history.clock),
        "expires_at": None,
        "revoked": False,
        "metadata": Metadata(scopes=(ScopeContext(context=ScopeName(vaultId=vault, scopeId="mail")),)),
    }
    return sign(WireGrant(**fields | changes), wallet)


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


def store_of(history: History) -> MemoryStore:
    """The history in a store of its own, a checkpoint after each entry."""
    store, tree = MemoryStore(), merkle.Tree()
    for entry in history.entries:
        kind, payload, signatures = entry.verified.envelope
        signed = encode_signatures(signatures)
        data = entry_bytes(entry.index, entry.recorded_at_ms, kind, payload, signed)
        tree, nodes = merkle.append(tree, merkle.SHA256.leaf(data))
        note = sign_checkpoint(Checkpoint(ORIGIN, tree.size, merkle.root(tree)), key("checkpoint"))
        _append(store, to_stored_entry(entry, signed, b"".join(nodes)), note)
    return store


def _append(store: MemoryStore, stored: StoredEntry, note: str) -> None:
    store.append(stored.index, lambda _: Batch([stored], note))
