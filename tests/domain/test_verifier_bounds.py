"""The verifier's rules of a record, each by itself on entries of its own: just within the rule, and just beyond."""

from __future__ import annotations

from typing import Any

import pytest

from proofroom.domain.verifier import Verdict, record
from proofroom.domain.verifier.entry import Entry
from proofroom.domain.verifier.verdict import Fault
from strategies.bare import (
    GENESIS,
    LEDGER,
    VOTERS,
    b64,
    batch,
    entry,
    judged,
    round_of,
    stolen,
    unfounded,
    why,
)

# --- the batch


def seal(index: int, era: int, carried: int = 1, by: str = LEDGER) -> Entry:
    return entry(index, "era-sealed", {"cluster": "c", "era": era, "carried": carried}, by)


def sealed_in(batch: tuple[int, int], *seals: Entry) -> str:
    """What is said of a record at 10 in era 3 that a batch at this index, in this era, holds."""
    work = entry(10, "activity", {"cluster": "c", "era": 3})
    held = entry(batch[0], "batch-sealed", {"cluster": "c", "era": batch[1]})
    try:
        record._check_batch([GENESIS, *seals], work, held)
    except Fault as fault:
        return fault.why
    return ""


def test_which_batch() -> None:
    """One of the record's era that comes after it, or of a later one to which each era between left something."""
    assert sealed_in((11, 3)) == sealed_in((30, 4), seal(20, 3)) == sealed_in((300, 5), seal(20, 3), seal(25, 4)) == ""
    assert sealed_in((11, 3), seal(5, 3, 0), seal(6, 4, 0)) == ""
    other = "it is not the batch of the record"
    assert [sealed_in(batch) for batch in ((10, 3), (9, 3), (11, 2), (11, 4))] == [other] * 4
    assert sealed_in((30, 5), seal(20, 3)) == sealed_in((30, 5), seal(20, 4)) == other
    assert sealed_in((30, 5), seal(20, 3), seal(21, 4), seal(22, 5)) == ""
    for one in (seal(20, 3, 0), seal(10, 3), seal(9, 3), seal(30, 3), seal(31, 3)):
        assert sealed_in((30, 4), one) == "it left no such record to the next"
    assert "is not signed" in sealed_in((30, 4), seal(20, 3, by="x"))


# --- doubts


def doubted(since: int, declared: int, *others: Entry, identity: str = "a", paid: int | None = None) -> list[str]:
    """What is said of a record at 300 when this is declared, where its payment is shown at an index, or not."""
    work = entry(300, "activity", {"agent": "agent", "customer": "customer"}, "a", "b")
    theft = entry(declared, "compromise", {"identity": identity, "since_index": since})
    relied = [e for e in others if e.kind != "era-paid"]
    return record.doubts([*others, theft], [work, *relied], None if paid is None else entry(paid, "era-paid", {}))


def test_how_far_a_theft_reaches() -> None:
    """From the index that it names, to where it is declared, to all who signed the record."""
    for identity in ("a", "b"):
        for since in (0, 299, 300):
            with pytest.raises(Fault, match="at entry 400 that its key") as raised:
                doubted(since, 400, identity=identity)
            assert (raised.value.verdict, raised.value.at) == (Verdict.SUSPECT, 300)
        for since, declared in ((301, 400), (302, 400), (0, 299), (0, 300)):
            assert doubted(since, declared, identity=identity) == []
    for identity in ("agent", "customer", "stranger"):  # what they signed, they signed elsewhere
        assert doubted(0, 400, identity=identity) == []


def test_what_the_record_relies_on() -> None:
    """Is its signer's word too."""
    for since in (4, 5):
        with pytest.raises(Fault, match="compromised"):
            doubted(since, 400, entry(5, "grant", {}, "w"), identity="w")
        with pytest.raises(Fault, match="compromised"):
            doubted(since, 299, entry(5, "agent-key", {"agent": "w"}, "w", "a"), identity="w")
        assert doubted(since, 299, entry(5, "agent-key", {"agent": "w"}, "w", "a"), identity="a") == []
    assert doubted(6, 400, entry(5, "grant", {}, "w"), identity="w") == []
    assert doubted(4, 5, entry(5, "grant", {}, "w"), identity="w") == []


