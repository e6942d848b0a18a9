"""The lines of an era, counted again: whose account each is on, and what they sum to.

Part of :mod:`proofroom.domain.recount`, under the same rule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from proofroom.domain.verifier.entry import Entry, untag
from proofroom.domain.verifier.tree import inner_leaf, inner_node

MARKET = ("fee", "marketplace", "creator")
"""Lines of marketplaces' money, which never mixes with the protocol's."""
TOTALS = {
    "charged": "charged",
    "collected": "charge",
    "debt": "debt",
    "providers": "provider",
    "validators": "validator",
    "treasury": "treasury",
    "reserve": "reserve",
}
FEE_TOTALS = {
    "fees_charged": "fees",
    "fees_collected": "fee",
    "fees_debt": "fees_debt",
    "marketplaces": "marketplace",
    "creators": "creator",
}
"""Totals of an era, and the lines that they sum. Fees have theirs only where a record was sold under a listing."""
ROLES = ("charge", "provider", "validator", "treasury", "reserve", *MARKET)
"""Of lines: money under another would be in no total."""
PARTIES = ("customer", "validator", "node", "marketplace", "creator", "listing")
"""Whom a line may be about: no two of a role are about the same."""


class Work(NamedTuple):
    """What the era's votes give."""

    attested: Counter[tuple[str, ...]]
    """Records by ``("agent" | "customer" | "node", key)``, and by ``("fee", customer, listing)`` where they were sold."""
    judged: Counter[str]
    """By validator that may earn: records that it judged as the rounds did."""
    served: Mapping[str, set[str]]
    """By node: customers of which it has attested records."""
    all_named: bool
    """Whether it is known of all validators if they may earn."""


def check_lines(lines: Sequence[Entry], paid: Entry, ledger_key: str, work: Work) -> int:
    """The lines are those committed to, one for each party, debits equal credits, and totals are their sums.

    Whoever has attested records is charged, also where nothing is collected.
    """
    root = untag(paid.get("lines_root", str))
    paid.need(
        inner_root([untag(line.id) for line in lines]) == root and paid.get("lines", int) == len(lines), "other lines"
    )
    sums, accounts, seen = Counter[str](), Counter[str](), set[tuple[str, ...]]()
    uncharged = {of for of in work.attested if of[0] in ("customer", "fee")}
    for number, line in enumerate(lines):
        line.signed_by(ledger_key)
        line.need(line.get("line", int) == number, "a line is missing")
        role, amount = check_line(line, paid), amount_of(line, "amount")
        of = (role, *(str(line.get("basis", dict).get(party)) for party in PARTIES))
        line.need(of not in seen, "a second line for the same")
        seen.add(of)
        _check_records(line, role, work)
        pot = f"listing {of[-1]}" if role in MARKET else "protocol"
        accounts[pot] += amount if role in ("charge", "fee") else -amount
        sums[role] += amount
        if role == "charge":
            uncharged.discard(("customer", line.get("basis.customer", str)))
            sums["charged"] += _sum(line, "basis.charged")
            sums["debt"] += amount_of(line, "basis.debt")
        elif role == "fee":
            uncharged.discard(("fee", line.get("basis.customer", str), line.get("basis.listing", str)))
            sums["fees"] += amount_of(line, "basis.fee")
            sums["fees_debt"] += amount_of(line, "basis.debt")
    paid.need(not any(accounts.values()), "debits and credits differ")
    paid.need(not uncharged, "attested work is not charged")
    _check_shares(lines, paid, work)
    totals = TOTALS | (FEE_TOTALS if sums["fees"] or "fees_charged" in paid.get("totals", dict) else {})
    for total, role in totals.items():
        paid.need(amount_of(paid, f"totals.{total}") == sums[role], f"the lines give another total {total}")
    return len(lines)


