"""What a simulated world showed, beside what the formulas say."""

from __future__ import annotations

from math import exp, lgamma, log, log1p
from typing import Any, NamedTuple

from proofroom.adapters.simulation.scenario import Scenario


class Report(NamedTuple):
    """The outcome of a simulation. Rounds count the first of each batch; later ones are escalations."""

    scenario: Scenario
    entries: int
    rounds: int
    drawn: int
    """First rounds that drew a committee; the others had too few reveals."""
    suspect: int
    """Those of them whose batch had a misreport."""
    blockable: int
    """Rounds, later ones too, in whose committee the colluding held a third or more."""
    captured: int
    """First rounds in whose committee the colluding held the threshold."""
    expected_capture: float
    """The computed chance of that."""
    caught: int
    """First rounds in which an honest member rejected a misreport, and no misreport of them was attested."""
    expected_catch: float
    """The computed chance of that, where one record of a hundred is misreported."""
    escalated: int
    """Rounds beyond the first."""
    honest: dict[str, int]
    """What became of honest records: ``attested``, ``rejected``, ``unattested``."""
    misreported: dict[str, int]
    """What became of the others."""
    slashed: dict[str, int]
    """Slashes by who was slashed: a node that was ``honest-node`` or ``misreporting-node``, or what the validator did."""
    refused: dict[str, int]
    """What the ledger refused, by error code: copied votes, second commitments."""
    stated: dict[str, int]
    """Statements of the ledger by kind: tallies, slashes, removals, payouts."""
    root: str
    """Root of the tree of all entries: the same for the same scenario."""
    capture_curve: tuple[int, ...]
    """Captured rounds after each hundredth part of the run."""

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**self._asdict(), "scenario": self.scenario._asdict()}


def interval(chance: float, trials: int, *, outside: float = 1e-4) -> tuple[int, int]:
    """The least and the most successes of ``trials`` that lie within the two-sided interval of a chance (exact binomial sums).

    Below the least, and above the most, lies a chance of at most ``outside / 2`` each.
    """
    if chance <= 0 or trials == 0:
        return (0, 0)
    if chance >= 1:
        return (trials, trials)
    mass = [_mass(chance, trials, k) for k in range(trials + 1)]
    least, below = 0, 0.0
    while below + mass[least] <= outside / 2:
        below += mass[least]
        least += 1
    most, above = trials, 0.0
    while above + mass[most] <= outside / 2:
        above += mass[most]
        most -= 1
    return least, most


def _mass(chance: float, trials: int, k: int) -> float:
    ways = lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1)
    return exp(ways + k * log(chance) + (trials - k) * log1p(-chance))
