"""The embedded store: one SQLite file, in which what was acknowledged survives a crash of process and machine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from eventsourcing.persistence import PersistenceError
from eventsourcing.sqlite import SQLiteCursor

from proofroom.adapters import sqlite_header
from proofroom.adapters.files import unavailable
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.recorders import (
    APPLICATION_ID,
    LAYOUT,
    PAGE_BYTES,
    TABLES,
    Datastore,
    Immediate,
    SQLiteLogRecorder,
)
from proofroom.adapters.stores import PAGE, Batch, Scanned, follow, leaf_of, now_ms
from proofroom.domain.errors import (
    Closed,
    LogMoved,
    NotALedger,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)

TABLE = "log"

AT_ONCE = 500
"""Parameters of one query."""


class SqliteStore:
    """A log in one SQLite file (WAL, ``synchronous=FULL``): what was acknowledged survives a crash of process and machine.

    Args:
        path: the file.
        create: make it if it is not there.
        read_only: never write, not even tables.
        clock: time in ms UTC, read under the write lock.
        lock_timeout: seconds to wait for another writer.

    Raises:
        NotALedger: no such file, or it is something else.
        StoreUnavailable: it cannot be opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create: bool = False,
        read_only: bool = False,
        clock: Callable[[], int] = now_ms,
        lock_timeout: int = 30,
    ) -> None:
        self.path = Path(path)
        self._use = threading.Condition(threading.RLock())
        self._users, self._closed, self._process = 0, False, os.getpid()
        self._writer, self._lock_timeout = threading.Lock(), lock_timeout
        self._is_on_disk = False
        self.clock = clock
        with self._errors():
            if create and not self.path.exists():
                _create_file(self.path)
            self._file = sqlite_header.take(self.path)
            try:
                mode = _read_only_mode(self.path) if read_only else "mode=rw"
                name = f"file:{quote(os.fsencode(self.path.absolute()))}?{mode}"
                self._datastore = Datastore(name, lock_timeout=lock_timeout)
                self._recorder = SQLiteLogRecorder(self._datastore, events_table_name=TABLE)
            except BaseException:
                sqlite_header.let_go(self._file)
                raise

    @contextlib.contextmanager
    def _writing(self) -> Iterator[SQLiteCursor]:
        # The library's pool lets nobody read while a second writer waits, and a writer must be able to read.
        if not self._writer.acquire(timeout=self._lock_timeout):
            raise StoreLocked(path=str(self.path), why="another thread is writing")
        try:
            with (
                self._datastore.pool.lent() as connection,
                Immediate(connection, commit=True) as cursor,
                cursor,
            ):
                yield cursor
        finally:
            self._writer.release()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """One operation on the open store: keeps it from being closed meanwhile, and gives its errors as ours.

        Closing a connection of SQLite under a thread that reads from it ends the whole process.
        """
        if os.getpid() != self._process:
            raise Closed()
        with self._use:
            if self._closed:
                raise Closed()
            self._users += 1
        try:
            yield
        except (sqlite3.Error, PersistenceError, OSError, UnicodeDecodeError) as e:
            raise _explain(self.path, e) from e
        finally:
            with self._use:
                self._users -= 1
                self._use.notify_all()

    def size(self) -> int:
        with self._errors():
            return self._recorder.max_notification_id() or 0

    def append(self, expected_size: int, make: Callable[[int], Batch | None]) -> Batch | None:
        with self._errors(), self._writing() as c:
            if not sqlite_header.is_at(self.path, self._file):  # what is written now would go with the old one
                raise StoreUnavailable(path=str(self.path), why="another file has its place since it was opened")
            if not self._is_on_disk:
                with contextlib.suppress(FileNotFoundError):  # where the file system lets SQLite have none
                    _write_again(self.path.with_name(f"{self.path.name}-wal"))
                self._is_on_disk = True
            size = self._recorder._size(c)
            if size != expected_size:
                raise LogMoved(expected=expected_size, size=size)
            batch = make(self.clock())
            if batch is not None:
                self._recorder._insert_events(c, batch.entries)
                c.execute("INSERT INTO checkpoints VALUES (?, ?)", (size + len(batch.entries), batch.note))
        return batch

    def read(self, start: int, limit: int = PAGE) -> list[StoredEntry]:
        with self._errors():
            return self._recorder.select_entries(start, limit)

    def scan(self, start: int, limit: int = PAGE) -> list[Scanned]:
        columns = "log_index, recorded_at_ms, topic, state"
        with self._errors(), self._datastore.transaction(commit=False) as c:
            c.execute(f"SELECT {columns} FROM {TABLE} WHERE log_index >= ? ORDER BY log_index LIMIT ?", (start, limit))
            return [tuple(row) for row in c.fetchall()]

    def read_from(self, start: int, wait_seconds: float = 0.0) -> Iterator[StoredEntry]:
        return follow(self, start, wait_seconds)

    def find(self, originator: str) -> int | None:
        row = self._row("SELECT log_index FROM log WHERE originator_id = ?", originator)
        return None if row is None else int(row[0])

    def node(self, height: int, position: int) -> bytes:
        return self.nodes([(height, position)])[0]

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        kept = [leaf_of(*place) for place in places]
        leaves, rows = sorted({leaf for leaf, _ in kept}), dict[int, object]()
        with self._errors(), self._datastore.transaction(commit=False) as c:
            for i in range(0, len(leaves), AT_ONCE):
                some = leaves[i : i + AT_ONCE]
                c.execute(
                    f"SELECT log_index, nodes FROM {TABLE} WHERE log_index IN ({','.join('?' * len(some))})", some
                )
                rows.update((row[0], row[1]) for row in c.fetchall())
        found = [(rows.get(leaf), part) for leaf, part in kept]
        return [nodes[part] if isinstance(nodes, bytes) else b"" for nodes, part in found]

    def checkpoints(self, start: int = 0, limit: int = PAGE) -> list[tuple[int, str]]:
        with self._errors(), self._datastore.transaction(commit=False) as c:
            c.execute("SELECT size, note FROM checkpoints WHERE size >= ? ORDER BY size LIMIT ?", (start, limit))
            return [(row[0], str(row[1])) for row in c.fetchall()]

    def last_checkpoint(self) -> tuple[int, str] | None:
        row = self._row("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1")
        return None if row is None else (row[0], str(row[1]))

    def save_snapshot(self, size: int, state: bytes) -> None:
        with self._errors(), self._writing() as c:
            c.execute("DELETE FROM snapshots WHERE size <= ? OR size > ?", (size, self._recorder._size(c)))
            c.execute("SELECT 1 FROM snapshots")
            if c.fetchone() is None:
                # Into its place: a bound value would be copied twice, and a state may be large.
                c.execute("INSERT INTO snapshots VALUES (?, zeroblob(?))", (size, len(state)))
                with c.sqlite_cursor.connection.blobopen("snapshots", "state", size) as blob:
                    blob.write(state)

    def snapshots(self) -> list[tuple[int, bytes]]:
        with self._errors(), self._datastore.transaction(commit=False) as c:
            c.execute("SELECT size, state FROM snapshots ORDER BY size DESC")
            return [(row[0], row[1]) for row in c.fetchall()]

    def _row(self, statement: str, *params: object) -> sqlite3.Row | None:
        with self._errors(), self._datastore.transaction(commit=False) as c:
            c.execute(statement, params)
            row: sqlite3.Row | None = c.fetchone()
            return row

    def close(self) -> None:
        """Wait for what is under way in other threads, then let go of the file; nothing, where it is a parent's."""
        if os.getpid() != self._process:
            return
        with self._use:
            was_closed, self._closed = self._closed, True
            self._use.wait_for(lambda: self._users == 0)
        self._datastore.close()
        if not was_closed:
            sqlite_header.let_go(self._file)


