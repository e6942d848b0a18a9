"""An era described without a ledger: what ``proofroom settle`` reads, and what the settlement makes of it.

Names stand where a ledger has keys. The arithmetic is the ledger's own (:mod:`proofroom.domain.settlement`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError

from proofroom.domain.accounts import customer_account
from proofroom.domain.canonical import parse_strict
from proofroom.domain.charging import Parts, Rates
from proofroom.domain.claims import Line, Terms
from proofroom.domain.errors import BadField
from proofroom.domain.ids import Digest, KeyId, to_ms
from proofroom.domain.lines import totals_of
from proofroom.domain.money import RATIO_ONE, parse_amount, parse_ratio
from proofroom.domain.settlement import Charge, Work, compute_charges, compute_lines
from proofroom.domain.state import Lot, UsageSum
from proofroom.domain.statements import first_fault
from proofroom.domain.statements.fields import (
    Amount,
    Compute,
    Count,
    Model,
    Name,
    Price,
    Ratio,
    Sparse,
    Time,
    Units,
)
from proofroom.domain.statements.governance import Shares

KIND = "settle"
MAX_BYTES = 256 * 2**20

Label = Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]
"""Whatever names a party: printable ASCII without blanks."""


class Prices(Model):
    """What usage costs, in base units."""

    cpu_second: Price
    gpu_unit: Price
    mib_streamed: Price
    mib_stored_month: Price
    put: Price
    get: Price


class Customer(Sparse):
    """Who pays, and from how much."""

    customer: Label
    balance: Amount
    """Deposit when the era is settled, base units."""


class Node(Model):
    """A node and who is paid for its work."""

    node: Label
    provider: Label


class Used(Sparse):
    """Attested usage of a customer on a node, summed over any number of records; what is left out is 0."""

    customer: Label
    node: Label
    records: Count = 1
    cpu_ms: Count = 0
    gpu_units: Units = 0
    byte_seconds: Count = 0
    bytes_streamed: Count = 0
    puts: Count = 0
    gets: Count = 0
    listing: Label | None = None
    """Sold under this listing."""


class Validator(Model):
    """Who judged, and how many records as the rounds did."""

    validator: Label
    inspected: Count


class Creator(Model):
    """Who made what is sold, and the weight of their part."""

    creator: Label
    weight: Annotated[int, Field(strict=True, ge=1, le=10**6)]


class Listing(Model):
    """What is sold, as a listing on a ledger says it."""

    listing: Label
    price_per_record: Price
    ratio: Ratio
    creators: Annotated[tuple[Creator, ...], Field(strict=False, min_length=1, max_length=16)]
    marketplace: Label
    marketplace_share: Ratio


class Description(Sparse):
    """One era: its period, its parameters, what was attested, and what there is to pay from."""

    cluster: Name = "cluster"
    era: Count = 0
    start: Time
    end: Time
    prices: Prices
    shares: Shares
    customers: Annotated[tuple[Customer, ...], Field(strict=False)]
    nodes: Annotated[tuple[Node, ...], Field(strict=False)]
    usage: Annotated[tuple[Used, ...], Field(strict=False)]
    validators: Annotated[tuple[Validator, ...], Field(strict=False)] = ()
    listings: Annotated[tuple[Listing, ...], Field(strict=False)] = ()


class Settled(NamedTuple):
    """What an era comes to."""

    description: Description
    work: Work
    charges: list[Charge]
    lines: tuple[Line, ...]


def parse_description(data: bytes) -> Description:
    """The description that a JSON object writes.

    Raises:
        Malformed: it is not strict JSON, or not of this schema.
    """
    try:
        return Description.model_validate(parse_strict(data, fractions=True, limit=MAX_BYTES))
    except ValidationError as e:
        raise first_fault(KIND, e) from None


def settle(description: Description) -> Settled:
    """The settlement of a described era, by the ledger's own function.

    Raises:
        BadField: it names what it does not describe, or names it twice; its shares or times do not fit.
    """
    work = compute_work(description)
    lines = compute_lines(description.cluster, description.era, work)
    return Settled(description, work, compute_charges(work), lines)


def compute_work(d: Description) -> Work:
    """All that the settlement depends on: usage summed by (customer, node), and by (customer, listing) where it is sold.

    Raises:
        BadField: see :func:`settle`.
    """
    _check_once("customers", (c.customer for c in d.customers))
    _check_once("nodes", (n.node for n in d.nodes))
    _check_once("validators", (v.validator for v in d.validators))
    _check_once("listings", (listing.listing for listing in d.listings))
    rates = Rates(
        **{name: parse_amount(text) for name, text in d.prices.to_json().items()},
        **{f"{name}_share": parse_ratio(text) for name, text in d.shares.to_json().items()},
    )
    if rates.treasury_share + rates.reserve_share + rates.validators_share > RATIO_ONE:
        raise BadField(kind=KIND, field="shares", why="they sum to more than the whole")
    sums = _Sums(d)
    return Work(
        parameters=rates,
        seconds=_seconds(d),
        served=sums.served,
        inspected={KeyId(v.validator): v.inspected for v in d.validators},
        deposits={KeyId(c.customer): parse_amount(c.balance) for c in d.customers},
        providers={n.node: KeyId(n.provider) for n in d.nodes},
        sold=sums.sold,
        terms={Digest(listing.listing): _terms(listing) for listing in d.listings},
    )


def _seconds(d: Description) -> int:
    ms = to_ms(d.end) - to_ms(d.start)
    if ms <= 0 or ms % 1000:
        raise BadField(kind=KIND, field="end", why="not a whole number of seconds after the start")
    return ms // 1000


def _check_once(field: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadField(kind=KIND, field=field, why=f"{name} is there twice")
        seen.add(name)


class _Sums:
    """The usage of a description, summed."""

    def __init__(self, d: Description) -> None:
        known = {"customer": {c.customer for c in d.customers}, "node": {n.node for n in d.nodes}}
        known["listing"] = {listing.listing for listing in d.listings}
        self.served: dict[tuple[KeyId, str], Lot] = {}
        self.sold: dict[tuple[KeyId, Digest], Lot] = {}
        for i, row in enumerate(d.usage):
            for what, names in known.items():
                name = getattr(row, what)
                if name is not None and name not in names:
                    raise BadField(kind=KIND, field=f"usage.{i}.{what}", why=f"{name} is not described")
            self._add(row)

    def _add(self, row: Used) -> None:
        used = UsageSum(
            row.cpu_ms,
            Compute(cpu_ms=0, gpu_units=row.gpu_units).gpu_micro,
            row.byte_seconds,
            row.bytes_streamed,
            row.puts,
            row.gets,
        )
        place, lot = (KeyId(row.customer), row.node), Lot(row.records, used)
        self.served[place] = self.served.get(place, Lot()).plus(lot)
        if row.listing is not None:
            sale = (KeyId(row.customer), Digest(row.listing))
            self.sold[sale] = self.sold.get(sale, Lot()).plus(lot)


def _terms(listing: Listing) -> Terms:
    creators = sorted((KeyId(c.creator), c.weight) for c in listing.creators)
    _check_once(f"listings.{listing.listing}.creators", (creator for creator, _ in creators))
    return Terms(
        digest=Digest(listing.listing),
        agent=KeyId(""),
        cluster="",
        price=parse_amount(listing.price_per_record),
        ratio=parse_ratio(listing.ratio),
        creators=tuple(creators),
        marketplace=listing.marketplace,
        owner=KeyId(listing.marketplace),
        share=parse_ratio(listing.marketplace_share),
    )


# --- the result as plain values


def settled_facts(settled: Settled) -> dict[str, Any]:
    """The result as JSON values: amounts are decimal strings."""
    d = settled.description
    return {
        "cluster": d.cluster,
        "era": d.era,
        "seconds": settled.work.seconds,
        "charges": [charge_facts(c) for c in settled.charges],
        "debts": [debt for c in settled.charges if (debt := debt_facts(c)) is not None],
        "lines": [_line_facts(number, line) for number, line in enumerate(settled.lines)],
        "totals": totals_of(settled.lines).to_json(),
        "journal": journal(settled.lines),
        "balances": {account: str(amount) for account, amount in sorted(balances(settled).items())},
    }


def charge_facts(c: Charge) -> dict[str, Any]:
    """A customer's charge, by part and by listing."""
    return {
        "customer": c.customer,
        "records": c.records,
        "charged": _parts(c.charged),
        "collected": _parts(c.collected),
        "fees": [
            {"listing": f.listing, "records": f.records, "charged": str(f.charged), "collected": str(f.collected)}
            for f in c.fees
        ],
    }


