"""The head of a log: its state and tree, kept together, and brought up to what the store holds."""

from __future__ import annotations

from typing import NamedTuple

from proofroom.adapters.mapper import StoredEntry, to_entry
from proofroom.adapters.stores import Store
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, verify_checkpoint
from proofroom.domain.errors import BadEntry, BadNote, Conflict, HistoryChanged, Malformed, Refused
from proofroom.domain.snapshot import decode_state
from proofroom.domain.state import State
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


def _from_snapshot(store: Store) -> Head | None:
    for size, data in store.snapshots():
        tree = merkle.Tree(size, tuple(store.node(*peak) for peak in merkle.peaks_of(size)))
        try:
            return Head(decode_state(bytes(data), merkle.root(tree)), tree)
        except (BadEntry, TypeError):
            continue  # a cache that does not fit is no cache
    return None
