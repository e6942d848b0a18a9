"""Random histories, lived by a real ledger from the first entry on: parties do what they can in any order, and some of it is refused.

A :class:`Life` is drawn from one ``random.Random``, so that its seed is all that is needed to have it again. Short lives end anywhere in
the founding; long ones go through eras with dissent, silence, late records, short deposits, delegations, sales, votes and thefts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.cast.parties import PARAMETERS
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.verifying import AnyEnvelope
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import Conflict, ProofroomError, Refused
from proofroom.domain.ids import Digest, from_ms
from proofroom.domain.state import Cluster, State
from proofroom.domain.statements.attestation import Vote
from proofroom.domain.statements.consent import Limits
from proofroom.domain.transition import transition
from proofroom.domain.voting import make_vote
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import HOUR_MS, History, wire_grant
from proofroom.testing.keys import deterministic_randomness, key
from proofroom.testing.worlds import REASONS
from strategies.accusing import accuse
from strategies.consenting import compromise, delegate, erase, rotate, set_recovery
from strategies.governing import leave, propose, seated, settings, vote
from strategies.selling import open_market, sell
from strategies.spending import withdraw

SPONSOR, OTHER, SUB = key("sponsor"), key("wallet-2"), key("sub-agent")
SCOPES = [[("v-7c21", "calendar")], [("v-7c21", "mail"), ("v-7c21", "calendar")]]


class LongEnough(Exception):
    """The life has as many entries as it was to have."""


class Life(History):
    """One ledger from its genesis on.

    Args:
        ledger: founded, and nothing else.
        clock: the ledger's clock.
        chance: draws everything.
        size: entries after which it ends; it may have some more, where the last statement makes others due.
        meet: called once, with a statement that the ledger would record next, at a place drawn from all.
    """

    def __init__(
        self, ledger: Ledger, clock: Clock, chance: Random, size: int, meet: Callable[[Life, Envelope], None]
    ) -> None:
        self.ledger, self._ms, self.chance, self.wanted = ledger, clock, chance, size
        self.place, self._meet, self.met = chance.randint(1, size), meet, False
        self.entries = []
        self.is_founded = False
        self.refused = 0
        late = chance.choice(("refused", "next-era"))
        bonds = PARAMETERS.bonds.model_copy(update={"slash_floor": "1000", "slash_multiple": chance.choice((0, 3))})
        parameters = PARAMETERS.model_copy(update={"late_records": late, "bonds": bonds})
        randomness = deterministic_randomness(str(chance.random()))
        self.cast = Cast(ledger.id, clock, key, randomness=randomness, parameters=parameters, chain=50)
        self.founders = _founders(self.cast)

    @property
    def clock(self) -> int:
        """The time that the ledger's clock shows."""
        return self._ms.ms

    @clock.setter
    def clock(self, ms: int) -> None:
        self._ms.ms = ms

    @property
    def state(self) -> State:
        """What the ledger holds."""
        return self.ledger.state

    @property
    def cluster(self) -> Cluster | None:
        """The cast's cluster, once it is founded."""
        return self.state.clusters.get(self.cast.cluster)

    def record(self, envelope: Envelope) -> Entry:
        """What the transition takes, the ledger takes; what it refuses, the ledger refuses by the same error."""
        entry = self.entry(envelope)
        refusal = _refusal(self.state, entry)
        if refusal is not None:
            assert self.answer(entry.verified) is type(refusal)
            raise refusal
        if not self.met and self.state.size >= self.place:
            self.met = True
            self._meet(self, envelope)
        if self.state.size < self.wanted:
            assert self.answer(entry.verified) is None
            self.entries.append(entry)
        if self.state.size >= self.wanted and self.met:
            raise LongEnough
        return entry

    def answer(self, envelope: AnyEnvelope) -> type[ProofroomError] | None:
        """By which error the ledger refuses it; None when it records it."""
        before, error = self.state, None
        try:
            self.ledger.append(envelope)
        except ProofroomError as e:
            error = type(e)
        assert error is None or self.state is before, f"{error} left a trace in the state"
        return error

    def state_due(self) -> None:
        """The ledger states what is due."""
        if self.due() is not None:
            self.ledger.tick()

    def live(self) -> None:
        """To its end."""
        try:
            while True:
                self.state_due()
                self._act()
                self.sleep(self.chance.choice((1, 1, 1, 700, 2_000)))
        except LongEnough:
            pass

    def _act(self) -> None:
        """One thing that somebody does; where it is refused, that is all of it."""
        cluster = self.cluster
        acts = list(_ALWAYS)
        if not self.is_founded:
            acts += [_found] * 12
        if cluster is not None:
            acts += _FOUNDED
            acts += _OPEN if cluster.open else [_open_era] * 6
        try:
            self.chance.choice(acts)(self)
        except (Refused, Conflict):
            self.refused += 1


