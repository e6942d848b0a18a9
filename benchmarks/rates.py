"""Capture and catch in simulated rounds against the formulas: 10,000 rounds for each of three seeds, drawn and printed now.

``make rates`` runs it alone and goes on where it stopped: a seed's rounds are ten worlds, and each that is done is a line of a file. At the
end it writes the summary. Real: keys, signatures, beacon, draw, votes, transition, tally, settlement, checkpoints. Made up, from the seed:
clock, randomness and parties; and the store keeps nothing, so neither the disk nor the audit takes part.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from blake3 import blake3

from proofroom.adapters.simulation.report import interval
from proofroom.adapters.simulation.scenario import Scenario
from proofroom.adapters.simulation.world import simulate

SEEDS, WORLDS, ROUNDS = 3, 10, 1_000
SCENE = Scenario(batches=ROUNDS, records=4, unobserved=1, validators=12, committee=5, colluding=4, batches_per_era=250)
DONE, SUMMARY = Path("build/rates.jsonl"), Path("docs/soak/rates.md")

Line = dict[str, Any]


def main() -> None:
    """Run what is left of the worlds, then write the summary."""
    DONE.parent.mkdir(exist_ok=True)
    lines = [json.loads(line) for line in DONE.read_text().splitlines()] if DONE.exists() else []
    if not lines:
        lines = [{"seeds": [secrets.randbits(32) for _ in range(SEEDS)]}]
        _keep(lines[0])
    seeds: list[int] = lines[0]["seeds"]
    print("seeds", *seeds)
    for seed in seeds:
        for world in range(WORLDS):
            if not any((line.get("seed"), line.get("world")) == (seed, world) for line in lines):
                lines.append(_play(seed, world))
                _keep(lines[-1])
                print(json.dumps(lines[-1]), flush=True)
    SUMMARY.write_text(_summary(seeds, lines[1:]))
    DONE.unlink()
    print(SUMMARY.read_text())


def _keep(line: Line) -> None:
    with DONE.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _play(seed: int, world: int) -> Line:
    start = time.process_time()
    digest = blake3(b"%d %d" % (seed, world)).digest()
    report = simulate(SCENE._replace(seed=int.from_bytes(digest[:7], "big")))
    seen = {name: getattr(report, name) for name in ("drawn", "captured", "suspect", "caught")}
    chances = {"capture": report.expected_capture, "catch": report.expected_catch}
    spent = round(time.process_time() - start, 1)
    return {"seed": seed, "world": world, **seen, **chances, "cpu_seconds": spent, "commit": _commit()}


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _summary(seeds: list[int], lines: list[Line]) -> str:
    rows = []
    for seed in seeds:
        theirs = [line for line in lines if line["seed"] == seed]
        total = Counter[str]()
        for line in theirs:
            total.update({name: line[name] for name in ("drawn", "captured", "suspect", "caught")})
        first = theirs[0]
        rows.append(
            f"| {seed} | {_against(total['captured'], total['drawn'], first['capture'])} "
            f"| {_against(total['caught'], total['suspect'], first['catch'])} |"
        )
    rounds, spent = sum(line["drawn"] for line in lines), sum(line["cpu_seconds"] for line in lines)
    commits = ", ".join(sorted({line["commit"] for line in lines}))
    scene = ", ".join(f"{name} {value}" for name, value in SCENE._asdict().items() if value and name != "batches")
    return f"""# Capture and catch, simulated

Written by `make rates` at commit {commits}: {rounds:,} rounds in {spent:,.0f} s of processor time, {rounds / spent:.0f} a second.
What of it is real and what is made up: `benchmarks/rates.py`. Each world: {scene}.
Intervals hold 99.99 % of such runs, by exact binomial sums.

| seed, drawn at run time | captured | caught |
|---|---|---|
{chr(10).join(rows)}
"""


def _against(count: int, of: int, chance: float) -> str:
    least, most = interval(chance, of)
    verdict = "within" if least <= count <= most else "**OUTSIDE**"
    return f"{count:,} of {of:,}; computed {chance:.4%}: {least:,} to {most:,}, {verdict}"


if __name__ == "__main__":
    main()
