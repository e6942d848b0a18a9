"""The journal sums to zero, and balances by SQL are the domain's; at every index: test_as_of."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from hypothesis import given, settings

from proofroom.adapters.views import Views
from proofroom.domain.accounts import TREASURY
from proofroom.domain.statements.settlement import EraPaid
from proofroom.testing.histories import History, store_of
from proofroom.testing.worlds import histories
from strategies.disputes import punished_history
from strategies.rooms import soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history


def check_money(history: History) -> None:
    """Journal and balances against the domain's own state."""
    views = fresh_views()
    views.project(store_of(history))
    assert views.sql("SELECT entry_index FROM journal GROUP BY 1 HAVING sum(amount) <> 0").fetchall() == []
    assert views.sql("SELECT entry_index FROM journal GROUP BY 1 HAVING count(*) <> 2").fetchall() == []
    rows = views.sql("SELECT account, balance FROM balances").fetchall()
    assert {account: int(balance) for account, balance in rows} == dict(history.state.balances)
    rows = views.sql("SELECT account, balance, paid_index FROM balances_per_era").fetchall()
    for account, balance, paid in rows:
        assert history.states[paid + 1].balances.get(account, 0) == balance
    paid = [(e.index, e.statement) for e in history.entries if isinstance(e.statement, EraPaid)]
    assert {index for _, _, index in rows} <= {index for index, _ in paid}
    for index, s in paid:
        check_balances_then(views, history, index, s)
    views.close()


def check_balances_then(views: Views, history: History, index: int, s: EraPaid) -> None:
    """Right after an era was paid: by the era, by the moment (with what else was recorded in the same ms), and by kind of account."""
    at_ms = history.entries[index].recorded_at_ms
    last = max(e.index for e in history.entries if e.recorded_at_ms <= at_ms)
    expected = {
        f"balances_of_era('{s.cluster}', {s.era})": history.states[index + 1].balances,
        f"balances_at(make_timestamp_ms({at_ms}))": history.states[last + 1].balances,
        f"balances_at(make_timestamp_ms({at_ms - 1}))": next(
            history.states[e.index].balances for e in history.entries if e.recorded_at_ms >= at_ms
        ),
    }
    for query, balances in expected.items():
        rows = views.sql(f"SELECT account, balance FROM {query}").fetchall()
        assert {account: int(balance) for account, balance in rows} == dict(balances), query
    by_kind: Counter[str] = Counter()
    for account, balance in history.states[index + 1].balances.items():
        by_kind[account.partition(":")[0]] += balance
    rows = views.sql(f"SELECT role, balance FROM balances_per_role({index})").fetchall()
    assert {role: int(balance) for role, balance in rows} == by_kind


@settings(max_examples=soak(2, 200))
@given(histories())
def test_balances_are_the_domains(history: History) -> None:
    """At the end of a random history, and of each of its eras."""
    check_money(history)


def test_balances_of_the_whole_history() -> None:
    """With two customers, one of them short, and three paid eras."""
    check_money(whole_history())


def test_an_era_that_is_not_paid_has_no_balances() -> None:
    """Neither one that is open, nor one that never was; the view without an argument is that of now."""
    views = fresh_views()
    views.project(store_of(whole_history()))
    assert views.sql("FROM balances_of_era('dragon-1', 99)").fetchall() == []
    assert views.sql("FROM balances_at(TIMESTAMP '1970-01-01')").fetchall() == []
    now = len(whole_history().entries)
    query = f"FROM balances_per_role ORDER BY ALL; FROM balances_per_role({now}) ORDER BY ALL"
    first, second = (views.sql(part).fetchall() for part in query.split("; "))
    assert first == second
    views.close()


def test_balances_with_slashes() -> None:
    """Bonds pay to the treasury, and no settlement moved that money."""
    check_money(punished_history())


def test_eras_agree_with_their_lines() -> None:
    """The totals that the ledger stated are the sums of its payout lines."""
    views = fresh_views()
    views.project(store_of(whole_history()))
    query = """
        SELECT e.era, e.status, e.collected = p.collected, e.treasury = p.treasury, e.debt = p.debt, e.charged = p.charged
        FROM eras e JOIN (
            SELECT cluster, era, coalesce(sum(amount) FILTER (role = 'charge'), 0) AS collected,
                coalesce(sum(amount) FILTER (role = 'treasury'), 0) AS treasury,
                coalesce(sum(payouts.debt) FILTER (role = 'charge'), 0) AS debt,
                coalesce(sum(charged_cpu + charged_gpu + charged_streamed + charged_stored + charged_puts + charged_gets), 0) AS charged
            FROM eras LEFT JOIN payouts USING (cluster, era) GROUP BY cluster, era
        ) p USING (cluster, era) WHERE status = 'paid' ORDER BY 1"""
    assert views.sql(query).fetchall() == [(era, "paid", True, True, True, True) for era in range(5)]
    query = "SELECT balance, debits FROM balances_per_era WHERE account = ? AND era = 1".replace("?", f"'{TREASURY}'")
    ((balance, debits),) = views.sql(query).fetchall()
    assert (balance > 0, debits) == (True, 0)
    views.close()


def test_the_largest_amount_is_exact() -> None:
    """10^36 - 1 comes out as it went in, and sums as it should."""
    history = History(seed="large")
    history.write(history.cast.found_cluster(), history.cast.deposit(history.cast.user.keyid, 10**36 - 1))
    views = fresh_views()
    views.project(store_of(history))
    assert views.sql("SELECT amount FROM deposits").fetchall() == [(Decimal(10**36 - 1),)]
    assert views.sql("SELECT amount FROM journal ORDER BY 1").fetchall() == [
        (Decimal(1 - 10**36),),
        (Decimal(10**36 - 1),),
    ]
    assert views.sql("SELECT balance FROM balances WHERE balance > 0").to_arrow_table()[0].to_pylist() == [10**36 - 1]
    views.close()
