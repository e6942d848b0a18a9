"""The audit of records with three signatures (A) against bare PyNaCl verification of those signatures (B), same workers.

A reads the log of a room, in which each 10,000 records were attested and each 20,000 settled, and checks all of it. B has keys, messages
and signatures in memory and only verifies. Then how long an audit takes that goes on from one of nine tenths of the log.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import closing
from itertools import islice
from pathlib import Path

from benchmarks.bulk import ERA, append_era, in_time, prepare
from benchmarks.compare import compare, measure, run_side
from benchmarks.room import START_MS, cast_of
from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.testing.clocks import Clock

WORKERS = os.cpu_count() or 2


def fill(folder: Path, records: int) -> None:
    """Record what was prepared; at nine tenths of it an auditor comes by."""
    room, clock = folder / "room", Clock(START_MS)
    with Ledger.open(room, workers=WORKERS, clock=clock) as ledger, (folder / "records.jsonl").open("rb") as lines:
        cast = cast_of(ledger, room)
        for era, first in enumerate(range(0, records, ERA)):
            if era:
                ledger.append(cast.close_era(era - 1))
                ledger.append(cast.open_era(era))
            some, count = in_time(lines, clock), min(ERA, records - first)
            early = max(0, min(count, records * 9 // 10 - first))
            append_era(ledger, cast, era, islice(some, early))
            if 0 < early < count or first + count == records * 9 // 10:
                audit(ledger.store, resume=folder / "progress", workers=WORKERS)
            append_era(ledger, cast, era, islice(some, count - early))


def audit_all(room: Path, progress: Path | None = None) -> None:
    """Side A."""
    with closing(SqliteStore(room / LOG, read_only=True)) as store:

        def work() -> None:
            assert audit(store, workers=WORKERS, resume=progress).verdict is Verdict.VALID

        measure(work)


def main(records: int = 200_000, runs: int = 5) -> None:
    """Print both figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, records)
        fill(folder, records)
        figure = compare(
            f"audit of {records:,} records, {WORKERS} workers, against bare PyNaCl verification",
            __spec__.name,
            ("audit", folder / "room"),
            ("verify", folder, records),
            goal=0.8,
            per=records,
            runs=runs,
        )
        print(figure)
        rest = run_side(__spec__.name, "audit", folder / "room", folder / "progress")
        print(f"  from an audit of nine tenths of it: {rest.seconds / figure.a[-1].seconds:.2f} of the time")


if __name__ == "__main__":
    from benchmarks.bulk import verify_all

    match sys.argv[1:]:
        case ["audit", room, *progress]:
            audit_all(Path(room), *map(Path, progress))
        case ["verify", folder, records]:
            verify_all(Path(folder), int(records), WORKERS)
        case rest:
            main(*map(int, rest))
