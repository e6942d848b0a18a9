"""A picture of a simulated run. It needs matplotlib, which comes with the extra ``plots``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from proofroom.adapters.files import write_atomically
from proofroom.adapters.simulation.report import Report, interval
from proofroom.domain.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(report: Report, path: Path) -> None:
    """Captured rounds as they came, within what the formula allows; and what became of the records.

    Raises:
        MissingExtra: matplotlib is not installed.
        BadInput, StoreUnavailable: the file's ending is of no picture, or it cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra(extra="plots", package="matplotlib") from None
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_captures(left, report)
    _draw_verdicts(right, report)
    s = report.scenario
    figure.suptitle(f"{s.validators} validators, {s.colluding} colluding, committees of {s.committee}; seed {s.seed}")
    drawn = io.BytesIO()
    try:
        figure.savefig(drawn, dpi=150, format=path.suffix[1:] or "png")
    except ValueError as e:
        raise BadInput(path=str(path), why=str(e).splitlines()[0]) from None
    write_atomically(path, drawn.getvalue())


def _draw_captures(axes: Axes, report: Report) -> None:
    parts = len(report.capture_curve)
    rounds = [report.drawn * (i + 1) // parts for i in range(parts)]
    bounds = [interval(report.expected_capture, n) for n in rounds]
    axes.fill_between(rounds, [b[0] for b in bounds], [b[1] for b in bounds], alpha=0.2, label="99.99 % of such worlds")
    axes.plot(rounds, [n * report.expected_capture for n in rounds], "--", label="computed")
    axes.plot(rounds, report.capture_curve, label="seen")
    axes.set(title="Rounds captured by the colluding", xlabel="rounds", ylabel="captured so far")
    axes.legend()


def _draw_verdicts(axes: Axes, report: Report) -> None:
    left = [0.0, 0.0]
    for verdict, colour in (("attested", "tab:green"), ("unattested", "tab:gray"), ("rejected", "tab:red")):
        parts = [
            counts.get(verdict, 0) / max(1, sum(counts.values())) for counts in (report.honest, report.misreported)
        ]
        axes.barh(["honest", "misreported"], parts, left=left, color=colour, label=verdict)
        left = [a + b for a, b in zip(left, parts, strict=True)]
    axes.set(title="What became of the records", xlim=(0, 1))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
