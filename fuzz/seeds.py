"""``python -m fuzz.seeds DIR``: honest inputs of every target, one folder each, and the proof files that :func:`.targets.claims` changes.

A process of its own, so that the fuzzing process loads and instruments only what it fuzzes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

sys.path.insert(0, "tests")

from proofroom.domain import merkle
from proofroom.domain.cosigning import Request, write_request
from strategies.all_doors import DOORS
from strategies.doors import stage
from strategies.forging import forge, proven_history


def main(folder: Path) -> None:
    """Write them; what is there already stays."""
    prover, history = forge(), proven_history()
    activities = [e for e in history.entries if e.statement.kind == "activity"]
    name = orjson.loads(activities[3].verified.envelope.payload)["record_id"]
    path = merkle.inclusion_path(54, prover.size, prover.store.node)
    since = merkle.consistency_path(54, prover.size, prover.store.node)
    policy = b"log a+b+c\nwitness x y\ngroup g 1 x\nquorum g\n"
    inputs = {
        "notes": [prover.note.encode()],
        "policies": [policy],
        "proofs": [bytes([54, prover.size, *path[0][:4]]), bytes([54, prover.size, 255, *since[0][:4]])],
        "receipts": [prover.receipt(5).to_tlog_proof().encode(), prover.receipt(0).to_tlog_proof().encode()],
        "files": [prover.entry(5), prover.entry(0)],
        "entries": [prover._bytes(0), prover._bytes(54)],
        "envelopes": [history.entries[54].verified.envelope.to_json()],
        "bundles": [b"\x02\x00\x01a\x00\x02bc", bytes([1]) + bytes(32)],
        "requests": [write_request(Request(54, tuple(since), prover.note))],
        "claims": [bytes([kind, *range(7 * kind, 7 * kind + 12)]) for kind in range(3)],
        "honest": [prover.record(name), prover.payout(name), prover.era("dragon-1", 1)],
    }
    here = stage()
    inputs |= {door.name: door.seeds(here) for door in DOORS.values()}
    for target, seeds in inputs.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for i, seed in enumerate(seeds):
            (folder / target / f"seed-{i}").write_bytes(seed)


main(Path(sys.argv[1]))
