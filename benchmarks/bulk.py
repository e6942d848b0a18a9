"""Bulk append of records with three signatures (A) against bare PyNaCl verification of the same signatures (B), same workers.

A reads envelopes in JSON from a file, verifies, runs the transition, encodes, hashes, and commits durably; each 10,000 records are
sealed and taken through an attestation round, each 20,000 are an era of an hour, which is settled. B has keys, messages and signatures in
memory and only verifies.

Further arguments are the numbers of verifying processes on either side. By default it is measured twice: with one fewer than there are
cores, so that the one process more which A has, to apply and write, has a core of its own; and with as many, so that all of A's share them
and a record costs what its processor time is.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

from nacl.signing import VerifyKey

from benchmarks.compare import Sample, compare, measure, run_side
from benchmarks.room import HOUR_MS, START_MS, attest, build, cast_of, grant_of
from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.verifying import CHUNK
from proofroom.adapters.writer import Recorded
from proofroom.domain.envelope import parse_envelope, signed_message
from proofroom.domain.ids import public_key_of
from proofroom.testing.clocks import Clock

BATCH = 10_000
ERA = 20_000
"""Records of an era: what is kept of them leaves the state when it is paid."""
EVERY_MS = HOUR_MS // ERA
"""From one record to the next."""
WORKERS = max(1, (os.cpu_count() or 2) - 1)

Jobs = list[tuple[bytes, list[tuple[bytes, bytes]]]]


def prepare(folder: Path, records: int) -> None:
    """The room, the envelopes one a line, and the bare signatures."""
    clock, jobs = Clock(START_MS), Jobs()
    build(folder / "room", clock)
    with Ledger.open(folder / "room", clock=clock) as ledger, (folder / "records.jsonl").open("wb") as lines:
        cast = cast_of(ledger, folder / "room")
        grant = grant_of(ledger, cast)
        for i in range(records):
            clock.ms += EVERY_MS
            line = cast.activity(grant, i // ERA, Work(cpu_ms=i % 1000, gpu_units=0.83), node=i % 3).to_json()
            lines.write(line + b"\n")
            envelope = parse_envelope(line)
            signatures = [(public_key_of(s.keyid), s.value) for s in envelope.signatures]
            jobs.append((signed_message(envelope), signatures))
    (folder / "jobs.pickle").write_bytes(pickle.dumps(jobs))


def append_all(folder: Path, records: int, form: str = "records", workers: int = WORKERS) -> None:
    """Side A, on a copy of the room: one stream, and at each full batch a round, while the processes go on with what comes next."""
    room = Path(tempfile.mkdtemp(dir=folder)) / "room"
    shutil.copytree(folder / "room", room)
    clock = Clock(START_MS)
    with (
        Ledger.open(room, workers=workers, clock=clock) as ledger,
        (folder / f"{form}.jsonl").open("rb", buffering=2**20) as lines,
    ):
        cast = cast_of(ledger, room)
        for i in range(len(cast.validators)):
            cast.beacon(i, 0)  # the chains are made once
        list(ledger.append_stream([b""] * (2 * workers * CHUNK)))  # the processes are up, as B's are

        def work() -> None:
            for era, first in enumerate(range(0, records, ERA)):
                if era:
                    ledger.append(cast.close_era(era - 1))
                    ledger.append(cast.open_era(era))
                append_era(ledger, cast, era, in_time(islice(lines, min(ERA, records - first)), clock))

        measure(work)
    shutil.rmtree(room.parent)


def in_time(lines: Iterable[bytes], clock: Clock) -> Iterator[bytes]:
    """The records, each when its time has come."""
    for line in lines:
        clock.ms += EVERY_MS
        yield line.rstrip()


def append_era(ledger: Ledger, cast: Cast, era: int, lines: Iterable[bytes]) -> None:
    """One stream, and a round at each full batch."""
    count = 0
    for count, outcome in enumerate(ledger.append_stream(lines), 1):
        assert isinstance(outcome, Recorded)
        assert not outcome.repeated
        if count % BATCH == 0:
            attest(ledger, cast, era)
    if count % BATCH:
        attest(ledger, cast, era)


def _verify(chunk: Jobs) -> None:
    for message, signatures in chunk:
        for key, signature in signatures:
            VerifyKey(key).verify(message, signature)


def verify_all(folder: Path, records: int, workers: int = WORKERS) -> None:
    """Side B."""
    jobs: Jobs = pickle.loads((folder / "jobs.pickle").read_bytes())[:records]  # noqa: S301 - our own file
    chunks = [jobs[i : i + 64] for i in range(0, len(jobs), 64)]
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_verify, [chunks[0]] * workers))
        measure(lambda: list(pool.map(_verify, chunks, chunksize=4)))


def main(records: int = 100_000, runs: int = 5, *workers: int) -> None:
    """Print the figures: of each number of verifying processes that is given; else of one fewer than there are cores, and of as many."""
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), records)
        for each in workers or (WORKERS, WORKERS + 1):
            _measure(Path(name), records, runs, each)


def _measure(folder: Path, records: int, runs: int, workers: int) -> None:
    """Print the figure, and whether memory grows with the number of records, from where a snapshot of the state was written too."""
    few: Sample = run_side(__spec__.name, "append", folder, records // 2, workers)
    figure = compare(
        f"bulk append of {records:,} records, {workers} workers, against bare PyNaCl verification",
        __spec__.name,
        ("append", folder, records, workers),
        ("verify", folder, records, workers),
        goal=0.6,
        per=records,
        runs=runs,
    )
    print(figure)
    print(
        f"  peak memory of A: {few.peak_mib:.0f} MiB at {records // 2:,} records, {figure.a[-1].peak_mib:.0f} MiB at {records:,}"
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["append", folder, records, workers]:
            append_all(Path(folder), int(records), workers=int(workers))
        case ["verify", folder, records, workers]:
            verify_all(Path(folder), int(records), int(workers))
        case rest:
            main(*map(int, rest))
