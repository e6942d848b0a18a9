"""A room in the making: one maker at a time, and its files on the disk before genesis names them.

Genesis is one durable append. So a crash leaves no ledger, and making it again takes up the keys that are there; or it leaves the ledger
with all its keys.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from proofroom.adapters.files import alone
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.errors import LedgerExists, NotALedger


@contextlib.contextmanager
def making(room: Path) -> Iterator[None]:
    """The folder, on the disk, and that nobody else makes a ledger in it meanwhile.

    Raises:
        NotALedger: it cannot be made.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(alone(room))
        except OSError as e:
            raise NotALedger(path=str(room), why=e.strerror or str(e)) from None
        yield


def new_store(log: Path, clock: Callable[[], int]) -> SqliteStore:
    """The store of a ledger to be; an empty log, as a crash before genesis leaves one, is as good as none.

    Raises:
        LedgerExists: there are entries.
    """
    store = SqliteStore(log, create=True, clock=clock)
    if store.size():
        store.close()
        raise LedgerExists(path=str(log.parent))
    return store


def make_place(log: Path, keys: Path) -> None:
    """A folder for the keys; what else a crash left goes.

    Raises:
        OSError: the folder cannot be made or written.
    """
    keys.mkdir(mode=0o700, exist_ok=True)
    drafts = log.parent.glob(f"{log.name}.*.new*")
    for leftover in (*drafts, *keys.glob(".*")):  # a draft of a key file may be a second name of it
        leftover.unlink()