def test_when_it_was_paid() -> None:
    """What is declared after the payment of the record's own era is told, and doubts nothing; other payments change nothing."""
    assert doubted(0, 400, paid=399)[0].startswith("after it was paid, a party")
    for others, paid in (((), 401), ((entry(399, "era-paid", {}),), None), ((entry(399, "era-paid", {}),), 401)):
        with pytest.raises(Fault, match="compromised"):
            doubted(0, 400, *others, paid=paid)


# --- the round


@pytest.mark.parametrize(("seats", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (8, 6)])
def test_two_thirds_of_the_seats(seats: int, needed: int) -> None:
    """Of all that were assigned, whether they voted or not: as many attest, or reject; one less decides nothing."""
    for agree in (0b101, 0):
        votes = [(agree, {"overclaimed-cpu": 0b010})] * needed
        assert judged(3, *round_of(3, votes, agree, 0b010, seats=seats)) == (agree, 0b010, 0)
        assert judged(3, *round_of(3, votes[1:], 0, 0, seats=seats)) == (0, 0, 0)
        if agree:
            assert unfounded(3, *round_of(3, votes[1:], agree, 0b010, seats=seats)) == "the votes give another tally"


def test_reasons() -> None:
    """Each that rejects, or several at once; what only abstains rejects nothing."""
    for name in record.REJECTS:
        assert judged(9, *round_of(9, [(0, {name: 0b100})] * 3, 0, 0b100)) == (0, 0b100, 0)
    both = {record.REJECTS[0]: 0b011, record.REJECTS[-1]: 0b110}
    assert judged(9, *round_of(9, [(0, both)] * 3, 0, 0b111)) == (0, 0b111, 0)
    abstain = {"unobserved": 0b001, "observation-conflict": 0b010}
    assert judged(9, *round_of(9, [(0b100, abstain)] * 3, 0b100)) == (0b100, 0, 0)


def test_size_of_a_batch() -> None:
    """1 to 10,000 records; the tally counts as many."""
    for count in (1, 300, 10_000):
        assert judged(count, *round_of(count, [(1 << count - 1, {})], 1 << count - 1)) == (1 << count - 1, 0, 0)
    for count in (0, 10_001, -1):
        with pytest.raises(Fault, match="a batch has 1 to 10,000 records"):
            record.check_round([GENESIS], batch(count), LEDGER)
    for records in (8, 10):
        assert unfounded(9, *round_of(9, [(1, {})], 1, records=records)) == "the votes give another tally"


def test_positions() -> None:
    """Up to the last of the batch."""
    assert record.bits(entry(0, "x", {"b": b64(1 << 8, 9)}), "b", 9) == 1 << 8
    for bits in (1 << 9, 1 << 15, 3 << 8):
        with pytest.raises(Fault, match="beyond the batch"):
            record.bits(entry(0, "x", {"b": b64(bits, 16)}), "b", 9)


def test_seats() -> None:
    """As many as the tally says, each somebody else's."""
    for seats in (0, 2, 4):
        entries = round_of(9, [(1, {})] * 3, 1)
        entries[-1].body["assigned"] = seats
        assert unfounded(9, *entries) == "it counts another committee"
    entries = round_of(9, [(1, {})] * 3, 1, seats=4)
    entries[0].body["committee"][3] = VOTERS[0]
    assert unfounded(9, *entries) == "it counts another committee"


def test_when_a_round_opens() -> None:
    """After its batch, and once."""
    late = batch(9, 20)
    for start, holds in ((21, True), (20, False), (19, False)):
        entries = [GENESIS, late, *round_of(9, [(1, {})], 1, start=start)]
        if holds:
            assert record.check_round(entries, late, LEDGER)[:3] == (1, 0, 0)
        else:
            with pytest.raises(Fault, match="before its batch, or twice"):
                record.check_round(entries, late, LEDGER)


def test_when_votes_count() -> None:
    """Between the opening and the tally, of this cluster and round; those of others are not read."""
    for moved, index in ((1, 20), (1, 19), (-2, 70), (-2, 71)):
        entries = round_of(9, [(1, {})] * 3, 1)
        old = entries.pop(moved)
        entries.append(entry(index, old.kind, old.body, *old.signers))
        assert unfounded(9, *sorted(entries, key=lambda e: e.index)) == "no member votes here"
    entries = round_of(9, [(1, {})] * 3, 1)
    for other in ({"cluster": "b"}, {"cluster": "d"}, {"round": -1}, {"round": 1}):
        stray = entry(30, "vote-committed", {"cluster": "c", "round": 0, "validator": VOTERS[7]} | other, "x")
        assert judged(9, *entries, stray) == (1, 0, 0)
    assert unfounded(9, *entries, entry(30, "vote-committed", entries[1].body, VOTERS[0])) == "a commitment comes late"


