"""Read models that are made at once: a copy of a file whose tables are there, and empty."""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from proofroom.adapters.views import PAGE, Views


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
