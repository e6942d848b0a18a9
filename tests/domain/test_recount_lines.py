"""The lines of an era, each rule by itself: whose account each is on, and what they sum to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from proofroom.domain import merkle, money
from proofroom.domain import recount_lines as lines
from proofroom.domain.verifier.entry import Entry, untag
from proofroom.domain.verifier.tree import inner_leaf
from strategies.bare import LEDGER, entry, why

ERA = {"cluster": "c", "era": 0}
POT, MARKET = "clearing:c:0", "market:c:0"
NOT_ITS = "its accounts are not those of its role"
UNEVEN = "charges differ from what was collected and what is owed"
OTHER_RECORDS = "the line counts other records"


@pytest.mark.parametrize("text", ["0", "1", "10", "9" * 36])
def test_amounts(text: str) -> None:
    """Of up to 36 digits."""
    assert lines.amount_of(entry(0, "x", {"a": text}), "a") == int(text)


@pytest.mark.parametrize("text", ["", "00", "01", "-1", "+1", "1.0", "9" * 37, " 1", "1\n", "\u0661"])
def test_what_is_no_amount(text: str) -> None:
    """One form each, and no more than 36 digits."""
    assert why(lines.amount_of, entry(0, "x", {"a": text}), "a") == "a is no amount"


def test_inner_roots() -> None:
    """Of as many items as one likes; over nothing it is that of an empty tree, and not of an empty item."""
    for count in (1, 2, 3, 300, 301, 515):
        items = [bytes([i % 256, i // 256]) for i in range(count)]
        assert lines.inner_root(items) == merkle.root_of(items)
    assert lines.inner_root([]) == inner_leaf() != lines.inner_root([b""])


# --- lines by hand


def line(role: str, amount: int, **basis: Any) -> Entry:
    """A line between the accounts of its role, about whom its basis names, with nothing owed."""
    given = {"customer": "u", "validator": "v", "creator": "x", "node": "n"}.get(role)
    if role in ("charge", "fee"):
        parts = {"cpu": str(amount), "gpu": "0"}
        numbers = {"charged": parts, "collected": parts} if role == "charge" else {"fee": str(amount), "listing": "L"}
        basis = {"customer": "u", "debt": "0", "records": 1} | numbers | basis
        sides = {"debit": f"customer:c:{basis['customer']}", "credit": POT if role == "charge" else MARKET}
    else:
        own: dict[str, dict[str, Any]] = {
            "provider": {"node": "n", "records": 1},
            "validator": {"validator": "v", "records": 1},
            "marketplace": {"marketplace": "m", "listing": "L"},
            "creator": {"creator": "x", "listing": "L"},
        }
        basis = own.get(role, {}) | basis
        owner = {"treasury": role, "reserve": role, "provider": "provider:p", "marketplace": "marketplace:o"}
        credit = owner.get(role, f"{role}:{basis.get(role, given)}")
        sides = {"debit": MARKET if role in lines.MARKET else POT, "credit": credit}
    return entry(0, "payout", {"role": role, "amount": str(amount), "basis": basis} | sides, LEDGER)


def change(given: Entry, **fields: Any) -> Entry:
    """The line with other fields."""
    return entry(0, "payout", given.body | fields, *given.signers)


def work_of(given: list[Entry]) -> lines.Work:
    """The work that these lines count."""
    attested, judged = Counter[tuple[str, ...]](), Counter[str]()
    for body in (e.body["basis"] | {"role": e.body["role"]} for e in given):
        if body["role"] == "charge":
            attested["customer", body["customer"]] = body["records"]
        elif body["role"] == "fee":
            attested["fee", body["customer"], body["listing"]] = body["records"]
        elif body["role"] == "provider":
            attested["node", body["node"]] = body["records"]
        elif body["role"] == "validator":
            judged[body["validator"]] = body["records"]
    customers = {of[1] for of in attested if of[0] == "customer"}
    return lines.Work(attested, judged, {of[1]: customers for of in attested if of[0] == "node"}, True)


def hold(
    given: list[Entry],
    totals: Mapping[str, int] | None = None,
    *,
    work: lines.Work | None = None,
    count: int | None = None,
    numbers: list[int] | None = None,
) -> str:
    """What is said of an era with these lines and totals: those that the lines give, or others."""
    placed = [
        entry(10 + i, e.kind, e.body | {"line": i if numbers is None else numbers[i]}, *e.signers)
        for i, e in enumerate(given)
    ]
    sold = any(e.body["role"] == "fee" for e in given)
    stated = dict.fromkeys((*lines.TOTALS, *(lines.FEE_TOTALS if sold else ())), "0")
    for name, role in (lines.TOTALS | lines.FEE_TOTALS).items():
        total = sum(int(e.body["amount"]) for e in given if e.body["role"] == role)
        stated |= {name: str(total)} if total else {}
    for role, charged, debt in (("charge", "charged", "debt"), ("fee", "fees_charged", "fees_debt")):
        owed = [int(e.body["basis"]["debt"]) for e in given if e.body["role"] == role and "debt" in e.body["basis"]]
        if owed:
            paid_in = sum(int(e.body["amount"]) for e in given if e.body["role"] == role)
            stated |= {charged: str(paid_in + sum(owed)), debt: str(sum(owed))}
    stated |= {name: str(total) for name, total in (totals or {}).items()}
    root = f"blake3:{lines.inner_root([untag(e.id) for e in placed]).hex()}"
    body = ERA | {"lines_root": root, "lines": len(placed) if count is None else count, "totals": stated}
    return why(lines.check_lines, placed, entry(99, "era-paid", body, LEDGER), LEDGER, work or work_of(given))


PAID = [
    line("charge", 10),
    line("treasury", 2),
    line("reserve", 1),
    line("validator", 1),
    line("provider", 6),
]
SOLD = [*PAID, line("fee", 8), line("marketplace", 5), line("creator", 3)]


def test_lines_in_balance() -> None:
    """What went in comes out, to the unit, under the numbers and totals that are stated."""
    assert hold([]) == hold(PAID) == hold(SOLD) == ""
    for amount in ("5", "7"):
        assert hold([*PAID[:4], change(PAID[4], amount=amount)]) == "debits and credits differ"
    for name, total in {"charged": 10, "collected": 10, "providers": 6, "treasury": 2, "reserve": 1}.items():
        for other in (total - 1, total + 1):
            assert hold(PAID, {name: other}) == f"the lines give another total {name}"
    for name, total in {"fees_charged": 8, "fees_collected": 8, "marketplaces": 5, "creators": 3}.items():
        assert hold(SOLD, {name: total + 1}) == f"the lines give another total {name}"
    for count in (4, 6):
        assert hold(PAID, count=count) == "other lines"
    for number in (1, 3):
        assert hold(PAID, numbers=[0, 1, number, 3, 4]) == "a line is missing"
    stranger = entry(0, "payout", PAID[0].body, "x")
    assert "is not signed" in hold([stranger, *PAID[1:]])


def test_money_of_a_listing_stays_with_it() -> None:
    """What one listing brought in is not what another pays out."""
    other = [line("fee", 8, listing="M"), line("marketplace", 5, listing="M"), line("creator", 3, listing="M")]
    assert hold([*SOLD, *other]) == ""
    shifted = [*SOLD[:7], change(SOLD[7], amount="2"), *other[:2], change(other[2], amount="4")]
    assert hold(shifted) == "debits and credits differ"


def test_what_a_line_charges() -> None:
    """Is what it collected, part by part, and what is owed: in each line, not in the sum of all."""
    ten, some = {"cpu": "10", "gpu": "0"}, {"cpu": "4", "gpu": "0"}
    owing = line("charge", 4, charged=ten, debt="6")
    assert hold([owing, line("treasury", 4)]) == ""
    for basis in ({"charged": ten, "debt": "5"}, {"charged": ten, "debt": "7"}, {"charged": some, "debt": "6"}):
        assert hold([line("charge", 4, **basis), line("treasury", 4)]) == UNEVEN
    for parts in ({"cpu": "3", "gpu": "0"}, {"cpu": "4", "gpu": "1"}):
        assert hold([line("charge", 4, charged=ten, debt="6", collected=parts), line("treasury", 4)]) == UNEVEN
    two = [change(line("charge", 10), amount="15"), change(line("charge", 10, customer="w"), amount="5")]
    assert hold([*two, line("treasury", 20)]) == UNEVEN
    for fee, debt, said in (("8", "3", ""), ("8", "2", UNEVEN), ("9", "3", UNEVEN)):
        assert hold([line("fee", 5, fee=fee, debt=debt), line("creator", 5)]) == said


@pytest.mark.parametrize("given", SOLD, ids=lambda e: str(e.body["role"]))
def test_accounts(given: Entry) -> None:
    """Each line is on the account of whom it names, and on the era's pot for its kind of money."""
    sold = [change(e, credit="elsewhere") if e is given else e for e in SOLD]
    assert hold(sold) == NOT_ITS
    sold = [change(e, debit="elsewhere") if e is given else e for e in SOLD]
    assert hold(sold) == NOT_ITS
    for name in ("customer:c:w", "customer:d:u", "validator:w", "creator:w", "treasury", POT, MARKET):
        for side in ("debit", "credit"):
            if given.body[side] != name:
                assert hold([change(e, **{side: name}) if e is given else e for e in SOLD]) == NOT_ITS


