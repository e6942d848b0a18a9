"""The running comparison of a log with what it must be, from one entry to the next, also past entries that do not hold.

Behind the first fault much can still be said: bytes are held against the leaf that was stored with them, signatures against their bytes,
checkpoints against the tree. What an entry *did* may be unknown from then on, so that a rule that fails behind it may be a consequence:
such findings say so. Where a statement of the ledger's own does not hold, what had to stand there is known, and is gone on with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from proofroom.adapters.audit_progress import Progress
from proofroom.adapters.findings import MOST, Finding, report
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.replay import Fault, Replay
from proofroom.adapters.stores import Store
from proofroom.adapters.verifying import Given, Outcomes
from proofroom.domain import merkle
from proofroom.domain.checkpoint import parse_note
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Verified
from proofroom.domain.errors import ProofroomError
from proofroom.domain.verifier import Verdict

LOWEST = -(2**63)
"""The lowest index that a store can hold: an edited one may hold rows before the first."""

Outcome = Verified | ProofroomError


class Auditor:
    """A replay, what stands in the store beside it, and what was found so far.

    Args:
        checkpoints: the store's checkpoints ``(size, note)`` that were not held against the tree yet, rising.
        progress: where to go on; nothing, for an audit from genesis.
    """

    def __init__(self, checkpoints: Iterator[tuple[int, str]], progress: Progress | None = None) -> None:
        self.progress = progress or Progress()
        self._checkpoints = checkpoints
        self.next_checkpoint = next(checkpoints, None)
        self._check = "index"

    @property
    def replay(self) -> Replay:
        """State and tree of the entries so far."""
        return self.progress.replay

    @property
    def size(self) -> int:
        """The index that has to come next."""
        return self.progress.size

    def take(self, stored: StoredEntry, outcome: Outcome) -> None:
        """Take in one entry, and note what of it does not hold.

        Args:
            stored: the entry as it stands in the store.
            outcome: its statement, verified, or why it is none.
        """
        try:
            self._take(stored, outcome)
        except (ProofroomError, Fault) as e:
            self.found(min(stored.index, self.size), e)
            self._pass_over(stored, outcome)
        self._check_checkpoints()

    def _take(self, stored: StoredEntry, outcome: Outcome) -> None:
        """Raises ProofroomError, Fault: it does not hold. Nothing has changed."""
        self._check = "index"
        if stored.index != self.size:
            raise Fault(f"index {self.size} is missing, {stored.index} follows")
        self._check = "bytes"
        tree, nodes = merkle.append(self.replay.tree, merkle.SHA256.leaf(stored.entry_bytes()))
        if not self.progress.tree_lost and not stored.has_nodes(nodes):
            raise Fault("its bytes do not give the leaf and nodes that were stored with it")
        self._check = "statement"
        if not isinstance(outcome, Verified):
            raise outcome
        self._check = "key"
        if not stored.has_key_of(outcome):
            raise Fault("its key in the store is not that of its statement")
        self._check = "rule"
        self.replay.take(Entry(stored.index, stored.recorded_at_ms, outcome), tree)

    def end(self) -> None:
        """No entry follows."""
        self._check_checkpoints()

    def _check_checkpoints(self) -> None:
        """Hold the store's checkpoints up to here against the tree."""
        while self.next_checkpoint is not None and self.next_checkpoint[0] <= self.size:
            size, note = self.next_checkpoint
            self.next_checkpoint = next(self._checkpoints, None)
            self._check = "checkpoint"
            try:
                if size < self.size:
                    raise Fault(f"the store has a checkpoint of size {size} out of order")
                if not self.progress.tree_lost:
                    self.replay.check_signed(note)
            except (ProofroomError, Fault) as e:
                self.found(max(0, self.size - 1), e)

    def found(self, index: int, error: ProofroomError | Fault) -> None:
        """Note what does not hold."""
        progress = self.progress
        if progress.first is None:
            progress.first = report(self.replay, Verdict.INVALID, str(error), index, error, self._check)
        if len(progress.findings) == MOST:
            progress.left_off += 1
            return
        code = error.code if isinstance(error, ProofroomError) else None
        follows = progress.in_doubt and self._check in ("rule", "checkpoint")
        progress.findings.append(Finding(index, self._check, str(error), code, follows))

    # --- behind a fault

    def _pass_over(self, stored: StoredEntry, outcome: Outcome) -> None:
        """Go on behind an entry that does not hold, with as much of it as can be had."""
        self.progress.in_doubt = True
        if stored.index < self.size:
            return  # it stands before its place, where there is nothing to go on with
        if stored.index > self.size:
            self.progress.tree_lost = True
            self.replay.state = self.replay.state._replace(size=stored.index)
            self.take(stored, outcome)
            return
        computed, leaf = self._leaves_of(stored, outcome)
        statement = outcome if isinstance(outcome, Verified) else None
        # Where the bytes are others and the signatures hold, it is the time that was changed.
        believed = leaf == computed or statement is None
        self.replay.pass_over(_number(stored.recorded_at_ms) if believed else 0, statement)
        self.replay.tree, _ = merkle.append(self.replay.tree, leaf)

    def _leaves_of(self, stored: StoredEntry, outcome: Outcome) -> tuple[bytes | None, bytes]:
        """The leaf of its bytes, and the one that the tree had in its place: that, or what is stored; the next checkpoint tells which."""
        kept = stored.signed_leaf or _first_node(stored.nodes)
        try:
            computed = merkle.SHA256.leaf(stored.entry_bytes())
        except ProofroomError:
            return None, kept
        if stored.signed_leaf is not None:
            return computed, kept
        if self.next_checkpoint is not None and self.next_checkpoint[0] == self.size + 1:
            root = _root_in(self.next_checkpoint[1])
            for leaf in (computed, kept):
                if root == merkle.root(merkle.append(self.replay.tree, leaf)[0]):
                    return computed, leaf
        return computed, computed if isinstance(outcome, Verified) else kept


