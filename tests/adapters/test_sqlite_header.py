"""Looking at a log's file beside SQLite takes no lock from it, whatever else this process does with the same log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from proofroom.adapters import sqlite_header
from proofroom.adapters.ledger import LOG
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.errors import NotALedger
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS
from proofroom.testing.hosting import ledger_in
from strategies.rooms import audit_file

ANOTHER_PROCESS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM log").fetchone()[0])
connection.close()
"""


def size_elsewhere(log: Path) -> int:
    """How many entries another process sees, which takes itself for the last to close the log where nobody holds a lock on it."""
    done = subprocess.run([sys.executable, "-c", ANOTHER_PROCESS, str(log)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def refused(room: Path) -> None:
    """Opened as what it is not."""
    with pytest.raises(NotALedger):
        SqliteStore(room)


BESIDES: dict[str, Callable[[Path], object]] = {
    "opened once more": lambda room: ledger_in(room, Clock(START_MS)).close(),
    "audited": lambda room: audit_file(room / LOG),
    "a mistake": refused,
}


@pytest.mark.parametrize("besides", BESIDES)
def test_what_is_acknowledged_is_seen_by_all(tmp_path: Path, besides: str) -> None:
    """A ledger that is open goes on writing to the log that others read: its write-ahead log is not taken from under it."""
    room = tmp_path / "room"
    with ledger_in(room, Clock(START_MS)) as ledger:
        BESIDES[besides](room)
        assert size_elsewhere(room / LOG) == ledger.size
        ledger.tick()
        assert size_elsewhere(room / LOG) == ledger.size


@pytest.fixture
def taken() -> Callable[[], list[sqlite_header._Held]]:
    """What was taken since, beside the logs that other tests of this process keep open."""
    before = set(sqlite_header._held)
    return lambda: [held for file, held in sqlite_header._held.items() if file not in before]


def test_a_file_is_let_go_with_its_last_store(tmp_path: Path, taken: Callable[[], list[sqlite_header._Held]]) -> None:
    """However many there are, in any order, and when closed twice: one descriptor, and none in the end."""
    path = tmp_path / LOG
    with closing(SqliteStore(path, create=True)) as first:
        others = [SqliteStore(path, read_only=bool(i % 2)) for i in range(5)]
        assert [len(held.descriptors) for held in taken()] == [1]
        for store in others:
            store.close()
            store.close()
        assert first.size() == 0
        assert [held.stores for held in taken()] == [1]
    assert taken() == []


def test_a_log_in_the_place_of_another_is_another(
    tmp_path: Path, taken: Callable[[], list[sqlite_header._Held]]
) -> None:
    """A store that is opened after a restore looks at what lies there now."""
    path = tmp_path / LOG
    with closing(SqliteStore(path, create=True)):
        path.rename(tmp_path / "old.db")
        path.write_bytes(b"something else")
        with pytest.raises(NotALedger, match="not an SQLite file"):
            SqliteStore(path)
    assert taken() == []


def test_what_is_no_file_is_no_ledger(tmp_path: Path) -> None:
    """A pipe is not waited for."""
    os.mkfifo(tmp_path / LOG)
    with pytest.raises(NotALedger, match="no file"):
        SqliteStore(tmp_path / LOG)
