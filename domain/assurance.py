"""How much a round proves: exact chances, written as ratios (protocol 5)."""

from __future__ import annotations

from math import comb

from proofroom.domain.money import RATIO_ONE


def threshold(assigned: int) -> int:
    """The fewest votes that are two thirds of the assigned: the least ``a`` with ``3 * a >= 2 * assigned``."""
    return (2 * assigned + 2) // 3


def capture(eligible: int, colluding: int, committee: int, missing: int = 0) -> int:
    """The chance, rounded up, that the colluding hold the threshold in a committee drawn without replacement.

    Whoever withholds ``missing`` reveals chooses among at most ``2**missing`` draws, so the chance is at most that many times as large.
    """
    least = threshold(committee)
    winning: int = sum(
        comb(colluding, i) * comb(eligible - colluding, committee - i)
        for i in range(least, min(colluding, committee) + 1)
    )
    chance: int = -(-winning * RATIO_ONE * 2**missing // comb(eligible, committee))
    return min(RATIO_ONE, chance)


def catch(captured: int, records: int, observed: int) -> int:
    """The chance, rounded down, that a misreport rate of 1 % meets an honest round that observed ``observed`` of ``records``.

    ``(1 - capture) * (1 - C(N - b, k) / C(N, k))`` with ``b = ceil(N / 100)`` misreports among N records and k observed ones.
    """
    if observed == 0:
        return 0
    misreports = -(-records // 100)
    missed, ways = comb(records - misreports, observed), comb(records, observed)
    return (RATIO_ONE - captured) * (ways - missed) // ways
