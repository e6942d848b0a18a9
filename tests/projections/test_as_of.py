"""Every question with ``as_of`` in it, asked for every index of a history, against the domain's own state at that index."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings

from proofroom.adapters.views import Views
from proofroom.domain.authorisation import chain_status
from proofroom.domain.consent import grant_status
from proofroom.domain.ids import KeyId
from proofroom.domain.permits import GrantVersion
from proofroom.domain.proposals import seats_of
from proofroom.domain.state import Parameters, State
from proofroom.domain.transition import next_due
from proofroom.testing.histories import History, store_of
from proofroom.testing.worlds import histories
from strategies.disputes import punished_history
from strategies.rooms import soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history

PARAMETERS = [name for name in Parameters._fields if name != "carries_late"]


def by_index(views: Views, query: str) -> dict[int, list[tuple[Any, ...]]]:
    """The rows of a query, whose first column is the index, for each index."""
    found = defaultdict[int, list[tuple[Any, ...]]](list)
    for index, *row in views.sql(query).fetchall():
        found[index].append(tuple(row))
    return found


def check_as_of(history: History) -> None:
    """All macros at all indexes: five queries."""
    views = fresh_views()
    views.project(store_of(history))
    every = f"range({len(history.entries)}) t(i)"
    balances = by_index(views, f"SELECT i, account, balance FROM {every}, balances(i)")
    parameters = by_index(views, f"SELECT i, cluster, {', '.join(PARAMETERS)} FROM {every}, parameters(i)")
    seats = by_index(views, f"SELECT i, cluster, seat FROM {every}, clusters c, seats(c.cluster, i)")
    asked = "SELECT l.entry_index, s.user_key, s.agent, s.grant_id, s.status FROM log l, {}(l.recorded_at) s"
    grants, consents = (by_index(views, asked.format(name)) for name in ("grant_status", "consent_status"))
    views.close()
    for entry, state in zip(history.entries, history.states[1:], strict=True):
        index, at_ms = entry.index, entry.recorded_at_ms
        assert {account: int(balance) for account, balance in balances[index]} == dict(state.balances), index
        if (
            next_due(state, state.recorded_at_ms) is None
        ):  # what an era's opening changes is told by the statements right after it
            assert {name: [int(value or 0) for value in row] for name, *row in parameters[index]} == {
                name: [getattr(cluster.parameters, field) for field in PARAMETERS]
                for name, cluster in state.clusters.items()
            }, index
            now = {(name, seat) for name, cluster in state.clusters.items() for seat in seats_of(cluster)}
            assert set(seats[index]) == now, index
        then = history.states[sum(e.recorded_at_ms <= at_ms for e in history.entries)]
        assert set(grants[index]) == {
            (*pair, version.digest, grant_status(version, at_ms)) for pair, version in then.grants.items()
        }, index
        assert {(*row[:3], row[3] == "active") for row in consents[index]} == {
            (*pair, version.digest, chain_status(then, *pair, version.digest, at_ms) == "active")
            for pair, version in versions_of(then)
        }, index


def versions_of(state: State) -> list[tuple[tuple[KeyId, KeyId], GrantVersion]]:
    """The newest version of each grant and of each delegation."""
    passed_on = [(pair, version) for pair, by in state.delegations.items() for version in by.values()]
    return [*state.grants.items(), *passed_on]


@settings(max_examples=soak(2, 200))
@given(histories())
def test_as_of_is_the_domains(history: History) -> None:
    """Money that comes in and is paid out, and grants that come, lapse and go."""
    check_as_of(history)


def test_as_of_in_the_whole_history() -> None:
    """With proposals that are enacted, nodes that leave, three paid eras and a debt."""
    check_as_of(whole_history())


def test_as_of_with_slashes() -> None:
    """Bonds that pay, and nodes that are removed."""
    check_as_of(punished_history())
