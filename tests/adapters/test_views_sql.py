"""Read models asked in SQL: what may be asked, of which moment, and that asking changes nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from proofroom.adapters.schema import open_tables
from proofroom.adapters.stores import MemoryStore
from proofroom.adapters.views import Views
from proofroom.domain.errors import (
    Closed,
    NoSuchEntry,
    QueryFailed,
)
from proofroom.domain.ids import KeyId
from proofroom.testing.histories import store_of
from strategies.rooms import entries_of, forge
from strategies.viewing import fresh_views
from strategies.whole import whole_history
from strategies.worlds import content

Content = dict[str, list[tuple[Any, ...]]]


def test_once_made_they_are_optimised_and_locked() -> None:
    """Their making is neither; a query is both, from the first on."""
    views = Views(None)
    settings = "SELECT current_setting('lock_configuration'), current_setting('enable_external_access')"
    assert views.sql(settings).fetchall() == [(True, False)]
    views.close()
    with duckdb.connect() as connection:
        connection.begin()
        open_tables(connection, "here")
        ((_, plan),) = connection.execute("EXPLAIN SELECT 1 WHERE 1 = 0").fetchall()
        assert "EMPTY" in plan.upper()  # not a filter over one row


@pytest.fixture(scope="module")
def rows(whole: Views) -> Content:
    """All that they hold before anybody asks."""
    return content(whole)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM log",
        "INSERT INTO log SELECT * FROM log",
        "UPDATE log SET kind = 'x'",
        "DROP TABLE log",
        "CREATE TABLE mine AS SELECT 1",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "ALTER TABLE log ADD COLUMN x INT",
        "COPY log TO 'x.csv'",
        "EXPLAIN ANALYZE DELETE FROM log",
        "WITH gone AS (DELETE FROM log RETURNING *) SELECT * FROM gone",
        "SELECT 1; DELETE FROM log",
        "COMMIT",
        "BEGIN",
        "SET TimeZone = 'Asia/Tokyo'",
        "ATTACH 'x.duckdb'",
        "CHECKPOINT",
        "SELECT * FROM nothing",
        "SELECT * FROM query",
        "SELEC 1",
        "",
        "-- nothing",
    ],
)
def test_invalid_query_changes_nothing(whole: Views, rows: Content, query: str) -> None:
    """The read models follow the log: a user's SQL reads, and is told why when it does not."""
    with pytest.raises(QueryFailed):
        whole.sql(query).fetchall()
    assert content(whole) == rows


@pytest.mark.parametrize(
    "query",
    [
        "SELECT kind, count(*) FROM log GROUP BY kind",
        "FROM balances",
        "FROM balances(30)",
        "FROM grant_status(now())",
        "FROM grant_status('2026-03-03')",
        "FROM grant_status(TIMESTAMP '2026-03-01 10:00:00')",
        "SHOW TABLES",
        "DESCRIBE records",
        "SUMMARIZE journal",
        "EXPLAIN SELECT 1",
        "PIVOT (SELECT kind, entry_index FROM log) ON kind USING count(*)",
        "WITH x AS (SELECT 1 AS y) SELECT * FROM x",
        "VALUES (1)",
    ],
)
def test_valid_query(whole: Views, query: str) -> None:
    """What reads is let through."""
    assert whole.sql(query).fetchall()


def test_a_relation_sees_the_moment_it_was_made() -> None:
    """A relation is fetched late, refined, and used beside others while the log goes on; it changes nothing."""
    history = whole_history()
    views = Views(None)
    views.project(forge(entries_of(history)[:50]))
    relation, other = views.sql("SELECT * FROM log"), views.sql("SELECT count(*) FROM log")
    views.project(store_of(history))
    assert len(relation.fetchall()) == 50
    assert relation.filter("entry_index < 7").aggregate("count(*)").fetchall() == [(7,)]
    assert other.fetchall() == [(50,)]
    with pytest.raises(duckdb.TransactionException, match="read-only"):
        relation.create("mine")
    assert len(views.sql("SELECT * FROM log").fetchall()) == len(history.entries)
    views.close()


def test_threads_ask_while_the_log_is_taken_in() -> None:
    """Each sees whole pages only."""
    store = store_of(whole_history())
    views = fresh_views(page=20)
    seen: list[tuple[int, int]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            ((count, last),) = views.sql("SELECT count(*), coalesce(max(entry_index) + 1, 0) FROM log").fetchall()
            seen.append((count, last))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    views.project(store)
    done.set()
    for thread in threads:
        thread.join()
    assert seen
    assert all(count == last and (count % 20 == 0 or count == store.size()) for count, last in seen)
    views.close()


def test_closed_read_models_say_so(tmp_path: Path) -> None:
    """Closing twice does nothing; the file is free at once, whatever relations are still held."""
    file = tmp_path / "views.duckdb"
    views = Views(file)
    relation = views.sql("SELECT * FROM log")
    views.close()
    views.close()
    for ask in (lambda: views.sql("SELECT 1"), lambda: views.project(MemoryStore())):
        with pytest.raises(Closed):
            ask()
    with pytest.raises(duckdb.Error):
        relation.fetchall()
    code = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)


def test_grant_status_of_an_entry_that_is_not_there() -> None:
    """An index beyond the log is an error, not an absence."""
    views = Views(None)
    user = agent = KeyId("ed25519:" + "0" * 64)
    assert views.grant_status(user, agent) == "absent"
    for index in (0, -1):
        with pytest.raises(NoSuchEntry):
            views.grant_status(user, agent, index=index)
    views.close()
