"""``proofroom assurance``: how large a committee must be."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.options import json_option
from proofroom.adapters.cli.output import print_json, print_sentence, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Chance(click.ParamType[Fraction]):
    """A chance: ``0.01``, ``1%`` or ``1/100``, read exactly."""

    name = "chance"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        text = str(value).strip()
        try:
            chance = Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{text!r} is not a chance such as 0.01, 1% or 1/100", param, ctx)
        if not 0 < chance <= 1:
            self.fail(f"{text!r} is not between 0 and 1", param, ctx)
        return chance


@click.command(
    epilog="""\b
Examples:
  proofroom assurance --validators 100 --colluding 33 --committee 11
  proofroom assurance --validators 100 --colluding 33 --below 1%
  proofroom assurance --validators 100 --committee 21 --records 10000 --observed 300 --missing 2

A round records the same numbers (round-opened and round-tallied), with a third of the eligible taken to collude.
"""
)
@click.option("--validators", required=True, type=click.IntRange(1, 100_000), help="Eligible validators.")
@click.option("--colluding", type=click.IntRange(0), help="Of these under one will.  [default: a third, rounded down]")
@click.option("--committee", type=click.IntRange(1, 247), help="Size of the first committee; without it, usual ones.")
@click.option("--escalations", default=0, show_default=True, type=click.IntRange(0, 2), help="Larger committees after.")
@click.option("--missing", default=0, show_default=True, type=click.IntRange(0, 1_000), help="Beacon values withheld.")
@click.option("--records", type=click.IntRange(1, 10_000), help="Records of the batch; asks for the chance of a catch.")
@click.option("--observed", type=click.IntRange(0), help="Of these observed independently.  [default: all]")
@click.option("--below", type=_Chance(), help="Plan: the smallest committee that is captured more rarely than this.")
@json_option
def assurance(
    validators: int,
    colluding: int | None,
    committee: int | None,
    escalations: int,
    missing: int,
    records: int | None,
    observed: int | None,
    below: Fraction | None,
    as_json: bool,
) -> None:
    """What rounds prove: how often colluders carry or block one, and how often a misreport rate of 1 % is caught."""
    from proofroom.domain.assurance import smallest_committee

    colluders = validators // 3 if colluding is None else colluding
    seen = records if observed is None else observed
    if colluders > validators:
        raise click.UsageError("--colluding is more than --validators")
    if observed is not None and (records is None or observed > records):
        raise click.UsageError("--observed needs --records, and is at most as many")
    if below is not None and committee is not None:
        raise click.UsageError("--below looks for the committee; leave out --committee")
    if committee is not None and committee > validators:
        raise click.UsageError("--committee is more than --validators")
    planned = None if below is None else smallest_committee(validators, colluders, below, missing)
    sizes = [m for m in (5, 7, 11, 15, 21, 31, 45, 61) if m <= validators]
    if committee is not None or planned is not None:
        sizes = [committee or planned or 0]
    elif below is not None:
        sizes = []
    rows = [
        _row(validators, colluders, size, level, missing, records, seen)
        for size in sizes
        for level in range(escalations + 1)
        if _size(size, level) <= _left(validators, size, level)
    ]
    value = {"validators": validators, "colluding": colluders, "missing": missing, "committees": rows}
    if as_json:
        print_json(value if below is None else value | {"below": str(below), "smallest": planned})
        return
    _print(rows)
    if below is not None:
        found = f"{planned} members are the fewest that are captured in less than {_percent(below)} of rounds"
        none = f"no committee of 5 to 61 is captured in less than {_percent(below)} of rounds"
        print_sentence(f"plan: {none if planned is None else found}", fg="cyan")


def _size(committee: int, level: int) -> int:
    """``m``, ``2m + 1``, ``4m + 3``."""
    return ((committee + 1) << level) - 1


def _left(validators: int, committee: int, level: int) -> int:
    """Who is left to be drawn after the committees before."""
    return validators - sum(_size(committee, earlier) for earlier in range(level))


def _row(
    validators: int, colluding: int, first: int, level: int, missing: int, records: int | None, seen: int | None
) -> dict[str, Any]:
    from proofroom.domain.assurance import (
        capture,
        catch,
        chance_of_blocking,
        chance_of_capture,
        draws_of_a_host,
        threshold,
    )

    size, left = _size(first, level), _left(validators, first, level)
    colluders = min(colluding, left)
    plain, chance = (chance_of_capture(left, colluders, size, w) for w in (0, missing))
    row: dict[str, Any] = {
        "level": level,
        "committee": size,
        "threshold": threshold(size),
        "eligible": left,
        "colluding": colluders,
        "capture": {"ratio": str(capture(left, colluders, size, missing)), "exact": str(chance)},
        "capture_by_host": {"exact": str(min(Fraction(1), draws_of_a_host(left, missing) * plain))},
        "block": {"exact": str(chance_of_blocking(left, colluders, size))},
    }
    if records is not None and seen is not None:
        row["catch"] = {"ratio": str(catch(capture(left, colluders, size, missing), records, seen))}
        row |= {"records": records, "observed": seen}
    return row


def _print(rows: Sequence[dict[str, Any]]) -> None:
    with_catch = any("catch" in row for row in rows)
    names = ["committee", "threshold", "eligible", "colluding", "captured", "one round in", "by the host", "blocked"]
    table = []
    for row in rows:
        captured = Fraction(row["capture"]["exact"])
        rare = f"{int(1 / captured):,}" if captured else "never"
        blocked = _percent(Fraction(row["block"]["exact"]))
        by_host = _percent(Fraction(row["capture_by_host"]["exact"]), up=True)
        cells = [row[name] for name in names[:4]] + [_percent(captured, up=True), rare, by_host, blocked]
        table.append(cells + ([_percent(Fraction(int(row["catch"]["ratio"]), 10**18))] if with_catch else []))
    print_table(names + (["1 % caught"] if with_catch else []), table, right=lambda _: True)


def _percent(chance: Fraction, *, up: bool = False) -> str:
    """Percent with four digits that count, rounded down or up: exact integers until it is text."""
    if chance in (0, 1):
        return f"{int(chance) * 100} %"
    digits = 2
    while chance * 100 * 10**digits < 1_000 and digits < 30:
        digits += 1
    scaled = chance * 100 * 10**digits
    number = -(-scaled.numerator // scaled.denominator) if up else scaled.numerator // scaled.denominator
    whole, rest = divmod(number, 10**digits)
    return f"{whole}.{rest:0{digits}d} %"
