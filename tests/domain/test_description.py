"""An era described without a ledger comes to what a ledger would state, and to the published vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain.canonical import number_text
from proofroom.domain.description import parse_description, settle, settled_facts
from proofroom.domain.errors import BadField, DuplicateKey, Malformed
from proofroom.testing.naive_settlement import PARTS, Offer, Settlement, add
from vectors import settlement as vectors

USAGE = ("cpu_ms", "byte_seconds", "bytes_streamed", "puts", "gets")
_COUNTS = st.sampled_from([0, 1, 999]) | st.integers(0, 2**40)


def example() -> dict[str, Any]:
    """The description that is shipped."""
    value: dict[str, Any] = json.loads(vectors.EXAMPLE.read_text())
    return value


def test_the_vectors_are_what_the_domain_computes() -> None:
    """Who implements the rules anew can be held against them; print them again only when a new case is added."""
    assert vectors.FILE.read_text(encoding="utf-8") == vectors.vectors()


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Usage of the example's customers, rows in any order, some sold."""
    row = st.fixed_dictionaries(
        {"customer": st.sampled_from(["acme", "bolt"]), "node": st.sampled_from(["node-0", "node-1"])},
        optional=dict.fromkeys(USAGE, _COUNTS) | {"records": st.integers(0, 50), "listing": st.just("calendar-pro")},
    )
    found: list[dict[str, Any]] = draw(st.lists(row, max_size=6))
    return found


@given(rows(), st.integers(0, 10**12), st.integers(0, 3_000_000), st.integers(0, 10**9))
def test_a_description_comes_to_the_naive_settlement(
    usage: list[dict[str, Any]], balance: int, seconds: int, micro: int
) -> None:
    """The second implementation, from the same file."""
    d = example()
    end = 1 + seconds
    d["end"] = f"2026-{3 + end // 2_678_400:02d}-{1 + end % 2_678_400 // 86_400:02d}T00:00:00Z"
    if d["end"] <= d["start"]:
        d["end"] = "2026-03-01T00:00:01Z"
    for row in usage:
        row["gpu_units"] = "@"
    d["usage"], d["customers"] = usage, [{"customer": c, "balance": str(balance)} for c in ("acme", "bolt")]
    text = json.dumps(d).replace('"@"', number_text(micro))  # Python would write 1e-06
    result = settled_facts(settle(parse_description(text.encode())))
    full = [dict.fromkeys(USAGE, 0) | {"gpu_micro": micro} | row for row in usage]
    places = {(row["customer"], row["node"]) for row in full}
    sales = {(row["customer"], row["listing"]) for row in full if "listing" in row}
    offer = d["listings"][0]
    naive = Settlement(
        prices={name: int(price) for name, price in d["prices"].items()},
        shares=tuple(int(d["shares"][n]) for n in ("treasury", "reserve", "validators")),  # type: ignore[arg-type]  # the vector is plain JSON
        seconds=result["seconds"],
        usage={p: add(*(r for r in full if (r["customer"], r["node"]) == p)) for p in places},
        inspected={v["validator"]: v["inspected"] for v in d["validators"]},
        deposits={"acme": balance, "bolt": balance},
        providers={"node-0": "north", "node-1": "south"},
        cluster=d["cluster"],
        era=d["era"],
        sold={
            s: (
                sum(r.get("records", 1) for r in full if (r["customer"], r.get("listing")) == s),
                add(*(r for r in full if (r["customer"], r.get("listing")) == s)),
            )
            for s in sales
        },
        offers={
            "calendar-pro": Offer(
                int(offer["price_per_record"]),
                int(offer["ratio"]),
                {c["creator"]: c["weight"] for c in offer["creators"]},
                offer["marketplace"],
                offer["marketplace"],
                int(offer["marketplace_share"]),
            )
        },
    )
    lines = [(r["role"], r["party"], r["debit"], r["credit"], int(r["amount"])) for r in result["lines"]]
    assert lines == naive.lines
    for charge in result["charges"]:
        assert {p: int(charge["charged"][p]) for p in PARTS} == naive.charged[charge["customer"]]
        assert {p: int(charge["collected"][p]) for p in PARTS} == naive.collected[charge["customer"]]
    check_money(result, {"acme": balance, "bolt": balance})


def check_money(result: dict[str, Any], deposits: dict[str, int]) -> None:
    """The journal sums to zero line by line, balances are what it leaves, and what is owed is what was not collected."""
    moved: dict[str, int] = {f"customer:{result['cluster']}:{c}": amount for c, amount in deposits.items()}
    for number in range(len(result["lines"])):
        own = [row for row in result["journal"] if row["line"] == number]
        assert sum(int(row["amount"]) for row in own) == 0
        for row in own:
            moved[row["account"]] = moved.get(row["account"], 0) + int(row["amount"])
    assert {a: str(b) for a, b in moved.items() if b} == result["balances"]
    assert sum(int(b) for b in result["balances"].values()) == sum(deposits.values())
    assert not any(account.startswith(("clearing:", "market:")) for account in result["balances"])
    totals = {name: int(amount) for name, amount in result["totals"].items()}
    owed = sum(int(debt["total"]) for debt in result["debts"])
    assert owed == totals["debt"] + totals.get("fees_debt", 0)


@pytest.mark.parametrize("case", vectors.eras(), ids=lambda case: case["name"])
def test_each_vector_conserves_money(case: dict[str, Any]) -> None:
    """Also the published ones."""
    deposits = {c["customer"]: int(c["balance"]) for c in case["description"]["customers"]}
    check_money(vectors.result_of(case["description"]), deposits)


def broken(**changes: Any) -> bytes:
    """The example with something wrong."""
    return json.dumps(example() | changes).encode()


@pytest.mark.parametrize(
    ("data", "error", "field"),
    [
        (b'{"start": 1, "start": 1}', DuplicateKey, None),
        (broken(colour="red"), BadField, "colour"),
        (broken(end="2026-03-01T00:00:00Z"), BadField, "end"),
        (broken(end="2026-03-01T00:00:01.500Z"), BadField, "end"),
        (broken(shares={"treasury": str(10**18), "reserve": "1", "validators": "0"}), BadField, "shares"),
        (broken(customers=[{"customer": "acme", "balance": "1"}] * 2), BadField, "customers"),
        (broken(nodes=[{"node": "n", "provider": "p"}]), BadField, "usage.0.node"),
        (broken(listings=[]), BadField, "usage.2.listing"),
        (broken(customers=[]), BadField, "usage.0.customer"),
        (broken(customers=[{"customer": "acme", "balance": 5}]), BadField, "customers.0.balance"),
        (broken(customers=[{"customer": "acme", "balance": "-5"}]), BadField, "customers.0.balance"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(data: bytes, error: type[Malformed], field: str | None) -> None:
    """With the place of what is wrong."""
    with pytest.raises(error) as refused:
        settle(parse_description(data))
    if field is not None:
        assert getattr(refused.value, "field") == field  # noqa: B009


def test_a_creator_named_twice_is_refused() -> None:
    """In a listing of the description, as on the ledger."""
    listing = example()["listings"][0] | {"creators": [{"creator": "ada", "weight": 1}] * 2}
    with pytest.raises(BadField) as refused:
        settle(parse_description(broken(listings=[listing])))
    assert refused.value.field == "listings.calendar-pro.creators"
