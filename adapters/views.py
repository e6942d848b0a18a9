"""The read models' file: brings :mod:`proofroom.projections` up to date with a log, and answers SQL.

Only the log is the truth: read models of an older version, or of a log that is not the one given, are built anew without asking.

A file admits one process, which is DuckDB's rule. A ledger that is opened for reading only keeps its read models in memory.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection, DuckDBPyRelation, StatementType

from proofroom.adapters.files import is_text
from proofroom.adapters.projector import PAGE, DeadLetter, Projector
from proofroom.adapters.query import check_text, projections_of
from proofroom.adapters.relation import Relation
from proofroom.adapters.schema import ViewsTooNew, open_tables
from proofroom.adapters.stores import Store
from proofroom.domain.consent import GrantStatus
from proofroom.domain.errors import (
    BadInput,
    Closed,
    NoSuchEntry,
    NotALedger,
    QueryFailed,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
    Unavailable,
)
from proofroom.domain.ids import KeyId
from proofroom.projections import PROJECTIONS
from proofroom.projections.base import Projection
from proofroom.projections.consent import grant_status

__all__ = ["PAGE", "ProjectionBehind", "ProjectionStopped", "Views", "ViewsLocked", "ViewsTooNew"]

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "TimeZone": "UTC",
    "python_enable_replacements": False,  # a name in SQL is a table, never a variable of the host
    "autoinstall_known_extensions": False,  # a query downloads nothing
    "checkpoint_threshold": "128MB",  # a bulk load writes its file in few large steps
}

MEMORY = "640MB"
"""What DuckDB takes for a file before it spills to disk, so that a log of any length can be taken in."""

BUSY_SECONDS = 0.01
"""How often it is tried to close what another thread uses."""

_QUERIES = {StatementType.SELECT, StatementType.EXPLAIN, StatementType.PRAGMA, StatementType.MULTI}
"""Statements that a user may send; ``MULTI`` is what PIVOT becomes. The read-only transaction around them is what protects the tables."""


class ViewsLocked(
    StoreLocked,
    code="views-locked",
    advice="DuckDB admits one process to a file, and a process one ledger: close or use the other, or open this one read-only",
):
    """Another process, or another ledger of this one, has the read models' file open."""


class ProjectionStopped(
    Unavailable,
    code="projection-stopped",
    message="the tables of {projection} end before entry {entry_index}, which they cannot take in: {why}",
    advice="see dead_letters; tables of other projections answer. `proofroom rebuild` with a release that mends it",
):
    """A query or a caller asked for tables of a projection that waits before an entry it cannot take in."""

    projection: str
    entry_index: int
    why: str


class ProjectionBehind(
    Unavailable,
    code="projection-behind",
    message="the tables of {projection} are at {position}, not at {wanted}",
    advice="project the rest of the log, or wait",
):
    """Tables that are not as far as was asked for."""

    projection: str
    position: int
    wanted: int


