"""Settlement: who pays whom for an era, exactly (protocol 6). A pure function of what was attested, of parameters and deposits.

An era's money takes one way. Each customer's charge moves from its deposit to the era's clearing account; from there the treasury, the
reserve and the validators get their shares of what was collected, and what remains of each customer's money goes to the nodes that served
that customer, by the value of what they did. The fees of listings take a way of their own, to creators and marketplaces. Debits equal
credits to the unit. What a deposit does not cover is debt (:mod:`proofroom.domain.debts`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from immutables import Map

from proofroom.domain.accounts import clearing_account, customer_account, market_account
from proofroom.domain.charging import Parts, Rates, charge, listing_fee
from proofroom.domain.claims import Line, Terms
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.money import split
from proofroom.domain.payouts import Collected, Shares, compute_payouts
from proofroom.domain.state import Lot, Parameters, sum_usage


class Work(NamedTuple):
    """All that the settlement of an era depends on."""

    parameters: Parameters | Rates
    seconds: int
    served: Mapping[tuple[KeyId, str], Lot]
    """Attested records by (customer, node)."""
    inspected: Mapping[KeyId, int]
    """Records that a validator judged as the round did."""
    deposits: Mapping[KeyId, int]
    """Balance by customer."""
    providers: Mapping[str, KeyId]
    """Provider by node."""
    sold: Mapping[tuple[KeyId, Digest], Lot] = Map()
    """Attested records by (customer, listing)."""
    terms: Mapping[Digest, Terms] = Map()
    """Of each listing in ``sold``."""


class Fee(NamedTuple):
    """What one customer owes and pays for one listing."""

    listing: Digest
    records: int
    charged: int
    collected: int


class Charge(NamedTuple):
    """What one customer owes and pays."""

    customer: KeyId
    records: int
    charged: Parts
    collected: Parts
    fees: tuple[Fee, ...]
    """In the order of digests."""
    values: dict[str, int]
    """By node: what its work for the customer costs."""


def compute_lines(cluster: str, number: int, work: Work) -> tuple[Line, ...]:
    """The payout lines of an era, in order.

    Charges by customer, fees by customer and listing, treasury, reserve, validators, providers by node, then for each listing its
    marketplace and its creators. Lines of zero are left out, except charges and fees.
    """
    charges = compute_charges(work)
    lines = [_charge_line(cluster, number, c) for c in charges]
    lines += [_fee_line(cluster, number, c.customer, fee) for c in charges for fee in c.fees]
    lines += compute_payouts(cluster, number, _collected(work, charges))
    return tuple(line for line in lines if line.amount or line.role in ("charge", "fee"))


def compute_charges(work: Work) -> list[Charge]:
    """All charges in key order, in one pass over the work."""
    served: defaultdict[KeyId, dict[str, Lot]] = defaultdict(dict)
    for (customer, node), lot in work.served.items():
        served[customer][node] = lot
    listings: dict[KeyId, list[Digest]] = {}
    for customer, listing in work.sold:
        listings.setdefault(customer, []).append(listing)
    return [compute_charge(customer, served[customer], listings.get(customer, []), work) for customer in sorted(served)]


def compute_charge(customer: KeyId, served: Mapping[str, Lot], listings: list[Digest], work: Work) -> Charge:
    """What the work of these nodes for a customer costs, and how much of it the deposit covers: all, or all that is there.

    Usage is summed before anything is rounded. A short deposit is split once, in proportion over the parts of the charge and the fees.
    """
    charged = charge(sum_usage(lot.usage for lot in served.values()), work.parameters, work.seconds)
    fees = [_owed(customer, listing, work) for listing in sorted(listings)]
    owed = [*charged, *(fee.charged for fee in fees)]
    paid = min(sum(owed), work.deposits.get(customer, 0))
    parts = split(paid, owed) if paid else [0] * len(owed)
    return Charge(
        customer,
        sum(lot.records for lot in served.values()),
        charged,
        Parts(*parts[: len(charged)]),
        tuple(fee._replace(collected=part) for fee, part in zip(fees, parts[len(charged) :], strict=True)),
        {node: sum(charge(lot.usage, work.parameters, work.seconds)) for node, lot in served.items()},
    )


def _owed(customer: KeyId, listing: Digest, work: Work) -> Fee:
    """The fee of a listing, before anything is collected."""
    records, usage = work.sold[customer, listing]
    value = sum(charge(usage, work.parameters, work.seconds))
    terms = work.terms[listing]
    return Fee(listing, records, listing_fee(records, value, terms.price, terms.ratio), 0)


def _charge_line(cluster: str, number: int, c: Charge) -> Line:
    account, pot = customer_account(cluster, c.customer), clearing_account(cluster, number)
    return Line("charge", account, pot, sum(c.collected), c.customer, c.records, c.charged, c.collected)


def _fee_line(cluster: str, number: int, customer: KeyId, fee: Fee) -> Line:
    account, pot = customer_account(cluster, customer), market_account(cluster, number)
    charged, collected = (fee.charged,), (fee.collected,)
    return Line("fee", account, pot, fee.collected, customer, fee.records, charged, collected, fee.listing)


def _collected(work: Work, charges: list[Charge]) -> Collected:
    """What the charges bring in, and who is entitled to it."""
    fees: dict[Digest, int] = {}
    for fee in (fee for c in charges for fee in c.fees):
        fees[fee.listing] = fees.get(fee.listing, 0) + fee.collected
    records: dict[str, int] = {}
    for (_, node), lot in work.served.items():
        records[node] = records.get(node, 0) + lot.records
    return Collected(
        paid={c.customer: sum(c.collected) for c in charges},
        fees=fees,
        shares=shares_of(work.parameters),
        judges=work.inspected,
        values={c.customer: c.values for c in charges},
        providers=work.providers,
        records=records,
        terms=work.terms,
    )


def shares_of(parameters: Parameters | Rates) -> Shares:
    """The shares among the parameters."""
    return Shares(parameters.treasury_share, parameters.reserve_share, parameters.validators_share)
