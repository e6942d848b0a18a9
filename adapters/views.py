"""The read models' file: brings :mod:`proofroom.projections` up to date with a log, and answers SQL.

Entries are pulled in pages. The rows that a page makes and the new position go into one transaction, so that a crash at any point
leaves whole pages. Only the log is the truth: read models of an older version, or of a log that is not the one given, are built anew
without asking.

A file admits one process, which is DuckDB's rule. A ledger that is opened for reading only keeps its read models in memory.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyRelation, StatementType

from proofroom.adapters.stores import Scanned, Store
from proofroom.domain import hashing, merkle
from proofroom.domain.consent import GrantStatus
from proofroom.domain.envelope import statement_id
from proofroom.domain.errors import (
    Closed,
    HistoryChanged,
    NoSuchEntry,
    NotALedger,
    QueryFailed,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from proofroom.domain.ids import KeyId
from proofroom.domain.statements import KINDS
from proofroom.projections import PROJECTIONS, VERSION
from proofroom.projections.base import BATCH, FIRST_INDEX, Batch, Table
from proofroom.projections.consent import grant_status

PAGE = 5_000
"""Entries that one transaction takes in."""

READ_MODELS = Table(
    "read_models",
    "How far the read models are. One row.",
    """
    version BIGINT NOT NULL            -- version of the tables
    position BIGINT NOT NULL           -- entries taken in: index of the next
    root VARCHAR NOT NULL              -- root of the log's tree at this position, in hex
    """,
)

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "TimeZone": "UTC",
    "python_enable_replacements": False,  # a name in SQL is a table, never a variable of the host
    "autoinstall_known_extensions": False,  # a query downloads nothing
}

_QUERIES = {StatementType.SELECT, StatementType.EXPLAIN, StatementType.PRAGMA, StatementType.MULTI}
"""Statements that a user may send; ``MULTI`` is what PIVOT becomes. The read-only transaction around them is what protects the tables."""

_KIND_OF = {payload_type: statement.kind for payload_type, statement in KINDS.items()}


class ViewsLocked(
    StoreLocked,
    code="views-locked",
    advice="DuckDB admits one process to a file: close the other, or open the ledger read-only",
):
    """Another process has the read models' file open."""


class ViewsTooNew(
    StoreUnavailable,
    code="views-too-new",
    advice="use the newer release, or delete the file: it is made anew from the log",
):
    """The read models were made by a newer release."""


