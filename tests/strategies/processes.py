"""Which processes there are."""

from __future__ import annotations

import time
from pathlib import Path


def arguments(process: Path) -> str:
    """The arguments of a process in ``/proc``; none, when it has gone."""
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


def assert_none_left(mark: str) -> None:
    """No process carries the mark in its arguments; one that was killed may take a moment to go."""
    end = time.monotonic() + 60
    while any(mark in arguments(path) for path in Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < end, "a process is left"
        time.sleep(0.02)
