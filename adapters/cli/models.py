"""``proofroom project``, ``rebuild`` and ``snapshot``: the read models as files."""

from __future__ import annotations

import time
from pathlib import Path

import click

from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import json_option, room_option
from proofroom.adapters.cli.output import print_json, print_pairs, print_table

FOLLOW_SECONDS = 0.5
"""How often a follower looks for what is new."""


@click.command(
    epilog="""\b
Examples:
  proofroom project
  proofroom project --follow        until Ctrl-C
  proofroom sql "FROM read_models"  the same by SQL
"""
)
@click.option("--follow", is_flag=True, help="Go on with what is appended, until interrupted.")
@room_option
@json_option
def project(follow: bool, room: Path, as_json: bool) -> int:
    """Bring the read models up to date, and say how far each is.

    Queries do this by themselves; after a bulk load it is better done once, with a progress bar. An entry that a projection cannot take
    in stops that projection and is named here; the exit status is then 6.
    """
    from proofroom.adapters.ledger import VIEWS, Ledger
    from proofroom.adapters.views import Views

    with Ledger.open(room, signers=()) as ledger:
        views = Views(room / VIEWS)
        try:
            with Meter("projecting", ledger.store.size()) as meter:
                views.project(ledger.store, meter.update)
            while follow:
                time.sleep(FOLLOW_SECONDS)
                if count := views.project(ledger.store):
                    click.echo(f"{count} more, {views.position} in all", err=True)
        finally:
            rows = views.sql("SELECT projection, position, lag, status, stopped_index, why FROM read_models").fetchall()
            views.close()
    names = ["projection", "position", "lag", "status", "stopped_index", "why"]
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        print_table(
            names, [["" if v is None else v for v in row] for row in rows], right=lambda column: column in (1, 2, 4)
        )
    return 6 if any(row[3] == "stopped" for row in rows) else 0


@click.command(
    epilog="""\b
Examples:
  proofroom rebuild             all of them
  proofroom rebuild money       one projection: see `proofroom project` for their names
"""
)
@click.argument("name", required=False)
@room_option
@json_option
def rebuild(name: str | None, room: Path, as_json: bool) -> None:
    """Make the read models anew from the log, beside those in use, and compare.

    A table that differs is replaced by the new one, in one step. None does, unless the file was altered.
    """
    from proofroom.adapters.ledger import VIEWS, Ledger
    from proofroom.adapters.rebuild import rebuild as build
    from proofroom.adapters.views import Views

    with Ledger.open(room, signers=()) as ledger:
        views = Views(room / VIEWS)
        try:
            with Meter("rebuilding", ledger.store.size()) as meter:
                found = build(views, ledger.store, [name] if name else [], meter.update)
        finally:
            views.close()
    if as_json:
        tables = [c.to_json() for c in found]
        print_json({"equal": all(c.equal for c in found), "tables": tables})
        return
    cells = [
        [c.projection, c.table, f"{c.after.rows:,}", c.after.digest, "equal" if c.equal else "REPLACED"] for c in found
    ]
    print_table(["projection", "table", "rows", "content", "compared"], cells, right=lambda column: column == 2)
    changed = sum(not c.equal for c in found)
    click.echo(
        "all tables are as the log makes them"
        if not changed
        else f"{changed} of {len(found)} tables differed: replaced"
    )


@click.command(
    epilog="""\b
Examples:
  proofroom snapshot published
  duckdb -readonly published/latest/views.duckdb "FROM balances"
  SELECT sum(cpu_ms) FROM read_parquet('published/latest/parquet/records/**/*.parquet')
"""
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(1, 1_000), default=3, show_default=True, help="Copies that stay.")
@click.option("--parquet/--no-parquet", default=True, show_default=True, help="Write the tables as Parquet too.")
@click.option("--anew", is_flag=True, help="Believe no older copy; make all from the log.")
@room_option
@json_option
def snapshot(folder: Path, keep: int, parquet: bool, anew: bool, room: Path, as_json: bool) -> None:
    """Publish a sealed copy of the read models, for other processes to read.

    DIR/latest is always a whole copy: views.duckdb, which any number of processes may open read-only, and the tables as Parquet by era
    and cluster. Whoever writes to the ledger is not disturbed. The newest copies stay, older ones are removed.
    """
    from proofroom.adapters.ledger import LOG
    from proofroom.adapters.snapshots import publish
    from proofroom.adapters.sqlite import SqliteStore

    store = SqliteStore(room / LOG, read_only=True)
    try:
        with Meter("projecting", store.size()) as meter:
            made = publish(store, folder, keep=keep, parquet=parquet, anew=anew, progress=meter.update)
    finally:
        store.close()
    if as_json:
        print_json(made.to_json())
        return
    removed = ", ".join(path.name for path in made.removed) or "nothing"
    print_pairs(
        [
            ("copy", made.path if made.made else f"{made.path} (was there already)"),
            ("entries", f"{made.position:,}"),
            ("root", made.root),
            ("newest", folder / "latest"),
            ("removed", removed),
        ]
    )
