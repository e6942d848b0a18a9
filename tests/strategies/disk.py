"""A disk that fails when it is told to: full, broken, read-only, taking a part of a write, or not bringing what it took to where it stays.

Each write, read, opening and sync of SQLite's files goes through Python (:mod:`strategies.sqlite_calls`), and so do those of
``signed-head``. What SQLite makes of an error is what it would make of it in the field.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from strategies.platter import Platter
from strategies.sqlite_calls import sqlite_calls


class Fault(NamedTuple):
    """What becomes of a write, and of all that is asked of the disk until it is mended."""

    error: int
    part: bool = False
    """A quarter of the write that it strikes is taken."""
    lasting: bool = True
    """All later writes fail too."""
    reads: bool = False
    """And reads."""
    syncs: bool = False
    """It strikes a sync, and no write."""


FAULTS = {
    "disk full": Fault(errno.ENOSPC),
    "disk full after a part of a write": Fault(errno.ENOSPC, part=True),
    "I/O error": Fault(errno.EIO, reads=True),
    "one I/O error": Fault(errno.EIO, lasting=False),
    "read-only file system": Fault(errno.EROFS),
    "short write": Fault(0, part=True, lasting=False),
    "failing syncs": Fault(errno.EIO, syncs=True),
    "one failing sync": Fault(errno.EIO, lasting=False, syncs=True),
}


class Disk:
    """What may fail.

    Args:
        at: the number of the write that is struck, or of the sync; -1 for none.
        fault: what happens to it.
    """

    def __init__(self, at: int = -1, fault: Fault = FAULTS["disk full"]) -> None:
        self.at, self.fault = at, fault
        self.writes = self.syncs = 0
        """So many were asked for since it was armed."""
        self.is_armed = self.is_failing = self.was_struck = False
        self.platter: Platter | None = None
        """What a power cut would leave, where that is asked for."""
        self.at_strike: Callable[[], object] = lambda: None
        """Called when it was struck."""

    def arm(self) -> None:
        """Begin to count writes and syncs."""
        self.is_armed = True

    def mend(self) -> None:
        """From now on nothing fails."""
        self.is_failing = False

    @contextmanager
    def mounted(self) -> Iterator[Disk]:
        """All writes, reads and openings in this process go through it."""
        with (
            sqlite_calls(self),
            patch.object(os, "pwrite", self._python_pwrite),
            patch.object(os, "pread", self._python_pread),
            patch.object(os, "open", self._python_open),
            patch.object(os, "access", self._python_access),
            patch.object(os, "fsync", self._python_fsync),
        ):
            yield self

    # --- what becomes of a call: how many bytes are taken, or a negative error

    def write(self, fd: int, at: int, data: bytes) -> int:
        """A write at a place."""
        size = len(data)
        if self.fault.syncs:
            if self.platter is not None:
                self.platter.wrote(fd, at, data)
            return size
        if self.is_failing:
            return -self.fault.error
        self.writes += self.is_armed
        if not self.is_armed or self.writes - 1 != self.at:
            return size
        self.was_struck, self.is_failing = True, self.fault.lasting
        return size // 4 if self.fault.part else -self.fault.error

    def sync(self, path: Path) -> int:
        """A sync of a file."""
        self.syncs += self.is_armed
        if not self.fault.syncs:
            return 0
        is_struck = self.is_armed and self.syncs - 1 == self.at
        failed = is_struck or self.is_failing
        if self.platter is not None:
            self.platter.synced(path, failed=failed)
        if is_struck:
            self.was_struck, self.is_failing = True, self.fault.lasting
            self.at_strike()
        return -self.fault.error if failed else 0

    def opened(self, path: Path) -> None:
        """A file of SQLite is open."""
        if self.platter is not None:
            self.platter.opened(path)

    def read(self, size: int) -> int:
        """A read of so many bytes."""
        return -self.fault.error if self.is_failing and self.fault.reads else size

    def open(self, flags: int) -> int:
        """An opening, to read or to write."""
        to_write = flags & os.O_ACCMODE != os.O_RDONLY
        return -errno.EROFS if self.is_failing and self.fault.error == errno.EROFS and to_write else 0

    def _python_pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return _PWRITE(fd, data[: _checked(self.write(fd, offset, data))], offset)

    def _python_pread(self, fd: int, size: int, offset: int) -> bytes:
        return _PREAD(fd, _checked(self.read(size)), offset)

    def _python_open(self, path: str | Path, flags: int, *rest: Any, **more: Any) -> int:
        _checked(self.open(flags))
        return _OPEN(path, flags, *rest, **more)

    def _python_access(self, path: str | Path, mode: int, **more: Any) -> bool:
        return _ACCESS(path, mode, **more) and (mode != os.W_OK or self.open(os.O_RDWR) == 0)

    def _python_fsync(self, fd: int) -> None:
        _checked(self.sync(Path(f"/proc/self/fd/{fd}").readlink()))
        _FSYNC(fd)


_PWRITE, _PREAD, _OPEN, _ACCESS, _FSYNC = os.pwrite, os.pread, os.open, os.access, os.fsync


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result
