"""What is no envelope: any change of one is seen, and each fault has its own error, in DSSE and in the wallets' wire form."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.keys import Key
from proofroom.domain import canonical
from proofroom.domain import envelope as module
from proofroom.domain.envelope import MAX_ENVELOPE, MAX_SIGNATURES, Envelope, parse_envelope, sign, statement_id, verify
from proofroom.domain.errors import (
    BadBase64,
    BadEnvelope,
    BadField,
    BadKeyId,
    BadRooted,
    BadSignature,
    DuplicateKey,
    DuplicateSignature,
    Malformed,
    NotCanonical,
    NotJson,
    ProofroomError,
    TooDeep,
    TooLarge,
)
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import pae
from proofroom.domain.statements import GRANT_WIRE, KINDS, payload_type_of
from proofroom.testing.bytes import bit_flipped, mutated
from proofroom.testing.keys import signer, signers
from strategies.envelopes import ENVELOPE, JSON, TICK, as_dict, dumped, wire, wire_payload
from strategies.statements import example, example_statement

# --- changed bytes ---------------------------------------------------------------------------------------------------


def same_or_refused(data: bytes, envelope: Envelope) -> None:
    """The bytes are refused, or verify as exactly this envelope."""
    try:
        verified = verify(parse_envelope(data))
    except Malformed:
        return
    assert verified.envelope == envelope


@given(bit_flipped(JSON))
def test_turned_bit_is_seen(data: bytes) -> None:
    """One bit turned anywhere in the JSON is refused, or leaves the envelope what it was."""
    same_or_refused(data, ENVELOPE)


@given(mutated(JSON))
def test_change_is_seen(data: bytes) -> None:
    """So is any other small change."""
    same_or_refused(data, ENVELOPE)


@given(st.data())
def test_change_of_the_payload_is_seen(data: st.DataObject) -> None:
    """A payload that was changed in any way does not verify under the signatures it had."""
    payload = data.draw(mutated(ENVELOPE.payload).filter(lambda changed: changed != ENVELOPE.payload))
    with pytest.raises(Malformed):
        verify(ENVELOPE._replace(payload=payload))


@given(bit_flipped(dumped(wire())))
def test_turned_bit_in_the_wire_form_is_seen(data: bytes) -> None:
    """One bit turned in the wallet's form is refused, or leaves the envelope what it was."""
    same_or_refused(data, parse_envelope(dumped(wire())))


@given(st.binary(max_size=60))
def test_any_bytes_are_an_envelope_or_a_typed_error(data: bytes) -> None:
    """Nothing but our own errors comes out of the parser."""
    with pytest.raises(Malformed):
        parse_envelope(data)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["keyid", "sig", "rooted"]) | st.text(max_size=3), inner)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "signature"]), JSON_VALUES), st.booleans()
)
def test_odd_fields_are_a_typed_error(value: dict[str, Any], compact: bool) -> None:
    """Fields of any type in any place are refused with our own errors, by the quick parser and by the strict one."""
    data = dumped(value) if compact else json.dumps(value).encode()
    try:
        envelope = parse_envelope(data)
    except Malformed:
        return
    with pytest.raises(Malformed):
        verify(envelope)


@given(st.sampled_from(["algorithm", "signer", "value", "payload"]), JSON_VALUES)
def test_odd_wire_fields_are_a_typed_error(field: str, odd: Any) -> None:
    """So it is in the wallet's form."""
    value = wire()
    if field == "payload":
        value["payload"] = odd
    else:
        value["signature"][field] = odd
    with pytest.raises(Malformed):
        verify(parse_envelope(dumped(value)))


# --- refusals --------------------------------------------------------------------------------------------------------


def with_changes(**changes: Any) -> bytes:
    """The example's JSON with fields changed; ``None`` takes a field out."""
    return dumped({k: v for k, v in (as_dict(ENVELOPE) | changes).items() if v is not None})


