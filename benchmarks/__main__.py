"""``make bench``: all measurements, or those named; numbers after a name are its own arguments."""

from __future__ import annotations

import sys
from importlib import import_module

ALL = (
    "single",
    "projection",
    "opening",
    "questions",
    "bulk",
    "rooted",
    "round",
    "vault",
    "settlement",
    "proofs",
    "audit",
)


def main(names: list[str]) -> None:
    """Run the named benchmarks in order."""
    jobs: list[tuple[str, list[int]]] = []
    for word in names or ALL:
        if word.isdecimal() and jobs:
            jobs[-1][1].append(int(word))
        else:
            jobs.append((word, []))
    for name, numbers in jobs:
        import_module(f"benchmarks.{name}").main(*numbers)


if __name__ == "__main__":
    main(sys.argv[1:])
