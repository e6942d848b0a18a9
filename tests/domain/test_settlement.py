"""Settlement: the lines of an era, against a naive second implementation with fractions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.cast import PARAMETERS
from proofroom.domain.claims import Line, Terms
from proofroom.domain.governance import read_parameters
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.money import AMOUNT_LIMIT
from proofroom.domain.settlement import Work, compute_charges, compute_lines
from proofroom.domain.state import Lot, Parameters, UsageSum
from proofroom.testing.keys import signer
from proofroom.testing.naive_settlement import PARTS, Offer, Settlement

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
LOTS = st.builds(Lot, st.integers(1, 9), USAGES)


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
        served={place: draw(LOTS) for place in places},
        inspected=draw(st.dictionaries(st.sampled_from(VALIDATORS), st.sampled_from([0, 1, 1, 2, 100]))),
        deposits={customer: draw(deposit) for customer in CUSTOMERS},
        providers=PROVIDERS,
        sold={sale: draw(LOTS) for sale in sold},
        terms=terms,
    )


def naive(work: Work) -> Settlement:
    """The same era in the other implementation's terms."""
    p = work.parameters
    return Settlement(
        prices={name: getattr(p, name) for name in PRICES},
        shares=(p.treasury_share, p.reserve_share, p.validators_share),
        seconds=work.seconds,
        usage={place: lot.usage._asdict() for place, lot in work.served.items()},
        inspected={str(v): n for v, n in work.inspected.items()},
        deposits={str(c): a for c, a in work.deposits.items()},
        providers={n: str(p) for n, p in work.providers.items()},
        cluster="c",
        era=7,
        sold={(str(c), str(d)): (lot.records, lot.usage._asdict()) for (c, d), lot in work.sold.items()},
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
            assert line.records == sum(lot.records for place, lot in work.served.items() if place[0] == line.party)
        if line.role == "fee":
            assert line.charged == (expected.fees[line.party][line.listing],)
            assert line.collected == (line.amount,)
            assert line.records == work.sold[KeyId(line.party), line.listing].records


@given(works())
def test_lines_name_the_work_behind_them(work: Work) -> None:
    """A node's line counts the records attested on it, a validator's those that it judged as the rounds did."""
    for line in compute_lines("c", 7, work):
        if line.role == "provider":
            assert line.records == sum(lot.records for (_, node), lot in work.served.items() if node == line.party)
        elif line.role == "validator":
            assert line.records == work.inspected[KeyId(line.party)]
        elif line.role not in ("charge", "fee"):
            assert line.records == 0


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


@given(works(), st.sampled_from(CUSTOMERS), st.sampled_from([1, 2]) | st.integers(0, 10**12))
def test_more_money_takes_from_nobody(work: Work, customer: KeyId, more: int) -> None:
    """A larger deposit leaves no more debt, and lowers no line by more than decision 30 derives.

    Between a charge and the fees of ``n`` listings at most ``2 (n - 1)`` units change sides; all else is passed on from there.
    """
    richer = work._replace(deposits={**work.deposits, customer: work.deposits[customer] + more})
    before, after = by_party(work), by_party(richer)
    shift = max(0, 2 * sum(c == customer for c, _ in work.sold) - 2)
    idle = sum(not any(c.values.values()) for c in compute_charges(work))
    limits = {"charge": shift, "fee": 1, "marketplace": 1, "creator": 1, "treasury": shift, "validator": max(1, shift)}
    limits["reserve"] = 2 * shift + (2 * idle + 2 + shift if idle else 0)
    for (role, party, listing), line in before.items():
        limit = 2 * customers_of(work, party) + 2 + shift if role == "provider" else limits[role]
        assert amount_of(after, role, party, listing) >= line.amount - limit
        if role in ("charge", "fee"):
            assert sum(after[role, party, listing].charged) == sum(line.charged)
    assert owed_by(customer, tuple(after.values())) <= owed_by(customer, tuple(before.values()))


Lines = dict[tuple[str, str, str], Line]


def by_party(work: Work) -> Lines:
    """An era's lines."""
    return {(line.role, line.party, line.listing): line for line in compute_lines("c", 7, work)}


def amount_of(lines: Lines, role: str, party: str, listing: str = "") -> int:
    """The amount of a line; lines of zero are left out."""
    return lines[role, party, listing].amount if (role, party, listing) in lines else 0


def customers_of(work: Work, node: str) -> int:
    """How many customers a node served."""
    return sum(name == node for _, name in work.served)


def owed_by(customer: KeyId, lines: tuple[Line, ...]) -> int:
    """What a customer still owes."""
    return sum(
        sum(line.charged) - line.amount for line in lines if line.role in ("charge", "fee") and line.party == customer
    )


@given(works(), st.data())
def test_more_attested_work_never_pays_a_provider_less(work: Work, data: st.DataObject) -> None:
    """One record more on a node, not sold under a listing, or of a customer whose deposit covers it: two units less at most for each
    customer that it served, and two more (decision 30). Where that customer has nothing left to pay it with: not one less.
    """
    if not work.served:
        return
    customer, node = data.draw(st.sampled_from(sorted(work.served)))
    more, place = Lot(1, data.draw(USAGES)), (customer, node)
    listing = data.draw(st.sampled_from([None, *sorted(work.terms)]))
    work = unsold(work, customer) if listing is None else rich(work, customer)
    busier = work._replace(served={**work.served, place: work.served[place].plus(more)})
    if listing is not None:
        sale = (customer, listing)
        busier = busier._replace(sold={**work.sold, sale: work.sold.get(sale, Lot()).plus(more)})
    before, after = by_party(work), by_party(busier)
    limit = 2 * customers_of(work, node) + 2
    if amount_of(after, "charge", customer) == amount_of(before, "charge", customer):
        limit = 0
    assert amount_of(after, "provider", node) >= amount_of(before, "provider", node) - limit


def unsold(work: Work, customer: KeyId) -> Work:
    """The same without what a customer bought under listings."""
    return work._replace(sold={sale: lot for sale, lot in work.sold.items() if sale[0] != customer})


def rich(work: Work, customer: KeyId) -> Work:
    """The same with a deposit that covers whatever a customer owes."""
    return work._replace(deposits={**work.deposits, customer: 10**60})


def test_shares_that_are_rounded_down_cost_a_provider_more_than_its_splits() -> None:
    """Of 3 units, a half, a quarter and a quarter take 1; of 4 they take all: one customer and one node, so nothing is split."""
    shares: dict[str, Any] = {"treasury_share": ONE // 2, "reserve_share": ONE // 4, "validators_share": ONE // 4}

    def left(units: int) -> int:
        work = era({(0, "alpha"): units}, {0: units})
        work = work._replace(parameters=work.parameters._replace(cpu_second=1, **shares))
        return amounts(work).get(("provider", "alpha"), 0)

    assert (left(3), left(4)) == (2, 0)


def test_a_sold_record_that_the_deposit_does_not_cover_costs_a_provider() -> None:
    """Its fee takes part in the one split of a short deposit: of 1,000 units the node keeps 500, for twice the work."""
    work = era({(0, "alpha"): 1}, {0: 1_000})
    terms = Terms(LISTINGS[0], CUSTOMERS[0], "", 2_000, 0, ((VALIDATORS[0], 1),), "bazaar", CUSTOMERS[1], 0)
    sale, second = (CUSTOMERS[0], LISTINGS[0]), Lot(1, UsageSum(cpu_ms=1_000))
    busier = era({(0, "alpha"): 2}, {0: 1_000})._replace(sold={sale: second}, terms={terms.digest: terms})
    assert (amounts(work)["provider", "alpha"], amounts(busier)["provider", "alpha"]) == (1_000, 500)


def test_a_larger_deposit_may_leave_one_part_a_unit_more_in_debt() -> None:
    """Parts of 1, 5 and 5, by largest remainder: of 5 units the first gets 1, of 6 none. The debt in all falls."""
    work = era({(0, "alpha"): 0}, {0: 0})
    lot = Lot(1, UsageSum(cpu_ms=1_000, puts=5, gets=5))
    work = work._replace(
        served={(CUSTOMERS[0], "alpha"): lot}, parameters=work.parameters._replace(cpu_second=1, put=1, get=1)
    )
    parts = [compute_lines("c", 0, work._replace(deposits={CUSTOMERS[0]: deposit}))[0].collected for deposit in (5, 6)]
    assert [(part[0], part[4], part[5]) for part in parts] == [(1, 2, 2), (0, 3, 3)]


@given(works())
def test_money_of_a_customer_stays_with_its_nodes(work: Work) -> None:
    """A node earns at most what the customers that it served have paid."""
    lines = compute_lines("c", 7, work)
    paid = {line.party: line.amount for line in lines if line.role == "charge"}
    for line in lines:
        if line.role == "provider":
            assert line.amount <= sum(paid[c] for c, node in work.served if node == line.party)


def era(usage: dict[tuple[int, str], int], deposits: dict[int, int], **changes: Any) -> Work:
    """An era of whole CPU seconds at 1,000 units each."""
    return Work(
        parameters=PLAIN._replace(cpu_second=1000, treasury_share=0, reserve_share=0, validators_share=0, **changes),
        seconds=60,
        served={(CUSTOMERS[c], node): Lot(1, UsageSum(seconds * 1000)) for (c, node), seconds in usage.items()},
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


def test_lines_of_nodes_are_in_key_order() -> None:
    """Whichever customer was served where."""
    served = {(0, "gamma"): 1, (1, "alpha"): 1, (2, "beta"): 1}
    lines = compute_lines("c", 0, era(served, dict.fromkeys(range(3), 1_000)))
    assert [line.party for line in lines if line.role == "provider"] == NODES


def test_lines_of_listings_are_in_the_order_of_digests() -> None:
    """Whoever bought which first."""
    places = {(0, "alpha"): 1, (1, "alpha"): 1}
    terms = [Terms(d, CUSTOMERS[0], "", 9, 0, ((CUSTOMERS[0], 1),), "bazaar", CUSTOMERS[1], ONE) for d in LISTINGS[:2]]
    sold = dict.fromkeys([(CUSTOMERS[0], LISTINGS[1]), (CUSTOMERS[1], LISTINGS[0])], Lot(1))
    work = era(places, dict.fromkeys(range(2), 10**6))
    lines = compute_lines("c", 0, work._replace(sold=sold, terms={t.digest: t for t in terms}))
    assert [line.listing for line in lines if line.role == "marketplace"] == LISTINGS[:2]


def test_two_customers_of_one_listing() -> None:
    """Their fees add up, also where they are equal; so do their records on one node."""
    terms = Terms(LISTINGS[0], CUSTOMERS[0], "", 9, 0, ((CUSTOMERS[0], 1),), "bazaar", CUSTOMERS[1], 0)
    work = era({(0, "alpha"): 1, (1, "alpha"): 1}, dict.fromkeys(range(2), 10**6))
    sold = {(CUSTOMERS[c], LISTINGS[0]): Lot(1) for c in range(2)}
    lines = compute_lines("c", 0, work._replace(sold=sold, terms={terms.digest: terms}))
    assert [line.amount for line in lines if line.role == "creator"] == [18]
    assert [(line.amount, line.records) for line in lines if line.role == "provider"] == [(2_000, 2)]


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
    """Half a unit on each of two nodes is a unit together: each of two customers owes it, and neither node has a value to be paid by."""
    places = [(customer, node) for customer in CUSTOMERS[:2] for node in ("alpha", "beta")]
    work = era({}, {0: 10, 1: 10})._replace(served=dict.fromkeys(places, Lot(1, UsageSum(cpu_ms=500))))
    lines = amounts(work._replace(parameters=work.parameters._replace(cpu_second=1)))
    assert lines == {("charge", CUSTOMERS[0]): 1, ("charge", CUSTOMERS[1]): 1, ("reserve", ""): 2}


def test_the_reserve_gets_what_neither_nodes_nor_validators_are_due() -> None:
    """Of four units the one validator gets its two, and the other two have no node to go to."""
    places = [(customer, node) for customer in CUSTOMERS[:4] for node in ("alpha", "beta")]
    work = era({}, dict.fromkeys(range(4), 10))._replace(
        served=dict.fromkeys(places, Lot(1, UsageSum(cpu_ms=500))), inspected={VALIDATORS[0]: 1}
    )
    lines = amounts(work._replace(parameters=work.parameters._replace(cpu_second=1, validators_share=ONE // 2)))
    assert [lines[role] for role in (("validator", VALIDATORS[0]), ("reserve", ""))] == [2, 2]


def test_who_never_deposited_owes_all() -> None:
    """Like whose deposit is used up: nothing is collected, and nothing is taken back."""
    lot = Lot(1, UsageSum(10**9, 10**9, 10**9, 10**9, 10, 10))
    work = Work(PLAIN, 60, {(CUSTOMERS[0], "alpha"): lot}, {}, {}, PROVIDERS)
    (charge,) = compute_charges(work)
    assert sum(charge.charged) > 0 == sum(charge.collected)
    assert compute_lines("c", 7, work) == compute_lines("c", 7, work._replace(deposits={CUSTOMERS[0]: 0}))
