"""Long runs that go on where they stopped: seeds are numbered from one that is drawn, and what is done is kept in ``build/soak/``.

In ``make test`` a share of the numbers is tried from the run's own seed, and nothing is kept. In a soak, how many are done and what was
counted is written down as it goes, for a program there and for a person in ``docs/soak/``; the next run goes on from it, with the number
that failed if one did.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from strategies.rooms import TESTS, soak

ROOT = TESTS.parent
SAVE_SECONDS = 10.0


class Page(NamedTuple):
    """What a person reads of a soak."""

    name: str
    """Of its file in ``docs/soak/``."""
    title: str
    test: str
    """The file in ``tests/`` that says what is checked."""
    figures: Mapping[str, str]
    """What is told, and the name under which it was counted, or several with commas between them."""


class Soak:
    """Numbered seeds, as many as the profile asks for.

    Args:
        page: what to tell of them.
        config: whose seed of the run the numbers start from, outside of a soak.
        few, many: how many numbers there are, and in a soak.

    >>> Soak(PAGE, pytestconfig, 5, 1_000).each(lambda seed, number: {"waves": storm(seed)})    # doctest: +SKIP
    """

    def __init__(self, page: Page, config: pytest.Config, few: int, many: int) -> None:
        self._page = page
        self._kept = ROOT / "build" / "soak" / f"{page.name}.json"
        self.count, self.is_long = soak(few, many), soak(False, True)
        self.base, self.done = str(config.getoption("hypothesis_seed")), 0
        self.counted, self.seconds, self._commits = Counter[str](), 0.0, set[str]()
        if self.is_long:
            self._load()

    def _load(self) -> None:
        self._commits.add(_commit())
        if not self._kept.exists():
            self.base = str(secrets.randbits(32))
            return
        kept = json.loads(self._kept.read_text())
        self.base, self.done, self.seconds = kept["base"], kept["done"], kept["seconds"]
        self.counted.update(kept["counted"])
        self._commits.update(kept["commits"])

    def each(self, try_one: Callable[[str, int], Mapping[str, int]]) -> None:
        """Call it with each seed that is left and its number, and add up what it counted; what fails is told with its seed."""
        start, saved = _spent() - self.seconds, time.monotonic()
        while self.done < self.count:
            seed = f"{self.base} {self.done}"
            try:
                self.counted.update(try_one(seed, self.done))
            except BaseException as e:
                again = "make soak goes on with it" if self.is_long else f"--hypothesis-seed={self.base}"
                e.add_note(f"seed {seed!r}; again: {again}")
                raise
            self.done += 1
            self.seconds = _spent() - start
            if self.is_long and (time.monotonic() - saved > SAVE_SECONDS or self.done == self.count):
                saved = time.monotonic()
                self._keep()
        if self.is_long:
            self._kept.unlink(missing_ok=True)

    def _keep(self) -> None:
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        draft = self._kept.with_suffix(".new")
        kept = {"base": self.base, "done": self.done, "seconds": self.seconds, "counted": self.counted}
        draft.write_text(json.dumps(kept | {"commits": sorted(self._commits)}, indent=1))
        draft.replace(self._kept)
        page = ROOT / "docs" / "soak" / f"{self._page.name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(self._told())

    def _told(self) -> str:
        _, title, test, figures = self._page
        rows = [
            f"| {name} | {' / '.join(f'{self.counted[of]:,}' for of in counts.split(', '))} |"
            for name, counts in figures.items()
        ]
        far = "" if self.done == self.count else f" of {self.count:,}, to be gone on with"
        return "\n".join(
            [
                f"# {title}",
                "",
                f"By `make soak ARGS={test}`, at commit {', '.join(sorted(self._commits))}: {self.done:,} seeds{far}, `{self.base} 0` to",
                f"`{self.base} {self.done - 1}`; {self.seconds:,.0f} s of processor time. What is checked, and how: `{test}`.",
                "",
                "| | |",
                "|---|---|",
                *rows,
                "",
            ]
        )


def _spent() -> float:
    """Processor time of this process and of those that it has waited for, in seconds."""
    return sum(os.times()[:4])


def _commit() -> str:
    if not (ROOT / ".git").exists():
        return "unknown"
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
