"""The eventsourcing library's application recorders, with the columns of an entry and an index of our own.

The library's SQLite recorder numbers notifications by the implicit rowid, whose last value is given out again after a delete. Ours has an
explicit ``log_index`` (notification id - 1) that the ledger sets. A plain ``StoredEvent`` gets the next index, so that these recorders
are the library's in every respect that its own test cases check.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, cast
from uuid import UUID

from eventsourcing.persistence import Notification, StoredEvent
from eventsourcing.popo import POPOApplicationRecorder
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteTransaction,
)

from proofroom.adapters.mapper import StoredEntry

APPLICATION_ID = 0x70726F6F
"""``proo``: marks an SQLite file as a proofroom log."""

LAYOUT = 1
"""``user_version`` of the file: the layout of its tables."""

CACHE_KIB = 16 * 1024

PAGE_BYTES = 8192
"""Of a new file. A page of 4,096 bytes holds one record with three rooted signatures and leaves a third of itself empty."""

WAL_PAGES = 2_000
"""Pages of the write-ahead log after which it is carried over: 16 MB, so that a page that many commits touch is carried over once."""

TABLES = (
    """CREATE TABLE IF NOT EXISTS {events} (
        log_index INTEGER PRIMARY KEY,
        originator_id TEXT NOT NULL,
        originator_version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        state BLOB NOT NULL,
        recorded_at_ms INTEGER,
        signatures BLOB,
        nodes BLOB,
        UNIQUE (originator_id, originator_version))""",
    "CREATE TABLE IF NOT EXISTS checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS snapshots (size INTEGER PRIMARY KEY, state BLOB NOT NULL)",
)
"""The log, its checkpoints and its state snapshots."""

_COLUMNS = "log_index, originator_id, originator_version, topic, state, recorded_at_ms, signatures, nodes"


class Immediate(SQLiteTransaction):
    """A transaction that holds the write lock from its first moment, so that what it reads stays true until it commits."""

    def __enter__(self) -> SQLiteCursor:
        cursor = self.connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except BaseException:
            cursor.sqlite_cursor.close()  # whoever keeps the error would keep the file open
            raise
        return cursor

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        super().__exit__(exc_type, exc_val, exc_tb)


class Pool(SQLiteConnectionPool):
    """Connections that are durable at commit and cache enough of the indexes."""

    def _create_connection(self) -> SQLiteConnection:
        # The library would leave a connection open that cannot say its journal mode: it is not asked there, but below.
        is_wal, self.is_journal_mode_wal = self.is_journal_mode_wal, True
        connection = super()._create_connection()
        try:
            self._prepare(connection, is_wal=is_wal)
        except BaseException:
            self.is_journal_mode_wal = is_wal
            connection.close()
            raise
        return connection

    def _prepare(self, connection: SQLiteConnection, *, is_wal: bool) -> None:
        cursor = connection.cursor()
        if not is_wal:
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        cursor.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        # A byte edited into invalid UTF-8 is for the audit to name, not for the driver to stumble over.
        connection._sqlite_conn.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        if "mode=rw" in self.db_name:
            cursor.execute("PRAGMA database_list")
            if not os.access(cursor.fetchone()["file"], os.W_OK):
                # SQLite opens for reading what takes no writes just now, and keeps it so: such a connection is used once.
                connection._closing.set()

    @contextmanager
    def lent(self) -> Iterator[SQLiteConnection]:
        """A connection, out of the turn that the library gives to writers: when none can be opened, it never takes the turn back."""
        connection = self.get_connection()
        try:
            yield connection
        finally:
            self.put_connection(connection)


class Datastore(SQLiteDatastore):
    """The library's datastore over :class:`Pool`."""

    pool: Pool

    def __init__(self, db_name: str, *, lock_timeout: int = 30) -> None:
        super().__init__(db_name, lock_timeout=lock_timeout)
        self.pool.close()
        self.pool = Pool(db_name=db_name, lock_timeout=lock_timeout)


class SQLiteLogRecorder(SQLiteApplicationRecorder):
    """The library's SQLite application recorder, with our columns."""

    def construct_create_table_statements(self) -> list[str]:
        """The log, its checkpoints and its state snapshots."""
        return [statement.format(events=self.events_table_name) for statement in TABLES]

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        first = self._size(c)
        rows = [_row(event, first + i) for i, event in enumerate(stored_events)]
        c.executemany(f"INSERT INTO {self.events_table_name} ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)", rows)
        return [row[0] + 1 for row in rows]

    def _size(self, c: SQLiteCursor) -> int:
        """One more than the highest index."""
        c.execute(f"SELECT MAX(log_index) FROM {self.events_table_name}")
        highest = c.fetchone()[0]
        return 0 if highest is None else cast(int, highest) + 1

    def _max_notification_id(self, c: SQLiteCursor) -> int:
        return cast(int, self._size(c) or None)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Notifications from ``start`` on; their ids are index + 1."""
        first = 0 if start is None else start - inclusive_of_start
        where, params = "log_index >= ?", [first, *([] if stop is None else [stop - 1]), *topics]
        if stop is not None:
            where += " AND log_index <= ?"
        if topics:
            where += f" AND topic IN ({','.join('?' * len(topics))})"
        statement = f"SELECT {_COLUMNS} FROM {self.events_table_name} WHERE {where} ORDER BY log_index LIMIT ?"
        with self.datastore.transaction(commit=False) as c:
            c.execute(statement, [*params, limit])
            return [
                Notification(
                    id=row["log_index"] + 1,
                    originator_id=self.convert_originator_id(row["originator_id"]),
                    originator_version=row["originator_version"],
                    topic=row["topic"],
                    state=row["state"],
                )
                for row in c.fetchall()
            ]

    def select_entries(self, start: int, limit: int) -> list[StoredEntry]:
        """Entries from index ``start`` on, at most ``limit``."""
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                f"SELECT {_COLUMNS} FROM {self.events_table_name} WHERE log_index >= ? ORDER BY log_index LIMIT ?",
                (start, limit),
            )
            return [stored_entry(row) for row in c.fetchall()]


def _row(event: StoredEvent, next_index: int) -> tuple[Any, ...]:
    id = event.originator_id.hex if isinstance(event.originator_id, UUID) else event.originator_id
    if isinstance(event, StoredEntry):
        extra = (event.recorded_at_ms, event.signatures, event.nodes)
        return (event.index, id, event.originator_version, event.topic, event.state, *extra)
    return (next_index, id, event.originator_version, event.topic, event.state, None, None, None)


def stored_entry(row: sqlite3.Row) -> StoredEntry:
    """The entry of a row."""
    return StoredEntry(
        originator_id=row["originator_id"],
        originator_version=row["originator_version"],
        topic=row["topic"],
        state=row["state"],
        index=row["log_index"],
        recorded_at_ms=row["recorded_at_ms"],
        signatures=row["signatures"],
        nodes=row["nodes"],
    )


class MemoryLogRecorder(POPOApplicationRecorder):
    """The library's in-memory recorder; entries keep all their fields as they are kept whole."""

    @property
    def lock(self) -> Any:
        """The recorder's own lock, for a compare-and-swap around it."""
        return self._database_lock

    def select_entries(self, start: int, limit: int) -> list[StoredEntry]:
        """Entries from index ``start`` on, at most ``limit``."""
        with self._database_lock:
            return [e for e in self._stored_events[start : start + limit] if isinstance(e, StoredEntry)]

    def size(self) -> int:
        """The number of events."""
        with self._database_lock:
            return len(self._stored_events)
