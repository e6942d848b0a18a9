"""The head of a log: its state and tree, kept together, and brought up to what the store holds."""

from __future__ import annotations

from typing import NamedTuple

from proofroom.adapters.mapper import StoredEntry, to_entry
from proofroom.adapters.stores import Store
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, verify_checkpoint
from proofroom.domain.errors import BadNote, Conflict, HistoryChanged, Malformed, Refused
from proofroom.domain.signing import SIGNATURE_BYTES, Signer, pae, verify_signature
from proofroom.domain.snapshot import DIGEST_BYTES, decode_state, encode_state
from proofroom.domain.state import State
from proofroom.domain.statements.ledger import Genesis
from proofroom.domain.transition import transition


class Head(NamedTuple):
    """The state after all entries, and the tree over them: replaced together."""

    state: State
    tree: merkle.Tree


def _step(head: Head, stored: StoredEntry) -> Head:
    tree, _ = merkle.append(head.tree, merkle.SHA256.leaf(stored.entry_bytes()))
    return Head(transition(head.state, to_entry(stored)), tree)


def open_head(store: Store) -> Head:
    """The state and tree of a store: from its snapshot and the entries since.

    Raises:
        HistoryChanged: see :func:`advance`.
    """
    empty = Head(State(), merkle.Tree())
    if store.last_checkpoint() is None and store.size() == 0:
        return empty
    return advance(store, _from_snapshot(store) or empty)


def advance(store: Store, head: Head) -> Head:
    """The head after all entries of the store, which must end in the tree that its last checkpoint signs.

    Raises:
        HistoryChanged: entries, tree and checkpoint do not belong together. Nothing will be written over them.
    """
    try:
        while True:
            for stored in store.read_from(head.state.size):
                head = _step(head, stored)
            # Another process may append in between: read on until log and checkpoint are of one moment.
            size, note = store.last_checkpoint() or (0, "")
            if not head.state.size < size <= store.size():
                break
    except (Malformed, Refused, Conflict) as e:
        raise HistoryChanged(size=head.state.size, why=f"entry {head.state.size}: {e}") from e
    founding = head.state.founding
    if founding is None or size != head.state.size or store.size() < size:
        raise HistoryChanged(size=size, why=f"the log has {store.size()} entries")
    try:
        signed = verify_checkpoint(note, founding.origin, founding.checkpoint_key)
    except BadNote as e:
        raise HistoryChanged(size=size, why=str(e)) from e
    if signed != Checkpoint(founding.origin, size, merkle.root(head.tree)):
        raise HistoryChanged(size=size, why="the entries give another tree")
    return head


SNAPSHOT = "application/vnd.proofroom.snapshot.v1+json"
"""Payload type under which the checkpoint key signs a snapshot: the write path relies on it, so nobody else may have written it."""


def save_snapshot(store: Store, head: Head, signer: Signer) -> None:
    """Keep the state, signed, in place of older ones."""
    data = encode_state(head.state, merkle.root(head.tree))
    store.save_snapshot(head.state.size, signer.sign(pae(SNAPSHOT, data[:DIGEST_BYTES])) + data)


def _from_snapshot(store: Store) -> Head | None:
    """The head at the newest snapshot that the checkpoint key of genesis signed and that fits the log; a cache that does not is none."""
    for size, signed in store.snapshots():
        try:
            genesis = to_entry(store.read(0, 1)[0]).statement
            signature, data = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
            if isinstance(genesis, Genesis):
                verify_signature(genesis.checkpoint_key, pae(SNAPSHOT, data[:DIGEST_BYTES]), signature)
                tree = merkle.Tree(size, tuple(store.node(*peak) for peak in merkle.peaks_of(size)))
                return Head(decode_state(data, merkle.root(tree)), tree)
        except (Malformed, TypeError, IndexError):
            continue
    return None
