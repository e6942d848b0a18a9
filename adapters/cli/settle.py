"""``proofroom settle``: the settlement of an era that is described in a file, without a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proofroom.adapters.cli.options import json_option
from proofroom.adapters.cli.output import print_json, print_table, style
from proofroom.domain.errors import BadInput

if TYPE_CHECKING:
    from proofroom.domain.description import Settled

EXAMPLE = "example-era.json"


@click.command(
    epilog="""\b
Examples:
  proofroom settle --example > era.json       one to begin with
  proofroom settle era.json
  proofroom settle era.json --json
"""
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--example", is_flag=True, help="Print a description to begin with, and stop.")
@json_option
def settle(file: Path | None, example: bool, as_json: bool) -> None:
    """Settle an era that FILE describes; no ledger is needed.

    FILE is one JSON object: the era's period, prices and shares, each customer's balance, the attested usage by customer and node, the
    validators' work, and listings (docs/settle.md has the format). Prints what each customer is charged and for what, what everybody
    gets, what is owed, and the journal, as the ledger would record it: it computes with the same function.
    """
    if example:
        click.echo(resources.files("proofroom.adapters").joinpath(EXAMPLE).read_text(), nl=False)
        return
    if file is None:
        raise click.UsageError("name a FILE, or ask for an --example")
    from proofroom.domain.description import MAX_BYTES, parse_description, settled_facts
    from proofroom.domain.description import settle as compute

    settled = compute(parse_description(_read(file, MAX_BYTES)))
    if as_json:
        print_json(settled_facts(settled))
    else:
        _print(settled)


def _read(file: Path, limit: int) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as e:
        raise BadInput(path=str(file), why=e.strerror or "cannot be read") from None
    if len(data) > limit:
        raise BadInput(path=str(file), why=f"longer than {limit} bytes")
    return data


def _print(settled: Settled) -> None:
    from proofroom.domain.charging import Parts
    from proofroom.domain.description import balances, debt_facts, journal
    from proofroom.domain.lines import totals_of

    d = settled.description
    click.echo(style(f"era {d.era} of {d.cluster}: {d.start} to {d.end}, {settled.work.seconds} s", bold=True))
    _table(
        "charges",
        ("customer", "records", *Parts._fields, "fees", "charged", "collected"),
        [
            (
                c.customer,
                c.records,
                *c.charged,
                fees := sum(f.charged for f in c.fees),
                sum(c.charged) + fees,
                sum(c.collected) + sum(f.collected for f in c.fees),
            )
            for c in settled.charges
        ],
        words=1,
    )
    debts = [debt for c in settled.charges if (debt := debt_facts(c)) is not None]
    _table(
        "debts",
        ("customer", *Parts._fields, "fees", "total"),
        [(x["customer"], *x["parts"].values(), sum(map(int, x["fees"].values())), x["total"]) for x in debts],
        words=1,
    )
    paid = [line for line in settled.lines if line.role not in ("charge", "fee")]
    _table(
        "rewards",
        ("role", "party", "listing", "amount"),
        [(s.role, s.party, s.listing, s.amount) for s in paid],
        words=3,
    )
    _table("totals", ("sum", "amount"), list(totals_of(settled.lines).to_json().items()), words=1)
    rows = [(row["line"], row["account"], row["amount"]) for row in journal(settled.lines)]
    _table("journal", ("line", "account", "amount"), rows, words=2)
    _table("balances", ("account", "balance"), sorted(balances(settled).items()), words=1)


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[object, ...]], *, words: int) -> None:
    """A titled table, left out when it is empty; the first ``words`` columns are text, the others numbers."""
    if rows:
        click.echo(style(f"\n{title}", bold=True))
        print_table(columns, rows, right=lambda i: i >= words)
