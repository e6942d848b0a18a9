"""Canonical JSON just within its limits, and just beyond, on both ways of reading and printing it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from proofroom.domain import canonical
from proofroom.domain.canonical import MAX_DEPTH, decode, encode, millionths, parse_strict
from proofroom.domain.errors import BadNumber, LoneSurrogate, NotJson, TooDeep

LARGEST = 9007199254740991
"""2^53 - 1: of integers, and of millionths."""


def nested(levels: int, inner: Any = 1) -> dict[str, Any]:
    """An object of so many levels: lists below it, and at the bottom this."""
    for _ in range(levels - 1):
        inner = [inner]
    return {"a": inner}


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, -1, 0, LARGEST, -LARGEST, True, False, None, "a", {}, [], {"b": [{}]}]},
        {"a": [0.5, 0.25, 1.000001, 2.5, 8_388_608.5, 9007199254.5]},
        nested(MAX_DEPTH),
        nested(MAX_DEPTH, 0.5),
        {str(i): i for i in range(300)},
    ],
    ids=["integers", "fractions", "depth", "a deep fraction", "many keys"],
)
def test_plain_statements_take_the_quick_way(value: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Which gives what the slow way gives, and is all that makes a large ledger fast: the other is not even asked."""
    slowly = canonical._write(value).encode()
    assert parse_strict(slowly, fractions=True) == value
    for name in ("_write", "parse_strict"):
        monkeypatch.setattr(canonical, name, None)
    assert encode(value) == slowly
    assert decode(slowly) == value


@pytest.mark.parametrize("number", [9007199254.5, 9007199254.25, 9007199254, 0.000001, 8_388_608.000001])
def test_both_ways_take_the_same_fractions(number: float) -> None:
    """Up to 2^53 millionths, whether what stands beside them is ASCII or not, and as a float or as a decimal."""
    count = int(Decimal(str(number)) * 10**6)
    assert millionths(number) == millionths(Decimal(str(number))) == count
    for beside in ("e", "é"):
        value = {"a": number, "b": beside}
        assert decode(encode(value)) == value


def test_the_most_millionths() -> None:
    """2^53 - 1, where a decimal says so; the double next to it may stand for another count."""
    assert millionths(Decimal(LARGEST) / 10**6) == LARGEST
    for call in (millionths, lambda number: encode({"a": number})):
        with pytest.raises(BadNumber):
            call(LARGEST / 10**6)


def test_errors_quote_what_they_refuse() -> None:
    """Its first 40 characters, however long it is."""
    digits, fraction = "1" * 50, "1." + "0" * 50
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: parse_strict(f'{{"a":{digits}}}'.encode()), digits),
        (lambda: parse_strict(f'{{"a":{fraction}}}'.encode(), fractions=True), fraction),
        (lambda: parse_strict(f'{{"a":{fraction}}}'.encode()), fraction),
        (lambda: millionths(int(digits)), digits),
    ]
    for call, text in calls:
        with pytest.raises(BadNumber) as refusal:
            call()
        assert refusal.value.text == text[:40]
    with pytest.raises(LoneSurrogate) as lone:
        encode({"a": "\ud800" + "b" * 50})
    assert lone.value.text == ascii("\ud800" + "b" * 39)


@pytest.mark.parametrize("text", ["9007199255", "9007199254.740992", "-0.000001", "-1", "1.0000001", "0.0000001"])
def test_what_counts_no_millionths(text: str) -> None:
    """2^53 of them, a negative count, and parts of one."""
    for number in (Decimal(text), float(text)):
        with pytest.raises(BadNumber):
            millionths(number)


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


@pytest.mark.parametrize("data", ["[]", "1", '"a"'])
def test_what_is_no_object_is_none_from_its_start(data: str) -> None:
    """The error names the first byte."""
    with pytest.raises(NotJson) as refusal:
        parse_strict(data.encode())
    assert refusal.value.at == 0


@pytest.mark.parametrize("before", ["", "A", "a b", "!", "\\\\", '\\"', "[", "a"])
@pytest.mark.parametrize("first", ["", '"b":[],'])
@pytest.mark.parametrize("mixed", [False, True])
def test_depth_behind_any_text(before: str, first: str, mixed: bool) -> None:
    """Brackets outside strings count, of both kinds together, whatever a string before them holds and ends with."""
    for levels, refused in ((MAX_DEPTH, False), (MAX_DEPTH + 1, True)):
        opening = "".join('{"x":' if mixed and i % 2 else "[" for i in range(levels - 1))
        closing = "".join("}" if mixed and i % 2 else "]" for i in reversed(range(levels - 1)))
        data = f'{{{first}"{before}":{opening}"a"{closing},"c":[]}}'.encode()
        if refused:
            with pytest.raises(TooDeep):
                parse_strict(data)
        else:
            assert parse_strict(data)["c"] == []


def test_the_largest_integers_in_any_layout() -> None:
    """Negative ones have a sign more, and are printed on the slow way too."""
    for number in (LARGEST, -LARGEST):
        assert parse_strict(f'{{ "a": {number} }}'.encode()) == {"a": number}
        assert decode(encode({"a": number, "b": "é"})) == {"a": number, "b": "é"}
