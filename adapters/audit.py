"""The audit: replay every entry from genesis and believe nothing (protocol 1.4, 1.5, 7).

It reads the store, never a snapshot or a read model. For each entry it recomputes the frozen bytes, their leaf and the tree; parses and
verifies the statement and its signatures; runs the transition, which recomputes whatever the ledger derived; and compares each stored
checkpoint with the tree at its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from proofroom.adapters.mapper import StoredEntry, originator_id, to_entry
from proofroom.adapters.stores import Store
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, parse_note, verify_checkpoint
from proofroom.domain.errors import BadNote, ProofroomError
from proofroom.domain.identity import checkpoint_key, keyring
from proofroom.domain.state import Founding, State
from proofroom.domain.transition import next_due, transition
from proofroom.domain.verifier import Verdict

__all__ = ["UNWITNESSED", "Report", "Verdict", "audit"]

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
    """The running comparison of one log with what it must be."""

    def __init__(self, store: Store, against: Checkpoint | None) -> None:
        self.store = store
        self.against = against
        self.state = State()
        self.tree = merkle.Tree()
        self.last_size = _last_size(store)
        """Size of the newest checkpoint when the audit began: entries that are appended meanwhile are for the next audit."""
        self.checkpoints = _checkpoints(store, self.last_size)
        self.next_checkpoint = next(self.checkpoints, None)
        self.roots: dict[int, bytes] = {}

    def check(self, stored: StoredEntry) -> None:
        """Take in one entry.

        Raises:
            ProofroomError, _Fault: it does not hold.
        """
        if stored.index != self.state.size:
            raise _Fault(f"index {self.state.size} is missing, {stored.index} follows")
        tree, nodes = merkle.append(self.tree, merkle.SHA256.leaf(stored.entry_bytes()))
        if b"".join(nodes) != stored.nodes:
            raise _Fault("its bytes do not give the leaf and nodes that were stored with it")
        entry = to_entry(stored)
        if (stored.originator_id, stored.originator_version) != (originator_id(entry.verified), 1):
            raise _Fault("its key in the store is not that of its statement")
        self.state = transition(self.state, entry)
        self.tree = tree
        if self.against is not None and self.tree.size == self.against.size:
            self.roots[self.tree.size] = merkle.root(self.tree)
        self._check_checkpoint()

    def _check_checkpoint(self) -> None:
        if self.next_checkpoint is None or self.next_checkpoint[0] > self.tree.size:
            return
        size, note = self.next_checkpoint
        founding = self.state.founding
        if size < self.tree.size or founding is None:
            raise _Fault(f"the store has a checkpoint of size {size} out of order")
        expected = Checkpoint(founding.origin, size, merkle.root(self.tree))
        if verify_checkpoint(note, founding.origin, checkpoint_key(self.state)) != expected:
            raise _Fault(f"the checkpoint of size {size} signs another tree")
        if next_due(self.state, self.state.recorded_at_ms) is not None:
            raise _Fault("a statement of the ledger is due and was left out before the checkpoint")
        self.next_checkpoint = next(self.checkpoints, None)


class _Fault(Exception):
    """Something that no entry of an honest store shows."""


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
    known = None if against is None else parse_note(against)[0]
    auditor = _Auditor(store, known)
    start = LOWEST
    while page := _page(store, start, auditor.last_size):
        for stored in page:
            try:
                auditor.check(stored)
            except (ProofroomError, _Fault) as e:
                # Where an index is missing, the bad entry is the one that had to come here.
                return _report(auditor, Verdict.INVALID, str(e), min(stored.index, auditor.state.size), e)
        start = page[-1].index + 1
        if progress is not None:
            progress(auditor.tree.size)
    return _conclude(auditor, against)


def _conclude(auditor: _Auditor, against: str | None) -> Report:
    """All entries hold: is something missing at the end, or is there another history?"""
    state, size = auditor.state, auditor.tree.size
    if (
        auditor.store.size() > size and _last_size(auditor.store) == size
    ):  # in this order: a writer may append in between
        return _report(auditor, Verdict.INVALID, "entries at the end have no checkpoint", size)
    if state.founding is None:
        return _report(auditor, Verdict.INCOMPLETE, "the log has no entries")
    if auditor.next_checkpoint is not None:
        return _report(
            auditor,
            Verdict.INCOMPLETE,
            f"the store's own checkpoint has size {auditor.next_checkpoint[0]}, the log {size}",
        )
    if against is not None:
        return _compare(auditor, state.founding, against)
    return _report(auditor, Verdict.VALID, "")


def _compare(auditor: _Auditor, founding: Founding, against: str) -> Report:
    try:
        size = parse_note(against)[0].size
        known = verify_checkpoint(against, founding.origin, checkpoint_key(auditor.state, size))
    except BadNote as e:
        return _report(auditor, Verdict.FORKED, f"the checkpoint given is not of this ledger: {e.why}", None, e)
    if known.size > auditor.tree.size:
        return _report(
            auditor, Verdict.INCOMPLETE, f"the checkpoint given has size {known.size}, the log {auditor.tree.size}"
        )
    if known.size and auditor.roots[known.size] != known.root:
        return _report(auditor, Verdict.FORKED, f"the checkpoint given signs another history of {known.size} entries")
    return _report(auditor, Verdict.VALID, "")._replace(witnessed=True)


def _report(
    auditor: _Auditor, verdict: Verdict, why: str, first_bad: int | None = None, error: Exception | None = None
) -> Report:
    return Report(
        verdict=verdict,
        entries=auditor.tree.size if first_bad is None else max(0, min(first_bad, auditor.tree.size)),
        first_bad=first_bad,
        why=why,
        error=error.to_json() if isinstance(error, ProofroomError) else None,
        root=merkle.root(auditor.tree),
        ledger=auditor.state.ledger,
        witnessed=False,
        erased=tuple(name for name, _ in sorted(auditor.state.erased.items(), key=lambda item: item[1])),
        suspect=_suspect(auditor.state),
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