def test_a_second_committee() -> None:
    """Judges what the first left open, all of it, and nothing else; what it attests counts."""
    first = round_of(9, [(0b111111001, {})] * 3, 0b111111001, escalated=b64(0b110, 9), next_round=1)
    second: dict[str, Any] = {"start": 100, "round": 1, "level": 1}

    def later(given: int, asked: int, attested: int, rejected: int = 0, **more: Any) -> list[Entry]:
        votes = [(given, {"out-of-scope": ~given & 0b110})] * 3
        return round_of(9, votes, attested, rejected, judged=b64(asked, 9), **second | more)

    assert judged(9, *first, *later(0b110, 0b110, 0b110)) == (0b111111111, 0, 0)
    assert judged(9, *first, *later(0, 0b110, 0, 0b110)) == (0b111111001, 0b110, 0)
    for asked in (0b111, 0b1110, 0b010, 0b100, 0):
        assert (
            unfounded(9, *first, *later(0b1111, asked, asked & 0b110)) == "it judges other records than were left open"
        )
    for other in (0, 2):
        first[-1].body["next_round"] = other
        assert "than were left open" in unfounded(9, *first, *later(0b110, 0b110, 0b110))
    first[-1].body["next_round"] = 1
    for level in (0, 2):
        assert "than were left open" in unfounded(9, *first, *later(0b111, 0b110, 0b110, level=level))
    none = round_of(9, [(0b001, {})] * 3, 0b001)
    for asked in (0b110, 0b001, 0b010):
        assert "than were left open" in unfounded(9, *none, *later(0b111, asked, asked))


def test_a_third_committee() -> None:
    """It follows the second, and not the first."""

    def said(third: int, named: int) -> str:
        left: list[dict[str, Any]] = [
            {"escalated": b64(bits, 9), "next_round": r} for bits, r in ((0b11, 1), (0b10, named))
        ]
        rounds = round_of(9, [(0b111111100, {})] * 3, 0b111111100, **left[0])
        rounds += round_of(9, [(1, {})] * 3, 1, start=100, round=1, level=1, judged=b64(0b11, 9), **left[1])
        rounds += round_of(9, [(0b10, {})] * 3, 0b10, start=200, round=third, level=2, judged=b64(0b10, 9))
        return why(lambda: judged(9, *rounds))

    assert said(2, 2) == said(5, 5) == ""
    for third, named in ((2, 3), (2, 1), (3, 2)):
        assert said(third, named) == "it judges other records than were left open"


def test_a_committee_that_is_not_heard() -> None:
    """Of each that was drawn the votes are counted, but of one that has yet to judge what was passed on to it."""
    held, said = round_of(9, [(0b111, {})] * 3, 0b111, start=200, round=5), "a committee was drawn for it"
    for number in (0, 4, 6):
        drawn = round_of(9, [(0, {})] * 3, 0, start=20, round=number)[:-1]
        assert unfounded(9, *drawn, *held).startswith(said)
    passed = round_of(9, [(0b111111001, {})] * 3, 0b111111001, escalated=b64(0b110, 9), next_round=1)
    waiting = round_of(9, [(0b110, {})] * 3, 0, start=100, round=1)[:-1]
    assert judged(9, *passed, *waiting) == (0b111111001, 0, 0)
    alone = round_of(9, [(0b111111110, {})] * 3, 0b111111110, escalated=b64(1, 9), next_round=1)
    assert judged(9, *alone, *waiting) == (0b111111110, 0, 0)
    other = [entry(e.index, e.kind, e.body | {"batch": 1}, *e.signers) for e in waiting if e.kind == "round-opened"]
    assert judged(9, *held, *other) == (0b111, 0, 0)


