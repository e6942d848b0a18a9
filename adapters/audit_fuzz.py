"""The audit itself under test: the replayed history is changed in one place, again and again, and each change must be caught where it is.

A change is to the entries of a stretch that ends at a checkpoint; state and tree before the stretch are those of the honest replay, so that
a change deep inside a long log costs no more than one at its beginning. What it draws follows from a seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from proofroom.adapters.audit_progress import Progress
from proofroom.adapters.auditor import LOWEST, Auditor, Outcome, checkpoints_of, entries_of, verified
from proofroom.adapters.lab.perturb import PERTURBATIONS, Perturbed, perturb
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.replay import Replay
from proofroom.adapters.stores import PAGE, Store
from proofroom.adapters.verifying import verify_chunks
from proofroom.domain.envelope import verify
from proofroom.domain.errors import NothingToAttack, ProofroomError
from proofroom.domain.verifier import Verdict

STRETCH = 32
"""Entries of a stretch, and those up to the next checkpoint."""


class Trial(NamedTuple):
    """One change, and what the audit made of it."""

    number: int
    kind: str
    changed: int
    """Index of the first entry that is not there as it was."""
    verdict: str
    found: int | None
    """Where the audit saw it; None where it did not."""
    why: str

    @property
    def caught(self) -> bool:
        """It was seen, and where it is."""
        return self.found == self.changed


class Trials(NamedTuple):
    """All of them."""

    seed: int
    tried: dict[str, int]
    """By kind of change."""
    caught: dict[str, int]
    missed: tuple[Trial, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        total, caught = sum(self.tried.values()), sum(self.caught.values())
        rate = {"count": total, "caught": caught, "rate": caught / total}
        return {"seed": self.seed, **rate, "kinds": self._kinds(), "missed": [t._asdict() for t in self.missed]}

    def _kinds(self) -> dict[str, dict[str, int]]:
        return {kind: {"tried": self.tried[kind], "caught": self.caught[kind]} for kind in self.tried}


def fuzz(store: Store, count: int, seed: int, progress: Callable[[int], object] | None = None) -> Trials:
    """Try so many changes on a log that an audit found VALID; the store is only read.

    Raises:
        NothingToAttack: the log has fewer than two entries.
        StoreUnavailable: the store cannot be read.
    """
    last = store.last_checkpoint()
    size = 0 if last is None else last[0]
    if size < 2:
        raise NothingToAttack(what="log of two entries")
    chance = Random(seed)
    starts = sorted(chance.randrange(size - 1) for _ in range(count))
    trials: list[Trial] = []
    auditor = Auditor(checkpoints_of(store, LOWEST, size))
    for stored, outcome in verified(entries_of(store, LOWEST, size), verify_chunks):
        while len(trials) < count and starts[len(trials)] == auditor.size:
            trials.append(_try(store, size, auditor.replay, len(trials), seed))
            if progress is not None:
                progress(len(trials))
        if len(trials) == count:
            break
        auditor.take(stored, outcome)
    caught = Counter(trial.kind for trial in trials if trial.caught)
    tried = Counter(trial.kind for trial in trials)
    kinds = [kind for kind in PERTURBATIONS if tried[kind]]
    missed = tuple(trial for trial in trials if not trial.caught)
    return Trials(seed, {k: tried[k] for k in kinds}, {k: caught[k] for k in kinds}, missed)


def _try(store: Store, size: int, replay: Replay, number: int, seed: int) -> Trial:
    start = replay.tree.size
    checkpoints = _up_to_next(checkpoints_of(store, start + 1, size), start + STRETCH)
    end = checkpoints[-1][0]
    changed = perturb(_between(store, start, end), replay.tree, Random(f"{seed} {number}"))
    auditor = Auditor(iter(checkpoints), Progress(Replay(replay.state, replay.tree)))
    for stored in changed.entries:
        auditor.take(stored, _outcome(stored))
        if auditor.progress.first is not None:
            break
    return _judged(number, changed, auditor)


def _judged(number: int, changed: Perturbed, auditor: Auditor) -> Trial:
    first = auditor.progress.first
    if first is not None:
        return Trial(number, changed.kind, changed.first, first.verdict.name, first.first_bad, first.why)
    if auditor.next_checkpoint is not None:
        why = f"the store's own checkpoint has size {auditor.next_checkpoint[0]}, the log {auditor.size}"
        return Trial(number, changed.kind, changed.first, Verdict.INCOMPLETE.name, auditor.size, why)
    return Trial(number, changed.kind, changed.first, Verdict.VALID.name, None, "nothing was found")


def _up_to_next(checkpoints: Iterator[tuple[int, str]], size: int) -> list[tuple[int, str]]:
    """Those before a size, and the next."""
    found: list[tuple[int, str]] = []
    for checkpoint in checkpoints:
        found.append(checkpoint)
        if checkpoint[0] >= size:
            break
    return found


def _between(store: Store, start: int, end: int) -> list[StoredEntry]:
    found: list[StoredEntry] = []
    while len(found) < end - start:
        found += store.read(start + len(found), min(PAGE, end - start - len(found)))
    return found


def _outcome(stored: StoredEntry) -> Outcome:
    try:
        return verify(stored.envelope())
    except ProofroomError as e:
        return e
