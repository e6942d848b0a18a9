"""Stores: where the log lives. They share a contract (``tests/contracts``), not code.

One operation writes: :meth:`Store.append` is a compare-and-swap on the size of the log. Entries and the checkpoint over them go into one
transaction; whoever comes second gets :class:`LogMoved`, reads what is new, and tries again. So gaps, forks and activity after a revocation
cannot happen between threads or processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.recorders import MemoryLogRecorder
from proofroom.domain import merkle
from proofroom.domain.errors import LogMoved

PAGE = 1_000
"""Entries that are read at once."""

POLL_SECONDS = 0.05
"""How often a follower looks for what other processes wrote."""


Scanned = tuple[int, int, str, bytes]
"""Index, time, payload type and payload of an entry: all that a read model needs."""


class Batch(NamedTuple):
    """What one append writes: entries that continue the log, and the checkpoint over all up to them."""

    entries: Sequence[StoredEntry]
    note: str


class Store(Protocol):
    """An append-only log with its checkpoints and snapshots."""

    @property
    def clock(self) -> Callable[[], int]:
        """The time in ms UTC that entries are recorded with."""
        ...

    def size(self) -> int:
        """The number of entries."""
        ...

    def append(self, expected_size: int, make: Callable[[int], Batch | None]) -> Batch | None:
        """Write what ``make`` returns when it is called with the time (ms UTC), read under the write lock; None writes nothing.

        Raises:
            LogMoved: the log has another size than expected; ``make`` was not called.
            StoreUnavailable: nothing was written. What ``make`` raises is passed on, and nothing was written.
        """
        ...

    def read(self, start: int, limit: int = PAGE) -> list[StoredEntry]:
        """Entries from index ``start`` on, at most ``limit``."""
        ...

    def scan(self, start: int, limit: int = PAGE) -> list[Scanned]:
        """The same, without what a read model does not need."""
        ...

    def read_from(self, start: int, wait_seconds: float = 0.0) -> Iterator[StoredEntry]:
        """Entries from ``start`` on; at the end, waits this long for the next before it stops."""
        ...

    def find(self, originator: str) -> int | None:
        """The index of the entry with this key."""
        ...

    def node(self, height: int, position: int) -> bytes:
        """The hash of a perfect subtree; empty bytes where a store that was edited does not hold it."""
        ...

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """The same for many ``(height, position)``, read at once."""
        ...

    def checkpoints(self, start: int = 0, limit: int = PAGE) -> list[tuple[int, str]]:
        """Stored checkpoints ``(size, note)`` of at least this size, rising."""
        ...

    def last_checkpoint(self) -> tuple[int, str] | None:
        """The stored checkpoint of the largest size."""
        ...

    def save_snapshot(self, size: int, state: bytes) -> None:
        """Keep a snapshot of the state at a size, in place of older ones; a newer one stays."""
        ...

    def snapshots(self) -> list[tuple[int, bytes]]:
        """Kept snapshots, the newest first."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def now_ms() -> int:
    """The system's clock, ms UTC."""
    return time.time_ns() // 1_000_000


def leaf_of(height: int, position: int) -> tuple[int, slice]:
    """Where a node is kept: with the leaf that completes it, as its item ``height``."""
    return ((position + 1) << height) - 1, slice(32 * height, 32 * height + 32)


T = TypeVar("T")


class HasNodes(Protocol):
    """Where tree nodes are read from."""

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """Those at ``(height, k)``."""
        ...


def from_nodes(store: HasNodes, make: Callable[[merkle.Node], T]) -> T:
    """What a function of tree nodes gives, such as a proof, with all the nodes that it asks for read at once.

    Which ones it asks for must not depend on what they hold.
    """
    places: dict[tuple[int, int], bytes] = {}
    make(lambda height, position: places.setdefault((height, position), b""))
    places.update(zip(places, store.nodes(list(places)), strict=True))
    return make(lambda height, position: places[height, position])


def follow(store: Store, start: int, wait_seconds: float) -> Iterator[StoredEntry]:
    """How a store that is read in pages is followed."""
    deadline = time.monotonic() + wait_seconds
    while True:
        page = store.read(start)
        if page:
            yield from page
            start = page[-1].index + 1
            deadline = time.monotonic() + wait_seconds
        elif time.monotonic() >= deadline:
            return
        else:
            time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))


class MemoryStore:
    """A store for tests: the library's in-memory recorder, and nothing durable."""

    def __init__(self, clock: Callable[[], int] = now_ms) -> None:
        self.clock = clock
        self._recorder = MemoryLogRecorder()
        self._checkpoints: dict[int, str] = {}
        self._snapshot: tuple[int, bytes] | None = None

    def size(self) -> int:
        return self._recorder.size()

    def append(self, expected_size: int, make: Callable[[int], Batch | None]) -> Batch | None:
        with self._recorder.lock:
            if self.size() != expected_size:
                raise LogMoved(expected=expected_size, size=self.size())
            batch = make(self.clock())
            if batch is not None:
                self._recorder.insert_events(batch.entries)
                self._checkpoints[self.size()] = batch.note
            return batch

    def read(self, start: int, limit: int = PAGE) -> list[StoredEntry]:
        return self._recorder.select_entries(max(start, 0), limit)

    def scan(self, start: int, limit: int = PAGE) -> list[Scanned]:
        return [(e.index, e.recorded_at_ms, e.topic, e.state) for e in self.read(start, limit)]

    def read_from(self, start: int, wait_seconds: float = 0.0) -> Iterator[StoredEntry]:
        return follow(self, start, wait_seconds)

    def find(self, originator: str) -> int | None:
        return next((e.index for e in self._recorder.select_events(originator) if isinstance(e, StoredEntry)), None)

    def node(self, height: int, position: int) -> bytes:
        leaf, part = leaf_of(height, position)
        return self._recorder.select_entries(leaf, 1)[0].nodes[part]

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.node(*place) for place in places]

    def checkpoints(self, start: int = 0, limit: int = PAGE) -> list[tuple[int, str]]:
        # A copy, since another thread may append meanwhile.
        return sorted((size, note) for size, note in self._checkpoints.copy().items() if size >= start)[:limit]

    def last_checkpoint(self) -> tuple[int, str] | None:
        return max(self._checkpoints.copy().items(), default=None)

    def save_snapshot(self, size: int, state: bytes) -> None:
        if self._snapshot is None or self._snapshot[0] <= size:
            self._snapshot = (size, state)

    def snapshots(self) -> list[tuple[int, bytes]]:
        return [] if self._snapshot is None else [self._snapshot]

    def close(self) -> None:
        pass
