"""A stranger finds their way: everything is commented, exact, and leads back to the log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proofroom.adapters.dictionary import markdown, pages
from proofroom.adapters.views import Views
from proofroom.projections import PROJECTIONS
from proofroom.projections.base import Table
from strategies.viewing import fresh_views


@pytest.fixture(scope="module")
def views() -> Iterator[Views]:
    """Empty read models."""
    views = fresh_views()
    yield views
    views.close()


def test_every_table_view_macro_and_column_is_commented(views: Views) -> None:
    """Nobody has to ask what a column means; a view explains what is not explained by the table it looks at."""
    for catalogue in ("duckdb_tables", "duckdb_views", "duckdb_functions"):
        query = f"SELECT * FROM {catalogue}() WHERE NOT internal AND coalesce(comment, '') = ''"
        assert views.sql(query).fetchall() == []
    query = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND coalesce(comment, '') = ''"
    assert views.sql(query).fetchall() == []


def test_the_data_dictionary_is_the_catalogues() -> None:
    """When this fails: ``make dictionary``, and look at the difference."""
    written = (Path(__file__).parents[2] / "docs" / "data-dictionary.md").read_text()
    assert written == markdown(), "docs/data-dictionary.md is not what the tables say: run `make dictionary`"
    assert all(column.comment for page in pages() for column in page.columns)


def test_a_step_looks_at_its_own_tables_only() -> None:
    """Each projection goes on at its own pace, so that tables of another one may be elsewhere."""
    owner = {table.name: projection.name for projection in PROJECTIONS for table in projection.tables}
    for projection in PROJECTIONS:
        for step in projection.steps:
            named = re.findall(r"(?:FROM|JOIN|INTO|USING)\s+(\w+)", step.sql)
            assert {owner.get(name, projection.name) for name in named} == {projection.name}, step.sql


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
    assert types <= {"BIGINT", "BLOB", "BOOLEAN", "DECIMAL(38,0)", "TIMESTAMP", "VARCHAR", "VARCHAR[]", "BIGINT[]"}
