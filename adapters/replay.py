"""A log replayed: each entry through the transition, the tree over them, and the checkpoint that both must give.

Audit and monitor go on with it from genesis, or from a head that they replayed before; where the entries come from is theirs to say.
"""

from __future__ import annotations

import contextlib

from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, verify_checkpoint
from proofroom.domain.entry import Entry, parse_entry
from proofroom.domain.envelope import Envelope, Verified, _mint, statement_id, verify
from proofroom.domain.errors import ProofroomError
from proofroom.domain.identity import checkpoint_key, ledger_key
from proofroom.domain.ids import MAX_TIME_MS
from proofroom.domain.merkle import SHA256, Tree
from proofroom.domain.signatures import Signature
from proofroom.domain.state import State
from proofroom.domain.statements import Statement, payload_type_of
from proofroom.domain.transition import next_due, transition


class Fault(Exception):
    """Something that no entry of an honest log shows."""


class Replay:
    """State and tree of the entries so far."""

    def __init__(self, state: State | None = None, tree: Tree | None = None) -> None:
        self.state, self.tree = state or State(), tree or Tree()

    def take(self, entry: Entry, tree: Tree) -> None:
        """Take in the next entry.

        Args:
            entry: the entry.
            tree: the tree with its leaf.

        Raises:
            ProofroomError: it does not hold. Nothing has changed.
        """
        self.state, self.tree = transition(self.state, entry), tree

    def pass_over(self, recorded_at_ms: int, verified: Verified | None) -> None:
        """Go on behind an entry that does not hold: with what the ledger had to state there, and with what the entry did as far as the
        rules allow that. The tree is left as it is.
        """
        state, index = self.state, self.state.size
        at_ms = min(max(recorded_at_ms, state.recorded_at_ms), MAX_TIME_MS)
        while (due := next_due(state, at_ms)) is not None:
            state = transition(state, Entry(index, at_ms, _stated(state, due)))
            if verified is None or verified.kind == due.kind:
                self.state = state  # it stood in this one's place
                return
            state = state._replace(size=index)
        self.state = state._replace(size=index + 1)
        if verified is not None:
            with contextlib.suppress(ProofroomError):
                self.state = transition(state, Entry(index, at_ms, verified))

    def take_bytes(self, data: bytes) -> None:
        """The same, from the frozen bytes of an entry."""
        index, recorded_at_ms, envelope = parse_entry(data)
        tree, _ = merkle.append(self.tree, SHA256.leaf(data))
        self.take(Entry(index, recorded_at_ms, verify(envelope)), tree)

    def check_signed(self, note: str) -> None:
        """The note is the checkpoint of exactly these entries, by the key in force, and nothing that was due is missing at their end.

        Raises:
            BadNote: not a note, or not by this key.
            Fault: it signs another tree, or something is missing.
        """
        founding = self.state.founding
        if founding is None:
            raise Fault("a log without genesis has no checkpoint")
        expected = Checkpoint(founding.origin, self.tree.size, merkle.root(self.tree))
        if verify_checkpoint(note, founding.origin, checkpoint_key(self.state)) != expected:
            raise Fault(f"the checkpoint of size {self.tree.size} signs another tree")
        if next_due(self.state, self.state.recorded_at_ms) is not None:
            raise Fault("a statement of the ledger is due and was left out before the checkpoint")


def _stated(state: State, due: Statement) -> Verified:
    """What the ledger had to state, as if it had: only a replay past a fault may use this."""
    kind, payload, key = payload_type_of(due.kind), due.payload(), ledger_key(state)
    unsigned = Envelope(kind, payload, (Signature(key, bytes(64)),))
    return _mint(unsigned.freeze(), [key], due, statement_id(kind, payload))
