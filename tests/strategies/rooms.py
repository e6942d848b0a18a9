"""Ledgers on real stores, for tests: opened by known keys, ready to take records, and written behind their backs.

:func:`make_room` gives a ledger with a cluster, consent and an open era; :func:`copy_of` a fresh SQLite file that holds a whole history;
:func:`forge` what a host could write who holds the ledger's own keys and follows no rule.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from hypothesis import settings

from proofroom.adapters.audit import Report, Verdict, audit
from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.lab import forge as forging
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import PAGE, MemoryStore, Store, now_ms
from proofroom.domain import merkle
from proofroom.domain.authority import AUTHORITY
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import Digest, from_ms
from proofroom.domain.signing import Signer
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import ORIGIN, History, make_genesis
from proofroom.testing.keys import deterministic_randomness, key
from strategies.whole import whole_history

TESTS = Path(__file__).parents[1]


def soak(default: int, more: int) -> int:
    """How often to try something random: ``more`` in a soak."""
    return more if settings.get_current_profile_name() == "soak" else default


def signers() -> list[Signer]:
    """The ledger key and the checkpoint key of every ledger here."""
    return [key("ledger"), key("checkpoint")]


class Room:
    """A ledger and the cast that works on it."""

    def __init__(self, ledger: Ledger, clock: Callable[[], int], *, seed: str) -> None:
        self.ledger = ledger
        self.cast = Cast(ledger.id, clock, key, randomness=deterministic_randomness(seed))

    @property
    def grant(self) -> Digest:
        """The version that records rely on."""
        return self.ledger.state.grants[self.cast.user.keyid, self.cast.agent.keyid].digest

    def record(self, cpu_ms: int = 412, **changes: Any) -> Envelope:
        """One more activity record."""
        return self.cast.activity(self.grant, 0, Work(cpu_ms), **changes)

    def records(self, count: int, **changes: Any) -> list[Envelope]:
        """Some activity records."""
        return [self.record(i, **changes) for i in range(count)]

    def prepare(self) -> None:
        """Cluster, validators, bonds, consent, a deposit and an open era."""
        cast = self.cast
        self.ledger.append_many([*cast.founding(), *cast.consent(), cast.deposit(cast.user.keyid, 10**13)])
        self.ledger.append(cast.open_era(0))


def make_room(store: Store, clock: Callable[[], int] = now_ms, *, seed: str = "room") -> Room:
    """A new ledger in an empty store, ready for records of era 0."""
    ledger = Ledger(store, signers())
    ledger.append(sign(make_genesis(created_at=from_ms(clock())), *signers()))
    room = Room(ledger, clock, seed=seed)
    room.prepare()
    return room


def make_folder(folder: Path) -> Room:
    """The same in a folder, by the system's clock, as a host would make it."""
    room = Room(Ledger.create(folder, origin=ORIGIN, bank_keys=[key("bank").keyid]), now_ms, seed=str(folder))
    room.prepare()
    return room


# --- behind the ledger's back


def rows_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that an SQLite file holds."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        tables = [
            name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in sorted(tables)}


def edit(path: Path, *statements: str | tuple[str, Sequence[object]]) -> None:
    """Run SQL on a store's file, as anyone who can write the file may."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        for statement in statements:
            connection.execute(*([statement] if isinstance(statement, str) else statement))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock of a store's file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


@cache
def whole_file() -> bytes:
    """An SQLite file with :func:`whole_history` in it, written by a ledger, without a snapshot."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / LOG
        write_history(whole_history(), path)
        return path.read_bytes()


def write_history(history: History, path: Path) -> bytes:
    """Have a ledger write a history anew: it is given what others signed, and must derive the rest by itself. The root."""
    clock = Clock(0)
    with Ledger(SqliteStore(path, create=True, clock=clock), signers()) as ledger:
        for entry in history.entries:
            if entry.index == 0 or not AUTHORITY[entry.statement.kind].derived:
                clock.ms = entry.recorded_at_ms
                ledger.append(entry.verified)
        assert ledger.state == history.state
        root = merkle.root(ledger._head.tree)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM snapshots")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return root


