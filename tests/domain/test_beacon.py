"""The beacon chain: what it reveals can be checked, and it ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain.beacon import beacon_step, compute_chain, value_of_round
from proofroom.domain.errors import ChainSpent

CHAIN = compute_chain(b"secret", 20)


def test_each_value_hashes_to_the_one_before() -> None:
    """From the secret at one end to the registered value at the other."""
    assert CHAIN[-1] == b"secret"
    assert [beacon_step(value) for value in CHAIN[1:]] == list(CHAIN[:-1])


@given(st.integers(0, 19), st.integers(0, 100), st.integers(0, 30))
def test_value_of_a_round(known: int, next_round: int, later: int) -> None:
    """Hashed once for each round since the last one known, it gives that one; past the secret there is none."""
    if known + 1 + later > 20:
        with pytest.raises(ChainSpent):
            value_of_round(CHAIN, CHAIN[known], next_round, next_round + later)
        return
    value = value_of_round(CHAIN, CHAIN[known], next_round, next_round + later)
    for _ in range(later + 1):
        value = beacon_step(value)
    assert value == CHAIN[known]


def test_a_chain_that_was_not_registered_says_so() -> None:
    """A validator with another secret than it registered has nothing to reveal."""
    with pytest.raises(ChainSpent):
        value_of_round(CHAIN, bytes(32), 0, 0)
