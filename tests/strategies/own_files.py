"""What Python asks of the disk beside SQLite, one request of which fails; and what a power cut would leave of it.

A file is there by its content once that is synced, and by its name once the folder is. Drafts are written once and synced, so what was not
synced of a file is nothing of it. A link is there by its name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

STRUCK = ("fsync", "replace", "rename", "link")


class OwnFiles:
    """A folder in which one request fails.

    Args:
        folder: what is in it now is on the disk.
        at: the number of the request; -1 for none.
    """

    def __init__(self, folder: Path, at: int = -1) -> None:
        self.folder, self.at, self.requests = folder, at, 0
        self._contents: dict[int, bytes] = {}
        self._links: dict[int, str] = {}
        self._names: dict[int, dict[str, int]] = {}
        for path in (folder, *folder.rglob("*")):
            self._keep(path)

    @property
    def was_struck(self) -> bool:
        """Whether it came to that request."""
        return 0 <= self.at < self.requests

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """All of this process's go through it."""
        reals = {name: getattr(os, name) for name in (*STRUCK, "open")}
        with (
            patch.object(os, "fsync", self._asked(self._fsync(reals["fsync"]))),
            patch.object(os, "replace", self._asked(reals["replace"])),
            patch.object(os, "rename", self._asked(reals["rename"])),
            patch.object(os, "link", self._asked(reals["link"])),
            patch.object(os, "open", self._open(reals["open"])),
        ):
            yield

    def _asked(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            self.requests += 1
            if self.requests - 1 == self.at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **more)

        return call

    def _fsync(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(fd: int) -> None:
            real(fd)
            self._keep(Path(f"/proc/self/fd/{fd}").readlink())

        return call

    def _open(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: str | Path, flags: int, *rest: Any, **more: Any) -> int:
            fd = real(path, flags, *rest, **more)
            if flags & (os.O_TRUNC | os.O_EXCL):  # empty, whatever had its inode before
                self._contents.pop(os.fstat(fd).st_ino, None)
            return fd

        return call

    def _keep(self, path: Path) -> None:
        inode = path.stat().st_ino
        if path.is_dir():
            self._names[inode] = {found.name: found.lstat().st_ino for found in path.iterdir()}
            self._links |= {
                found.lstat().st_ino: str(found.readlink()) for found in path.iterdir() if found.is_symlink()
            }
        else:
            self._contents[inode] = path.read_bytes()

    def lay_out(self, copy: Path) -> Path:
        """The folder as a power cut leaves it."""
        self._lay_out(self.folder.stat().st_ino, copy)
        return copy

    def _lay_out(self, inode: int, copy: Path) -> None:
        copy.mkdir()
        for name, kept in self._names[inode].items():
            if kept in self._links:
                (copy / name).symlink_to(self._links[kept])
            elif kept in self._names:
                self._lay_out(kept, copy / name)
            else:
                (copy / name).write_bytes(self._contents.get(kept, b""))
