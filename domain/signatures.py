"""Signatures as an envelope holds them, and as the bytes in which an entry keeps them.

Per signature, in key order::

    u8 0 | 32 bytes public key | 64 bytes signature                                 direct
    u8 1 | 32 bytes public key | 64 bytes signature | u64be size | u64be position
         | u8 n | n * 32 bytes path (see ``rooted``)                                rooted

The key stands beside its signature so that the bytes can be checked without knowing the kind's schema.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from proofroom.domain.errors import BadEntry, BadSignature
from proofroom.domain.ids import KeyId, keyid_of, public_key_of
from proofroom.domain.rooted import RootedPath
from proofroom.domain.signing import SIGNATURE_BYTES

_PLACE = struct.Struct(">QQB")
_DIRECT_BYTES = 97


class Signature(NamedTuple):
    """One signature: direct over the statement, or (``rooted``) over a tree that holds it."""

    keyid: KeyId
    value: bytes
    rooted: RootedPath | None = None


def encode_signatures(signatures: tuple[Signature, ...]) -> bytes:
    """The signatures part of an entry.

    Raises:
        BadKeyId, BadSignature: a key or a signature has another length, so that it could not be read again.
    """
    parts: list[bytes] = []
    for keyid, value, place in signatures:
        if len(value) != SIGNATURE_BYTES:
            raise BadSignature(keyid=keyid)
        parts += (b"\x00" if place is None else b"\x01", public_key_of(keyid), value)
        if place is not None:
            size, position, path = place
            parts += (_PLACE.pack(size, position, len(path) // 32), path)
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
        place, at = _decode_place(data, end) if form == 1 else (None, end)
        signatures.append(Signature(keyid, value, place))
    return tuple(signatures)


def _decode_place(data: bytes, at: int) -> tuple[RootedPath, int]:
    start = at + _PLACE.size
    if start > len(data):
        raise BadEntry(why="a rooted signature is cut short")
    size, position, count = _PLACE.unpack_from(data, at)
    end = start + 32 * count
    if end > len(data):
        raise BadEntry(why="a rooted signature is cut short")
    return RootedPath(size, position, data[start:end]), end