@pytest.mark.parametrize("role", ["bonus", "charged", "debt", "fees", "fees_debt", "treasuries", ""])
def test_roles_of_a_line(role: str) -> None:
    """Money that goes out under a role of which there is no total is found, however well all else adds up."""
    assert hold([line("charge", 10), line("provider", 7), line(role, 3)]) == "its role is in no total"


@pytest.mark.parametrize("given", SOLD, ids=lambda e: str(e.body["role"]))
def test_one_line_for_each(given: Entry) -> None:
    """Nobody is charged or paid twice, under whatever amount."""
    assert hold([*SOLD, change(given, amount=given.body["amount"])]) == "a second line for the same"


def test_totals_of_fees() -> None:
    """Are asked for where a line has a fee, and where the era states them."""
    unpaid = line("fee", 0, fee="4", debt="4")
    assert hold([unpaid]) == ""
    assert hold([unpaid], {"fees_debt": 3}) == "the lines give another total fees_debt"
    assert hold([], {"fees_charged": 1}) == "the lines give another total fees_charged"


def test_who_is_charged() -> None:
    """Whoever has attested work, and whoever bought some."""
    for missing in (("customer", "w"), ("fee", "u", "M"), ("fee", "w", "L")):
        work = work_of(SOLD)
        work.attested[missing] = 1
        assert hold(SOLD, work=work) == "attested work is not charged"
    work = work_of(SOLD)
    work.attested.update({("agent", "a"): 1, ("node", "idle"): 1})
    assert hold(SOLD, work=work) == ""