def _number(value: object) -> int:
    """A column of a store that somebody edited may hold anything."""
    return value if isinstance(value, int) else 0


def _first_node(value: object) -> bytes:
    return value[:32] if isinstance(value, bytes) and len(value) >= 32 else bytes(32)


def _root_in(note: str) -> bytes | None:
    try:
        return parse_note(note)[0].root
    except ProofroomError:
        return None


def entries_of(store: Store, start: int, size: int) -> Iterator[StoredEntry]:
    """The entries that belong to a log of this size, or whatever stands in their place."""
    while page := [stored for stored in store.read(start) if stored.index < size]:
        yield from page
        start = page[-1].index + 1


def checkpoints_of(store: Store, start: int, size: int) -> Iterator[tuple[int, str]]:
    """The store's checkpoints up to this size."""
    while page := store.checkpoints(start):
        yield from (checkpoint for checkpoint in page if checkpoint[0] <= size)
        start = page[-1][0] + 1


def verified(
    entries: Iterable[StoredEntry], verify_chunks: Callable[[Iterable[Given]], Iterator[Outcomes]]
) -> Iterator[tuple[StoredEntry, Outcome]]:
    """Each entry with its statement or the error in its place, in order; no more are held than whoever verifies streams asks for."""
    waiting: deque[tuple[StoredEntry, ProofroomError | None]] = deque()

    def envelopes() -> Iterator[Given]:
        for stored in entries:
            frozen, error = _frozen(stored)
            waiting.append((stored, error))
            yield frozen

    for outcome in chain.from_iterable(verify_chunks(envelopes())):
        stored, error = waiting.popleft()
        yield stored, outcome if error is None else error


def _frozen(stored: StoredEntry) -> tuple[Given, ProofroomError | None]:
    """What is to be verified; nothing, and why, where columns hold no envelope."""
    try:
        return stored.frozen(), None
    except ProofroomError as e:
        return b"", e
