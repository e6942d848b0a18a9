"""Stored logs that somebody tampered with who can write the file: one change each, drawn at random, that an audit must find.

>>> @given(tampered(ledger.store))                                              # doctest: +SKIP
... def test_my_audit_finds_it(log: Tampered) -> None:
...     assert audit(log).verdict is not Verdict.VALID
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from proofroom.adapters.lab.perturb import PERTURBATIONS, perturb
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.stores import PAGE, MemoryStore, Store, leaf_of
from proofroom.domain import merkle


class Tampered(MemoryStore):
    """A log as the file holds it after one change; only to be read."""

    def __init__(
        self, kind: str, entries: Sequence[StoredEntry], checkpoints: Sequence[tuple[int, str]], first: int
    ) -> None:
        super().__init__()
        self.kind = kind
        """One of :data:`~proofroom.adapters.lab.perturb.PERTURBATIONS`."""
        self.first = first
        """The index of the first entry that is not there as it was: the one that an audit has to name."""
        self._entries, self._notes = entries, checkpoints

    def __repr__(self) -> str:
        return f"Tampered({self.kind} at {self.first})"

    def size(self) -> int:
        """One more than the highest index."""
        return max((e.index for e in self._entries), default=-1) + 1

    def read(self, start: int, limit: int = PAGE) -> list[StoredEntry]:
        """Entries from ``start`` on."""
        return [e for e in self._entries if e.index >= start][:limit]

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """The tree nodes that the entries hold; empty where there is no such entry."""
        kept = {e.index: e.nodes for e in self._entries}
        return [kept.get(leaf, b"")[part] for leaf, part in (leaf_of(*place) for place in places)]

    def checkpoints(self, start: int = 0, limit: int = PAGE) -> list[tuple[int, str]]:
        """The checkpoints, which nobody touched."""
        return [c for c in self._notes if c[0] >= start][:limit]

    def last_checkpoint(self) -> tuple[int, str] | None:
        """The newest of them."""
        return self._notes[-1] if self._notes else None


@st.composite
def tampered(draw: st.DrawFn, store: Store, kinds: Sequence[str] = PERTURBATIONS) -> Tampered:
    """The log in a store with one change; the store is only read, and all of it is held in memory."""
    entries, checkpoints = _all(store)
    changed = perturb(entries, merkle.Tree(), draw(st.randoms(use_true_random=False)), draw(st.sampled_from(kinds)))
    return Tampered(changed.kind, changed.entries, checkpoints, changed.first)


def _all(store: Store) -> tuple[list[StoredEntry], list[tuple[int, str]]]:
    entries: list[StoredEntry] = []
    while page := store.read(len(entries)):
        entries += page
    checkpoints: list[tuple[int, str]] = []
    while notes := store.checkpoints(checkpoints[-1][0] + 1 if checkpoints else 0):
        checkpoints += notes
    return entries, checkpoints
