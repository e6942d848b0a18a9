"""Payouts: how money that was collected for work is shared out, to the unit (protocol 6).

Money of the protocol and money of marketplaces are apart from the first line on: each has a clearing account of its own, and no unit passes
from one to the other. What an era collects and what repays a debt later is shared out by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from proofroom.domain.accounts import (
    RESERVE,
    TREASURY,
    clearing_account,
    creator_account,
    market_account,
    marketplace_account,
    provider_account,
    validator_account,
)
from proofroom.domain.claims import Line, Terms
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.money import share, split


class Shares(NamedTuple):
    """Parts of what is collected, in 10^18ths."""

    treasury: int
    reserve: int
    validators: int


class Collected(NamedTuple):
    """What customers paid for the work of an era, and who is entitled to it."""

    paid: Mapping[KeyId, int]
    """For the protocol, by customer."""
    fees: Mapping[Digest, int]
    """For a marketplace, by listing."""
    shares: Shares
    judges: Mapping[KeyId, int]
    """Records that a validator judged as the rounds did."""
    values: Mapping[KeyId, Mapping[str, int]]
    """By customer, then node: what the node's work for the customer costs."""
    providers: Mapping[str, KeyId]
    """Provider by node."""
    records: Mapping[str, int]
    """Attested records by node."""
    terms: Mapping[Digest, Terms]
    """Of the listings in ``fees``."""


def compute_payouts(cluster: str, era: int, collected: Collected) -> list[Line]:
    """All lines that pay out what was collected: those of the protocol, then those of marketplaces. Lines may be zero."""
    return [*_protocol_lines(cluster, era, collected), *_market_lines(cluster, era, collected)]


def _protocol_lines(cluster: str, era: int, collected: Collected) -> list[Line]:
    """Treasury, reserve, validators in key order, providers by node.

    Shares are ``floor(share * total)``. What they took is split over the customers by what they paid; what remains of a customer's money
    goes to the nodes that served it. A part with no entitled receiver goes to the reserve.
    """
    total, pot = sum(collected.paid.values()), clearing_account(cluster, era)
    treasury, reserve, jury = (share(total, ratio) for ratio in collected.shares)
    validators = pay_validators(jury, collected.judges)
    nodes, orphaned = pay_nodes(_after_fees(collected.paid, treasury + reserve + jury), collected.values)
    reserve += orphaned + jury - sum(validators.values())
    return [
        Line("treasury", pot, TREASURY, treasury, "", 0, (), ()),
        Line("reserve", pot, RESERVE, reserve, "", 0, (), ()),
        *(
            Line("validator", pot, validator_account(v), amount, v, collected.judges[v], (), ())
            for v, amount in validators.items()
        ),
        *(
            Line("provider", pot, provider_account(collected.providers[n]), a, n, collected.records.get(n, 0), (), ())
            for n, a in nodes.items()
        ),
    ]


def _after_fees(paid: Mapping[KeyId, int], fees: int) -> dict[KeyId, int]:
    """What remains of each customer's money: fees are split over customers by what they paid."""
    if not any(paid.values()):
        return dict(paid)
    taken = split(fees, list(paid.values()))
    return {customer: amount - fee for (customer, amount), fee in zip(paid.items(), taken, strict=True)}


def pay_validators(amount: int, judges: Mapping[KeyId, int]) -> dict[KeyId, int]:
    """``amount`` split over those who judged as the rounds did, by the records they inspected."""
    entitled = sorted(v for v, records in judges.items() if records)
    if not entitled:
        return {}
    return dict(zip(entitled, split(amount, [judges[v] for v in entitled]), strict=True))


def pay_nodes(remaining: Mapping[KeyId, int], values: Mapping[KeyId, Mapping[str, int]]) -> tuple[dict[str, int], int]:
    """What each node gets, and what found no receiver: each customer's money goes only to the nodes that served it, by charge value."""
    paid: dict[str, int] = {}
    orphaned = 0
    for customer, amount in remaining.items():
        served = dict(sorted(values[customer].items()))
        if not any(served.values()):
            orphaned += amount
            continue
        for node, part in zip(served, split(amount, list(served.values())), strict=True):
            paid[node] = paid.get(node, 0) + part
    return dict(sorted(paid.items())), orphaned


def _market_lines(cluster: str, era: int, collected: Collected) -> list[Line]:
    """For each listing in the order of digests: its marketplace, then its creators in key order."""
    pot = market_account(cluster, era)
    lines = []
    for listing, amount in sorted(collected.fees.items()):
        terms = collected.terms[listing]
        market, creators = share_fee(amount, terms)
        lines.append(
            Line("marketplace", pot, marketplace_account(terms.owner), market, terms.marketplace, 0, (), (), listing)
        )
        lines += [Line("creator", pot, creator_account(c), a, c, 0, (), (), listing) for c, a in creators.items()]
    return lines


def share_fee(amount: int, terms: Terms) -> tuple[int, dict[KeyId, int]]:
    """What of a listing's money its marketplace gets, ``floor(share * amount)``, and what each creator: the rest, split by weight."""
    market = share(amount, terms.share)
    keys, weights = zip(*terms.creators, strict=True)
    return market, dict(zip(keys, split(amount - market, weights), strict=True))
