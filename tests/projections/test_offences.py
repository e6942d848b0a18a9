"""Offences and standing by SQL are those of the statements and of the state."""

from __future__ import annotations

from proofroom.domain.statements.offences import Slashed
from proofroom.testing.histories import store_of
from strategies.disputes import punished_history, statements
from strategies.viewing import fresh_views


def test_offences_of_a_history_full_of_them() -> None:
    """Each slash is a row; every validator stands as the state says."""
    history = punished_history()
    views = fresh_views()
    views.project(store_of(history))
    rows = views.sql(
        "SELECT offence, amount::VARCHAR, node, validator, evidence FROM slashes ORDER BY entry_index"
    ).fetchall()
    assert rows == [
        (s.offence, s.amount, s.basis.node, s.basis.validator, s.basis.evidence) for s in statements(history, Slashed)
    ]
    assert len(rows) == 5
    (proven,) = views.sql("SELECT count(*) FROM slashes JOIN accusations ON evidence = statement_id").fetchall()
    assert proven == (2,)
    rows = views.sql("SELECT cluster, validator, standing, coalesce(until_era, -1) FROM validator_standing").fetchall()
    assert set(rows) == {
        (cluster, validator, facts.status, facts.suspended_until)
        for cluster, members in history.state.validators.items()
        for validator, facts in members.items()
    }
    assert {standing for _, _, standing, _ in rows} == {"active", "left", "removed"}
    assert views.sql("SELECT cluster, node, offences FROM node_removals").fetchall() == [
        ("strict-1", "node-0", [0, 1, 2])
    ]
    assert views.sql("SELECT withheld_eras, until_era FROM suspensions").fetchall() == [([0], 10)]
    assert views.sql("SELECT count(*) FROM departures").fetchall() == [(1,)]
    views.close()
