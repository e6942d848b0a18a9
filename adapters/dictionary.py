"""The data dictionary: every table, view and macro with its columns and their meaning, written from the catalogue.

``python -m proofroom.adapters.dictionary FILE`` (``make dictionary``) writes ``docs/data-dictionary.md``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb

from proofroom.adapters.schema import open_tables
from proofroom.domain.errors import NoSuchEntry
from proofroom.projections import PROJECTIONS
from proofroom.projections.base import Macro, Table, View
from proofroom.projections.progress import PROGRESS

_HEAD = """\
# Data dictionary

What `proofroom sql`, `Ledger.sql()` and the published copies can be asked. Written from the comments of the catalogue by `make dictionary`;
`.explain NAME` in `proofroom sql` shows the same. `docs/questions.md` has examples.

- Amounts are `DECIMAL(38,0)` base units (1 CERE = 10^10), ratios integers of 10^18ths, times UTC.
- Every row of a table names the entry that made it (`entry_index`, in counters `last_index`); views name the entries that they combine.
- Sets of positions in a batch are bitmaps, as they were signed, lowest bit first; DuckDB counts from the highest. Whether position `p` is
  in one: `get_bit(agree::BIT, (p + 7 - 2 * (p % 8))::INTEGER) = 1`.
- Tables are only ever added to, but for counters. A view is a query by name; a macro is one with arguments: `SELECT * FROM balances(1000)`.
"""


class Column(NamedTuple):
    """A column as the catalogue has it."""

    name: str
    type: str
    comment: str


class Page(NamedTuple):
    """A table, view or macro."""

    projection: str
    what: str
    name: str
    arguments: str
    comment: str
    columns: list[Column]


def pages() -> Iterator[Page]:
    """All of the catalogue, in the order in which it is made."""
    with duckdb.connect() as connection:
        open_tables(connection, ":memory:")
        groups = [*((p.name, p.relations) for p in PROJECTIONS), ("progress", PROGRESS)]
        for projection, relations in groups:
            for relation in relations:
                yield _page(connection, projection, relation)


def describe(name: str) -> str:
    """What a table, view or macro means, for a person at a prompt.

    Raises:
        NoSuchEntry: nothing has this name.
    """
    found = [page for page in pages() if page.name == name.lower()]
    if not found:
        raise NoSuchEntry(what=f"table, view or macro {name}")
    return "\n".join(_text(page) for page in found)


def markdown() -> str:
    """The whole dictionary."""
    parts, last = [_HEAD], ""
    for page in pages():
        if page.projection != last:
            parts.append(f"## {page.projection}\n")
            last = page.projection
        call = f"{page.name}({page.arguments})" if page.what == "macro" else page.name
        parts.append(f"### {call} ({page.what})\n\n{page.comment}\n")
        rows = [f"| `{c.name}` | {c.type} | {c.comment.replace('|', chr(92) + '|')} |" for c in page.columns]
        parts.append("\n".join(["| column | type | meaning |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _page(connection: duckdb.DuckDBPyConnection, projection: str, relation: Table | View | Macro) -> Page:
    if isinstance(relation, Macro):
        nothing = ", ".join("NULL" for _ in relation.arguments.split(","))
        described = connection.execute(f"DESCRIBE FROM {relation.name}({nothing})").fetchall()
        known = _comments(connection, relation.sql) | relation.meanings
        columns = [Column(name, kind, known.get(name, "")) for name, kind, *_ in described]
        return Page(projection, "macro", relation.name, relation.arguments, relation.comment, columns)
    found = connection.execute(
        "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
        [relation.name],
    ).fetchall()
    what = "table" if isinstance(relation, Table) else "view"
    return Page(projection, what, relation.name, "", relation.comment, [Column(*row) for row in found])


def _comments(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """What columns mean in the relation that a query names first, of those that have them."""
    query = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal AND comment <> ''"
    found, words = connection.execute(query).fetchall(), re.findall(r"\w+", sql)
    first = {word: -place for place, word in reversed(list(enumerate(words)))}
    named = sorted((first[table], column, comment) for table, column, comment in found if table in first)
    return {column: comment for _, column, comment in named}  # the first comes last, and stays


def _text(page: Page) -> str:
    width = max(len(column.name) for column in page.columns)
    lines = [f"  {c.name.ljust(width)}  {c.type.ljust(13)}  {c.comment}" for c in page.columns]
    call = f"{page.name}({page.arguments})" if page.arguments else page.name
    return "\n".join([f"{page.what} {call}: {page.comment}", *lines])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown())
