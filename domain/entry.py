"""Entries: a verified statement at its place in the log, and its frozen bytes.

The bytes of an entry, which are the Merkle leaf, will never change::

    u64be index | u64be recorded_at_ms
    u32be length | payload type (ASCII)
    u32be length | payload
    per signature, in key order: see ``signatures``
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from proofroom.domain.envelope import Envelope, Verified
from proofroom.domain.errors import BadEntry, TooLarge
from proofroom.domain.signatures import decode_signatures
from proofroom.domain.statements import Statement

MAX_ENTRY = 65_535
"""C2SP entry bundles have 16-bit lengths."""

_HEAD = struct.Struct(">QQI")
_LENGTH = struct.Struct(">I")


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
    signatures = decode_signatures(data[start + length :])
    if not signatures or len(data) > MAX_ENTRY:
        raise BadEntry(why="cut short before its signatures, or longer than an entry may be")
    return index, recorded_at_ms, Envelope(payload_type, data[start : start + length], signatures)
