"""Seeds of simulations in tests."""

from __future__ import annotations

import secrets
import sys

from strategies.rooms import soak


def seeds(count: int | None = None) -> list[int]:
    """Seeds drawn now and printed, so that a failure can be had again: if not said otherwise, three in a soak, else one."""
    drawn = [secrets.randbits(64) for _ in range(count or soak(1, 3))]
    sys.stdout.write(f"seeds {drawn}\n")
    return drawn
