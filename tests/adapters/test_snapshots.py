"""Published copies are whole, sealed, and of one moment; another process reads them while the log grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from proofroom.adapters.projector import root_at
from proofroom.adapters.snapshots import _name, publish
from proofroom.adapters.views import ProjectionStopped
from proofroom.domain.errors import StoreReadOnly, StoreUnavailable
from proofroom.projections import PROJECTIONS
from proofroom.testing.histories import History, store_of
from proofroom.testing.keys import key
from strategies.rooms import Spoiled, entries_of, forge, make_folder, soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history
from strategies.worlds import content


def test_a_copy_is_the_read_models(tmp_path: Path) -> None:
    """Tables, views, macros, comments and all, opened by plain DuckDB that may not write to it."""
    store = store_of(whole_history())
    made = publish(store, tmp_path / "out")
    assert (made.made, made.position, made.root) == (True, store.size(), root_at(store, store.size()))
    views = fresh_views()
    views.project(store)
    found = content(views)
    with duckdb.connect(tmp_path / "out" / "latest" / "views.duckdb", read_only=True) as connection:
        for name, rows in found.items():
            assert connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() == rows, name
        assert connection.execute("FROM balances(30)").fetchall()
        with pytest.raises(duckdb.Error):
            connection.execute("DELETE FROM log")
    manifest = json.loads((tmp_path / "out" / "latest" / "snapshot.json").read_text())
    assert manifest["checkpoint"] == store.last_checkpoint()[1]  # type: ignore[index]
    assert {name: t["rows"] for name, t in manifest["tables"].items()} == {
        t.name: len(found[t.name]) for p in PROJECTIONS for t in p.tables
    }
    assert all(path.stat().st_mode & 0o222 == 0 for path in made.path.rglob("*") if path.is_file())
    assert {path.name for path in made.path.iterdir()} == {"views.duckdb", "parquet", "snapshot.json"}
    views.close()


def test_parquet_by_era_and_cluster(tmp_path: Path) -> None:
    """Every table reads back with the same rows, amounts exact; records lie in folders by era and cluster."""
    history = History(seed="large")
    history.write(history.cast.found_cluster(), history.cast.deposit(key("rich").keyid, 10**36 - 1))
    whole, large = store_of(whole_history()), store_of(history)
    for store, made in ((s, publish(s, tmp_path)) for s in (whole, large)):
        views = fresh_views()
        views.project(store)
        found, connection = content(views), duckdb.connect()
        for table in (t for p in PROJECTIONS for t in p.tables):
            files = f"read_parquet('{made.path}/parquet/{table.name}/**/*.parquet', hive_partitioning = false)"
            assert connection.execute(f"FROM {files} ORDER BY ALL").fetchall() == found[table.name], table.name
        views.close()
        connection.close()
    amounts = pq.read_table(tmp_path / "latest" / "parquet" / "deposits")["amount"]
    assert str(amounts.type) == "decimal128(38, 0)"
    assert 10**36 - 1 in amounts.to_pylist()
    made = publish(whole, tmp_path)
    parts = sorted(str(p.relative_to(made.path)) for p in (made.path / "parquet" / "records").glob("*/*"))
    assert parts == [f"parquet/records/era={era}/cluster=dragon-1" for era in (0, 1, 4)]


def test_from_the_last_copy_or_anew_is_the_same(tmp_path: Path) -> None:
    """A copy goes on from the one before; with the log unchanged there is nothing to make; old ones go by the rule."""
    entries = entries_of(whole_history())
    sizes = (20, 60, 61, len(entries))
    copies = [publish(forge(entries[:size]), tmp_path, keep=2, parquet=False) for size in sizes]
    assert all(copy.made for copy in copies)
    assert [int(copy.path.name.partition("-")[0]) for copy in copies] == list(sizes)
    made = copies[-1]
    assert len([p for p in tmp_path.iterdir() if not p.is_symlink()]) == 2
    assert (tmp_path / "latest").resolve() == made.path
    again = publish(forge(entries), tmp_path, keep=2, parquet=False)
    assert (again.made, again.path, again.removed) == (False, made.path, [])
    anew = publish(forge(entries), tmp_path, keep=1, parquet=False, anew=True)
    assert (anew.made, anew.path, len(anew.removed)) == (True, made.path, 1)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_copy_follows_a_log_that_was_cut_short(tmp_path: Path) -> None:
    """And one that an intruder altered is mended by making it anew."""
    entries = entries_of(whole_history())
    publish(forge(entries), tmp_path, parquet=False)
    made = publish(forge(entries[:30]), tmp_path, parquet=False)
    file = tmp_path / "latest" / "views.duckdb"
    with duckdb.connect(file, read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM log").fetchall() == [(30,)]
    file.chmod(0o644)
    with duckdb.connect(file) as connection:
        connection.execute("DELETE FROM log WHERE entry_index = 3")
    assert publish(forge(entries[:30]), tmp_path, parquet=False, anew=True).path == made.path
    with duckdb.connect(tmp_path / "latest" / "views.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM log").fetchall() == [(30,)]


def test_nothing_is_published_that_is_not_whole(tmp_path: Path) -> None:
    """A projection that stopped leaves the last good copy where it is."""
    good, kinds = store_of(whole_history()), [e.statement.kind for e in whole_history().entries]
    made = publish(forge(entries_of(whole_history())[:9]), tmp_path, parquet=False)
    with pytest.raises(ProjectionStopped):
        publish(Spoiled(good, kinds.index("payout")), tmp_path, parquet=False)
    assert (tmp_path / "latest").resolve() == made.path
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([made.path.name, "latest"])


READER = """
import select, sys, duckdb
def newest(tries=100):
    try:
        return duckdb.connect(sys.argv[1] + "/latest/views.duckdb", read_only=True)
    except duckdb.IOException:  # removed between its name and its opening: there is a newer one
        return newest(tries - 1)
