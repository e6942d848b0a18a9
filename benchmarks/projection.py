"""Projection of a log into its read models (A) against Arrow inserts of the very same rows into bare tables (B), with the same batch size
and a commit for each batch.

A reads the store, names each statement by its digest, and has DuckDB decode the JSON. B has each page as a finished Arrow table in memory
(read from Parquet while its clock stands still) and only inserts: tables without constraints, the position beside them.

The ledger is that of the ``opening`` benchmark, made once and kept in ``build/bench``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import zip_longest
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.compare import Figure, compare, measure, print_sample
from benchmarks.opening import ENTRIES, prepare
from proofroom.adapters.ledger import LOG
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.views import PAGE, Views

ROWS = ("log", "records")
"""The tables that take a row for each record; the others have some dozens for each batch."""


def export(folder: Path) -> None:
    """The rows as Parquet, unless they are there."""
    if (folder / f"{ROWS[-1]}.parquet").exists():
        return
    store, views = SqliteStore(folder / LOG, read_only=True), Views(folder / "rows.duckdb")
    views.project(store)
    for name in ROWS:
        reader = views.sql(f"SELECT * FROM {name} ORDER BY entry_index").to_arrow_reader(PAGE)
        part = folder / f"{name}.part"
        with pq.ParquetWriter(part, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
        part.rename(folder / f"{name}.parquet")
    views.close()
    store.close()
    (folder / "rows.duckdb").unlink()


def project(folder: Path, file: Path) -> None:
    """Side A: into a new file."""
    store, views = SqliteStore(folder / LOG, read_only=True), Views(file)
    measure(lambda: views.project(store))
    views.close()
    store.close()


def insert(folder: Path, file: Path) -> None:
    """Side B: into a new file. Each page is read before its clock starts, so that memory holds no more than one of each table."""
    connection = duckdb.connect(file)
    connection.execute("CREATE TABLE position (value BIGINT)")
    connection.execute("INSERT INTO position VALUES (0)")
    rows = {name: pq.ParquetFile(folder / f"{name}.parquet") for name in ROWS}
    for name, parquet in rows.items():
        connection.register("shape", parquet.schema_arrow.empty_table())
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM shape")
    connection.unregister("shape")

    seconds = cpu_seconds = 0.0
    for number, pages in enumerate(zip_longest(*(parquet.iter_batches(PAGE) for parquet in rows.values())), 1):
        tables = {name: pa.Table.from_batches([page]) for name, page in zip(rows, pages, strict=True) if page}
        began, worked = time.perf_counter(), time.process_time()
        connection.begin()
        for name, table in tables.items():
            connection.register("page", table)
            connection.execute(f"INSERT INTO {name} SELECT * FROM page")
        connection.execute("UPDATE position SET value = ?", [number * PAGE])
        connection.commit()
        seconds += time.perf_counter() - began
        cpu_seconds += time.process_time() - worked
    print_sample(seconds, cpu_seconds)
    connection.close()


def run(entries: int = ENTRIES, runs: int = 5) -> Figure:
    """Both sides in turn, each into a file of its own."""
    folder = Path("build/bench") / f"opening-{entries}"
    prepare(folder, entries)
    export(folder)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        return compare(
            f"projection of {entries:,} entries in batches of {PAGE:,}, against Arrow inserts of the same rows",
            __spec__.name,
            ("project", folder, name),
            ("insert", folder, name),
            goal=0.4,
            per=entries,
            runs=runs,
        )


def main(entries: int = ENTRIES, runs: int = 5) -> None:
    """Print the figure."""
    print(run(entries, runs))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [("project" | "insert") as side, folder, name]:
            file = Path(name) / f"{side}.duckdb"
            (project if side == "project" else insert)(Path(folder), file)
            file.unlink()
        case rest:
            main(*map(int, rest))