def with_signature(**changes: Any) -> bytes:
    """The example's JSON with fields of its first signature changed; ``None`` takes a field out."""
    signatures = as_dict(ENVELOPE)["signatures"]
    signatures[0] = {k: v for k, v in (signatures[0] | changes).items() if v is not None}
    return with_changes(signatures=signatures)


SIG = base64.b64encode(ENVELOPE.signatures[0].value).decode()
PAYLOAD = base64.b64encode(ENVELOPE.payload).decode()
KEY = ENVELOPE.signatures[0].keyid


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotJson),
        (b"[]", NotJson),
        (JSON + b"x", NotJson),
        (b"\xef\xbb\xbf" + JSON, NotJson),
        (b"{}", BadEnvelope),
        (with_changes(signatures=None), BadEnvelope),
        (with_changes(payload=None), BadEnvelope),
        (with_changes(payloadType=None), BadEnvelope),
        (with_changes(extra=1), BadEnvelope),
        (with_changes(payloadType=1), BadEnvelope),
        (with_changes(payloadType=GRANT_WIRE), BadEnvelope),
        (with_changes(signatures={}), BadEnvelope),
        (with_changes(signatures=["x"]), BadEnvelope),
        (with_changes(signatures=[[]]), BadEnvelope),
        (with_changes(signatures=as_dict(ENVELOPE)["signatures"] * 40), BadEnvelope),
        (with_changes(payload=5), BadEnvelope),
        (with_changes(payload=PAYLOAD + "="), BadBase64),
        (with_changes(payload=PAYLOAD[:-1]), BadBase64),
        (with_changes(payload=" " + PAYLOAD), BadBase64),
        (with_changes(payload=PAYLOAD[:8] + "\n" + PAYLOAD[8:]), BadBase64),
        (with_changes(payload="é" * 4), BadBase64),
        (with_changes(payload="e31="), BadBase64),
        (with_changes(payload="AAAA===="), BadBase64),
        (with_signature(extra=1), BadEnvelope),
        (with_signature(sig=None), BadEnvelope),
        (with_signature(keyid=None), BadEnvelope),
        (with_signature(keyid=1), BadEnvelope),
        (with_signature(sig=1), BadEnvelope),
        (with_signature(keyid=KEY.upper()), BadKeyId),
        (with_signature(keyid=KEY[8:]), BadKeyId),
        (with_signature(keyid=KEY + "\n"), BadKeyId),
        (with_signature(sig=SIG.rstrip("=")), BadBase64),
        (with_signature(sig=SIG + "===="), BadBase64),
        (with_signature(sig=SIG[:-3] + chr(ord(SIG[-3]) + 1) + "=="), BadBase64),
        (with_signature(sig=""), BadSignature),
        (with_signature(sig=SIG[:-4]), BadSignature),
        (with_signature(sig="AAAA" + SIG), BadSignature),
        (with_signature(rooted={"size": 1}), BadRooted),
        (JSON.replace(b'{"payload":', b'{"payloadType":"x","payload":'), DuplicateKey),
        (JSON.replace(b'"keyid":', b'"sig":"","keyid":', 1), DuplicateKey),
        (JSON.replace(b'{"payload":', b'{"\\u0070ayload":"","payload":'), DuplicateKey),
        (b'{"payload":' * 5000, TooDeep),
        (b"[" * 90_000, TooDeep),
        (JSON + b" " * MAX_ENVELOPE, TooLarge),
        (b"\xff" * (MAX_ENVELOPE + 1), TooLarge),
    ],
)
def test_invalid_json(data: bytes, error: type[ProofroomError]) -> None:
    """Each fault of the outer object has its own error."""
    with pytest.raises(ProofroomError) as refusal:
        parse_envelope(data)
    assert type(refusal.value) is error


def test_largest_payload_with_most_signatures_fits() -> None:
    """A payload of 32 KiB with 80 signatures is within the size of an envelope."""
    signatures = tuple(sorted(Signature(signer(n).keyid, bytes(64)) for n in range(1, MAX_SIGNATURES + 1)))
    envelope = Envelope(TICK, bytes(canonical.MAX_PAYLOAD), signatures)
    assert parse_envelope(envelope.to_json()) == envelope


