"""``proofroom anchor``: put the newest checkpoint where the host cannot take it back."""

from __future__ import annotations

from pathlib import Path

import click

from proofroom.adapters.cli.options import MAX_NUMBER, json_option, open_to_read, room_option
from proofroom.adapters.cli.output import one_line, print_json


@click.command(
    epilog="""\b
Examples:
  proofroom anchor --to file:/mnt/elsewhere/room
  proofroom anchor --to git:/srv/anchors --to https://bucket.example/room --since 4096
  proofroom audit --room room --against /mnt/elsewhere/room/00000000000000000073.checkpoint
"""
)
@room_option
@click.option(
    "--to", "uris", multiple=True, required=True, metavar="URI", help="file:DIR, git:DIR, https://...; repeatable."
)
@click.option(
    "--since",
    type=click.IntRange(0, MAX_NUMBER),
    default=0,
    show_default=True,
    metavar="INDEX",
    help="List the batches sealed from this entry on.",
)
@json_option
def anchor(room: Path, uris: tuple[str, ...], since: int, as_json: bool) -> None:
    """Put the newest checkpoint, and the roots of sealed batches, at one or more places elsewhere."""
    from proofroom.adapters.anchors import anchor_at, anchor_newest

    anchors = [anchor_at(uri) for uri in uris]
    with open_to_read(room) as ledger:
        done = anchor_newest(ledger.store, anchors, since)
    if as_json:
        print_json({**done._asdict(), "anchors": list(uris)})
    else:
        click.echo(one_line(f"{done.name}: {done.batches} batch roots, at {', '.join(uris)}"))
