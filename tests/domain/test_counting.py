"""Records are summed by their parties first: the sums are those of adding one record after the other."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.cast import PARAMETERS
from proofroom.domain.claims import Terms
from proofroom.domain.counting import count_attested, count_recorded, count_rejected, lots_at, lots_of
from proofroom.domain.governance import read_parameters
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.state import Era, Pending, Tally, UsageSum
from proofroom.domain.voting import all_positions
from strategies.rooms import soak

AGENTS, CUSTOMERS = [KeyId("agent 0"), KeyId("agent 1")], [KeyId("customer 0"), KeyId("customer 1"), KeyId("agent 0")]
LISTINGS = [None, *(Terms(Digest(name), AGENTS[0], "", 1, 2, (), "m", AGENTS[1], 3) for name in ("d0", "d1"))]


@st.composite
def records(draw: st.DrawFn) -> list[Pending]:
    """Records of few parties."""
    usages = st.sampled_from([UsageSum(), UsageSum(1, 2, 3, 4, 5, 6), UsageSum(*[2**53] * 6), UsageSum(gets=1)])
    parties = (st.sampled_from(AGENTS), st.sampled_from(CUSTOMERS), st.sampled_from(["n0", "n1"]), usages)
    drawn = draw(st.lists(st.tuples(*parties, st.sampled_from(LISTINGS)), max_size=8))
    return [Pending(0, b"", *fields) for fields in drawn]


def plain_sums(found: list[Pending]) -> tuple[dict[tuple[str, ...], UsageSum], Counter[tuple[str, ...]]]:
    """Usage and count of each party, pair and sale, one record after the other."""
    sums: dict[tuple[str, ...], UsageSum] = {}
    counts: Counter[tuple[str, ...]] = Counter()
    for r in found:
        keys: list[tuple[str, ...]] = [
            ("agent", r.agent),
            ("customer", r.customer),
            ("served", r.customer, r.node),
            (r.node,),
        ]
        for key in keys + ([] if r.terms is None else [("sold", r.customer, r.terms.digest)]):
            sums[key] = sums.get(key, UsageSum()).plus(r.usage)
            counts[key] += 1
    return sums, counts


@settings(max_examples=soak(30, 1_000))
@given(records(), records())
def test_batches_are_counted_as_their_records(first: list[Pending], second: list[Pending]) -> None:
    """Two batches, recorded and attested: each sum of the era is the plain one over all their records."""
    era = Era(read_parameters(PARAMETERS), 0, 0, 1)
    for batch in (first, second):
        era = era._replace(tallies=count_recorded(era, lots_of(batch)))
        era = count_attested(era, lots_of(batch))
    sums, counts = plain_sums(first + second)
    parties = {key for key in sums if len(key) == 2}
    assert dict(era.tallies) == {p: Tally(counts[p], counts[p], sums[p]) for p in parties}
    for name, usage, records_of in (("served", era.usage, era.served), ("sold", era.sold, era.sales)):
        assert {(name, *key): used for key, used in usage.items()} == {k: u for k, u in sums.items() if k[0] == name}
        assert {(name, *key): n for key, n in records_of.items()} == {k: n for k, n in counts.items() if k[0] == name}
    assert dict(era.terms) == {r.terms.digest: r.terms for r in first + second if r.terms is not None}


@settings(max_examples=soak(30, 1_000))
@given(records(), records())
def test_offences_are_counted_as_their_records(first: list[Pending], second: list[Pending]) -> None:
    """Two batches with rejected records: for each node their number and their usage."""
    era = Era(read_parameters(PARAMETERS), 0, 0, 1)
    for batch in (first, second):
        era = count_rejected(era, lots_of(batch))
    sums, counts = plain_sums(first + second)
    nodes = {r.node for r in first + second}
    assert dict(era.misreported) == {node: (counts[node,], sums[node,]) for node in nodes}


@settings(max_examples=soak(30, 1_000))
@given(records(), st.integers(0, 2**12 - 1))
def test_sums_of_a_part_are_those_of_its_records(batch: list[Pending], chosen: int) -> None:
    """Whether the part is summed or the rest is taken away: the same lots, none of them empty."""
    positions = chosen & all_positions(len(batch))
    part = [record for i, record in enumerate(batch) if positions >> i & 1]
    assert sorted(map(repr, lots_at(positions, batch, lots_of(batch)))) == sorted(map(repr, lots_of(part)))
