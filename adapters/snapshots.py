"""Sealed copies of the read models, for other processes: DuckDB admits one process to a file that is written to, and any number to one
that is not.

::

    DIR/000000012345-1f0c2a9be47d/   one copy: position, and the first digits of the log's root there
        views.duckdb                 read-only; all tables, views and macros
        parquet/TABLE/               the tables as Parquet, by era and cluster where they have both
        snapshot.json                what it is of: position, root, checkpoint, versions, digest of the file, content of each table
    DIR/latest -> 000000012345-1f0c2a9be47d

A copy is made whole under another name, then named, then ``latest`` is pointed at it, each in one step, so that a reader sees only whole
copies. It is made from the newest copy and what the log holds since, and needs nothing of the process that writes. The newest copies
are kept, as many as was asked for; a reader that has another one open keeps it, even when it is removed.

Whoever resolves ``latest`` in the moment in which its copy goes out of use, and opens it later, finds it removed: open ``latest`` again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import orjson

from proofroom.adapters.files import make_folders, sync_folder, sync_tree, typed
from proofroom.adapters.projector import root_at
from proofroom.adapters.rebuild import content_of
from proofroom.adapters.stores import Store
from proofroom.adapters.views import ProjectionStopped, Views, explained
from proofroom.projections import PROJECTIONS

LATEST, FILE, PARQUET, MANIFEST = "latest", "views.duckdb", "parquet", "snapshot.json"

KEEP = 3
"""Copies that stay, the newest among them."""

_DRAFT = ".draft-"


class Snapshot(NamedTuple):
    """A published copy."""

    path: Path
    position: int
    root: str
    made: bool
    """Whether it was made now; False when the newest copy already is of the log as it stands."""
    removed: list[Path]
    """Older copies that were removed."""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        values = self._asdict()
        return values | {"path": str(self.path), "removed": [str(path) for path in self.removed]}


def publish(
    store: Store,
    folder: Path,
    *,
    keep: int = KEEP,
    parquet: bool = True,
    anew: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Snapshot:
    """Publish the read models of a log as it stands, and remove old copies.

    Args:
        store: the log.
        folder: where the copies are; made when it is not there.
        keep: copies that stay, at least one.
        parquet: write the tables as Parquet too.
        anew: believe no older copy, and make all from the log.
        progress: called with the position after each page.

    Raises:
        ProjectionStopped: a projection meets an entry it cannot take in; nothing is published.
        StoreUnavailable: the log cannot be read, or the folder not be written; nothing is published.
    """
    with _errors(folder):
        make_folders(folder, 0o755)
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder))
        try:
            newest = folder / LATEST / FILE
            if newest.exists() and not anew:
                shutil.copyfile(newest, draft / FILE)
            position, root = _bring_up_to_date(draft / FILE, store, progress)
            path = folder / f"{position:012d}-{root[:12]}"
            manifest = _seal(draft, store, position, root, parquet=parquet)
            made = anew or not _is_of(path, manifest)
            if made:
                sync_tree(draft)
                _name(draft, path)
                sync_folder(folder)  # before a link may lead there
            _point(folder / LATEST, path.name)
            sync_folder(folder)
        finally:
            _remove(draft)
        return Snapshot(path, position, root, made, _clean(folder, max(keep, 1)))


def _bring_up_to_date(file: Path, store: Store, progress: Callable[[int], object] | None) -> tuple[int, str]:
    views = Views(file)
    try:
        size = store.size()  # whole appends: nobody sees a log that ends within one
        views.project(store, progress, until=size)
        for letter in views.stopped:
            raise ProjectionStopped(*letter)
        return size, root_at(store, size)
    finally:
        views.close()  # writes everything into the one file


def _seal(draft: Path, store: Store, position: int, root: str, *, parquet: bool) -> dict[str, Any]:
    with duckdb.connect(draft / FILE, read_only=True) as connection:
        tables = {t.name: content_of(connection, t.name) for p in PROJECTIONS for t in p.tables}
        if parquet:
            for name in tables:
                _write_parquet(connection, name, draft / PARQUET / name)
    note = next((note for size, note in store.checkpoints(position, 1) if size == position), None)
    with (draft / FILE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = {
        "position": position,
        "root": root,
        "checkpoint": note,
        "duckdb": duckdb.__version__,
        "projections": {p.name: {"version": p.version, "fingerprint": p.fingerprint} for p in PROJECTIONS},
        "sha256": digest,
        "parquet": parquet,
        "tables": {name: content._asdict() for name, content in tables.items()},
    }
    (draft / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    for path in draft.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    draft.chmod(0o755)
    return manifest


def _write_parquet(connection: duckdb.DuckDBPyConnection, table: str, folder: Path) -> None:
    """A folder of files. Whoever reads it finds era and cluster in the rows too, not only in the names of the folders."""
    folder.mkdir(parents=True)
    columns = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 -- a table of ours
    how = "FORMAT parquet, COMPRESSION zstd"
    target = folder / "all.parquet"
    if rows and {"era", "cluster"} <= columns:
        how += ", PARTITION_BY (era, cluster), WRITE_PARTITION_COLUMNS true, OVERWRITE_OR_IGNORE true"
        target = folder
    quoted = str(target).replace("'", "''")
    connection.execute(f"COPY (FROM {table} ORDER BY ALL) TO '{quoted}' ({how})")


def _is_of(path: Path, manifest: dict[str, Any]) -> bool:
    """There is such a copy already, with the same content by the same versions."""
    try:
        found = orjson.loads((path / MANIFEST).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    told = manifest.keys() - {"sha256"}  # two files with the same rows need not be the same bytes
    return isinstance(found, dict) and all(found.get(key) == manifest[key] for key in told)


def _name(draft: Path, path: Path) -> None:
    """Give a draft its name, in place of a copy that had it."""
    if path.exists():
        old = path.with_name(f"{_DRAFT}old-{path.name}-{os.getpid()}")
        path.rename(old)
        try:
            draft.rename(path)
        except BaseException:
            old.rename(path)
            raise
        _remove(old)
    else:
        draft.rename(path)


def _point(link: Path, name: str) -> None:
    """Point a link at a copy, in one step."""
    fresh = link.with_name(f"{_DRAFT}{link.name}-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    fresh.replace(link)


def _clean(folder: Path, keep: int) -> list[Path]:
    newest = (folder / LATEST).resolve()
    copies = [path.parent for path in folder.glob(f"*/{MANIFEST}") if not path.parent.name.startswith(_DRAFT)]
    copies = [path for path in copies if not path.is_symlink()]
    copies.sort(key=lambda path: (path.resolve() == newest, path.stat().st_mtime_ns), reverse=True)
    for path in copies[keep:]:
        _remove(path)
    return sorted(copies[keep:])


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _errors(folder: Path) -> Iterator[None]:
    try:
        with typed(folder):
            yield
    except duckdb.Error as e:
        raise explained(str(folder), str(e).strip()) from e
