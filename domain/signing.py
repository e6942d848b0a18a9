"""Ed25519, strictly: verification is a function, signing is a port."""

from __future__ import annotations

from typing import Protocol

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError

from proofroom.domain.errors import BadSignature
from proofroom.domain.ids import KeyId, public_key_of

SIGNATURE_BYTES = 64


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the exact bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class Signer(Protocol):
    """Something that holds a secret key: a file, a KMS, a hardware key. The secret itself is not part of the port."""

    @property
    def keyid(self) -> KeyId:
        """The public key, as a key id."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of ``message``."""
        ...


def verify_signature(keyid: KeyId, message: bytes, signature: bytes) -> None:
    """Check one Ed25519 signature.

    libsodium refuses what RFC 8032 leaves open: small-order and non-canonical public keys and R, and S not below the group order.

    Raises:
        BadKeyId: ``keyid`` is not of its form.
        BadSignature: the signature does not verify.
    """
    public_key = public_key_of(keyid)
    if len(signature) != SIGNATURE_BYTES:
        raise BadSignature(keyid=keyid)
    try:
        crypto_sign_open(signature + message, public_key)
    except (BadSignatureError, NaclValueError):
        raise BadSignature(keyid=keyid) from None
