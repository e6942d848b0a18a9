"""The audit: replay every entry from genesis and believe nothing (protocol 1.4, 1.5, 7).

It reads the store or the published files, never a snapshot or a read model. For each entry it recomputes the frozen bytes, their leaf and
the tree; parses and verifies the statement and its signatures; runs the transition, which recomputes whatever the ledger derived; and
compares each checkpoint that is kept with the tree at its size. Signatures are checked by as many processes as are given; everything else
is one pass, so the report is the same whatever their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path

from proofroom.adapters.audit_progress import Progress, load_progress, save_progress
from proofroom.adapters.audited import Audited, AuditedStore
from proofroom.adapters.auditor import Auditor, verified
from proofroom.adapters.findings import UNWITNESSED, Finding, Report, report
from proofroom.adapters.replay import Replay
from proofroom.adapters.stores import PAGE, HasNodes, Store, from_nodes
from proofroom.adapters.verifying import VerifyingPool, verify_chunks
from proofroom.domain import merkle
from proofroom.domain.checkpoint import parse_note, verify_checkpoint
from proofroom.domain.errors import BadNote, BadProof, Malformed
from proofroom.domain.identity import checkpoint_key
from proofroom.domain.verifier import Verdict

__all__ = ["UNWITNESSED", "Finding", "Known", "Report", "Verdict", "audit", "report"]

LARGE = 2_000
"""Entries from which on starting processes pays."""

SAVE_EVERY = 20_000
"""Entries after which the progress is saved, where it is."""


class Known:
    """A checkpoint that was kept elsewhere, and the root that the log has at its size.

    Args:
        note: the checkpoint.
        log: where tree nodes are read from, when the replay began behind its size; they are believed only where they lead to its root.
    """

    def __init__(self, note: str, log: HasNodes) -> None:
        self.note = note
        self.size = parse_note(note)[0].size
        self._log = log
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
            return report(replay, Verdict.FORKED, why, None, e, "elsewhere")
        if known.size > size:
            why = f"the checkpoint given has size {known.size}, the log {size}"
            return report(replay, Verdict.INCOMPLETE, why, check="elsewhere")
        if known.size and not self._is_root(known.root, replay.tree):
            why = f"the checkpoint given signs another history of {known.size} entries"
            return report(replay, Verdict.FORKED, why, check="elsewhere")
        return report(replay, Verdict.VALID, "")._replace(witnessed=True)

    def _is_root(self, root: bytes, tree: merkle.Tree) -> bool:
        if self._root is not None:
            return root == self._root
        path = from_nodes(self._log, lambda node: merkle.consistency_path(self.size, tree.size, node))
        try:
            merkle.verify_consistency(self.size, tree.size, path, root, merkle.root(tree))
        except BadProof:
            return False
        return True


def audit(
    log: Store | Audited,
    *,
    against: str | None = None,
    progress: Callable[[int], None] | None = None,
    workers: int | None = 0,
    resume: Path | None = None,
    save_every: int = SAVE_EVERY,
    first_only: bool = False,
) -> Report:
    """Replay a log from genesis, to its end whatever is found on the way.

    Args:
        log: the log; it is only read.
        against: a checkpoint note of this ledger that was kept elsewhere.
        progress: called with the number of entries verified so far.
        workers: processes that check signatures; 0 checks them in the calling thread, None has one for each processor if the log is large.
        resume: a file of the auditor's own, in which its progress is kept: an audit that was ended goes on, and a later one begins where
            this one ended. What was verified before is not read again; it is believed because the file says so.
        save_every: entries after which it is saved.
        first_only: end at the first thing that does not hold.

    Raises:
        BadNote: ``against`` is not a checkpoint.
        BadInput: ``resume`` is no such file.
        StoreUnavailable, NotPublished: the log cannot be read, or the progress not be saved.
    """
    log = log if isinstance(log, Audited) else AuditedStore(log)
    known = None if against is None else Known(against, log)
    done = Progress() if resume is None else load_progress(resume)
    if done.size and (changed := _changed_since(done, log)) is not None:
        return changed._replace(earlier=changed.entries)
    earlier = done.size
    if workers is None:
        workers = os.cpu_count() or 1 if log.count() - done.size >= LARGE else 0
    auditor = Auditor(log.checkpoints(done.size + 1 if done.size else 0), done)
    with closing(VerifyingPool(workers)) if workers else nullcontext() as pool:
        for stored, outcome in verified(log.entries(done.size), pool.verify_chunks if pool else verify_chunks):
            auditor.take(stored, outcome)
            if first_only and done.first is not None:
                break
            if known is not None:
                known.see(auditor.replay.tree)
            if progress is not None and auditor.size % PAGE == 0:
                progress(auditor.size)
            if resume is not None and auditor.size % save_every == 0:
                save_progress(resume, done)
    auditor.end()
    if progress is not None and auditor.size % PAGE:
        progress(auditor.size)
    if resume is not None and done.size:
        save_progress(resume, done)
    concluded = _conclude(auditor, log, known)
    return concluded._replace(earlier=min(earlier, concluded.entries))


def _changed_since(done: Progress, log: Audited) -> Report | None:
    """The verdict on a log that does not continue what an audit verified before."""
    if log.count() < done.size:
        why = f"an earlier audit read {done.size} entries, the log has {log.count()}"
        return report(done.replay, Verdict.INCOMPLETE, why, check="elsewhere")
    if not done.findings and not _begins_with(log, done.replay.tree):
        why = f"the log is not the one of which {done.size} entries were audited before"
        return report(done.replay, Verdict.FORKED, why, check="elsewhere")
    return None


def _begins_with(log: Audited, tree: merkle.Tree) -> bool:
    try:
        return tuple(log.nodes(merkle.peaks_of(tree.size))) == tree.peaks
    except Malformed:
        return True  # nothing is known of its nodes, which speaks for no other log


def _conclude(auditor: Auditor, log: Audited, known: Known | None) -> Report:
    """All entries were read: does one not hold, is something missing at the end, or is there another history?"""
    replay, size, found = auditor.replay, auditor.size, auditor.progress
    if found.first is not None:
        return found.first._replace(findings=tuple(found.findings), left_off=found.left_off)
    if log.has_more(size):
        return report(replay, Verdict.INVALID, "entries at the end have no checkpoint", size, check="checkpoint")
    if replay.state.founding is None:
        return report(replay, Verdict.INCOMPLETE, "the log has no entries", check="tail")
    if auditor.next_checkpoint is not None:
        why = f"the store's own checkpoint has size {auditor.next_checkpoint[0]}, the log {size}"
        return report(replay, Verdict.INCOMPLETE, why, check="tail")
    return report(replay, Verdict.VALID, "") if known is None else known.compare(replay)