def test_sizes_of_committees() -> None:
    """5 to 61, then twice as many and one; none where too few revealed."""

    def said(*sizes: int) -> str:
        outcome = record.Outcome(0, 0, 0, 0, [(0, 0, seats, []) for seats in sizes])
        return why(record.check_sizes, outcome, batch(9))

    for sizes in ((0,), (5,), (61,), (5, 11), (5, 0), (5, 11, 23), (61, 123, 247), (6, 13, 0)):
        assert said(*sizes) == ""
    for sizes in ((1,), (4,), (62,), (5, 5), (5, 10), (5, 12), (5, 11, 11), (5, 11, 24)):
        assert said(*sizes) == "a committee of its is of no size that there is"


def test_who_may_judge() -> None:
    """Nobody who signed it, pays, works or sells, made what is sold, or is named besides."""
    held = batch(9)
    outcome = record.check_round([GENESIS, held, *round_of(9, [(1, {})] * 3, 1)], held, LEDGER)
    voter, said = VOTERS[1], "a party to it votes on it"
    listing = entry(6, "listing", {"creators": [{"creator": "x", "weight": 1}, {"creator": voter, "weight": 1}]}, "a")
    works = [entry(5, "activity", {}, "a", voter), entry(5, "activity", {"customer": voter}), listing]
    for one in (*works, entry(5, "payer", {"agent": voter})):
        assert why(record.check_independent, outcome, held, [entry(4, "x", {}), one]) == said
    assert why(record.check_independent, outcome, held, [entry(4, "x", {"customer": "x"})], VOTERS[3]) == ""
    assert why(record.check_independent, outcome, held, [], "x", voter) == said


def test_what_is_passed_on() -> None:
    """All that a committee left open, or nothing; less only where a theft was declared before, and never more."""
    said, held, theft = "it passes on other records than it left open", batch(9), stolen(69, 0)

    def passes(passed: int) -> list[Entry]:
        return round_of(9, [(0b111111001, {})] * 3, 0b111111001, escalated=b64(passed, 9))

    for passed in (0b110, 0):
        assert record.check_round([GENESIS, held, *passes(passed)], held, LEDGER).open == passed
    for passed in (0b010, 0b100):
        assert unfounded(9, *passes(passed)) == said
        assert record.check_round([GENESIS, held, *passes(passed), theft], held, LEDGER).open == passed
    for passed in (0b111, 0b111111111, 0b001):
        assert unfounded(9, *passes(passed)) == unfounded(9, *passes(passed), theft) == said


def test_a_theft_before_the_tally() -> None:
    """Lets the tally give less than the votes, which is then said to be left out; never more, and never after it."""
    votes = [(0b111, {"out-of-scope": 0b11000})] * 3
    assert judged(9, *round_of(9, votes, 0b101, 0b01000), stolen(69, 0)) == (0b101, 0b01000, 0b10010)
    assert judged(9, *round_of(9, votes, 0b101, 0b11000), stolen(69, 0)) == (0b101, 0b11000, 0b010)
    assert judged(9, *round_of(9, votes, 0, 0), stolen(69, 0)) == (0, 0, 0b11111)
    for index in (70, 71):
        assert unfounded(9, *round_of(9, votes, 0b101, 0b11000), stolen(index, 0)) == "the votes give another tally"
    for yes, no in ((0b1111, 0b11000), (0b111, 0b111000), (0b1000, 0), (0, 0b111)):
        assert unfounded(9, *round_of(9, votes, yes, no), stolen(69, 0)) == "the votes give another tally"


def test_a_vote_in_doubt() -> None:
    """Counts as absent where its validator declared, before the tally, a theft that reaches back to it."""
    votes: list[tuple[int, dict[str, int]]] = [(1, {})] * 3
    shown = 42
    for since, declared, counts in ((42, 69, False), (41, 69, False), (43, 69, True), (0, 40, True), (0, 71, True)):
        theft = [
            stolen(declared, since, VOTERS[2]),
            stolen(declared, since - 1, VOTERS[1]),
        ]  # who voted one entry before
        entries = round_of(9, votes, 1 if counts else 0)
        assert entries[-2].index == shown
        assert judged(9, *entries, *theft)[:2] == ((1, 0) if counts else (0, 0))
        if not counts:
            assert unfounded(9, *round_of(9, votes, 1), *theft) == "the votes give another tally"
    assert judged(9, *round_of(9, votes, 1), stolen(69, 0, "x"), stolen(69, 0, VOTERS[0])) == (1, 0, 0)
    assert judged(9, *round_of(9, votes, 1), *(entry(60, kind, {}) for kind in ("activity", "tick"))) == (1, 0, 0)
