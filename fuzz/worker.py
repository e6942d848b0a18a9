"""``python -m fuzz.worker TARGET [libFuzzer options] CORPUS..``: Atheris over one target, with only what it fuzzes instrumented."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["proofroom.domain"]):
    from fuzz.targets import TARGETS

atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]][0])
atheris.Fuzz()
