"""A round with a committee of 21 over a batch of 10,000 records: the tally by itself, and the whole round recorded (A) against the bare
PyNaCl verification of its signatures with as many durable commits (B).

A takes signed envelopes, verifies, runs the transition with the ledger's own opening and tally, hashes, signs checkpoints and commits.
"""

from __future__ import annotations

import gc
import pickle
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from nacl.signing import VerifyKey

from benchmarks.compare import compare, measure, print_sample, run_side
from benchmarks.room import PLENTY, cast_of, grant_of
from proofroom.adapters.cast import PARAMETERS, Cast, Work
from proofroom.adapters.ledger import Ledger
from proofroom.domain.assurance import threshold
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, signed_message
from proofroom.domain.ids import public_key_of
from proofroom.domain.statements.attestation import Vote
from proofroom.domain.voting import all_positions, at_least, count_votes, make_vote, read_vote

COMMITTEE, VALIDATORS = 21, 30


def prepare(folder: Path, records: int) -> None:
    """A room with a sealed batch that awaits its beacon."""
    with Ledger.create(folder / "room") as ledger:
        cast = _cast(ledger, folder / "room")
        ledger.append_many([*cast.founding(), *cast.consent(), cast.deposit(cast.user.keyid, PLENTY)])
        ledger.append(cast.open_era(0))
        grant = grant_of(ledger, cast)
        for start in range(0, records, 1_000):
            ledger.append_many([cast.activity(grant, 0, Work(i)) for i in range(start, min(records, start + 1_000))])
        ledger.append(cast.seal_all(ledger.state, 0))


def _cast(ledger: Ledger, room: Path) -> Cast:
    plain = cast_of(ledger, room)
    attestation = PARAMETERS.attestation.model_copy(update={"committee": COMMITTEE, "beacon_ms": 3_600_000})
    parameters = PARAMETERS.model_copy(update={"attestation": attestation})
    return Cast(ledger.id, plain.clock, plain.key, validators=VALIDATORS, parameters=parameters)


def votes_on(count: int, members: int) -> list[Vote]:
    """Votes that doubt a tenth of the records, each another tenth."""
    chance = random.Random(1)
    return [make_vote(count, {i: "unobserved" for i in range(count) if chance.random() < 0.1}) for _ in range(members)]


def record_round(folder: Path, records: int) -> None:
    """Side A, on a copy of the room; what it recorded is left for side B."""
    copy = Path(tempfile.mkdtemp(dir=folder)) / "room"
    shutil.copytree(folder / "room", copy)
    with Ledger.open(copy) as ledger:
        cast = _cast(ledger, copy)
        votes = votes_on(records, COMMITTEE)
        done: list[list[Entry]] = []
        seconds = cpu = 0.0

        def record(envelopes: list[Envelope]) -> None:
            nonlocal seconds, cpu
            gc.collect()  # what came before is not the round's
            before = ledger.size
            start, worked = time.perf_counter(), time.process_time()
            ledger.append_many(envelopes)
            seconds, cpu = seconds + time.perf_counter() - start, cpu + time.process_time() - worked
            done.append(ledger.read(before, ledger.size))

        record([cast.reveal_beacon(0, i) for i in range(VALIDATORS)])
        members = cast.members(ledger.state, 0)
        record([cast.commit(ledger.state, 0, i, v) for i, v in zip(members, votes, strict=True)])
        record([cast.reveal(0, i, v) for i, v in zip(members, votes, strict=True)])
        assert not ledger.state.rounds
    jobs = [[job for entry in phase for job in _jobs(entry.verified.envelope)] for phase in done]
    (folder / "jobs.pickle").write_bytes(pickle.dumps(jobs))
    shutil.rmtree(copy.parent)
    print_sample(seconds, cpu)


def _jobs(envelope: Envelope) -> list[tuple[bytes, bytes, bytes]]:
    return [(signed_message(envelope), public_key_of(s.keyid), s.value) for s in envelope.signatures]


def verify_and_commit(folder: Path) -> None:
    """Side B."""
    phases: list[list[tuple[bytes, bytes, bytes]]] = pickle.loads((folder / "jobs.pickle").read_bytes())  # noqa: S301 - our own
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        closing(sqlite3.connect(Path(name) / "bare.db", isolation_level=None)) as db,
    ):
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE log (message BLOB)")

        def work() -> None:
            for phase in phases:
                for message, key, signature in phase:
                    VerifyKey(key).verify(message, signature)
                db.execute("BEGIN IMMEDIATE")
                db.executemany("INSERT INTO log VALUES (?)", [(message,) for message, _, _ in phase])
                db.execute("COMMIT")

        measure(work)


def tally_ms(records: int, members: int) -> float:
    """Milliseconds to tally votes from their bitmaps, the best of 20."""
    votes = votes_on(records, members)
    least, best = threshold(members), float("inf")
    for _ in range(20):
        start = time.perf_counter()
        ballots = [read_vote(vote, records, all_positions(records)) for vote in votes]
        at_least(count_votes(b.agree for b in ballots), least, records)
        at_least(count_votes(b.reject for b in ballots), least, records)
        best = min(best, time.perf_counter() - start)
    return best * 1_000


def main(records: int = 10_000, runs: int = 5) -> None:
    """Print the tally's time, the figure, and how both grow."""
    tally = tally_ms(records, COMMITTEE)
    print(
        f"tally of {COMMITTEE} votes over {records:,} records: {tally:.2f} ms, goal 50: {'met' if tally < 50 else 'MISSED'}"
    )
    print("  records / 4, / 2, / 1:", _tallies((records // n, COMMITTEE) for n in (4, 2, 1)))
    print("  votes 11, 21, 42:     ", _tallies((records, n) for n in (11, 21, 42)))
    with tempfile.TemporaryDirectory() as name:
        folders = {n: Path(name) / str(n) for n in (records // 4, records // 2, records)}
        for count, folder in folders.items():
            prepare(folder, count)
        print(
            compare(
                f"a round of {VALIDATORS} beacon values and {COMMITTEE} votes on {records:,} records",
                __spec__.name,
                ("record", folders[records], records),
                ("verify", folders[records]),
                goal=1 / 3,
                per=VALIDATORS + 2 * COMMITTEE,
                runs=runs,
            )
        )
        taken = {
            n: [run_side(__spec__.name, "record", f, n).cpu_seconds for _ in range(runs)] for n, f in folders.items()
        }
        print("  A by records, processor time:", ", ".join(f"{n:,}: {min(t) * 1e3:.1f} ms" for n, t in taken.items()))


def _tallies(sizes: Iterable[tuple[int, int]]) -> str:
    return ", ".join(f"{tally_ms(*size):.2f} ms" for size in sizes)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", folder, records]:
            record_round(Path(folder), int(records))
        case ["verify", folder]:
            verify_and_commit(Path(folder))
        case rest:
            main(*map(int, rest))
