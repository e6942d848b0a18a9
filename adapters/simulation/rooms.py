"""Keeping a simulated ledger: a room like any other, whose keys follow from the seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from proofroom.adapters.ledger import LOG
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import Store
from proofroom.domain.errors import LedgerExists, StoreUnavailable


def store_in(folder: Path) -> Callable[[Callable[[], int]], Store]:
    """Makes the log of a new room, given the world's clock.

    Raises:
        LedgerExists: the room is there already.
        StoreUnavailable: it cannot be made.
    """

    def make(clock: Callable[[], int]) -> Store:
        if (folder / LOG).exists():
            raise LedgerExists(path=str(folder))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StoreUnavailable(path=str(folder), why=e.strerror or "it cannot be made") from None
        return SqliteStore(folder / LOG, create=True, clock=clock)

    return make