class Views:
    """Read models of one log, in a file or in memory. Safe to use from several threads.

    Args:
        path: the file, made when it is not there; None keeps the read models in memory.
        page: entries that one transaction takes in.

    Raises:
        ViewsLocked: another process has the file open.
        ViewsTooNew: a newer release made it.
        NotALedger: the file is something else.
        StoreUnavailable: it cannot be opened.
    """

    def __init__(self, path: Path | None, *, page: int = PAGE) -> None:
        self._path = str(path or ":memory:")
        self._page = page
        self._lock = threading.RLock()
        self._closed = False
        with self._errors():
            self._connection = duckdb.connect(self._path, config=_SETTINGS)
        try:
            with self._errors():
                # A query reads the tables and nothing else: not the keys beside them, and no file is written by one.
                self._connection.execute("SET enable_external_access = false")
                self._connection.execute("SET lock_configuration = true")
                self._open()
        except BaseException:
            self._connection.close()
            raise

    @property
    def position(self) -> int:
        """The number of entries taken in, which is the index of the next."""
        return self._position

    def project(self, store: Store, progress: Callable[[int], object] | None = None) -> int:
        """Take in all that is new in a log; returns the number of entries.

        Read models of another log, or of one that was cut short or rewritten since, are dropped and made anew: they hold nothing that is
        not in the log, and it is not for them to say which log is right.

        Args:
            store: the log.
            progress: called with the position after each page.

        Raises:
            HistoryChanged: the log has a gap.
            StoreUnavailable: the log cannot be read, or the file not be written; whole pages are kept.
        """
        with self._lock, self._errors():
            self._check_open()
            if not self._continues(store):
                self._reset()
            start = self._position
            for table in self._pages(store):
                self._take(table, store)
                if progress is not None:
                    progress(self._position)
            return self._position - start

    def sql(self, query: str) -> DuckDBPyRelation:
        """One query over the read models, as a DuckDB relation. It sees them as they are now, however late it is fetched.

        Faults that show only while rows are fetched, such as a division by zero, are DuckDB's own errors.

        Raises:
            QueryFailed: it is not one query, or DuckDB refused it.
        """
        with self._lock:
            self._check_open()
            cursor = self._connection.cursor()
            try:
                kinds = [statement.type for statement in cursor.extract_statements(query)]
                if len(kinds) != 1 or kinds[0] not in _QUERIES:
                    raise QueryFailed(why="send one SELECT; the read models follow the log and nothing else")
                cursor.execute("BEGIN TRANSACTION READ ONLY")
                relation = cursor.sql(query)
            except duckdb.Error as e:
                raise QueryFailed(why=str(e).strip()) from None
            if relation is None:
                raise QueryFailed(why="the statement has no result")
            return relation

    def grant_status(
        self, user: KeyId, agent: KeyId, *, at_ms: int | None = None, index: int | None = None
    ) -> GrantStatus:
        """The status of what a user granted to an agent service, by the log alone.

        Args:
            user: key of the wallet.
            agent: key of the agent service.
            at_ms: a moment of ``recorded_at`` time; the time of the entry at ``index`` when not given.
            index: only entries up to this one count; the last taken in when not given.

        Raises:
            NoSuchEntry: the entry at ``index`` was not taken in.
        """
        with self._lock, self._errors():
            self._check_open()
            if index is None:
                index = self._position - 1
            elif not 0 <= index < self._position:
                raise NoSuchEntry(what=f"entry {index}")
            if at_ms is None:
                query = "SELECT recorded_at_ms FROM log WHERE entry_index = ?"
                row = self._connection.execute(query, [index]).fetchone()
                at_ms = row[0] if row else 0
            return grant_status(self._connection, user, agent, at_ms=at_ms, last_index=index)

    def close(self) -> None:
        """Let go of the file. Relations that were given out end with it."""
        with self._lock:
            self._closed = True
            self._connection.close()

    # --- the file

    def _open(self) -> None:
        names = {row[0] for row in self._connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if READ_MODELS.name not in names:
            if names:
                raise NotALedger(path=self._path, why="it is a DuckDB file of something else")
            self._reset()
            return
        version = self._row("SELECT version FROM read_models")[0]
        if version > VERSION:
            raise ViewsTooNew(path=self._path, why=f"its tables are of version {version}, this release knows {VERSION}")
        if version < VERSION:
            self._reset()
            return
        self._position, self._root = self._row("SELECT position, root FROM read_models")

    def _reset(self) -> None:
        """Drop everything and make it anew, empty."""
        with self._transaction():
            for statement in self._drops():
                self._connection.execute(statement)
            for statement in READ_MODELS.statements():
                self._connection.execute(statement)
            for projection in PROJECTIONS:
                projection.create(self._connection)
            root = merkle.root(merkle.Tree()).hex()
            self._connection.execute("INSERT INTO read_models VALUES (?, 0, ?)", [VERSION, root])
        self._position, self._root = 0, root

    def _drops(self) -> list[str]:
        """What undoes the catalogue: views before the tables they look at."""
        found = self._connection.execute(
            """
            SELECT 'DROP MACRO TABLE "' || function_name || '"' FROM duckdb_functions() WHERE NOT internal
            UNION ALL SELECT 'DROP VIEW "' || view_name || '"' FROM duckdb_views() WHERE NOT internal
            UNION ALL SELECT 'DROP TABLE "' || table_name || '"' FROM duckdb_tables()
            """
        )
        return [row[0] for row in found.fetchall()]

    # --- taking in

    def _continues(self, store: Store) -> bool:
        """The log still begins with what was taken in: its tree had the same root at that size."""
        return store.size() >= self._position and _root_at(store, self._position) == self._root

    def _pages(self, store: Store) -> Iterator[pa.Table]:
        """What is new, page by page; the next page is read and hashed while DuckDB works on the last."""

        def read(start: int) -> pa.Table | None:
            page = store.scan(start, self._page)
            missing = next((i for i, (index, *_) in enumerate(page, start) if index != i), None)
            if missing is not None:
                raise HistoryChanged(size=store.size(), why=f"entry {missing} is missing")
            return to_arrow(page) if page else None

        table = read(self._position)
        if table is None or table.num_rows < self._page:
            yield from [] if table is None else [table]
            return
        with ThreadPoolExecutor(1, thread_name_prefix="proofroom-views") as ahead:
            start = self._position
            while table is not None:
                start += table.num_rows
                following = ahead.submit(read, start)
                yield table
                table = following.result()

    def _take(self, table: pa.Table, store: Store) -> None:
        position = self._position + table.num_rows
        root = _root_at(store, position)
        batch = Batch(self._connection, table)
        with self._transaction():
            self._connection.execute(f"SET VARIABLE {FIRST_INDEX} = ?", [self._position])
            for projection in PROJECTIONS:
                projection.apply(batch)
            self._connection.execute("UPDATE read_models SET position = ?, root = ?", [position, root])
        self._connection.unregister(BATCH)
        self._position, self._root = position, root

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
            self._connection.commit()
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._connection.rollback()
            raise

    # --- the rest

    def _row(self, query: str) -> tuple[int, str]:
        row = self._connection.execute(query).fetchone()
        if row is None:
            raise NotALedger(path=self._path, why="its table read_models is empty")
        return row[0], row[-1]

    def _check_open(self) -> None:
        if self._closed:
            raise Closed()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """What DuckDB reports, as ours."""
        try:
            yield
        except duckdb.Error as e:
            raise _explain(self._path, str(e).strip()) from e


def to_arrow(page: Sequence[Scanned]) -> pa.Table:
    """Entries as the projections take them."""
    indexes, times, topics, states = zip(*page, strict=True)
    ids = [hashing.tagged(statement_id(topic, state)) for _, _, topic, state in page]
    return pa.table(
        {
            "entry_index": pa.array(indexes, pa.int64()),
            "recorded_at_ms": pa.array(times, pa.int64()),
            "kind": pa.array([_KIND_OF.get(topic, topic) for topic in topics], pa.string()),
            "statement_id": pa.array(ids, pa.string()),
            "payload": pa.array(states, pa.string()),
        }
    )


def _root_at(store: Store, size: int) -> str:
    peaks = tuple(store.node(*peak) for peak in merkle.peaks_of(size))
    return merkle.root(merkle.Tree(size, peaks)).hex()


_REASONS: tuple[tuple[str, type[StoreUnavailable]], ...] = (
    ("Could not set lock", ViewsLocked),
    ("not a valid DuckDB database", NotALedger),
    ("Permission denied", StoreReadOnly),
    ("read-only", StoreReadOnly),
    ("No space left", StoreFull),
)


def _explain(path: str, why: str) -> StoreUnavailable:
    error = next((error for part, error in _REASONS if part in why), StoreUnavailable)
    return error(path=path, why=why)