def _create_file(path: Path) -> None:
    """Make an empty log: whole under another name first, so that a crash or a second creator leaves no half of one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    draft.unlink(missing_ok=True)
    connection = sqlite3.connect(draft)
    try:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        # From its first moment: SQLite lets no two connections change a file to WAL at once, and does not wait.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={LAYOUT}")
        for statement in TABLES:
            connection.execute(statement.format(events=TABLE))
    finally:
        connection.close()
    draft.chmod(0o600)  # SQLite gives its other files the same mode
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _write_again(wal: Path) -> None:
    """Have on the disk what is read of a write-ahead log. Nobody else writes to it meanwhile.

    Where a sync failed before the last process ended, the system goes on showing what it was to bring, and takes it for written: SQLite
    finds it when it opens the log, and no sync of what follows brings it. Only what is written once more is brought.
    """
    handle, at = os.open(wal, os.O_RDWR | os.O_CLOEXEC), 0
    try:
        while part := os.pread(handle, 1 << 20, at):
            at += os.pwrite(handle, part, at)
        if at:
            os.fsync(handle)
    finally:
        os.close(handle)


def _read_only_mode(path: Path) -> str:
    """SQLite shares memory through a file beside the log even to read; where none can be made nobody writes either."""
    still = not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()
    return "mode=ro&immutable=1" if still else "mode=ro"


def _explain(path: Path, error: BaseException) -> StoreUnavailable:
    """Which of our errors an error of SQLite, of the library or of the system is."""
    if isinstance(error, OSError):
        return unavailable(path, error)
    if isinstance(error, UnicodeDecodeError):  # what SQLite says of an odd schema, with a piece of it
        return NotALedger(path=str(path), why="SQLite cannot read its schema")
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, sqlite3.Error):
        cause = cause.__cause__
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    kinds: dict[int, type[StoreUnavailable]] = {
        sqlite3.SQLITE_READONLY: StoreReadOnly,
        sqlite3.SQLITE_BUSY: StoreLocked,
        sqlite3.SQLITE_LOCKED: StoreLocked,
        sqlite3.SQLITE_FULL: StoreFull,
        sqlite3.SQLITE_NOTADB: NotALedger,
        sqlite3.SQLITE_CORRUPT: NotALedger,
    }
    return kinds.get(code, StoreUnavailable)(path=str(path), why=str(error))