def _refusal(state: State, entry: Entry) -> ProofroomError | None:
    try:
        transition(state, entry)
    except ProofroomError as e:
        return e
    return None


# --- what may happen


def _founders(cast: Cast) -> Iterator[Envelope]:
    """All that comes before the first era, each signed when its turn comes."""
    bonds = cast.parameters.bonds
    yield cast.found_cluster()
    yield cast.deposit(cast.manager.keyid, int(bonds.cluster_minimum), account="cluster-bond")
    for i, validator in enumerate(cast.validators):
        yield cast.register_validator(i)
        yield cast.deposit(validator.keyid, int(bonds.validator_minimum), account="validator-bond")


def _found(life: Life) -> None:
    for _ in range(life.chance.choice((1, 4, 20))):
        envelope = next(life.founders, None)
        if envelope is None:
            life.is_founded = True
            return
        life.write(envelope)


def _pass_time(life: Life) -> None:
    life.tick(life.chance.choice((0, 1, 999, 60_000, HOUR_MS, 25 * HOUR_MS)))


def _claim(life: Life) -> None:
    life.write(life.cast.open_vault())


def _grant(life: Life) -> None:
    draw, cast = life.chance.choice, life.cast
    limits = draw((None, Limits(cpu_ms=draw((5_000, 10**15)), per="era")))
    expires_at = draw((None, cast.now(700), cast.now(40_000)))
    more: dict[str, Any] = dict.fromkeys(draw(([], ["delegable"], ["replace"], ["delegable", "replace"])), True)
    life.write(cast.grant(draw(SCOPES), limits=limits, expires_at=expires_at, **more))


def _consent(life: Life) -> None:
    for envelope in life.cast.consent():
        life.write(envelope)


def _certify(life: Life) -> None:
    life.write(life.cast.certify())


def _revoke(life: Life) -> None:
    life.write(life.cast.grant(revoked=True))


def _wire(life: Life) -> None:
    expires_at = life.chance.choice((None, from_ms(life.clock + 700)))
    life.write(wire_grant(life, OTHER, "v-2", expires_at=expires_at, revoked=life.chance.random() < 0.2))


def _delegate(life: Life) -> None:
    granted = life.state.grants.get((life.cast.user.keyid, life.cast.agent.keyid))
    if granted is not None:
        revoked = life.chance.random() < 0.2
        expires_at = from_ms(life.clock + life.chance.choice((500, 30_000)))
        life.write(
            delegate(life.cast, life.cast.agent, SUB.keyid, granted.digest, revoked=revoked, expires_at=expires_at)
        )


def _erase(life: Life) -> None:
    life.write(erase(life.cast, f"epoch {life.chance.randrange(3)}"))


def _change_key(life: Life) -> None:
    """Of a wallet that stands apart, so that the cast's own keys stay in force."""
    cast, number = life.cast, life.chance.randrange(100)
    owner, recovery = key(f"wallet-3 {number % 3}"), key(f"recovery {number % 3}")
    match life.chance.randrange(3):
        case 0:
            life.write(set_recovery(cast, owner, recovery))
        case 1:
            life.write(rotate(cast, owner, key(f"new key {number}")))
        case _:
            life.write(compromise(cast, owner, life.state.size - 1, key(f"newest key {number}"), recovery))


def _payer(life: Life) -> None:
    life.write(life.cast.payer(SPONSOR, life.chance.choice((1, 10**15)), revoked=life.chance.random() < 0.1))


def _deposit(life: Life) -> None:
    owner = life.chance.choice((life.cast.user, SPONSOR))
    life.write(life.cast.deposit(owner.keyid, life.chance.choice((0, 1, 10**6, 10**13, 10**30))))


def _withdraw(life: Life) -> None:
    owner, account = life.chance.choice(
        ((life.cast.user, "customer"), (SPONSOR, "customer"), (life.cast.providers[0], "provider"))
    )
    life.write(withdraw(life.cast, owner, life.chance.choice((1, 10**6)), account))


