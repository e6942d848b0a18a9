"""A store for worlds too large to keep: it has the newest entries only."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.stores import Batch, Scanned
from proofroom.domain.errors import LogMoved

KEPT = 20_000
"""Entries that it still knows."""


class ForgetfulStore:
    """Appends like any store, and forgets. What it no longer has reads as not there."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self._size = 0
        self._kept: deque[StoredEntry] = deque(maxlen=KEPT)
        self._checkpoint: tuple[int, str] | None = None

    def size(self) -> int:
        """The number of entries ever appended."""
        return self._size

    def append(self, expected_size: int, make: Callable[[int], Batch | None]) -> Batch | None:
        """As :meth:`proofroom.adapters.stores.Store.append`."""
        if expected_size != self._size:
            raise LogMoved(expected=expected_size, size=self._size)
        batch = make(self.clock())
        if batch is not None:
            self._kept.extend(batch.entries)
            self._size += len(batch.entries)
            self._checkpoint = (self._size, batch.note)
        return batch

    def read(self, start: int, limit: int = 1_000) -> list[StoredEntry]:
        """What is still known from ``start`` on."""
        first = self._size - len(self._kept)
        begin = max(0, start - first)
        # From the end, where readers are: a deque is slow in its middle.
        return [self._kept[i] for i in range(begin, min(begin + limit, len(self._kept)))]

    def scan(self, start: int, limit: int = 1_000) -> list[Scanned]:
        """The same, as columns."""
        return [(e.index, e.recorded_at_ms, e.topic, e.state) for e in self.read(start, limit)]

    def read_from(self, start: int, wait_seconds: float = 0.0) -> Iterator[StoredEntry]:
        """What is still known; it does not wait."""
        yield from self.read(start, self._size)

    def find(self, originator: str) -> int | None:
        """Nothing is looked up: a repeated statement is refused instead of given its first place."""
        return None

    def node(self, height: int, position: int) -> bytes:
        """No proofs are made of what is forgotten."""
        return b""

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """The same."""
        return [b""] * len(places)

    def checkpoints(self, start: int = 0, limit: int = 1_000) -> list[tuple[int, str]]:
        """The newest checkpoint only."""
        return [] if self._checkpoint is None else [self._checkpoint]

    def last_checkpoint(self) -> tuple[int, str] | None:
        """The newest checkpoint."""
        return self._checkpoint

    def save_snapshot(self, size: int, state: bytes) -> None:
        """Nothing is kept for an opening that never comes."""

    def snapshots(self) -> list[tuple[int, bytes]]:
        """None."""
        return []

    def close(self) -> None:
        """Nothing to let go of."""
