"""How much a round proves: exact chances (protocol 5). What is written down are ratios of 10^18ths, rounded to the cautious side."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, comb

from proofroom.domain.money import RATIO_ONE

COMMITTEES = range(5, 62)
"""Sizes that a cluster may choose for its first committees."""


def threshold(assigned: int) -> int:
    """The fewest votes that are two thirds of the assigned: the least ``a`` with ``3 * a >= 2 * assigned``."""
    return (2 * assigned + 2) // 3


def chance_of_seats(eligible: int, colluding: int, committee: int, least: int) -> Fraction:
    """The chance that the colluding hold at least so many seats of a committee drawn without replacement."""
    winning = sum(
        comb(colluding, i) * comb(eligible - colluding, committee - i)
        for i in range(least, min(colluding, committee) + 1)
    )
    return Fraction(winning, comb(eligible, committee))


def draws_of_a_host(eligible: int, missing: int) -> int:
    """``sum(C(n, i), i <= w)``: among how many draws a host chooses that may drop any w of n beacon values, not only those of colluders."""
    return sum(comb(eligible, i) for i in range(missing + 1))


def chance_of_capture(eligible: int, colluding: int, committee: int, missing: int = 0) -> Fraction:
    """The chance that the colluding hold the threshold.

    Whoever withholds ``missing`` reveals chooses among at most ``2**missing`` draws, so the chance is at most that many times as large.
    """
    chance = chance_of_seats(eligible, colluding, committee, threshold(committee))
    return min(Fraction(1), chance * (1 << missing))


def chance_of_blocking(eligible: int, colluding: int, committee: int) -> Fraction:
    """The chance that the others alone are fewer than the threshold: the colluding can delay a verdict, and cannot give one."""
    return chance_of_seats(eligible, colluding, committee, committee - threshold(committee) + 1)


def capture(eligible: int, colluding: int, committee: int, missing: int = 0) -> int:
    """:func:`chance_of_capture` as a ratio, rounded up."""
    return ceil(RATIO_ONE * chance_of_capture(eligible, colluding, committee, missing))


def catch(captured: int, records: int, observed: int) -> int:
    """The chance, rounded down, that a misreport rate of 1 % meets an honest round that observed ``observed`` of ``records``.

    ``(1 - capture) * (1 - C(N - b, k) / C(N, k))`` with ``b = ceil(N / 100)`` misreports among N records and k observed ones.
    """
    if observed == 0:
        return 0
    misreports = -(-records // 100)
    missed, ways = comb(records - misreports, observed), comb(records, observed)
    return (RATIO_ONE - captured) * (ways - missed) // ways


def smallest_committee(eligible: int, colluding: int, below: Fraction, missing: int = 0) -> int | None:
    """The smallest size, of those a cluster may choose, that is captured with a chance below this; None where there is none.

    A size more is not always rarer: the threshold does not rise with each.
    """
    sizes = (m for m in COMMITTEES if m <= eligible and chance_of_capture(eligible, colluding, m, missing) < below)
    return next(sizes, None)
