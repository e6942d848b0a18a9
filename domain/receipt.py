"""Receipts: one entry, its inclusion proof and a signed checkpoint, checkable by anyone with the log's public key.

How proof files are written is here too. What they must fulfil stands in :mod:`proofroom.domain.verifier` alone, which uses nothing of this.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from proofroom.domain import verifier
from proofroom.domain.checkpoint import Checkpoint, parse_note, verifier_key
from proofroom.domain.entry import parse_entry
from proofroom.domain.envelope import Verified, verify
from proofroom.domain.errors import BadProof
from proofroom.domain.ids import KeyId
from proofroom.domain.verifier.note import parse_key


class Receipt(NamedTuple):
    """An entry's frozen bytes, the path from its leaf to the root, and the note that signs the root."""

    entry: bytes
    path: tuple[bytes, ...]
    note: str

    @property
    def entry_index(self) -> int:
        """Where the entry stands in the log."""
        return parse_entry(self.entry)[0]

    def to_tlog_proof(self) -> str:
        """The receipt as a C2SP ``.tlog-proof``, self-contained: its extra data is the entry."""
        head = f"c2sp.org/tlog-proof@v1\nextra {_base64(self.entry)}\nindex {self.entry_index}\n"
        return head + "".join(f"{_base64(p)}\n" for p in self.path) + "\n" + self.note


def write_proof(claim: str, log: str, note: str, items: Iterable[tuple[bytes, Iterable[bytes]]], **parts: Any) -> bytes:
    """A proof file: what it claims, the log's verifier key, the checkpoint, and entries with their paths; bytes become base64."""
    entries = [{"entry": entry, "path": list(path)} for entry, path in items]
    value = {
        "format": "proofroom.proof.v1",
        "claim": claim,
        "log": log,
        "checkpoint": note,
        "entries": entries,
        **parts,
    }
    return orjson.dumps(value, default=_base64, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def verify_receipt(receipt: Receipt, origin: str, checkpoint_key: KeyId) -> tuple[Verified, Checkpoint]:
    """The statement that the receipt proves to be in the log, and the checkpoint that binds it, by :mod:`proofroom.domain.verifier`.

    It proves who signed what, and its place and time in the log of this checkpoint. That the statement was *allowed* there is for an audit
    of the whole log to say; that there is only one such log, for a witness.

    Raises:
        Malformed: the entry, a signature, the path or the note does not hold.
    """
    file = receipt.to_tlog_proof().encode(errors="surrogateescape")
    report = verifier.verify(file, verifier.Trust(keys=(parse_key(verifier_key(origin, checkpoint_key)),)))
    if report.verdict is not verifier.Verdict.VALID:
        raise BadProof(why=report.why)
    return verify(parse_entry(receipt.entry)[2]), parse_note(receipt.note)[0]
