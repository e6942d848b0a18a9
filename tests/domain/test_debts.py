"""Debts: kept with their parts, repaid by the next deposit, the oldest first, to those who were entitled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.cast import DAY_MS, Work
from proofroom.domain.claims import Claim, Debt, Line, Terms
from proofroom.domain.debts import compute_repayment, get_debt
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.statements.settlement import Payout, Repayment
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import History
from proofroom.testing.keys import key, signer
from proofroom.testing.naive_settlement import naive_split

ONE = 10**18
CUSTOMER = signer(1).keyid
JUDGES = sorted(signer(n).keyid for n in (10, 11, 12))
NODES = [("alpha", signer(30).keyid), ("beta", signer(31).keyid), ("gamma", signer(30).keyid)]
LISTINGS = [Digest("blake3:" + f"{n:064x}") for n in range(3)]

_AMOUNTS = st.sampled_from([0, 1, 2, 10**35]) | st.integers(0, 10**9)


@st.composite
def debts(draw: st.DrawFn) -> tuple[Debt, Claim]:
    """What a customer owes, and who is entitled to it."""
    cuts = sorted(draw(st.tuples(*[st.sampled_from([0, 1, ONE // 3, ONE]) | st.integers(0, ONE)] * 3)))
    listings = draw(st.lists(st.sampled_from(LISTINGS), unique=True).map(sorted))
    creators = st.lists(st.tuples(st.sampled_from(JUDGES), st.integers(1, 9)), min_size=1, unique_by=lambda c: c[0])
    terms = [
        Terms(d, CUSTOMER, "", 1, 0, tuple(sorted(draw(creators))), "bazaar", JUDGES[0], draw(st.integers(0, ONE)))
        for d in listings
    ]
    debt = Debt(
        3,
        draw(st.tuples(*[_AMOUNTS] * 6)),
        tuple((listing, draw(_AMOUNTS)) for listing in listings),
        tuple((*node, draw(_AMOUNTS)) for node in draw(st.lists(st.sampled_from(NODES), unique=True).map(sorted))),
    )
    judges = draw(st.dictionaries(st.sampled_from(JUDGES), st.integers(1, 9)))
    shares = (cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1])
    return debt, Claim(shares, tuple(sorted(judges.items())), tuple(terms), 1)


def flow(lines: list[Line], account: str) -> int:
    """What went into an account, less what went out."""
    return sum(line.amount for line in lines if line.credit == account) - sum(
        line.amount for line in lines if line.debit == account
    )


@given(debts(), st.integers(1, 10**36))
def test_a_repayment_is_conserved_and_split_over_what_is_owed(case: tuple[Debt, Claim], money: int) -> None:
    """All that is repaid reaches somebody; no part is repaid beyond what is owed; protocol and marketplace never mix."""
    debt, claim = case
    amount = min(money, debt.total)
    if not amount:
        return
    lines, rest = compute_repayment("c", CUSTOMER, debt, claim, amount)
    assert all(line.amount > 0 for line in lines)
    assert flow(lines, f"customer:c:{CUSTOMER}") == -amount
    assert flow(lines, "clearing:c:3") == flow(lines, "market:c:3") == 0
    assert rest.total == debt.total - amount
    owed = [*debt.parts, *(fee for _, fee in debt.fees)]
    left = [*rest.parts, *(fee for _, fee in rest.fees)]
    assert [o - r for o, r in zip(owed, left, strict=True)] == naive_split(amount, owed)
    assert min(left) >= 0
    for listing, _ in debt.fees:
        paid = sum(line.amount for line in lines if line.role == "fee" and line.listing == listing)
        assert paid == sum(
            line.amount for line in lines if line.role in ("marketplace", "creator") and line.listing == listing
        )


def indebted(*cpu_seconds: int, deposit: int = 0) -> History:
    """A customer with no deposit or a small one, whose payer statement lets eras of so many CPU seconds be recorded, of 2,000,000 units."""
    history = History(validators=5)
    history.found(deposit=0)
    history.write(history.cast.payer(key("sponsor"), 10**15), history.cast.deposit(key("sponsor").keyid, deposit))
    for era, seconds in enumerate(cpu_seconds):
        history.write(history.cast.open_era(era))
        history.work(era, Work(seconds * 250), Work(seconds * 750), customer=key("sponsor").keyid)
        history.attest(history.seal(era))
        history.tick(DAY_MS)
    return history


def owed(history: History) -> list[int]:
    """What the sponsor owes, era by era."""
    return [debt.total for debt in history.state.debts.get((history.cast.cluster, key("sponsor").keyid), ())]


def repaid(history: History, role: str) -> list[tuple[int, int]]:
    """Era and amount of the lines of a role."""
    lines = [e.statement for e in history.entries if isinstance(e.statement, Repayment)]
    return [(line.era, int(line.amount)) for line in lines if line.role == role]


def test_the_oldest_debt_is_repaid_first() -> None:
    """A deposit between two debts repays the first and a part of the second; the next the rest, and what is left is a balance."""
    history = indebted(1, 2)
    cast, sponsor = history.cast, key("sponsor").keyid
    assert owed(history) == [2_000_000, 4_000_000]
    history.write(cast.deposit(sponsor, 3_000_000))
    assert owed(history) == [3_000_000]
    assert repaid(history, "charge") == [(0, 2_000_000), (1, 1_000_000)]
    history.write(cast.deposit(sponsor, 3_000_001))
    assert owed(history) == []
    assert history.state.claims == history.state.debts == history.state.repaying == type(history.state.debts)()
    assert history.state.balances[f"customer:{cast.cluster}:{sponsor}"] == 1


def test_a_claim_stands_until_the_last_customer_has_paid() -> None:
    """Three owe for one era; each is repaid to whom the era would have paid, and then nothing of it is kept."""
    history = History(validators=5)
    history.found(deposit=0)
    cast, customers = history.cast, [history.cast.user, key("sponsor"), key("patron")]
    history.write(*(cast.payer(payer, 10**15) for payer in customers[1:]), cast.open_era(0))
    for customer in customers:
        history.work(0, Work(cpu_ms=500), customer=customer.keyid)
    history.attest(history.seal(0))
    history.tick(DAY_MS)
    for left in (2, 1, 0):
        history.write(cast.deposit(customers[left].keyid, 10**6))
        assert [claim.debts for claim in history.state.claims.values()] == [left] * (left > 0)
    assert repaid(history, "provider") == repaid(history, "provider")[:1] * 3


def test_one_unit_is_a_debt() -> None:
    """The smallest, when an era leaves it or a repayment; and the smallest deposit repays it."""
    for history in (indebted(1, deposit=1_999_999), indebted(1)):
        history.write(history.cast.deposit(key("sponsor").keyid, max(0, sum(owed(history)) - 1)))
        assert owed(history) == [1]
        history.write(history.cast.deposit(key("sponsor").keyid, 1))
        assert (owed(history), repaid(history, "charge")[-1]) == ([], (0, 1))
        assert history.state.claims == history.state.debts


def test_repaid_money_reaches_whom_the_era_would_have_paid() -> None:
    """Paid late in one go, everybody has what they would have had in time; shares and judges are those of the era."""
    late, timely = indebted(7), History(validators=5)
    late.write(late.cast.deposit(key("sponsor").keyid, 14_000_000))
    timely.found(deposit=0)
    timely.write(timely.cast.payer(key("sponsor"), 10**15), timely.cast.deposit(key("sponsor").keyid, 14_000_000))
    timely.write(timely.cast.open_era(0))
    timely.work(0, Work(1_750), Work(5_250), customer=key("sponsor").keyid)
    timely.attest(timely.seal(0))
    timely.tick(DAY_MS)
    assert late.state.balances == timely.state.balances
    assert sum(isinstance(e.statement, Payout) for e in late.entries) == 1  # the charge that nothing covered


def test_who_withheld_earns_nothing_of_what_is_repaid() -> None:
    """It judged in later rounds of that era, which does not matter: as when the era was paid."""
    history = History(validators=6)
    history.found(deposit=0)
    cast, withholder = history.cast, history.cast.validators[5].keyid
    history.write(cast.open_era(0))
    for missing in (1, 0, 0):
        history.work(0, Work(1_000))
        round = history.seal(0)
        history.reveal_beacons(round, range(6 - missing))
        history.tick(60_000 * missing)
        history.vote(round, dict.fromkeys(cast.members(history.state, round), make_vote(1)))
    judged = history.state.eras[cast.cluster, 0].inspected
    assert judged[withholder] > 0
    history.sleep(1_000)
    history.write(cast.close_era(0), cast.deposit(cast.user.keyid, 10**10))
    lines = [e.statement for e in history.entries if isinstance(e.statement, Repayment)]
    paid = {line.basis.validator for line in lines if line.role == "validator"}
    assert paid == set(judged) - {withholder}


@given(st.lists(st.integers(1, 9_000_000), min_size=1, max_size=6))
def test_every_deposit_lowers_the_debt_by_as_much(deposits: list[int]) -> None:
    """In whatever pieces it comes, the debt falls by what was deposited, and no balance builds up beside a debt."""
    history = indebted_twice()
    history = fork(history)
    cast, sponsor = history.cast, key("sponsor").keyid
    before = get_debt(history.state, cast.cluster, sponsor)
    for amount in deposits:
        history.sleep(1)
        history.write(cast.deposit(sponsor, amount))
        left = get_debt(history.state, cast.cluster, sponsor)
        assert left == max(0, before - amount)
        assert not left or f"customer:{cast.cluster}:{sponsor}" not in history.state.balances
        before = left
    for state in history.states:
        assert sum(state.balances.values()) == 0
        assert all(b > 0 or a.startswith("bank:") for a, b in state.balances.items())


_KEPT: list[History] = []


def indebted_twice() -> History:
    """Built once."""
    if not _KEPT:
        _KEPT.append(indebted(1, 3))
    return _KEPT[0]


def fork(history: History) -> History:
    """Another history with the same past."""
    other = object.__new__(History)
    other.__dict__.update(vars(history))
    other.entries, other.states = list(history.entries), list(history.states)
    return other


@pytest.mark.parametrize("seconds", [1, 2])
def test_a_deposit_of_nothing_repays_nothing(seconds: int) -> None:
    """Zero is an amount."""
    history = indebted(seconds)
    history.write(history.cast.deposit(key("sponsor").keyid, 0))
    assert history.due() is None
    assert KeyId(key("sponsor").keyid) in {customer for _, customer in history.state.debts}
