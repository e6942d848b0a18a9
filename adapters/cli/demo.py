"""``proofroom demo``."""

from __future__ import annotations

from pathlib import Path

import click

from proofroom.adapters.cli.options import json_option, room_option
from proofroom.adapters.cli.output import plain, print_json


@click.command(
    epilog="""\b
Examples:
  proofroom demo
  proofroom demo --calendar my.ics --room ./mine
"""
)
@click.option(
    "--calendar",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="An iCalendar file for the agent to read, in place of the one that is shipped.",
)
@room_option
@json_option
def demo(calendar: Path | None, room: Path, as_json: bool) -> int:
    """Run the main job and print its four receipts.

    The calendar is encrypted under the wallet's key; the wallet grants its scope to an agent; the agent runs in a process of its own and is
    measured; its record is co-signed, sealed, cross-checked and voted on by five of seven validators; the era is settled from a deposit.
    Everything stays in the room, for show, sql and audit. Run it again for the next era. The exit status is the audit's.
    """
    from proofroom.adapters.demo import run_demo

    result = run_demo(room, calendar, say=_say_nothing if as_json else _say)
    if as_json:
        print_json(result.to_json())
    return int(result.report.verdict)


def _say(paragraph: str) -> None:
    click.echo(f"{plain(paragraph)}\n")


def _say_nothing(_: str) -> None:
    pass
