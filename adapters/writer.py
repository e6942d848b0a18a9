"""One append: what is due, what was given, the leaf and tree of each, and the checkpoint over all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from proofroom.adapters.head import Head
from proofroom.adapters.mapper import StoredEntry, originator_id, to_stored_entry
from proofroom.adapters.stores import Batch, Store
from proofroom.adapters.verifying import Outcomes
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.entry import Entry, entry_bytes
from proofroom.domain.envelope import Frozen, Verified, sign, thaw, verify
from proofroom.domain.errors import Conflict, ProofroomError, Refused, TimeWentBack
from proofroom.domain.identity import checkpoint_key, ledger_key
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.signing import Signer
from proofroom.domain.transition import next_due, transition

CLAMP_MS = 5_000
"""A clock that went back by no more than this is taken to stand still."""


Turn = Callable[[merkle.Tree, merkle.Tree], None]


class Recorded(NamedTuple):
    """Where a statement stands in the log."""

    entry_index: int
    statement: Digest
    recorded_at_ms: int
    repeated: bool = False
    """It was recorded before; this is its first place."""


class Writer:
    """One attempt to append: runs the transition under the store's lock and collects what to write.

    Args:
        store: where the first place of a statement that is already recorded is looked up.
        head: the head of the log that the store is expected to have.
        chunks: the statements, or why they are none; taken once the store holds its lock.
        signer: gives the signer of the ledger key and of the checkpoint key.
        turn: told the tree before and after, before the checkpoint over it is signed.
        atomic: the first refusal ends the attempt; otherwise it is the outcome of its statement.
    """

    def __init__(
        self,
        store: Store,
        head: Head,
        chunks: Iterable[Outcomes],
        signer: Callable[[KeyId], Signer],
        *,
        atomic: bool,
        turn: Turn | None = None,
    ) -> None:
        self.head = head
        self._turn, self._before = turn, head.tree
        self.outcomes: list[Recorded | ProofroomError] = []
        self._store, self._chunks, self._signer, self._atomic = store, chunks, signer, atomic
        self._state, self._tree = head
        self._new: list[tuple[str, Entry]] = []
        self._entries: list[StoredEntry] = []
        self._places: dict[str, tuple[int, int, Frozen, frozenset[KeyId]]] = {}

    def make(self, clock_ms: int) -> Batch | None:
        """What to write at this time: what is due, the statements, and what becomes due through them; None when there is nothing.

        Raises:
            TimeWentBack: the clock went back by more than :data:`CLAMP_MS`.
            NoSigner: a key that has to sign is not at hand.
            WouldFork: the tree does not extend the last one that the checkpoint key signed.
            Refused, Conflict: in an atomic attempt, the first refusal.
        """
        now = _clamp(clock_ms, self._state.recorded_at_ms)
        self._state_due(now)
        for chunk in self._chunks:
            # Each step for the whole chunk: the code of one stays in the processor's caches, and what it works on too.
            for outcome in list(chunk):
                if isinstance(outcome, Verified):
                    self.outcomes.append(self._try(outcome, now))
                    self._state_due(now)
                else:
                    self.outcomes.append(outcome)
            self._grow()
        self._grow()
        self.head = Head(self._state, self._tree)
        if not self._entries:
            return None
        founding, tree = self._state.founding, self._tree
        assert founding is not None
        if self._turn is not None:
            self._turn(self._before, tree)
        checkpoint = Checkpoint(founding.origin, tree.size, merkle.root(tree))
        return Batch(self._entries, sign_checkpoint(checkpoint, self._signer(checkpoint_key(self._state))))

    def _grow(self) -> None:
        """Give the entries that are new their bytes, and the tree their leaves."""
        for key, entry in self._new:
            self._tree, stored = _store(key, entry, self._tree)
            self._entries.append(stored)
        self._new.clear()

    def _state_due(self, now: int) -> None:
        """Everything that the ledger itself must state by now."""
        while self._state.founding is not None and (due := next_due(self._state, now)) is not None:
            self._apply(verify(sign(due, self._signer(ledger_key(self._state)))), now)

    def _try(self, verified: Verified, now: int) -> Recorded | ProofroomError:
        try:
            return self._apply(verified, now)
        except (Refused, Conflict) as e:
            first = self._first_place(verified)
            if first is not None:
                return first
            if self._atomic:
                raise
            return e

    def _apply(self, verified: Verified, now: int) -> Recorded:
        entry = Entry(self._state.size, now, verified)
        self._state = transition(self._state, entry)
        key = originator_id(verified)
        self._new.append((key, entry))
        self._places[key] = (entry.index, now, verified.frozen, verified.keys)
        return Recorded(entry.index, verified.digest, now)

    def _first_place(self, verified: Verified) -> Recorded | None:
        """Where the very same statement, signed by the same keys, was recorded before."""
        key = originator_id(verified)
        if key in self._places:
            index, ms, recorded, keys = self._places[key]
        else:
            found = self._store.find(key)
            if found is None:
                return None
            (stored,) = self._store.read(found, 1)
            index, ms, recorded = stored.index, stored.recorded_at_ms, stored.frozen()
            keys = frozenset([signature.keyid for signature in thaw(recorded).signatures])
        if recorded[:2] != verified.frozen[:2] or keys != verified.keys:
            return None
        return Recorded(index, verified.digest, ms, repeated=True)


def _clamp(clock_ms: int, last_ms: int) -> int:
    """The time to record: never before the last entry.

    Raises:
        TimeWentBack: the clock went back by more than :data:`CLAMP_MS`.
    """
    if clock_ms < last_ms - CLAMP_MS:
        raise TimeWentBack(recorded_at_ms=clock_ms, last_ms=last_ms)
    return max(clock_ms, last_ms)


def _store(key: str, entry: Entry, tree: merkle.Tree) -> tuple[merkle.Tree, StoredEntry]:
    """The entry as the store keeps it, and the tree with its leaf."""
    data = entry_bytes(entry.index, entry.recorded_at_ms, *entry.verified.frozen)
    tree, nodes = merkle.append(tree, merkle.SHA256.leaf(data))
    return tree, to_stored_entry(entry, key, b"".join(nodes))
