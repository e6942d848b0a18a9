"""Envelopes: what was signed is what is verified, and other people's DSSE tools agree."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from typing import Any

import pytest
import securesystemslib.dsse
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._key import Key as TheirKey
from securesystemslib.signer._key import SSlibKey
from securesystemslib.signer._signature import Signature as TheirSignature
from securesystemslib.signer._signer import Signer as TheirPort

from proofroom.adapters.keys import Key
from proofroom.domain import envelope as module
from proofroom.domain.envelope import Envelope, Verified, parse_envelope, sign, statement_id, verify
from proofroom.domain.errors import (
    BadField,
    BadSignature,
    UnknownKind,
)
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import pae
from proofroom.domain.statements import GRANT_WIRE, KINDS, payload_type_of
from proofroom.testing.keys import distinct_signers, signer
from proofroom.testing.statements import envelopes, payload_types, statements
from strategies.envelopes import ENVELOPE, TICK, as_dict, dumped
from strategies.statements import example_envelope, example_statement, example_verified


class TheirSigner(TheirPort):
    """Our keys behind securesystemslib's port, so that its own code encodes, signs and prints."""

    def __init__(self, key: Key) -> None:
        self._key = key

    @property
    def public_key(self) -> SSlibKey:
        """The public key, under our key id."""
        return their_key(self._key)

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri: str, public_key: TheirKey, secrets_handler: Any = None) -> TheirSigner:
        """Not needed here."""
        raise NotImplementedError

    def sign(self, payload: bytes) -> TheirSignature:
        """A signature of theirs."""
        return TheirSignature(self._key.keyid, self._key.sign(payload).hex())


def their_key(key: Key) -> SSlibKey:
    """A key of ours as theirs."""
    return SSlibKey(key.keyid, "ed25519", "ed25519", {"public": key.keyid[8:]})


# --- round trips -----------------------------------------------------------------------------------------------------


@given(envelopes())
def test_round_trip(envelope: Envelope) -> None:
    """What is signed travels as JSON, is parsed to the same envelope, and verifies to the same statement."""
    parsed = parse_envelope(envelope.to_json())
    assert parsed == envelope
    verified = verify(parsed)
    assert verified.envelope == envelope
    assert verified.statement.payload() == envelope.payload
    assert verified.keys == {s.keyid for s in envelope.signatures}
    assert verified.id == statement_id(envelope.payload_type, envelope.payload)
    assert verified.digest == "blake3:" + verified.id.hex()
    assert KINDS[envelope.payload_type] is type(verified.statement)
    assert payload_type_of(verified.kind) == envelope.payload_type


@given(envelopes(), st.randoms(use_true_random=False), st.booleans())
def test_order_and_layout_of_the_json_do_not_matter(envelope: Envelope, random: Any, urlsafe: bool) -> None:
    """Signatures in any order, keys in any order, blanks and the URL-safe alphabet give the same envelope."""
    value = as_dict(envelope)
    random.shuffle(value["signatures"])
    if urlsafe:
        value["payload"] = base64.urlsafe_b64encode(envelope.payload).decode()
        for signature in value["signatures"]:
            signature["sig"] = base64.urlsafe_b64encode(base64.b64decode(signature["sig"])).decode()
    keys = list(value)
    random.shuffle(keys)
    assert parse_envelope(json.dumps({k: value[k] for k in keys}, indent=2).encode()) == envelope
    assert parse_envelope(dumped({k: value[k] for k in keys})) == envelope


@given(st.data(), distinct_signers(), distinct_signers())
def test_statement_id_does_not_depend_on_signatures(data: st.DataObject, some: list[Key], others: list[Key]) -> None:
    """The same statement with other signatures has the same id; another statement has another."""
    statement = data.draw(payload_types().flatmap(statements))
    one, other = verify(sign(statement, *some)), verify(sign(statement, *others))
    assert one.id == other.id
    assert one.id != statement_id(one.envelope.payload_type, one.envelope.payload + b" ")


# --- DSSE ------------------------------------------------------------------------------------------------------------


def test_pae_example_of_the_specification() -> None:
    """The encoding that DSSE's own page gives for its example."""
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.text(max_size=8), st.binary(max_size=12), st.text(max_size=8), st.binary(max_size=12))
def test_pae_is_unambiguous(kind: str, payload: bytes, other_kind: str, other_payload: bytes) -> None:
    """Two pairs of type and payload never encode to the same bytes; lengths count bytes."""
    assert (pae(kind, payload) == pae(other_kind, other_payload)) == ((kind, payload) == (other_kind, other_payload))
    assert pae(kind, payload) == b" ".join(
        [b"DSSEv1", str(len(kind.encode())).encode(), kind.encode(), str(len(payload)).encode(), payload]
    )


def test_statement_id_is_frozen() -> None:
    """Statement ids stand in every ledger: grants, batches and lines are named by them."""
    assert (
        example_verified("tick", 1).digest == "blake3:b1ebbf60af7c227ae4f09fc4893d2467cbc568acd17f46c1fcb1e26b30f1d4fb"
    )


@given(st.data(), distinct_signers(most=3))
def test_their_envelope_is_accepted(data: st.DataObject, keys: list[Key]) -> None:
    """An envelope that securesystemslib encodes, signs and prints is parsed and verifies here."""
    payload_type = data.draw(payload_types())
    statement = data.draw(statements(payload_type))
    envelope = securesystemslib.dsse.Envelope(statement.payload(), payload_type, {})
    for key in keys:
        envelope.sign(TheirSigner(key))
    verified = verify(parse_envelope(json.dumps(envelope.to_dict()).encode()))
    assert verified.statement == statement
    assert verified.envelope == sign(statement, *keys)


