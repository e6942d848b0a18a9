"""Receipts: one entry, its inclusion proof and a signed checkpoint, checkable by anyone with the log's public key."""

from __future__ import annotations

from typing import NamedTuple

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