@given(signers(), st.binary(min_size=64, max_size=64))
def test_invalid_second_signature_by_one_key(key: Key, other: bytes) -> None:
    """A key that stands twice is refused, with the same signature or with another."""
    envelope = sign(example_statement("tick"), key, signer(99))
    for value in (key.sign(pae(TICK, envelope.payload)), other):
        doubled = as_dict(envelope)
        doubled["signatures"].append({"keyid": key.keyid, "sig": base64.b64encode(value).decode()})
        with pytest.raises((DuplicateSignature, BadSignature)) as refusal:
            verify(parse_envelope(dumped(doubled)))
        assert refusal.type is DuplicateSignature or value == other


def test_invalid_signatures() -> None:
    """None, too many, out of key order: each is refused when verified, however the envelope came about."""
    one, two, three = ENVELOPE.signatures
    with pytest.raises(BadEnvelope, match="0 signatures"):
        verify(ENVELOPE._replace(signatures=()))
    with pytest.raises(BadEnvelope, match="81 signatures"):
        verify(ENVELOPE._replace(signatures=(one,) * (MAX_SIGNATURES + 1)))
    with pytest.raises(BadEnvelope, match="order"):
        verify(ENVELOPE._replace(signatures=(two, one, three)))
    with pytest.raises(DuplicateSignature):
        verify(ENVELOPE._replace(signatures=(one, one, two)))
    with pytest.raises(BadSignature):
        verify(ENVELOPE._replace(signatures=(one, two, three._replace(value=two.value))))


def test_invalid_payload_is_seen_before_signatures() -> None:
    """A payload that is not canonical or of another schema is refused, though it was signed."""
    key = signer(1)
    for payload, error in [(b'{"index": 7}', NotCanonical), (b'{"index":7}', BadField)]:
        signature = Signature(key.keyid, key.sign(pae(TICK, payload)))
        with pytest.raises(error):
            verify(Envelope(TICK, payload, (signature,)))


def test_sign_refuses_what_could_not_be_read() -> None:
    """A statement above 32 KiB is refused before it is signed."""
    value = example("grant")
    scope = {"context": {"vaultId": "v" * 128, "scopeId": "s" * 128}}
    operations = ["\U0001f600" * 256] * 64
    value["metadata"] = {"scopes": [scope] * 64, "limits": {"operations": operations}}
    with pytest.raises(TooLarge):
        sign(KINDS[payload_type_of("grant")].model_validate(value), signer(1))
    value["metadata"]["limits"]["operations"] = operations[:8]
    assert verify(sign(KINDS[payload_type_of("grant")].model_validate(value), signer(1))).kind == "grant"


@given(st.text("AQgwEIMB8v-_+/=", max_size=9))
def test_base64_has_one_text_for_bytes(text: str) -> None:
    """In one of its two alphabets: what prints back to the same text, and nothing else, is read."""
    printed = {
        encode(raw).decode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
        if (raw := _decoded(text)) is not None
    }
    try:
        assert parse_envelope(with_changes(payload=text)).payload == _decoded(text)
    except BadBase64:
        assert text not in printed
    else:
        assert text in printed


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, altchars=b"-_" if "-" in text or "_" in text else None)
    except ValueError:
        return None


# --- the wallet wire form --------------------------------------------------------------------------------------------


