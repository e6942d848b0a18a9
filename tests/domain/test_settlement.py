"""Settlement: the lines of an era, against a naive second implementation with fractions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive_settlement import PARTS, Offer, Settlement
from proofroom.adapters.cast import PARAMETERS
from proofroom.domain.claims import Line, Terms
from proofroom.domain.governance import read_parameters
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.money import AMOUNT_LIMIT
from proofroom.domain.settlement import Work, compute_lines
from proofroom.domain.state import Parameters, UsageSum
from strategies.keys import signer

ONE = 10**18
PLAIN = read_parameters(PARAMETERS)
CUSTOMERS = sorted(signer(n).keyid for n in range(4))
VALIDATORS = sorted(signer(n).keyid for n in range(10, 14))
NODES = ["alpha", "beta", "gamma"]
PROVIDERS = {"alpha": signer(30).keyid, "beta": signer(31).keyid, "gamma": signer(30).keyid}
PRICES = ("cpu_second", "gpu_unit", "mib_streamed", "mib_stored_month", "put", "get")

_SIZES = st.sampled_from([0, 0, 1, 3]) | st.integers(0, 10**9)
_HUGE = st.integers(0, 10**19)
USAGES = st.builds(UsageSum, *[_SIZES] * 6) | st.builds(UsageSum, *[_HUGE] * 6) | st.just(UsageSum())


@st.composite
def parameters(draw: st.DrawFn) -> Parameters:
    """Prices from nothing to the limit; shares from nothing to exactly the whole, down to one 10^18th."""
    price = st.sampled_from([0, 1, 7, ONE - 1]) | st.integers(0, 10**7)
    cut = st.sampled_from([0, 1, ONE // 3, ONE - 1, ONE, ONE]) | st.integers(0, ONE)
    a, b, c = sorted(draw(st.tuples(cut, cut, cut)))
    prices: dict[str, Any] = {name: draw(price) for name in PRICES}
    return PLAIN._replace(**prices, treasury_share=a, reserve_share=b - a, validators_share=c - b)


LISTINGS = [Digest(f"blake3:{n:064x}") for n in range(3)]


@st.composite
def listings(draw: st.DrawFn) -> dict[Digest, Terms]:
    """Up to three listings in two marketplaces, of shares from nothing to the whole."""
    ratio = st.sampled_from([0, 1, ONE - 1, ONE]) | st.integers(0, ONE)
    weights = st.dictionaries(st.sampled_from(VALIDATORS), st.integers(1, 10**6), min_size=1)
    return {
        digest: Terms(
            digest=digest,
            agent=CUSTOMERS[0],
            cluster="",
            price=draw(st.sampled_from([0, 1, ONE - 1]) | st.integers(0, 10**7)),
            ratio=draw(ratio),
            creators=tuple(sorted(draw(weights).items())),
            marketplace=draw(st.sampled_from(["bazaar", "fair"])),
            owner=CUSTOMERS[1],
            share=draw(ratio),
        )
        for digest in draw(st.lists(st.sampled_from(LISTINGS), unique=True))
    }


@st.composite
def works(draw: st.DrawFn) -> Work:
    """Eras of several customers and nodes, with deposits that cover all, some or nothing."""
    places = draw(st.lists(st.tuples(st.sampled_from(CUSTOMERS), st.sampled_from(NODES)), max_size=7, unique=True))
    deposit = st.sampled_from([0, 1, 10**9, AMOUNT_LIMIT - 1]) | st.integers(0, 10**20)
    terms, served = draw(listings()), sorted({customer for customer, _ in places})
    sales = st.lists(st.tuples(st.sampled_from(served), st.sampled_from(sorted(terms))), max_size=5, unique=True)
    sold = draw(sales) if served and terms else []
    return Work(
        parameters=draw(parameters()),
        seconds=draw(st.sampled_from([1, 60, 86_400, 2_630_016, 2_630_017, 366 * 86_400]) | st.integers(1, 10**7)),
        usage={place: draw(USAGES) for place in places},
        served={place: draw(st.integers(1, 9)) for place in places},
        inspected=draw(st.dictionaries(st.sampled_from(VALIDATORS), st.sampled_from([0, 1, 1, 2, 100]))),
        deposits={customer: draw(deposit) for customer in CUSTOMERS},
        providers=PROVIDERS,
        sold={sale: draw(USAGES) for sale in sold},
        sales={sale: draw(st.integers(1, 9)) for sale in sold},
        terms=terms,
    )


def naive(work: Work) -> Settlement:
    """The same era in the other implementation's terms."""
    p = work.parameters
    return Settlement(
        prices={name: getattr(p, name) for name in PRICES},
        shares=(p.treasury_share, p.reserve_share, p.validators_share),
        seconds=work.seconds,
        usage={place: usage._asdict() for place, usage in work.usage.items()},
        inspected={str(v): n for v, n in work.inspected.items()},
        deposits={str(c): a for c, a in work.deposits.items()},
        providers={n: str(p) for n, p in work.providers.items()},
        cluster="c",
        era=7,
        sold={(str(c), str(d)): (work.sales[c, d], usage._asdict()) for (c, d), usage in work.sold.items()},
        offers={
            str(d): Offer(t.price, t.ratio, {str(c): w for c, w in t.creators}, t.marketplace, str(t.owner), t.share)
            for d, t in work.terms.items()
        },
    )


