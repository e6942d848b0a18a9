"""Where encrypted bytes lie: a small port, a folder that fills it, and an object store that fills it by fsspec.

A blob is written whole or not at all, and never changed. Names are paths with ``/``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from proofroom.adapters.files import alone, make_folders, open_regular, sync_folder
from proofroom.domain.errors import BadInput, MissingExtra

PART = 2**20
"""Bytes that are read and written at a time."""


class Blobs(Protocol):
    """Named bytes. Whatever fails raises :class:`OSError`."""

    def write(self, parts: Iterable[bytes], name: Callable[[], str]) -> None:
        """Keep the parts under a name, which is asked for once all of them are there; what had that name is replaced."""
        ...

    def read(self, name: str, first: int = PART, size: int = PART) -> Iterator[bytes]:
        """A blob in parts of these sizes or less; FileNotFoundError, at the call, where there is none."""
        ...

    def alone(self) -> AbstractContextManager[object]:
        """Keep out whoever else asks for this, in any process, until it is left."""
        ...

    def blank(self, name: str) -> None:
        """Destroy what a blob holds, if it is there, where the store would keep that when another takes its place; the name may stay."""
        ...

    def remove(self, name: str) -> None:
        """Let a blob go, if it is there."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """The names directly in a folder, without the folder, and their bytes; a folder that is not there is empty."""
        ...


class FolderBlobs:
    """A folder of the file system; files and folders are for their owner alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, parts: Iterable[bytes], name: Callable[[], str]) -> None:
        """On the disk before it has its name."""
        make_folders(self.folder)
        handle, temporary = tempfile.mkstemp(prefix=".", dir=self.folder)
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                for part in parts:
                    _write_all(file.fileno(), part)
                os.fsync(file.fileno())
            path = self.folder / name()
            make_folders(path.parent)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)

    def read(self, name: str, first: int = PART, size: int = PART) -> Iterator[bytes]:
        """Opened at once, so that a missing blob is missed at once."""
        return _parts(open_regular(self.folder / name), first, size)

    def alone(self) -> AbstractContextManager[object]:
        """By the lock of the folder."""
        return alone(self.folder)

    def blank(self, name: str) -> None:
        """A file is overwritten; what the disk keeps elsewhere of it is beyond our reach, and what a link leads to is another's."""
        try:
            handle = os.open(self.folder / name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        except OSError as e:
            if e.errno in (errno.ELOOP, errno.ENXIO):  # a link, or a pipe, which somebody put there
                return
            raise
        try:
            for _ in range(0, os.fstat(handle).st_size, PART):
                _write_all(handle, bytes(PART))
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, name: str) -> None:
        """A file is overwritten first."""
        self.blank(name)
        path = self.folder / name
        path.unlink(missing_ok=True)
        if path.parent.exists():
            sync_folder(path.parent)

    def sizes(self, folder: str) -> dict[str, int]:
        """Files only."""
        try:
            with os.scandir(self.folder / folder) as found:
                return {entry.name: entry.stat().st_size for entry in found if entry.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return {}


class FsspecBlobs:
    """Anything that fsspec reaches: S3, GCS, Azure, SFTP, memory (``pip install proofroom[fsspec]``).

    Args:
        url: such as ``s3://bucket/vault``; its protocol names the file system.
        options: for that file system.

    Raises:
        MissingExtra: fsspec is not installed.
        BadInput: there is no such protocol, or what it needs is not installed.
    """

    def __init__(self, url: str, **options: Any) -> None:
        try:
            import fsspec
        except ImportError:
            raise MissingExtra(extra="fsspec", package="fsspec") from None
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url, **options)
        except (ImportError, ValueError) as e:
            raise BadInput(path=url.partition("://")[0], why=str(e)) from None
        self._alone = threading.Lock()

    def write(self, parts: Iterable[bytes], name: Callable[[], str]) -> None:
        """Under a name of chance first; most object stores show a blob only when it is whole, others need the move."""
        temporary = f"{self._root}/.incoming/{secrets.token_hex(16)}"
        _told(self._fs.makedirs, f"{self._root}/.incoming", exist_ok=True)
        try:
            file = _told(self._fs.open, temporary, "wb")
            try:
                for part in parts:
                    _told(file.write, part)
            finally:
                _told(file.close)
            path = f"{self._root}/{name()}"
            _told(self._fs.makedirs, str(PurePosixPath(path).parent), exist_ok=True)
            _told(self._fs.mv, temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                _told(self._fs.rm, temporary)
            raise

    def read(self, name: str, first: int = PART, size: int = PART) -> Iterator[bytes]:
        """Opened at once."""
        return _parts(_told(self._fs.open, f"{self._root}/{name}", "rb"), first, size)

    def alone(self) -> AbstractContextManager[object]:
        """By threads that share this object. Object stores have no locks: of several processes, let one change keys."""
        return self._alone

    def blank(self, name: str) -> None:
        """Nothing is done: what takes a blob's place there is written over it, or beside it as a version."""

    def remove(self, name: str) -> None:
        """Old versions that the store may keep are its owner's to remove."""
        with contextlib.suppress(FileNotFoundError):
            _told(self._fs.rm, f"{self._root}/{name}")

    def sizes(self, folder: str) -> dict[str, int]:
        """Asked anew: no listing is taken from a cache."""
        self._fs.invalidate_cache()
        try:
            found = _told(self._fs.ls, f"{self._root}/{folder}", detail=True)
        except FileNotFoundError:
            return {}
        return {PurePosixPath(f["name"]).name: f["size"] for f in found if f["type"] == "file"}


def _parts(file: Any, first: int, size: int) -> Iterator[bytes]:
    with file:
        while part := _told(file.read, first):
            yield part
            first = size


def _told(call: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """A call of a file system: each library has errors of its own, and here they are :class:`OSError`."""
    try:
        return call(*args, **more)
    except OSError:
        raise
    except Exception as e:
        raise OSError(errno.EIO, f"{type(e).__name__}: {e}") from e


def _write_all(handle: int, part: bytes) -> None:
    left = memoryview(part)
    while left:
        left = left[os.write(handle, left) :]
