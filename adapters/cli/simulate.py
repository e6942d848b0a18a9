"""``proofroom simulate``: a world of honest and other parties, replayed from its seed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import json_option
from proofroom.adapters.cli.output import one_line, print_json, print_pairs
from proofroom.adapters.simulation.scenario import Scenario, check_scenario

if TYPE_CHECKING:
    from proofroom.adapters.simulation.report import Report

_NUMBERS = {
    "batches": "Batches of records; each begins a round.",
    "records": "Records of each batch.",
    "misreported": "Records of each batch that claim more than was used.",
    "unobserved": "Records of each batch of which the gateway saw nothing.",
    "batches_per_era": "Batches after which the era is settled.",
    "validators": "Validators of the cluster.",
    "committee": "Members of a first committee.",
    "escalations": "Larger committees for what is disputed.",
    "colluding": "Validators that agree to whatever is claimed.",
    "copying": "Validators that pass off another's commitment as theirs.",
    "absent": "Validators that neither reveal nor vote.",
    "equivocating": "Validators that sign two commitments for one round.",
    "misrevealing": "Validators that sign a false beacon value.",
    "framing": "Validators that reject whatever is claimed.",
    "slash_multiple": "Times what its rejected records would have cost a node is slashed.",
}


def _number_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    for name, text in reversed(_NUMBERS.items()):
        option, default = f"--{name.replace('_', '-')}", Scenario._field_defaults[name]
        verb = click.option(option, name, type=int, default=default, show_default=True, help=text)(verb)
    return verb


@click.command(
    epilog="""\b
Examples:
  proofroom simulate --colluding 7 --batches 500
  proofroom simulate --seed 42 --committee 11 --colluding 7 --plot capture.png
  proofroom simulate --equivocating 2 --framing 3 --slash-multiple 2 --batches-per-era 10
  proofroom simulate --absent 2 --room world       # keeps the ledger, for sql and audit
"""
)
@click.option("--seed", type=int, help="Replays a world; without it, one is drawn and printed.")
@_number_options
@click.option("--room", type=click.Path(path_type=Path), metavar="DIR", help="Keep the ledger in a new room.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the run (png, svg or pdf).")
@json_option
def simulate(seed: int | None, room: Path | None, plot: Path | None, as_json: bool, **numbers: int) -> None:
    """Play attestation with parties that misbehave, and compare with what the formulas say.

    Nothing of the ledger is made up: signatures, draws, votes, tallies and settlement are real. Clock, randomness and parties follow
    from the seed, so the same numbers give the same ledger.
    """
    scenario = Scenario(seed=secrets.randbits(32) if seed is None else seed, **numbers)
    check_scenario(scenario)
    from proofroom.adapters.simulation.rooms import store_in
    from proofroom.adapters.simulation.world import simulate as run

    with Meter("playing", scenario.batches) as meter:
        more = {} if room is None else {"store": store_in(room)}
        report = run(scenario, progress=meter.update, **more)
    if plot is not None:
        from proofroom.adapters.simulation.plot import draw

        draw(report, plot)
        click.echo(one_line(f"{plot}: the run, drawn"), err=True)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)


def _print(report: Report) -> None:
    from proofroom.adapters.simulation.report import interval

    def against(count: int, of: int, chance: float) -> str:
        least, most = interval(chance, of)
        return f"{count} of {of}, computed {chance:.4%}: {least} to {most} in 99.99 % of such worlds"

    listed = {
        "honest records": report.honest,
        "misreports": report.misreported,
        "slashed": report.slashed,
        "refused": report.refused,
        "stated": report.stated,
    }
    print_pairs(
        [
            ("seed", report.scenario.seed),
            ("entries", f"{report.entries:,}, root {report.root[:16]}..."),
            ("rounds", f"{report.rounds}, and {report.escalated} after a dispute"),
            ("captured", against(report.captured, report.drawn, report.expected_capture)),
            ("caught", against(report.caught, report.suspect, report.expected_catch)),
            *((name, ", ".join(f"{k} {v:,}" for k, v in counts.items()) or "none") for name, counts in listed.items()),
        ]
    )
