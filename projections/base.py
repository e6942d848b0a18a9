"""What a read model is made of: tables, views and macros written as SQL, and the steps that feed the tables.

A table is written as its columns, one a line, each with its meaning behind ``--``; the meanings become comments of the catalogue, so
that a stranger finds their way with ``duckdb_columns()``. A step is one ``INSERT INTO .. SELECT`` over ``batch``, which holds the new
entries of the step's kinds: JSON is decoded by DuckDB, never row by row in Python.

A step may also look at rows that were added in the same batch, ``WHERE entry_index >= getvariable('first_index')``, but never at all
of a table that grows, so that a batch costs what it adds and not what is there. It looks at tables of its own projection only: each
projection goes on at its own pace, and one that stops stops alone. Views and macros may look at all that was made before them.

To add a table, a view or a macro: write it into the list of its projection, and the step that feeds it. Files made by another wording
are noticed by the projection's fingerprint and made anew; ``make dictionary`` writes its comments into ``docs/data-dictionary.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from proofroom.domain import hashing

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH = "batch"
"""The name under which a step finds the new entries of its kinds: ``entry_index BIGINT, recorded_at_ms BIGINT, kind VARCHAR,
statement_id VARCHAR, payload VARCHAR``, rising by index."""

FIRST_INDEX = "first_index"
"""The variable that holds the index of the first new entry."""

MANY_RUNS = 32
"""Runs of neighbouring entries above which they are copied together: DuckDB reads a table run by run."""


class Table(NamedTuple):
    """Rows that are only ever added. ``columns`` is SQL, one column a line, each ending in ``-- its meaning``."""

    name: str
    comment: str
    columns: str

    @property
    def what(self) -> str:
        """What ``DROP`` takes to remove it."""
        return f"TABLE {self.name}"

    def statements(self) -> Iterator[str]:
        """The SQL that makes it, with its comments."""
        columns = [_column(line) for line in _lines(self.columns)]
        body = ",\n    ".join(definition for definition, _ in columns)
        yield f"CREATE TABLE {self.name} (\n    {body}\n)"
        yield f"COMMENT ON TABLE {self.name} IS {quoted(self.comment)}"
        for definition, comment in columns:
            yield f"COMMENT ON COLUMN {self.name}.{definition.split()[0]} IS {quoted(comment)}"


class View(NamedTuple):
    """A query by name. ``columns`` names what is not a column of a table already commented: ``name -- its meaning``, one a line."""

    name: str
    comment: str
    columns: str
    sql: str

    @property
    def what(self) -> str:
        """What ``DROP`` takes to remove it."""
        return f"VIEW {self.name}"

    def statements(self) -> Iterator[str]:
        """The SQL that makes it, with its comments."""
        yield f"CREATE VIEW {self.name} AS {self.sql}"
        yield f"COMMENT ON VIEW {self.name} IS {quoted(self.comment)}"
        for name, comment in map(_column, _lines(self.columns)):
            yield f"COMMENT ON COLUMN {self.name}.{name} IS {quoted(comment)}"


class Macro(NamedTuple):
    """A query with arguments: ``SELECT * FROM name(arguments)``. ``columns`` is as in a view; the catalogue has no place for it."""

    name: str
    comment: str
    arguments: str
    sql: str
    columns: str = ""

    @property
    def what(self) -> str:
        """What ``DROP`` takes to remove it."""
        return f"MACRO TABLE {self.name}"

    @property
    def meanings(self) -> dict[str, str]:
        """Of its columns, where they are not those of a table."""
        return dict(map(_column, _lines(self.columns))) if self.columns else {}

    def statements(self) -> Iterator[str]:
        """The SQL that makes it, with its comment."""
        yield f"CREATE MACRO {self.name}({self.arguments}) AS TABLE {self.sql}"
        yield f"COMMENT ON MACRO TABLE {self.name} IS {quoted(self.comment)}"


class Batch:
    """New entries, shown to a connection kind by kind.

    Args:
        connection: which sees them as :data:`BATCH`.
        entries: an Arrow table with the columns of :data:`BATCH`.
    """

    def __init__(self, connection: DuckDBPyConnection, entries: pa.Table) -> None:
        self.connection = connection
        self._entries = entries
        self._shown: pa.Table | None = None
        self._places: dict[str, list[int]] = {}
        for place, kind in enumerate(entries["kind"].to_pylist()):
            self._places.setdefault(kind, []).append(place)
        self._of: dict[frozenset[str], pa.Table] = {}

    def show(self, kinds: frozenset[str]) -> bool:
        """Let the connection see the entries of these kinds, if there are any."""
        entries = self._select(kinds)
        if entries is not None and entries is not self._shown:
            self.connection.register(BATCH, entries)
            self._shown = entries
        return entries is not None

    def _select(self, kinds: frozenset[str]) -> pa.Table | None:
        if not kinds or kinds >= self._places.keys():
            return self._entries
        if kinds.isdisjoint(self._places):
            return None
        if kinds not in self._of:
            places = sorted(place for kind in kinds for place in self._places.get(kind, ()))
            begins = [i for i, place in enumerate(places) if i == 0 or place != places[i - 1] + 1]
            if len(begins) > MANY_RUNS:
                self._of[kinds] = self._entries.take(places)
            else:  # few runs of neighbours: no copy of the payloads
                ends = [*begins[1:], len(places)]
                runs = [self._entries.slice(places[i], j - i) for i, j in zip(begins, ends, strict=True)]
                self._of[kinds] = pa.concat_tables(runs)
        return self._of[kinds]


class Step(NamedTuple):
    """One statement of SQL over :data:`BATCH`, left out when nothing of its kinds is new. No kind means all of them."""

    kinds: frozenset[str]
    sql: str


def step(kinds: str, sql: str, columns: str = "") -> Step:
    """A step; its kinds are written with blanks between.

    With ``columns``, ``FROM fields`` in its SQL gives the new entries with some fields of their payloads as columns: one a line, its name,
    type, and path in the payload where that is not the name. No structure is built first as by ``from_json``: quicker for what fills a log.
    """
    return Step(frozenset(kinds.split()), sql.replace("FROM fields", f"FROM ({_fields(columns)})") if columns else sql)


def _fields(columns: str) -> str:
    paths, selected = [], []
    for place, line in enumerate(_lines(columns), 1):
        name, kind, *path = line.split()
        paths.append(quoted("$." + (path[0] if path else name)))
        selected.append(f"x[{place}] AS {name}" if kind == "VARCHAR" else f"x[{place}]::{kind} AS {name}")
    return f"""SELECT entry_index, recorded_at_ms, statement_id, {", ".join(selected)}
        FROM (SELECT *, json_extract_string(payload, [{", ".join(paths)}]) AS x FROM {BATCH})"""


class Projection(NamedTuple):
    """A group of relations that belong together, and how they are fed.

    ``version`` is raised by a release that changes it, so that an older release can say that a file is too new for it.
    """

    name: str
    relations: Sequence[Table | View | Macro]
    steps: Sequence[Step]
    version: int = 1

    @property
    def tables(self) -> list[Table]:
        """What it holds itself; views and macros follow from these."""
        return [relation for relation in self.relations if isinstance(relation, Table)]

    @property
    def fingerprint(self) -> str:
        """Digest of all its SQL: tables that were fed by any other wording are made anew, so that nobody has to think of it."""
        texts = [sql for relation in self.relations for sql in relation.statements()]
        texts += [" ".join(sorted(kinds)) + ": " + sql for kinds, sql in self.steps]
        return hashing.digest(hashing.PROJECTION, "\0".join(texts).encode()).hex()

    def create(self, connection: DuckDBPyConnection) -> None:
        """Make the relations, empty."""
        for relation in self.relations:
            for statement in relation.statements():
                connection.execute(statement)

    def apply(self, batch: Batch) -> None:
        """Take in a batch, within the caller's transaction."""
        for kinds, sql in self.steps:
            if batch.show(kinds):
                batch.connection.execute(sql)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _column(line: str) -> tuple[str, str]:
    definition, _, comment = line.partition("--")
    return definition.strip().rstrip(","), comment.strip()


def quoted(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"
