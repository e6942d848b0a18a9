"""A rebuild finds what is there (``tests/properties/test_histories.py``); what it finds otherwise it mends, at once for whoever asks."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import IO

import duckdb
import pytest

from proofroom.adapters.rebuild import compare, content_of, rebuild
from proofroom.adapters.views import ProjectionStopped, Views
from proofroom.domain.errors import BadInput
from proofroom.testing.histories import store_of
from strategies.rooms import Spoiled, entries_of, forge, soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history
from strategies.worlds import content

CHANGES = [
    "UPDATE journal SET amount = amount + 1 WHERE entry_index = (SELECT min(entry_index) FROM journal)",
    "DELETE FROM deposits WHERE entry_index = (SELECT max(entry_index) FROM deposits)",
    "INSERT INTO payouts SELECT * FROM payouts LIMIT 1",
    "UPDATE payouts SET customer = NULL WHERE entry_index = (SELECT min(entry_index) FROM payouts)",
]


@pytest.mark.parametrize("change", CHANGES[:: soak(2, 1)])
def test_an_altered_table_is_found_and_mended(tmp_path: Path, change: str) -> None:
    """One amount, one row more, one less, one null: named by its table, and put right in one transaction."""
    file, store = tmp_path / "views.duckdb", store_of(whole_history())
    views = Views(file)
    views.project(store)
    whole = content(views)
    views.close()
    with duckdb.connect(file) as connection:
        connection.execute(change)
    if change == CHANGES[0]:
        before = file.read_bytes()
        assert [c.table for c in compare(file, store) if not c.equal] == ["journal"]
        assert file.read_bytes() == before  # to compare is not to mend
    views = Views(file)
    old = views.sql("SELECT * FROM journal ORDER BY ALL")
    altered = content(views)
    assert altered != whole
    found = rebuild(views, store, ["money"])
    assert [c.table for c in found if not c.equal] == [change.replace("FROM ", "").replace("INTO ", "").split()[1]]
    assert content(views) == whole
    assert old.fetchall() == altered["journal"]  # who asked before is answered from before
    assert views.project(store) == 0
    views.close()
    assert sorted(tmp_path.iterdir()) == [file]


ANOTHER_PROCESS = """
import duckdb, sys
try:
    duckdb.connect(sys.argv[1]).close()
except duckdb.IOException as e:
    print("locked" if "lock" in str(e) else e)
"""


def test_nobody_writes_what_is_being_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison is of one moment: between the file and the write-ahead log beside it no other process gets at either."""
    file, store = tmp_path / "views.duckdb", store_of(whole_history())
    with closing(Views(file)) as views:
        views.project(store)
    with duckdb.connect(file) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute(CHANGES[0])
    copy, found = shutil.copyfileobj, list[str]()

    def copied(source: IO[bytes], target: IO[bytes]) -> None:
        another = [sys.executable, "-c", ANOTHER_PROCESS, str(file)]
        found.append(subprocess.run(another, capture_output=True, text=True, check=True).stdout)
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfileobj", copied)
    assert [c.table for c in compare(file, store) if not c.equal] == ["journal"]
    assert found == ["locked\n", "locked\n"]


def test_who_asks_meanwhile_sees_whole_tables(tmp_path: Path) -> None:
    """Through exchanges of a table that differs each time."""
    store = store_of(whole_history())
    views = Views(tmp_path / "views.duckdb")
    views.project(store)
    counts, done = set[int](), threading.Event()
    ((right,),) = views.sql("SELECT count(*) FROM journal").fetchall()

    def ask() -> None:
        while not done.is_set():
            counts.update(n for (n,) in views.sql("SELECT count(*) FROM journal").fetchall())

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(soak(2, 10)):
        with views.held() as connection:
            connection.execute("INSERT INTO journal SELECT * FROM journal LIMIT 5")
        assert [c.table for c in rebuild(views, store, ["money"]) if not c.equal] == ["journal"]
    done.set()
    thread.join()
    assert counts <= {right, right + 5}
    views.close()


def test_a_stopped_projection_is_rebuilt() -> None:
    """With a log that it can take in it goes on; with one that it cannot, what is there stays."""
    good, kinds = store_of(whole_history()), [e.statement.kind for e in whole_history().entries]
    bad = Spoiled(good, kinds.index("payout"))
    views = fresh_views()
    views.project(bad)
    with pytest.raises(ProjectionStopped):
        rebuild(views, bad)
    assert [letter.projection for letter in views.stopped] == ["money"]
    rebuild(views, good)
    assert views.stopped == []
    whole = fresh_views()
    whole.project(good)
    assert content(views) == content(whole)
    views.close()
    whole.close()


def test_a_log_that_grew_is_taken_in_on_both_sides() -> None:
    """The comparison is of one moment."""
    views = fresh_views()
    views.project(forge(entries_of(whole_history())[:40]))
    assert all(c.equal for c in rebuild(views, store_of(whole_history()), ["activity", "log"]))
    assert views.positions["activity"] == len(whole_history().entries)
    assert views.positions["money"] == 40
    views.close()


def test_no_projection_of_this_name() -> None:
    """The ones that there are are named."""
    views = fresh_views()
    with pytest.raises(BadInput, match="attestation"):
        rebuild(views, store_of(whole_history()), ["monies"])
    views.close()


def test_content_is_told_apart() -> None:
    """Null from text, one row from two, values between columns; the order of rows does not matter."""
    connection = duckdb.connect()
    contents = set()
    for rows in ("(NULL, 'a')", "('NULL', 'a')", "('a', NULL)", "('a', 'b')", "('ab', '')", "('a', 'b'), ('a', 'b')"):
        connection.execute(f"CREATE OR REPLACE TABLE t AS SELECT * FROM (VALUES {rows}) v(x, y)")
        contents.add(content_of(connection, "t"))
    assert len(contents) == 6
    connection.execute("CREATE OR REPLACE TABLE t AS SELECT i AS x FROM range(1000) r(i)")
    connection.execute("CREATE OR REPLACE TABLE u AS SELECT i AS x FROM range(1000) r(i) ORDER BY i DESC")
    assert content_of(connection, "t") == content_of(connection, "u")
    connection.close()
