"""Writing files so that a crash leaves the old content or the new, never a half; reading short ones."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from proofroom.domain.errors import StoreFull, StoreReadOnly, StoreUnavailable

LOCK = ".lock"
"""The file by which a folder is locked. It holds nothing and stays."""

_KINDS: dict[int, type[StoreUnavailable]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EROFS: StoreReadOnly,
    errno.EACCES: StoreReadOnly,
    errno.EPERM: StoreReadOnly,
}


def unavailable(path: Path, error: OSError) -> StoreUnavailable:
    """What the system says of a file, as our error."""
    return _KINDS.get(error.errno or 0, StoreUnavailable)(path=str(path), why=error.strerror or str(error))


@contextlib.contextmanager
def typed(path: Path) -> Iterator[None]:
    """What the system says of a file within, as our errors."""
    try:
        yield
    except BrokenPipeError:  # of who is told how far it is
        raise
    except OSError as e:
        raise unavailable(path, e) from None


def is_text(word: object) -> bool:
    """Whether UTF-8 can hold a word or a path: a byte that is no UTF-8 comes as half a character (PEP 383)."""
    return not any("\ud800" <= character <= "\udfff" for character in str(word))


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's content durably; only its owner may read it. Missing folders are made, for the owner alone. A link is followed, and
    what is no file, such as a pipe or a device, is written to: a file in its place would take it from everybody.

    Raises:
        StoreUnavailable: it cannot be written, or what was written not be had on the disk.
    """
    with typed(path):
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        temporary = _write_beside(path, data)
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not be there yet, otherwise as :func:`write_atomically`.

    Raises:
        FileExistsError: it is there; it stays as it is.
        StoreUnavailable: it cannot be written, or what was written not be had on the disk.
    """
    is_there = False
    with typed(path):
        temporary = _write_beside(path, data)
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            is_there = True
        finally:
            temporary.unlink(missing_ok=True)
        # One that is there too: whoever wrote it may have come no further than its name.
        sync_folder(path.parent)
    if is_there:
        raise FileExistsError(path)


def _write_beside(path: Path, data: bytes) -> Path:
    """A temporary file of mode 0600 in the same folder, with the data on the disk."""
    make_folders(path.parent)
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def read_at_most(path: Path, limit: int) -> bytes:
    """The content of a file that is short when it is what it should be.

    Raises:
        ValueError: it is longer than ``limit`` bytes, maybe without end.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"longer than {limit} bytes")
    return data


def open_regular(path: Path) -> BinaryIO:
    """A file to read in a place where a stranger may have put something else: a pipe would be waited for, a device has no end.

    Raises:
        OSError: it is none, or cannot be read.
    """

    def opened(name: str, flags: int) -> int:
        handle = os.open(name, flags | os.O_NONBLOCK)
        kind = os.fstat(handle).st_mode
        if stat.S_ISREG(kind) or stat.S_ISDIR(kind):  # of a folder the system says itself that it is one
            return handle
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file", name)

    return open(path, "rb", opener=opened)


def make_folders(folder: Path, mode: int = 0o700) -> None:
    """A folder and all above it that are missing, and their names on the disk: where these cannot be had, there are none."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    try:
        for one in missing:
            sync_folder(one.parent)
    except OSError:
        for one in missing:
            with contextlib.suppress(OSError):  # another has begun to use it
                one.rmdir()
        raise


@contextlib.contextmanager
def alone(folder: Path, mode: int = 0o700) -> Iterator[None]:
    """A folder, made where it is missing, whose lock no other thread or process has meanwhile: a file in it, since network file systems
    lock no folders.

    Raises:
        OSError: it cannot be made or locked.
    """
    make_folders(folder, mode)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode & 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    _sync(folder)


def sync_tree(folder: Path) -> None:
    """Have all that is in a folder on the disk, contents and names."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