@given(works())
def test_lines_agree_with_the_naive_settlement(work: Work) -> None:
    """Every line, in order, and every charge by its parts."""
    expected, lines = naive(work), compute_lines("c", 7, work)
    assert [(line.role, line.party, line.debit, line.credit, line.amount) for line in lines] == expected.lines
    for line in lines:
        if line.role == "charge":
            assert dict(zip(PARTS, line.charged, strict=True)) == expected.charged[line.party]
            assert dict(zip(PARTS, line.collected, strict=True)) == expected.collected[line.party]
            assert line.records == sum(n for place, n in work.served.items() if place[0] == line.party)
        if line.role == "fee":
            assert line.charged == (expected.fees[line.party][line.listing],)
            assert line.collected == (line.amount,)
            assert line.records == work.sales[KeyId(line.party), line.listing]


@given(works())
def test_lines_name_the_work_behind_them(work: Work) -> None:
    """A node's line counts the records attested on it, a validator's those that it judged as the rounds did."""
    for line in compute_lines("c", 7, work):
        if line.role == "provider":
            assert line.records == sum(count for (_, node), count in work.served.items() if node == line.party)
        elif line.role == "validator":
            assert line.records == work.inspected[KeyId(line.party)]


@given(works())
def test_debits_equal_credits(work: Work) -> None:
    """What goes into each of an era's two pots comes out of it, to the unit, and nobody pays more than there is or than it cost."""
    lines = compute_lines("c", 7, work)
    for pot in ("clearing:c:7", "market:c:7"):
        assert sum(line.amount for line in lines if line.credit == pot) == sum(
            line.amount for line in lines if line.debit == pot
        )
    for customer in CUSTOMERS:
        own = [line for line in lines if line.role in ("charge", "fee") and line.party == customer]
        assert all(0 <= p <= o for line in own for p, o in zip(line.collected, line.charged, strict=True))
        owed = sum(sum(line.charged) for line in own)
        assert sum(line.amount for line in own) == min(owed, work.deposits[customer])
    assert all(line.amount >= 0 for line in lines)


@given(works(), st.sampled_from(CUSTOMERS), st.integers(0, 10**12))
def test_more_money_takes_from_nobody(work: Work, customer: KeyId, more: int) -> None:
    """A larger deposit leaves no more debt, and lowers no line by more than one unit for each split that it passes through.

    The reserve alone may lose more: it also gets what finds no receiver.
    """
    richer = work._replace(deposits={**work.deposits, customer: work.deposits[customer] + more})
    after = {(line.role, line.party, line.listing): line for line in compute_lines("c", 7, richer)}
    customers, fees = len(CUSTOMERS), len(work.sold)
    slack = {"charge": 1, "fee": 1, "treasury": 1, "reserve": customers + 1, "validator": 2, "provider": 5 * customers}
    slack |= {"marketplace": fees, "creator": fees + 2}
    for line in compute_lines("c", 7, work):
        key = (line.role, line.party, line.listing)
        assert (after[key].amount if key in after else 0) >= line.amount - slack[line.role]
        if line.role in ("charge", "fee"):
            assert sum(after[key].charged) == sum(line.charged)
    assert owed_by(customer, tuple(after.values())) <= owed_by(customer, compute_lines("c", 7, work))


def owed_by(customer: KeyId, lines: tuple[Line, ...]) -> int:
    """What a customer still owes."""
    return sum(
        sum(line.charged) - line.amount for line in lines if line.role in ("charge", "fee") and line.party == customer
    )


