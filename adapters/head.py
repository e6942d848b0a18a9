"""The head of a log: its state and tree, kept together, and brought up to what the store holds."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from proofroom.adapters.mapper import StoredEntry, to_entry
from proofroom.adapters.stores import Store
from proofroom.domain import merkle
from proofroom.domain.authority import AUTHORITY, check_authority
from proofroom.domain.checkpoint import Checkpoint, verify_checkpoint
from proofroom.domain.errors import BadNote, Conflict, HistoryChanged, Malformed, Refused
from proofroom.domain.identity import checkpoint_key, keyring
from proofroom.domain.signing import SIGNATURE_BYTES, Signer, pae, verify_signature
from proofroom.domain.snapshot import DIGEST_BYTES, decode_state, encode_state
from proofroom.domain.state import State
from proofroom.domain.transition import transition

TAIL = 1_000
"""Entries before a snapshot that opening compares with the tree. An edit further back is for the audit to find."""


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
        HistoryChanged: see :func:`advance`; or one of the last :data:`TAIL` entries is not what the tree has in its place.
    """
    empty = Head(State(), merkle.Tree())
    if store.last_checkpoint() is None and store.size() == 0:
        return empty
    start = _from_snapshot(store) or empty
    check_leaves(store, max(0, start.state.size - TAIL), start.state.size)
    return advance(store, start)


def check_leaves(store: Store, start: int, size: int) -> None:
    """Hold the entries from ``start`` to before ``size`` against the leaves that were stored with them.

    A snapshot spares reading what came before it: when a log is opened, at least the end of that is, so that nothing is signed over an
    edited tail.

    Raises:
        HistoryChanged: an entry is not what the tree has in its place.
    """
    for stored in itertools.takewhile(lambda stored: stored.index < size, store.read_from(start)):
        try:
            leaf = merkle.SHA256.leaf(stored.entry_bytes())
        except Malformed as e:
            raise HistoryChanged(size=size, why=f"entry {stored.index}: {e}") from e
        if leaf != stored.nodes[:32]:
            raise HistoryChanged(size=size, why=f"entry {stored.index} is not what the tree has in its place")


@contextlib.contextmanager
def as_recorded(store: Store) -> Iterator[None]:
    """Around what reads statements without verifying them, which in a log that somebody edited may be anything: that is what is said then.

    Raises:
        HistoryChanged: it failed, and an entry is not what the tree has in its place.
    """
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError):
        check_leaves(store, 0, store.size())
        raise


Look = TypeVar("Look", bound=Callable[..., object])


def looking_up(look: Look) -> Look:
    """The same for a method of what has a ``store``."""

    @functools.wraps(look)
    def checked(self: Any, *args: Any) -> object:
        with as_recorded(self.store):
            return look(self, *args)

    return checked  # type: ignore[return-value]  # it takes and gives the same


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
        signed = verify_checkpoint(note, founding.origin, checkpoint_key(head.state))
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
    data = signer.sign(pae(SNAPSHOT, data[:DIGEST_BYTES])) + data  # under one name: a large state is not held twice
    store.save_snapshot(head.state.size, data)


def _from_snapshot(store: Store) -> Head | None:
    """The head at the newest snapshot that fits the log and is signed by the checkpoint key in force there; what does not is no cache."""
    for size, signed in store.snapshots():
        try:
            signature, data = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
            tree = merkle.Tree(size, tuple(store.nodes(merkle.peaks_of(size))))
            state = decode_state(data, merkle.root(tree))
            key = checkpoint_key(_proven_keys(store, state))
            verify_signature(key, pae(SNAPSHOT, data[:DIGEST_BYTES]), signature)
        except (Malformed, Refused, Conflict, TypeError, ValueError, LookupError):
            continue
        return Head(state, tree)
    return None


def _proven_keys(store: Store, claimed: State) -> State:
    """The checkpoint key of genesis through each change of it that the snapshot names, by the rules and from the log itself.

    A snapshot must not vouch for the key that vouches for it.
    """
    state = transition(State(), to_entry(store.read(0, 1)[0]))
    assert state.founding is not None
    for index in keyring(claimed, state.founding.checkpoint_key).changes:
        if index > 0:
            entry = to_entry(store.read(index, 1)[0])
            rule = AUTHORITY[entry.statement.kind]
            check_authority(state, rule, entry.verified)
            state = rule.apply(state, entry, entry.statement)
    return state
