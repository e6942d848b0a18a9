"""Files of our own beside SQLite: whatever sync, link or rename of them fails, the error is typed, and what was told stays there.

After each failure the power is cut, in thought, and then the same is asked again: what is left is the old or the new, and once it worked,
the new.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from proofroom.adapters import snapshots
from proofroom.adapters.anchors import FolderAnchor
from proofroom.adapters.audit_progress import Progress, load_progress, save_progress
from proofroom.adapters.audited_tiles import audit_published
from proofroom.adapters.files import write_atomically
from proofroom.adapters.keyfile import Cost, load_encrypted, save_encrypted
from proofroom.adapters.keys import Key, load_key, save_key
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.monitor import Monitor
from proofroom.adapters.openings import Openings
from proofroom.adapters.published import PublishedLog, StoredLog
from proofroom.adapters.publishing import publish
from proofroom.adapters.validator import load_or_create_secret
from proofroom.adapters.vault import Vault
from proofroom.domain import hashing
from proofroom.domain.commitment import Opening
from proofroom.domain.errors import (
    BadInput,
    LedgerExists,
    NotPublished,
    StoreUnavailable,
    Unavailable,
    VaultUnavailable,
)
from proofroom.domain.ids import KeyId
from proofroom.domain.verifier import Verdict
from strategies.followed import log_of
from strategies.own_files import OwnFiles
from strategies.rooms import audit_file, soak

BEFORE, AFTER = 2, 5
"""Sizes of a log that is published, or watched."""

REQUESTS = 40
"""More than the making of a ledger has."""

CHEAP = Cost(1, 8 * 2**20)

WALLET, SCOPE = Key(bytes(32)), "v / s"
RESULT = b"sealed"
RESULT_HASH = hashing.tagged(hashing.digest(hashing.RESULT, RESULT))
OPENING = Opening.of(bytes(32), "agent", {}, b"in", b"out")


class Case(NamedTuple):
    """Something that is written, and read again."""

    prepare: Callable[[Path], object]
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    old: object
    new: object
    tried: int = 3
    """Requests that fail in a run of all tests, drawn by chance; a soak tries each."""


def nothing(folder: Path) -> None:
    """There is none before."""


def new_key(folder: Path) -> None:
    """A key file; that it is there already is as good."""
    with suppress(LedgerExists):
        save_key(folder / "k", bytes(32))


def read_key(folder: Path) -> KeyId | None:
    """The key that is there."""
    return load_key(folder / "k").keyid if (folder / "k").exists() else None


def read_protected(folder: Path) -> bool:
    """Whether a key file is under a password; it is one or the other."""
    try:
        load_encrypted(folder / "k", b"secret")
    except BadInput:
        load_key(folder / "k")
        return False
    return True


def published(folder: Path) -> int:
    """How many entries are, all of which hold."""
    with suppress(NotPublished):
        report = audit_published(PublishedLog(str(folder / "web")))
        assert report.verdict is Verdict.VALID, report.sentence()
        return report.entries
    return 0


def anchored(folder: Path) -> bytes:
    """What is kept."""
    return (folder / "x").read_bytes() if (folder / "x").exists() else b""


def progress(folder: Path, size: int) -> None:
    """The progress of an audit that came so far."""
    done = Progress()
    done.left_off = size
    save_progress(folder / "p", done)


def seen(folder: Path, size: int) -> None:
    """A monitor that looks at a log of a size."""
    assert Monitor(StoredLog(log_of(size=size)), folder, clock=lambda: 0.0).look().size == size


def secret(folder: Path) -> bool:
    """Whether there is one, and whole."""
    return (folder / "s").exists() and len(load_or_create_secret(folder / "s")) == 32


def sealed(folder: Path, size: int) -> None:
    """A copy of the read models of a log of a size."""
    snapshots.publish(log_of(size=size), folder / "models", parquet=False)


def sealed_size(folder: Path) -> int:
    """The size of the log that the latest copy is of, which is whole; 0 where there is none."""
    if not (latest := folder / "models" / snapshots.LATEST).exists():
        return 0
    manifest = json.loads((latest / snapshots.MANIFEST).read_bytes())
    assert hashlib.sha256((latest / snapshots.FILE).read_bytes()).hexdigest() == manifest["sha256"]
    return int(manifest["position"])


def vault(folder: Path) -> Vault:
    """The wallet's vault there."""
    return Vault(folder / "vault", WALLET.keyid)


def started(folder: Path) -> None:
    """A scope with a key."""
    vault(folder).start_epoch(SCOPE, WALLET, [])


def put(folder: Path, data: bytes) -> None:
    """A blob under the one name, in a scope with a key."""
    if not vault(folder).epochs(SCOPE):
        started(folder)
    vault(folder).put(SCOPE, "n", data, WALLET)


def got(folder: Path) -> bytes | None:
    """What can be had under the name."""
    with suppress(VaultUnavailable):
        return vault(folder).get(SCOPE, "n", WALLET)
    return None


def result(folder: Path) -> bytes | None:
    """The sealed result that is there."""
    with suppress(VaultUnavailable):
        return b"".join(vault(folder).storage.get(SCOPE, RESULT_HASH, hashing.RESULT))
    return None


