"""The first bytes of a log's file, read beside SQLite and without harm to it.

Whoever closes a file takes from the whole process the locks that it holds on it, those of SQLite too (POSIX; "How to corrupt an SQLite
database file", 2.2). The next process that closes the log then takes itself for the last, and removes the write-ahead log under those who
write to it: what they acknowledge from then on ends with them. So a file that was opened to be looked at is closed when no store has it.
"""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path

from proofroom.adapters.recorders import APPLICATION_ID, LAYOUT
from proofroom.domain.errors import NotALedger, OpenedByParent

File = tuple[int, int]
"""Device and inode."""


@dataclass
class _Held:
    """A file that stores of this process have open."""

    stores: int = 0
    descriptors: list[int] = field(default_factory=list)
    """One, or more where the file took the place of another just then."""


_lock = threading.Lock()
_held: dict[File, _Held] = {}
_inherited: set[File] = set()
"""What was open when this process was forked. SQLite takes the parent's locks for its own: whoever closes last would take the log of writes
away from who still writes, and what was answered would be lost."""

os.register_at_fork(after_in_child=lambda: _inherited.update(_held))


def take(path: Path) -> File:
    """The file of a log, looked at before SQLite does, which would change the journal mode of a file that is not ours.

    It is held until :func:`let_go`.

    Raises:
        OpenedByParent: this process was forked while it was open.
        NotALedger: no file, not SQLite, or of another application or layout (SQLite file format, section 1.3).
    """
    try:
        file, descriptor = _take(path)
        try:
            _check(path, os.pread(descriptor, 100, 0))
        except BaseException:
            let_go(file)
            raise
    except OSError as e:
        raise NotALedger(path=str(path), why=e.strerror or str(e)) from None
    return file


def let_go(file: File) -> None:
    """A store has it open no longer; nor may SQLite for that store."""
    with _lock:
        held = _held[file]
        held.stores -= 1
        if held.stores == 0:
            for descriptor in _held.pop(file).descriptors:
                os.close(descriptor)


def is_at(path: Path, file: File) -> bool:
    """Whether this path still leads to the file; OSError where it leads nowhere."""
    return _file(path.stat()) == file


def _take(path: Path) -> tuple[File, int]:
    """Count a store more, and give a descriptor to read from."""
    with _lock:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise NotALedger(path=str(path), why="it is no file")
        if _file(found) in _inherited:
            raise OpenedByParent(path=str(path), why="the process from which this one was forked has it open")
        if (file := _file(found)) not in _held:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            file = _file(os.fstat(descriptor))
            _held.setdefault(file, _Held()).descriptors.append(descriptor)
        held = _held[file]
        held.stores += 1
        return file, held.descriptors[0]


def _file(found: os.stat_result) -> File:
    return found.st_dev, found.st_ino


def _check(path: Path, header: bytes) -> None:
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise NotALedger(path=str(path), why="it is not an SQLite file")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise NotALedger(path=str(path), why="it is an SQLite file of something else")
    layout = int.from_bytes(header[60:64], "big")
    if layout != LAYOUT:
        raise NotALedger(path=str(path), why=f"its layout is {layout}, this release knows {LAYOUT}")
