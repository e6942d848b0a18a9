"""``proofroom audit``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import json_option, read_checkpoint, room_option
from proofroom.adapters.cli.output import plain, print_json, print_sentence

if TYPE_CHECKING:
    from proofroom.adapters.audit import Report

_COLOURS = {"VALID": "green", "INVALID": "red", "INCOMPLETE": "yellow", "FORKED": "red"}


@click.command(
    epilog="""\b
Examples:
  proofroom checkpoint > elsewhere/room.checkpoint      today
  proofroom audit --against elsewhere/room.checkpoint   any later day
  proofroom audit --from-tiles https://logs.example/room --against elsewhere/room.checkpoint
"""
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A checkpoint of this ledger that was kept elsewhere, or any proof file with one. Without it, a removed tail cannot be seen.",
)
@click.option(
    "--from-tiles",
    "tiles",
    metavar="PLACE",
    help="Audit a published log instead, with nothing else at hand: its folder, or its http:// or https:// address.",
)
@room_option
@json_option
def audit(against: Path | None, tiles: str | None, room: Path, as_json: bool) -> int:
    """Replay every entry from genesis and believe nothing.

    Signatures, tree, order, rules, what the ledger derived, and checkpoints are all recomputed. It needs no key and
    writes nothing, so it works on a copy, and on a published log. On a damaged one it names the first entry that does not hold, and why.

    Exit status: 0 VALID, 10 INVALID, 11 INCOMPLETE, 12 FORKED.
    """
    note = None if against is None else read_checkpoint(against).note
    report = _of_room(room, note) if tiles is None else _of_tiles(tiles, note)
    if as_json:
        print_json({**report.to_json(), "exit_status": int(report.verdict), "sentence": report.sentence()})
    else:
        print_sentence(plain(report.sentence()), fg=_COLOURS[report.verdict.name])
    return int(report.verdict)


def _of_room(room: Path, note: str | None) -> Report:
    from proofroom.adapters.audit import audit as replay
    from proofroom.adapters.ledger import LOG
    from proofroom.adapters.sqlite import SqliteStore

    with closing(SqliteStore(room / LOG, read_only=True)) as store, Meter("auditing", store.size()) as meter:
        return replay(store, against=note, progress=meter.update)


def _of_tiles(place: str, note: str | None) -> Report:
    from proofroom.adapters.published import PublishedLog, audit_published

    with Meter("auditing", None) as meter:
        return audit_published(PublishedLog(place), against=note, progress=meter.update)
