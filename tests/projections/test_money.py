"""The journal sums to zero, and balances by SQL are the domain's, after every entry."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings

from proofroom.adapters.views import Views
from proofroom.domain.accounts import TREASURY
from proofroom.domain.statements.settlement import EraPaid
from strategies.disputes import punished_history
from strategies.histories import History, store_of, whole_history
from strategies.rooms import soak
from strategies.worlds import histories


def check_money(history: History) -> None:
    """Journal and balances against the domain's own state."""
    views = Views(None)
    views.project(store_of(history))
    assert views.sql("SELECT entry_index FROM journal GROUP BY 1 HAVING sum(amount) <> 0").fetchall() == []
    assert views.sql("SELECT entry_index FROM journal GROUP BY 1 HAVING count(*) <> 2").fetchall() == []
    before = None
    for index, state in enumerate(history.states[1:]):
        if state.balances != before:
            before = state.balances
            rows = views.sql(f"SELECT account, balance FROM balances({index})").fetchall()
            assert {account: int(balance) for account, balance in rows} == dict(state.balances)
    rows = views.sql("SELECT account, balance FROM balances").fetchall()
    assert {account: int(balance) for account, balance in rows} == dict(history.state.balances)
    rows = views.sql("SELECT account, balance, paid_index FROM balances_per_era").fetchall()
    for account, balance, paid in rows:
        assert history.states[paid + 1].balances.get(account, 0) == balance
    paid_eras = [e.index for e in history.entries if isinstance(e.statement, EraPaid)]
    assert {paid for _, _, paid in rows} <= set(paid_eras)
    views.close()


@settings(max_examples=soak(2, 200))
@given(histories())
def test_balances_are_the_domains(history: History) -> None:
    """After every entry of a random history."""
    check_money(history)


def test_balances_of_the_whole_history() -> None:
    """With two customers, one of them short, and three paid eras."""
    check_money(whole_history())


def test_balances_with_slashes() -> None:
    """Bonds pay to the treasury, and no settlement moved that money."""
    check_money(punished_history())


def test_eras_agree_with_their_lines() -> None:
    """The totals that the ledger stated are the sums of its payout lines."""
    views = Views(None)
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
    views = Views(None)
    views.project(store_of(history))
    assert views.sql("SELECT amount FROM deposits").fetchall() == [(Decimal(10**36 - 1),)]
    assert views.sql("SELECT amount FROM journal ORDER BY 1").fetchall() == [
        (Decimal(1 - 10**36),),
        (Decimal(10**36 - 1),),
    ]
    assert views.sql("SELECT balance FROM balances WHERE balance > 0").to_arrow_table()[0].to_pylist() == [10**36 - 1]
    views.close()
