"""``proofroom settler``: keep the eras of a cluster going, as a process or from a timer."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proofroom.adapters.cli.interrupts import on_interrupt
from proofroom.adapters.cli.options import Finite, json_option, open_to_write, room_option
from proofroom.adapters.cli.output import json_text, one_line

if TYPE_CHECKING:
    from proofroom.adapters.settler import Settled
    from proofroom.domain.signing import Signer

OFFICES = ("manager", "orchestrator")
"""Key files of a room that are used when no key is named."""


@click.command(
    epilog="""\b
Examples:
  proofroom settler --cluster dragon-1 --open --era-seconds 3600     until it is stopped
  proofroom settler --cluster dragon-1 --once                        one look, from a timer
  proofroom settler --cluster dragon-1 --key exec:/opt/kms/sign?arg=manager --open

Keys are of the cluster's manager and orchestrators; without --key, keys/manager.json and keys/orchestrator.json of the room, where there
are any. It does as much as its keys allow: with none it lets time pass, so that rounds and settlements proceed. Killed at any point and
started again, it goes on; two at once do no harm.
"""
)
@room_option
@click.option("--cluster", required=True, metavar="NAME", help="The cluster whose eras it keeps.")
@click.option("--key", "keys", multiple=True, metavar="URI", help="A key, such as file:manager.json; repeatable.")
@click.option("--open", "opens", is_flag=True, help="Open the next era whenever none is open.")
@click.option(
    "--era-seconds", type=click.IntRange(1), help="End an era when it has run this long; else it ends by itself."
)
@click.option(
    "--seal-seconds",
    default=60,
    show_default=True,
    type=click.IntRange(0),
    help="Longest that a record waits to be sealed.",
)
@click.option("--once", is_flag=True, help="Do what is to be done now, and end.")
@click.option("--poll", default=1.0, show_default=True, type=Finite(0.01, 60), help="Seconds between looks.")
@click.option("-v", "--verbose", is_flag=True, help="Log to stderr what was done and what was refused.")
@json_option
def settler(
    room: Path,
    cluster: str,
    keys: tuple[str, ...],
    opens: bool,
    era_seconds: int | None,
    seal_seconds: int,
    once: bool,
    poll: float,
    verbose: bool,
    as_json: bool,
) -> None:
    """Keep a cluster's eras going: seal records, end eras, settle them, open the next.

    It prints a line for each step of an era (with --json, a JSON object a line), and stops on an interrupt or SIGTERM.
    """
    from proofroom.adapters.settler import Pace, Settler

    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    margin_ms = max(10_000, int(3_000 * poll))
    pace = Pace(seal_after_ms=seal_seconds * 1000, margin_ms=margin_ms, era_seconds=era_seconds, opens=opens)

    def tell(what: Settled) -> None:
        era = "" if what.era is None else f" of era {what.era}"
        line = f"entry {what.entry_index}: {what.did}{era}"
        click.echo(json_text({"cluster": cluster, **what._asdict()}, indent=None) if as_json else one_line(line))

    with open_to_write(room) as ledger:
        mine = Settler(ledger, cluster, _signers(room, keys), pace=pace)
        if once:
            for what in mine.step():
                tell(what)
            return
        stop = threading.Event()
        with on_interrupt(stop.set):
            mine.run(stop, poll_seconds=poll, tell=tell)


def _signers(room: Path, uris: tuple[str, ...]) -> list[Signer]:
    """The signers that are named; else those whose key files lie in the room."""
    from proofroom.adapters.keys import load_key
    from proofroom.adapters.ledger import KEYS
    from proofroom.adapters.signers import signer_from_uri

    if uris:
        return [signer_from_uri(uri) for uri in uris]
    files = [room / KEYS / f"{office}.json" for office in OFFICES]
    return [load_key(file) for file in files if file.exists()]
