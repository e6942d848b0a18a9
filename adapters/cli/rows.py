"""How the rows of a query are written: as a table for a person, as CSV, JSON or Parquet for a program. Amounts stay exact in each."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
import duckdb

from proofroom.adapters.cli.output import json_text, print_table
from proofroom.domain.errors import QueryFailed

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

PAGE = 1_000
"""Rows that are fetched at once; a table for a person shows no more than these."""

_WIDE = ("DECIMAL", "HUGEINT", "UHUGEINT", "BIGNUM")
"""Numbers that a reader of JSON may round: written as strings."""

_NUMBERS = (*_WIDE, "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "DOUBLE", "FLOAT")


class Rows:
    """The rows of a relation, as they are computed. The first page is there at once, so that a query that fails prints nothing.

    Raises:
        QueryFailed: it fails as its rows are computed.
    """

    def __init__(self, relation: DuckDBPyRelation) -> None:
        self.columns, self.types = relation.columns, [str(t) for t in relation.types]
        try:
            self._rest = _with_zones_as_text(relation, self.columns, self.types).iter_rows(PAGE)
            self.first = list(islice(self._rest, PAGE))
        except duckdb.Error as e:  # found out only now
            raise QueryFailed(why=str(e)) from None

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        yield from self.first
        try:
            yield from self._rest
        except duckdb.Error as e:
            raise QueryFailed(why=str(e)) from None

    def more(self) -> bool:
        """Whether there are rows beyond the first page."""
        return next(self._rest, None) is not None


def print_rows_json(rows: Rows) -> None:
    """One array of objects."""
    between = "[\n"
    names = _distinct(rows.columns)
    for row in rows:
        values = map(_value, row, rows.types)
        click.echo(between + json_text(dict(zip(names, values, strict=True)), indent=None), nl=False)
        between = ",\n"
    click.echo("[]" if between == "[\n" else "\n]")


def write_rows_csv(rows: Rows, stream: IO[str]) -> None:
    """A header line and a line a row (RFC 4180)."""
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(rows.columns)
    writer.writerows(["" if v is None else _cell(v) for v in row] for row in rows)


def print_rows_table(rows: Rows, *, advice: str) -> None:
    """The first page, and how many rows there are; ``advice`` says how to see the others."""
    cells = [["NULL" if v is None else _cell(v) for v in row] for row in rows.first]
    print_table(rows.columns, cells, right=lambda i: rows.types[i].startswith(_NUMBERS) and "[" not in rows.types[i])
    more = rows.more()
    count = f"the first {PAGE:,} rows; {advice}" if more else f"{len(cells):,} rows"
    click.echo(f"({count.removesuffix('s') if count == '1 rows' else count})", err=more)


def write_rows_parquet(relation: DuckDBPyRelation, path: Path) -> int:
    """A Parquet file, whole or not at all; returns the number of rows. 128-bit integers become decimals."""
    import pyarrow.parquet as pq

    from proofroom.adapters.files import write_atomically

    count, buffer = 0, io.BytesIO()
    try:
        reader = relation.to_arrow_reader(PAGE * 10)
        with pq.ParquetWriter(buffer, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
                count += batch.num_rows
    except duckdb.Error as e:
        raise QueryFailed(why=str(e)) from None
    write_atomically(path, buffer.getvalue())
    return count


def _with_zones_as_text(relation: DuckDBPyRelation, columns: list[str], types: list[str]) -> DuckDBPyRelation:
    """Times with a zone, written by DuckDB: its Python values would need another library."""
    if not any("TIME ZONE" in t for t in types):
        return relation
    parts = []
    for number, (name, kind) in enumerate(zip(columns, types, strict=True), 1):
        quoted = '"' + name.replace('"', '""') + '"'
        parts.append(f"CAST(#{number} AS VARCHAR) AS {quoted}" if "TIME ZONE" in kind else f"#{number}")
    return relation.project(", ".join(parts))


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


def _cell(value: Any) -> str:
    plain = _value(value, "")
    if isinstance(plain, str):
        return plain
    return json_text(plain, indent=None)
