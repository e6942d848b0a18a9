"""Records, counted and summed for the settlement of their era (protocol 6).

Sums are kept by party and not by record: by customer and node for charges, by customer and listing for fees, and by agent and by customer
for the completeness root. Most records of a batch are of the same few parties, so they are summed first and added then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from operator import attrgetter
from typing import NamedTuple, TypeVar

from immutables import Map, MapMutation

from proofroom.domain.claims import Terms
from proofroom.domain.ids import KeyId
from proofroom.domain.state import Era, Pending, Tally, UsageSum

Key = TypeVar("Key", bound=Hashable)
Tallies = Map[tuple[str, KeyId], Tally]


class Lot(NamedTuple):
    """Records of the same parties under the same listing, summed."""

    agent: KeyId
    customer: KeyId
    node: str
    terms: Terms | None
    records: int
    usage: UsageSum


_PARTIES = attrgetter("agent", "customer", "node", "terms")


def lots_of(records: Iterable[Pending]) -> list[Lot]:
    """The records, summed by who they are of."""
    usages: defaultdict[tuple[KeyId, KeyId, str, Terms | None], list[UsageSum]] = defaultdict(list)
    for record in records:
        usages[_PARTIES(record)].append(record.usage)
    return [Lot(*parties, len(used), UsageSum().plus(*used)) for parties, used in usages.items()]


def count_recorded(era: Era, records: Iterable[Pending]) -> Tallies:
    """The counts and sums of the parties with these records, which leave their queue now."""
    tallies = era.tallies.mutate()
    for lot in lots_of(records):
        for party in _parties_of(lot):
            before = tallies.get(party, Tally())
            tallies[party] = before._replace(recorded=before.recorded + lot.records, usage=before.usage.plus(lot.usage))
    return tallies.finish()


def count_attested(era: Era, records: Iterable[Pending]) -> Era:
    """The era with these records, which a round attested, in its sums."""
    usage, served = era.usage.mutate(), era.served.mutate()
    sold, sales, terms = era.sold.mutate(), era.sales.mutate(), era.terms.mutate()
    tallies = era.tallies.mutate()
    for lot in lots_of(records):
        _add(usage, served, (lot.customer, lot.node), lot)
        if lot.terms is not None:
            _add(sold, sales, (lot.customer, lot.terms.digest), lot)
            terms[lot.terms.digest] = lot.terms
        for party in _parties_of(lot):
            before = tallies[party]
            tallies[party] = before._replace(attested=before.attested + lot.records)
    return era._replace(
        usage=usage.finish(),
        served=served.finish(),
        sold=sold.finish(),
        sales=sales.finish(),
        terms=terms.finish(),
        tallies=tallies.finish(),
    )


def count_rejected(era: Era, records: Iterable[Pending]) -> Era:
    """The era with these records finally rejected: what its offences are made of."""
    misreported = era.misreported.mutate()
    for lot in lots_of(records):
        count, usage = misreported.get(lot.node, (0, UsageSum()))
        misreported[lot.node] = (count + lot.records, usage.plus(lot.usage))
    return era._replace(misreported=misreported.finish())


def _parties_of(lot: Lot) -> tuple[tuple[str, KeyId], tuple[str, KeyId]]:
    return ("agent", lot.agent), ("customer", lot.customer)


def _add(usage: MapMutation[Key, UsageSum], counts: MapMutation[Key, int], key: Key, lot: Lot) -> None:
    usage[key] = usage.get(key, UsageSum()).plus(lot.usage)
    counts[key] = counts.get(key, 0) + lot.records
