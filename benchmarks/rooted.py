"""Bulk append of records whose three roles signed the root of a tree over 256 of them (A) against individually signed ones (B).

Both sides are :func:`benchmarks.bulk.append_all`: envelopes in JSON from a file, the same rounds, the same number of processes. Each record
of A carries its own path three times, once for each signature, as it would if the roles had signed different trees.

The third argument is the number of verifying processes. Without any (the default of ``Ledger.open``) both sides run in one process. With
two on two cores B keeps both cores busy, while A, where little is left to verify, waits for the one process that applies and writes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bulk import ERA, EVERY_MS, append_all
from benchmarks.compare import compare
from benchmarks.room import START_MS, build, cast_of, grant_of
from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.ledger import Ledger
from proofroom.domain.envelope import sign, sign_rooted
from proofroom.domain.statements.activity import Activity
from proofroom.testing.clocks import Clock

BATCH = 4_096


def statements(cast: Cast, ledger: Ledger, clock: Clock, first: int, end: int) -> Iterator[Activity]:
    """Records of one node, so that all have the same three signers."""
    grant = grant_of(ledger, cast)
    for i in range(first, end):
        clock.ms += EVERY_MS
        yield cast.record(grant, i // ERA, Work(cpu_ms=i % 1000, gpu_units=0.83))


def prepare(folder: Path, records: int) -> None:
    """The room, and the same records signed in both forms."""
    clock = Clock(START_MS)
    build(folder / "room", clock)
    with (
        Ledger.open(folder / "room", clock=clock) as ledger,
        (folder / "records.jsonl").open("wb") as direct,
        (folder / "rooted.jsonl").open("wb") as rooted,
    ):
        cast = cast_of(ledger, folder / "room")
        signers = (cast.derived, cast.orchestrator, cast.runtimes[0])
        for first in range(0, records, BATCH):
            batch = list(statements(cast, ledger, clock, first, min(first + BATCH, records)))
            direct.writelines(sign(statement, *signers).to_json() + b"\n" for statement in batch)
            rooted.writelines(envelope.to_json() + b"\n" for envelope in sign_rooted(batch, *signers))


def main(records: int = 100_000, runs: int = 5, workers: int = 0) -> None:
    """Print the figure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, records)
        print(
            compare(
                f"bulk append of {records:,} rooted records, {workers} workers, against individually signed ones",
                __spec__.name,
                ("rooted", folder, records, workers),
                ("records", folder, records, workers),
                goal=2.0,
                per=records,
                runs=runs,
            )
        )


if __name__ == "__main__":
    match sys.argv[1:]:
        case [("rooted" | "records") as form, folder, records, workers]:
            append_all(Path(folder), int(records), form, int(workers))
        case rest:
            main(*map(int, rest))
