"""Read models are the log's and nothing else's: however they were taken in, interrupted, or asked."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import MemoryStore, Store
from proofroom.adapters.views import ProjectionStopped, Views, ViewsLocked, ViewsTooNew
from proofroom.domain.errors import (
    HistoryChanged,
    NotALedger,
    StoreUnavailable,
)
from proofroom.projections import PROJECTIONS
from proofroom.testing.histories import History, store_of
from proofroom.testing.worlds import histories
from strategies.rooms import TESTS, Spoiled, copy_of, edit, entries_of, forge, soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history
from strategies.worlds import content

Content = dict[str, list[tuple[Any, ...]]]

EMPTY = {"queues", "unlocking"}
"""Counters of what is open."""


def rebuilt(store: Store) -> Content:
    """What one pass over a log gives."""
    views = fresh_views()
    views.project(store)
    found = content(views)
    views.close()
    return found


@lru_cache
def of_the_whole_history() -> Content:
    """What one pass over the whole history gives."""
    return rebuilt(store_of(whole_history()))


@settings(max_examples=soak(2, 200))
@given(st.data())
def test_any_split_gives_the_same_tables(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Pages of any size, a log that grows meanwhile, and restarts in between: identical to one pass over all."""
    history = data.draw(histories())
    entries = entries_of(history)
    path = tmp_path_factory.mktemp("views") / "views.duckdb"
    sizes = data.draw(st.lists(st.integers(1, len(entries)), max_size=3).map(sorted))
    last: Content = {}
    for size in [*sizes, len(entries)]:
        views = Views(path, page=data.draw(st.integers(1, 60)))
        store = forge(entries[:size])
        before = views.position
        assert views.project(store) == size - before
        assert views.position == size
        if data.draw(st.booleans()):
            assert views.project(store) == 0
        last = content(views)
        views.close()
    assert last == rebuilt(store_of(history))


@pytest.mark.parametrize("page", [7, 5_000])
def test_pages_of_the_whole_history(page: int) -> None:
    """Every kind of statement, in pages of every size."""
    store = store_of(whole_history())
    views = fresh_views(page=page)
    positions: list[int] = []
    views.project(store, positions.append)
    assert positions[-1] == store.size()
    assert all(b - a == page for a, b in itertools.pairwise(positions[:-1]))
    assert content(views) == of_the_whole_history()
    assert views.sql("SELECT count(*) FROM log").fetchall() == [(store.size(),)]
    views.close()


def test_every_kind_of_row_is_there() -> None:
    """The whole history leaves no table empty but the queues, which are those of open eras."""
    found = of_the_whole_history()
    assert {name for name, rows in found.items() if not rows} <= EMPTY


def test_log_is_the_log(whole: Views) -> None:
    """Index, time, kind and id of each entry."""
    history = whole_history()
    rows = whole.sql(
        "SELECT entry_index, recorded_at_ms, epoch_ms(recorded_at), kind, statement_id FROM log ORDER BY 1"
    )
    expected = [
        (e.index, e.recorded_at_ms, e.recorded_at_ms, e.statement.kind, e.verified.digest) for e in history.entries
    ]
    assert rows.fetchall() == expected


# --- interruptions


WORKER = """
import sys
from pathlib import Path
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.views import Views
views = Views(Path(sys.argv[2]), page=16)
print("open", flush=True)
if sys.argv[3] == "hold":
    sys.stdin.readline()
views.project(SqliteStore(sys.argv[1], read_only=True), lambda position: print(position, flush=True))
"""


def start(log: Path, file: Path, how: str) -> subprocess.Popen[str]:
    """Another process that has the read models open, and projects by sixteens."""
    command = [sys.executable, "-c", WORKER, str(log), str(file), how]
    process = subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """``kill -9``, and let go of its pipes."""
    process.kill()
    process.communicate()


def test_killed_between_or_within_pages_it_resumes(tmp_path: Path) -> None:
    """What was said to be taken in is there, whole pages and nothing else; the next one goes on."""
    log, file = copy_of(tmp_path), tmp_path / "views.duckdb"
    store = SqliteStore(log, read_only=True)
    for lines in (0, 1, 4):
        process = start(log, file, "run")
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(lines)]
        kill(process)
        views = Views(file)
        assert views.position % 16 == 0
        assert views.position >= max(said, default=0)
        prefix = forge(entries_of(whole_history())[: views.position]) if views.position else MemoryStore()
        assert content(views) == rebuilt(prefix)
        views.close()
    views = Views(file)
    views.project(store)
    assert content(views) == of_the_whole_history()
    views.close()
    store.close()


def test_locked_by_another_process(tmp_path: Path) -> None:
    """DuckDB admits one process; who comes second is told so, and may come again."""
    log, file = copy_of(tmp_path), tmp_path / "views.duckdb"
    process = start(log, file, "hold")
    try:
        with pytest.raises(ViewsLocked) as refused:
            Views(file)
        assert refused.value.code == "views-locked"
        assert "read-only" in refused.value.advice
    finally:
        kill(process)
    Views(file).close()


