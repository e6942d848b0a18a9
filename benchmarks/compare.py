"""Two sides in turn, each a process of its own, so that neither warms the other and memory is that of one side."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

RUNS = 5


class Sample(NamedTuple):
    """One run of one side."""

    seconds: float
    peak_mib: float
    """Of the process that measures; its helpers are not counted."""


class Figure(NamedTuple):
    """A and B over several runs, and B's time over A's, pair by pair: above 1 means that A is faster."""

    name: str
    a: list[Sample]
    b: list[Sample]
    goal: float
    per: int
    """Items a run handles; times are printed per item."""

    @property
    def ratios(self) -> list[float]:
        return [b.seconds / a.seconds for a, b in zip(self.a, self.b, strict=True)]

    def __str__(self) -> str:
        def side(samples: list[Sample]) -> str:
            micros = [s.seconds / self.per * 1e6 for s in samples]
            peak = max(s.peak_mib for s in samples)
            return f"{statistics.median(micros):9.1f} us ({min(micros):.1f} to {max(micros):.1f}), peak {peak:.0f} MiB"

        ratio = statistics.median(self.ratios)
        verdict = "met" if ratio >= self.goal else "MISSED"
        return (
            f"{self.name}\n  A {side(self.a)}\n  B {side(self.b)}\n"
            f"  B/A median {ratio:.2f} ({min(self.ratios):.2f} to {max(self.ratios):.2f}), goal {self.goal}: {verdict}"
        )


def measure(work: Callable[[], object]) -> None:
    """In the process of a side: run, time, and print the sample for :func:`run_side`."""
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, peak_mib()]))


def peak_mib() -> float:
    """The most memory this process held since it began. ``ru_maxrss`` would count what its parent held before it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index] -- Linux always has the line


def run_side(module: str, *args: object) -> Sample:
    """One sample of ``python -m module args``."""
    done = subprocess.run([sys.executable, "-m", module, *map(str, args)], check=True, capture_output=True, text=True)
    return Sample(*json.loads(done.stdout.splitlines()[-1]))


def compare(
    name: str, module: str, a: Sequence[object], b: Sequence[object], *, goal: float, per: int, runs: int = RUNS
) -> Figure:
    """Run both sides in turn, ``runs`` times each."""
    samples: tuple[list[Sample], list[Sample]] = ([], [])
    for _ in range(runs):
        samples[0].append(run_side(module, *a))
        samples[1].append(run_side(module, *b))
    return Figure(name, *samples, goal, per)
