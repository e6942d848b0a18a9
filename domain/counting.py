"""Records, counted and summed for the settlement of their era (protocol 6).

A record is counted once, when it leaves its queue: at the seal of its batch, or with what the era refuses as late. What a round then
leaves out, since it was rejected or could not be decided, is counted apart. So a verdict costs what it leaves out; and what an era
attested is what it counted less that. Sums are kept by :data:`~proofroom.domain.state.Parties` and not by record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import sub
from typing import NamedTuple, TypeVar

from immutables import Map

from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.state import Ballot, Counts, Era, Lot, Parties, Pending, UsageSum

Key = TypeVar("Key")

_UNLISTED = Digest("")
_NOTHING: Counts = (0, 0, 0, 0, 0, 0, 0)


class Tally(NamedTuple):
    """Counts and sums of a party's records in an era, which the completeness root commits to."""

    recorded: int = 0
    attested: int = 0
    usage: UsageSum = UsageSum()
    """Of all recorded."""


def count(era: Era, records: Sequence[Pending]) -> Era:
    """The era with these records counted, which leave their queue now."""
    listings = {record.terms.digest: record.terms for record in records if record.terms is not None}
    return era._replace(counted=_add(era.counted, records), terms=era.terms.update(listings))


def leave_out(era: Era, records: Iterable[Pending]) -> Era:
    """The era with these of its counted records left out for good: no round attested them."""
    return era._replace(unattested=_add(era.unattested, records))


def count_rejected(era: Era, records: Iterable[Pending]) -> Era:
    """The era with these records finally rejected: what its offences are made of."""
    misreported = era.misreported.mutate()
    for record in records:
        misreported[record.node] = misreported.get(record.node, Lot()).plus(Lot(1, record.usage))
    return era._replace(misreported=misreported.finish())


def count_inspected(era: Era, votes: Iterable[tuple[KeyId, Ballot]], attested: int, rejected: int) -> Era:
    """The era with each of these votes counted for its validator: records on which it said what the round decided."""
    inspected = era.inspected.mutate()
    for validator, ballot in votes:
        right = records_with_outcome(ballot, attested, rejected)
        if right:
            inspected[validator] = inspected.get(validator, 0) + right
    return era._replace(inspected=inspected.finish())


def records_with_outcome(ballot: Ballot, attested: int, rejected: int) -> int:
    """On how many records a ballot judged as the round did."""
    return (ballot.agree & attested | ballot.reject & rejected).bit_count()


def _add(sums: Map[Parties, Counts], records: Iterable[Pending]) -> Map[Parties, Counts]:
    changed = sums.mutate()
    for record in records:
        listing = _UNLISTED if record.terms is None else record.terms.digest
        of = record.agent, record.customer, record.node, listing
        n, a, b, c, d, e, f = changed.get(of, _NOTHING)
        u, v, w, x, y, z = record.usage
        changed[of] = n + 1, a + u, b + v, c + w, d + x, e + y, f + z
    return changed.finish()


def attested_of(era: Era) -> dict[Parties, Lot]:
    """What was attested: all that was counted, less what no round attested. Once all rounds are final, this is what pays."""
    attested = {}
    for of, counts in era.counted.items():
        if of in era.unattested:
            counts = tuple(map(sub, counts, era.unattested[of]))
        if counts[0]:
            attested[of] = Lot(counts[0], UsageSum(*counts[1:]))
    return attested


def by_node(attested: Mapping[Parties, Lot]) -> dict[tuple[KeyId, str], Lot]:
    """By (customer, node): what charges and payouts are made of."""
    return _sums(((customer, node), lot) for (_, customer, node, _), lot in attested.items())


def by_listing(attested: Mapping[Parties, Lot]) -> dict[tuple[KeyId, Digest], Lot]:
    """By (customer, listing), where there is one: what fees are made of."""
    return _sums(((customer, listing), lot) for (_, customer, _, listing), lot in attested.items() if listing)


def _sums(pairs: Iterable[tuple[Key, Lot]]) -> dict[Key, Lot]:
    sums: dict[Key, Lot] = {}
    for key, lot in pairs:
        sums[key] = sums[key].plus(lot) if key in sums else lot
    return sums


def tallies_of(era: Era) -> dict[tuple[str, KeyId], Tally]:
    """By ("agent" | "customer", key): what the era counted for the party, and how much of it was attested."""
    counted, unattested = _by_party(era.counted), _by_party(era.unattested)
    return {
        party: Tally(records, records - unattested.get(party, _NOTHING)[0], UsageSum(*usage))
        for party, (records, *usage) in counted.items()
    }


def _by_party(sums: Map[Parties, Counts]) -> dict[tuple[str, KeyId], Counts]:
    agents: defaultdict[KeyId, list[Counts]] = defaultdict(list)
    customers: defaultdict[KeyId, list[Counts]] = defaultdict(list)
    for (agent, customer, _, _), counts in sums.items():
        agents[agent].append(counts)
        customers[customer].append(counts)
    return {
        (party, key): tuple(map(sum, zip(*counts, strict=True)))
        for party, found in (("agent", agents), ("customer", customers))
        for key, counts in found.items()
    }


def judges_of(era: Era) -> dict[KeyId, int]:
    """Records that each validator judged as the rounds did; none of who withheld a beacon value."""
    return {v: records for v, records in era.inspected.items() if v not in era.forfeited}
