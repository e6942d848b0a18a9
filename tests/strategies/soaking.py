"""Long runs that go on where they stopped: seeds are numbered from one that is drawn, and what is done is kept in ``build/soak/``.

In ``make test`` a share of the numbers is tried from the run's own seed, and nothing is kept. In a soak, how many are done and what was
counted is written down as it goes; the next run goes on there, with the number that failed if one did. At the end a summary takes the
place of that, in ``docs/soak/``.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from strategies.rooms import TESTS, soak

ROOT = TESTS.parent
SAVE_SECONDS = 10.0


class Soak:
    """Numbered seeds, as many as the profile asks for.

    Args:
        name: of the summary.
        config: whose seed of the run the numbers start from, outside of a soak.
        few, many: how many numbers there are, and in a soak.

    >>> run = Soak("storms", pytestconfig, 5, 1_000)                              # doctest: +SKIP
    >>> run.each(lambda seed, number: {"waves": storm(seed)})                     # doctest: +SKIP
    >>> run.summarise("Storms", "tests/test_storms.py", "None sank.", {"waves": "waves"})   # doctest: +SKIP
    """

    def __init__(self, name: str, config: pytest.Config, few: int, many: int) -> None:
        self._kept = ROOT / "build" / "soak" / f"{name}.json"
        self._page = ROOT / "docs" / "soak" / f"{name}.md"
        self.count, self.is_long = soak(few, many), soak(False, True)
        self.base, self.done = int(config.getoption("hypothesis_seed")) % 2**32, 0
        self.counted, self.seconds, self._commits = Counter[str](), 0.0, set[str]()
        if self.is_long:
            self._load()

    def _load(self) -> None:
        self._commits.add(_commit())
        if not self._kept.exists():
            self.base = secrets.randbits(32)
            return
        kept = json.loads(self._kept.read_text())
        self.base, self.done, self.seconds = kept["base"], kept["done"], kept["seconds"]
        self.counted.update(kept["counted"])
        self._commits.update(kept["commits"])

    def each(self, try_one: Callable[[str, int], Mapping[str, int]]) -> None:
        """Call it with each seed and its number, and add up what it counted; what fails is told with its seed."""
        start, saved = time.process_time() - self.seconds, time.monotonic()
        while self.done < self.count:
            seed = f"{self.base} {self.done}"
            try:
                self.counted.update(try_one(seed, self.done))
            except BaseException as e:
                e.add_note(
                    f"seed {seed!r}, again: "
                    + ("make soak goes on with it" if self.is_long else f"--hypothesis-seed={self.base}")
                )
                raise
            self.done += 1
            self.seconds = time.process_time() - start
            if self.is_long and (time.monotonic() - saved > SAVE_SECONDS or self.done == self.count):
                saved = time.monotonic()
                self._keep()

    def _keep(self) -> None:
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        draft = self._kept.with_suffix(".new")
        kept = {"base": self.base, "done": self.done, "seconds": self.seconds, "counted": self.counted}
        draft.write_text(json.dumps(kept | {"commits": sorted(self._commits)}, indent=1))
        draft.replace(self._kept)

    def summarise(self, title: str, test: str, text: str, figures: Mapping[str, str]) -> None:
        """Write the page, in a soak: the names of figures, and what counts them (or several, with commas between)."""
        if not self.is_long:
            return
        rows = [
            f"| {name} | {' / '.join(f'{self.counted[c]:,}' for c in of.split(', '))} |" for name, of in figures.items()
        ]
        self._page.write_text(
            f"# {title}\n\n"
            f"Written by `make soak ARGS={test}` at commit {', '.join(sorted(self._commits))}: the seeds `{self.base} 0` to "
            f"`{self.base} {self.count - 1}`,\n{self.seconds:,.0f} s of processor time. {text}\n\n| | |\n|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
        self._kept.unlink()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
