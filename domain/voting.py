"""Votes as sets of batch positions, and their count.

A set is an integer whose bit ``i`` stands for position ``i``. Counting adds whole sets bit-sliced: ``planes[j]`` holds, for every
position at once, bit ``j`` of its count, so that a count over a whole batch costs a few operations on long integers per vote.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, TypeVar

from proofroom.domain import hashing
from proofroom.domain.canonical import encode
from proofroom.domain.errors import BadVote
from proofroom.domain.ids import KeyId, public_key_of
from proofroom.domain.state import Ballot
from proofroom.domain.statements.attestation import REJECT_REASONS, Vote

T = TypeVar("T")


def all_positions(count: int) -> int:
    """The set of all positions below ``count``."""
    return (1 << count) - 1


def set_of(positions: Iterable[int]) -> int:
    """The set of these positions, which may come in any order and more than once."""
    present = set(positions)
    return int("".join("1" if i in present else "0" for i in range(max(present), -1, -1)), 2) if present else 0


def pick(items: Sequence[T], positions: int) -> list[T]:
    """The items at these positions, in order; in time linear in their number, however many bits the set has."""
    return list(compress(items, f"{positions:b}".encode().translate(_BITS)[::-1]))


_BITS = bytes.maketrans(b"01", b"\0\1")


def write_bitmap(positions: int, count: int) -> str:
    """A set of positions below ``count`` as statements write it."""
    return base64.b64encode(positions.to_bytes((count + 7) // 8, "little")).decode()


def read_bitmap(text: str, count: int) -> int:
    """The set that a statement writes.

    Raises:
        BadVote: not exactly the bytes for ``count`` positions, or a position beyond.
    """
    raw = base64.b64decode(text)
    positions = int.from_bytes(raw, "little")
    if len(raw) != (count + 7) // 8 or positions >> count:
        raise BadVote(why=f"a bitmap does not fit {count} records")
    return positions


def read_vote(vote: Vote, count: int, judged: int) -> Ballot:
    """The ballot that a vote casts on the positions ``judged`` of a batch of ``count``; who rejects and abstains for one rejects it.

    Raises:
        BadVote: a bitmap does not fit, or a position is judged twice, not at all, or though it is not asked.
    """
    agree = read_bitmap(vote.agree, count)
    reject = doubt = 0
    for reason, bitmap in vote.reasons.items():
        positions = read_bitmap(bitmap, count)
        doubt |= positions
        if reason in REJECT_REASONS:
            reject |= positions
    if agree & doubt:
        raise BadVote(why="a record is both agreed and doubted")
    if judged & ~(agree | doubt):
        raise BadVote(why="a record is neither agreed nor doubted")
    if (agree | doubt) & ~judged:
        raise BadVote(why="a record is judged that this round does not ask about")
    return Ballot(agree, reject)


def make_vote(count: int, doubts: Mapping[int, str] | None = None, *, judged: int | None = None) -> Vote:
    """The vote on the positions ``judged`` (all, if not given) of a batch of ``count`` that doubts some, each for a reason, and agrees
    to the rest.
    """
    asked = all_positions(count) if judged is None else judged
    doubted: dict[Any, list[int]] = {}
    for position, reason in (doubts or {}).items():
        doubted.setdefault(reason, []).append(position)
    sets = {reason: set_of(doubted[reason]) & asked for reason in sorted(doubted)}
    agree = asked & ~set_of(doubts or ())
    return Vote(agree=write_bitmap(agree, count), reasons={r: write_bitmap(s, count) for r, s in sets.items() if s})


def commitment(round_digest: bytes, validator: KeyId, salt: bytes, vote: Vote) -> bytes:
    """What a validator publishes before it shows its vote; bound to the round and to itself, so that it cannot be copied."""
    return hashing.digest(hashing.VOTE, round_digest, public_key_of(validator), salt, encode(vote.to_json()))


def count_votes(ballots: Iterable[int]) -> list[int]:
    """The bit planes of how many of the sets hold each position."""
    planes: list[int] = []
    for carry in ballots:
        for j, plane in enumerate(planes):
            planes[j], carry = plane ^ carry, plane & carry
        if carry:
            planes.append(carry)
    return planes


def at_least(planes: Sequence[int], least: int, count: int) -> int:
    """The positions below ``count`` whose counted votes are at least ``least``, decided from the highest bit down."""
    if least >> len(planes):
        return 0
    above, equal = 0, all_positions(count)
    for j in reversed(range(len(planes))):
        if least >> j & 1:
            equal &= planes[j]
        else:
            above |= equal & planes[j]
            equal &= ~planes[j]
    return above | equal