def _check_shares(lines: Sequence[Entry], paid: Entry, work: Work) -> None:
    """Validators share their part by what they judged, to the unit; no node gets more than its customers paid."""
    got = {role: dict[str, int]() for role in ROLES}
    for line in lines:
        party = {"charge": "customer", "provider": "node"}.get(line.body["role"], "validator")
        got[line.body["role"]][str(line.get("basis", dict).get(party))] = amount_of(line, "amount")
    judged = sorted(v for v, records in work.judged.items() if records)
    parts = split(sum(got["validator"].values()), [work.judged[v] for v in judged])
    shared = {v: part for v, part in zip(judged, parts, strict=True) if part} == got["validator"]
    paid.need(shared or not work.all_named, "validators did not share by what they judged")
    for node, amount in got["provider"].items():
        most = sum(got["charge"][customer] for customer in work.served[node])
        paid.need(amount <= most, "a node gets more than its customers paid")


def split(total: int, weights: Sequence[int]) -> list[int]:
    """The total in proportion to the weights, to the unit: the largest remainders are rounded up, the first of equal ones before others."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for i in by_rest[: total - sum(parts)]:
        parts[i] += 1
    return parts


def check_line(line: Entry, paid: Entry) -> str:
    """The role of a line: it moves money between the accounts of that role and of whom it names, and adds up in itself."""
    role, cluster = line.get("role", str), paid.get("cluster", str)
    line.need(role in ROLES, "its role is in no total")
    pot = f"{'market' if role in MARKET else 'clearing'}:{cluster}:{paid.get('era', int)}"
    sides = [line.get("debit", str), line.get("credit", str)]
    if role in ("charge", "fee"):
        own = [f"customer:{cluster}:{line.get('basis.customer', str)}", pot]
        owed, collected = (
            (_sum(line, "basis.charged"), _sum(line, "basis.collected"))
            if role == "charge"
            else (amount_of(line, "basis.fee"), amount_of(line, "amount"))
        )
        exact = collected == amount_of(line, "amount") == owed - amount_of(line, "basis.debt")
        line.need(exact, "charges differ from what was collected and what is owed")
    elif role in ("treasury", "reserve"):
        own = [pot, role]
    elif role in ("validator", "creator"):
        own = [pot, f"{role}:{line.get(f'basis.{role}', str)}"]
    else:  # whose a node or a marketplace is was said before the era
        own = [pot, sides[1] if sides[1].startswith(f"{role}:") else ""]
    line.need(sides == own, "its accounts are not those of its role")
    return role


def _check_records(line: Entry, role: str, work: Work) -> None:
    """A line counts the records that it is for."""
    if role == "validator":
        counted = work.judged[line.get("basis.validator", str)]
    elif role == "fee":
        counted = work.attested["fee", line.get("basis.customer", str), line.get("basis.listing", str)]
    elif role in ("charge", "provider"):
        party = "customer" if role == "charge" else "node"
        counted = work.attested[party, line.get(f"basis.{party}", str)]
    else:
        return
    line.need(counted > 0 and line.get("basis.records", int) == counted, "the line counts other records")


def _sum(line: Entry, parts: str) -> int:
    return sum(amount_of(line, f"{parts}.{part}") for part in line.get(parts, dict))


def amount_of(entry: Entry, path: str) -> int:
    """An amount of base units, which JSON carries as text."""
    text = entry.get(path, str)
    entry.need(re.fullmatch("0|[1-9][0-9]{0,35}", text, re.ASCII) is not None, f"{path} is no amount")
    return int(text)


def inner_root(items: Sequence[bytes]) -> bytes:
    """The root of a tree inside a statement, over all items."""
    row = [item_leaf(item) for item in items] or [inner_leaf()]
    while len(row) > 1:  # a last one without partner moves up unchanged, which is RFC 9162's shape
        row = [inner_node(*row[i : i + 2]) if i + 1 < len(row) else row[i] for i in range(0, len(row), 2)]
    return row[0]


def item_leaf(item: bytes) -> bytes:
    """The leaf of an item in such a tree."""
    return inner_leaf(b"\x00", item)
