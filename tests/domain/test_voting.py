"""Votes: exactly two thirds, for every size; bitmaps that fit; commitments that nobody can copy."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain.assurance import threshold
from proofroom.domain.errors import BadVote
from proofroom.domain.statements.attestation import ABSTAIN_REASONS, REJECT_REASONS, Vote
from proofroom.domain.voting import (
    all_positions,
    at_least,
    commitment,
    count_votes,
    make_vote,
    pick,
    read_bitmap,
    read_vote,
    set_of,
    write_bitmap,
)
from proofroom.testing.keys import signer


def naive_at_least(ballots: Sequence[int], least: int, count: int) -> int:
    """The positions in at least so many sets, one by one."""
    return sum(1 << i for i in range(count) if sum(ballot >> i & 1 for ballot in ballots) >= least)


@pytest.mark.parametrize("assigned", range(1, 61))
def test_attested_means_two_thirds(assigned: int) -> None:
    """For each size and each number of agreeing votes: attested if and only if ``3 * agree >= 2 * assigned``.

    Position ``a`` of the batch is agreed by exactly ``a`` members, so that one count covers all numbers of votes.
    """
    ballots = [sum(1 << a for a in range(assigned + 1) if voter < a) for voter in range(assigned)]
    attested = at_least(count_votes(ballots), threshold(assigned), assigned + 1)
    for agree in range(assigned + 1):
        assert bool(attested >> agree & 1) == (3 * agree >= 2 * assigned)
    assert attested == naive_at_least(ballots, threshold(assigned), assigned + 1)


@given(st.lists(st.integers(0, 70)), st.integers(0, 80))
def test_sets_hold_their_positions(positions: list[int], count: int) -> None:
    """A set has the bit of each of its positions and no other; its items are those that stand there."""
    chosen = set_of(positions)
    assert [i for i in range(90) if chosen >> i & 1] == sorted(set(positions))
    assert pick(range(count), chosen) == [i for i in sorted(set(positions)) if i < count]


@given(st.integers(1, 20).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, 2**n - 1), max_size=61))))
def test_counting_agrees_with_counting_one_by_one(drawn: tuple[int, list[int]]) -> None:
    """The bit-sliced count is the plain count, for every threshold."""
    count, ballots = drawn
    planes = count_votes(ballots)
    for i in range(count):
        assert sum((plane >> i & 1) << j for j, plane in enumerate(planes)) == sum(b >> i & 1 for b in ballots)
    for least in range(len(ballots) + 3):
        assert at_least(planes, least, count) == naive_at_least(ballots, least, count)


@given(st.integers(1, 100).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, 2**n - 1))))
def test_bitmaps_round_trip(drawn: tuple[int, int]) -> None:
    """A set is written in exactly as many bytes as its batch needs; bit ``i`` is bit ``i % 8`` of byte ``i // 8``."""
    count, positions = drawn
    text = write_bitmap(positions, count)
    raw = base64.b64decode(text)
    assert len(raw) == -(-count // 8)
    assert [raw[i // 8] >> i % 8 & 1 for i in range(count)] == [positions >> i & 1 for i in range(count)]
    assert read_bitmap(text, count) == positions


@pytest.mark.parametrize(("text", "count"), [("", 1), ("AA==", 9), ("AAA=", 8), ("Ag==", 1), ("AAQ=", 10), ("/w==", 7)])
def test_bitmaps_of_another_size(text: str, count: int) -> None:
    """Too few bytes, too many, or a position beyond the batch."""
    with pytest.raises(BadVote) as refused:
        read_bitmap(text, count)
    assert refused.value.why == f"a bitmap does not fit {count} records"


@given(st.data(), st.integers(1, 12))
def test_votes_judge_each_record_once(data: st.DataObject, count: int) -> None:
    """A vote whose agreement is exactly what no reason doubts is read; every other is refused."""
    bitmaps = st.integers(0, 2**count - 1)
    reasons = data.draw(st.dictionaries(st.sampled_from([*REJECT_REASONS, *ABSTAIN_REASONS]), bitmaps))
    doubted = 0
    for positions in reasons.values():
        doubted |= positions
    rest = (1 << count) - 1 & ~doubted
    agree = data.draw(st.sampled_from([rest, rest]) | bitmaps)
    written = {reason: write_bitmap(p, count) for reason, p in reasons.items()}
    vote = Vote.model_validate({"agree": write_bitmap(agree, count), "reasons": written})
    if agree != rest:
        with pytest.raises(BadVote):
            read_vote(vote, count, all_positions(count))
        return
    ballot = read_vote(vote, count, all_positions(count))
    rejected = [i for i in range(count) if any(reasons.get(r, 0) >> i & 1 for r in REJECT_REASONS)]
    assert ballot.agree == rest
    assert ballot.reject == sum(1 << i for i in rejected)


@pytest.mark.parametrize(("agree", "doubt"), [(0b101, 0b010), (0b001, 0b110), (0b001, 0b010), (0b011, 0b100)])
def test_votes_judge_only_what_is_asked(agree: int, doubt: int) -> None:
    """Of three records the first two are asked about: each is agreed or doubted, and the third is neither."""
    vote = Vote.model_validate({"agree": write_bitmap(agree, 3), "reasons": {"unobserved": write_bitmap(doubt, 3)}})
    if (agree, doubt) == (0b001, 0b010):
        assert read_vote(vote, 3, 0b011).agree == 0b001
    else:
        with pytest.raises(BadVote, match="does not ask about"):
            read_vote(vote, 3, 0b011)


def test_who_rejects_and_abstains_rejects() -> None:
    """Two reasons for one record: the rejection counts."""
    vote = Vote.model_validate({"agree": "AA==", "reasons": {"unobserved": "AQ==", "out-of-scope": "AQ=="}})
    assert read_vote(vote, 1, 1)[:2] == (0, 1)


def test_commitments_are_bound_to_everything() -> None:
    """Another round, validator, salt or vote gives another commitment."""
    base = (bytes(32), signer(1).keyid, bytes(32), make_vote(3))
    others = (b"\1" * 32, signer(2).keyid, b"\1" * 32, make_vote(3, {0: "unobserved"}))
    found = {commitment(*base)}
    for i, other in enumerate(others):
        changed = [*base[:i], other, *base[i + 1 :]]
        found.add(commitment(*changed))  # type: ignore[arg-type]  # the parts of one call
    assert len(found) == 5


def test_bitmaps_of_the_largest_batch() -> None:
    """1,250 bytes for 10,000 positions: each of them, and none beyond."""
    for positions in (0, 1, 1 << 9_999, all_positions(10_000)):
        assert read_bitmap(write_bitmap(positions, 10_000), 10_000) == positions
    for text, count in (
        (write_bitmap(0, 9_992), 10_000),
        (write_bitmap(0, 10_001), 10_000),
        (write_bitmap(1 << 9_999, 10_000), 9_999),
    ):
        with pytest.raises(BadVote):
            read_bitmap(text, count)
