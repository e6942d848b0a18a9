"""Envelopes just within their form, and just beyond: how many signatures, how large, of which kinds, in which order."""

from __future__ import annotations

from typing import Any

import pytest

from proofroom.domain.canonical import MAX_PAYLOAD
from proofroom.domain.entry import entry_bytes, parse_entry
from proofroom.domain.envelope import (
    Envelope,
    check_form,
    join,
    parse_envelope,
    sign,
    sign_rooted,
    verify,
)
from proofroom.domain.errors import BadEnvelope, TooLarge
from proofroom.domain.ids import KeyId
from proofroom.domain.rooted import RootedPath
from proofroom.domain.signatures import Signature, encode_signatures
from proofroom.domain.statements import KINDS, payload_type_of
from proofroom.testing.keys import signer
from strategies.envelopes import ENVELOPE, dumped, wire
from strategies.statements import example, example_statement

TICK = payload_type_of("tick")
MOST, SIGNATURES = 96 * 1024, 80
"""The limits as numbers: what they are called would change with them."""


def with_signatures(count: int) -> Envelope:
    """An envelope with so many, of which nothing but the form is right."""
    return Envelope(TICK, b"{}", tuple(Signature(KeyId(f"ed25519:{i:064x}"), bytes(64)) for i in range(count)))


def test_how_many_signatures() -> None:
    """From 1 to 80."""
    for count in (1, SIGNATURES):
        check_form(with_signatures(count))
    for count in (0, SIGNATURES + 1):
        with pytest.raises(BadEnvelope, match=f"it has {count} signatures"):
            check_form(with_signatures(count))


@pytest.mark.parametrize(
    "changes",
    [
        {"payload_type": TICK.encode()},
        {"payload": bytearray(b"{}")},
        {"payload": "{}"},
        {"signatures": []},
        {"signatures": None},
    ],
)
def test_parts_of_another_type(changes: dict[str, Any]) -> None:
    """What could change after it was checked, or is of another type at all."""
    with pytest.raises(BadEnvelope, match="its parts are not text and bytes"):
        check_form(with_signatures(1)._replace(**changes))


@pytest.mark.parametrize("parts", [(signer(1).keyid, bytearray(64)), (b"ed25519:", bytes(64)), (None, None)])
def test_parts_of_a_signature_of_another_type(parts: tuple[Any, Any]) -> None:
    """Nor in what stands beside the payload."""
    with pytest.raises(BadEnvelope, match="its parts are not text and bytes"):
        check_form(with_signatures(1)._replace(signatures=(Signature(*parts),)))


@pytest.mark.parametrize("kind", ["activity", "grant", "tick"])
def test_all_kinds_but_the_wallets_may_be_signed_by_a_tree(kind: str) -> None:
    """Before the wire form in order, right behind it, and last."""
    (envelope,) = sign_rooted([example_statement(kind)], signer(1))
    check_form(envelope)
    place = RootedPath(1, 0, b"")
    of_a_wallet = parse_envelope(dumped(wire()))
    rooted = of_a_wallet._replace(signatures=(of_a_wallet.signatures[0]._replace(rooted=place),))
    with pytest.raises(BadEnvelope, match="a wallet signs the wire form directly"):
        check_form(rooted)


def test_each_statement_under_a_tree_is_checked() -> None:
    """The wallet's among them too, wherever it stands."""
    by_wallet = verify(parse_envelope(dumped(wire()))).statement
    for statements in ([by_wallet, example_statement("tick")], [example_statement("tick"), by_wallet]):
        with pytest.raises(BadEnvelope, match="a wallet signs the wire form directly"):
            sign_rooted(statements, signer(1))


def test_trees_are_of_256() -> None:
    """If nothing else is asked for; what is left over has one of its own."""
    envelopes = sign_rooted([example_statement("tick")] * 257, signer(1))
    places = [envelope.signatures[0].rooted for envelope in (envelopes[0], envelopes[255], envelopes[256])]
    assert [place and (place.size, place.position) for place in places] == [(256, 0), (256, 255), (1, 0)]


def test_joining() -> None:
    """One alone is itself; of two statements, in either order, there is none."""
    one, other = (sign(example_statement(kind), signer(i)) for i, kind in enumerate(("activity", "tick")))
    assert join(one) == one
    for pair in ((one, other), (other, one)):
        with pytest.raises(BadEnvelope, match="different statements"):
            join(*pair)


def test_the_largest_statement() -> None:
    """32 KiB are signed, and not a byte more."""
    value, kind = example("grant"), KINDS[payload_type_of("grant")]
    limits = value["metadata"]["limits"]
    limits["operations"] = ["\U0001f600" * 256] * 31
    many, rest = divmod(MAX_PAYLOAD - len(kind.model_validate(value).payload()), len(',""') + 256)
    limits["operations"] += ["x" * 256] * many + ["x" * (rest - len(',""'))]
    assert len(sign(kind.model_validate(value), signer(1)).payload) == MAX_PAYLOAD
    limits["operations"][-1] += "x"
    with pytest.raises(TooLarge):
        sign(kind.model_validate(value), signer(1))


@pytest.mark.parametrize("name", ["algorithm", "signer", "value"])
def test_parts_of_a_wallets_signature(name: str) -> None:
    """Each must be there, under its own name."""
    value = wire()
    there = value["signature"].pop(name)
    for signature in (
        value["signature"],
        value["signature"] | {"other": there},
        value["signature"] | {name: there, "other": 1},
    ):
        with pytest.raises(BadEnvelope, match=r"not \{algorithm, signer, value\}"):
            parse_envelope(dumped(value | {"signature": signature}))


def test_what_an_entry_keeps_of_a_wallets_grant() -> None:
    """Is read as such, and travels in the wallet's form again."""
    envelope = parse_envelope(dumped(wire()))
    data = entry_bytes(3, 5, envelope.payload_type, envelope.payload, encode_signatures(envelope.signatures))
    kept = parse_entry(data)[2]
    assert kept.to_json() == envelope.to_json()
    assert verify(kept).kind == verify(envelope).kind
    assert b"payloadType" not in envelope.to_json()
    assert b"payloadType" in ENVELOPE.to_json()


@pytest.mark.parametrize("length", range(1_200, 1_212))
def test_a_wallets_payload_with_and_without_padding(length: int) -> None:
    """Reads the same, whatever its length."""
    value = wire(b" " * length)
    bare = value | {"payload": value["payload"].rstrip("=")}
    assert parse_envelope(dumped(bare)) == parse_envelope(dumped(value))
    assert parse_envelope(dumped(value)).payload == b" " * length


def test_how_long_an_envelope_is() -> None:
    """At most 96 KiB, written compactly or not."""
    value = {"payload": "", "payloadType": TICK, "signatures": []}
    loose = dumped(value).replace(b":", b": ", 1)
    for data in (dumped(value | {"payload": "A" * 4}), loose):
        parse_envelope(data)
    assert parse_envelope(loose + b" " * (MOST - len(loose))).payload_type == TICK
    with pytest.raises(TooLarge):
        parse_envelope(loose + b" " * (MOST + 1 - len(loose)))
    room = MOST - len(dumped(value))
    for spare in (0, 1, 2, 3):  # the payload is base64, and so a multiple of 4; the type takes the rest
        full = dumped(value | {"payload": "A" * (room // 4 * 4), "payloadType": TICK + "x" * (room % 4 + spare)})
        assert len(full) == MOST + spare
        if spare:
            with pytest.raises(TooLarge):
                parse_envelope(full)
        else:
            assert len(parse_envelope(full).payload) == room // 4 * 3