def test_what_validators_share() -> None:
    """Goes by what they judged, to the unit, and nobody is left out; unless it is not known who may earn at all."""
    judges = Counter({"v": 1, "w": 3, "x": 3})
    work = work_of(PAID)._replace(judged=judges)

    def said(*amounts: int, known: bool = True) -> str:
        given = zip(judges.items(), amounts, strict=True)
        parts = [line("validator", a, validator=v, records=n) for (v, n), a in given if a]
        paid_in = line("charge", sum(amounts))
        return hold([paid_in, *parts], work=work._replace(all_named=known))

    shares = "validators did not share by what they judged"
    assert (
        said(1, 3, 3) == said(1, 2, 2) == said(0, 1, 1) == said(0, 1, 0) == said(100, 300, 300) == said(0, 0, 0) == ""
    )
    for amounts in ((2, 3, 2), (1, 2, 4), (7, 0, 0), (0, 4, 3), (1, 3, 4), (0, 0, 1), (101, 299, 300)):
        assert said(*amounts) == shares
        assert said(*amounts, known=False) == ""


@drawn(st.integers(0, 10**6), st.lists(st.integers(1, 10**6), min_size=1, max_size=9))
def test_splits(total: int, weights: list[int]) -> None:
    """As the ledger splits."""
    assert lines.split(total, weights) == money.split(total, weights)


def test_what_nodes_get() -> None:
    """At most what was collected from those whom they served: no node draws on the money of another's customers."""
    given = [line("charge", 9), line("charge", 1, customer="w"), line("provider", 9), line("provider", 1, node="m")]
    work = work_of(given)._replace(served={"n": {"u"}, "m": {"w"}})
    assert hold(given, work=work) == hold(given, work=work._replace(served={"n": {"u", "w"}, "m": {"w"}})) == ""
    shifted = [*given[:2], change(given[2], amount="8"), change(given[3], amount="2")]
    assert hold(shifted, work=work) == "a node gets more than its customers paid"
    assert hold(shifted, work=work._replace(served={"n": {"u"}, "m": {"w", "u"}})) == ""


def test_records_of_a_line() -> None:
    """What is charged, and what nodes and validators get, is for as many records as there are, and for one at least."""
    many = [line("charge", 0, records=int("300"))]
    assert hold(many) == ""
    for given in (e for e in SOLD if "records" in e.body["basis"]):
        more = given.body["basis"]
        for records in (0, 2):
            other = change(given, basis=more | {"records": records})
            changed = [other if e is given else e for e in SOLD]
            assert hold(changed, work=work_of(SOLD)) == OTHER_RECORDS
        none = [change(given, basis=more | {"records": 0}) if e is given else e for e in SOLD]
        assert hold(none) == OTHER_RECORDS
