"""Bytes that are JSON, nearly JSON, or one small change away from what they were."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from proofroom.domain.canonical import MAX_SAFE_INTEGER, MILLIONTHS, number_text

EXACT_MILLIONTHS = 2**33 * MILLIONTHS - 1
"""Up to here every number of six decimals has a double of its own, and JCS prints it with these digits."""

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", '"', "\\", "/", "\x00\x1f\x7f", "\b\t\n\f\r", "é", "\u2028", "😀", "[{", "a\n"]
)
"""Strings without lone surrogates, some of the kind that printers escape differently."""

ASCII_KEYS = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=6)

SAFE_INTEGERS = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)


def micro() -> st.SearchStrategy[int]:
    """Counts of millionths, of every magnitude."""
    return st.one_of(
        st.integers(0, 2 * MILLIONTHS),
        st.integers(0, EXACT_MILLIONTHS),
        st.integers(0, 2**33 - 1).map(lambda whole: whole * MILLIONTHS),
    )


def fractions() -> st.SearchStrategy[float]:
    """Non-negative numbers of at most six decimals that are not whole."""
    return micro().filter(lambda m: m % MILLIONTHS != 0).map(lambda m: float(number_text(m)))


def json_values(keys: st.SearchStrategy[str] = ASCII_KEYS) -> st.SearchStrategy[Any]:
    """What statements may hold, a few levels deep."""
    return st.recursive(
        st.none() | st.booleans() | SAFE_INTEGERS | fractions() | TEXTS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=10,
    )


def statement_like(keys: st.SearchStrategy[str] = ASCII_KEYS) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of what statements may hold."""
    return st.dictionaries(keys, json_values(keys), max_size=5)


ODD_NUMBERS = st.sampled_from([
    "0", "-0", "0.0", "-0.0", "1.0", "1.5", "1.50", "-1.5", "1e2", "1E2", "1e16", "1e-7", "0.1e1",
    "1e400", "01", "+1", ".5", "5.", "0.000001", "0.0000001", "1.1234567", "NaN", "Infinity",
    "-Infinity", "9007199254740991", "9007199254740992", "-9007199254740992", "9007199254740993",
    "18446744073709551616", "8589934592.000001", "123456789012345.6", "0x10", "1_000", "1e", "1e5",
    "1000000000000000000000", "0.1", "0.30000000000000004",
])  # fmt: skip


def json_ish() -> st.SearchStrategy[bytes]:
    """Text made of JSON's parts, in layouts that few parsers agree on."""
    odd_strings = st.sampled_from(
        [
            '"\\u0061"',
            '"\\/"',
            '"\\ud800"',
            '"\\udc00"',
            '"\\ud83d\\ude00"',
            '"\\u007f"',
            '"\x7f"',
            '"\t"',
            "'a'",
            '"\ufeff"',
            '"\\x"',
            '"',
        ]
    )
    plain = TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False))
    blank = st.sampled_from(["", "", "", "", " ", "\n", "\ufeff", "\u00a0", "/**/"])
    key = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"é"', '"\ue000"', '"\U00010000"', "a", "1"])

    def inside(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        member = st.tuples(key, blank, inner).map(lambda m: f"{m[0]}:{m[1]}{m[2]}")
        return st.one_of(
            st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]"),
            st.lists(member, max_size=3).map(lambda items: "{" + ",".join(items) + "}"),
            st.lists(member, max_size=3, unique_by=lambda m: m.partition(":")[0]).map(
                lambda m: "{" + ",".join(sorted(m)) + "}"
            ),
        )

    scalar = ODD_NUMBERS | plain | odd_strings | st.sampled_from(["true", "false", "null", "True", "nul"])
    text = st.recursive(scalar, inside, max_leaves=6)
    member = st.tuples(key, text).map(lambda m: f"{{{m[0]}:{m[1]}}}")
    whole = st.tuples(blank, text | member, blank).map("".join)
    return whole.map(lambda t: t.encode(errors="surrogatepass")) | st.binary(max_size=20)


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """The same bytes with one change: a bit turned, a byte put in, taken out or doubled, the end cut off, two stretches swapped."""
    at = draw(st.integers(0, len(data) - 1))
    how = draw(st.sampled_from(["flip", "flip", "insert", "delete", "double", "cut", "append", "swap"]))
    head, tail = data[:at], data[at:]
    if how == "flip":
        return head + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
    if how == "insert":
        odd = st.sampled_from([b" ", b"\n", b"0", b"-", b".", b"\\", b'"', b",", b"\x00", b"\xff", b"=", b"\xc3\xa9"])
        return head + draw(odd | st.binary(min_size=1, max_size=1)) + tail
    if how == "delete":
        return head + tail[1:]
    if how == "double":
        return head + tail[:1] + tail
    if how == "cut":
        return head
    if how == "append":
        return data + draw(st.binary(min_size=1, max_size=3) | st.sampled_from([b" ", b"\n", b"{}", b"="]))
    return tail + head


@st.composite
def bit_flipped(draw: st.DrawFn, data: bytes) -> bytes:
    """The same bytes with one bit turned."""
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
