"""What usage costs: each formula against exact fractions, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.cast import PARAMETERS
from proofroom.domain.charging import (
    MONTH_SECONDS,
    charge,
    charge_at_most,
    cpu_charge,
    gpu_charge,
    stored_charge,
    streamed_charge,
)
from proofroom.domain.governance import read_parameters
from proofroom.domain.state import UsageSum
from proofroom.testing.naive_settlement import PARTS, naive_charge, naive_charge_at_most

PLAIN = read_parameters(PARAMETERS)
COUNTS = (
    st.sampled_from([0, 1, 999, 1000, 2**20 - 1, 2**20, 10**6 - 1]) | st.integers(0, 10**6) | st.integers(0, 10**19)
)
PRICES = st.sampled_from([0, 1, 2, 10**18 - 1]) | st.integers(0, 10**12)
SECONDS = st.sampled_from([1, 2, MONTH_SECONDS - 1, MONTH_SECONDS, MONTH_SECONDS + 1, 366 * 86_400]) | st.integers(
    1, 10**8
)
NAMES = ("cpu_second", "gpu_unit", "mib_streamed", "mib_stored_month", "put", "get")


@given(st.builds(UsageSum, *[COUNTS] * 6), st.lists(PRICES, min_size=6, max_size=6), SECONDS)
def test_charges_agree_with_fractions(usage: UsageSum, prices: list[int], seconds: int) -> None:
    """Every part, exactly."""
    named: dict[str, Any] = dict(zip(NAMES, prices, strict=True))
    parts = charge(usage, PLAIN._replace(**named), seconds)
    assert parts._fields == PARTS
    assert parts._asdict() == naive_charge(usage._asdict(), named, seconds)


@given(st.builds(UsageSum, *[COUNTS] * 6), st.lists(PRICES, min_size=6, max_size=6), SECONDS)
def test_no_length_of_an_era_costs_more(usage: UsageSum, prices: list[int], seconds: int) -> None:
    """The bound that a payer's cap is held against holds for every length of the era."""
    named: dict[str, Any] = dict(zip(NAMES, prices, strict=True))
    parameters = PLAIN._replace(**named)
    most = charge_at_most(usage, parameters)
    assert sum(charge(usage, parameters, seconds)) <= most
    assert most == naive_charge_at_most(usage._asdict(), named)


@given(st.lists(st.builds(UsageSum, *[COUNTS] * 6), min_size=2, max_size=4), SECONDS, st.integers(0, 10**7))
def test_no_company_costs_more(usages: list[UsageSum], seconds: int, price: int) -> None:
    """Usage that is bounded by itself stays within its bounds when it is summed with other usage of the same customer."""
    parameters = PLAIN._replace(cpu_second=price, gpu_unit=price, mib_streamed=price, mib_stored_month=price)
    total = UsageSum()
    for usage in usages:
        total = total.plus(usage)
    assert sum(charge(total, parameters, seconds)) <= sum(charge_at_most(usage, parameters) for usage in usages)


@pytest.mark.parametrize(
    ("formula", "usage", "expected"),
    [
        (cpu_charge, (412, 2_000_000), 824_000),
        (cpu_charge, (999, 1), 0),
        (cpu_charge, (1000, 1), 1),
        (gpu_charge, (830_000, 50_000_000), 41_500_000),
        (gpu_charge, (999_999, 1), 0),
        (streamed_charge, (2**20 - 1, 1), 0),
        (streamed_charge, (3 * 2**20 // 2, 3), 4),
        (stored_charge, (2**20 * MONTH_SECONDS, 4_000_000, MONTH_SECONDS), 4_000_000),
        (stored_charge, (2**20 * MONTH_SECONDS // 2, 3, MONTH_SECONDS // 2), 1),  # one and a half, down
        (stored_charge, (2**20 * 2 * MONTH_SECONDS, 5, 2 * MONTH_SECONDS), 10),  # two slices, not capped at one
        # A slice of 3, and one of one and a half.
        (stored_charge, (2**20 * 3 * MONTH_SECONDS // 2, 3, 3 * MONTH_SECONDS // 2), 4),
        (stored_charge, (86_399, 10**17, 86_400), 0),  # less than one byte on average
    ],
)
def test_charges_by_hand(formula: Callable[..., int], usage: tuple[int, ...], expected: int) -> None:
    """Each rounding where a reader can check it."""
    assert formula(*usage) == expected


@given(st.builds(UsageSum, *[COUNTS] * 6), st.builds(UsageSum, *[COUNTS] * 6))
def test_usage_is_summed_by_field(a: UsageSum, b: UsageSum) -> None:
    """Adding usage adds each of its fields."""
    assert tuple(a.plus(b)) == tuple(x + y for x, y in zip(a, b, strict=True))