def _market(life: Life) -> None:
    life.write(open_market(life.cast))
    life.write(sell(life.cast, ratio=life.chance.choice((0, 10**17)), price=life.chance.choice((0, 1_000))))


def _govern(life: Life) -> None:
    assert life.cluster is not None
    number = life.cluster.proposed
    life.write(propose(life.cast, number, settings(shares__treasury=str(life.chance.randint(0, 10**17)))))
    for voter in seated(life.cast):
        life.write(vote(life.cast, number, voter, life.chance.random() < 0.9))


def _leave(life: Life) -> None:
    match life.chance.randrange(8):
        case 0:
            life.write(life.cast.leave(life.chance.randrange(7)))
        case 1:
            life.write(leave(life.cast, "node-2", life.cast.providers[2]))
        case _:
            pass


def _open_era(life: Life) -> None:
    assert life.cluster is not None
    life.write(life.cast.open_era(life.cluster.opened + 1))
    life.sleep(1_500)


def _close_era(life: Life) -> None:
    assert life.cluster is not None
    life.write(life.cast.close_era(life.cluster.opened))


def _work(life: Life) -> None:
    draw, state = life.chance.choice, life.state
    granted = state.grants.get((life.cast.user.keyid, life.cast.agent.keyid))
    if granted is None or life.cluster is None:
        return _consent(life)
    listing = state.listings.get((life.cast.agent.keyid, "calendar-pro"))
    sold: dict[str, Digest] = {} if listing is None or draw((True, False)) else {"listing": listing.digest}
    for node in range(draw((1, 3, 6))):
        work = Work(draw((0, 1, 412, 10**6)), draw((0, 0.5)), draw((0, 2**40)), draw((0, 2**21 + 1)), draw((0, 9)), 1)
        customer = draw((life.cast.user, life.cast.user, SPONSOR)).keyid
        era = life.cluster.opened
        life.write(life.cast.activity(granted.digest, era, work, node=node % 3, customer=customer, **sold))
    return None


def _unsealed(life: Life) -> int:
    assert life.cluster is not None
    queue = life.state.eras[life.cast.cluster, life.cluster.opened].queues.get(life.cast.orchestrator.keyid)
    return 0 if queue is None else queue.tail - queue.head


def _seal(life: Life) -> None:
    assert life.cluster is not None
    if unsealed := _unsealed(life):
        life.seal(life.cluster.opened, life.chance.choice((unsealed, life.chance.randint(1, unsealed))))


def _attest(life: Life) -> None:
    """A whole round, for the oldest batch that awaits its beacon; somebody may be missing, silent, of another mind, or of two."""
    chance, name = life.chance, life.cast.cluster
    waiting = sorted(number for (cluster, number), round in life.state.rounds.items() if not round.reveals)
    if not waiting:
        return
    number = waiting[0]
    missing = chance.choice((0, 0, 0, 1, 3))
    members = life.reveal_beacons(number, chance.sample(range(7), 7 - missing) if missing else None)
    if missing:
        life.tick(60_000)
        if (name, number) not in life.state.rounds:
            return
        members = life.cast.members(life.state, number)
    facts = life.state.rounds[name, number]
    shared = {i: chance.choice(REASONS) for i in range(len(facts.records)) if chance.random() < 0.3}
    dissent = chance.choice((0, 0, 1, 2, 4))
    votes: dict[int, Vote | None] = {
        i: make_vote(len(facts.records), shared if place < dissent else {}, judged=facts.judged)
        for place, i in enumerate(members)
    }
    if members and chance.random() < 0.2:
        votes[members[-1]] = None
    if members and chance.random() < 0.1:
        _accuse(life, number, members[0])
    life.vote(number, votes)
    life.tick(chance.choice((0, 61_000)))


def _accuse(life: Life, number: int, validator: int) -> None:
    one, other = (life.cast.commit(life.state, number, validator, make_vote(1, d)) for d in ({}, {0: REASONS[0]}))
    life.write(accuse(life, one, other, validator))


Act = Callable[[Life], None]
_ALWAYS: tuple[Act, ...] = (
    *(_pass_time, _claim, _grant, _certify, _consent, _consent, _revoke, _wire, _delegate, _erase, _change_key),
    _market,
)
_FOUNDED: list[Act] = [_payer, _deposit, _deposit, _withdraw, _govern, _leave]
_OPEN: list[Act] = [*[_work] * 10, *[_seal] * 6, *[_attest] * 10, _close_era]