@given(signers(), st.sampled_from(["", "ed25519:", "0x"]), st.booleans(), st.booleans())
def test_wire_form_is_accepted(key: Key, prefix: str, padded: bool, urlsafe: bool) -> None:
    """A wallet signs its own bytes, blanks and all; they are kept as they are, and printed in the wire form again."""
    payload = wire_payload(user_pub_key=key.keyid)
    value = wire(payload, key, signer=prefix + key.keyid[8:])
    text = (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(payload).decode()
    value["payload"] = text if padded else text.rstrip("=")
    envelope = parse_envelope(dumped(value))
    verified = verify(envelope)
    assert (verified.kind, envelope.payload_type, envelope.payload) == ("grant-wire", GRANT_WIRE, payload)
    assert verified.keys == {key.keyid}
    assert parse_envelope(envelope.to_json()) == envelope
    assert verified.id != statement_id(payload_type_of("grant"), payload)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (wire(algorithm="sr25519"), BadEnvelope),
        (wire(algorithm="Ed25519"), BadEnvelope),
        (wire(algorithm=None), BadEnvelope),
        (wire(value="0x" + "0" * 127), BadEnvelope),
        (wire(value="0x" + "G" * 128), BadEnvelope),
        (wire(value="0" * 128), BadEnvelope),
        (wire(value="0X" + "0" * 128), BadEnvelope),
        (wire(value="0x" + "0" * 128 + "\n"), BadEnvelope),
        (wire(value="0x" + "0" * 128), BadSignature),
        (wire(value="0x" + signer(2).sign(wire_payload()).hex().upper()), BadEnvelope),
        (wire(signer=signer(2).keyid[8:].upper()), BadEnvelope),
        (wire(signer="sr25519:" + signer(2).keyid[8:]), BadEnvelope),
        (wire(signer=signer(2).keyid[8:] + " "), BadEnvelope),
        (wire(signer=["a" * 64]), BadEnvelope),
        (wire(signer=signer(3).keyid[8:]), BadSignature),
        (wire(extra=1), BadEnvelope),
        (wire() | {"payload": 5}, BadEnvelope),
        (wire() | {"payload": "a"}, BadBase64),
        (wire() | {"payload": "e30"}, BadField),
        (wire() | {"payload": "e31"}, BadBase64),
        (wire() | {"payload": "e30=="}, BadBase64),
        (wire() | {"signature": "0x"}, BadEnvelope),
        (wire() | {"payloadType": GRANT_WIRE}, BadEnvelope),
        (wire(wire_payload(ledger="blake3:" + "11" * 32)), BadField),
        (wire(wire_payload(revoked=1)), BadField),
        (wire(b'{"a":1,"a":1}'), DuplicateKey),
        (wire(b"[1]"), NotJson),
        (wire(b'{"a":' * 20 + b"1" + b"}" * 20), TooDeep),
        (wire(b" " * 40_000), TooLarge),
        (wire(example_statement("tick").payload()), BadField),
    ],
)
def test_invalid_wire_form(value: dict[str, Any], error: type[ProofroomError]) -> None:
    """Each fault of the wallet's form has its own error."""
    with pytest.raises(ProofroomError) as refusal:
        verify(parse_envelope(dumped(value)))
    assert type(refusal.value) is error


def test_wire_signature_does_not_serve_in_dsse() -> None:
    """A wallet's raw signature is no DSSE signature of a grant, and a DSSE signature is none of a wire grant."""
    payload = canonical.encode(json.loads(wire_payload()))
    key = signer(2)
    raw, dsse = key.sign(payload), key.sign(pae(GRANT_WIRE, payload))
    verify(Envelope(GRANT_WIRE, payload, (Signature(key.keyid, raw),)))
    with pytest.raises(BadSignature):
        verify(Envelope(GRANT_WIRE, payload, (Signature(key.keyid, dsse),)))
    with pytest.raises(BadSignature):
        module.verify_signatures(Envelope(payload_type_of("grant"), payload, (Signature(key.keyid, raw),)))
    dsse_json = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": GRANT_WIRE,
        "signatures": [{"keyid": key.keyid, "sig": base64.b64encode(raw).decode()}],
    }
    with pytest.raises(BadEnvelope):
        parse_envelope(dumped(dsse_json))


def test_wire_grant_may_limit_fractions_of_gpu_units() -> None:
    """The page's ``gpu_units`` has up to six decimals in a wallet's grant too, in whatever layout it was signed."""
    value = json.loads(wire_payload())
    value["metadata"]["limits"]["gpu_units"] = 0.25
    assert verify(parse_envelope(dumped(wire(json.dumps(value, indent=1).encode())))).kind == "grant-wire"