def look():
    with newest() as c:
        positions = c.execute("SELECT DISTINCT position FROM projections").fetchall()
        ((position,),) = positions
        ((count, last),) = c.execute("SELECT count(*), max(entry_index) + 1 FROM log").fetchall()
        assert count == last == position, (count, last, position)
        assert c.execute("SELECT entry_index FROM journal GROUP BY 1 HAVING sum(amount) <> 0").fetchall() == []
        ((records, ranks, logged),) = c.execute(
            "SELECT (SELECT count(*) FROM records), (SELECT count(DISTINCT (era, orchestrator, rank)) FROM records), "
            "(SELECT count(*) FROM log WHERE kind = 'activity')").fetchall()
        assert records == ranks == logged
        print(position, flush=True)
if sys.argv[2] == "when asked":
    for line in sys.stdin:
        look()
else:
    while not select.select([sys.stdin], [], [], 0)[0]:
        look()
    look()
"""


def test_a_place_where_nothing_can_be_made_is_told_without_numbers(tmp_path: Path) -> None:
    """What the system says is an error of ours: of a folder below a file, and of one that admits no writes (to all but root)."""
    closed, file = tmp_path / "closed", tmp_path / "file"
    closed.mkdir(mode=0o555)
    file.touch()
    with pytest.raises(StoreUnavailable, match=r"out: Not a directory$"):
        publish(store_of(whole_history()), file / "out")
    if not os.access(closed, os.W_OK):
        with pytest.raises(StoreReadOnly, match=r"out: Permission denied$"):
            publish(store_of(whole_history()), closed / "out")


def test_another_process_reads_while_the_log_grows(tmp_path: Path) -> None:
    """It opens the newest copy again and again while copies are made: whole states, each later than the last."""
    entries = entries_of(whole_history())
    publish(forge(entries[:5]), tmp_path, keep=1, parquet=False)
    command = [sys.executable, "-c", READER, str(tmp_path), "when asked"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    for size in range(15, len(entries), soak(60, 10)):
        process.stdin.write("look\nlook\n")  # it looks while the next one is made
        process.stdin.flush()
        publish(forge(entries[:size]), tmp_path, keep=1, parquet=False)
    out, _ = process.communicate("look\n")
    assert process.returncode == 0
    seen = [int(line) for line in out.split()]
    assert seen == sorted(seen)
    assert len(seen) > len(set(seen)) > 2


def test_another_process_reads_all_through_a_bulk_load(tmp_path: Path) -> None:
    """Records stream in, copies are made one after the other, and it looks as often as it can: never at half of anything."""
    room, copies = make_folder(tmp_path / "room"), tmp_path / "copies"
    publish(room.ledger.store, copies, parquet=False)
    command = [sys.executable, "-c", READER, str(copies), "all the time"]
    records = room.records(soak(200, 20_000))
    loading = threading.Thread(target=lambda: list(room.ledger.append_stream(iter(records))))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        loading.start()
        while loading.is_alive():
            publish(room.ledger.store, copies, parquet=False)
        loading.join()
        publish(room.ledger.store, copies, parquet=False)
        out, _ = process.communicate("")
    size = room.ledger.size
    room.ledger.close()
    assert process.returncode == 0
    seen = [int(line) for line in out.split()]
    assert seen == sorted(seen)
    assert seen[-1] == size


def test_a_copy_is_not_taken_away_for_one_that_cannot_be_named(tmp_path: Path) -> None:
    """Where the new one fails to get the name, the old one has it again."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "old").touch()
    with pytest.raises(FileNotFoundError):
        _name(tmp_path / "no draft", tmp_path / "copy")
    assert [path.name for path in tmp_path.rglob("*")] == ["copy", "old"]
