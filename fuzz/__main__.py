"""``python -m fuzz CORPUS [libFuzzer options]``: Atheris over :mod:`fuzz.targets`. What it finds is kept, and the next run goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, "tests")
with atheris.instrument_imports(include=["proofroom.domain"]):
    from fuzz import targets


def main() -> None:
    """Seed the corpus, and run."""
    corpus = Path(next(a for a in sys.argv[1:] if not a.startswith("-")))
    corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(targets.seeds()):
        (corpus / f"seed-{i}").write_bytes(seed)
    defaults = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=65536", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *defaults, *sys.argv[1:]], targets.one_input)
    atheris.Fuzz()


main()
