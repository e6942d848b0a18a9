"""Opening a ledger of 1,000,000 entries from its snapshot, and the bytes that the store holds per record.

The ledger is made once and kept in ``build/bench``. Its records are stamped from one template and not signed anew (their signatures are not
looked at when a snapshot covers them); transition, tree, store, checkpoints and attestation rounds are the real ones. Eras have
50,000 records and an hour of the room's own time; the last is open, with 20,000 records that no batch has sealed yet.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.compare import measure, run_side
from benchmarks.room import HOUR_MS, START_MS, attest, build, cast_of, grant_of
from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.ledger import Ledger
from proofroom.domain import hashing, ids
from proofroom.domain.envelope import Verified, _mint, sign, statement_id, verify
from proofroom.domain.statements import parse
from proofroom.testing.clocks import Clock

ENTRIES = 1_000_000
ERA = 50_000
BATCH = 10_000
OPEN = 20_000
"""Records that are unsealed in the open era when the ledger is closed: the snapshot holds each of them."""


def stamped(cast: Cast, ledger: Ledger, clock: Clock, era: int, count: int) -> Iterator[Verified]:
    """Records that differ in ids, results and usage, each some moments after the one before."""
    record = cast.record(grant_of(ledger, cast), era, Work(cpu_ms=123_456, gpu_units=0.83))
    signed = verify(sign(record, cast.derived, cast.orchestrator, cast.runtimes[0]))
    kind, written, signatures = signed.frozen
    for i in range(count):
        clock.ms += HOUR_MS // ERA
        fresh = ids.record_id(cast.clock(), cast.randomness(10)).encode()
        result = hashing.tagged(cast.randomness(32)).encode()
        payload = written.replace(record.record_id.encode(), fresh).replace(record.result_hash.encode(), result)
        payload = payload.replace(b'"cpu_ms":123456', b'"cpu_ms":%d' % (i % 9999))
        yield _mint((kind, payload, signatures), signed.keys, parse(kind, payload), statement_id(kind, payload))


def prepare(folder: Path, entries: int) -> None:
    """The ledger, unless it is there."""
    if (folder / "done").exists():
        return
    clock = Clock(START_MS)
    build(folder, clock)
    with Ledger.open(folder, clock=clock) as ledger:
        cast, era = cast_of(ledger, folder), 0
        while ledger.size < entries:
            for _ in range(ERA // BATCH):
                for _ in ledger.append_stream(stamped(cast, ledger, clock, era, BATCH)):
                    pass
                attest(ledger, cast, era)
            ledger.append(cast.close_era(era))
            era += 1
            ledger.append(cast.open_era(era))
            print(f"\r  {ledger.size:,} of {entries:,} entries", end="", file=sys.stderr)
        for _ in ledger.append_stream(stamped(cast, ledger, clock, era, OPEN)):
            pass
        print(file=sys.stderr)
    (folder / "done").touch()


def open_once(folder: Path) -> None:
    """The side that is measured."""

    def work() -> None:
        Ledger.open(folder, read_only=True).close()

    measure(work)


def main(entries: int = ENTRIES, runs: int = 5) -> None:
    """Print the figures."""
    folder = Path("build/bench") / f"opening-{entries}"
    prepare(folder, entries)
    samples = [run_side(__spec__.name, "open", folder) for _ in range(runs)]
    seconds = [s.seconds for s in samples]
    with Ledger.open(folder, read_only=True) as ledger:
        size = ledger.size
    print(f"opening a ledger of {size:,} entries from its snapshot, peak {max(s.peak_mib for s in samples):.0f} MiB")
    verdict = "met" if statistics.median(seconds) < 3 else "MISSED"
    print(
        f"  median {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), goal 3 s: {verdict}"
    )
    print(f"  {(folder / 'log.db').stat().st_size / size:.0f} bytes in the store per entry (nearly all are records)")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["open", folder]:
            open_once(Path(folder))
        case rest:
            main(*map(int, rest))
