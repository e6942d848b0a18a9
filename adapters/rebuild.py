"""Read models made anew beside those in use, compared with them, and put in their place where they differ.

Whoever asks meanwhile is answered from the old tables, and afterwards from the new ones: the exchange is one transaction.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from proofroom.adapters.views import ProjectionStopped, Views, projections_named
from proofroom.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from proofroom.adapters.stores import Store


class Content(NamedTuple):
    """What a table holds, whatever the order of its rows."""

    rows: int
    digest: str
    """128 bits, in hex. They tell two builds apart; they are no defence against someone who looks for a collision."""


class Comparison(NamedTuple):
    """A table before and after a rebuild."""

    projection: str
    table: str
    before: Content
    after: Content

    @property
    def equal(self) -> bool:
        """The rebuild found what was there."""
        return self.before == self.after

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "projection": self.projection,
            "table": self.table,
            "equal": self.equal,
            "before": self.before._asdict(),
            "after": self.after._asdict(),
        }


def content_of(connection: DuckDBPyConnection, table: str) -> Content:
    """The content of a table: the sum of the rows' digests, each over the row as JSON."""
    ((rows, low, high),) = connection.execute(
        f"""
        SELECT count(*), coalesce(sum(md5_number_lower(row)), 0), coalesce(sum(md5_number_upper(row)), 0)
        FROM (SELECT to_json(t)::VARCHAR AS row FROM {table} t)
        """  # noqa: S608 -- the name of a table of ours
    ).fetchall()
    return Content(rows, f"{high % 2**64:016x}{low % 2**64:016x}")


def rebuild(
    views: Views, store: Store, names: Collection[str] = (), progress: Callable[[int], object] | None = None
) -> list[Comparison]:
    """Make these projections (all, when empty) anew from the log, and put them in place of what they differ from.

    A rebuild of an undisturbed file finds what is there. It differs when the file was altered, or when a projection had stopped.

    Args:
        views: the read models in use; they follow the log meanwhile.
        store: the log.
        names: the projections.
        progress: called with the position after each page.

    Raises:
        BadInput: there is no projection of such a name.
        ProjectionStopped: it meets an entry it cannot take in; what is in use stays.
        StoreUnavailable: the log cannot be read, or the file beside not be written; what is in use stays.
    """
    chosen = projections_named(names)
    names = [projection.name for projection in chosen]
    path = None if views.path is None else views.path.with_name(views.path.name + ".rebuild")
    _remove(path)
    beside = Views(path)
    try:
        beside.project(store, progress, names=names)
        with views.held() as writer:
            size = store.size()
            views.project(store, names=names, until=size)
            beside.project(store, names=names, until=size)
            for letter in beside.stopped:
                raise ProjectionStopped(*letter)
            with beside.held() as other:
                found = []
                for projection in chosen:
                    compared = [
                        Comparison(projection.name, t.name, content_of(writer, t.name), content_of(other, t.name))
                        for t in projection.tables
                    ]
                    if not all(c.equal for c in compared) or projection.name in {s.projection for s in views.stopped}:
                        views.adopt(projection, other)
                    found += compared
                return found
    finally:
        beside.close()
        _remove(path)


def compare(path: Path, store: Store, progress: Callable[[int], object] | None = None) -> list[Comparison]:
    """Hold the read models in a file against what the log makes of them. Neither is written: it is done on a copy.

    Raises:
        StoreUnavailable: another process has the file open, or it cannot be read or copied.
        ProjectionStopped: a projection meets an entry it cannot take in.
    """
    with TemporaryDirectory(prefix="proofroom-models-") as folder:
        copy = Path(folder, path.name)
        try:
            # Nobody writes to it while DuckDB holds its lock, which closing any file of the same takes from this process: that comes last.
            with ExitStack() as parts, duckdb.connect(str(path), read_only=True):
                for suffix in ("", ".wal"):
                    if (part := path.with_name(path.name + suffix)).exists():
                        source = parts.enter_context(part.open("rb"))
                        with copy.with_name(copy.name + suffix).open("wb") as target:
                            shutil.copyfileobj(source, target)
        except (duckdb.Error, OSError) as e:
            raise StoreUnavailable(path=str(path), why=str(e)) from None
        views = Views(copy)
        try:
            return rebuild(views, store, progress=progress)
        finally:
            views.close()


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)
        path.with_name(path.name + ".wal").unlink(missing_ok=True)
