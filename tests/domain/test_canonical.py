"""Canonical JSON, held against the independent JCS library ``rfc8785``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from proofroom.domain import canonical
from proofroom.domain.canonical import MAX_DEPTH, MAX_PAYLOAD, MAX_SAFE_INTEGER, decode, encode
from proofroom.domain.errors import (
    BadNumber,
    DuplicateKey,
    LoneSurrogate,
    Malformed,
    NotCanonical,
    NotJson,
    ProofroomError,
    TooDeep,
    TooLarge,
)
from proofroom.testing.bytes import EXACT_MILLIONTHS, json_ish, json_values, micro, mutated, statement_like
from strategies.statements import example_statement

UNICODE_KEYS = st.text(max_size=4) | st.sampled_from(["\ue000", "\uffff", "\U00010000", "😀", "é", "z"])
VALID = example_statement("activity").payload()


def decode_slowly(payload: bytes) -> dict[str, Any]:
    """What ``decode`` is by its definition: parse strictly, print, compare."""
    value = canonical.parse_strict(payload, fractions=True)
    if encode(value) != payload:
        raise NotCanonical(at=0)
    return value


def verdict(read: Any, payload: bytes) -> Any:
    """The value that is read, or that it was refused."""
    try:
        return read(payload)
    except ProofroomError:
        return "refused"


# --- agreement with JCS ----------------------------------------------------------------------------------------------


@given(statement_like(UNICODE_KEYS))
def test_encode_is_jcs(value: dict[str, Any]) -> None:
    """What statements may hold is printed as the JCS library prints it, keys beyond the BMP included."""
    assert encode(value) == rfc8785.dumps(value)


@given(statement_like())
def test_decode_reads_what_jcs_prints(value: dict[str, Any]) -> None:
    """What the JCS library prints is read back to the same value, types included."""
    payload = rfc8785.dumps(value)
    assert decode(payload) == value
    assert encode(decode(payload)) == rfc8785.dumps(decode(payload)) == payload


@given(json_ish())
@example(b'{"a":1.0}')
@example(b'{"a":-0.0}')
@example(b'{"a":9007199254740992}')
@example('{"\ue000":1,"\U00010000":2}'.encode())
def test_decode_accepts_only_jcs(payload: bytes) -> None:
    """Of any bytes, a value comes back only if they are that value's JCS form; otherwise one of our errors."""
    try:
        value = decode(payload)
    except Malformed:
        return
    assert rfc8785.dumps(value) == payload


@given(json_ish())
@example(b'{"a":-1.5}')
@example(b'{"a":1e-7}')
@example(b'{"a":' * 17 + b"0" + b"}" * 17)
@example('{"\U00010000":1,"\ue000":2}'.encode())
@example(b'{"a":123456789012345.6}')
def test_quick_way_gives_the_verdict_of_the_slow_way(payload: bytes) -> None:
    """The fast parser only saves time: value or refusal are those of the strict parser and printer."""
    assert verdict(decode, payload) == verdict(decode_slowly, payload)


@given(mutated(VALID))
def test_changed_payload_is_refused_or_means_something_else(payload: bytes) -> None:
    """One change to a valid payload is refused, or gives the JCS form of another value: never the same value again."""
    assert verdict(decode, payload) == verdict(decode_slowly, payload)
    try:
        value = decode(payload)
    except Malformed:
        return
    assert rfc8785.dumps(value) == payload
    assert value != decode(VALID) or payload == VALID


@given(statement_like(), st.sampled_from([" ", "\n", "\t"]), st.booleans())
def test_other_layout_is_not_canonical(value: dict[str, Any], blank: str, escape: bool) -> None:
    """The same value in another layout parses strictly, and is refused where canonical bytes are needed."""
    payload = json.dumps(value, ensure_ascii=escape, separators=("," + blank, ":" + blank)).encode() + blank.encode()
    with pytest.raises((NotCanonical, BadNumber)):
        decode(payload)


# --- numbers ---------------------------------------------------------------------------------------------------------