def copy_of(folder: Path, name: str = LOG) -> Path:
    """A fresh copy of :func:`whole_file`."""
    path = folder / name
    for suffix in ("-wal", "-shm"):
        path.with_name(name + suffix).unlink(missing_ok=True)
    path.write_bytes(whole_file())
    return path


def audit_file(path: Path, against: str | None = None, *, first_only: bool = True) -> Report:
    """The audit of an SQLite file, to the first thing that does not hold, or to the end."""
    with closing(SqliteStore(path, read_only=True)) as store:
        return audit(store, against=against, first_only=first_only)


def assert_bad(report: Report, index: int) -> None:
    """It is invalid, and names this entry and a reason."""
    assert (report.verdict, report.first_bad) == (Verdict.INVALID, index), report.sentence()
    assert report.why
    assert report.sentence().startswith(f"INVALID at {index}: ")


def note_of(tree: merkle.Tree, signer: Signer | None = None, origin: str = ORIGIN) -> str:
    """A checkpoint of a tree."""
    return forging.note_of(tree, origin, signer or key("checkpoint"))


def forge(
    entries: Sequence[tuple[int, Envelope]], checkpoints: Collection[int] = (), store: Store | None = None
) -> Store:
    """A log of these ``(recorded_at_ms, envelope)``, properly bound: only the rules can tell that something is wrong."""
    store = store or MemoryStore()
    forging.forge(entries, store, ORIGIN, key("checkpoint"), checkpoints)
    return store


@cache
def whole_checkpoints() -> tuple[int, ...]:
    """The sizes at which :func:`whole_file` has a checkpoint."""
    with TemporaryDirectory() as folder:
        return tuple(row[0] for row in rows_of(copy_of(Path(folder)))["checkpoints"])


def entries_of(history: History) -> list[tuple[int, Envelope]]:
    """A history as :func:`forge` takes it."""
    return [(e.recorded_at_ms, e.verified.envelope) for e in history.entries]


# --- other processes


class Worker:
    """A process that runs one command of ``strategies/worker.py``; its lines are read as they come."""

    def __init__(self, *args: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "strategies.worker", *map(str, args)],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._ready = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(self.process.stdout,)),
            threading.Thread(target=self._drain, args=(self.process.stderr,)),
        ]
        self.errors = ""
        for thread in self._threads:
            thread.start()

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            if line == "ready\n":
                self._ready.set()
            else:
                self.lines.append(line.strip())
        self._ready.set()

    def _drain(self, pipe: IO[str]) -> None:
        self.errors = pipe.read()

    def wait_ready(self) -> None:
        """Wait until it stands before its work."""
        assert self._ready.wait(60)
        assert self.process.poll() is None, self.errors

    def go(self) -> None:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()
        self._join()

    def finish(self, within_seconds: float = 120) -> list[str]:
        """Its lines, once it ended well."""
        status = self.process.wait(within_seconds)
        self._join()
        assert status == 0, self.errors
        return self.lines

    def _join(self) -> None:
        self.process.wait(60)
        for thread in self._threads:
            thread.join(60)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def run_together(*workers: Worker, within_seconds: float = 120) -> list[list[str]]:
    """Start the work of several processes at one moment, and wait for all."""
    for worker in workers:
        worker.wait_ready()
    for worker in workers:
        worker.go()
    return [worker.finish(within_seconds) for worker in workers]


class Spoiled(MemoryStore):
    """The first entries of a store, of which one cannot be read as its kind."""

    def __init__(self, store: Store, bad: int) -> None:
        super().__init__()
        self._store, self._bad = store, bad

    def size(self) -> int:
        return self._store.size()

    def node(self, height: int, position: int) -> bytes:
        return self._store.node(height, position)

    def read(self, start: int, limit: int = PAGE) -> list[StoredEntry]:
        return [self._spoil(e) if e.index == self._bad else e for e in self._store.read(start, limit)]

    def _spoil(self, entry: StoredEntry) -> StoredEntry:
        return StoredEntry(**{**vars(entry), "state": b'{"cluster":7}', "topic": entry.topic})
