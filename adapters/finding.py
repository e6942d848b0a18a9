"""Finding entries through the read models: rows by exact values, so that no question reads the log from its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from proofroom.domain.entry import Entry
from proofroom.domain.statements import Statement

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from proofroom.adapters.ledger import Ledger

S = TypeVar("S", bound=Statement)
Row = dict[str, Any]


def select(ledger: Ledger, query: str, **where: Any) -> DuckDBPyRelation:
    """A query's rows that have these values; a tuple stands for any of its values, None for no condition."""
    from duckdb import ColumnExpression, ConstantExpression

    found = ledger.sql(query)
    for name, value in where.items():
        if isinstance(value, tuple):
            found = found.filter(ColumnExpression(name).isin(*map(ConstantExpression, value)))
        elif value is not None:
            found = found.filter(ColumnExpression(name) == ConstantExpression(value))
    return found


def rows(
    ledger: Ledger, query: str, *, order: str = "entry_index", limit: int | None = None, **where: Any
) -> list[Row]:
    """The rows of :func:`select`, in order, at most so many."""
    found = select(ledger, query, **where).order(order)
    found = found if limit is None else found.limit(limit)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def statements(ledger: Ledger, statement: type[S], table: str, **where: Any) -> Iterator[tuple[Entry, S]]:
    """The entries that made the rows of a read model with these values, in log order, each verified as it is read."""
    for row in rows(ledger, f"FROM {table}", **where):
        entry = ledger.entry(row["entry_index"])
        if isinstance(entry.statement, statement):
            yield entry, entry.statement