@given(works(), st.data())
def test_more_attested_work_never_pays_a_provider_less(work: Work, data: st.DataObject) -> None:
    """One record more on a node, of a customer whose deposit covers it: the node gets no less, but for one unit a split."""
    if not work.usage:
        return
    customer, node = data.draw(st.sampled_from(sorted(work.usage)))
    more, place = data.draw(USAGES), (customer, node)
    work = work._replace(deposits={**work.deposits, customer: AMOUNT_LIMIT}, sold={}, sales={}, terms={})
    busier = work._replace(
        usage={**work.usage, place: work.usage[place].plus(more)}, served={**work.served, place: work.served[place] + 1}
    )
    before, after = (
        {(line.role, line.party): line.amount for line in compute_lines("c", 7, w)} for w in (work, busier)
    )
    splits = 2 * len({c for c, _ in work.usage})
    assert after.get(("provider", node), 0) >= before.get(("provider", node), 0) - splits


@given(works())
def test_money_of_a_customer_stays_with_its_nodes(work: Work) -> None:
    """A node earns at most what the customers that it served have paid."""
    lines = compute_lines("c", 7, work)
    paid = {line.party: line.amount for line in lines if line.role == "charge"}
    for line in lines:
        if line.role == "provider":
            assert line.amount <= sum(paid[c] for c, node in work.usage if node == line.party)


def era(usage: dict[tuple[int, str], int], deposits: dict[int, int], **changes: Any) -> Work:
    """An era of whole CPU seconds at 1,000 units each."""
    return Work(
        parameters=PLAIN._replace(cpu_second=1000, treasury_share=0, reserve_share=0, validators_share=0, **changes),
        seconds=60,
        usage={(CUSTOMERS[c], node): UsageSum(cpu_ms=seconds * 1000) for (c, node), seconds in usage.items()},
        served={(CUSTOMERS[c], node): 1 for c, node in usage},
        inspected={},
        deposits={CUSTOMERS[c]: amount for c, amount in deposits.items()},
        providers=PROVIDERS,
    )


def amounts(work: Work) -> dict[tuple[str, str], int]:
    """The lines' amounts by role and party."""
    return {(line.role, line.party): line.amount for line in compute_lines("c", 0, work)}


def test_a_node_with_a_customer_of_its_own_farms_nothing() -> None:
    """Customer 1 uses a lot on gamma and pays nothing: the money of customer 0 goes to alpha, all of it."""
    assert amounts(era({(0, "alpha"): 1, (1, "gamma"): 1_000}, {0: 1_000, 1: 0})) == {
        ("charge", CUSTOMERS[0]): 1_000,
        ("charge", CUSTOMERS[1]): 0,
        ("provider", "alpha"): 1_000,
    }


def test_ties_go_to_the_first_in_key_order() -> None:
    """Ten units over three equal nodes: the odd one goes to alpha."""
    paid = amounts(era({(0, "gamma"): 1, (0, "beta"): 1, (0, "alpha"): 1}, {0: 10}))
    assert [paid["provider", node] for node in NODES] == [4, 3, 3]


def test_shares_of_the_whole_leave_providers_nothing() -> None:
    """100 % is allowed: 60, 30 and 10 of 100, and no provider line."""
    work = era({(0, "alpha"): 1}, {0: 100})
    shared = work.parameters._replace(
        treasury_share=6 * ONE // 10, reserve_share=3 * ONE // 10, validators_share=ONE // 10
    )
    lines = amounts(work._replace(parameters=shared, inspected={VALIDATORS[0]: 1}))
    assert lines == {
        ("charge", CUSTOMERS[0]): 100,
        ("treasury", ""): 60,
        ("reserve", ""): 30,
        ("validator", VALIDATORS[0]): 10,
    }


@pytest.mark.parametrize("inspected", [{}, {VALIDATORS[0]: 0}])
def test_money_without_a_receiver_goes_to_the_reserve(inspected: dict[KeyId, int]) -> None:
    """Nobody judged as the rounds did: the validators' share is the reserve's."""
    work = era({(0, "alpha"): 1}, {0: 1_000})
    lines = amounts(work._replace(parameters=work.parameters._replace(validators_share=ONE // 10), inspected=inspected))
    assert lines["reserve", ""] == 100


def test_an_era_without_work_has_no_lines() -> None:
    """Nothing attested, nothing charged."""
    assert compute_lines("c", 0, era({}, {})) == ()


def test_work_that_no_node_can_be_paid_for_goes_to_the_reserve() -> None:
    """Half a unit on each of two nodes is a unit together: the customer owes it, and neither node has a value to be paid by."""
    work = era({}, {0: 10})._replace(
        usage={(CUSTOMERS[0], node): UsageSum(cpu_ms=500) for node in ("alpha", "beta")},
        served={(CUSTOMERS[0], node): 1 for node in ("alpha", "beta")},
    )
    lines = amounts(work._replace(parameters=work.parameters._replace(cpu_second=1)))
    assert lines == {("charge", CUSTOMERS[0]): 1, ("reserve", ""): 1}
