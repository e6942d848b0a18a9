"""``python -m fuzz [--seconds S] [--runs N] [--seed S] [TARGET..]``: fuzz all targets, or those named; go on where the last run stopped.

Targets are those of ``fuzz/targets.py``, of which each reads bytes alone, and the doors of ``tests/strategies/all_doors.py``, each
a whole command or component with files around it. The work is cut into pieces, one target and one process a piece, in turn. After each,
the executions so far are in ``build/fuzz/done.json``, so that a long run may be stopped at any time; the corpus is kept beside it.
Something found stops it, and its input lies in ``build/fuzz``: once mended, it goes into ``tests/corpus``, for all later runs of the tests.
``--summary`` prints the table that ``docs/fuzz.md`` keeps.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fuzz.targets import TARGETS

sys.path.insert(0, "tests")

from strategies.all_doors import DOORS, SLOW
from strategies.doors import PLACE

EVERY = {
    **{name: share / 100 for name, (_, share) in TARGETS.items()},
    **{name: 1e-4 if name in SLOW else 1e-3 for name in DOORS},
}
"""Target, and its part of the executions asked for; those of the doors come on top."""

BUILD = Path("build/fuzz")
DONE = BUILD / "done.json"
OPTIONS = ("-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0")
LENGTHS = (4_096, 65_536)
"""Longest input of a target and of a door."""
KEPT = Path("tests/corpus")
PIECE = 20_000
"""Executions of a piece."""


def main() -> None:
    """Run until the executions or the seconds asked for are spent."""
    ask = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    ask.add_argument("--seconds", type=float, default=60.0, help="at most so long (60); 0 sets no limit")
    ask.add_argument(
        "--runs", type=int, default=1_000_000, help="until so many executions are done, over all runs (1,000,000)"
    )
    ask.add_argument("--seed", type=int, default=1, help="of the first piece; each later one takes the next (1)")
    ask.add_argument("--summary", action="store_true", help="print the table for docs/fuzz.md")
    ask.add_argument("targets", nargs="*", choices=[[], *EVERY], help="only these")
    args = ask.parse_args()
    done = json.loads(DONE.read_text()) if DONE.exists() else {"commit": "none", "pieces": []}
    if not args.summary and done["commit"] != _commit():  # executions count for the code that they ran
        done = {"commit": _commit(), "pieces": []}
    if not args.summary:
        seeds = [sys.executable, "-m", "fuzz.seeds", str(BUILD / "seeds")]
        subprocess.run(seeds, check=True)
        _run(done, args, time.monotonic() + (args.seconds or 10**9))
    _print(done)


def _run(done: dict[str, Any], args: argparse.Namespace, end: float) -> None:
    pieces = done["pieces"]
    wanted = {name: int(args.runs * part) for name, part in EVERY.items() if name in (args.targets or EVERY)}
    while time.monotonic() < end:
        left = {name: runs - _executions(pieces, name) for name, runs in wanted.items()}
        # The one that is furthest behind its share.
        name = max(left, key=lambda name: left[name] / wanted[name])
        if left[name] <= 0:
            return
        seed, seconds = args.seed + len(pieces), max(1, min(int(end - time.monotonic()), 3600))
        runs = min(PIECE, left[name])
        if args.seconds:
            seconds = min(seconds, max(1, int(args.seconds) // len(wanted)))
        pieces.append(_piece(name, runs, seed, seconds))
        DONE.write_text(json.dumps(done, indent=1))


def _piece(name: str, runs: int, seed: int, seconds: int) -> dict[str, object]:
    """One process; what it did.

    Raises:
        SystemExit: it found something.
    """
    corpus = BUILD / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    known = [folder for folder in (KEPT / name, BUILD / "seeds" / name) if folder.exists()]
    options = [
        *OPTIONS,
        f"-max_len={LENGTHS[name in DOORS]}",
        f"-runs={runs}",
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-artifact_prefix={BUILD.resolve()}/{name}-",
    ]
    command = [
        sys.executable,
        "-m",
        "fuzz.worker",
        name,
        *options,
        str(corpus),
        *map(str, known),
    ]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(dir=PLACE) as place:  # a worker ends without putting things away
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=os.environ | {"FUZZ_SEEDS": str(BUILD / "seeds"), "DOORS_PLACE": place},
        )
    if ran.returncode:
        said = [line for line in ran.stderr.splitlines() if not line.startswith(("INFO", "WARNING"))]
        sys.exit("\n".join([f"{name}, seed {seed}, found something:", ran.stdout[-4000:], *said]))
    found = re.search(r"stat::number_of_executed_units:\s*(\d+)", ran.stderr)
    executions, took = int(found[1]) if found else 0, time.monotonic() - begun
    print(f"{name}: {executions} executions in {took:.0f} s, seed {seed}", flush=True)
    return {"target": name, "seed": seed, "executions": executions, "seconds": round(took, 1)}


def _executions(pieces: list[dict[str, object]], name: str) -> int:
    return sum(int(str(piece["executions"])) for piece in pieces if piece["target"] == name)


def _print(done: dict[str, Any]) -> None:
    pieces = done["pieces"]
    print(
        f"commit {done['commit']}, seeds {min((p['seed'] for p in pieces), default=0)} to {max((p['seed'] for p in pieces), default=0)}\n"
    )
    print("| target | executions |\n|---|---|")
    for name in EVERY:
        print(f"| `{name}` | {_executions(pieces, name):,} |")
    print(f"| all | {sum(_executions(pieces, name) for name in EVERY):,} |")


def _commit() -> str:
    return subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


if __name__ == "__main__":
    main()
