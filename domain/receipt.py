"""Receipts: one entry, its inclusion proof and a signed checkpoint, checkable by anyone with the log's public key.

How proof files are written is here too. What they must fulfil stands in :mod:`proofroom.domain.verifier`, which shares no code with this.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from proofroom.domain.checkpoint import Checkpoint, verify_checkpoint
from proofroom.domain.entry import parse_entry
from proofroom.domain.envelope import Verified, verify
from proofroom.domain.errors import BadEntry
from proofroom.domain.ids import KeyId
from proofroom.domain.merkle import SHA256, verify_inclusion


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
    """The statement that the receipt proves to be in the log, and the checkpoint that binds it.

    It proves who signed what, and its place and time in the log of this checkpoint. That the statement was *allowed* there is for an audit
    of the whole log to say; that there is only one such log, for a witness.

    Raises:
        Malformed: the entry, a signature, the path or the note does not hold.
    """
    index, _, envelope = parse_entry(receipt.entry)
    verified = verify(envelope)
    checkpoint = verify_checkpoint(receipt.note, origin, checkpoint_key)
    if index >= checkpoint.size:
        raise BadEntry(why=f"index {index} lies beyond the checkpoint's size {checkpoint.size}")
    verify_inclusion(SHA256.leaf(receipt.entry), index, checkpoint.size, receipt.path, checkpoint.root)
    return verified, checkpoint
