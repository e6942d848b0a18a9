"""Grinding: what an operator can try at the draw, and how little it brings (protocol 5)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import combinations

import pytest

from proofroom.adapters.cast import Work
from proofroom.adapters.simulation.report import interval
from proofroom.domain.activity import batch_root
from proofroom.domain.assurance import capture, chance_of_capture, draws_of_a_host, threshold
from proofroom.domain.committee import compute_committee, compute_seed
from proofroom.domain.errors import WrongPhase
from proofroom.domain.ids import KeyId
from proofroom.testing.keys import signer
from strategies.chances import seeds
from strategies.disputes import sealed
from strategies.rooms import soak

ELIGIBLE, COLLUDING, COMMITTEE = 30, 10, 5
KEYS = sorted(signer(n).keyid for n in range(1, ELIGIBLE + 1))
CHANCE = chance_of_capture(ELIGIBLE, COLLUDING, COMMITTEE)
WORLDS = soak(1_500, 100_000)


class World:
    """One round in which each beacon value is as good as random, and a set of colluders."""

    def __init__(self, chance: random.Random) -> None:
        self.reveals = {key: chance.randbytes(32) for key in KEYS}
        self.colluders = frozenset(chance.sample(KEYS, COLLUDING))
        self.records = [chance.randbytes(32) for _ in range(6)]

    def captured(self, root: bytes, without: Iterable[KeyId] = ()) -> bool:
        """Whether the colluders carry the committee that this root and these reveals draw."""
        dropped = set(without)
        reveals: Mapping[KeyId, bytes] = {k: v for k, v in self.reveals.items() if k not in dropped}
        members = compute_committee(compute_seed(root, reveals), KEYS, COMMITTEE)
        return sum(member in self.colluders for member in members) >= threshold(COMMITTEE)


def root_of(records: list[bytes]) -> bytes:
    """The root that a batch of these records commits to."""
    return bytes.fromhex(batch_root(records).removeprefix("blake3:"))


def worlds(seed: int) -> Iterator[World]:
    """As many as are tried, from a seed."""
    chance = random.Random(seed)
    for _ in range(WORLDS):
        yield World(chance)


def test_reordering_and_splitting_gain_nothing() -> None:
    """The operator fixes order and cut before any value is revealed: whatever it prefers, a record has the chance that it had.

    An operator that could choose after the reveals would do several times better, so this comparison can tell.
    """
    low, high = interval(float(CHANCE), WORLDS)
    for seed in seeds():
        fixed = later = 0
        for world in worlds(seed):
            cut = [world.records[: i + 1] for i in range(6)]
            orders = [*cut, world.records[::-1], sorted(world.records)]
            roots = sorted(root_of(order) for order in orders)
            fixed += world.captured(roots[0])  # any rule that looks at roots alone
            later += any(map(world.captured, roots))
        assert low <= fixed <= high
        assert later > high


@pytest.mark.parametrize("withheld", [1, 3])
def test_withholding_stays_within_two_to_the_number_withheld(withheld: int) -> None:
    """Colluders who decide, knowing all else, which of their w values to show choose among 2^w draws, and no better."""
    own = 1 - (1 - CHANCE) ** 2**withheld
    bound = Fraction(capture(ELIGIBLE, COLLUDING, COMMITTEE, withheld), 10**18)
    assert own <= bound
    low, high = interval(float(own), WORLDS)
    for seed in seeds():
        won = 0
        for world in worlds(seed):
            theirs = sorted(world.colluders)[:withheld]
            choices = (c for size in range(withheld + 1) for c in combinations(theirs, size))
            won += any(world.captured(bytes(32), choice) for choice in choices)
        assert low <= won <= high
        assert won <= interval(float(bound), WORLDS)[1]


def test_a_host_that_drops_any_value_chooses_among_more() -> None:
    """Who may leave out any w of n values, not only its own, has sum(C(n, i)) draws: more than the 2^w that a round records.

    It is bound by that number, and seen: the missing are listed, and each of them knows that it revealed.
    """
    dropped = 1
    draws = draws_of_a_host(ELIGIBLE, dropped)
    assert draws == 31
    won = 0
    for world in worlds(seeds(1)[0]):
        choices = [(), *((key,) for key in KEYS)]
        won += any(world.captured(bytes(32), choice) for choice in choices)
    assert won > interval(float(2 * CHANCE), WORLDS)[1]
    assert won <= interval(min(1.0, float(draws * CHANCE)), WORLDS)[1]


def test_no_value_is_revealed_before_the_root_is_fixed() -> None:
    """The ledger takes no beacon value for a batch that is not sealed, and a sealed batch cannot be withdrawn or sealed otherwise."""
    history = sealed(7, 0, works=2)
    cast = history.cast
    with pytest.raises(WrongPhase):
        history.record(cast.reveal_beacon(1, 0))
    history.write(cast.reveal_beacon(0, 0))
    history.work(0, Work())
    root = history.state.rounds["dragon-1", 0].root
    history.seal(0)
    assert history.state.rounds["dragon-1", 0].root == root
    history.write(cast.reveal_beacon(1, 1))
