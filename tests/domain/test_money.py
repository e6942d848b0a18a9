"""Money: splits lose nothing and favour nobody, and every rounding is what its name says."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proofroom.domain.errors import BadAmount
from proofroom.domain.money import (
    AMOUNT_LIMIT,
    RATIO_ONE,
    nearest_half_down,
    parse_amount,
    parse_ratio,
    share,
    split,
)

AMOUNTS = st.integers(0, 100) | st.integers(0, AMOUNT_LIMIT - 1)
WEIGHTS = st.lists(st.integers(0, 5) | st.integers(0, AMOUNT_LIMIT), min_size=1, max_size=12).filter(any)


@given(AMOUNTS, WEIGHTS)
def test_split_loses_nothing(amount: int, weights: list[int]) -> None:
    """The parts of a split sum to the amount, to the unit, and none is negative."""
    parts = split(amount, weights)
    assert len(parts) == len(weights)
    assert sum(parts) == amount
    assert min(parts) >= 0


@given(AMOUNTS, WEIGHTS)
def test_split_is_within_one_unit(amount: int, weights: list[int]) -> None:
    """Each part is its exact share, rounded down or up; whoever has no weight gets nothing."""
    for part, weight in zip(split(amount, weights), weights, strict=True):
        exact = Fraction(amount * weight, sum(weights))
        assert math.floor(exact) <= part <= math.ceil(exact)


@given(AMOUNTS, WEIGHTS)
def test_split_is_monotone(amount: int, weights: list[int]) -> None:
    """Who has more weight never gets less; with equal weight the earlier never gets less."""
    parts = split(amount, weights)
    for i in range(len(parts)):
        for j in range(len(parts)):
            if weights[i] > weights[j] or (weights[i] == weights[j] and i < j):
                assert parts[i] >= parts[j]


@given(AMOUNTS, WEIGHTS)
def test_one_unit_more_moves_no_part_by_more(amount: int, weights: list[int]) -> None:
    """Up or down: a part may lose its unit to others (with weights 1, 5, 5 of 5 units and of 6), never two (decision 30)."""
    before, after = split(amount, weights), split(amount + 1, weights)
    assert all(abs(b - a) <= 1 for a, b in zip(before, after, strict=True))


@given(AMOUNTS, WEIGHTS, st.data())
def test_a_larger_weight_never_lowers_its_own_part(amount: int, weights: list[int], data: st.DataObject) -> None:
    """Whatever the others are (decision 30)."""
    i = data.draw(st.integers(0, len(weights) - 1))
    heavier = [
        *weights[:i],
        weights[i] + data.draw(st.integers(1, 10) | st.integers(1, AMOUNT_LIMIT)),
        *weights[i + 1 :],
    ]
    assert split(amount, heavier)[i] >= split(amount, weights)[i]


@given(AMOUNTS, WEIGHTS)
def test_split_gives_the_rest_by_largest_remainder(amount: int, weights: list[int]) -> None:
    """Whoever was rounded up had no smaller remainder than anyone who was rounded down, and came earlier on a tie."""
    total = sum(weights)
    rests = [Fraction(amount * w, total) - amount * w // total for w in weights]
    up = [part > amount * w // total for part, w in zip(split(amount, weights), weights, strict=True)]
    for i in range(len(weights)):
        for j in range(len(weights)):
            if up[i] and not up[j]:
                assert (-rests[i], i) < (-rests[j], j)


@given(AMOUNTS, st.integers(1, 30), st.integers(1, 10**20))
def test_split_of_equal_weights(amount: int, count: int, weight: int) -> None:
    """Equal weights differ by at most one unit, and the first of them hold the units that are over."""
    each, over = divmod(amount, count)
    assert split(amount, [weight] * count) == [each + 1] * over + [each] * (count - over)


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (1, [1, 1], [1, 0]),
        (1, [1, 2], [0, 1]),
        (0, [3, 4], [0, 0]),
        (100, [0, 1, 0], [0, 100, 0]),
        (7, [3, 3, 1], [3, 3, 1]),
        (5, [50, 30, 20], [3, 1, 1]),
        (101, [50, 25, 25], [51, 25, 25]),
    ],
)
def test_split_examples(amount: int, weights: list[int], parts: list[int]) -> None:
    """A few splits that a reader can check by hand; ties go to the earlier."""
    assert split(amount, weights) == parts


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [-1, 2], [1, -1]])
def test_invalid_weights(weights: list[int]) -> None:
    """A split that nobody could receive, or with a negative weight, is a mistake of the caller."""
    with pytest.raises(ValueError, match="weights"):
        split(1, weights)


@given(AMOUNTS, st.integers(0, RATIO_ONE))
@example(10, RATIO_ONE // 2)
def test_share_rounds_down(amount: int, ratio: int) -> None:
    """A share is the floor of the exact product, and the whole of the whole."""
    assert share(amount, ratio) == math.floor(Fraction(amount) * Fraction(ratio, RATIO_ONE))
    assert share(amount, RATIO_ONE) == amount
    assert share(amount, ratio) + share(amount, RATIO_ONE - ratio) in (amount, amount - 1)


@given(st.integers(0, 10**60), st.integers(1, 10**40))
@example(1, 2)
@example(3, 2)
@example(5, 10)
@example(0, 7)
def test_nearest_half_down(numerator: int, denominator: int) -> None:
    """The nearest integer, and of two that are equally near the lower."""
    exact = Fraction(numerator, denominator)
    assert nearest_half_down(numerator, denominator) == math.ceil(exact - Fraction(1, 2))


@given(st.integers(0, 10**20), st.integers(1, 10**20))
def test_nearest_half_down_at_the_half(whole: int, half: int) -> None:
    """Exactly at a half it goes down, one part above it goes up."""
    assert nearest_half_down(2 * half * whole + half, 2 * half) == whole
    assert nearest_half_down(2 * half * whole + half + 1, 2 * half) == whole + 1


@given(AMOUNTS)
@example(0)
@example(AMOUNT_LIMIT - 1)
def test_amount_round_trips(amount: int) -> None:
    """Every amount is read from its decimal text."""
    assert parse_amount(str(amount)) == amount


@given(st.text(st.sampled_from("0123456789+-_. e٣²\n"), max_size=40))
def test_amount_has_one_text(text: str) -> None:
    """Whatever is read as an amount is that amount's decimal text."""
    try:
        amount = parse_amount(text)
    except BadAmount as refusal:
        assert refusal.text == text[:40]  # noqa: PT017 -- both outcomes are looked at
    else:
        assert str(amount) == text
        assert amount < AMOUNT_LIMIT


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "01", "00", "1.0", "1e3", " 1", "1\n", "1_0", "²", "٣", "1" + "0" * 36, "9" * 5000]
)
def test_invalid_amount(text: str) -> None:
    """Signs, leading zeros, blanks, other digits and amounts from 10^36 are refused."""
    with pytest.raises(BadAmount):
        parse_amount(text)


@given(st.integers(0, 2 * RATIO_ONE))
@example(RATIO_ONE)
@example(RATIO_ONE + 1)
def test_ratio_is_at_most_the_whole(ratio: int) -> None:
    """A ratio is read up to 10^18, and no further."""
    if ratio <= RATIO_ONE:
        assert parse_ratio(str(ratio)) == ratio
    else:
        with pytest.raises(BadAmount):
            parse_ratio(str(ratio))


def test_limits() -> None:
    """The range of amounts and ratios is frozen (protocol 1.9)."""
    assert AMOUNT_LIMIT == 10**36
    assert RATIO_ONE == 10**18
