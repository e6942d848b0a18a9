"""Projection of a log into its read models (A) against Arrow inserts of the very same rows into bare tables (B), with the same batch size
and a commit for each batch.

A reads the store, names each statement by its digest, and has DuckDB decode the JSON. B has finished Arrow tables in memory (read from
Parquet before the clock starts) and only inserts: tables without constraints, the position beside them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from benchmarks.compare import Figure, compare, measure
from benchmarks.room import attest, build, cast_of, grant_of
from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.views import PAGE, Views
from proofroom.domain import hashing, ids
from proofroom.domain.envelope import Envelope, Verified, _mint, sign
from proofroom.domain.statements import parse

RECORDS = 100_000
BATCH = 10_000
ROWS = ("log", "records")
"""The tables that take a row for each record; the others have some dozens."""


def stamped(cast: Cast, ledger: Ledger, count: int) -> Iterator[Verified]:
    """Records that differ in ids, results and usage, stamped from one template and not signed anew: a projection looks at no signature."""
    record = cast.record(grant_of(ledger, cast), 0, Work(cpu_ms=123_456, gpu_units=0.83))
    envelope = sign(record, cast.derived, cast.orchestrator, cast.runtimes[0])
    for i in range(count):
        fresh = ids.record_id(cast.clock(), cast.randomness(10))
        result = hashing.tagged(cast.randomness(32))
        payload = envelope.payload.replace(record.record_id.encode(), fresh.encode())
        payload = payload.replace(record.result_hash.encode(), result.encode()).replace(
            b'"cpu_ms":123456', b'"cpu_ms":%d' % (i % 9999)
        )
        yield _mint(
            Envelope(envelope.payload_type, payload, envelope.signatures), parse(envelope.payload_type, payload)
        )


def prepare(folder: Path, records: int) -> None:
    """The log, and its rows as Parquet."""
    build(folder)
    with Ledger.open(folder) as ledger:
        cast = cast_of(ledger, folder)
        for _ in range(0, records, BATCH):
            for _ in ledger.append_stream(stamped(cast, ledger, BATCH)):
                pass
            attest(ledger, cast, 0)
        for name in ROWS:
            rows = ledger.sql(f"SELECT * FROM {name} ORDER BY entry_index").to_arrow_table()
            pq.write_table(rows, folder / f"{name}.parquet")


def project(folder: Path) -> None:
    """Side A: into a new file."""
    store = SqliteStore(folder / LOG, read_only=True)
    views = Views(Path(tempfile.mkdtemp(dir=folder)) / "views.duckdb")
    measure(lambda: views.project(store))
    views.close()
    store.close()


def insert(folder: Path) -> None:
    """Side B: into a new file."""
    rows = {name: pq.read_table(folder / f"{name}.parquet") for name in ROWS}
    connection = duckdb.connect(Path(tempfile.mkdtemp(dir=folder)) / "bare.duckdb")
    connection.execute("CREATE TABLE position (value BIGINT)")
    connection.execute("INSERT INTO position VALUES (0)")
    for name, table in rows.items():
        connection.register("shape", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM shape LIMIT 0")
    connection.unregister("shape")

    def work() -> None:
        for start in range(0, rows["log"].num_rows, PAGE):
            connection.begin()
            for name, table in rows.items():
                connection.register("page", table.slice(start, PAGE))
                connection.execute(f"INSERT INTO {name} SELECT * FROM page")
            connection.execute("UPDATE position SET value = ?", [start + PAGE])
            connection.commit()

    measure(work)
    connection.close()


def run(records: int = RECORDS, runs: int = 5) -> Figure:
    """Both sides in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "room"
        subprocess.run([sys.executable, "-m", __spec__.name, "prepare", folder, str(records)], check=True)
        return compare(
            f"projection of {records:,} records in batches of {PAGE:,}, against Arrow inserts of the same rows",
            __spec__.name,
            ("project", folder),
            ("insert", folder),
            goal=0.4,
            per=records,
            runs=runs,
        )


def main(records: int = RECORDS, runs: int = 5) -> None:
    """Print the figure."""
    print(run(records, runs))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare", folder, records]:
            prepare(Path(folder), int(records))
        case ["project", folder]:
            project(Path(folder))
        case ["insert", folder]:
            insert(Path(folder))
        case rest:
            main(*map(int, rest))
