"""The audit: replay every entry from genesis and believe nothing (protocol 1.4, 1.5, 7).

It reads the store, never a snapshot or a read model. For each entry it recomputes the frozen bytes, their leaf and the tree; parses and
verifies the statement and its signatures; runs the transition, which recomputes whatever the ledger derived; and compares each stored
checkpoint with the tree at its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from proofroom.adapters.mapper import StoredEntry, originator_id, to_entry
from proofroom.adapters.replay import Fault, Replay
from proofroom.adapters.stores import Store
from proofroom.domain import merkle
from proofroom.domain.checkpoint import parse_note, verify_checkpoint
from proofroom.domain.errors import BadNote, ProofroomError
from proofroom.domain.identity import checkpoint_key, keyring
from proofroom.domain.state import State
from proofroom.domain.verifier import Verdict

__all__ = ["UNWITNESSED", "Known", "Report", "Verdict", "audit", "report"]

LOWEST = -(2**63)
"""The lowest index that a store can hold: an edited one may hold rows before the first."""


class Report(NamedTuple):
    """The outcome of an audit."""

    verdict: Verdict
    entries: int
    """Entries that were verified, from genesis."""
    first_bad: int | None
    """Index of the first entry that does not hold."""
    why: str
    error: dict[str, Any] | None
    """The typed error behind ``why``, where there is one."""
    root: bytes
    """Root of the tree over the verified entries."""
    ledger: str
    witnessed: bool
    """The log was compared with a checkpoint that was kept elsewhere."""
    erased: tuple[str, ...]
    """Payloads that their owners destroyed outside the ledger, as ``vault / scope: what``; all entries about them hold."""
    suspect: tuple[tuple[int, int], ...]
    """(first, end) of entries that were recorded while the ledger's or the checkpoint's key was in other hands, as declared since."""

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**self._asdict(), "verdict": self.verdict.name, "root": self.root.hex()}

    def sentence(self) -> str:
        """The outcome for a person."""
        match self.verdict:
            case Verdict.VALID:
                against = "it extends the checkpoint given" if self.witnessed else UNWITNESSED
                return f"VALID: {self.entries} of {self.entries} verified; {against}{self._erasures()}{self._doubts()}"
            case Verdict.INVALID:
                return f"INVALID at {self.first_bad}: {self.why}; {self.entries} entries before it were verified"
            case Verdict.INCOMPLETE:
                return f"INCOMPLETE: {self.why}; the {self.entries} entries that are there were verified"
            case _:
                return f"FORKED: {self.why}"

    def _erasures(self) -> str:
        count = len(self.erased)
        return f"; ERASED: {count} payload{'s'[: count > 1]}, by statement of the owner" if count else ""

    def _doubts(self) -> str:
        spans = ", ".join(f"{first} to {end - 1}" for first, end in self.suspect)
        return f"; SUSPECT: a key of the ledger was in other hands in entries {spans}" if spans else ""


UNWITNESSED = (
    "UNWITNESSED: no checkpoint from elsewhere was given, so a removed tail or a log that was rewritten with the ledger's own keys "
    "would not be seen"
)


class _Auditor:
    """The running comparison of one store with what it must be."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.replay = Replay()
        self.last_size = _last_size(store)
        """Size of the newest checkpoint when the audit began: entries that are appended meanwhile are for the next audit."""
        self.checkpoints = _checkpoints(store, self.last_size)
        self.next_checkpoint = next(self.checkpoints, None)

    def check(self, stored: StoredEntry) -> None:
        """Take in one entry.

        Raises:
            ProofroomError, Fault: it does not hold.
        """
        size = self.replay.tree.size
        if stored.index != size:
            raise Fault(f"index {size} is missing, {stored.index} follows")
        leaf = merkle.SHA256.leaf(stored.entry_bytes())
        if b"".join(merkle.append(self.replay.tree, leaf)[1]) != stored.nodes:
            raise Fault("its bytes do not give the leaf and nodes that were stored with it")
        entry = to_entry(stored)
        if (stored.originator_id, stored.originator_version) != (originator_id(entry.verified), 1):
            raise Fault("its key in the store is not that of its statement")
        self.replay.take(entry, leaf)
        self._check_checkpoint()

    def _check_checkpoint(self) -> None:
        if self.next_checkpoint is None or self.next_checkpoint[0] > self.replay.tree.size:
            return
        size, note = self.next_checkpoint
        if size < self.replay.tree.size:
            raise Fault(f"the store has a checkpoint of size {size} out of order")
        self.replay.check_signed(note)
        self.next_checkpoint = next(self.checkpoints, None)


