"""Entries: their frozen bytes, the signatures over them, and what their statements say.

The bytes are ``u64be index | u64be time in ms | u32be n | payload type | u32be n | payload``, then for each signature, in key order,
``u8 0 | 32 bytes public key | 64 bytes signature``, or ``u8 1`` with ``u64be size | u64be position | u8 n | n hashes`` behind it, where the
key signed the root of a tree. What is signed is DSSE's ``PAE(type, payload)``; a wallet's wire grant is signed raw.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from blake3 import blake3

from proofroom.domain.verifier.note import is_signed
from proofroom.domain.verifier.tree import root_from, rooted_leaf, rooted_node
from proofroom.domain.verifier.verdict import Fault

MAX_ENTRY = 65_535
_KIND = re.compile(r"application/vnd\.proofroom\.([a-z-]{1,64})\.v1\+json")
MAX_ROOTED = 2**16
_SIGNED_ROOT = b"application/vnd.proofroom.signed-root.v1+json"
_HEAD = struct.Struct(">QQI")
_PLACE = struct.Struct(">QQB")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry whose signatures hold."""

    index: int
    time_ms: int
    kind: str
    id: str
    """The statement id, ``blake3:`` and 64 hex digits."""
    signers: frozenset[str]
    body: dict[str, Any]

    def get(self, path: str, kind: type[_T]) -> _T:
        """A field of the statement, by its path; of exactly this type."""
        value: Any = self.body
        for name in path.split("."):
            value = value.get(name) if type(value) is dict else None
        if type(value) is not kind:
            raise Fault(f"the {self.kind} has no {kind.__name__} {path}", self.index)
        return value

    def time(self, path: str) -> int:
        """A time in ms since 1970."""
        text = self.get(path, str)
        try:
            return round(datetime.fromisoformat(text if text.endswith("Z") else "").timestamp() * 1000)
        except (ValueError, OverflowError):
            raise Fault(f"{path} is no time in UTC", self.index) from None

    def need(self, holds: bool, why: str) -> None:
        """A check of this entry."""
        if not holds:
            raise Fault(why, self.index)

    def signed_by(self, *keys: str) -> None:
        """Exactly these keys signed, each in one role."""
        exact = self.signers == frozenset(keys) and len(keys) == len(self.signers)
        self.need(exact, f"the {self.kind} is not signed by whom it must be")


def parse_entry(data: bytes) -> Entry:
    """The entry of these bytes, its signatures verified."""
    try:
        index, time_ms, length = _HEAD.unpack_from(data)
        at = _HEAD.size + length + 4
        payload_type = data[_HEAD.size : at - 4]
        match = _KIND.fullmatch(payload_type.decode("ascii"))
        end = at + int.from_bytes(data[at - 4 : at], "big")
    except (struct.error, UnicodeDecodeError):
        raise Fault("an entry is cut short") from None
    if match is None or end >= len(data) or len(data) > MAX_ENTRY:
        raise Fault("the entry's bytes are not of their form", index)
    payload, tail = data[at:end], data[end:]
    signed = pae(payload_type, payload)
    signers = _signers(tail, payload if match[1] == "grant-wire" else signed, index)
    return Entry(index, time_ms, match[1], digest("statement id", signed), signers, parse_json(payload, index))


def _signers(data: bytes, message: bytes, index: int) -> frozenset[str]:
    """Who signed the message, each directly or by the root of a tree that holds it."""
    at, names = 0, list[str]()
    while at < len(data):
        form, public, signature, signed = data[at], data[at + 1 : at + 33], data[at + 33 : at + 97], message
        at += 97 + _PLACE.size * (form == 1)
        if form == 1 and at <= len(data):
            size, position, count = _PLACE.unpack_from(data, at - _PLACE.size)
            at += 32 * count
            path = [data[i : i + 32] for i in range(at - 32 * count, min(at, len(data)), 32)]
            root = root_from(rooted_leaf(message), position, min(size, MAX_ROOTED), path, rooted_node)
            signed = pae(_SIGNED_ROOT, b'{"root":"blake3:%b","size":%d}' % (root.hex().encode(), size))
        name = "ed25519:" + public.hex()
        if form > 1 or at > len(data) or (names and name <= names[-1]):
            raise Fault("a signature is cut short, out of order, or of an unknown form", index)
        if not is_signed(public, signed, signature):
            raise Fault(f"the signature by {name} does not verify", index)
        names.append(name)
    return frozenset(names)


def pae(payload_type: bytes, payload: bytes) -> bytes:
    """DSSE's encoding of what is signed."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type, len(payload), payload)


def digest(context: str, *parts: bytes) -> str:
    """A tagged BLAKE3 digest under one of the ledger's contexts."""
    return "blake3:" + blake3(b"".join(parts), derive_key_context=f"proofroom 2026 v1 {context}").hexdigest()


def parse_json(data: bytes, at: int | None = None) -> dict[str, Any]:
    """One JSON object that all parsers read alike: no key twice, no number that one of them rounds."""
    try:
        value = _DECODER.decode(data.decode())
        if b"\\u" in data:  # no half of a surrogate pair
            json.dumps(value, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError):
        raise Fault("not strict JSON", at) from None
    if type(value) is not dict:
        raise Fault("not a JSON object", at)
    return value


def untag(text: str) -> bytes:
    """The bytes behind a tagged key or digest."""
    try:
        return bytes.fromhex(text.partition(":")[2])
    except ValueError:
        raise Fault("a digest is not in hex digits") from None


def canonical(value: dict[str, Any]) -> bytes:
    """The RFC 8785 form of an object with ASCII keys and without fractions."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise Fault("an object has a fraction where none may be") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError
    return result


def _integer(text: str) -> int:
    return int(text) if len(text) <= 17 and abs(int(text)) < 2**53 else _refuse(text)


def _decimal(text: str) -> Decimal:
    return Decimal(text) if re.fullmatch(r"[0-9]{1,16}\.[0-9]{1,6}", text) else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_decimal, parse_constant=_refuse)


def one(entries: Iterable[Entry], kind: str) -> Entry:
    """The only entry of a kind."""
    found = [entry for entry in entries if entry.kind == kind]
    if len(found) != 1:
        raise Fault(f"the file has {len(found)} entries of the kind {kind}, not one")
    return found[0]
