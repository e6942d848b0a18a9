"""The tables in a file of read models: made, recognised, made anew when another wording made them.

Whatever is dropped here comes back from the log. Only a file of a newer release is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from proofroom.domain import merkle
from proofroom.domain.errors import NotALedger, StoreUnavailable
from proofroom.projections import PROJECTIONS
from proofroom.projections.base import Projection, Table, View, quoted
from proofroom.projections.progress import LAYOUT, PROGRESS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EMPTY_ROOT = merkle.root(merkle.Tree()).hex()
"""Root of a log without entries."""


class ViewsTooNew(
    StoreUnavailable,
    code="views-too-new",
    advice="use the newer release, or delete the file: it is made anew from the log",
):
    """The read models were made by a newer release."""


def open_tables(connection: DuckDBPyConnection, path: str) -> None:
    """Make the tables; in a file that has some, make anew those that this release makes otherwise. In the caller's transaction.

    Raises:
        NotALedger: it is a database of something else.
        ViewsTooNew: a newer release made it.
    """
    names = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if "file_layout" not in names:
        if names and "read_models" not in names:  # the first layout had a table of this name
            raise NotALedger(path=path, why="it is a DuckDB file of something else")
        if names:
            _drop_all(connection)
        _make_all(connection)
        return
    row = connection.execute("SELECT version FROM file_layout").fetchone()
    if row is None:
        raise NotALedger(path=path, why="its table file_layout is empty")
    if row[0] > LAYOUT:
        raise ViewsTooNew(path=path, why=f"its books are of version {row[0]}, this release knows {LAYOUT}")
    if row[0] < LAYOUT:
        _drop_all(connection)
        _make_all(connection)
        return
    stale = _stale(connection, path)
    if stale:
        reset(connection, stale)


def reset(connection: DuckDBPyConnection, projections: Iterable[Projection]) -> None:
    """Make these projections anew, empty, at position 0. In the caller's transaction."""
    _drop_derived(connection)
    _make(connection, projections)


def _make(connection: DuckDBPyConnection, projections: Iterable[Projection]) -> None:
    for projection in projections:
        for table in projection.tables:
            connection.execute(f"DROP TABLE IF EXISTS {table.name}")
        connection.execute("DELETE FROM dead_letters WHERE projection = ?", [projection.name])
        connection.execute("DELETE FROM projections WHERE name = ?", [projection.name])
        row = [projection.name, projection.version, projection.fingerprint, [r.what for r in projection.relations]]
        connection.execute("INSERT INTO projections VALUES (?, ?, ?, ?, 0, ?, 0)", [*row, EMPTY_ROOT])
        for table in projection.tables:
            _create(connection, table.statements())
    for projection in PROJECTIONS:
        for relation in projection.relations:
            if not isinstance(relation, Table):
                _create(connection, relation.statements())
    _inherit_comments(connection)


def _inherit_comments(connection: DuckDBPyConnection) -> None:
    """A view's columns that say nothing themselves mean what they mean in the table that is named first in the view."""
    query = "SELECT table_name, column_name, coalesce(comment, '') FROM duckdb_columns() WHERE NOT internal"
    comments = {(table, column): comment for table, column, comment in connection.execute(query).fetchall()}
    for relation in (relation for projection in PROJECTIONS for relation in projection.relations):
        if not isinstance(relation, View):
            continue
        words = re.findall(r"\w+", relation.sql)
        for column in [c for (table, c), comment in comments.items() if table == relation.name and not comment]:
            for source in [*words, *(table for table, _ in comments)]:
                if comment := comments.get((source, column)):
                    comments[relation.name, column] = comment
                    connection.execute(f"COMMENT ON COLUMN {relation.name}.{column} IS {quoted(comment)}")
                    break


def _stale(connection: DuckDBPyConnection, path: str) -> list[Projection]:
    """The projections that are to be made anew. What no projection of this release makes is dropped."""
    query = "SELECT name, version, fingerprint, relations FROM projections"
    found = {row[0]: row[1:] for row in connection.execute(query).fetchall()}
    known = {projection.name: projection for projection in PROJECTIONS}
    stale = []
    for projection in PROJECTIONS:
        version, fingerprint, _ = found.get(projection.name, (0, "", []))
        if version > projection.version:
            why = f"its projection {projection.name} is of version {version}, this release knows {projection.version}"
            raise ViewsTooNew(path=path, why=why)
        if fingerprint != projection.fingerprint:
            stale.append(projection)
    ours = {table.name for projection in PROJECTIONS for table in projection.tables}
    for name, (_, _, relations) in found.items():
        if name not in known or known[name] in stale:
            gone = [what for what in relations if what.startswith("TABLE ") and what.removeprefix("TABLE ") not in ours]
            _create(connection, [f"DROP TABLE IF EXISTS {what.removeprefix('TABLE ')}" for what in gone])
        if name not in known:
            connection.execute("DELETE FROM projections WHERE name = ?", [name])
            connection.execute("DELETE FROM dead_letters WHERE projection = ?", [name])
    return stale


def _make_all(connection: DuckDBPyConnection) -> None:
    # There is nothing to optimise in a thousand statements that make tables and comments: it is a quarter of their time.
    connection.execute("PRAGMA disable_optimizer")
    for relation in PROGRESS:
        _create(connection, relation.statements())
    connection.execute("INSERT INTO file_layout VALUES (?)", [LAYOUT])
    _make(connection, PROJECTIONS)
    connection.execute("PRAGMA enable_optimizer")


def _drop_all(connection: DuckDBPyConnection) -> None:
    _drop_derived(connection, ours_only=False)
    for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        connection.execute(f'DROP TABLE "{name}"')


def _drop_derived(connection: DuckDBPyConnection, *, ours_only: bool = True) -> None:
    """Drop views and macros, but for those of the file's own books: what they look at may change under them."""
    keep = {relation.name for relation in PROGRESS} if ours_only else set[str]()
    found = connection.execute(
        """
        SELECT 'MACRO TABLE', function_name FROM duckdb_functions() WHERE NOT internal
        UNION ALL SELECT 'VIEW', view_name FROM duckdb_views() WHERE NOT internal
        """
    ).fetchall()
    for what, name in found:
        if name not in keep:
            connection.execute(f'DROP {what} "{name}"')


def _create(connection: DuckDBPyConnection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)