def debt_facts(c: Charge) -> dict[str, Any] | None:
    """What a customer's balance did not cover, by part and by listing; None when it covered all."""
    parts = Parts(*(owed - paid for owed, paid in zip(c.charged, c.collected, strict=True)))
    fees = {fee.listing: fee.charged - fee.collected for fee in c.fees if fee.charged > fee.collected}
    total = sum(parts) + sum(fees.values())
    if not total:
        return None
    return {
        "customer": c.customer,
        "parts": _parts(parts),
        "fees": {listing: str(amount) for listing, amount in fees.items()},
        "total": str(total),
    }


def _parts(parts: Parts) -> dict[str, str]:
    return {name: str(amount) for name, amount in parts._asdict().items()}


def _line_facts(number: int, line: Line) -> dict[str, Any]:
    facts: dict[str, Any] = {"line": number, "role": line.role, "party": line.party}
    if line.listing:
        facts["listing"] = line.listing
    return facts | {"records": line.records, "debit": line.debit, "credit": line.credit, "amount": str(line.amount)}


def journal(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Double entry: two rows for each line that sum to zero."""
    return [
        {"line": number, "account": account, "amount": str(amount)}
        for number, line in enumerate(lines)
        for account, amount in ((line.debit, -line.amount), (line.credit, line.amount))
    ]


def balances(settled: Settled) -> dict[str, int]:
    """What is on each account afterwards; accounts at zero are left out."""
    d = settled.description
    held = {customer_account(d.cluster, KeyId(c.customer)): parse_amount(c.balance) for c in d.customers}
    for line in settled.lines:
        for account, change in ((line.debit, -line.amount), (line.credit, line.amount)):
            held[account] = held.get(account, 0) + change
    return {account: amount for account, amount in held.items() if amount}
