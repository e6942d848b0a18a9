"""Ed25519, strictly: the RFC's vectors verify, and everything that the RFC leaves open is refused."""

from __future__ import annotations

from hashlib import sha512

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from proofroom.adapters.keys import Key
from proofroom.domain.errors import BadKeyId, BadSignature
from proofroom.domain.ids import KeyId, keyid_of
from proofroom.domain.signing import verify_signature
from proofroom.testing.bytes import bit_flipped
from proofroom.testing.keys import signer, signers

ORDER = 2**252 + 27742317777372353535851937790883648493

RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
"""Seed, public key, message, signature (RFC 8032 7.1, tests 1 to 3)."""

SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
"""The eight points whose order divides 8."""

NOT_CANONICAL = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
"""The same points written otherwise: y not below p, or a sign where x is zero."""


def scalar(number: int) -> bytes:
    """A scalar as Ed25519 writes it."""
    return number.to_bytes(32, "little")


def forged(public_key: bytes, r: bytes, secret: int, message: bytes) -> bytes:
    """The signature that satisfies ``S B = R + H(R, A, M) A`` up to the small-order part of R, given the secret scalar of A."""
    challenge = int.from_bytes(sha512(r + public_key + message).digest(), "little") % ORDER
    return r + scalar(challenge * secret % ORDER)


def secret_scalar(key: Key) -> int:
    """The scalar behind a key (RFC 8032 5.1.5)."""
    digest = bytearray(sha512(key.seed_for_saving()).digest()[:32])
    digest[0] &= 248
    digest[31] &= 127
    digest[31] |= 64
    return int.from_bytes(digest, "little") % ORDER


@pytest.mark.parametrize(("seed", "public_key", "message", "signature"), RFC_8032)
def test_rfc_8032_vectors(seed: str, public_key: str, message: str, signature: str) -> None:
    """The RFC's signatures verify, and our signer makes the same bytes."""
    key = Key(bytes.fromhex(seed))
    assert key.keyid == "ed25519:" + public_key
    assert key.sign(bytes.fromhex(message)).hex() == signature
    verify_signature(key.keyid, bytes.fromhex(message), bytes.fromhex(signature))


@given(signers(), st.binary(max_size=200))
def test_signature_verifies(key: Key, message: bytes) -> None:
    """What a key signs verifies under its key id."""
    verify_signature(key.keyid, message, key.sign(message))


@given(signers(), st.binary(max_size=50), st.binary(max_size=50))
def test_signature_is_of_one_message_and_one_key(key: Key, message: bytes, other: bytes) -> None:
    """A signature serves neither another message nor another key."""
    signature = key.sign(message)
    if other != message:
        with pytest.raises(BadSignature):
            verify_signature(key.keyid, other, signature)
    with pytest.raises(BadSignature):
        verify_signature(signer(99).keyid, message, signature)


@given(signers(), st.binary(min_size=1, max_size=50), st.data())
def test_turned_bit_is_seen(key: Key, message: bytes, data: st.DataObject) -> None:
    """One bit turned in the signature, the message or the key, and it does not verify."""
    signature = key.sign(message)
    with pytest.raises(BadSignature) as refusal:
        verify_signature(key.keyid, message, data.draw(bit_flipped(signature)))
    assert refusal.value.keyid == key.keyid
    with pytest.raises(BadSignature):
        verify_signature(key.keyid, data.draw(bit_flipped(message)), signature)
    public_key = bytes.fromhex(key.keyid[8:])
    with pytest.raises(BadSignature):
        verify_signature(keyid_of(data.draw(bit_flipped(public_key))), message, signature)


@given(signers(), st.binary(max_size=20), st.integers(0, 200).filter(lambda n: n != 64))
def test_invalid_length(key: Key, message: bytes, length: int) -> None:
    """A signature has 64 bytes; what is cut off or added is not taken for a part of the message."""
    signature = key.sign(message)
    stretched = (signature + message + signature * 4)[:length]
    with pytest.raises(BadSignature):
        verify_signature(key.keyid, message, stretched)


@given(signers(), st.binary(min_size=1, max_size=20), st.integers(1, 20))
def test_invalid_border_between_signature_and_message(key: Key, message: bytes, shift: int) -> None:
    """The border between signature and message cannot be moved, though the bytes of both together stay the same."""
    joined = key.sign(message) + message
    for at in (64 - shift, min(64 + shift, len(joined))):
        with pytest.raises(BadSignature):
            verify_signature(key.keyid, joined[at:], joined[:at])


@given(signers(), st.binary(max_size=20))
def test_invalid_s_not_below_the_order(key: Key, message: bytes) -> None:
    """S + L satisfies the same equation and would give every statement a second signature; it is refused."""
    signature = key.sign(message)
    s = int.from_bytes(signature[32:], "little")
    for multiple in range(1, 16):
        if s + multiple * ORDER < 2**256:
            with pytest.raises(BadSignature):
                verify_signature(key.keyid, message, signature[:32] + scalar(s + multiple * ORDER))


@pytest.mark.parametrize("point", SMALL_ORDER + NOT_CANONICAL)
@pytest.mark.parametrize("r", SMALL_ORDER)
def test_invalid_small_order_key(point: str, r: str) -> None:
    """Under a key of small order, S = 0 with a fitting R signs one message in eight or all; every such pair is refused."""
    public_key = bytes.fromhex(point)
    for n in range(16):
        with pytest.raises(BadSignature):
            verify_signature(keyid_of(public_key), b"message %d" % n, bytes.fromhex(r) + bytes(32))


@pytest.mark.parametrize("r", SMALL_ORDER + NOT_CANONICAL)
def test_invalid_small_order_r(r: str) -> None:
    """The holder of a key cannot make a signature whose R is of small order, though the equation holds."""
    key = signer(7)
    public_key = bytes.fromhex(key.keyid[8:])
    for n in range(8):
        message = b"message %d" % n
        with pytest.raises(BadSignature):
            verify_signature(key.keyid, message, forged(public_key, bytes.fromhex(r), secret_scalar(key), message))


def test_forgery_of_these_tests_is_real() -> None:
    """The equation that the tests above use is right: with an ordinary R it gives a signature that verifies."""
    key = signer(7)
    public_key = bytes.fromhex(key.keyid[8:])
    nonce = 12345
    r = bindings.crypto_scalarmult_ed25519_base_noclamp(scalar(nonce))
    forgery = forged(public_key, r, secret_scalar(key), b"message")
    s = (int.from_bytes(forgery[32:], "little") + nonce) % ORDER
    verify_signature(key.keyid, b"message", r + scalar(s))


@pytest.mark.parametrize("keyid", ["ed25519:00", "ed25519:" + "AB" * 32, "x"])
def test_invalid_keyid(keyid: str) -> None:
    """What is not a key id is refused as such."""
    with pytest.raises(BadKeyId):
        verify_signature(KeyId(keyid), b"", bytes(64))
