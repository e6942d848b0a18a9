"""Proofs: integrating a million leaf hashes, receipts verified, and an inclusion proof from a log of a million.

What a receipt costs beside its signatures (bytes, JSON, note, path) hardly depends on how many they are. So it is measured for a record
that three roles signed, and for the least favourable statement, which one key signed; the log's own signature comes to both.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from functools import partial
from hashlib import sha256
from pathlib import Path

from nacl.bindings import crypto_sign_open

from benchmarks.compare import compare, measure
from benchmarks.room import build, cast_of, grant_of
from proofroom.adapters.cast import Work
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import Batch, from_nodes
from proofroom.domain import merkle
from proofroom.domain.checkpoint import parse_note
from proofroom.domain.entry import parse_entry
from proofroom.domain.identity import checkpoint_key
from proofroom.domain.ids import public_key_of
from proofroom.domain.merkle import SHA256, Tree
from proofroom.domain.recount import verify
from proofroom.domain.signing import pae
from proofroom.domain.verifier import Trust
from proofroom.domain.verifier.note import parse_key

LEAVES = 1_000_000
RECEIPTS = 2_000
LOG = 1_000_000
PROOFS = 2_000


def integrate() -> None:
    """Side A: stored leaf hashes become a tree."""
    hashes = [os.urandom(32) for _ in range(LEAVES)]
    measure(lambda: merkle.extend(Tree(), hashes))


def hash_nodes() -> None:
    """Side B: SHA-256 of as many nodes."""
    nodes = [b"\x01" + os.urandom(64) for _ in range(LEAVES - 1)]
    measure(lambda: [sha256(node).digest() for node in nodes])


def receipt_of(folder: Path, subject: str) -> tuple[bytes, bytes, str, list[tuple[bytes, bytes]]]:
    """The receipt of a statement as JSON and as a tlog-proof, the log's key, and its signatures with what they sign."""
    from proofroom.adapters.proving import Prover

    build(folder / "room")
    with Ledger.open(folder / "room") as ledger:
        cast = cast_of(ledger, folder / "room")
        if subject == "record":
            envelope = cast.activity(grant_of(ledger, cast), 0, Work(cpu_ms=180, gpu_units=0.83))
        else:
            cast.vault = "v-bench"
            envelope = cast.open_vault()
        place = ledger.append(envelope.to_json())
        prover = Prover(ledger.store, checkpoint_key(ledger.state))
        file, (checkpoint, lines) = prover.entry(place.entry_index), parse_note(prover.note)
        receipt, log = prover.receipt(place.entry_index), prover.log
        stored = parse_entry(receipt.entry)[2]
        key = public_key_of(checkpoint_key(ledger.state))
    message = pae(stored.payload_type, stored.payload)
    signed = [(s.value + message, public_key_of(s.keyid)) for s in stored.signatures]
    own = (lines[0][1][4:] + checkpoint.body().encode(), key)
    return file, receipt.to_tlog_proof().encode(), log, [*signed, own]


def verify_receipts(folder: Path, subject: str, *, tlog: bool) -> None:
    """Side A: a receipt, verified again and again under a key that its reader knows."""
    file, proof, log, _ = receipt_of(folder, subject)
    data, trust = proof if tlog else file, Trust(keys=(parse_key(log),))
    assert verify(data, trust).verdict == 0
    measure(lambda: [verify(data, trust) for _ in range(RECEIPTS)])


def verify_signatures(folder: Path, subject: str) -> None:
    """Side B: only its signatures, by libsodium."""
    *_, signed = receipt_of(folder, subject)
    measure(lambda: [crypto_sign_open(message, key) for _ in range(RECEIPTS) for message, key in signed])


def _given(batch: Batch, _: int) -> Batch:
    """What the store is to write, whatever the time."""
    return batch


def inclusion(size: int = LOG) -> None:
    """Time of one proof of inclusion from the store of a log, at random places."""
    with tempfile.TemporaryDirectory() as name:
        store = SqliteStore(Path(name) / "log.db", create=True)
        tree = Tree()
        for first in range(0, size, 20_000):
            rows = []
            for i in range(first, min(size, first + 20_000)):
                tree, nodes = merkle.append(tree, SHA256.leaf(b"%d" % i))
                rows.append(StoredEntry(f"{i:076x}", 1, "x", b"{}", i, i, b"", b"".join(nodes)))
            batch = Batch(rows, "note")
            store.append(first, partial(_given, batch))
        root, times = merkle.root(tree), []
        for _ in range(PROOFS):
            index = int.from_bytes(os.urandom(8), "big") % size
            start = time.perf_counter()
            path = from_nodes(store, partial(merkle.inclusion_path, index, size))
            times.append(time.perf_counter() - start)
            merkle.verify_inclusion(SHA256.leaf(b"%d" % index), index, size, path, root)
        store.close()
    middle, slow = statistics.median(times) * 1e3, sorted(times)[int(len(times) * 0.99)] * 1e3
    verdict = "met" if middle < 1 else "MISSED"
    print(
        f"one inclusion proof from a log of {size}\n  median {middle:.3f} ms, 99 of 100 within {slow:.3f} ms, goal 1 ms: {verdict}"
    )


def main(runs: int = 5) -> None:
    """Print the figures."""
    module = __spec__.name
    print(
        compare(
            "integrating stored leaf hashes against bare SHA-256 of the nodes",
            module,
            ["integrate"],
            ["hash"],
            goal=0.35,
            per=LEAVES,
            runs=runs,
        )
    )
    with tempfile.TemporaryDirectory() as name:
        for subject, signed in (
            ("record", "a record, four signatures"),
            ("vault", "a vault's opening, two signatures"),
        ):
            for form in ("tlog-proof", "receipt"):
                print(
                    compare(
                        f"verifying the {form} of {signed} with the log's, against these alone",
                        module,
                        [form, name, subject],
                        ["signatures", name, subject],
                        goal=0.6,
                        per=RECEIPTS,
                        runs=runs,
                    )
                )
    inclusion()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["integrate"]:
            integrate()
        case ["hash"]:
            hash_nodes()
        case ["receipt" | "tlog-proof" as side, folder, subject]:
            verify_receipts(Path(tempfile.mkdtemp(dir=folder)), subject, tlog=side == "tlog-proof")
        case ["signatures", folder, subject]:
            verify_signatures(Path(tempfile.mkdtemp(dir=folder)), subject)
        case ["inclusion", size]:
            inclusion(int(size))
        case rest:
            main(*map(int, rest))
