"""A log that others keep, as a monitor or an auditor elsewhere is shown it: whole, cut, and with another past."""

from __future__ import annotations

from functools import cache

from proofroom.adapters.stores import Store
from proofroom.domain.checkpoint import verifier_key
from proofroom.domain.envelope import Envelope
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.rooms import entries_of, forge
from strategies.whole import whole_history

HISTORY = whole_history()
ENTRIES = tuple(entries_of(HISTORY))
SIZE = len(ENTRIES)
EARLY, LATER = 12, 30
PAYOUT = next(e.index for e in HISTORY.entries if e.statement.kind == "payout")
LOG = verifier_key(ORIGIN, key("checkpoint").keyid)


@cache
def log_of(*, size: int = SIZE, late: int | None = None, without: int | None = None) -> Store:
    """The first entries of the whole history; the one at ``late`` a millisecond later than it was, the one at ``without`` left out."""
    entries: list[tuple[int, Envelope]] = list(ENTRIES[:size])
    if late is not None:
        entries[late] = entries[late][0] + 1, entries[late][1]
    if without is not None:
        del entries[without]
    return forge(entries)


@cache
def small() -> Store:
    """A log of few entries."""
    return log_of(size=EARLY)
