"""Attestation: who may judge, an unforeseeable draw, commit before reveal, and a round that always ends."""

from __future__ import annotations

from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from proofroom.adapters.cast import Work
from proofroom.domain import rounds
from proofroom.domain.assurance import capture
from proofroom.domain.beacon import beacon_step
from proofroom.domain.committee import compute_committee, compute_seed
from proofroom.domain.envelope import sign
from proofroom.domain.errors import (
    AlreadyRecorded,
    DueFirst,
    FalseReveal,
    NotAssigned,
    ProofroomError,
    WrongPhase,
)
from proofroom.domain.ids import from_ms
from proofroom.domain.rounds import apply_round_opened
from proofroom.domain.standing import ValidatorFacts
from proofroom.domain.state import Due, Round
from proofroom.domain.statements.attestation import BeaconRevealed, RoundOpened, RoundTallied
from proofroom.domain.verdicts import derive_round
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import START_MS, History, resign
from proofroom.testing.keys import key

CLUSTER = "dragon-1"


def sealed(works: int = 1, **cast: Any) -> History:
    """A cluster with one sealed batch: round 0 awaits its beacon."""
    history = History(**cast)
    history.found()
    history.write(history.cast.open_era(0))
    history.work(0, *[Work()] * works)
    history.seal(0)
    return history


def tallies(history: History) -> list[RoundTallied]:
    """The tallies so far."""
    return [e.statement for e in history.entries if isinstance(e.statement, RoundTallied)]


def openings(history: History) -> list[RoundOpened]:
    """The rounds opened so far."""
    return [e.statement for e in history.entries if isinstance(e.statement, RoundOpened)]


# --- who may judge (which party does not: ``test_judges.py``)


def test_a_bond_makes_eligible() -> None:
    """A validator is eligible from its minimum bond on, one unit less is not enough; what comes after the seal is too late."""
    history = History(validators=9)
    cast = history.cast
    history.write(*cast.founding()[:10])  # no bonds yet
    minimum = int(cast.parameters.bonds.validator_minimum)
    history.write(cast.deposit(cast.manager.keyid, 10**12, account="cluster-bond"))
    for i, amount in enumerate([minimum] * 6 + [minimum - 1, minimum + 1]):
        history.write(cast.deposit(cast.validators[i].keyid, amount, account="validator-bond"))
    history.write(*cast.consent(), cast.open_era(0))
    history.work(0, Work())
    history.seal(0)
    history.write(cast.deposit(cast.validators[6].keyid, 1, account="validator-bond"))
    assert set(history.state.rounds[CLUSTER, 0].eligible) == {cast.validators[i].keyid for i in (0, 1, 2, 3, 4, 5, 7)}
    with pytest.raises(NotAssigned):
        history.record(cast.reveal_beacon(0, 6))


def test_too_few_eligible_end_at_once() -> None:
    """Four cannot form a committee of five: the batch ends unattested the moment it is sealed, and nobody waits."""
    history = sealed(3, validators=4)
    (tally,) = tallies(history)
    assert (tally.assigned, tally.records, tally.records_attested, tally.catch) == (0, 3, 0, "0")
    assert not history.state.rounds


# --- the beacon


