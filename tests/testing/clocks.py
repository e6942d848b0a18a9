"""Time and order under a test's hand: a clock that only moves when it is told to, and the orders in which several parties may speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from proofroom.adapters.writer import CLAMP_MS

T = TypeVar("T")


class Clock:
    """A clock that only moves when it is told to. Give it to a ledger or a store as its clock."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __call__(self) -> int:
        """The time in ms UTC."""
        return self.ms


def steps(*, back: int = CLAMP_MS, ahead: int = 3_600_000) -> st.SearchStrategy[int]:
    """By how many ms a host's clock moves between two readings: mostly a little, sometimes not at all, back, or far ahead."""
    edges = [0, 0, 1, 1, 999, 1_000, 60_000, -1, -back, ahead]
    return st.sampled_from(edges) | st.integers(-back, ahead)


@st.composite
def interleavings(draw: st.DrawFn, *parties: Sequence[T]) -> list[T]:
    """What several parties say, each in its own order, put into one order. It shrinks to one party after the other."""
    left = [list(party) for party in parties if party]
    merged: list[T] = []
    while left:
        speaker = left[draw(st.integers(0, len(left) - 1)) if len(left) > 1 else 0]
        merged.append(speaker.pop(0))
        left = [party for party in left if party]
    return merged
