"""``make bench``: all measurements, or those named; numbers after a name are its own arguments."""

from __future__ import annotations

import sys
from importlib import import_module

ALL = ("single", "projection", "opening", "bulk", "rooted", "round", "vault", "settlement", "proofs")


def main(names: list[str]) -> None:
    """Run the named benchmarks in order."""
    for name in names or ALL:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
