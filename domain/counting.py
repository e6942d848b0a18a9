"""Attested records, counted and summed for the settlement of their era; then they leave the state (protocol 6).

Sums are kept by party and not by record: by customer and node for charges, by customer and listing for fees, and by agent and by customer
for the completeness root.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from immutables import Map

from proofroom.domain.ids import KeyId
from proofroom.domain.settlement import sum_by
from proofroom.domain.state import Era, Pending, Tally, UsageSum

Key = TypeVar("Key")


def count_attested(era: Era, records: Sequence[Pending]) -> Era:
    """The era with these records, which a round attested, in its sums."""
    usage, served = sum_by(((r.customer, r.node), r.usage) for r in records)
    sold, sales = sum_by(((r.customer, r.terms.digest), r.usage) for r in records if r.terms is not None)
    return era._replace(
        usage=_add_usage(era.usage, usage),
        served=_add_counts(era.served, served),
        sold=_add_usage(era.sold, sold),
        sales=_add_counts(era.sales, sales),
        terms=era.terms.update({r.terms.digest: r.terms for r in records if r.terms is not None}),
        tallies=_count_parties(era.tallies, records),
    )


def _add_usage(sums: Map[Key, UsageSum], more: Mapping[Key, UsageSum]) -> Map[Key, UsageSum]:
    return sums.update({key: used.plus(sums[key]) if key in sums else used for key, used in more.items()})


def _add_counts(counts: Map[Key, int], more: Mapping[Key, int]) -> Map[Key, int]:
    return counts.update({key: counts.get(key, 0) + count for key, count in more.items()})


def _count_parties(tallies: Map[tuple[str, KeyId], Tally], records: Iterable[Pending]) -> Map[tuple[str, KeyId], Tally]:
    counts: dict[tuple[str, KeyId], int] = {}
    for record in records:
        for party in (("agent", record.agent), ("customer", record.customer)):
            counts[party] = counts.get(party, 0) + 1
    return tallies.update({p: tallies[p]._replace(attested=tallies[p].attested + n) for p, n in counts.items()})


def count_rejected(era: Era, records: Sequence[Pending]) -> Era:
    """The era with these records finally rejected: what its offences are made of."""
    misreported = era.misreported.mutate()
    for record in records:
        count, usage = misreported.get(record.node, (0, UsageSum()))
        misreported[record.node] = (count + 1, usage.plus(record.usage))
    return era._replace(misreported=misreported.finish())