@given(micro())
@example(0)
@example(1)
@example(EXACT_MILLIONTHS)
def test_six_decimals_round_trip(count: int) -> None:
    """Every count of millionths has one text, and is read back from it exactly, by us and by JCS."""
    text = canonical.number_text(count)
    value = json.loads(text)
    assert canonical.millionths(value) == canonical.millionths(Decimal(text)) == count
    assert decode(f'{{"gpu_units":{text}}}'.encode()) == {"gpu_units": value}
    assert encode({"gpu_units": value}) == rfc8785.dumps({"gpu_units": value}) == f'{{"gpu_units":{text}}}'.encode()


@given(st.integers(0, MAX_SAFE_INTEGER))
@example(9_007_199_253_740_991)
def test_number_is_read_exactly_or_refused(count: int) -> None:
    """Beyond 2^33 units doubles lie further apart than millionths: a text is then refused, never read as another count."""
    text = canonical.number_text(count)
    try:
        value = decode(f'{{"gpu_units":{text}}}'.encode())
    except (NotCanonical, BadNumber):
        assert count > EXACT_MILLIONTHS
    else:
        assert canonical.millionths(value["gpu_units"]) == count


@given(st.integers(0, 99_999), st.integers(7, 9), st.data())
def test_seven_decimals_are_refused(whole: int, decimals: int, data: st.DataObject) -> None:
    """A number with more than six decimals has no count of millionths."""
    tail = data.draw(st.integers(1, 10**decimals - 1).filter(lambda n: n % 10 != 0))
    text = f"{whole}.{tail:0{decimals}d}"
    for number in (Decimal(text), float(text)):
        with pytest.raises(BadNumber):
            canonical.millionths(number)
    with pytest.raises(BadNumber):
        canonical.parse_strict(f'{{"a":{text}}}'.encode(), fractions=True)


@pytest.mark.parametrize("number", [-1, -0.5, MAX_SAFE_INTEGER, float("inf"), float("nan"), Decimal("Infinity"), 1e300])
def test_invalid_millionths(number: float | Decimal) -> None:
    """A negative, infinite or huge number counts no millionths."""
    with pytest.raises(BadNumber):
        canonical.millionths(number)


@pytest.mark.parametrize(
    "text",
    [
        "9007199254740992", "-9007199254740992", "9007199254740993", "18446744073709551616", "1" + "0" * 400,
        "-0", "-0.0", "0.0", "1.0", "1.50", "1e16", "1E2", "1e400", "0.1e1", "1e-7", "-1.5", "0.0000001", "1.1234567",
        "NaN", "Infinity", "-Infinity",
    ],
)  # fmt: skip
def test_invalid_number(text: str) -> None:
    """Each of these numbers is read differently by some parser, or has no exact place in a statement."""
    with pytest.raises(BadNumber):
        decode(f'{{"a":{text}}}'.encode())


@pytest.mark.parametrize(
    "text", ["9007199254740992", "-9007199254740992", "-0", "1e16", "1.0", "0.5", "NaN", "-Infinity"]
)
def test_invalid_number_has_its_error_in_any_layout(text: str) -> None:
    """The strict parser without fractions names a number that it will not take."""
    with pytest.raises(BadNumber) as refusal:
        canonical.parse_strict(f'{{ "a" : {text} }}'.encode())
    assert refusal.value.text == text


@pytest.mark.parametrize("number", [MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER, 0, -1])
def test_largest_integers_stand(number: int) -> None:
    """2^53-1 is the last integer on both sides."""
    assert decode(encode({"a": number})) == {"a": number}


@pytest.mark.parametrize("number", [2**53, -(2**53), 1.1234567, -0.5, float("nan"), float("inf")])
def test_encode_invalid_number(number: float) -> None:
    """What could not be read back is not printed."""
    for holder in (number, [number], (number,)):
        with pytest.raises(BadNumber):
            encode({"a": holder})


