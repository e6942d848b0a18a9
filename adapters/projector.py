"""The projector: takes entries from a log into the tables of the read models, in pages, exactly once.

The rows that a page makes and the new positions go into one transaction, so that a crash at any point leaves whole pages. Each projection
has a position of its own. Those that stand at the same place go on together; one that meets an entry it cannot take in stops before it,
which ``dead_letters`` says, and the others go on.

It pulls: at most one page is read ahead, so that memory does not grow with what there is to catch up with.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import pyarrow as pa

from proofroom.adapters.schema import EMPTY_ROOT, reset
from proofroom.adapters.stores import Scanned, Store
from proofroom.adapters.tracking import DuckDBTrackingRecorder
from proofroom.domain import hashing, merkle
from proofroom.domain.envelope import statement_id
from proofroom.domain.errors import HistoryChanged
from proofroom.domain.statements import KINDS
from proofroom.projections import PROJECTIONS
from proofroom.projections.base import BATCH, FIRST_INDEX, Batch, Projection

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAGE = 5_000
"""Entries that one transaction takes in."""

CHUNK = 2_500
"""Entries that one thread of DuckDB decodes at once."""

POISON = (duckdb.DataError, duckdb.IntegrityError, duckdb.ProgrammingError, duckdb.NotSupportedError)
"""What DuckDB raises over an entry's content. All else is the machine's fault, and is not held against the entry."""

_KIND_OF = {payload_type: statement.kind for payload_type, statement in KINDS.items()}


class DeadLetter(NamedTuple):
    """An entry that a projection cannot take in."""

    projection: str
    entry_index: int
    why: str


class Group(NamedTuple):
    """Projections that stand at the same place, and how far they go on together: at most to where another one stands."""

    projections: list[Projection]
    start: int
    stop: int


class Projector:
    """Writes to the tables; whoever holds it sees to it that one thread at a time does.

    Args:
        connection: to a database whose tables are those of this release.
        page: entries that one transaction takes in.
    """

    def __init__(self, connection: DuckDBPyConnection, *, page: int = PAGE) -> None:
        self._connection = connection
        self._tracking = DuckDBTrackingRecorder(connection)
        self._page = page
        self._load()

    def _load(self) -> None:
        rows = self._connection.execute("SELECT name, position, root FROM projections").fetchall()
        self.positions: dict[str, int] = {name: position for name, position, _ in rows}
        """How far each projection is."""
        self._roots: dict[str, str] = {name: root for name, _, root in rows}
        letters = self._connection.execute("SELECT projection, entry_index, why FROM dead_letters").fetchall()
        self.stopped: dict[str, DeadLetter] = {row[0]: DeadLetter(*row) for row in letters}
        """The projections that wait before an entry they cannot take in."""

    def position(self, names: Collection[str] = ()) -> int:
        """How far all of these are (of all projections, those that are not stopped)."""
        wanted = names or [n for n in self.positions if n not in self.stopped] or self.positions
        return min(self.positions[name] for name in wanted)

    def catch_up(self, store: Store, *, names: Collection[str] = (), until: int | None = None) -> Iterator[int]:
        """Take in what the log holds now; gives the number of entries of each page after it was committed.

        Args:
            store: the log.
            names: only these projections; all when empty.
            until: only entries before this index.

        Raises:
            HistoryChanged: the log has a gap, or an entry that is no text.
        """
        self._start_over(store)
        size = store.size() if until is None else min(until, store.size())
        chosen = [p for p in PROJECTIONS if not names or p.name in names]
        for projection in chosen:
            if projection.name in self.stopped and self.positions[projection.name] < size:
                self._try_again(projection, store)
        while group := self._next_group(chosen, size):
            for page in self._pages(store, group):
                self._take(group.projections, page, store)
                yield page.num_rows
                if any(projection.name in self.stopped for projection in group.projections):
                    break

    def reset(self, projections: Sequence[Projection]) -> None:
        """Make these anew, empty."""
        with self.transaction():
            reset(self._connection, projections)
        self._load()

    def adopt(self, projection: Projection, source: DuckDBPyConnection) -> None:
        """Put the tables and the position that another database has in place of a projection's own."""
        query = "SELECT position, root, log_size FROM projections WHERE name = ?"
        (place,) = source.execute(query, [projection.name]).fetchall()
        with self.transaction():
            reset(self._connection, [projection])
            for table in projection.tables:
                # The rows flow through Arrow: a query of ours may open no other file.
                self._connection.register(BATCH, source.sql(f"FROM {table.name}").to_arrow_reader(PAGE))
                self._connection.execute(f"INSERT INTO {table.name} FROM {BATCH}")
                self._connection.unregister(BATCH)
            query = "UPDATE projections SET position = ?, root = ?, log_size = ? WHERE name = ?"
            self._connection.execute(query, [*place, projection.name])
        self._load()

    # --- where to go on

    def _start_over(self, store: Store) -> None:
        """Read models of another log, or of one that was cut short or rewritten since, hold nothing that is in this one."""
        size = store.size()
        roots = {position: root_at(store, position) for position in set(self.positions.values()) if position <= size}
        strange = [p for p in PROJECTIONS if roots.get(self.positions[p.name]) != self._roots[p.name]]
        if strange:
            self.reset(strange)

    def _next_group(self, chosen: list[Projection], size: int) -> Group | None:
        """Those that are furthest behind."""
        running = [p for p in chosen if p.name not in self.stopped and self.positions[p.name] < size]
        if not running:
            return None
        start = min(self.positions[p.name] for p in running)
        group = [p for p in running if self.positions[p.name] == start]
        stop = min([self.positions[p.name] for p in running if self.positions[p.name] > start], default=size)
        return Group(group, start, stop)

    def _try_again(self, projection: Projection, store: Store) -> None:
        """Whether the entry that stopped it can be taken in now."""
        page = self._read(store, self.positions[projection.name], 1)
        self._take([projection], page, store)

    # --- reading

    def _pages(self, store: Store, group: Group) -> Iterator[pa.Table]:
        """The group's entries, page by page; the next page is read and hashed while DuckDB works on the last."""
        starts = range(group.start, group.stop, self._page)
        if len(starts) == 1:
            yield self._read(store, group.start, group.stop - group.start)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="proofroom-views") as ahead:
            following = ahead.submit(self._read, store, group.start, min(self._page, group.stop - group.start))
            for start in starts[1:]:
                page = following.result()
                following = ahead.submit(self._read, store, start, min(self._page, group.stop - start))
                yield page
            yield following.result()

    def _read(self, store: Store, start: int, count: int) -> pa.Table:
        page = store.scan(start, count)
        found = {row[0] for row in page}
        missing = next((index for index in range(start, start + count) if index not in found), None)
        if missing is not None:
            raise HistoryChanged(size=store.size(), why=f"entry {missing} is missing")
        try:
            return to_arrow(page)
        except (pa.ArrowInvalid, UnicodeDecodeError) as e:
            raise HistoryChanged(size=store.size(), why=f"an entry from {start} on is no text: {e}") from None

    # --- writing

    def _take(self, projections: list[Projection], page: pa.Table, store: Store) -> None:
        """One page, in one transaction for all of them; where an entry resists, for each by itself."""
        try:
            self._commit(projections, page, store)
        except POISON as e:
            if len(projections) > 1:
                for projection in projections:
                    self._take([projection], page, store)
            elif page.num_rows > 1:
                half = page.num_rows // 2
                self._take(projections, page.slice(0, half), store)
                if projections[0].name not in self.stopped:
                    self._take(projections, page.slice(half), store)
            else:
                self._set_aside(projections[0], page, str(e).strip())

    def _commit(self, projections: list[Projection], page: pa.Table, store: Store) -> None:
        names = [projection.name for projection in projections]
        start = page["entry_index"][0].as_py()
        position = start + page.num_rows
        root = root_at(store, position)
        healed = [name for name in names if name in self.stopped]
        batch = Batch(self._connection, page)
        try:
            with self.transaction():
                self._connection.execute(f"SET VARIABLE {FIRST_INDEX} = ?", [start])
                for projection in projections:
                    projection.apply(batch)
                self._tracking.advance(names, start, position, root, store.size())
                if healed:
                    self._connection.execute("DELETE FROM dead_letters WHERE list_contains(?, projection)", [healed])
        finally:
            self._connection.unregister(BATCH)
        for name in names:
            self.positions[name], self._roots[name] = position, root
            self.stopped.pop(name, None)

    def _set_aside(self, projection: Projection, page: pa.Table, why: str) -> None:
        """Say which entry stops this projection, and why."""
        entry = page.to_pylist()[0]
        letter = DeadLetter(projection.name, entry["entry_index"], why)
        if self.stopped.get(projection.name) == letter:
            return
        row = [letter.projection, letter.entry_index, entry["kind"], entry["statement_id"], letter.why]
        with self.transaction():
            self._connection.execute("DELETE FROM dead_letters WHERE projection = ?", [projection.name])
            self._connection.execute("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?)", row)
        self.stopped[projection.name] = letter

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self._connection.begin()
        try:
            yield
            self._connection.commit()
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._connection.rollback()
            raise


