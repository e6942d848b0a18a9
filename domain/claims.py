"""What the state keeps of money that is on its way: values only, next to those of :mod:`proofroom.domain.state`."""

from __future__ import annotations

from typing import NamedTuple

from immutables import Map

from proofroom.domain.ids import KeyId


class Chunk(NamedTuple):
    """A part of an account that is being unlocked."""

    request: int
    """Index of the withdrawal that asked for it."""
    amount: int
    """What is left of what was asked; zero when charges or slashes took all of it."""
    at_ms: int
    """When it is unlocked."""
    bank: KeyId
    """Through which it leaves."""


class Unlocking(NamedTuple):
    """What is being unlocked on an account."""

    asked_ms: int = 0
    """``created_at`` of the newest request; the next must be newer."""
    chunks: tuple[Chunk, ...] = ()
    """Oldest first."""


class Openings(NamedTuple):
    """The accounts of all chunks that wait equally long, oldest first: keys ``head`` to ``tail - 1`` of ``accounts``.

    Time never goes back, so that the first to be asked for is the first to be unlocked.
    """

    head: int = 0
    tail: int = 0
    accounts: Map[int, str] = Map()
