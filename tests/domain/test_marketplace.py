"""The marketplace: a record is sold under the version that it names, and whatever comes later does not change what it owes."""

from __future__ import annotations

import pytest

from proofroom.adapters.cast import DAY_MS, Work
from proofroom.domain.errors import NotListed
from proofroom.domain.statements.settlement import EraPaid, Payout
from proofroom.testing.histories import History, store_of
from proofroom.testing.keys import key
from strategies.selling import TENTH, list_work, open_market, sell
from strategies.spending import withdraw
from strategies.viewing import fresh_views


def market(deposit: int = 10**12) -> History:
    """An open era, a marketplace, and a customer that set a cap."""
    history = History(validators=6)
    history.found(deposit=deposit)
    history.write(open_market(history.cast), history.cast.payer(history.cast.user, 10**15), history.cast.open_era(0))
    return history


def settle(history: History, era: int = 0) -> dict[tuple[str, str], int]:
    """Attest and end the era; the amounts of its lines by role and party."""
    history.attest(history.seal(era))
    history.tick(DAY_MS)
    return lines_of(history, era)


def lines_of(history: History, era: int) -> dict[tuple[str, str], int]:
    """Amounts by role and party."""
    lines = [e.statement for e in history.entries if isinstance(e.statement, Payout) and e.statement.era == era]
    found: dict[tuple[str, str], int] = {}
    for s in lines:
        b = s.basis
        place = (s.role, b.marketplace or b.creator or b.customer or b.validator or b.node or "")
        found[place] = found.get(place, 0) + int(s.amount)
    return found


def test_a_listing_that_changes_leaves_what_was_recorded() -> None:
    """Two records under a price of 1,000, then one under 5,000; the first two owe what they owed when they were recorded."""
    history = market()
    history.work(0, Work(cpu_ms=0), Work(cpu_ms=0), listing=list_work(history, price=1_000))
    history.sleep(1)
    history.work(0, Work(cpu_ms=0), listing=list_work(history, price=5_000))
    history.write(open_market(history.cast, share=9 * TENTH, created_at=history.cast.now(1)))
    lines = settle(history)
    assert lines["fee", history.cast.user.keyid] == 7_000
    assert lines["marketplace", "bazaar"] == 700
    assert lines["creator", key("creator").keyid] == 6_300


def test_a_ratio_is_of_what_the_records_cost_together() -> None:
    """Two records of 2,000,000 units each at 10 %, between creators of weights 1 and 3; the protocol's charge is as without it."""
    history = market()
    creators = {key("creator").keyid: 1, key("creator-2").keyid: 3}
    listing = list_work(history, price=0, ratio=TENTH, creators=creators)
    history.work(0, Work(cpu_ms=1_000), Work(cpu_ms=1_000), listing=listing)
    lines = settle(history)
    assert lines["charge", history.cast.user.keyid] == 4_000_000
    assert lines["fee", history.cast.user.keyid] == 400_000
    assert lines["marketplace", "bazaar"] == 40_000
    assert (lines["creator", key("creator").keyid], lines["creator", key("creator-2").keyid]) == (90_000, 270_000)


def test_a_short_deposit_is_split_over_the_charge_and_the_fee_and_repaid_to_both() -> None:
    """Half is there: half of the charge and half of the fee are paid. The rest comes with the next deposit, to the same creators."""
    history = market(deposit=1_500_000)
    listing = list_work(history, price=1_000_000)
    history.work(0, Work(cpu_ms=1_000), listing=listing)
    lines = settle(history)
    assert (lines["charge", history.cast.user.keyid], lines["fee", history.cast.user.keyid]) == (1_000_000, 500_000)
    totals = next(e.statement.totals for e in history.entries if isinstance(e.statement, EraPaid))
    assert (totals.fees_charged, totals.fees_collected, totals.fees_debt) == ("1000000", "500000", "500000")
    assert (totals.marketplaces, totals.creators, totals.debt) == ("50000", "450000", "1000000")
    history.sleep(1)
    list_work(history, price=1, creators={key("creator-2").keyid: 1})
    history.write(history.cast.deposit(history.cast.user.keyid, 1_500_000))
    balances = history.state.balances
    assert balances[f"creator:{key('creator').keyid}"] == 900_000
    assert balances[f"marketplace:{key('bazaar').keyid}"] == 100_000
    assert not any(account.startswith(("clearing:", "market:", "customer:")) for account in balances)
    assert not history.state.debts


def test_several_marketplaces_on_one_ledger() -> None:
    """Two listings in two marketplaces: each gets its own share of its own fees, and the read models tell who brought in what."""
    history = market()
    cast = history.cast
    history.write(open_market(cast, "fair", 2 * TENTH))
    history.work(0, Work(cpu_ms=0), listing=list_work(history, price=1_000))
    there = {"listing": "mail-pro", "marketplace": "fair", "marketplace_share": str(2 * TENTH), "cluster": cast.cluster}
    history.work(0, Work(cpu_ms=0), listing=list_work(history, price=500, **there))
    lines = settle(history)
    assert (lines["marketplace", "bazaar"], lines["marketplace", "fair"]) == (100, 100)
    views = fresh_views()
    views.project(store_of(history))
    rows = views.sql("SELECT kind, party, amount FROM marketplace_revenue ORDER BY ALL").fetchall()
    assert [(kind, party, int(amount)) for kind, party, amount in rows] == [
        ("agent", cast.agent.keyid, 1_500),
        ("creator", key("creator").keyid, 1_300),
        ("marketplace", "bazaar", 100),
        ("marketplace", "fair", 100),
    ]
    assert len(views.sql("SELECT listing FROM listings_in_force").fetchall()) == 2
    views.close()
    for owner, name, amount in ((key("creator"), "creator", 1_300), (key("bazaar"), "marketplace", 100)):
        history.write(withdraw(cast, owner, amount, name))
    earned = {account for account in history.state.balances if account.startswith(("creator:", "marketplace:"))}
    assert earned == {f"marketplace:{key('fair').keyid}"}


def test_who_earns_from_a_listing_does_not_judge_it() -> None:
    """A validator that is, or whose controller is, the owner of the marketplace is not eligible for the batch."""
    for role in ("validators", "controllers"):
        history = History(validators=6)
        getattr(history.cast, role)[0] = key("bazaar")
        history.found()
        cast = history.cast
        history.write(open_market(cast), cast.payer(cast.user, 10**15), cast.open_era(0))
        history.work(0, Work(), listing=list_work(history))
        round = history.seal(0)
        assert set(history.state.rounds[cast.cluster, round].eligible) == {v.keyid for v in cast.validators[1:]}


@pytest.mark.parametrize("role", ["validators", "controllers"])
def test_nobody_picks_its_judges_by_naming_the_others_creators(role: str) -> None:
    """What names a validator, or its controller, is not sold in its cluster until it has left; elsewhere it is."""
    history = market()
    cast = history.cast
    listing = list_work(history, creators={getattr(cast, role)[0].keyid: 1, key("creator").keyid: 9})
    with pytest.raises(NotListed):
        history.work(0, Work(), listing=listing)
    assert "judges" in NotListed.advice
    history.write(cast.leave(0))
    history.work(0, Work(), listing=listing)


def test_a_withdrawn_listing_can_come_back() -> None:
    """Withdrawing is a version like any other."""
    history = market()
    list_work(history, withdrawn=True)
    assert not history.state.offers
    history.sleep(1)
    history.write(sell(history.cast))
    assert len(history.state.offers) == 1
