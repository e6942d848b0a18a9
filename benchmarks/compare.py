"""Two sides in turn, each a process of its own, so that neither warms the other and memory is that of one side."""

from __future__ import annotations

import contextlib
import json
import os
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
    """Of the process that measures, without its helpers."""
    helpers_mib: float
    """Of its helpers together, each at its peak."""
    cpu_seconds: float
    """Of all of them: what the machine spent, however busy it was with other things."""


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
            cpu = statistics.median(s.cpu_seconds for s in samples) / self.per * 1e6
            peak, helpers = (max(peaks) for peaks in zip(*(s[1:3] for s in samples), strict=True))
            return (
                f"{statistics.median(micros):9.1f} us ({min(micros):.1f} to {max(micros):.1f}), "
                f"{cpu:.1f} us of processor, peak {peak:.0f} MiB (helpers {helpers:.0f})"
            )

        ratio = statistics.median(self.ratios)
        verdict = "met" if ratio >= self.goal else "MISSED"
        return (
            f"{self.name}\n  A {side(self.a)}\n  B {side(self.b)}\n"
            f"  B/A median {ratio:.2f} ({min(self.ratios):.2f} to {max(self.ratios):.2f}), goal {self.goal}: {verdict}"
        )


def measure(work: Callable[[], object]) -> None:
    """In the process of a side: run, time, and print the sample for :func:`run_side`."""
    cpu, start = _cpu_seconds(), time.perf_counter()
    work()
    print_sample(time.perf_counter() - start, _cpu_seconds() - cpu)


def print_sample(seconds: float, cpu_seconds: float) -> None:
    """In the process of a side that took its time itself."""
    helpers = sum(_peak_mib(pid) for pid in _helpers())
    print(json.dumps(Sample(seconds, _peak_mib("self"), helpers, cpu_seconds)))


def _peak_mib(pid: str) -> float:
    """The most memory a process held since it began. ``ru_maxrss`` would count what its parent held before it."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None, "Linux always has the line"
    return int(found[1]) / 1024


def _helpers() -> list[str]:
    """The processes that this one started and that still run."""
    found: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
            found += (task / "children").read_text().split()
    return found


def _cpu_seconds() -> float:
    """Processor time of this process and of its helpers so far, also of those that have ended."""
    ticks, ended = 0, os.times()
    for pid in _helpers():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK") + ended.children_user + ended.children_system


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
