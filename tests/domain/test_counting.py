"""Records are counted when they leave their queue, and left out by verdicts: the sums are those of adding one record after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.cast import PARAMETERS
from proofroom.domain.claims import Terms
from proofroom.domain.counting import (
    Tally,
    attested_of,
    by_listing,
    by_node,
    count,
    count_rejected,
    leave_out,
    records_with_outcome,
    tallies_of,
)
from proofroom.domain.governance import read_parameters
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.state import Ballot, Era, Lot, Pending, UsageSum
from strategies.rooms import soak

AGENTS, CUSTOMERS = [KeyId("agent 0"), KeyId("agent 1")], [KeyId("customer 0"), KeyId("customer 1"), KeyId("agent 0")]
LISTINGS = [None, *(Terms(Digest(name), AGENTS[0], "", 1, 2, (), "m", AGENTS[1], 3) for name in ("d0", "d1"))]
NOTHING = Era(read_parameters(PARAMETERS), 0, 0, 1)

Fate = str
"""``attested``, or in which part of the verdicts the record is left out: ``rejected`` ones are an offence of the node too."""

FATES = st.sampled_from(["attested", "attested", "rejected", "undecided", "taken back"])


@st.composite
def records(draw: st.DrawFn) -> Pending:
    """A record of few parties."""
    usages = st.sampled_from([UsageSum(), UsageSum(1, 2, 3, 4, 5, 6), UsageSum(*[2**53] * 6), UsageSum(gets=1)])
    parties = (st.sampled_from(AGENTS), st.sampled_from(CUSTOMERS), st.sampled_from(["n0", "n1"]), usages)
    return Pending(0, b"", *draw(st.tuples(*parties, st.sampled_from(LISTINGS))))


BATCHES = st.lists(st.lists(st.tuples(records(), FATES), max_size=6), max_size=4)


def add(sums: dict[tuple[str, ...], tuple[int, list[int]]], key: tuple[str, ...], usage: UsageSum) -> None:
    """One record more."""
    number, before = sums.get(key, (0, [0] * 6))
    sums[key] = number + 1, [a + b for a, b in zip(before, usage, strict=True)]


def plain_sums(found: Iterable[Pending]) -> dict[tuple[str, ...], tuple[int, list[int]]]:
    """Number and usage of each party, pair and sale, one record after the other."""
    sums: dict[tuple[str, ...], tuple[int, list[int]]] = {}
    for r in found:
        add(sums, ("agent", r.agent), r.usage)
        add(sums, ("customer", r.customer), r.usage)
        add(sums, ("served", r.customer, r.node), r.usage)
        add(sums, ("node", r.node), r.usage)
        if r.terms is not None:
            add(sums, ("sold", r.customer, r.terms.digest), r.usage)
    return sums


def named(kind: str, sums: dict[tuple[str, ...], tuple[int, list[int]]]) -> dict[tuple[str, ...], Lot]:
    """The sums of one kind, by the rest of their key."""
    return {key[1:]: Lot(number, UsageSum(*usage)) for key, (number, usage) in sums.items() if key[0] == kind}


@settings(max_examples=soak(60, 2_000))
@given(BATCHES, st.randoms(use_true_random=False))
def test_an_era_sums_as_its_records_one_by_one(batches: list[list[tuple[Pending, Fate]]], chance: Random) -> None:
    """Batches in order, their verdicts in any order, each in up to three parts: every sum of the era is the plain one."""
    era, verdicts = NOTHING, []
    for batch in batches:
        era = count(era, [record for record, _ in batch])
        verdicts += [(fate, [r for r, its in batch if its == fate]) for fate in ("rejected", "undecided", "taken back")]
    chance.shuffle(verdicts)
    for fate, left in verdicts:
        era = leave_out(era, left)
        era = count_rejected(era, left) if fate == "rejected" else era
    everything = [pair for batch in batches for pair in batch]
    recorded = plain_sums(r for r, _ in everything)
    attested = plain_sums(r for r, fate in everything if fate == "attested")
    rejected = plain_sums(r for r, fate in everything if fate == "rejected")
    assert by_node(attested_of(era)) == named("served", attested)
    assert by_listing(attested_of(era)) == named("sold", attested)
    assert {(node,): lot for node, lot in era.misreported.items()} == named("node", rejected)
    assert tallies_of(era) == {
        (party, KeyId(key)): Tally(lot.records, attested[party, key][0] if (party, key) in attested else 0, lot.usage)
        for party in ("agent", "customer")
        for (key,), lot in named(party, recorded).items()
    }
    assert dict(era.terms) == {r.terms.digest: r.terms for r, _ in everything if r.terms is not None}


@settings(max_examples=soak(20, 1_000))
@given(BATCHES)
def test_memory_is_that_of_parties(batches: list[list[tuple[Pending, Fate]]]) -> None:
    """However many records of the same parties there are, the era keeps one sum of them; what is all left out is attested by none."""
    era, everything = NOTHING, [record for batch in batches for record, _ in batch]
    for batch in batches:
        era = count(era, [record for record, _ in batch])
    parties = Counter((r.agent, r.customer, r.node, "" if r.terms is None else r.terms.digest) for r in everything)
    assert {of: counts[0] for of, counts in era.counted.items()} == parties
    assert not era.unattested
    assert attested_of(leave_out(era, everything)) == {}


def test_nothing_counted() -> None:
    """Is what sums begin with."""
    assert Tally() == (0, 0, (0, 0, 0, 0, 0, 0))


def test_records_on_which_a_ballot_judged_as_the_round_did() -> None:
    """Both verdicts count; what one of the two left open does not."""
    assert records_with_outcome(Ballot(0b00111, 0b11000), attested=0b00101, rejected=0b01010) == 3
    assert records_with_outcome(Ballot(0b00111, 0b11000), attested=0, rejected=0) == 0