def to_arrow(page: Sequence[Scanned]) -> pa.Table:
    """Entries as the projections take them.

    Raises:
        pyarrow.ArrowInvalid: a payload is no text.
    """
    indexes, times, topics, states = zip(*page, strict=True)
    ids = [hashing.tagged(statement_id(topic, state)).encode() for _, _, topic, state in page]
    columns = {
        "entry_index": _integers(indexes),
        "recorded_at_ms": _integers(times),
        "kind": _texts([_KIND_OF.get(topic, topic).encode() for topic in topics]),
        "statement_id": _texts(ids),
        "payload": _texts(states),
    }
    return pa.Table.from_batches(pa.table(columns).to_batches(max_chunksize=CHUNK))


# Arrow's own pa.array() loads pandas, where there is one, before it looks at the first value: half a second.


def _integers(values: Sequence[int]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values))])


def _texts(values: Sequence[bytes]) -> pa.Array:
    offsets = array("q", accumulate(map(len, values), initial=0))
    texts = pa.LargeStringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(values)))
    texts.validate(full=True)
    return texts


def root_at(store: Store, size: int) -> str:
    """The root of the log's tree at this size, in hex."""
    if size == 0:
        return EMPTY_ROOT
    peaks = tuple(store.node(*peak) for peak in merkle.peaks_of(size))
    return merkle.root(merkle.Tree(size, peaks)).hex()
