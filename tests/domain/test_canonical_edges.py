"""Canonical JSON just within its limits, and just beyond, on both ways of reading and printing it."""

from __future__ import annotations

import pytest

from proofroom.domain.canonical import decode, encode, parse_strict
from proofroom.domain.errors import BadNumber, TooDeep


@pytest.mark.parametrize("number", [9007199255.5, 9007199256.0, 9007199257.25])
def test_fractions_beyond_the_largest(number: float) -> None:
    """A fast printer prints them as we do; still they have no count of millionths."""
    with pytest.raises(BadNumber):
        encode({"a": number})
    with pytest.raises(BadNumber):
        decode(f'{{"a":{number}}}'.encode())


def test_depth_beside_other_brackets() -> None:
    """Sixteen levels, whatever else stands beside them; a seventeenth there is too many."""
    deep = '{"a":' + "[" * 15 + "]" * 15
    beside = deep + ',"b":[[],{},[]]}'
    assert parse_strict(beside.encode()) == decode(beside.encode())
    assert encode(decode(beside.encode())) == beside.encode()
    for more in (deep.replace("[]", "[[]]") + ',"b":[]}', '{"b":[[],{},[]],"c":' + "[" * 16 + "]" * 16 + "}"):
        for read in (parse_strict, decode):
            with pytest.raises(TooDeep):
                read(more.encode())
