"""What a history says about its records, and what read models hold, to compare."""

from __future__ import annotations

from typing import Any

from proofroom.adapters.views import Views
from proofroom.domain.statements.activity import Activity, BatchSealed
from proofroom.domain.statements.settlement import EraSealed
from proofroom.projections import PROJECTIONS
from proofroom.projections.base import Macro
from proofroom.testing.histories import History

Place = tuple[int | None, int | None, int | None]
"""Batch, position, entry that sealed it."""


def places_of(history: History) -> dict[int, Place]:
    """Where each record is, by walking the log with one queue for each orchestrator; a seal empties it, or carries it over."""
    places: dict[int, Place] = {}
    queues: dict[tuple[str, str], list[int]] = {}
    for entry in history.entries:
        s = entry.statement
        if isinstance(s, Activity):
            places[entry.index] = (None, None, None)
            queues.setdefault((s.cluster, s.signers.orchestrator), []).append(entry.index)
        elif isinstance(s, BatchSealed):
            queue = queues[s.cluster, s.orchestrator]
            for position, index in enumerate(queue[: s.count]):
                places[index] = (s.batch, position, entry.index)
            del queue[: s.count]
        elif isinstance(s, EraSealed) and s.carried is None:
            queues = {key: queue for key, queue in queues.items() if key[0] != s.cluster}
    return places


def eras_of(history: History) -> dict[int, int]:
    """The era that counts each record: that of its batch, or that whose end refused it; else the one that it waits for."""
    eras: dict[int, int] = {}
    batched: set[int] = set()
    places = places_of(history)
    for entry in history.entries:
        s = entry.statement
        if isinstance(s, Activity):
            eras[entry.index] = s.era
        elif isinstance(s, BatchSealed):
            mine = {index for index, (_, _, sealed_by) in places.items() if sealed_by == entry.index}
            eras |= dict.fromkeys(mine, s.era)
            batched |= mine
        elif isinstance(s, EraSealed):
            waiting = [i for i in eras.keys() - batched if _cluster(history, i) == s.cluster]
            if s.carried is None:
                batched |= set(waiting)
            eras |= dict.fromkeys(waiting, s.era + (s.carried is not None))
    return eras


def _cluster(history: History, index: int) -> str:
    record = history.entries[index].statement
    assert isinstance(record, Activity)
    return record.cluster


def content(views: Views) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table and view of every projection that has not stopped."""
    stopped = {letter.projection for letter in views.stopped}
    names = sorted(
        {r.name for p in PROJECTIONS if p.name not in stopped for r in p.relations if not isinstance(r, Macro)}
    )
    with views.held() as connection:  # most of the time of many small questions would go into asking each by itself
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in names}
