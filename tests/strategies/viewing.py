"""Read models that are made at once: a copy of a file whose tables are there, and empty."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from proofroom.adapters.schema import EMPTY_ROOT
from proofroom.adapters.views import PAGE, Views
from proofroom.projections import PROJECTIONS


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "views.duckdb"
        Views(path).close()
        return path.read_bytes()


_numbers = count()


def fresh_views(*, page: int = PAGE) -> Views:
    """Empty read models, whose seven hundred statements need not run again; the file ends with this process."""
    path = Path(_folder().name) / f"{next(_numbers)}.duckdb"
    path.write_bytes(_empty())
    return Views(path, page=page)


TABLES = [table.name for projection in PROJECTIONS for table in projection.tables]
_COUNTS = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in TABLES)


def rows_in(views: Views) -> dict[str, list[tuple[Any, ...]]]:
    """What is in each table that holds anything, in one order; all else in read models is asked of these."""
    with views.held() as connection:
        filled = [name for name, count in connection.execute(_COUNTS).fetchall() if count]
        return {name: sorted(connection.execute(f"FROM {name}").fetchall(), key=repr) for name in filled}


def empty(views: Views, tables: Iterable[str]) -> None:
    """Take out what is in these tables, for another log: making them anew would take ten times as long."""
    with views.held() as connection:
        connection.begin()
        for name in tables:
            connection.execute(f"TRUNCATE {name}")
        connection.execute("UPDATE projections SET position = 0, root = ?, log_size = 0", [EMPTY_ROOT])
        connection.commit()
        views._projector._load()
