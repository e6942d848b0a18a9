"""A stranger finds their way: everything is commented, exact, and leads back to the log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proofroom.adapters.views import Views
from proofroom.projections import PROJECTIONS
from proofroom.projections.base import Table


@pytest.fixture(scope="module")
def views() -> Iterator[Views]:
    """Empty read models."""
    views = Views(None)
    yield views
    views.close()


def test_every_table_view_macro_and_column_is_commented(views: Views) -> None:
    """Nobody has to ask what a column means; a view explains what is not explained by the table it looks at."""
    for catalogue in ("duckdb_tables", "duckdb_views", "duckdb_functions"):
        query = f"SELECT * FROM {catalogue}() WHERE NOT internal AND coalesce(comment, '') = ''"
        assert views.sql(query).fetchall() == []
    commented = "SELECT column_name FROM duckdb_columns() WHERE comment <> ''"
    query = (
        f"SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND column_name NOT IN ({commented})"
    )
    assert views.sql(query).fetchall() == []
    tables = "SELECT table_name FROM duckdb_tables()"
    query = f"FROM duckdb_columns() WHERE coalesce(comment, '') = '' AND table_name IN ({tables})"
    assert views.sql(query).fetchall() == []


def test_every_row_names_its_entry(views: Views) -> None:
    """Any row of any table leads to the log."""
    tables = [r for projection in PROJECTIONS for r in projection.relations if isinstance(r, Table)]
    assert len(tables) > 20
    for table in tables:
        columns = {row[0] for row in views.sql(f"DESCRIBE {table.name}").fetchall()}
        assert columns & {"entry_index", "last_index"}, table.name
    for (view,) in views.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
        assert any(row[0].endswith("_index") for row in views.sql(f"DESCRIBE {view}").fetchall()), view


def test_nothing_is_inexact(views: Views) -> None:
    """No floats, and no HUGEINT, which other programs turn into floats."""
    query = "SELECT DISTINCT data_type FROM duckdb_columns() WHERE NOT internal"
    types = {row[0] for row in views.sql(query).fetchall()}
    assert types <= {"BIGINT", "BLOB", "BOOLEAN", "DECIMAL(38,0)", "TIMESTAMP", "VARCHAR", "VARCHAR[]"}
