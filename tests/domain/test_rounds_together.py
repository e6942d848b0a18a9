"""Rounds of one era beside each other, and rounds of hundreds: what is counted over several, and when all are in."""

from __future__ import annotations

import pytest
from immutables import Map

from proofroom.adapters.cast import Work
from proofroom.domain import rounds
from proofroom.domain.beacon import beacon_step
from proofroom.domain.counting import records_with_outcome
from proofroom.domain.envelope import sign
from proofroom.domain.errors import FalseReveal
from proofroom.domain.standing import ValidatorFacts
from proofroom.domain.state import Ballot, Due
from proofroom.domain.statements.attestation import BeaconRevealed, RoundTallied
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import History
from proofroom.testing.keys import key

CLUSTER = "dragon-1"
REJECTED = "out-of-scope"


def sealed(*batches: int) -> History:
    """A cluster with batches of so many records, whose rounds await their beacons."""
    history = History()
    history.found()
    history.write(history.cast.open_era(0))
    for works in batches:
        history.work(0, *[Work()] * works)
        history.seal(0)
    return history


def test_an_era_counts_all_its_rounds() -> None:
    """Three of five records each: the open rounds, the verdicts, and what each validator judged as the rounds did, are summed."""
    history = sealed(5, 5, 5)
    counts = [history.state.eras[CLUSTER, 0]]
    for number in range(3):
        history.attest(number, *[{0: REJECTED, 1: REJECTED, 2: REJECTED}] * 5)
        counts.append(history.state.eras[CLUSTER, 0])
    assert [(era.open_rounds, era.attested, era.rejected) for era in counts] == [
        (3, 0, 0),
        (2, 2, 3),
        (1, 4, 6),
        (0, 6, 9),
    ]
    assert sum(counts[-1].inspected.values()) == 3 * 5 * 5
    assert {number for _, number in history.state.rounds} == set()
    assert history.state.clusters[CLUSTER].rounds == 3


def test_the_last_of_hundreds_opens_the_round() -> None:
    """300 are eligible: when all but one have revealed, the round waits; with the last it is due at once."""
    history = sealed(1)
    many = sorted(key(f"many {i}").keyid for i in range(300))
    last, value = many[-1], bytes(32)
    facts = ValidatorFacts(key("x").keyid, beacon_step(value), 0)
    for missing, due in ((2, False), (1, True)):
        round = history.state.rounds[CLUSTER, 0]._replace(
            eligible=tuple(many), reveals=Map(dict.fromkeys(many[: len(many) - missing], value))
        )
        state = history.state._replace(
            rounds=history.state.rounds.set((CLUSTER, 0), round),
            validators=history.state.validators.set(CLUSTER, Map({last: facts})),
        )
        shown = BeaconRevealed(ledger=state.ledger, cluster=CLUSTER, round=0, validator=last, value=value.hex())
        entry = history.entry(sign(shown, key("many 0")))
        after = rounds.apply_beacon_revealed(state, entry, shown)
        assert (after.agenda[0] == Due(entry.recorded_at_ms, "round", CLUSTER, 0)) is due


def test_a_value_of_another_place_is_none() -> None:
    """The longest gap is 65,536 rounds: who sat out one more does not come back with the value of one round less."""
    history = sealed(1)
    cast, steps = history.cast, rounds.MAX_BEACON_STEPS + 1
    end = cast.beacon(0, 0)
    for _ in range(steps - 1):
        end = beacon_step(end)
    members = history.state.validators[CLUSTER].set(
        cast.validators[0].keyid, ValidatorFacts(cast.controllers[0].keyid, end, 1 - steps)
    )
    state = history.state._replace(validators=history.state.validators.set(CLUSTER, members))
    entry = history.entry(cast.reveal_beacon(0, 0))
    assert isinstance(entry.statement, BeaconRevealed)
    with pytest.raises(FalseReveal):
        rounds.apply_beacon_revealed(state, entry, entry.statement)


@pytest.mark.parametrize(
    ("doubts", "observed"),
    [
        ([{}, None], 2),
        ([{0: REJECTED}, None], 2),
        ([{}, {0: REJECTED}], 2),
        ([{0: REJECTED, 1: "unobserved"}, None], 1),
    ],
)
def test_who_looked_at_all(doubts: list[dict[int, str] | None], observed: int) -> None:
    """A record counts as observed when one of five judged it, either way."""
    history = sealed(2)
    members = history.reveal_beacons(0)
    votes = [None if d is None else make_vote(2, d) for d in [*doubts, None, None, None]]
    history.vote(0, dict(zip(members, votes, strict=True)))
    history.tick(120_000)
    (tally,) = (e.statement for e in history.entries if isinstance(e.statement, RoundTallied))
    assert (tally.records_observed, tally.records_attested) == (observed, 0)


def test_on_how_many_records_a_ballot_is_with_the_outcome() -> None:
    """What it agreed to and was attested, and what it rejected and was rejected."""
    assert records_with_outcome(Ballot(0b00111, 0b11000), 0b00011, 0b01000) == 3
    assert records_with_outcome(Ballot(0b00111, 0b11000), 0b11000, 0b00111) == 0