class Views:
    """Read models of one log, in a file or in memory. Safe to use from several threads.

    Args:
        path: the file, made when it is not there; None keeps the read models in memory.
        page: entries that one transaction takes in.

    Raises:
        ViewsLocked: another process has the file open.
        ViewsTooNew: a newer release made it.
        NotALedger: the file is something else.
        BadInput: its name is no text in UTF-8.
        StoreUnavailable: it cannot be opened.
    """

    def __init__(self, path: Path | None, *, page: int = PAGE) -> None:
        if path is not None and not is_text(path):
            raise BadInput(path=str(path), why="DuckDB takes only names in UTF-8")
        if path is not None and path.exists() and not path.is_file():  # a pipe would be waited for
            raise NotALedger(path=str(path), why="it is no file")
        self.path = path
        self._writing = threading.RLock()
        self._moved = threading.Condition()
        self._closed, self._process = False, os.getpid()
        with self._errors():
            settings = _SETTINGS | ({} if path is None else {"memory_limit": MEMORY})
            self._connection = duckdb.connect(str(path or ":memory:"), config=settings)
        try:
            with self._errors():
                # A query reads the tables and nothing else: not the keys beside them, and no file is written by one.
                self._connection.execute("SET enable_external_access = false")
                self._connection.begin()
                open_tables(self._connection, str(path or ":memory:"))
                self._connection.commit()
                self._connection.execute("SET lock_configuration = true")
                self._projector = Projector(self._connection.cursor(), page=page)
        except BaseException:
            self._connection.close()
            raise

    # --- how far

    @property
    def position(self) -> int:
        """The number of entries that every projection has taken in, but for those that stopped."""
        return self._projector.position()

    @property
    def positions(self) -> dict[str, int]:
        """How far each projection is."""
        return dict(self._projector.positions)

    @property
    def stopped(self) -> list[DeadLetter]:
        """The projections that wait before an entry they cannot take in."""
        return sorted(self._projector.stopped.values())

    def project(
        self,
        store: Store,
        progress: Callable[[int], object] | None = None,
        *,
        names: Collection[str] = (),
        until: int | None = None,
    ) -> int:
        """Take in all that is new in a log; returns the number of entries.

        Read models of another log, or of one that was cut short or rewritten since, are dropped and made anew: they hold nothing that is
        not in the log, and it is not for them to say which log is right. An entry that a projection cannot take in stops that projection
        and is reported in :attr:`stopped` and in the table ``dead_letters``; it is tried again each time.

        Args:
            store: the log.
            progress: called with the position after each page.
            names: only these projections; all when empty.
            until: only entries before this index.

        Raises:
            HistoryChanged: the log has a gap.
            BadInput: there is no projection of such a name.
            StoreUnavailable: the log cannot be read, or the file not be written; whole pages are kept.
        """
        projections_named(names)
        taken = 0
        with self._writing, self._errors():
            self._check_open()
            for count in self._projector.catch_up(store, names=names, until=until):
                taken += count
                with self._moved:
                    self._moved.notify_all()
                if progress is not None:
                    progress(self._projector.position(names))
        return taken

    def wait_for(self, position: int, *, names: Collection[str] = (), timeout: float = 10.0) -> None:
        """Wait until another thread has brought these projections (all, when empty) to a position: read what you wrote.

        Raises:
            ProjectionStopped: one of them waits before an entry it cannot take in.
            ProjectionBehind: they were not there in time.
        """
        deadline = time.monotonic() + timeout
        wanted = [p.name for p in projections_named(names)]
        with self._moved:
            while late := [name for name in wanted if self._projector.positions[name] < position]:
                self._check_open()
                for name in late:
                    if letter := self._projector.stopped.get(name):
                        raise ProjectionStopped(*letter)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ProjectionBehind(late[0], self._projector.positions[late[0]], position)
                self._moved.wait(left)

    # --- questions

    def sql(self, query: str) -> DuckDBPyRelation:
        """One query over the read models, as a DuckDB relation. It sees them as they are now, however late it is fetched.

        Faults that show only while rows are fetched, such as a division by zero, are DuckDB's own errors.

        Raises:
            QueryFailed: it is not one query, or DuckDB refused it.
            ProjectionStopped: it asks for tables of a projection that stopped.
            ProjectionBehind: it asks for tables of projections that stand at different places.
        """
        check_text(query)
        cursor = self._cursor()
        try:
            kinds = [statement.type for statement in cursor.extract_statements(query)]
            if len(kinds) != 1 or kinds[0] not in _QUERIES:
                raise QueryFailed(why="send one SELECT; the read models follow the log and nothing else")
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            self._check_even(cursor, query)
            relation = cursor.sql(query)
        except duckdb.Error as e:
            self._check_open()  # it may be closed by now
            raise QueryFailed(why=str(e).strip()) from None
        if relation is None:
            raise QueryFailed(why="the statement has no result")
        return Relation.of(relation)

    def _check_even(self, cursor: DuckDBPyConnection, query: str) -> None:
        """All that a query looks at is to be of one moment, by what its own transaction sees."""
        rows = cursor.execute("SELECT projection, position, status, stopped_index, why FROM read_models").fetchall()
        if len({position for _, position, *_ in rows}) == 1 and all(status != "stopped" for _, _, status, *_ in rows):
            return
        asked = projections_of(cursor, query)
        places = {}
        for name, position, status, index, why in sorted(rows):
            if name in asked:
                if status == "stopped":
                    raise ProjectionStopped(name, index, why)
                places[name] = position
        if len(set(places.values())) > 1:
            last = min(places, key=places.__getitem__)
            raise ProjectionBehind(last, places[last], max(places.values()))

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
        with self._errors():
            cursor, position = self._cursor(), self._projector.position(["log", "consent"])
            if index is None:
                index = position - 1
            elif not 0 <= index < position:
                raise NoSuchEntry(what=f"entry {index}")
            if at_ms is None:
                row = cursor.execute("SELECT recorded_at_ms FROM log WHERE entry_index = ?", [index]).fetchone()
                at_ms = row[0] if row else 0
            return grant_status(cursor, user, agent, at_ms=at_ms, last_index=index)

    # --- for a rebuild

    @contextlib.contextmanager
    def held(self) -> Iterator[DuckDBPyConnection]:
        """A connection to the tables while nothing is taken in by another thread."""
        with self._writing:
            yield self._cursor()

    def adopt(self, projection: Projection, source: DuckDBPyConnection) -> None:
        """Put the tables of other read models in place of a projection's own, in one transaction."""
        with self._writing, self._errors():
            self._check_open()
            self._projector.adopt(projection, source)

    # --- the rest

    def close(self) -> None:
        """Wait for what is under way in other threads, then let go of the file. Relations that were given out end with it."""
        if os.getpid() != self._process:
            return  # DuckDB's threads are the parent's, and are waited for in vain
        self._closed = True
        with self._writing:
            while True:
                try:
                    self._connection.close()
                    return
                except duckdb.ResourceInUseException:  # a query of another thread, which is waited for
                    time.sleep(BUSY_SECONDS)

    def _cursor(self) -> DuckDBPyConnection:
        self._check_open()
        with self._errors():
            return self._connection.cursor()

    def _check_open(self) -> None:
        if self._closed or os.getpid() != self._process:
            raise Closed()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """What DuckDB reports, as ours."""
        try:
            yield
        except duckdb.Error as e:
            self._check_open()
            raise explained(str(self.path or ":memory:"), str(e).strip()) from e


