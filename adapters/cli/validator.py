"""``proofroom validator``: one validator of a cluster as a process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.interrupts import on_interrupt
from proofroom.adapters.cli.options import Finite, json_option, open_to_write, room_option
from proofroom.adapters.cli.output import json_text, one_line

if TYPE_CHECKING:
    from proofroom.adapters.ledger import Ledger
    from proofroom.adapters.validator import Act, Validator

_FILE = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Example, which joins the cluster and then takes part until it is stopped:
  proofroom validator --cluster dragon-1 --key v.json --home v --observations seen \\
      --believe ed25519:8f3c... --controller me.json

--home keeps what it must not lose: its secret and the votes it committed to. Killed at any point and started again, it votes once.
"""
)
@room_option
@click.option("--cluster", required=True, metavar="NAME", help="The cluster whose records it judges.")
@click.option("--key", "key_file", required=True, type=_FILE, metavar="FILE", help="Its key; made when not there.")
@click.option("--home", required=True, type=_FILE, metavar="DIR", help="Its own folder.")
@click.option("--observations", required=True, type=_FILE, metavar="DIR", help="Where meters hand out what they saw.")
@click.option("--believe", multiple=True, required=True, metavar="KEYID", help="A meter that it believes; repeatable.")
@click.option("--controller", type=_FILE, metavar="FILE", help="Key of who answers for it, to join with.")
@click.option("--once", is_flag=True, help="Do what is its part now, and end.")
@click.option("--poll", default=1.0, show_default=True, type=Finite(0.01, 3600), help="Seconds between looks.")
@json_option
def validator(
    room: Path,
    cluster: str,
    key_file: Path,
    home: Path,
    observations: Path,
    believe: tuple[str, ...],
    controller: Path | None,
    once: bool,
    poll: float,
    as_json: bool,
) -> None:
    """Judge records: compare each with what independent meters saw, commit, reveal.

    It prints a line for each thing that it does (with --json, a JSON object a line), and stops on an interrupt or SIGTERM.
    """
    from proofroom.adapters.keys import load_or_create_key
    from proofroom.adapters.observations import ObservationFolder
    from proofroom.adapters.validator import Validator, load_or_create_secret
    from proofroom.domain.ids import KeyId, public_key_of

    for keyid in believe:
        public_key_of(keyid)
    with open_to_write(room) as ledger:
        mine = Validator(
            ledger,
            cluster,
            load_or_create_key(key_file),
            load_or_create_secret(home / "secret"),
            observations=ObservationFolder(observations),
            sources=[KeyId(keyid) for keyid in believe],
            journal=home / "votes",
        )
        if controller is not None:
            _join(ledger, mine, controller)

        def tell(act: Act) -> None:
            facts: dict[str, Any] = {"cluster": cluster, **act._asdict()}
            click.echo(json_text(facts, indent=None) if as_json else one_line(f"round {act.round}: {act.did}"))

        if once:
            for act in mine.step():
                tell(act)
            return
        stop = threading.Event()
        with on_interrupt(stop.set):
            mine.run(stop, poll_seconds=poll, tell=tell)


def _join(ledger: Ledger, mine: Validator, controller: Path) -> None:
    """Register, unless that was done before."""
    from proofroom.adapters.keys import load_or_create_key
    from proofroom.domain.ids import from_ms

    ledger.refresh()
    if mine.keyid not in ledger.state.validators.get(mine.cluster, {}):
        ledger.append(mine.registration(load_or_create_key(controller), from_ms(ledger.store.clock())))
