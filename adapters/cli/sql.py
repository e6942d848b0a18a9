"""``proofroom sql``."""

from __future__ import annotations

import csv
import datetime as dt
import math
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.options import json_option, open_views, room_option
from proofroom.adapters.cli.output import json_text, print_table
from proofroom.domain.errors import QueryFailed

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

PAGE = 1_000
"""Rows that are fetched at once; a table for a person shows no more than these."""

_WIDE = ("DECIMAL", "HUGEINT", "UHUGEINT", "BIGNUM")
"""Numbers that a reader of JSON may round: written as strings."""

_NUMBERS = (*_WIDE, "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "DOUBLE", "FLOAT")


@click.command(
    epilog="""\b
Examples:
  proofroom sql "SHOW TABLES"
  proofroom sql "SELECT * FROM balances ORDER BY balance DESC LIMIT 5"
  proofroom sql "SELECT * FROM records" --csv > records.csv
"""
)
@click.argument("query")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line (RFC 4180).")
@room_option
@json_option
def sql(query: str, as_csv: bool, room: Path, as_json: bool) -> None:
    """Ask the read models in SQL.

    QUERY is in the dialect of DuckDB; the tables are brought up to date first.

    A result that is wider than the terminal is shown as a block for each row. With --json one array of objects is printed; DECIMAL and
    128-bit integers, so all amounts, are strings in it, so that no reader rounds them.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    import duckdb

    with open_views(room) as ledger:
        try:
            rows = _Rows(ledger.sql(query))
        except duckdb.Error as e:  # found out only when the rows are computed
            raise QueryFailed(why=str(e)) from None
        if as_json:
            _print_json(rows)
        elif as_csv:
            _print_csv(rows)
        else:
            _print_table(rows)


class _Rows:
    """The rows of a relation, as they are computed. The first page is there at once, so that a query that fails prints nothing."""

    def __init__(self, relation: DuckDBPyRelation) -> None:
        self.columns, self.types = relation.columns, [str(t) for t in relation.types]
        self._rest = _with_zones_as_text(relation, self.columns, self.types).iter_rows(PAGE)
        self.first = list(islice(self._rest, PAGE))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        yield from self.first
        yield from self._rest

    def more(self) -> bool:
        """Whether there are rows beyond the first page."""
        return next(self._rest, None) is not None


def _with_zones_as_text(relation: DuckDBPyRelation, columns: list[str], types: list[str]) -> DuckDBPyRelation:
    """Times with a zone, written by DuckDB: its Python values would need another library."""
    if not any("TIME ZONE" in t for t in types):
        return relation
    parts = []
    for number, (name, kind) in enumerate(zip(columns, types, strict=True), 1):
        quoted = '"' + name.replace('"', '""') + '"'
        parts.append(f"CAST(#{number} AS VARCHAR) AS {quoted}" if "TIME ZONE" in kind else f"#{number}")
    return relation.project(", ".join(parts))


def _print_json(rows: _Rows) -> None:
    between = "[\n"
    names = _distinct(rows.columns)
    for row in rows:
        values = map(_value, row, rows.types)
        click.echo(between + json_text(dict(zip(names, values, strict=True)), indent=None), nl=False)
        between = ",\n"
    click.echo("[]" if between == "[\n" else "\n]")


def _distinct(columns: list[str]) -> list[str]:
    """Column names as keys of one object: the second ``x`` is ``x_2``."""
    names: list[str] = []
    for column in columns:
        number, name = 1, column
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return names


def _value(value: Any, kind: str) -> Any:
    """A value as JSON has it."""
    match value:
        case None | bool() | str():
            return value
        case Decimal():
            return str(value)
        case int():
            return str(value) if kind.startswith(_WIDE) else value
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes():
            return value.hex()
        case list() | tuple():
            return [_value(item, "") for item in value]
        case dict():
            return {str(key): _value(item, "") for key, item in value.items()}
        case dt.datetime():
            return value.isoformat()
        case _:
            return str(value)


def _print_csv(rows: _Rows) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\r\n")
    writer.writerow(rows.columns)
    writer.writerows(["" if v is None else _cell(v) for v in row] for row in rows)


def _print_table(rows: _Rows) -> None:
    cells = [["NULL" if v is None else _cell(v) for v in row] for row in rows.first]
    print_table(rows.columns, cells, right=lambda i: rows.types[i].startswith(_NUMBERS) and "[" not in rows.types[i])
    more = rows.more()
    count = f"the first {PAGE:,} rows; --csv and --json print all" if more else f"{len(cells):,} rows"
    click.echo(f"({count.removesuffix('s') if count == '1 rows' else count})", err=more)


def _cell(value: Any) -> str:
    plain = _value(value, "")
    if isinstance(plain, str):
        return plain
    return json_text(plain, indent=None)