# --- each refusal has its own error ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", NotJson),
        (b"{}x", NotJson),
        (b"{}{}", NotJson),
        (b"{}\x00", NotJson),
        (b"[]", NotJson),
        (b"null", NotJson),
        (b'"a"', NotJson),
        (b"1", NotJson),
        (b'{"a":1', NotJson),
        (b"{'a':1}", NotJson),
        (b'{"a":1,}', NotJson),
        (b'{"a":01}', NotJson),
        (b'{"a":+1}', NotJson),
        (b'{"a":"\n"}', NotJson),
        (b'{"a":"\x00"}', NotJson),
        (b"\xef\xbb\xbf{}", NotJson),
        ('{"a":1}'.encode("utf-16"), NotJson),
        (b"\xff", NotJson),
        (b'{"a":"\xc0\x80"}', NotJson),
        (b'{"a":"\xed\xa0\x80"}', NotJson),
        (b'{"a":1,"a":1}', DuplicateKey),
        (b'{"a":1,"\\u0061":2}', DuplicateKey),
        (b'{"b":{"a":1,"a":2}}', DuplicateKey),
        (b'{"a":"\\ud800"}', LoneSurrogate),
        (b'{"a":["\\udc00\\ud800"]}', LoneSurrogate),
        (b'{"\\ud800":1}', LoneSurrogate),
        (b"{} ", NotCanonical),
        (b" {}", NotCanonical),
        (b'{"a": 1}', NotCanonical),
        (b'{"b":1,"a":2}', NotCanonical),
        (b'{"a":"\\u0041"}', NotCanonical),
        (b'{"a":"\\u007f"}', NotCanonical),
        (b'{"a":"\\/"}', NotCanonical),
        (b'{"a":"\\u000a"}', NotCanonical),
        (b'{"a":"\\u001F"}', NotCanonical),
        (b'{"a":"\\u00e9"}', NotCanonical),
        (b'{"a":"\\ud83d\\ude00"}', NotCanonical),
        ('{"\ue000":1,"\U00010000":2}'.encode(), NotCanonical),
    ],
)
def test_invalid_payload(payload: bytes, error: type[ProofroomError]) -> None:
    """Each way of not being canonical JSON has an error of its own."""
    with pytest.raises(ProofroomError) as refusal:
        decode(payload)
    assert type(refusal.value) is error


def test_keys_beyond_the_bmp_are_in_utf16_order() -> None:
    """U+10000 sorts before U+E000, since its first UTF-16 unit is D800 (RFC 8785 3.2.3)."""
    payload = '{"\U00010000":1,"\ue000":2}'.encode()
    assert rfc8785.dumps({"\ue000": 2, "\U00010000": 1}) == payload
    assert encode({"\ue000": 2, "\U00010000": 1}) == payload
    assert decode(payload) == {"\U00010000": 1, "\ue000": 2}


@pytest.mark.parametrize("text", ["\x7f", "\u2028", "é", "😀", "/", "\\n", '"'])
def test_only_what_must_be_is_escaped(text: str) -> None:
    """JCS escapes quotes, backslashes and controls below U+0020, and nothing else."""
    payload = rfc8785.dumps({"a": text})
    assert encode({"a": text}) == payload
    assert decode(payload) == {"a": text}


def test_encode_lone_surrogate() -> None:
    """A string that UTF-8 cannot carry is not printed, as key or as value."""
    for value in ({"a": "\ud800"}, {"\udfff": 1}):
        with pytest.raises(LoneSurrogate):
            encode(value)


@pytest.mark.parametrize(
    "text", ['{"a":"\\ud800"}', '{"\\udc00":1}', '{"a":[{"b":"x\\ud83d"}]}', '{"a":"\\ude00\\ud83d"}']
)
def test_lone_surrogate_is_seen_in_any_layout(text: str) -> None:
    """The strict parser refuses half a pair by itself, since a wallet's payload is never printed again."""
    with pytest.raises(LoneSurrogate):
        canonical.parse_strict(text.encode())


def test_duplicate_key_is_named() -> None:
    """The error names the first key that stands twice."""
    with pytest.raises(DuplicateKey) as refusal:
        decode(b'{"a":1,"b":2,"b":3,"a":4}')
    assert refusal.value.key == "b"


@pytest.mark.parametrize(
    ("payload", "at"), [(b'{"a":1} ', 7), (b'{"a": 1}', 5), (b'{"b":1,"a":2}', 2), (b'{"a":"\\u0041"}', 6)]
)
def test_not_canonical_says_where(payload: bytes, at: int) -> None:
    """The error names the first byte that differs from the canonical form."""
    with pytest.raises(NotCanonical) as refusal:
        decode(payload)
    assert refusal.value.at == at


