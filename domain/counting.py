"""Records, counted and summed for the settlement of their era (protocol 6).

Sums are kept by party and not by record: by customer and node for charges, by customer and listing for fees, and by agent and by customer
for the completeness root. Most records of a batch are of the same few parties, so they are summed at the seal, and a verdict adds sums.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from operator import attrgetter, sub
from typing import TypeVar

from immutables import Map, MapMutation

from proofroom.domain.claims import Terms
from proofroom.domain.ids import KeyId
from proofroom.domain.state import Era, Lot, Pending, Tally, UsageSum, sum_usage
from proofroom.domain.voting import all_positions, pick

Key = TypeVar("Key", bound=Hashable)
Tallies = Map[tuple[str, KeyId], Tally]


_NOTHING = Tally()
_PARTIES = attrgetter("agent", "customer", "node", "terms")


def lots_of(records: Iterable[Pending]) -> tuple[Lot, ...]:
    """The records, summed by who they are of."""
    usages: defaultdict[tuple[KeyId, KeyId, str, Terms | None], list[UsageSum]] = defaultdict(list)
    for record in records:
        usages[_PARTIES(record)].append(record.usage)
    return tuple(Lot(*parties, len(used), sum_usage(used)) for parties, used in usages.items())


def lots_at(positions: int, records: Sequence[Pending], lots: Iterable[Lot]) -> tuple[Lot, ...]:
    """The records at these positions of a batch, summed, when ``lots`` are all of it.

    Where most of a batch is meant, as it mostly is, the others are taken from the sums: it costs what the smaller part costs.
    """
    if 2 * positions.bit_count() <= len(records):
        return lots_of(pick(records, positions))
    others = {lot[:4]: lot for lot in lots_of(pick(records, all_positions(len(records)) & ~positions))}
    return tuple(rest for lot in lots if (rest := _without(lot, others.get(lot[:4]))).records)


def _without(lot: Lot, part: Lot | None) -> Lot:
    if part is None:
        return lot
    return lot._replace(records=lot.records - part.records, usage=UsageSum(*map(sub, lot.usage, part.usage)))


def count_recorded(era: Era, lots: Iterable[Lot]) -> Tallies:
    """The counts and sums of the parties with these records, which leave their queue now."""
    tallies = era.tallies.mutate()
    for lot in lots:
        for party in _parties_of(lot):
            recorded, attested, usage = tallies.get(party, _NOTHING)
            tallies[party] = Tally(recorded + lot.records, attested, usage.plus(lot.usage))
    return tallies.finish()


def count_attested(era: Era, lots: Iterable[Lot]) -> Era:
    """The era with these records, which a round attested, in its sums."""
    usage, served = era.usage.mutate(), era.served.mutate()
    sold, sales, terms = era.sold.mutate(), era.sales.mutate(), era.terms.mutate()
    tallies = era.tallies.mutate()
    for lot in lots:
        _add(usage, served, (lot.customer, lot.node), lot)
        if lot.terms is not None:
            _add(sold, sales, (lot.customer, lot.terms.digest), lot)
            terms[lot.terms.digest] = lot.terms
        for party in _parties_of(lot):
            recorded, attested, used = tallies[party]
            tallies[party] = Tally(recorded, attested + lot.records, used)
    return era._replace(
        usage=usage.finish(),
        served=served.finish(),
        sold=sold.finish(),
        sales=sales.finish(),
        terms=terms.finish(),
        tallies=tallies.finish(),
    )


def count_rejected(era: Era, lots: Iterable[Lot]) -> Era:
    """The era with these records finally rejected: what its offences are made of."""
    misreported = era.misreported.mutate()
    for lot in lots:
        count, usage = misreported.get(lot.node, (0, UsageSum()))
        misreported[lot.node] = (count + lot.records, usage.plus(lot.usage))
    return era._replace(misreported=misreported.finish())


def _parties_of(lot: Lot) -> tuple[tuple[str, KeyId], tuple[str, KeyId]]:
    return ("agent", lot.agent), ("customer", lot.customer)


def _add(usage: MapMutation[Key, UsageSum], counts: MapMutation[Key, int], key: Key, lot: Lot) -> None:
    before = usage.get(key)
    usage[key] = lot.usage if before is None else before.plus(lot.usage)
    counts[key] = counts.get(key, 0) + lot.records


def judges_of(era: Era) -> dict[KeyId, int]:
    """Records that each validator judged as the rounds did; none of who withheld a beacon value."""
    return {v: records for v, records in era.inspected.items() if v not in era.forfeited}
