"""The SQLite store: durable, and typed in its refusals, each of which leaves the file as it was."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from proofroom.adapters.audit import Verdict
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.recorders import APPLICATION_ID, LAYOUT
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import now_ms
from proofroom.domain.errors import (
    NoSigner,
    NotALedger,
    ProofroomError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from proofroom.domain.statements import KINDS
from proofroom.testing.keys import key
from strategies.rooms import TESTS, Worker, audit_file, copy_of, edit, locked, make_folder, make_room, rows_of, signers
from strategies.whole import whole_history


def pragmas(store: SqliteStore, *, commit: bool) -> dict[str, Any]:
    """What SQLite says of a connection that the store uses."""
    values = {}
    with store._datastore.transaction(commit=commit) as c:
        for name in ("synchronous", "journal_mode", "application_id", "user_version"):
            c.execute(f"PRAGMA {name}")
            values[name] = c.fetchone()[0]
    return values


@pytest.mark.parametrize("commit", [True, False])
def test_commits_are_durable(tmp_path: Path, commit: bool) -> None:
    """A commit is on the disk before it is acknowledged: WAL with synchronous=FULL, on every connection."""
    for create in (True, False):
        with closing(SqliteStore(tmp_path / LOG, create=create)) as store:
            found = pragmas(store, commit=commit)
            assert found == {
                "synchronous": 2,
                "journal_mode": "wal",
                "application_id": APPLICATION_ID,
                "user_version": LAYOUT,
            }


def test_the_file_names_no_python(tmp_path: Path) -> None:
    """Topics are payload types; no module path stands in any column."""
    rows = rows_of(copy_of(tmp_path))
    topics = {row[3].decode() for row in rows["log"]}
    assert topics <= KINDS.keys()
    assert all(re.fullmatch(r"application/vnd\.proofroom\.[a-z-]+\.v1\+json", topic) for topic in topics)
    text = repr(rows)
    assert "proofroom.domain" not in text
    assert "proofroom.adapters" not in text


# --- not ours


def other_database(path: Path, user_version: int = 0) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE log (log_index INTEGER)")
        connection.execute("INSERT INTO log VALUES (7)")
        connection.execute(f"PRAGMA user_version={user_version}")


def newer_layout(path: Path) -> None:
    copy_of(path.parent, path.name)
    edit(path, f"PRAGMA user_version={LAYOUT + 1}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


NOT_OURS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a directory": lambda path: path.mkdir(),
    "an empty file": lambda path: path.write_bytes(b""),
    "a text": lambda path: path.write_text("Dear ledger,\n" * 100),
    "a short text": lambda path: path.write_text("SQLite format 3"),
    "another database": other_database,
    "another database of this layout": lambda path: other_database(path, LAYOUT),
    "a newer layout": newer_layout,
    "the head of a ledger": lambda path: path.write_bytes(copy_of(path.parent, "whole.db").read_bytes()[:50]),
}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("what", NOT_OURS)
def test_what_is_not_a_ledger_is_refused_and_left_alone(tmp_path: Path, what: str, read_only: bool) -> None:
    """Opening it says so, with advice, and changes no byte of it."""
    folder = tmp_path / "room"
    folder.mkdir()
    path = folder / LOG
    NOT_OURS[what](path)
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    with pytest.raises(NotALedger) as refused:
        Ledger.open(folder, read_only=read_only)
    assert refused.value.code == "not-a-ledger"
    assert refused.value.advice
    assert str(path) in str(refused.value)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def test_a_file_that_was_cut_is_not_taken_for_a_ledger(tmp_path: Path) -> None:
    """A ledger of which only some pages are left gives a typed error, on opening or on reading."""
    path = copy_of(tmp_path)
    whole = path.read_bytes()
    for pages in (1, 5, len(whole) // 4096 // 2):
        path.write_bytes(whole[: 4096 * pages])
        with pytest.raises(StoreUnavailable), Ledger.open(tmp_path, signers=signers()) as ledger:
            ledger.read(0, 10_000)


# --- locked


def test_a_lock_that_is_held_too_long_is_named(tmp_path: Path) -> None:
    """Another writer that does not let go: the append says so after its patience, and records nothing."""
    with closing(SqliteStore(tmp_path / LOG, create=True, lock_timeout=1)) as store:
        room = make_room(store)
        before = rows_of(tmp_path / LOG)
        with locked(tmp_path / LOG), pytest.raises(StoreLocked) as refused:
            room.ledger.append(room.record())
        assert refused.value.code == "store-locked"
        assert refused.value.advice
        assert rows_of(tmp_path / LOG) == before
        room.ledger.append(room.record())
        assert audit_file(tmp_path / LOG).verdict is Verdict.VALID


def test_reading_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    """Whoever holds the write lock does not keep others from opening, reading and auditing."""
    room = make_folder(tmp_path)
    room.ledger.close()
    with locked(tmp_path / LOG):
        with Ledger.open(tmp_path, read_only=True) as ledger:
            assert len(ledger.read(0, 100)) == ledger.size
        assert audit_file(tmp_path / LOG).verdict is Verdict.VALID


def test_a_ledger_closes_while_another_holds_the_lock(tmp_path: Path) -> None:
    """A snapshot is a cache: that it cannot be written now does not keep a ledger from closing."""
    store = SqliteStore(tmp_path / LOG, create=True, lock_timeout=1)
    room = make_room(store)
    with locked(tmp_path / LOG):
        room.ledger.close()
    assert store._datastore.pool.closed


# --- full


def test_a_full_store_is_named(tmp_path: Path) -> None:
    """With no page left, an append says so and records nothing; with room again, it goes on."""
    with closing(SqliteStore(tmp_path / LOG, create=True)) as store:
        room = make_room(store)
        before = rows_of(tmp_path / LOG)
        set_page_limit(store, 1)  # SQLite takes what is in use as the least
        with pytest.raises(StoreFull) as refused:
            room.ledger.append_many(room.records(100))
        assert refused.value.code == "store-full"
        assert refused.value.advice
        assert rows_of(tmp_path / LOG) == before
        set_page_limit(store, 2**30)
        room.ledger.append_many(room.records(100))
        assert audit_file(tmp_path / LOG).verdict is Verdict.VALID


def set_page_limit(store: SqliteStore, pages: int) -> None:
    """SQLite's own limit, which holds for a connection: there is one as long as one thread uses the store."""
    with store._datastore.get_connection(commit=True) as connection:
        connection.cursor().execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """On a real file system without room: a typed error, nothing of the call, and on it goes once there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only the superuser may mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        make_folder(disk / "room").ledger.close()
        worker = Worker("fill", disk / "room", 8)
        worker.wait_ready()
        worker.go()
        code, size, again, done = worker.finish()[-1].split()
        assert code == "store-full"
        assert int(again) == int(size)
        report = audit_file(disk / "room" / LOG)
        assert (report.verdict, report.entries) == (Verdict.VALID, int(size) + 1)
        assert (int(size) - report.entries) <= int(done)
    finally:
        subprocess.run(["umount", disk], check=True)


# --- read-only


def test_a_store_opened_for_reading_writes_nothing(tmp_path: Path) -> None:
    """Appending to it is refused, with and without keys, and the file is the same to the byte."""
    path = copy_of(tmp_path)
    with Ledger.open(tmp_path, read_only=True) as ledger, pytest.raises(NoSigner):
        ledger.tick()
    with Ledger.open(tmp_path, read_only=True, signers=signers()) as ledger, pytest.raises(StoreReadOnly) as refused:
        ledger.tick()
    assert refused.value.code == "store-read-only"
    assert refused.value.advice
    with Ledger.open(tmp_path, read_only=True, signers=signers()) as ledger:
        assert ledger.size == len(whole_history().entries)
    assert rows_of(path) == rows_of(copy_of(tmp_path, "other.db"))


_AS_NOBODY = """
import os, sys
from proofroom.testing.keys import key
from strategies.whole import whole_history
from strategies.rooms import signers
from proofroom.adapters.ledger import Ledger
from proofroom.domain.errors import ProofroomError
Ledger.open(sys.argv[1], read_only=True).close()  # loads what nobody may read
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    with Ledger.open(sys.argv[1], signers=signers()) as ledger:
        assert len(ledger.read()) == ledger.size
        ledger.tick()
