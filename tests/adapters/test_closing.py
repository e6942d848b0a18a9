"""A ledger that is closed: nothing of it lingers, whoever uses it just then, and it says that it is."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from proofroom.adapters.ledger import LOG, Ledger
from proofroom.domain.errors import (
    Closed,
    ProofroomError,
)
from strategies.rooms import (
    TESTS,
    Room,
    make_folder,
)


def test_nothing_lingers_after_a_close(tmp_path: Path) -> None:
    """No thread and no open file stays behind, and the files can be deleted."""
    descriptors = Path("/proc/self/fd")
    make_folder(tmp_path).ledger.close()
    gc.collect()
    before = (len(list(descriptors.iterdir())) if descriptors.exists() else 0, threading.active_count())
    room = Room(Ledger.open(tmp_path), lambda: time.time_ns() // 10**6, seed="lingers")
    with room.ledger:
        assert len(list(room.ledger.append_stream(room.records(200)))) == 200
        with ThreadPoolExecutor(4) as pool:
            assert len(list(pool.map(room.ledger.receipt, range(20)))) == 20
        assert next(room.ledger.follow()).index == 0
    room.ledger.close()
    after = (len(list(descriptors.iterdir())) if descriptors.exists() else 0, threading.active_count())
    # What another test left to end may have ended.
    assert all(now <= then for now, then in zip(after, before, strict=True))
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(("-wal", "-shm"))]
    (tmp_path / LOG).unlink()


_CLOSE_WHILE_READ = """
import sys, threading, time
from pathlib import Path
from strategies.rooms import make_folder
from proofroom.adapters.ledger import Ledger
from proofroom.domain.errors import ProofroomError

def read(ledger):
    try:
        while True:
            ledger.read(0, 100)
            ledger.receipt(3)
    except ProofroomError:
        pass

make_folder(Path(sys.argv[1])).ledger.close()
for _ in range(15):
    ledger = Ledger.open(sys.argv[1])
    threads = [threading.Thread(target=read, args=(ledger,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    ledger.close()
    for thread in threads:
        thread.join()
sys.stdout.write("well")
"""


def test_closing_while_other_threads_read_is_safe(tmp_path: Path) -> None:
    """They get a typed error; the process lives (SQLite crashes when a connection is closed under a thread that uses it)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _CLOSE_WHILE_READ, tmp_path],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "well", "")


def test_closing_waits_for_queries_of_other_threads(tmp_path: Path) -> None:
    """All of it is closed then, and whoever asks learns that it is (DuckDB closes nothing that is in use, and says so)."""
    make_folder(tmp_path).ledger.close()

    def ask(ledger: Ledger) -> ProofroomError:
        while True:
            try:
                with contextlib.suppress(duckdb.Error):  # of a relation that was given out
                    ledger.sql("SELECT count(*) FROM log").fetchall()
            except ProofroomError as e:
                return e

    for _ in range(2):
        ledger = Ledger.open(tmp_path)
        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask, ledger) for _ in range(2)]
            ledger.sql("SELECT 1").fetchall()
            ledger.close()
            assert {type(asked.result()) for asked in asking} == {Closed}
        with pytest.raises(Closed):
            ledger.store.size()


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    """Every use of it but its last known state is refused."""
    room = make_folder(tmp_path)
    ledger, record = room.ledger, room.record()
    following = ledger.follow(wait_seconds=5)
    next(following)
    ledger.close()
    ledger.close()
    uses: list[Callable[[], object]] = [
        lambda: ledger.append(record),
        lambda: ledger.append_many([record]),
        lambda: list(ledger.append_stream([record])),
        ledger.tick,
        ledger.refresh,
        ledger.read,
        lambda: ledger.entry(0),
        lambda: ledger.receipt(0),
        ledger.checkpoint,
        lambda: list(ledger.follow()),
        lambda: ledger.grant_status(room.cast.user.keyid, room.cast.agent.keyid),
        lambda: list(following),
    ]
    for use in uses:
        with pytest.raises(Closed):
            use()
    assert ledger.size == ledger.state.size


def test_the_context_manager_closes_also_after_an_error(tmp_path: Path) -> None:
    """What is raised inside passes through."""
    with pytest.raises(KeyError), Ledger.create(tmp_path) as ledger:
        raise KeyError
    with pytest.raises(Closed):
        ledger.tick()
