"""``proofroom why``: from one payout line back to the work behind it."""

from __future__ import annotations

import io
from pathlib import Path

import click

from proofroom.adapters.cli.options import MAX_NUMBER, json_option, open_views, room_option
from proofroom.adapters.cli.output import plain, print_json

NUMBER = click.IntRange(0, MAX_NUMBER)


@click.command(
    epilog="""\b
Examples:
  proofroom why dragon-1 0 3
  proofroom sql "SELECT line, role, amount FROM payouts WHERE cluster = 'dragon-1' AND era = 0"    to find the lines
"""
)
@click.argument("cluster")
@click.argument("era", type=NUMBER)
@click.argument("line", type=NUMBER)
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), help="Records to name; all are counted."
)
@click.option("--short", is_flag=True, help="Cut keys and digests to their first and last digits.")
@room_option
@json_option
def why(cluster: str, era: int, line: int, limit: int, short: bool, room: Path, as_json: bool) -> None:
    """Why a line of an era's settlement: the records, votes and grants behind it.

    Every line of the tree names the entry that says so; proofroom show entry N --proof shows that entry with its proof.
    """
    from proofroom.adapters.why import explain, tree_of

    with open_views(room) as ledger:
        facts = explain(ledger, cluster, era, line, limit=limit)
    if as_json:
        print_json(facts)
        return
    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=10_000, color_system=None, highlight=False).print(tree_of(facts, short=short))
    click.echo(plain("\n".join(row.rstrip() for row in text.getvalue().splitlines())))
