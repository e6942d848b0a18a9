"""What SQLite asks of the operating system, asked of Python first.

Writes, reads and openings go through a table of calls that may be exchanged, by which SQLite is tested itself
(``sqlite3_vfs.xSetSystemCall``). Its ``fsync`` is not in that table: a sync is taken one step above, at the method of the open file
(``sqlite3_io_methods.xSync``), which answers as SQLite's own does when ``fsync`` fails.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

IOERR_FSYNC = 1034
"""``SQLITE_IOERR_FSYNC``."""


class Disk(Protocol):
    """Who is asked. What is negative is an error of the system."""

    def write(self, fd: int, at: int, data: bytes) -> int:
        """How many bytes of a write are taken."""
        ...

    def read(self, size: int) -> int:
        """How many bytes may be read."""
        ...

    def open(self, flags: int) -> int:
        """Whether a file may be opened."""
        ...

    def opened(self, path: Path) -> None:
        """It was."""
        ...

    def sync(self, path: Path) -> int:
        """Whether a file may be synced."""
        ...


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs`` of its third version."""

    _fields_ = (
        ("numbers", ctypes.c_int * 3),
        ("pointers", ctypes.c_void_p * 16),
        ("set_call", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)),
        ("get_call", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)),
    )


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods`` of its third version."""

    _fields_ = (("version", ctypes.c_int), ("calls", ctypes.c_void_p * 18))


X_OPEN, X_SYNC = 3, 4
"""Their places among the pointers of a :class:`_Vfs` and of :class:`_Methods`."""

_Sized = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, use_errno=True)
_Placed = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)
_Opened = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, use_errno=True)
# The name is a place, and no copy: SQLite reads the parameters of a URI behind its end.
_FileOpened = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)
_Synced = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


@contextmanager
def sqlite_calls(disk: Disk) -> Iterator[None]:
    """SQLite's calls ask the disk first; a test is skipped where its table of calls cannot be had.

    Files that are open when it begins are synced unasked.
    """
    try:
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    except (AttributeError, OSError):
        pytest.skip("this Python holds its SQLite where it cannot be reached")
    vfs = library.sqlite3_vfs_find(None)
    calls: dict[bytes, Any] = {}
    for name in (b"write", b"pwrite", b"pwrite64", b"read", b"pread", b"pread64"):
        kind = _Placed if name.startswith(b"p") else _Sized
        if real := vfs.contents.get_call(vfs, name):
            calls[name] = kind((_writing if b"write" in name else _reading)(disk, kind(real)))
    calls[b"open"] = _Opened(_opening(disk, _Opened(vfs.contents.get_call(vfs, b"open"))))
    pointers, x_open = vfs.contents.pointers, vfs.contents.pointers[X_OPEN]
    opening = _FileOpened(_file_opening(disk, _FileOpened(x_open)))
    try:
        pointers[X_OPEN] = ctypes.cast(opening, ctypes.c_void_p).value
        for name, call in calls.items():
            assert vfs.contents.set_call(vfs, name, ctypes.cast(call, ctypes.c_void_p)) == 0
        yield
    finally:
        pointers[X_OPEN] = x_open
        for name in calls:
            vfs.contents.set_call(vfs, name, None)
        _asked.clear()


def _writing(disk: Disk, real: Callable[..., int]) -> Callable[..., int]:
    def call(fd: int, buffer: int, size: int, *place: int) -> int:
        at = place[0] if place else os.lseek(fd, 0, os.SEEK_CUR)
        taken = _told(disk.write(fd, at, ctypes.string_at(buffer, size)))
        return taken if taken < 0 else real(fd, buffer, taken, *place)

    return call


def _reading(disk: Disk, real: Callable[..., int]) -> Callable[..., int]:
    def call(fd: int, buffer: int, size: int, *place: int) -> int:
        taken = _told(disk.read(size))
        return taken if taken < 0 else real(fd, buffer, taken, *place)

    return call


def _opening(disk: Disk, real: Callable[..., int]) -> Callable[..., int]:
    def call(path: bytes, flags: int, mode: int) -> int:
        result = _told(disk.open(flags))
        return result if result < 0 else real(path, flags, mode)

    return call


def _told(result: int) -> int:
    if result < 0:
        ctypes.set_errno(-result)
        return -1
    return result


# --- syncs

_asked: dict[int, tuple[Disk, Path]] = {}
"""Open file -> whom its syncs ask, and its name."""

_methods: dict[int, _Methods] = {}
"""The methods of a file -> the same with our sync. They stay, since a file may outlive who asked for it."""

_reals: dict[int, Any] = {}
"""Our methods -> SQLite's own sync."""


def _file_opening(disk: Disk, real: Callable[..., int]) -> Callable[..., int]:
    def call(vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        result = real(vfs, name, file, flags, out)
        pointer = ctypes.c_void_p.from_address(file)
        if result == 0 and name and pointer.value:
            _asked[file] = disk, Path(os.fsdecode(ctypes.string_at(name)))
            disk.opened(_asked[file][1])
            pointer.value = ctypes.addressof(_with_our_sync(pointer.value))
        return result

    return call


def _with_our_sync(methods: int) -> _Methods:
    if methods not in _methods:
        ours = _Methods.from_buffer_copy(_Methods.from_address(methods))
        _reals[ctypes.addressof(ours)] = _Synced(ours.calls[X_SYNC])
        ours.calls[X_SYNC] = ctypes.cast(_sync, ctypes.c_void_p).value
        _methods[methods] = ours
    return _methods[methods]


def _ask_and_sync(file: int, flags: int) -> int:
    if file in _asked:
        disk, path = _asked[file]
        if disk.sync(path) < 0:
            return IOERR_FSYNC
    real = _reals[ctypes.c_void_p.from_address(file).value or 0]
    return int(real(file, flags))


_sync = _Synced(_ask_and_sync)
