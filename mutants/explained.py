"""Which survivors ``docs/mutants.md`` gives a reason for: it lists each as a piece of code before and after, spaces set aside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_LISTED = re.compile(r"^  - `([a-z_/]+\.py)`: `(.+)` → (?:`(.+)`|\(removed\))$", re.MULTILINE)
CONTEXT = 40
"""So many characters before and behind a change tell it apart, as far as the line goes."""


class Listed(NamedTuple):
    """A change of a module, as the page lists it."""

    module: str
    """Without ``domain/``."""
    before: str
    after: str

    def gives(self, text: str, mutated: str) -> bool:
        """Whether this change, somewhere in this text, makes it that one."""
        text, mutated, before, after = map(bare, (text, mutated, self.before, self.after))
        places = (match.start() for match in re.finditer(re.escape(before), text))
        return any(text[:at] + after + text[at + len(before) :] == mutated for at in places)

    def __str__(self) -> str:
        return f"  - `{self.module}`: `{self.before}` → {f'`{self.after}`' if self.after else '(removed)'}"


def listed(page: Path) -> list[Listed]:
    """All that the page lists."""
    return [Listed(*match.groups("")) for match in _LISTED.finditer(page.read_text())]


def bare(text: str) -> str:
    """Without spaces and line ends, which a mutation writes otherwise."""
    return "".join(text.split())


def to_list(module: str, text: str, mutated: str) -> Listed:
    """How the page may list a change: the lines that differ, cut down to what tells."""
    old, new = text.splitlines(), mutated.splitlines()
    first = _alike(zip(old, new, strict=False))
    behind = min(_alike(zip(old[::-1], new[::-1], strict=False)), len(old) - first, len(new) - first)
    before, after = (" ".join(" ".join(lines[first : len(lines) - behind]).split()) for lines in (old, new))
    head = _alike(zip(before, after, strict=False))
    tail = min(_alike(zip(before[::-1], after[::-1], strict=False)), len(before) - head, len(after) - head)
    start, rest = _cut(before, head), tail - _cut(before[::-1], tail)
    ends = [text[start : len(text) - tail + rest].strip() for text in (before, after)]
    return Listed(module.removeprefix("domain/"), *ends)


def _alike(pairs: Iterable[tuple[str, str]]) -> int:
    """How many pairs are of the same, from the first on."""
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count


def _cut(text: str, at: int) -> int:
    """Where a word begins, not more than some characters before."""
    return 0 if at <= CONTEXT else text.find(" ", at - CONTEXT, at - CONTEXT // 2) + 1 or at - CONTEXT
