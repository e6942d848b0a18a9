"""How much a round proves: the formulas against counting every committee and every sample."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.simulation.report import interval
from proofroom.domain.assurance import (
    COMMITTEES,
    capture,
    catch,
    chance_of_blocking,
    chance_of_capture,
    smallest_committee,
    threshold,
)
from proofroom.domain.committee import compute_committee
from proofroom.testing.keys import signer
from strategies.chances import seeds

ONE = 10**18


@pytest.mark.parametrize("assigned", range(1, 62))
def test_threshold_is_the_least_two_thirds(assigned: int) -> None:
    """The first whole number of votes that is two thirds."""
    assert threshold(assigned) == min(a for a in range(assigned + 1) if 3 * a >= 2 * assigned)


@pytest.mark.parametrize("eligible", range(1, 10))
def test_capture_is_the_share_of_committees(eligible: int) -> None:
    """The chance is that of drawing one of the committees that the colluding carry, counted one by one and rounded up."""
    for colluding in range(eligible + 1):
        for size in range(1, eligible + 1):
            draws = list(combinations(range(eligible), size))
            won = sum(3 * sum(member < colluding for member in draw) >= 2 * size for draw in draws)
            exact = Fraction(won, len(draws))
            for missing in range(3):
                assert capture(eligible, colluding, size, missing) == min(ONE, ceil(exact * 2**missing * ONE))


@pytest.mark.parametrize("records", [1, 2, 5, 11])
def test_catch_is_the_share_of_samples(records: int) -> None:
    """With one misreport in the batch: the chance that it lies among those observed, counted one by one and rounded down."""
    for observed in range(records + 1):
        samples = list(combinations(range(records), observed))
        met = Fraction(sum(0 in sample for sample in samples), len(samples))
        for captured in (0, 1, ONE // 3, ONE):
            assert catch(captured, records, observed) == floor((ONE - captured) * met)


@pytest.mark.parametrize(("records", "misreports"), [(100, 1), (101, 2), (200, 2), (201, 3)])
def test_a_hundredth_is_rounded_up(records: int, misreports: int) -> None:
    """One record observed of N meets one of b misreports with chance b / N."""
    assert catch(0, records, 1) == ONE * misreports // records


@given(st.integers(5, 61), st.integers(0, 200), st.integers(0, 40))
def test_chances_are_chances(committee: int, more: int, missing: int) -> None:
    """Ratios stay within the whole; withholding more never lowers the chance of capture."""
    eligible = committee + more
    chance = capture(eligible, eligible // 3, committee, missing)
    assert 0 <= chance <= ONE
    assert chance <= capture(eligible, eligible // 3, committee, missing + 1)


def test_eleven_is_the_first_size_below_one_percent() -> None:
    """The page's five is captured often; from eleven on a colluding third of many carries less than 1 % of rounds (protocol 5)."""
    many = 3 * 10**6
    below = [size for size in range(5, 62) if capture(many, many // 3, size) < ONE // 100]
    assert below[0] == 11
    assert set(range(12, 62)) - set(below) <= set(range(12, 20))


def test_nothing_observed_catches_nothing() -> None:
    """No observation, no catch, however honest the round."""
    assert catch(0, 10_000, 0) == 0
    assert catch(0, 10_000, 10_000) == ONE


@pytest.mark.parametrize("eligible", range(1, 10))
def test_blocking_is_denying_the_threshold(eligible: int) -> None:
    """The share of committees whose honest members are fewer than the threshold, counted one by one."""
    for colluding in range(eligible + 1):
        for size in range(1, eligible + 1):
            draws = list(combinations(range(eligible), size))
            denied = sum(sum(member >= colluding for member in draw) < threshold(size) for draw in draws)
            assert chance_of_blocking(eligible, colluding, size) == Fraction(denied, len(draws))


@pytest.mark.parametrize("below", [Fraction(1, 100), Fraction(1, 1000), Fraction(1, 10**12)])
@pytest.mark.parametrize(("eligible", "colluding"), [(100, 33), (20, 6), (1_000, 200), (7, 3)])
def test_the_plan_is_the_smallest_that_fits(eligible: int, colluding: int, below: Fraction) -> None:
    """No smaller committee is captured so rarely; where none of a cluster's choice is, there is no plan."""
    fits = [m for m in COMMITTEES if m <= eligible and chance_of_capture(eligible, colluding, m) < below]
    assert smallest_committee(eligible, colluding, below) == (fits[0] if fits else None)
    assert smallest_committee(100, 33, Fraction(1, 100)) == 11


@pytest.mark.parametrize(("size", "records", "observed"), [(5, 300, 100), (11, 200, 40)])
def test_chances_are_those_of_drawing(size: int, records: int, observed: int) -> None:
    """Over 10,000 draws by the protocol's own function, captures and catches lie within the 99.99 % interval of the formulas."""
    keys = [signer(n).keyid for n in range(1, 31)]
    rounds, misreports = 10_000, -(-records // 100)
    captured = capture(30, 10, size)
    for seed in seeds():
        chance = random.Random(seed)
        captures = catches = 0
        for _ in range(rounds):
            colluders = set(chance.sample(keys, 10))
            members = compute_committee(chance.randbytes(32), keys, size)
            carried = sum(member in colluders for member in members) >= threshold(size)
            false = set(chance.sample(range(records), misreports))
            captures += carried
            catches += not carried and not false.isdisjoint(chance.sample(range(records), observed))
        for count, ratio in ((captures, captured), (catches, catch(captured, records, observed))):
            low, high = interval(ratio / ONE, rounds)
            assert low <= count <= high
