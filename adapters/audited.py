"""What an audit reads: a log as a store keeps it, or as it is published. Nothing that comes from there is verified."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from proofroom.adapters.auditor import LOWEST, checkpoints_of, entries_of
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.stores import Store


class Audited(ABC):
    """A log up to a checkpoint; what is appended meanwhile is for the next audit."""

    @abstractmethod
    def count(self) -> int:
        """How many entries there are now."""

    @abstractmethod
    def entries(self, first: int) -> Iterator[StoredEntry]:
        """Those from an index on, or whatever stands in their place; from 0 on, also what stands before the first."""

    @abstractmethod
    def checkpoints(self, first: int) -> Iterator[tuple[int, str]]:
        """``(size, note)`` from a size on, rising."""

    @abstractmethod
    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """The tree nodes at ``(height, k)``.

        Raises:
            Malformed: they are not those of this log.
        """

    @abstractmethod
    def has_more(self, size: int) -> bool:
        """Whether entries stand behind these, and no checkpoint is over them."""


class AuditedStore(Audited):
    """A store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._size = self._promised()

    def count(self) -> int:
        return self._store.size()

    def entries(self, first: int) -> Iterator[StoredEntry]:
        return entries_of(self._store, first or LOWEST, self._size)

    def checkpoints(self, first: int) -> Iterator[tuple[int, str]]:
        return checkpoints_of(self._store, first or LOWEST, self._size)

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        return self._store.nodes(places)

    def has_more(self, size: int) -> bool:
        return self.count() > size and self._promised() == size  # in this order: a writer may append in between

    def _promised(self) -> int:
        last = self._store.last_checkpoint()
        return 0 if last is None else last[0]
