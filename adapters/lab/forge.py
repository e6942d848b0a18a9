"""What a host can write who holds the ledger's own keys and follows no rule: any log, properly bound and signed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from proofroom.adapters.mapper import StoredEntry, originator_id
from proofroom.adapters.stores import Batch, Store
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.entry import entry_bytes
from proofroom.domain.envelope import Envelope, verify
from proofroom.domain.errors import ProofroomError
from proofroom.domain.signatures import encode_signatures
from proofroom.domain.signing import Signer


def stored_of(
    index: int, recorded_at_ms: int, envelope: Envelope, tree: merkle.Tree
) -> tuple[StoredEntry, merkle.Tree]:
    """An entry as the store would keep it, whether it holds or not, and the tree with it."""
    signatures = encode_signatures(envelope.signatures)
    data = entry_bytes(index, recorded_at_ms, envelope.payload_type, envelope.payload, signatures)
    tree, nodes = merkle.append(tree, merkle.SHA256.leaf(data))
    stored = StoredEntry(
        originator_id=_originator(envelope) or f"{index:032x}",
        originator_version=1,
        topic=envelope.payload_type,
        state=envelope.payload,
        index=index,
        recorded_at_ms=recorded_at_ms,
        signatures=signatures,
        nodes=b"".join(nodes),
    )
    return stored, tree


def _originator(envelope: Envelope) -> str | None:
    try:
        return originator_id(verify(envelope))
    except ProofroomError:
        return None


def note_of(tree: merkle.Tree, origin: str, signer: Signer) -> str:
    """A checkpoint of a tree."""
    return sign_checkpoint(Checkpoint(origin, tree.size, merkle.root(tree)), signer)


def forge(
    entries: Sequence[tuple[int, Envelope]],
    store: Store,
    origin: str,
    signer: Signer,
    checkpoints: Collection[int] = (),
) -> None:
    """Write a log of these ``(recorded_at_ms, envelope)`` into an empty store, each with its proper leaf and nodes, and with proper
    checkpoints at these sizes and at the end: only the rules can tell that something is wrong.
    """
    tree = merkle.Tree()
    group: list[StoredEntry] = []
    seen: set[bytes] = set()
    for index, (recorded_at_ms, envelope) in enumerate(entries):
        stored, tree = stored_of(index, recorded_at_ms, envelope, tree)
        if envelope.payload in seen:
            stored = replace(stored, originator_id=f"{index:032x}")  # no store takes a key twice
        seen.add(envelope.payload)
        group.append(stored)
        if tree.size in checkpoints or tree.size == len(entries):
            put(store, group, note_of(tree, origin, signer))
            group = []


def put(store: Store, entries: Sequence[StoredEntry], note: str) -> None:
    """Put entries and a checkpoint into a store, with no question asked."""
    store.append(entries[0].index, lambda _: Batch(entries, note))