@pytest.mark.parametrize(("payload", "at"), [(b'{"a":}', 5), ('{"é":}'.encode(), 6), (b'{"a":"\xff"}', 6)])
def test_not_json_says_at_which_byte(payload: bytes, at: int) -> None:
    """The error counts bytes, as its message says, and not characters."""
    with pytest.raises(NotJson) as refusal:
        decode(payload)
    assert refusal.value.at == at


# --- size and depth --------------------------------------------------------------------------------------------------


def test_payload_of_the_full_size_is_read() -> None:
    """32 KiB are allowed, one byte more is not."""
    full = b'{"a":"' + b"x" * (MAX_PAYLOAD - 8) + b'"}'
    assert len(full) == MAX_PAYLOAD
    assert decode(full)["a"] == "x" * (MAX_PAYLOAD - 8)
    with pytest.raises(TooLarge) as refusal:
        decode(full[:-2] + b'x"}')
    assert (refusal.value.size, refusal.value.limit) == (MAX_PAYLOAD + 1, MAX_PAYLOAD)
    with pytest.raises(TooLarge):
        decode(b"\xff" * 10**6)


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_depth_has_a_limit(opening: str, closing: str) -> None:
    """Sixteen levels are read, seventeen are refused, whichever parser sees them."""

    def nested(levels: int) -> bytes:
        return ('{"a":' + opening * (levels - 1) + "0" + closing * (levels - 1) + "}").encode()

    assert canonical.parse_strict(nested(MAX_DEPTH)) == decode(nested(MAX_DEPTH))
    for read in (canonical.parse_strict, decode):
        with pytest.raises(TooDeep) as refusal:
            read(nested(MAX_DEPTH + 1))
        assert refusal.value.limit == MAX_DEPTH


@pytest.mark.parametrize("levels", [1_000, 5_000, 100_000])
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_extreme_depth_is_a_typed_error(levels: int, closed: bool, opening: str) -> None:
    """A hundred thousand levels exhaust no stack, whatever the size limit."""
    closing = "]" if opening == "[" else "}"
    data = ('{"a":' + opening * levels + (("0" + closing * levels + "}") if closed else "")).encode()
    with pytest.raises(TooDeep):
        canonical.parse_strict(data, limit=10**9)
    with pytest.raises((TooDeep, TooLarge)):
        decode(data)


def test_brackets_in_strings_are_not_depth() -> None:
    """Brackets, quotes and backslashes inside strings do not count as nesting."""
    value = {"a": "[" * 100, "b": '{"' * 100, "c": "\\" * 33, "d": '\\"[' * 20, "e": ["]" * 50]}
    assert decode(encode(value)) == canonical.parse_strict(b" " + encode(value)) == value


@given(st.text(st.sampled_from('[]{}"\\a'), max_size=60), json_values())
def test_depth_is_counted_outside_strings(text: str, value: Any) -> None:
    """No string makes a shallow object too deep."""
    wanted = {"s": text, "v": value}
    assert canonical.parse_strict(rfc8785.dumps(wanted), fractions=True) == wanted


def test_limits_are_those_of_the_protocol() -> None:
    """They bind every ledger: another number would be another protocol (protocol 1.1)."""
    assert (MAX_PAYLOAD, MAX_DEPTH, MAX_SAFE_INTEGER, canonical.MILLIONTHS) == (
        32_768,
        16,
        9_007_199_254_740_991,
        1_000_000,
    )


def test_nothing_counts_as_nothing() -> None:
    """Zero millionths, however it is written."""
    assert [canonical.millionths(zero) for zero in (0, 0.0, Decimal("0.000000"))] == [0, 0, 0]


@dataclass
class _Pair:
    left: int


@pytest.mark.parametrize("value", [_Pair(1), datetime(2026, 3, 1, tzinfo=UTC)])
def test_what_is_no_json_has_no_form(value: Any) -> None:
    """No printer may choose one for it."""
    with pytest.raises(TypeError):
        encode({"a": value})
