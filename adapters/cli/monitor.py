"""``proofroom monitor``: to follow a log of others, and to raise an alarm when it does what none may do."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proofroom.adapters.cli.interrupts import on_interrupt
from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import Finite, json_option
from proofroom.adapters.cli.output import json_text, plain, print_sentence, to_stderr
from proofroom.adapters.cli.receipt import COLOURS
from proofroom.adapters.cli.trust import trust_of, trust_options

if TYPE_CHECKING:
    from proofroom.adapters.monitor import Seen


@click.command(
    epilog="""\b
Examples:
  proofroom monitor https://logs.example/room --state seen --key 'example.org/room+1a2b3c4d+AZ...'
  proofroom monitor /srv/www/room --state seen --once --json       from a timer
  proofroom monitor room --state /mnt/elsewhere/seen               a room, by its own file

The state folder holds the newest checkpoint that was seen: keep it where the log's keeper cannot write. An alarm leaves alarm-*.json in it,
with the checkpoint kept and the one shown: two signed by one key prove a fork to anyone.
"""
)
@click.argument("place", metavar="PLACE")
@click.option(
    "--state", "home", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where it keeps what it saw."
)
@trust_options
@click.option("--once", is_flag=True, help="Look once, and end with the verdict.")
@click.option("--poll", default=60.0, show_default=True, type=Finite(0.01, 86_400), help="Seconds between looks.")
@click.option(
    "--grace",
    default=3600.0,
    show_default=True,
    type=Finite(0),
    help="Seconds that a ledger may owe a statement before it counts as stalled.",
)
@json_option
def monitor(
    place: str,
    home: Path,
    keys: tuple[str, ...],
    witnesses: tuple[str, ...],
    policy: Path | None,
    once: bool,
    poll: float,
    grace: float,
    as_json: bool,
) -> int:
    """Follow the log at PLACE: a folder or address where it is published, or a room.

    What is new is replayed by the rules of the ledger; what was seen before must stay. It prints a line for each look that shows something
    new, and ends at the first alarm. A log that cannot be read is tried again (with --once: exit status 6).

    Exit status: 0 VALID; 10 INVALID (a rule was broken, or files do not give the signed tree), 11 INCOMPLETE (rolled back, or
    stalled), 12 FORKED, 15 UNWITNESSED where a policy or --witness asks for cosignatures.
    """
    from proofroom.adapters.monitor import Monitor
    from proofroom.adapters.published import open_source

    def tell(seen: Seen) -> None:
        if as_json:
            click.echo(json_text(seen.to_json(), indent=None))
        else:
            print_sentence(plain(seen.sentence()), fg=COLOURS.get(seen.verdict, "red"))

    trust = trust_of(keys, witnesses, policy)
    with open_source(place) as source, Meter("replaying", None) as meter:
        mine = Monitor(source, home, trust=trust, grace_seconds=grace, progress=meter.update)
        if once:
            seen = mine.look()
            tell(seen)
            return int(seen.verdict)
        stop = threading.Event()
        with on_interrupt(stop.set):
            return int(mine.run(stop, poll_seconds=poll, tell=tell, fail=lambda e: to_stderr(f"error: {e}")))