def opened(folder: Path) -> bool:
    """Whether the commitment can be opened."""
    with suppress(VaultUnavailable):
        return Openings(folder / "openings").load(OPENING.commitment()) == OPENING
    return False


CASES = {
    "a scope's first key": Case(
        nothing, started, lambda folder: WALLET.keyid in vault(folder).readers(SCOPE), False, True
    ),
    "a blob": Case(started, partial(put, data=b"new"), got, None, b"new"),
    "another blob of a name": Case(partial(put, data=b"old"), partial(put, data=b"new"), got, b"old", b"new"),
    "an epoch that is erased": Case(
        partial(put, data=b"old"), lambda folder: vault(folder).erase_epoch(SCOPE, 0, WALLET), got, b"old", None
    ),
    "a result that is erased": Case(
        lambda folder: vault(folder).put_result(SCOPE, RESULT),
        lambda folder: vault(folder).storage.remove(SCOPE, RESULT_HASH),
        result,
        RESULT,
        None,
    ),
    "a salt that is kept": Case(
        nothing, lambda folder: Openings(folder / "openings").keep(OPENING), opened, False, True
    ),
    "a salt that is erased": Case(
        lambda folder: Openings(folder / "openings").keep(OPENING),
        lambda folder: Openings(folder / "openings").erase(OPENING.commitment()),
        opened,
        True,
        False,
    ),
    "a key": Case(nothing, new_key, read_key, None, Key(bytes(32)).keyid),
    "a key that is put under a password": Case(
        new_key,
        lambda folder: save_encrypted(folder / "k", bytes(32), b"secret", CHEAP, replace=True),
        read_protected,
        False,
        True,
    ),
    "a validator's secret": Case(nothing, lambda folder: load_or_create_secret(folder / "s"), secret, False, True),
    "a checkpoint in a folder": Case(nothing, lambda folder: FolderAnchor(folder).keep("x", b"y"), anchored, b"", b"y"),
    "the progress of an audit": Case(
        partial(progress, size=1), partial(progress, size=2), lambda f: load_progress(f / "p").left_off, 1, 2
    ),
    "what a monitor saw": Case(
        partial(seen, size=BEFORE),
        partial(seen, size=AFTER),
        lambda folder: Monitor(StoredLog(log_of(size=AFTER)), folder).size,
        BEFORE,
        AFTER,
    ),
    "a log's first files": Case(
        nothing, lambda folder: publish(log_of(size=BEFORE), folder / "web"), published, 0, BEFORE
    ),
    "a log's next files": Case(
        lambda folder: publish(log_of(size=BEFORE), folder / "web"),
        lambda folder: publish(log_of(size=AFTER), folder / "web"),
        published,
        BEFORE,
        AFTER,
    ),
    "a sealed copy": Case(nothing, partial(sealed, size=BEFORE), sealed_size, 0, BEFORE, tried=1),
    "the next sealed copy": Case(
        partial(sealed, size=BEFORE), partial(sealed, size=AFTER), sealed_size, BEFORE, AFTER, tried=1
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_each_request_fails_once(tmp_path: Path, what: str) -> None:
    """What was told is on the disk; what was not told may be, and is whole."""
    case = CASES[what]
    (whole := tmp_path / "whole").mkdir()
    case.prepare(whole)
    files = OwnFiles(whole)
    with files.mounted():
        case.write(whole)
    assert files.requests >= 2
    for at in random.sample(range(files.requests), soak(min(case.tried, files.requests), files.requests)):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        case.prepare(folder)
        files = OwnFiles(folder, at)
        with files.mounted(), pytest.raises(Unavailable):
            case.write(folder)
        files.at = -1
        assert case.read(folder) in (case.old, case.new)
        assert case.read(files.lay_out(tmp_path / f"{at}-cut")) in (case.old, case.new)
        with files.mounted():
            case.write(folder)
        assert case.read(folder) == case.new
        assert case.read(files.lay_out(tmp_path / f"{at}-then")) == case.new


def test_a_ledger_is_made_whatever_fails_once(tmp_path: Path) -> None:
    """The error is typed, and the next who makes it makes it whole."""
    for at in random.sample(range(REQUESTS), soak(4, REQUESTS)):
        room = tmp_path / f"{at}" / "room"
        room.parent.mkdir()
        files = OwnFiles(room.parent, at)
        with files.mounted():
            try:
                Ledger.create(room).close()
            except Unavailable:
                assert files.was_struck
                with suppress(LedgerExists):
                    Ledger.create(room).close()
        with Ledger.open(room) as ledger:
            ledger.tick()
        assert audit_file(room / LOG).verdict is Verdict.VALID
        assert files.was_struck == (files.requests > at)


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    """A pipe, as a shell gives one, or a device: `-o /dev/null` as root took it from the whole machine. A link stays a link."""
    pipe, file, link = tmp_path / "pipe", tmp_path / "file", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(file)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, b"told")
        assert (os.read(reader, 100), pipe.is_fifo()) == (b"told", True)
    finally:
        os.close(reader)
    write_atomically(link, b"told")
    assert (file.read_bytes(), link.is_symlink()) == (b"told", True)
    with pytest.raises(StoreUnavailable, match="Is a directory"):
        write_atomically(tmp_path, b"told")
    assert sorted(tmp_path.iterdir()) == [file, link, pipe]
