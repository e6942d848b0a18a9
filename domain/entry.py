"""Entries: a verified statement at its place in the log, and its frozen bytes.

The bytes of an entry, which are the Merkle leaf, will never change::

    u64be index | u64be recorded_at_ms
    u32be length | payload type (ASCII)
    u32be length | payload
    per signature, in key order:
        u8 0 | 32 bytes public key | 64 bytes signature                                 direct
        u8 1 | 32 bytes public key | 64 bytes signature | u64be size | u64be position
             | u8 n | n * 32 bytes path (see ``rooted``)                                rooted

The key stands beside its signature so that the bytes can be checked without knowing the kind's schema.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from proofroom.domain.envelope import Envelope, Signature, Verified
from proofroom.domain.errors import BadEntry, TooLarge
from proofroom.domain.ids import keyid_of, public_key_of
from proofroom.domain.rooted import RootedPath
from proofroom.domain.statements import Statement

MAX_ENTRY = 65_535
"""C2SP entry bundles have 16-bit lengths."""

_HEAD = struct.Struct(">QQI")
_LENGTH = struct.Struct(">I")
_ROOTED = struct.Struct(">QQB")
_DIRECT_BYTES = 97


@dataclass(frozen=True, slots=True)
class Entry:
    """What the transition takes: a verified statement, where and when it was recorded."""

    index: int
    recorded_at_ms: int
    verified: Verified

    @property
    def statement(self) -> Statement:
        """The statement."""
        return self.verified.statement


def encode_signatures(signatures: tuple[Signature, ...]) -> bytes:
    """The signatures part of an entry."""
    parts: list[bytes] = []
    for keyid, value, rooted in signatures:
        parts += (b"\x00" if rooted is None else b"\x01", public_key_of(keyid), value)
        if rooted is not None:
            size, position, path = rooted
            parts += (_ROOTED.pack(size, position, len(path) // 32), path)
    return b"".join(parts)


def decode_signatures(data: bytes) -> tuple[Signature, ...]:
    """The signatures that :func:`encode_signatures` wrote.

    Raises:
        BadEntry: cut short, or of an unknown form.
    """
    signatures, at = [], 0
    while at < len(data):
        form, end = data[at], at + _DIRECT_BYTES
        if form > 1 or end > len(data):
            raise BadEntry(why="the signatures are cut short or of an unknown form")
        keyid, value = keyid_of(data[at + 1 : at + 33]), data[at + 33 : end]
        rooted, at = _decode_rooted(data, end) if form == 1 else (None, end)
        signatures.append(Signature(keyid, value, rooted))
    return tuple(signatures)


def _decode_rooted(data: bytes, at: int) -> tuple[RootedPath, int]:
    start = at + _ROOTED.size
    if start > len(data):
        raise BadEntry(why="a rooted signature is cut short")
    size, position, count = _ROOTED.unpack_from(data, at)
    end = start + 32 * count
    if end > len(data):
        raise BadEntry(why="a rooted signature is cut short")
    return RootedPath(size, position, data[start:end]), end


def entry_bytes(index: int, recorded_at_ms: int, payload_type: str, payload: bytes, signatures: bytes) -> bytes:
    """The frozen bytes, from the parts as the store keeps them.

    Raises:
        TooLarge: above :data:`MAX_ENTRY`.
    """
    kind = payload_type.encode()
    head = _HEAD.pack(index, recorded_at_ms, len(kind))
    data = b"".join((head, kind, _LENGTH.pack(len(payload)), payload, signatures))
    if len(data) > MAX_ENTRY:
        raise TooLarge(what="entry", size=len(data), limit=MAX_ENTRY)
    return data


def parse_entry(data: bytes) -> tuple[int, int, Envelope]:
    """Index, time and envelope of an entry's bytes; nothing of it is verified.

    Raises:
        BadEntry: not exactly the bytes of one entry.
    """
    try:
        index, recorded_at_ms, kind_length = _HEAD.unpack_from(data)
        at = _HEAD.size + kind_length
        payload_type = data[_HEAD.size : at].decode("ascii")
        (length,) = _LENGTH.unpack_from(data, at)
    except (struct.error, UnicodeDecodeError):
        raise BadEntry(why="cut short") from None
    start = at + _LENGTH.size
    if start + length > len(data):
        raise BadEntry(why="the payload is cut short")
    signatures = decode_signatures(data[start + length :])
    if not signatures or len(data) > MAX_ENTRY:
        raise BadEntry(why="no signatures, or longer than an entry may be")
    return index, recorded_at_ms, Envelope(payload_type, data[start : start + length], signatures)
