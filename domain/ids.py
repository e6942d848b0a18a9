"""Identifiers and times as they are written: key ids, digests, record ids, RFC 3339 timestamps."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NewType

from proofroom.domain.errors import BadKeyId

KeyId = NewType("KeyId", str)
"""``ed25519:`` and the public key in 64 lowercase hex digits."""

Digest = NewType("Digest", str)
"""``blake3:`` (ours) or ``blake2:`` (BLAKE2b-256, accepted for results) and 64 lowercase hex digits."""

KEYID_PATTERN = r"^ed25519:[0-9a-f]{64}$"
DIGEST_PATTERN = r"^blake3:[0-9a-f]{64}$"
RESULT_DIGEST_PATTERN = r"^blake[23]:[0-9a-f]{64}$"
RECORD_ID_PATTERN = r"^dac-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,3})?Z$"

_KEYID = re.compile(KEYID_PATTERN)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

MAX_TIME_MS = 253_000_000_000_000
"""In the year 9987: whatever is counted from here still has four digits for its year."""

SKEW_MS = 300_000
"""Clocks of signers may run this far ahead of the ledger's: 5 minutes (protocol 2)."""


def keyid_of(public_key: bytes) -> KeyId:
    """The key id of a 32-byte Ed25519 public key."""
    return KeyId("ed25519:" + public_key.hex())


@lru_cache(maxsize=4096)
def public_key_of(keyid: str) -> bytes:
    """The 32 bytes of the public key that ``keyid`` names.

    Raises:
        BadKeyId: not the exact form.
    """
    if not _KEYID.fullmatch(keyid):
        raise BadKeyId(keyid=keyid[:80])
    return bytes.fromhex(keyid[8:])


def uuid7(unix_ms: int, randomness: bytes) -> str:
    """A UUIDv7 (RFC 9562 5.7) from a time and 10 random bytes; ids of later milliseconds sort later."""
    value = (unix_ms & (2**48 - 1)) << 80 | int.from_bytes(randomness[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def record_id(unix_ms: int, randomness: bytes) -> str:
    """The id of an activity record: ``dac-`` and a UUIDv7."""
    return "dac-" + uuid7(unix_ms, randomness)


def record_id_bytes(text: str) -> bytes:
    """The 16 bytes of a record id; the first six are its time in ms, big-endian."""
    return bytes.fromhex(text[4:].replace("-", ""))


def time_digits(text: str) -> str:
    """The time in ms of a record id, as 12 hex digits."""
    return text[4:12] + text[13:17]


@lru_cache(maxsize=4096)
def to_ms(time: str) -> int:
    """Milliseconds since 1970 UTC of an RFC 3339 time in ``Z``.

    Raises:
        ValueError: no such date or time.
    """
    return (datetime.fromisoformat(time) - _EPOCH) // _MILLISECOND


def from_ms(ms: int) -> str:
    """The RFC 3339 text of a time in ms; milliseconds are written when they are not zero."""
    moment = (_EPOCH + ms * _MILLISECOND).isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
    return moment.removesuffix("+00:00") + "Z"
