"""Seeds of simulations in tests."""

from __future__ import annotations

import secrets
import sys


def seeds(count: int = 3) -> list[int]:
    """Seeds drawn now and printed, so that a failure can be had again."""
    drawn = [secrets.randbits(64) for _ in range(count)]
    sys.stdout.write(f"seeds {drawn}\n")
    return drawn
