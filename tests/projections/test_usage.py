"""The questions of the documentation have answers, and the sums are those of the rows beneath them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proofroom.adapters.views import Views
from proofroom.domain.statements.activity import Activity
from proofroom.testing.histories import store_of
from strategies.viewing import fresh_views
from strategies.whole import whole_history

QUESTIONS = re.findall(
    r"```sql\n(.*?)```", (Path(__file__).parents[2] / "docs" / "questions.md").read_text(), re.DOTALL
)


@pytest.fixture(scope="module")
def views() -> Iterator[Views]:
    """Read models of the whole history."""
    views = fresh_views()
    views.project(store_of(whole_history()))
    yield views
    views.close()


@pytest.mark.parametrize("number", range(15))
def test_each_question_has_an_answer(views: Views, number: int) -> None:
    """All of docs/questions.md, over a history in which each of them has something to find."""
    assert len(QUESTIONS) == 15
    assert views.sql(QUESTIONS[number]).fetchall()


def test_usage_is_the_sum_of_the_records(views: Views) -> None:
    """By every dimension, against the entries themselves."""
    records = [s for e in whole_history().entries if isinstance(s := e.statement, Activity)]
    for dimension in ("agent", "vault_scope", "customer", "node", "cluster", "era"):
        sums: dict[object, tuple[int, int]] = {}
        for r in records:
            count, cpu_ms = sums.get(getattr(r, dimension), (0, 0))
            sums[getattr(r, dimension)] = (count + 1, cpu_ms + r.compute.cpu_ms)
        query = f"SELECT {dimension}, sum(records), sum(cpu_ms) FROM usage GROUP BY 1"
        found = {key: (int(count), int(cpu_ms)) for key, count, cpu_ms in views.sql(query).fetchall()}
        assert found == sums, dimension


def test_sums_by_role_agree(views: Views) -> None:
    """All accounts sum to zero; lines by role are the lines; bonds are the accounts of bonds; each verdict is counted once."""
    assert views.sql("SELECT sum(balance) FROM balances_per_role").fetchall() == [(0,)]
    query = "SELECT (SELECT sum(amount) FROM payouts_per_role) = (SELECT sum(amount) FROM payouts)"
    assert views.sql(query).fetchall() == [(True,)]
    query = "SELECT cluster, owner, bond FROM bonds"
    expected = {
        (*account.split(":", 2)[1:], amount)
        for account, amount in whole_history().state.balances.items()
        if account.startswith("bond:")
    }
    assert {(cluster, owner, int(bond)) for cluster, owner, bond in views.sql(query).fetchall()} == expected
    assert expected
    query = "SELECT (SELECT sum(records) FROM verdicts_per_node) = (SELECT count(*) FROM records)"
    assert views.sql(query).fetchall() == [(True,)]
    assert (
        views.sql("SELECT count(*) FROM grant_scopes").fetchall()
        == views.sql("SELECT sum(len(scopes)) FROM grants").fetchall()
    )