class Known:
    """A checkpoint that was kept elsewhere, and the root that the log has at its size."""

    def __init__(self, note: str) -> None:
        self.note = note
        self.size = parse_note(note)[0].size
        self._root = merkle.SHA256.empty if self.size == 0 else None

    def see(self, tree: merkle.Tree) -> None:
        """The log's tree, as it grows."""
        if tree.size == self.size:
            self._root = merkle.root(tree)

    def compare(self, replay: Replay) -> Report:
        """The verdict on a log whose entries all hold."""
        state, size = replay.state, replay.tree.size
        assert state.founding is not None
        try:
            known = verify_checkpoint(self.note, state.founding.origin, checkpoint_key(state, self.size))
        except BadNote as e:
            why = f"the checkpoint given is not of this ledger: {e.why}"
            return report(replay, Verdict.FORKED, why, None, e)
        if known.size > size:
            return report(replay, Verdict.INCOMPLETE, f"the checkpoint given has size {known.size}, the log {size}")
        if known.size and self._root != known.root:
            why = f"the checkpoint given signs another history of {known.size} entries"
            return report(replay, Verdict.FORKED, why)
        return report(replay, Verdict.VALID, "")._replace(witnessed=True)


def audit(store: Store, *, against: str | None = None, progress: Callable[[int], None] | None = None) -> Report:
    """Replay a log from genesis.

    Args:
        store: the log; it is only read.
        against: a checkpoint note of this ledger that was kept elsewhere.
        progress: called with the number of entries verified so far.

    Raises:
        BadNote: ``against`` is not a checkpoint.
        StoreUnavailable: the store cannot be read.
    """
    known = None if against is None else Known(against)
    auditor = _Auditor(store)
    start = LOWEST
    while page := _page(store, start, auditor.last_size):
        for stored in page:
            try:
                auditor.check(stored)
            except (ProofroomError, Fault) as e:
                # Where an index is missing, the bad entry is the one that had to come here.
                return report(auditor.replay, Verdict.INVALID, str(e), min(stored.index, auditor.replay.state.size), e)
            if known is not None:
                known.see(auditor.replay.tree)
        start = page[-1].index + 1
        if progress is not None:
            progress(auditor.replay.tree.size)
    return _conclude(auditor, known)


def _conclude(auditor: _Auditor, known: Known | None) -> Report:
    """All entries hold: is something missing at the end, or is there another history?"""
    replay, size = auditor.replay, auditor.replay.tree.size
    if (
        auditor.store.size() > size and _last_size(auditor.store) == size
    ):  # in this order: a writer may append in between
        return report(replay, Verdict.INVALID, "entries at the end have no checkpoint", size)
    if replay.state.founding is None:
        return report(replay, Verdict.INCOMPLETE, "the log has no entries")
    if auditor.next_checkpoint is not None:
        why = f"the store's own checkpoint has size {auditor.next_checkpoint[0]}, the log {size}"
        return report(replay, Verdict.INCOMPLETE, why)
    return report(replay, Verdict.VALID, "") if known is None else known.compare(replay)


def report(
    replay: Replay, verdict: Verdict, why: str, first_bad: int | None = None, error: Exception | None = None
) -> Report:
    """The report on a log that was replayed so far."""
    size = replay.tree.size
    return Report(
        verdict=verdict,
        entries=size if first_bad is None else max(0, min(first_bad, size)),
        first_bad=first_bad,
        why=why,
        error=error.to_json() if isinstance(error, ProofroomError) else None,
        root=merkle.root(replay.tree),
        ledger=replay.state.ledger,
        witnessed=False,
        erased=tuple(name for name, _ in sorted(replay.state.erased.items(), key=lambda item: item[1])),
        suspect=_suspect(replay.state),
    )


def _suspect(state: State) -> tuple[tuple[int, int], ...]:
    """The entries for whose order and time the ledger's word is in doubt; empty spans are left out."""
    if state.founding is None:
        return ()
    rings = [keyring(state, key) for key in (state.founding.ledger_key, state.founding.checkpoint_key)]
    return tuple(sorted({span for ring in rings for span in ring.compromised if span[0] < span[1]}))


def _page(store: Store, start: int, size: int) -> list[StoredEntry]:
    """The next entries that belong to a log of this size, or whatever stands in their place."""
    return [stored for stored in store.read(start) if stored.index < size]


def _checkpoints(store: Store, size: int) -> Iterator[tuple[int, str]]:
    start = LOWEST
    while page := store.checkpoints(start):
        yield from (checkpoint for checkpoint in page if checkpoint[0] <= size)
        start = page[-1][0] + 1


def _last_size(store: Store) -> int:
    last = store.last_checkpoint()
    return 0 if last is None else last[0]
