"""The verifier's entries, fields and numbers: for each limit what is just within it, and what is just beyond."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from proofroom.domain.entry import entry_bytes
from proofroom.domain.envelope import sign_rooted
from proofroom.domain.ids import KeyId
from proofroom.domain.signatures import Signature, encode_signatures
from proofroom.domain.signing import pae
from proofroom.domain.verifier import entry as v
from proofroom.domain.verifier.verdict import Fault
from proofroom.testing.histories import make_genesis
from proofroom.testing.keys import key

TICK, WIRE = (f"application/vnd.proofroom.{kind}.v1+json" for kind in ("tick", "grant-wire"))


def signed(payload: bytes, message: bytes | None = None, kind: str = TICK) -> bytes:
    """An entry whose one signature is over this message, or what its kind has signed."""
    value = key("a").sign(pae(kind, payload) if message is None else message)
    return entry_bytes(3, 5, kind, payload, encode_signatures((Signature(KeyId(key("a").keyid), value),)))


def entry(body: dict[str, Any], *signers: str) -> v.Entry:
    """An entry that says this."""
    return v.Entry(7, 0, "tick", "blake3:", frozenset(signers), body)


def test_an_entry_stays_what_was_verified() -> None:
    """Nothing of it can be set."""
    with pytest.raises(AttributeError):
        entry({}).index = 8  # type: ignore[misc]  # that is the test


def test_an_entry_has_a_signature() -> None:
    """Without any it is none, whatever it says and however long it claims to be; nor with a payload type that is no text."""
    assert v.parse_entry(signed(b"{}")).signers == {key("a").keyid}
    short, long = (entry_bytes(3, 5, TICK, payload, b"") for payload in (b"{}", b'{"a":"%b"}' % (b"x" * 300)))
    longer = [data.replace(bytes([n, 123]), bytes([n + 1, 123])) for data, n in ((short, 2), (long, 52))]
    assert [a != b for a, b in zip(longer, (short, long), strict=True)] == [True, True]
    for data in (short, long, *longer, signed(b"{}").replace(b"tick", b"t\xffck")):
        with pytest.raises(Fault, match=r"not of their form|cut short"):
            v.parse_entry(data)


def test_length_of_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as C2SP's bundles can hold, and one byte longer."""
    monkeypatch.setattr("proofroom.domain.entry.MAX_ENTRY", 2**17)
    room = 65_535 - len(signed(b'{"a":""}'))
    assert v.parse_entry(signed(b'{"a":"%b"}' % (b"x" * room))).index == 3
    with pytest.raises(Fault, match="not of their form"):
        v.parse_entry(signed(b'{"a":"%b"}' % (b"x" * (room + 1))))


def test_what_a_wallet_signs() -> None:
    """A grant in the wallets' wire form is signed as it is; all other kinds with their type."""
    assert v.parse_entry(signed(b"{}", b"{}", WIRE)).kind == "grant-wire"
    for data in (signed(b"{}", None, WIRE), signed(b"{}", b"{}")):
        with pytest.raises(Fault, match="does not verify"):
            v.parse_entry(data)


def test_a_tree_of_one() -> None:
    """A root may be over a single statement, whose path is empty."""
    statement = make_genesis()
    (envelope,) = sign_rooted([statement], key("a"))
    data = entry_bytes(0, 5, envelope.payload_type, envelope.payload, encode_signatures(envelope.signatures))
    assert v.parse_entry(data).signers == {key("a").keyid}
    assert envelope.signatures[0].rooted == (1, 0, b"")


def test_exactly_these_keys() -> None:
    """Nobody besides, nobody missing, and nobody in two roles."""
    entry({}, "a", "b").signed_by("b", "a")
    for keys in (("a",), ("a", "b", "c"), ("a", "c"), ("a", "a"), ("a", "b", "b"), ()):
        with pytest.raises(Fault, match="is not signed by whom it must be"):
            entry({}, "a", "b").signed_by(*keys)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("1970-01-01T00:00:01Z", 1_000), ("1970-01-01T00:00:00.001Z", 1), ("2026-03-01T09:00:00.999Z", 1_772_355_600_999)],
)
def test_times(text: str, ms: int) -> None:
    """To the millisecond."""
    assert entry({"at": {"time": text}}).time("at.time") == ms


def test_fields() -> None:
    """Of exactly the type, wherever they stand."""
    body = {"a": {"b": 1, "c": True}, "d": [1]}
    assert entry(body).get("a.b", int) == 1
    for path, kind in (("a.c", int), ("a.b", bool), ("a.b.c", int), ("d.0", int), ("x", str), ("a", list)):
        with pytest.raises(Fault, match="has no") as raised:
            entry(body).get(path, kind)
        assert raised.value.at == 7


def test_numbers() -> None:
    """Integers that every parser holds exactly, and at most six decimals."""
    top = 2**53 - 1
    assert v.parse_json(b'{"a":%d,"b":%d}' % (top, -top)) == {"a": top, "b": -top}
    body = b'{"a":1234567890123456.123456,"b":0.1}'
    assert v.parse_json(body) == {"a": Decimal("1234567890123456.123456"), "b": Decimal("0.1")}
    for number in (
        *(str(n) for n in (top + 1, top + 2, -top - 1, -top - 2, 10**17, 10**30)),
        "12345678901234567.1",
        "0.1234567",
        "1e3",
        "1.5e3",
        "-0.5",
        "NaN",
        "Infinity",
    ):
        with pytest.raises(Fault, match="not strict JSON"):
            v.parse_json(b'{"a":%b}' % number.encode())


def test_objects() -> None:
    """However many keys, each once; and an object, with no half of a character."""
    many = {f"k{i}": i for i in range(300)}
    assert v.parse_json(json.dumps(many).encode()) == many
    assert v.parse_json(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    for data in (b'{"a":1,"b":2,"a":1}', b'{"a":"\\ud83d"}', b'{"a":"\xff"}', b'{"a":' * 100_000):
        with pytest.raises(Fault, match="not strict JSON"):
            v.parse_json(data, 3)
    with pytest.raises(Fault, match="not a JSON object"):
        v.parse_json(b"[]")


def test_canonical_form() -> None:
    """Sorted, without blanks, in UTF-8; what has no such form is refused: fractions, half characters, depths beyond any file's."""
    assert v.canonical({"b": [1, "\u00e9"], "a": {}}) == '{"a":{},"b":[1,"\u00e9"]}'.encode()
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (Decimal("0.5"), "\ud83d", deep):
        with pytest.raises(Fault, match="an object has a fraction"):
            v.canonical({"a": value})


def test_digests() -> None:
    """What stands behind the first colon, in hex digits."""
    assert v.untag("blake3:00ff") == b"\x00\xff"
    for text in ("blake3:0", "blake3:zz", "blake3:00:ff"):
        with pytest.raises(Fault, match="hex digits"):
            v.untag(text)


def test_the_only_one() -> None:
    """None or several of a kind are not one."""
    tick = entry({})
    assert v.one([tick], "tick") is tick
    for entries in ([], [tick, tick], [tick] * 3):
        with pytest.raises(Fault, match=f"has {len(entries)} entries"):
            v.one(entries, "tick")