@pytest.mark.parametrize("validators", [7, 8, 9])
@pytest.mark.parametrize("revealed", range(10))
def test_two_thirds_of_the_beacon_open_a_round(validators: int, revealed: int) -> None:
    """At the deadline the round opens if two thirds of the eligible revealed, and otherwise ends unattested."""
    if revealed > validators:
        return
    history = sealed(validators=validators)
    history.reveal_beacons(0, range(revealed))
    history.tick(60_000)
    if 3 * revealed >= 2 * validators:
        (opened,) = openings(history)
        missing = sorted(v.keyid for v in history.cast.validators[revealed:])
        assert (list(opened.missing), opened.assurance.missing) == (missing, len(missing))
        assert opened.assurance.eligible == validators
        assert int(opened.assurance.capture) == capture(validators, validators // 3, 5, len(missing))
    else:
        assert not openings(history)
        (tally,) = tallies(history)
        assert (tally.assigned, tally.records_attested, tally.records_rejected) == (0, 0, 0)


def test_the_draw_follows_from_root_and_reveals() -> None:
    """Seed and committee are those of the published functions over what is on the ledger."""
    history = sealed(2)
    round = history.state.rounds[CLUSTER, 0]
    history.reveal_beacons(0)
    (opened,) = openings(history)
    reveals = {
        e.statement.validator: bytes.fromhex(e.statement.value)
        for e in history.entries
        if isinstance(e.statement, BeaconRevealed)
    }
    seed = compute_seed(round.root, reveals)
    assert opened.seed == "blake3:" + seed.hex()
    assert tuple(opened.committee) == compute_committee(seed, sorted(reveals), 5)


def test_chains_run_over_rounds_that_were_sat_out() -> None:
    """A validator that missed rounds reveals the value of this one; values before and after it are false."""
    history = sealed(3, validators=8)
    cast = history.cast
    history.reveal_beacons(0, range(7))  # validator 7 sits out
    history.tick(60_000)
    history.tick(120_000)
    for _ in range(2):
        history.work(0, Work())
        history.seal(0)
    for wrong in (0, 1, 3, 4):
        with pytest.raises(FalseReveal):
            history.record(resign(cast.reveal_beacon(2, 7), value=cast.beacon(7, wrong).hex()))
    history.write(cast.reveal_beacon(2, 7))
    assert history.state.validators[CLUSTER][cast.validators[7].keyid] == ValidatorFacts(
        cast.controllers[7].keyid, cast.beacon(7, 2), 3
    )
    with pytest.raises(AlreadyRecorded):  # the earlier value is public now
        history.record(cast.reveal_beacon(1, 7))
    for i in (0, 1):
        history.write(cast.reveal_beacon(1, i), cast.reveal_beacon(2, i))
        with pytest.raises(AlreadyRecorded):
            history.record(cast.reveal_beacon(2, i))


def test_values_are_the_hashes_of_later_ones() -> None:
    """Each value hashes to the one before it, under the beacon's own context."""
    cast = History().cast
    for round in (0, 1, 5):
        value = cast.beacon(3, round)
        assert blake3(value, derive_key_context="proofroom 2026 v1 beacon chain").digest() == cast.beacon(3, round - 1)


@pytest.mark.parametrize(("steps", "accepted"), [(65_536, True), (65_537, False)])
def test_chains_have_a_longest_gap(steps: int, accepted: bool) -> None:
    """What a reveal may cost the ledger is bounded."""
    history = sealed()
    cast = history.cast
    end = value = cast.beacon(0, 0)
    for _ in range(steps):
        end = beacon_step(end)
    facts = ValidatorFacts(cast.controllers[0].keyid, end, 1 - steps)
    members = history.state.validators[CLUSTER].set(cast.validators[0].keyid, facts)
    state = history.state._replace(validators=history.state.validators.set(CLUSTER, members))
    entry = history.entry(cast.reveal_beacon(0, 0))
    assert isinstance(entry.statement, BeaconRevealed)
    if accepted:
        after = rounds.apply_beacon_revealed(state, entry, entry.statement)
        assert after.validators[CLUSTER][cast.validators[0].keyid].beacon == value
    else:
        with pytest.raises(FalseReveal):
            rounds.apply_beacon_revealed(state, entry, entry.statement)


# --- commit, then reveal


def test_a_copied_commitment_cannot_be_opened() -> None:
    """Who copies another's commitment can never reveal it, not even with the other's salt and vote."""
    history = sealed()
    cast = history.cast
    first, copier, *others = history.reveal_beacons(0)
    original = cast.commit(history.state, 0, first, make_vote(1))
    own = cast.validators[copier]
    copy = resign(original, validator=own.keyid, without=[cast.validators[first].keyid], extra=[own])
    history.write(original, copy, *(cast.commit(history.state, 0, i, make_vote(1)) for i in others))
    shown = cast.reveal(0, first, make_vote(1))
    history.write(shown)
    with pytest.raises(FalseReveal):
        history.record(resign(shown, validator=own.keyid, without=[cast.validators[first].keyid], extra=[own]))
    with pytest.raises(FalseReveal):
        history.record(cast.reveal(0, copier, make_vote(1)))


def test_another_salt_is_false() -> None:
    """The vote alone does not open a commitment."""
    history = sealed()
    members = history.reveal_beacons(0)
    history.write(*(history.cast.commit(history.state, 0, i, make_vote(1)) for i in members))
    with pytest.raises(FalseReveal):
        history.record(resign(history.cast.reveal(0, members[0], make_vote(1)), salt="00" * 32))


def test_phases_change_on_the_millisecond() -> None:
    """Commitments until the deadline and not on it; reveals from it until theirs; then the tally comes first."""
    history = sealed()
    cast = history.cast
    first, second, third, *_ = history.reveal_beacons(0)
    assert history.clock == START_MS
    (opened,) = openings(history)
    assert (opened.commit_until, opened.reveal_until) == (from_ms(START_MS + 60_000), from_ms(START_MS + 120_000))
    history.write(cast.commit(history.state, 0, first, make_vote(1)))
    history.clock = START_MS + 59_999
    with pytest.raises(WrongPhase):
        history.record(cast.reveal(0, first, make_vote(1)))
    history.write(cast.commit(history.state, 0, second, make_vote(1)))
    history.sleep(1)
    with pytest.raises(WrongPhase):
        history.record(cast.commit(history.state, 0, third, make_vote(1)))
    history.write(cast.reveal(0, first, make_vote(1)))
    with pytest.raises(FalseReveal):  # it committed to nothing
        history.record(cast.reveal(0, third, make_vote(1)))
    history.clock = START_MS + 119_999
    assert history.due() is None
    history.sleep(1)
    with pytest.raises(DueFirst):
        history.record(cast.reveal(0, second, make_vote(1)))
    history.state_due()
    (tally,) = tallies(history)
    assert (tally.committed, tally.revealed, tally.records_attested) == (2, 1, 0)


def test_beacons_are_taken_until_the_deadline() -> None:
    """One millisecond before it a reveal counts, on it the opening comes first."""
    history = sealed()
    history.reveal_beacons(0, range(5))
    history.sleep(59_999)
    history.reveal_beacons(0, [5])
    history.sleep(1)
    with pytest.raises(DueFirst) as refused:
        history.record(history.cast.reveal_beacon(0, 6))
    assert refused.value.due == "round-opened"


def test_reveals_begin_when_all_have_committed() -> None:
    """Nobody waits for a deadline when no commitment can come any more, and the last reveal brings the tally."""
    history = sealed(2)
    history.attest(0, {1: "overclaimed-gpu"}, {1: "overclaimed-gpu"})
    assert history.clock == START_MS
    (tally,) = tallies(history)
    assert (tally.agree, tally.attested, tally.records_rejected) == (5, "AQ==", 0)


@pytest.mark.parametrize(
    ("agree", "reject", "verdict"),
    [
        (5, 0, "attested"),
        (4, 1, "attested"),
        (3, 2, ""),
        (3, 0, ""),
        (0, 4, "rejected"),
        (1, 4, "rejected"),
        (2, 3, ""),
    ],
)
def test_verdicts_of_five(agree: int, reject: int, verdict: str) -> None:
    """Four of the five assigned decide; the absent and the abstaining count as neither."""
    history = sealed()
    members = history.reveal_beacons(0)
    votes = [make_vote(1)] * agree + [make_vote(1, {0: "out-of-scope"})] * reject
    history.vote(0, dict(zip(members, [*votes, None, None], strict=False)))
    history.tick(120_000)
    (tally,) = tallies(history)
    assert (tally.records_attested, tally.records_rejected) == (verdict == "attested", verdict == "rejected")
    assert tally.agree == (agree if verdict == "attested" else 0)
    assert tally.records_observed == 1
    judges = {"attested": members[:agree], "rejected": members[agree : agree + reject], "": []}[verdict]
    assert dict(history.state.eras[CLUSTER, 0].inspected) == {history.cast.validators[i].keyid: 1 for i in judges}


# --- a round always ends


@settings(max_examples=settings().max_examples // 4)
@given(st.data())
def test_a_round_always_ends(data: st.DataObject) -> None:
    """Whoever stays away, comes late or says nonsense: after the deadlines the round is final and the era is paid."""
    history = sealed(2, validators=data.draw(st.integers(4, 8)))
    cast = history.cast
    history.sleep(1_000)
    history.write(cast.close_era(0))
    steps = st.sampled_from(["beacon", "commit", "reveal", "sleep"])
    votes = [make_vote(2), make_vote(2, {1: "unobserved"})]
    for step in data.draw(st.lists(steps, max_size=25)):
        history.state_due()
        i, vote = data.draw(st.integers(0, len(cast.validators) - 1)), data.draw(st.sampled_from(votes))
        try:
            if step == "beacon":
                history.reveal_beacons(0, range(i + 1)) if (CLUSTER, 0) in history.state.rounds else None
            elif step == "commit" and (CLUSTER, 0) in history.state.rounds:
                history.record(cast.commit(history.state, 0, i, vote))
            elif step == "reveal":
                history.record(cast.reveal(0, i, vote))
            else:
                history.sleep(data.draw(st.sampled_from([1, 30_000, 60_000])))
        except ProofroomError:
            continue
    history.tick(60_000)
    history.tick(120_000)
    assert not history.state.rounds
    assert not history.state.eras
    assert not history.state.agenda
    assert len(tallies(history)) == 1


def test_phases_by_name() -> None:
    """The phase is a function of the round and the time."""
    waiting = Round(0, 0, bytes(32), (), 0, (), 1, 0)
    drawn = waiting._replace(digest=bytes(32), committee=(key("a").keyid,), commit_until=10, reveal_until=20)
    full = drawn._replace(commits=drawn.commits.set(key("a").keyid, bytes(32)))
    assert [rounds.phase_of(r, t) for r, t in [(waiting, 99), (drawn, 9), (drawn, 10), (drawn, 11), (full, 9)]] == [
        "beacon",
        "commit",
        "reveal",
        "reveal",
        "reveal",
    ]


def test_all_that_are_missing_are_counted_and_128_listed() -> None:
    """Where more withhold than a statement can list, each of them forfeits all the same, and the chances count them all."""
    history = sealed()
    state, due = history.state, Due(0, "round", CLUSTER, 0)
    validators = sorted(key(f"many {i}").keyid for i in range(400))
    round = state.rounds[CLUSTER, 0]._replace(
        eligible=tuple(validators), colluding=133, reveals=Map(dict.fromkeys(validators[130:], bytes(32)))
    )
    state = state._replace(
        rounds=state.rounds.set((CLUSTER, 0), round),
        validators=state.validators.set(
            CLUSTER, Map(dict.fromkeys(validators, ValidatorFacts(key("x").keyid, bytes(32), 0)))
        ),
    )
    opening = derive_round(state, due, history.clock)
    assert isinstance(opening, RoundOpened)
    assert (list(opening.missing), opening.assurance.missing) == (validators[:128], 130)
    entry = history.entry(sign(opening, key("ledger")))
    assert set(apply_round_opened(state, entry, opening).eras[CLUSTER, 0].forfeited) == set(validators[:130])
