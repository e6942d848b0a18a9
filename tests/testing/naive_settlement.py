"""Settlement a second time, slowly: the formulas of protocol 6 with fractions, one after the other, sharing no code with the domain.

Money is an ``int``, everything between is an exact ``Fraction``; rounding happens only where the protocol says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

PARTS = ("cpu", "gpu", "streamed", "stored", "puts", "gets")
USAGE = ("cpu_ms", "gpu_micro", "byte_seconds", "bytes_streamed", "puts", "gets")
MONTH = 2_630_016
ONE = 10**18

Usage = Mapping[str, int]
Line = tuple[str, str, str, str, int]
"""Role, party, debit, credit, amount."""


def naive_charge(usage: Usage, prices: Mapping[str, int], seconds: int) -> dict[str, int]:
    """What usage costs, by part."""
    return {
        "cpu": floor(Fraction(usage["cpu_ms"] * prices["cpu_second"], 1000)),
        "gpu": floor(Fraction(usage["gpu_micro"], 10**6) * prices["gpu_unit"]),
        "streamed": floor(Fraction(usage["bytes_streamed"], 2**20) * prices["mib_streamed"]),
        "stored": _stored(usage["byte_seconds"], prices["mib_stored_month"], seconds),
        "puts": usage["puts"] * prices["put"],
        "gets": usage["gets"] * prices["get"],
    }


def _stored(byte_seconds: int, price: int, seconds: int) -> int:
    stored_bytes = floor(Fraction(byte_seconds, seconds))
    total, left = 0, seconds
    while left > 0:
        month_slice = min(left, MONTH)
        f = floor(Fraction(month_slice * ONE, MONTH))
        exact = Fraction(f * floor(Fraction(stored_bytes * price, 2**20)), ONE)
        total += ceil(exact - Fraction(1, 2))  # nearest, a half goes down
        left -= month_slice
    return total


def naive_charge_at_most(usage: Usage, prices: Mapping[str, int]) -> int:
    """The most that usage can add to a charge: storage within one unit of its exact price, each other part rounded up."""
    exact = [
        Fraction(usage["cpu_ms"] * prices["cpu_second"], 1000),
        Fraction(usage["gpu_micro"] * prices["gpu_unit"], 10**6),
        Fraction(usage["bytes_streamed"] * prices["mib_streamed"], 2**20),
        Fraction(usage["puts"] * prices["put"] + usage["gets"] * prices["get"]),
    ]
    stored = Fraction(usage["byte_seconds"] * prices["mib_stored_month"], 2**20 * MONTH)
    return sum(map(ceil, exact)) + (floor(stored) + 1 if usage["byte_seconds"] else 0)


def naive_split(amount: int, weights: Sequence[int]) -> list[int]:
    """Largest remainder: one unit at a time to whoever lacks most, the earlier first."""
    exact = [Fraction(amount * weight, sum(weights)) for weight in weights]
    parts = [floor(part) for part in exact]
    order = list(range(len(parts)))
    while sum(parts) < amount:
        neediest = max(order, key=lambda i: (exact[i] - parts[i], -i))
        parts[neediest] += 1
        order.remove(neediest)
    return parts


def add(*usages: Usage) -> dict[str, int]:
    """Usage, summed."""
    return {name: sum(usage[name] for usage in usages) for name in USAGE}


class Offer(NamedTuple):
    """The terms of a listing."""

    price: int
    ratio: int
    creators: Mapping[str, int]
    marketplace: str
    owner: str
    share: int


def naive_fees(
    customer: str,
    sold: Mapping[tuple[str, str], tuple[int, Usage]],
    offers: Mapping[str, Offer],
    prices: Mapping[str, int],
    seconds: int,
) -> dict[str, int]:
    """What a customer owes for each listing: a price for each record, a ratio of what its records cost together."""
    fees = {}
    for listing in sorted(name for c, name in sold if c == customer):
        count, used = sold[customer, listing]
        value = sum(naive_charge(used, prices, seconds).values())
        fees[listing] = offers[listing].price * count + floor(Fraction(offers[listing].ratio, ONE) * value)
    return fees


class Settlement:
    """An era's settlement; every attribute is filled in the order in which the protocol speaks of it."""

    def __init__(
        self,
        *,
        prices: Mapping[str, int],
        shares: tuple[int, int, int],
        seconds: int,
        usage: Mapping[tuple[str, str], Usage],
        inspected: Mapping[str, int],
        deposits: Mapping[str, int],
        providers: Mapping[str, str],
        cluster: str,
        era: int,
        sold: Mapping[tuple[str, str], tuple[int, Usage]] | None = None,
        offers: Mapping[str, Offer] | None = None,
    ) -> None:
        sold, offers = sold or {}, offers or {}
        customers = sorted({customer for customer, _ in usage})
        nodes = {c: sorted(node for customer, node in usage if customer == c) for c in customers}
        self.charged = {
            c: naive_charge(add(*(usage[c, node] for node in nodes[c])), prices, seconds) for c in customers
        }
        self.fees = {c: naive_fees(c, sold, offers, prices, seconds) for c in customers}
        self.collected: dict[str, dict[str, int]] = {}
        self.fees_collected: dict[str, dict[str, int]] = {}
        for c in customers:
            owed = [*self.charged[c].values(), *self.fees[c].values()]
            paid = min(sum(owed), deposits[c])
            parts = naive_split(paid, owed) if paid else [0] * len(owed)
            self.collected[c] = dict(zip(PARTS, parts, strict=False))
            self.fees_collected[c] = dict(zip(self.fees[c], parts[len(PARTS) :], strict=True))
        paid_by = {c: sum(self.collected[c].values()) for c in customers}
        total = sum(paid_by.values())
        treasury, reserve, jury = (floor(Fraction(share, ONE) * total) for share in shares)
        fees = naive_split(treasury + reserve + jury, [paid_by[c] for c in customers]) if total else []
        left = {c: paid_by[c] - fee for c, fee in zip(customers, fees, strict=False)}

        judges = sorted(v for v in inspected if inspected[v] > 0)
        if judges:
            self.judges = dict(zip(judges, naive_split(jury, [inspected[v] for v in judges]), strict=True))
        else:
            self.judges = {}
            reserve += jury
        self.nodes: dict[str, int] = {}
        for c, amount in left.items():
            values = [sum(naive_charge(usage[c, node], prices, seconds).values()) for node in nodes[c]]
            if sum(values) == 0:
                reserve += amount
                continue
            for node, part in zip(nodes[c], naive_split(amount, values), strict=True):
                self.nodes[node] = self.nodes.get(node, 0) + part
        self.treasury, self.reserve = treasury, reserve

        self.markets: dict[str, int] = {}
        self.creators: dict[str, dict[str, int]] = {}
        for listing in sorted({name for c in customers for name in self.fees[c]}):
            amount = sum(self.fees_collected[c].get(listing, 0) for c in customers)
            self.markets[listing] = floor(Fraction(offers[listing].share, ONE) * amount)
            made_by = dict(sorted(offers[listing].creators.items()))
            rest = naive_split(amount - self.markets[listing], list(made_by.values()))
            self.creators[listing] = dict(zip(made_by, rest, strict=True))

        pot, market = f"clearing:{cluster}:{era}", f"market:{cluster}:{era}"
        lines: list[Line] = [("charge", c, f"customer:{cluster}:{c}", pot, paid_by[c]) for c in customers]
        for c in customers:
            lines += [("fee", c, f"customer:{cluster}:{c}", market, a) for a in self.fees_collected[c].values()]
        lines.append(("treasury", "", pot, "treasury", treasury))
        lines.append(("reserve", "", pot, "reserve", reserve))
        lines += [("validator", v, pot, f"validator:{v}", self.judges[v]) for v in sorted(self.judges)]
        lines += [("provider", n, pot, f"provider:{providers[n]}", self.nodes[n]) for n in sorted(self.nodes)]
        for listing, amount in self.markets.items():
            offer = offers[listing]
            lines.append(("marketplace", offer.marketplace, market, f"marketplace:{offer.owner}", amount))
            lines += [("creator", c, market, f"creator:{c}", a) for c, a in self.creators[listing].items()]
        self.lines = [line for line in lines if line[0] in ("charge", "fee") or line[4]]