@pytest.mark.parametrize("kind", ["activity", "grant", "vote-revealed"])
def test_our_envelope_verifies_with_theirs(kind: str) -> None:
    """Our JSON is read by securesystemslib, which verifies each signature and sees one that is false."""
    envelope = example_envelope(kind, 2)
    keys = [their_key(signer(n)) for n in (1, 2)]
    read = securesystemslib.dsse.Envelope.from_dict(as_dict(envelope))
    assert set(read.verify(list(keys), 2)) == {key.keyid for key in keys}
    assert read.payload == envelope.payload
    assert read.pae() == pae(envelope.payload_type, envelope.payload)
    read.payload += b" "
    with pytest.raises(VerificationError):
        read.verify(list(keys), 2)


@given(payload_types(), payload_types())
def test_signature_is_of_one_payload_type(one: str, other: str) -> None:
    """A signature never serves for the same bytes under another type, be it known or not."""
    payload = example_statement("tick").payload()
    key = signer(1)
    signature = Signature(key.keyid, key.sign(pae(one, payload)))
    module.verify_signatures(Envelope(one, payload, (signature,)))
    for wrong in {other, one + "x", GRANT_WIRE, ""} - {one}:
        with pytest.raises(BadSignature):
            module.verify_signatures(Envelope(wrong, payload, (signature,)))


def test_statement_is_of_one_kind() -> None:
    """What was signed as a tick is refused as any other kind, by its schema or by its signature."""
    envelope = example_envelope("tick", 1)
    for payload_type in KINDS:
        if payload_type != TICK:
            with pytest.raises((BadField, BadSignature)):
                verify(envelope._replace(payload_type=payload_type))
    with pytest.raises(UnknownKind):
        verify(envelope._replace(payload_type="application/vnd.proofroom.tick.v2+json"))


# --- Verified --------------------------------------------------------------------------------------------------------


def test_verified_cannot_be_made() -> None:
    """No constructor, subclass or empty instance gives a Verified that was not verified."""
    verified = example_verified()
    with pytest.raises(TypeError):
        Verified(verified.frozen, verified.keys, verified.statement, verified.id, object())
    with pytest.raises(TypeError):
        Verified(verified.frozen, verified.keys, verified.statement, verified.id, None)
    with pytest.raises(TypeError):
        type("Sub", (Verified,), {})
    with pytest.raises(AttributeError):
        _ = Verified.__new__(Verified).statement


@pytest.mark.parametrize("name", ["envelope", "frozen", "statement", "id", "keys", "kind", "other"])
def test_verified_never_changes(name: str) -> None:
    """No field of a Verified can be set, and none can be taken out."""
    verified = verify(ENVELOPE)
    with pytest.raises(AttributeError):
        setattr(verified, name, getattr(verified, name, None))
    with pytest.raises(AttributeError):
        delattr(verified, name)
    assert verified.envelope == ENVELOPE


def test_statement_inside_never_changes() -> None:
    """What was verified cannot be changed in place either: no field, and nothing inside a field."""
    verified = verify(example_envelope("vote-revealed", 1))
    with pytest.raises((TypeError, ValueError)):
        verified.statement.round = 5  # type: ignore[attr-defined]  # of a kind that has it
    with pytest.raises((TypeError, AttributeError)):
        verified.statement.vote.reasons["unobserved"] = ""  # type: ignore[attr-defined]  # of a kind that has it
    assert verified.statement.payload() == verified.envelope.payload
    grant = verify(example_envelope("grant", 1))
    scopes = grant.statement.metadata.scopes  # type: ignore[attr-defined]  # of a kind that has it
    with pytest.raises((TypeError, AttributeError)):
        scopes.append(scopes[0])
    assert grant.statement.payload() == grant.envelope.payload


def test_copies_are_the_same() -> None:
    """A copy of a Verified is itself or was verified again; a copy with changes is not to be had."""
    verified = example_verified()
    assert copy.copy(verified) is verified
    assert copy.deepcopy(verified).envelope == verified.envelope
    assert not hasattr(verified, "_replace")
    assert not hasattr(verified, "__replace__")
    assert not hasattr(verified, "model_copy")


@given(st.sampled_from(["activity", "grant", "tick", "vote-revealed"]), st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_pickle_verifies_again(kind: str, protocol: int) -> None:
    """Between processes the bytes travel, and whoever changes them on the way is refused."""
    verified = example_verified(kind)
    pickled = pickle.dumps(verified, protocol)
    back = pickle.loads(pickled)  # noqa: S301 -- our own bytes
    assert isinstance(back, Verified)
    assert (back.envelope, back.statement, back.id, back.keys) == (
        verified.envelope, verified.statement, verified.id, verified.keys,
    )  # fmt: skip
    rebuild, arguments = verified.__reduce__()
    assert rebuild is verify
    assert arguments == (verified.envelope,)


def test_changed_pickle_is_refused() -> None:
    """A pickle whose payload was changed does not load."""
    pickled = pickle.dumps(example_verified("tick"), 5)
    assert b'"index":7' in pickled
    with pytest.raises(BadSignature):
        pickle.loads(pickled.replace(b'"index":7', b'"index":8'))  # noqa: S301 -- our own bytes


def test_errors_know_their_key() -> None:
    """A refusal names the key whose signature is false."""
    one, two, _ = ENVELOPE.signatures
    with pytest.raises(BadSignature) as refusal:
        verify(ENVELOPE._replace(signatures=(one, two._replace(value=one.value))))
    assert refusal.value.keyid == two.keyid
