"""What of some files would be there after a power cut: what was written to them and then synced.

A sync that failed is the last that is heard of what it was to bring: Linux has marked it as written by then, and reads go on showing it, so
that a later sync succeeds and brings nothing of it. Only what is written once more reaches the disk.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class Platter:
    """The files of a folder, by their inodes.

    It opens no file while SQLite has it open: to close it would take from SQLite the locks that it holds in this process.

    Args:
        folder: all that is in it now is on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._kept = {path.stat().st_ino: bytearray(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
        self._dirty: dict[int, list[tuple[int, bytes]]] = {}

    def opened(self, path: Path) -> None:
        """One that is empty is new: nothing of it is kept, whatever had its inode before."""
        found = path.stat()
        if found.st_size == 0:
            self._kept[found.st_ino], self._dirty[found.st_ino] = bytearray(), []

    def wrote(self, fd: int, at: int, data: bytes) -> None:
        """Bytes were written."""
        self._dirty.setdefault(os.fstat(fd).st_ino, []).append((at, data))

    def synced(self, path: Path, *, failed: bool) -> None:
        """What was written since the last sync is brought to the disk, or given up."""
        inode = path.stat().st_ino
        dirty = self._dirty.pop(inode, [])
        if failed:
            return
        kept = self._kept.setdefault(inode, bytearray())
        for at, data in dirty:
            kept.extend(bytes(max(0, at - len(kept))))
            kept[at : at + len(data)] = data

    def lay_out(self, folder: Path, copy: Path) -> None:
        """The folder as the power cut leaves it, without what SQLite shares in memory."""
        shutil.rmtree(copy, ignore_errors=True)
        for path in folder.rglob("*"):
            if path.is_file() and not path.name.endswith("-shm"):
                (there := copy / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
                there.write_bytes(self._kept.get(path.stat().st_ino, b""))
