"""Escalation: fresh and larger committees for what is disputed, no way to pack one, and always an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from proofroom.domain.activity import usage_of
from proofroom.domain.assurance import capture, catch
from proofroom.domain.canonical import MAX_PAYLOAD
from proofroom.domain.counting import attested_of
from proofroom.domain.errors import BadVote, NotAssigned
from proofroom.domain.ids import Digest
from proofroom.domain.state import sum_usage
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import Assurance, RoundOpened, RoundTallied
from proofroom.domain.statements.settlement import EraPaid
from proofroom.domain.voting import all_positions, make_vote, read_bitmap, write_bitmap
from proofroom.testing.keys import key
from strategies.disputes import UNSEEN, doubt, sealed, statements

CLUSTER = "dragon-1"


def test_committees_grow_and_never_meet() -> None:
    """5, 11, 23: each drawn anew from those eligible at the seal who sat on none before; after the second escalation all is said."""
    history = sealed(39, 2)
    for round in range(3):
        doubt(history, round, 0)
    opened, tallied = statements(history, RoundOpened), statements(history, RoundTallied)
    assert [len(o.committee) for o in opened] == [5, 11, 23]
    assert [(o.level, o.judged) for o in opened] == [(None, None), (1, "AQ=="), (2, "AQ==")]
    assert [o.assurance.eligible for o in opened] == [39, 34, 23]
    members = Counter(v for o in opened for v in o.committee)
    assert len(members) == 39
    assert [(t.escalated, t.next_round) for t in tallied] == [("AQ==", 1), ("AQ==", 2), (None, None)]
    assert [t.records_attested + t.records_rejected for t in tallied] == [0, 0, 0]
    assert not history.state.rounds
    assert history.state.eras[CLUSTER, 0].open_rounds == 0


@pytest.mark.parametrize(("validators", "escalations", "rounds"), [(16, 0, 1), (15, 1, 1), (16, 1, 2), (38, 2, 2)])
def test_where_too_few_are_left_it_ends(validators: int, escalations: int, rounds: int) -> None:
    """No committee is smaller than it should be, and no dispute goes further than the parameters say."""
    history = sealed(validators, escalations)
    for round in range(rounds):
        doubt(history, round, 0)
    last = statements(history, RoundTallied)[-1]
    assert (last.round, last.next_round, last.records_attested) == (rounds - 1, None, 0)
    assert not history.state.rounds


def test_only_what_is_disputed_goes_on() -> None:
    """Verdicts that were reached stand; the larger committee judges the others, all of them and nothing else."""
    history = sealed(16, 1, works=4)
    members = history.reveal_beacons(0)
    votes = [make_vote(4, {1: UNSEEN, 2: "out-of-scope", 3: "out-of-scope"})] * 3
    votes += [make_vote(4, {2: "out-of-scope"})] * 2
    history.vote(0, dict(zip(members, votes, strict=True)))
    (first,) = statements(history, RoundTallied)
    assert [read_bitmap(b, 4) for b in (first.attested, first.rejected, first.escalated)] == [0b0001, 0b0100, 0b1010]
    cast = history.cast
    assert history.state.eras[CLUSTER, 0].attested == 1
    larger = history.reveal_beacons(1)
    wrong = [make_vote(4), make_vote(4, judged=0b1110), make_vote(4, judged=0b1000)]
    right = make_vote(4, judged=0b1010)
    votes = [*wrong, *[right] * 8]
    history.write(*(cast.commit(history.state, 1, i, v) for i, v in zip(larger, votes, strict=True)))
    for i, vote in zip(larger, wrong, strict=False):
        with pytest.raises(BadVote):
            history.record(cast.reveal(1, i, vote))
    history.write(*(cast.reveal(1, i, right) for i in larger[3:]))
    history.tick(120_000)
    second = statements(history, RoundTallied)[-1]
    assert (second.records, second.level, read_bitmap(second.judged, 4)) == (4, 1, 0b1010)
    assert read_bitmap(second.attested, 4) == 0b1010
    era = history.state.eras[CLUSTER, 0]
    assert (era.attested, era.rejected) == (3, 1)
    assert sum(lot.records for lot in attested_of(era).values()) == 3


def test_who_judged_as_the_last_committee_did_is_paid_for_it() -> None:
    """On an earlier committee as well: an honest minority of a blocked round loses nothing."""
    history = sealed(16, 1)
    first = history.reveal_beacons(0)
    agree, reject = make_vote(1), make_vote(1, {0: "out-of-scope"})
    history.vote(0, dict(zip(first, [agree, agree, agree, reject, reject], strict=True)))
    history.attest(1)
    second = set(range(16)) - set(first)
    keys = history.cast.validators
    inspected = history.state.eras[CLUSTER, 0].inspected
    assert dict(inspected) == {keys[i].keyid: 1 for i in {*first[:3], *second}}


def test_the_era_waits_for_its_last_round_and_nobody_is_needed_to_end_it() -> None:
    """Sealed and closed, an era is not paid while a dispute is open; when nobody does anything, the deadline ends it unattested."""
    history = sealed(39, 2)
    history.sleep(1_000)
    history.write(history.cast.close_era(0))
    doubt(history, 0, 0)
    doubt(history, 1, 0)
    assert statements(history, EraPaid) == []
    history.tick(59_999)
    assert statements(history, EraPaid) == []
    history.tick(1)
    (paid,) = statements(history, EraPaid)
    assert (paid.records.attested, paid.records.unattested) == (0, 1)
    tally = statements(history, RoundTallied)[-1]
    assert (tally.level, tally.assigned, tally.next_round, tally.catch) == (2, 0, None, "0")
    assert not history.state.agenda


def test_a_round_without_a_committee_is_no_dispute() -> None:
    """Too few beacon values end a round unattested; whoever withholds cannot call a larger committee."""
    history = sealed(16, 1)
    history.reveal_beacons(0, range(10))  # 11 are two thirds of 16
    history.tick(60_000)
    (tally,) = statements(history, RoundTallied)
    assert (tally.assigned, tally.escalated) == (0, None)


def test_nobody_joins_a_dispute() -> None:
    """Who registers after the seal is not eligible for any committee of the batch."""
    history = sealed(17, 1)
    history.cast.validators.append(key("late"))
    history.cast.controllers.append(key("late controller"))
    minimum = int(history.cast.parameters.bonds.validator_minimum)
    history.write(
        history.cast.register_validator(17), history.cast.deposit(key("late").keyid, minimum, account="validator-bond")
    )
    doubt(history, 0, 0)
    with pytest.raises(NotAssigned):
        history.record(history.cast.reveal_beacon(1, 17))


def test_assurance_of_a_larger_committee_assumes_all_colluders_are_left() -> None:
    """A third of those eligible at the seal may stand behind the dispute, however few remain to be drawn from."""
    history = sealed(39, 1, works=7)
    doubt(history, 0, 2, 3)
    doubt(history, 1, 3)
    first, second = statements(history, RoundOpened)
    assert (first.assurance.colluding, second.assurance.colluding) == (13, 13)
    assert int(second.assurance.capture) == capture(34, 13, 11)
    tally = statements(history, RoundTallied)[-1]
    assert int(tally.catch) == catch(capture(34, 13, 11), 2, 1)


Behaviour = Mapping[int, str]
"""What a member says of each position: "agree", a reason, or nothing at all when it is missing."""


def plain_verdicts(behaviours: list[list[Behaviour | None]], count: int, committees: int) -> list[str]:
    """What becomes of each record, by counting one record at a time through the committees."""
    found = []
    for i in range(count):
        verdict = "unattested"
        for members in behaviours[:committees]:
            said = [b.get(i) for b in members if b is not None]
            if 3 * said.count("agree") >= 2 * len(members):
                verdict = "attested"
            elif 3 * said.count("out-of-scope") >= 2 * len(members):
                verdict = "rejected"
            else:
                continue
            break
        found.append(verdict)
    return found


@settings(
    max_examples=max(6, settings().max_examples // 10), phases=[Phase.reuse, Phase.generate]
)  # too slow to shrink
@given(st.data(), st.sampled_from([(5, 2, 1), (16, 0, 1), (16, 2, 2), (20, 1, 2), (39, 2, 3)]), st.integers(1, 4))
def test_verdicts_are_those_of_counting_by_hand(data: st.DataObject, world: tuple[int, int, int], count: int) -> None:
    """Whatever the members of each committee say, or do not: each record gets one verdict, that of a plain count; what is attested pays."""
    validators, escalations, committees = world
    history = sealed(validators, escalations, count)
    said: list[list[Behaviour | None]] = []
    word = st.sampled_from(["agree", "agree", "out-of-scope", UNSEEN])
    for round in range(committees):
        if (CLUSTER, round) not in history.state.rounds:
            break
        members, judged = history.reveal_beacons(round), history.state.rounds[CLUSTER, round].judged
        shared = data.draw(st.fixed_dictionaries(dict.fromkeys(range(count), word)))
        loyal = data.draw(st.integers(0, len(members)))
        own = st.none() | st.fixed_dictionaries(dict.fromkeys(range(count), word))
        said.append([shared] * loyal + [data.draw(own) for _ in members[loyal:]])
        votes = [
            None if b is None else make_vote(count, {i: w for i, w in b.items() if w != "agree"}, judged=judged)
            for b in said[-1]
        ]
        history.vote(round, dict(zip(members, votes, strict=True)))
        while (CLUSTER, round) in history.state.rounds:
            history.tick(30_000)
    assert not history.state.rounds
    expected = plain_verdicts(said, count, committees)
    tallies = statements(history, RoundTallied)
    seen = 0
    for tally in tallies:
        attested, rejected = read_bitmap(tally.attested, count), read_bitmap(tally.rejected, count)
        assert not attested & rejected
        assert not seen & (attested | rejected)
        seen |= attested | rejected
        for i in range(count):
            if attested >> i & 1:
                assert expected[i] == "attested"
            if rejected >> i & 1:
                assert expected[i] == "rejected"
    assert seen == sum(1 << i for i, verdict in enumerate(expected) if verdict != "unattested")
    assert len(tallies) == len(said)
    works = zip(statements(history, Activity), expected, strict=True)
    pays = [usage_of(s) for s, verdict in works if verdict == "attested"]
    lots = attested_of(history.state.eras[CLUSTER, 0]).values()
    assert (sum(lot.records for lot in lots), sum_usage(lot.usage for lot in lots)) == (len(pays), sum_usage(pays))


def test_the_largest_committee_fits_into_a_statement() -> None:
    """61, 123, 247 members, as many missing as are listed, and a bit for each of 10,000 records."""
    keys = tuple(key(f"member {i}").keyid for i in range(247))
    opened = RoundOpened(
        ledger=Digest("blake3:" + "0" * 64),
        cluster="c" * 64,
        era=2**53 - 1,
        batch=2**53 - 1,
        round=2**53 - 1,
        seed=Digest("blake3:" + "0" * 64),
        committee=keys,
        missing=keys[:128],
        commit_until="2026-03-01T09:00:00.000Z",
        reveal_until="2026-03-01T09:00:00.000Z",
        assurance=Assurance(
            eligible=2**53 - 1,
            colluding=2**53 - 1,
            committee=247,
            threshold=165,
            missing=2**53 - 1,
            capture=str(10**18),
        ),
        level=2,
        judged=write_bitmap(all_positions(10_000), 10_000),
    )
    assert len(opened.payload()) <= MAX_PAYLOAD
