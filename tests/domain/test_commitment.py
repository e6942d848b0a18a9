"""Commitments: they open to what was committed to and to nothing else, and tell nothing without the salt."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain.commitment import Opening
from proofroom.domain.errors import Malformed

SALTS = st.binary(min_size=32, max_size=32)
HELD = st.dictionaries(st.sampled_from(["cpu", "network", "wall"]), st.sampled_from(["kernel", "supervisor", "none"]))


@given(SALTS, st.text("abc:", max_size=9), HELD, st.binary(max_size=9), st.binary(max_size=9))
def test_an_opening_opens(salt: bytes, agent: str, held: dict[str, str], data: bytes, result: bytes) -> None:
    """It is read back as it was, gives the same commitment, and knows its input and result."""
    opening = Opening.of(salt, agent, held, data, result)
    again = Opening.from_bytes(opening.to_bytes())
    assert again == opening
    assert again.commitment() == opening.commitment()
    assert again.is_of(data=data, result=result)
    assert not again.is_of(data=data + b"x")
    assert not again.is_of(result=result + b"x")


@given(SALTS, SALTS, st.binary(max_size=9), st.binary(max_size=9), HELD, HELD)
def test_another_anything_is_another_commitment(
    salt: bytes, other_salt: bytes, data: bytes, other: bytes, held: dict[str, str], other_held: dict[str, str]
) -> None:
    """Salt, agent, confinement, input and result are all bound."""
    about = (salt, "a", held, data, b"r")
    for changed in (
        (other_salt, "a", held, data, b"r"),
        (salt, "b", held, data, b"r"),
        (salt, "a", other_held, data, b"r"),
        (salt, "a", held, other, b"r"),
        (salt, "a", held, data, other),
    ):
        assert (Opening.of(*changed).commitment() == Opening.of(*about).commitment()) == (changed == about)


def test_nothing_is_told_without_the_salt() -> None:
    """The same one-bit input under another salt shares no digest."""
    first, second = (Opening.of(bytes([n]) * 32, "a", {}, b"1", b"1") for n in (1, 2))
    assert not {first.input, first.result, first.commitment()} & {second.input, second.result, second.commitment()}
    assert first.input != first.result


@pytest.mark.parametrize(
    "change", [{"salt": "00"}, {"salt": None}, {"salt": "zz" * 32}, {"agent": None, "more": 1}, {"input": None}]
)
def test_invalid_opening_is_typed(change: dict[str, object]) -> None:
    """A file that is no opening is malformed."""
    value = json.loads(Opening.of(bytes(32), "a", {}, b"1", b"1").to_bytes()) | change
    if "input" in change:
        del value["input"]
    with pytest.raises(Malformed):
        Opening.from_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
