"""Working ahead changes nothing but the time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.ahead import ahead


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 5), st.integers(0, 20))
def test_the_same_items_and_the_same_end(items: list[int], most: int, fails_at: int) -> None:
    """All of them in order; an error comes after exactly the items before it."""

    def source() -> Iterator[int]:
        for number, item in enumerate(items):
            if number == fails_at:
                raise OSError(number)
            yield item

    got: list[int] = []
    if fails_at < len(items):
        with pytest.raises(OSError, match=str(fails_at)):
            got.extend(ahead(source(), most))
    else:
        got.extend(ahead(source(), most))
    assert got == items[:fails_at]
    assert not any(thread.name == "proofroom-ahead" for thread in threading.enumerate())


def test_whoever_stops_early_leaves_no_thread() -> None:
    """The maker of an endless stream ends with its taker, and was never more than a few items ahead."""
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield len(made)

    taking = ahead(endless(), most=3)
    for _ in range(10):
        next(taking)
    taking.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(made) <= 10 + 3 + 1
    assert not any(thread.name == "proofroom-ahead" for thread in threading.enumerate())