except ProofroomError as e:
    sys.stdout.write(e.code)
"""


@pytest.mark.parametrize("folder_mode", [0o555, 0o777])
def test_a_file_that_may_not_be_written_is_named(folder_mode: int) -> None:
    """Without the right to write the file, or the folder that the write-ahead log needs: read-only, says the error."""
    folder = Path(subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip())
    try:
        path = copy_of(folder)
        path.chmod(0o444)
        folder.chmod(folder_mode)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, folder], cwd=TESTS, capture_output=True, text=True, check=False
        )
        assert done.stdout == "store-read-only", done.stderr
        folder.chmod(0o755)
        assert rows_of(path) == rows_of(copy_of(folder, "other.db"))
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way of the folder gives a typed error."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        Ledger.create(tmp_path / "file" / "room")
    with pytest.raises(StoreUnavailable):
        Ledger.create(tmp_path / "file")


# --- what a store does after it was closed


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """Whoever uses it still gets an error of ours."""
    store = SqliteStore(tmp_path / LOG, create=True, clock=now_ms)
    make_room(store)
    following = store.read_from(0, wait_seconds=5)
    next(following)
    store.close()
    store.close()
    for use in (store.size, store.last_checkpoint, lambda: store.read(0), lambda: store.append(0, lambda _: None)):
        with pytest.raises(ProofroomError):
            use()
    with pytest.raises(ProofroomError):
        list(following)


def test_keys_are_not_in_the_log(tmp_path: Path) -> None:
    """No secret seed is in any byte of the file."""
    data = copy_of(tmp_path).read_bytes()
    for name in ("ledger", "checkpoint", "wallet", "bank"):
        seed = bytes(key(name)._signing)
        assert seed not in data
        assert seed.hex().encode() not in data


def test_many_threads_may_make_and_open_one_file(tmp_path: Path) -> None:
    """Whoever comes first to a new room, and whoever comes beside, finds a log that works: none waits for a change of journal mode."""

    def come(path: Path) -> int:
        with closing(SqliteStore(path, create=True)) as store:
            return store.size()

    with ThreadPoolExecutor(4) as pool:
        for room in range(20):
            assert [f.result() for f in [pool.submit(come, tmp_path / f"{room}.db") for _ in range(4)]] == [0] * 4
