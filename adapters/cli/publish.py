"""``proofroom publish``."""

from __future__ import annotations

from pathlib import Path

import click

from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import json_option, open_to_read, read_checkpoint, room_option
from proofroom.adapters.cli.output import print_json


@click.command(
    epilog="""\b
Examples:
  proofroom publish /srv/www/room       again after each era; only what is new is written
  python -m http.server -d /srv/www     any web server will do
"""
)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--under",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A checkpoint of this log to publish, such as one that witnesses cosigned; without, the newest.",
)
@room_option
@json_option
def publish(folder: Path, under: Path | None, room: Path, as_json: bool) -> None:
    """Publish the log as static files that other people's tools can read: C2SP tlog-tiles.

    Writes the tiles, the entries and, last of all, the checkpoint. A folder that holds another log, or a longer one, is refused.

    All entries become readable, with the keys, ids, scope names, times and amounts in them.
    """
    from proofroom.adapters.publishing import publish as write

    note = None if under is None else read_checkpoint(under).note
    with open_to_read(room) as ledger, Meter("publishing", ledger.size) as meter:
        done = write(ledger.store, folder, meter.update, under=note)
    if as_json:
        print_json(done._asdict())
    else:
        click.echo(f"{folder}: {done.size} entries, {done.new} of them new; {done.files} files written")
