"""``proofroom tamper-lab``: attack a copy of a ledger, and see what catches it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import json_option
from proofroom.adapters.cli.output import plain, print_json, print_sentence, print_table

if TYPE_CHECKING:
    from proofroom.adapters.lab.attack import Attack
    from proofroom.adapters.lab.run import Result

PASSED = 20
"""Exit status when an attack was not caught."""


@click.command(
    name="tamper-lab",
    epilog="""\b
Examples:
  proofroom tamper-lab                     # every attack, on the lab's own room
  proofroom tamper-lab --room room         # on a copy of a room: what its files and its host could do
  proofroom tamper-lab --only double-pay --json
  proofroom tamper-lab --also my_attacks:ATTACKS

Exit status: 0 all were caught, 20 one was not.
""",
)
@click.option("--room", type=click.Path(path_type=Path), metavar="DIR", help="A room to copy; it is only read.")
@click.option("--all", "everything", is_flag=True, help="Every attack; the default.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this attack; repeatable.")
@click.option("--also", multiple=True, metavar="MODULE:NAME", help="A list of attacks of your own; repeatable.")
@json_option
def tamper_lab(room: Path | None, everything: bool, only: tuple[str, ...], also: tuple[str, ...], as_json: bool) -> int:
    """Attack a copy of a ledger in every way of the threat model, and print which check caught it.

    Each attack has a fresh copy; afterwards it is audited against a checkpoint that was kept from before.
    """
    from proofroom.adapters.lab.run import ATTACKS, run_lab

    if everything and only:
        raise click.UsageError("--all and --only exclude each other")
    attacks = _chosen([*ATTACKS, *_own(also)], only)
    with Meter("attacking", len(attacks)) as meter:
        results = list(run_lab(room, attacks, progress=meter.update))
    passed = [result.attack.name for result in results if not result.caught]
    if as_json:
        print_json({"attacks": [result.to_json() for result in results], "passed": passed})
    else:
        _print(results, passed)
    return PASSED if passed else 0


def _chosen(attacks: list[Attack], only: Sequence[str]) -> list[Attack]:
    unknown = set(only) - {attack.name for attack in attacks}
    if unknown:
        raise click.BadParameter(f"no attack is called {min(unknown)}", param_hint="--only")
    return [attack for attack in attacks if not only or attack.name in only]


def _own(also: Sequence[str]) -> list[Attack]:
    """The attacks of the host that runs the lab."""
    found: list[Attack] = []
    for place in also:
        module, _, name = place.partition(":")
        try:
            found += getattr(import_module(module), name)
        except (ImportError, AttributeError, TypeError, ValueError) as e:
            raise click.BadParameter(f"{place}: {e}", param_hint="--also") from None
    return found


def _print(results: Sequence[Result], passed: Sequence[str]) -> None:
    rows = [(r.attack.name, r.attack.does, r.check or "-", r.verdict or "skipped") for r in results]
    print_table(("attack", "what it does", "caught by", "verdict"), rows, right=lambda _: False)
    skipped = sum(result.skipped for result in results)
    click.echo()
    if passed:
        print_sentence(f"PASSED: {len(passed)} of {len(results)} were not caught: {plain(', '.join(passed))}", fg="red")
    else:
        left = f"; {skipped} could not be tried here" if skipped else ""
        print_sentence(f"CAUGHT: {len(results) - skipped} of {len(results) - skipped} attacks{left}", fg="green")