@pytest.mark.parametrize("page", [10, 5_000])
def test_a_poison_entry_stops_its_projection_alone(page: int) -> None:
    """It is named, by SQL too; what came before it stays, the others go on, and once it is mended all goes on."""
    good, kinds = store_of(whole_history()), [e.statement.kind for e in whole_history().entries]
    bad = kinds.index("payout")
    views = fresh_views(page=page)
    views.project(Spoiled(good, bad))
    (letter,) = views.stopped
    assert (letter.projection, letter.entry_index) == ("money", bad)
    assert "NOT NULL" in letter.why
    assert views.positions == {name: bad if name == "money" else good.size() for name in views.positions}
    assert views.position == good.size()
    query = "SELECT projection, entry_index, kind FROM dead_letters"
    assert views.sql(query).fetchall() == [("money", bad, "payout")]
    query = "SELECT status, stopped_index, lag, log_size FROM read_models WHERE projection = 'money'"
    assert views.sql(query).fetchall() == [("stopped", bad, good.size() - bad, good.size())]
    whole = dict(of_the_whole_history())
    assert views.sql("SELECT * FROM records ORDER BY ALL").fetchall() == whole["records"]
    for asked in ("payouts", "balances", "balances(7)", "balances_per_era"):
        with pytest.raises(ProjectionStopped, match="money"):
            views.sql(f"SELECT * FROM {asked}")
    with pytest.raises(ProjectionStopped):
        views.wait_for(good.size(), timeout=0)
    views.wait_for(good.size(), names=["log", "attestation"], timeout=0)
    views.project(Spoiled(good, bad))  # tried again, as it is
    assert views.stopped == [letter]
    views.project(good)
    assert views.stopped == []
    found = content(views)
    assert found.pop("log") != whole.pop("log")  # it holds the digest of the entry as it was read first
    assert found == whole
    views.close()


def test_a_gap_is_not_passed_over(tmp_path: Path) -> None:
    """A log with an entry missing is not taken in as if nothing was."""
    log = copy_of(tmp_path)
    edit(log, "DELETE FROM log WHERE log_index = 30")
    views = Views(None)
    store = SqliteStore(log, read_only=True)
    with pytest.raises(HistoryChanged, match="entry 30 is missing"):
        views.project(store)
    assert views.position == 0
    views.close()
    store.close()


# --- files that are not ours


@pytest.mark.parametrize("cut", [0, 40])
def test_a_shorter_log_is_taken_in_anew(tmp_path: Path, cut: int) -> None:
    """After a rollback of the log the read models follow it back."""
    views = Views(tmp_path / "views.duckdb")
    views.project(store_of(whole_history()))
    shorter = forge(entries_of(whole_history())[:cut]) if cut else MemoryStore()
    assert views.project(shorter) == cut
    assert content(views) == rebuilt(shorter)
    views.close()


def test_another_ledgers_log_is_taken_in_anew(tmp_path: Path) -> None:
    """As is one that went another way in the middle and came to the same last statement at the same place."""
    views = Views(tmp_path / "views.duckdb")
    views.project(store_of(whole_history()))
    other = History(seed="other", genesis={"origin": "example.org/other"})
    other.found()
    views.project(store_of(other))
    assert content(views) == rebuilt(store_of(other))
    entries = entries_of(other)
    forked = [*entries[:10], entries[11], entries[10], *entries[12:]]
    views.project(forge(forked))
    assert content(views) == rebuilt(forge(forked))
    assert content(views) != rebuilt(forge(entries))
    views.close()


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ("UPDATE file_layout SET version = 0", 0),
        ("ALTER TABLE file_layout RENAME TO read_models_of_old", None),
        ("UPDATE projections SET fingerprint = 'x' WHERE name = 'money'", len(PROJECTIONS) - 1),
        ("DELETE FROM projections WHERE name = 'money'", len(PROJECTIONS) - 1),
    ],
)
def test_an_older_version_is_made_anew(tmp_path: Path, change: str, kept: int | None) -> None:
    """With all that was in it, views and macros too."""
    file, store = tmp_path / "views.duckdb", store_of(whole_history())
    views = Views(file)
    views.project(store)
    views.close()
    with duckdb.connect(file) as connection:
        connection.execute(change)
        connection.execute("DELETE FROM journal")
        connection.execute("CREATE TABLE old_table AS SELECT 1 AS x")
        connection.execute("CREATE VIEW old_view AS SELECT * FROM old_table")
        connection.execute("CREATE MACRO old_macro(i) AS TABLE SELECT * FROM old_table WHERE x = i")
    if kept is None:
        with pytest.raises(NotALedger):
            Views(file)
        return
    views = Views(file)
    assert sum(position == store.size() for position in views.positions.values()) == kept
    assert views.positions["money"] == 0
    views.project(store)
    assert content(views) == of_the_whole_history()
    views.close()


@pytest.mark.parametrize("table", ["file_layout", "projections"])
def test_a_newer_version_is_refused(tmp_path: Path, table: str) -> None:
    """Nothing is dropped that this release does not understand."""
    file = tmp_path / "views.duckdb"
    Views(file).close()
    with duckdb.connect(file) as connection:
        connection.execute(f"UPDATE {table} SET version = version + 1")
    with pytest.raises(ViewsTooNew, match="of version 2, this release knows 1"):
        Views(file)
    with duckdb.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM log").fetchall() == [(0,)]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """Another DuckDB database, an SQLite file, a folder: none of them is touched."""
    other = tmp_path / "other.duckdb"
    with duckdb.connect(other) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS x")
    with pytest.raises(NotALedger):
        Views(other)
    with duckdb.connect(other) as connection:
        assert connection.execute("FROM mine").fetchall() == [(1,)]
    with pytest.raises(StoreUnavailable):
        Views(copy_of(tmp_path))
    with pytest.raises(StoreUnavailable):
        Views(tmp_path)


def test_why_a_file_cannot_be_opened(tmp_path: Path) -> None:
    """Another ledger of this process has it; it was cut off, and can be deleted; it is none, and a pipe is not waited for."""
    path = tmp_path / "views.duckdb"
    with closing(Views(path)), pytest.raises(ViewsLocked, match="another ledger of this process"):
        Views(path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(NotALedger, match="can be deleted"):
        Views(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(NotALedger, match="no file"):
        Views(path)
