"""Consent as it stood: the state after an entry, of the kinds that say what is allowed, and of nothing else."""

from __future__ import annotations

from proofroom.adapters.mapper import to_entry
from proofroom.adapters.stores import Store
from proofroom.domain.authority import AUTHORITY
from proofroom.domain.state import State
from proofroom.domain.statements import payload_type_of
from proofroom.domain.transition import transition

KINDS = ("vault-opened", "grant", "grant-wire", "delegation", "key-rotated", "identity", "compromise")


def consent_at(store: Store, last: int, *, until_ms: int | None = None) -> State:
    """What was allowed after the entry ``last`` (or by ``until_ms``, when that was earlier), by the rules that recorded it.

    It reads the log up to there, and verifies and applies the statements of consent and of keys among it. Nothing else is in the state.
    """
    topics = {payload_type_of(kind) for kind in KINDS}
    state, start = State(), 0
    while start <= last and (page := store.scan(start)):
        for index, recorded_at_ms, topic, _ in page:
            if index > last or (until_ms is not None and recorded_at_ms > until_ms):
                return state
            if index == 0:
                state = transition(state, to_entry(store.read(0, 1)[0]))
            elif topic in topics:
                entry = to_entry(store.read(index, 1)[0])
                state = AUTHORITY[entry.statement.kind].apply(state, entry, entry.statement)
            state = state._replace(size=index + 1, recorded_at_ms=recorded_at_ms)
        start = page[-1][0] + 1
    return state
