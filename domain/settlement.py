"""Settlement: who pays whom for an era, exactly (protocol 6). A pure function of what was attested, of parameters and deposits.

An era's money takes one way. Each customer's charge moves from its deposit to the era's clearing account; from there the treasury, the
reserve and the validators get their shares of what was collected, and what remains of each customer's money goes to the nodes that served
that customer, by the value of what they did. Debits equal credits to the unit.

Rules 1: a short deposit is charged in part, over all parts in proportion; the debt is stated on the line and not collected later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from proofroom.domain.accounts import (
    RESERVE,
    TREASURY,
    clearing_account,
    customer_account,
    provider_account,
    validator_account,
)
from proofroom.domain.charging import Parts, charge
from proofroom.domain.ids import KeyId
from proofroom.domain.money import share, split
from proofroom.domain.state import Line, Parameters, UsageSum


class Work(NamedTuple):
    """All that the settlement of an era depends on."""

    parameters: Parameters
    seconds: int
    usage: Mapping[tuple[KeyId, str], UsageSum]
    """Attested usage by (customer, node)."""
    served: Mapping[tuple[KeyId, str], int]
    """Attested records by (customer, node)."""
    inspected: Mapping[KeyId, int]
    """Records that a validator judged as the round did."""
    deposits: Mapping[KeyId, int]
    """Balance by customer."""
    providers: Mapping[str, KeyId]
    """Provider by node."""


class Charge(NamedTuple):
    """What one customer owes and pays."""

    customer: KeyId
    records: int
    charged: Parts
    collected: Parts


def compute_charge(customer: KeyId, work: Work) -> Charge:
    """What a customer's usage costs, and how much of it the deposit covers: all, or all that is there, in proportion over the parts."""
    nodes = [key for key in work.usage if key[0] == customer]
    usage = UsageSum()
    for key in nodes:
        usage = usage.plus(work.usage[key])
    charged = charge(usage, work.parameters, work.seconds)
    paid = min(sum(charged), work.deposits.get(customer, 0))
    collected = Parts(*split(paid, charged)) if paid else Parts()
    return Charge(customer, sum(work.served[key] for key in nodes), charged, collected)


def compute_lines(cluster: str, number: int, work: Work) -> tuple[Line, ...]:
    """The payout lines of an era, in order: charges by customer, treasury, reserve, validators, providers by node.

    Shares are ``floor(share * collected)``. What shares took is split over customers by what they paid; what remains of a customer's money
    is split over its nodes by charge value. Splits are by largest remainder, ties by key order. A part with no entitled receiver goes to
    the reserve. Lines of zero are left out, except charges.
    """
    charges = _charges(work)
    collected = [sum(c.collected) for c in charges]
    total, parameters = sum(collected), work.parameters
    treasury = share(total, parameters.treasury_share)
    reserve = share(total, parameters.reserve_share)
    jury = share(total, parameters.validators_share)
    taken = split(treasury + reserve + jury, collected) if total else [0] * len(charges)
    validators = _pay_validators(work, jury)
    nodes, orphaned = _pay_nodes(
        work, {c.customer: paid - fee for c, paid, fee in zip(charges, collected, taken, strict=True)}
    )
    reserve += orphaned + jury - sum(validators.values())

    pot = clearing_account(cluster, number)
    lines = [
        Line(
            "charge",
            customer_account(cluster, c.customer),
            pot,
            sum(c.collected),
            c.customer,
            c.records,
            c.charged,
            c.collected,
        )
        for c in charges
    ]
    lines += [
        Line("treasury", pot, TREASURY, treasury, "", 0, (), ()),
        Line("reserve", pot, RESERVE, reserve, "", 0, (), ()),
    ]
    lines += [
        Line("validator", pot, validator_account(v), a, v, work.inspected[v], (), ()) for v, a in validators.items()
    ]
    records = _records_by_node(work)
    lines += [
        Line("provider", pot, provider_account(work.providers[n]), a, n, records[n], (), ()) for n, a in nodes.items()
    ]
    return tuple(line for line in lines if line.amount or line.role == "charge")


def _charges(work: Work) -> list[Charge]:
    """All charges in key order, in one pass over the usage."""
    by_customer: dict[KeyId, dict[tuple[KeyId, str], UsageSum]] = {}
    for key, usage in work.usage.items():
        by_customer.setdefault(key[0], {})[key] = usage
    return [compute_charge(customer, work._replace(usage=by_customer[customer])) for customer in sorted(by_customer)]


def _records_by_node(work: Work) -> dict[str, int]:
    records: dict[str, int] = {}
    for (_, node), count in work.served.items():
        records[node] = records.get(node, 0) + count
    return records


def _pay_validators(work: Work, amount: int) -> dict[KeyId, int]:
    """Those who judged as the rounds did, by the records they inspected."""
    entitled = sorted(v for v, records in work.inspected.items() if records)
    if not entitled or not amount:
        return {}
    return dict(zip(entitled, split(amount, [work.inspected[v] for v in entitled]), strict=True))


def _pay_nodes(work: Work, remaining: Mapping[KeyId, int]) -> tuple[dict[str, int], int]:
    """What each node gets, and what found no receiver: each customer's money goes only to the nodes that served it."""
    by_customer: dict[KeyId, dict[str, int]] = {customer: {} for customer in remaining}
    for (customer, node), usage in work.usage.items():
        by_customer[customer][node] = sum(charge(usage, work.parameters, work.seconds))
    paid: dict[str, int] = {}
    orphaned = 0
    for customer, amount in remaining.items():
        values = dict(sorted(by_customer[customer].items()))
        if not any(values.values()):
            orphaned += amount
            continue
        for node, part in zip(values, split(amount, list(values.values())), strict=True):
            paid[node] = paid.get(node, 0) + part
    return dict(sorted(paid.items())), orphaned