def projections_named(names: Collection[str]) -> list[Projection]:
    """The projections of these names; all when there are none.

    Raises:
        BadInput: there is no projection of such a name.
    """
    known = {projection.name: projection for projection in PROJECTIONS}
    for name in names:
        if name not in known:
            raise BadInput(path=name, why=f"no projection has this name; there are {', '.join(known)}")
    return [projection for projection in PROJECTIONS if not names or projection.name in names]


_REASONS: tuple[tuple[str, type[StoreUnavailable]], ...] = (
    ("Could not set lock", ViewsLocked),
    ("not a valid DuckDB database", NotALedger),
    ("Could not read enough bytes", NotALedger),
    ("Failure while replaying WAL", NotALedger),
    ("Permission denied", StoreReadOnly),
    ("read-only", StoreReadOnly),
    ("No space left", StoreFull),
)


def explained(path: str, why: str) -> StoreUnavailable:
    """What DuckDB says of a file, as our error."""
    if "configuration has been locked" in why:  # DuckDB gives whoever asks within a process what is open already
        return ViewsLocked(path=path, why="another ledger of this process has it open")
    error = next((error for part, error in _REASONS if part in why), StoreUnavailable)
    mended = "; read models can be deleted, they are made anew from the log" if error is NotALedger else ""
    return error(path=path, why=why + mended)
