"""A disk that fails when it is told to: full, broken, read-only, or taking a part of a write.

SQLite asks the operating system through a table of calls that may be exchanged, by which it is tested itself
(``sqlite3_vfs.xSetSystemCall``); here each write, read and opening of its files goes through Python, and so do those of ``signed-head``.
What SQLite makes of an error is then what it would make of it in the field. Its ``fsync`` is not in that table: it cannot fail here.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest


class Fault(NamedTuple):
    """What becomes of a write, and of all that is asked of the disk until it is mended."""

    error: int
    part: bool = False
    """A quarter of the write that it strikes is taken."""
    lasting: bool = True
    """All later writes fail too."""
    reads: bool = False
    """And reads."""


FAULTS = {
    "disk full": Fault(errno.ENOSPC),
    "disk full after a part of a write": Fault(errno.ENOSPC, part=True),
    "I/O error": Fault(errno.EIO, reads=True),
    "one I/O error": Fault(errno.EIO, lasting=False),
    "read-only file system": Fault(errno.EROFS),
    "short write": Fault(0, part=True, lasting=False),
}


class Disk:
    """What may fail.

    Args:
        at: the number of the write that is struck; -1 for none.
        fault: what happens to it.
    """

    def __init__(self, at: int = -1, fault: Fault = FAULTS["disk full"]) -> None:
        self.at, self.fault = at, fault
        self.writes = 0
        """So many were asked for since it was armed."""
        self.is_armed = self.is_failing = self.was_struck = False

    def arm(self) -> None:
        """Begin to count the writes."""
        self.is_armed = True

    def mend(self) -> None:
        """From now on nothing fails."""
        self.is_failing = False

    @contextmanager
    def mounted(self) -> Iterator[Disk]:
        """All writes, reads and openings in this process go through it."""
        with (
            _sqlite_calls(self._write, self._read, self._open),
            patch.object(os, "pwrite", self._python_pwrite),
            patch.object(os, "pread", self._python_pread),
            patch.object(os, "open", self._python_open),
            patch.object(os, "access", self._python_access),
        ):
            yield self

    # --- what becomes of a call: how many bytes are taken, or a negative error

    def _write(self, size: int) -> int:
        if self.is_failing:
            return -self.fault.error
        self.writes += self.is_armed
        if not self.is_armed or self.writes - 1 != self.at:
            return size
        self.was_struck, self.is_failing = True, self.fault.lasting
        return size // 4 if self.fault.part else -self.fault.error

    def _read(self, size: int) -> int:
        return -self.fault.error if self.is_failing and self.fault.reads else size

    def _open(self, flags: int) -> int:
        to_write = flags & os.O_ACCMODE != os.O_RDONLY
        return -errno.EROFS if self.is_failing and self.fault.error == errno.EROFS and to_write else 0

    def _python_pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return _PWRITE(fd, data[: _checked(self._write(len(data)))], offset)

    def _python_pread(self, fd: int, size: int, offset: int) -> bytes:
        return _PREAD(fd, _checked(self._read(size)), offset)

    def _python_open(self, path: str | Path, flags: int, *rest: Any, **more: Any) -> int:
        _checked(self._open(flags))
        return _OPEN(path, flags, *rest, **more)

    def _python_access(self, path: str | Path, mode: int, **more: Any) -> bool:
        return _ACCESS(path, mode, **more) and (mode != os.W_OK or self._open(os.O_RDWR) == 0)


_PWRITE, _PREAD, _OPEN, _ACCESS = os.pwrite, os.pread, os.open, os.access


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


# --- SQLite's side


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs`` of its third version."""

    _fields_ = (
        ("numbers", ctypes.c_int * 3),
        ("pointers", ctypes.c_void_p * 16),
        ("set_call", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)),
        ("get_call", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)),
    )


_Sized = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, use_errno=True)
_Placed = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)
_Opened = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, use_errno=True)


@contextmanager
def _sqlite_calls(
    write: Callable[[int], int], read: Callable[[int], int], opened: Callable[[int], int]
) -> Iterator[None]:
    """SQLite's calls ask these first; a test is skipped where its table of calls cannot be had."""
    try:
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    except (AttributeError, OSError):
        pytest.skip("this Python holds its SQLite where it cannot be reached")
    vfs = library.sqlite3_vfs_find(None)
    asked = {b"write": write, b"pwrite": write, b"pwrite64": write, b"read": read, b"pread": read, b"pread64": read}
    calls: dict[bytes, Any] = {}
    for name, ask in asked.items():
        kind = _Placed if name.startswith(b"p") else _Sized
        if real := vfs.contents.get_call(vfs, name):
            calls[name] = kind(_sized(ask, kind(real)))
    calls[b"open"] = _Opened(_opening(opened, _Opened(vfs.contents.get_call(vfs, b"open"))))
    try:
        for name, call in calls.items():
            assert vfs.contents.set_call(vfs, name, ctypes.cast(call, ctypes.c_void_p)) == 0
        yield
    finally:
        for name in calls:
            vfs.contents.set_call(vfs, name, None)


def _sized(ask: Callable[[int], int], real: Callable[..., int]) -> Callable[..., int]:
    def call(fd: int, buffer: int, size: int, *place: int) -> int:
        taken = ask(size)
        if taken < 0:
            ctypes.set_errno(-taken)
            return -1
        return real(fd, buffer, taken, *place)

    return call


def _opening(ask: Callable[[int], int], real: Callable[..., int]) -> Callable[..., int]:
    def call(path: bytes, flags: int, mode: int) -> int:
        result = ask(flags)
        if result < 0:
            ctypes.set_errno(-result)
            return -1
        return real(path, flags, mode)

    return call
