"""``python -m fuzz.worker TARGET [libFuzzer options] CORPUS..``: Atheris over one target, with only what it fuzzes instrumented."""

from __future__ import annotations

import sys

import atheris

name = sys.argv[1]
with atheris.instrument_imports(include=["proofroom.domain"]):
    from fuzz.targets import TARGETS
if name in TARGETS:
    try_it = TARGETS[name][0]
else:
    sys.path.insert(0, "tests")
    with atheris.instrument_imports(include=["proofroom"]):
        from strategies.all_doors import DOORS
    from strategies.doors import knock, stage

    stage()  # before the clock of the first execution runs

    def try_it(data: bytes) -> None:
        knock(DOORS[name], data)


atheris.Setup([sys.argv[0], *sys.argv[2:]], try_it)
atheris.Fuzz()
