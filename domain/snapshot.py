"""A state as bytes, so that a ledger opens without replaying its history.

A snapshot is bound to the rules version and to the tree head whose entries gave it. It is a cache: the audit never reads one,
and deleting all of them changes nothing but the time to open. But the write path goes on from it, so its writer signs it.

The layout follows the types of :mod:`proofroom.domain.state`: a named tuple is the array of its fields, a map the array of its
sorted pairs (record ids are one text, and their indexes), bytes are hex, long integers are strings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Literal, NewType, get_args, get_origin, get_type_hints

import orjson
from immutables import Map

from proofroom.domain import hashing
from proofroom.domain.errors import BadEntry
from proofroom.domain.ids import KeyId
from proofroom.domain.state import RULES, State

FORMAT = 13
"""Raised with every change of the state's types; a snapshot of another format is ignored."""

DIGEST_BYTES = 32
"""A snapshot begins with the digest of the rest, which is what its writer signs."""

_LONG = 2**63 - 1


def encode_state(state: State, root: bytes) -> bytes:
    """The snapshot of a state, bound to the root of the tree of its entries. A digest of 32 bytes comes first."""
    body = orjson.dumps({"format": FORMAT, "rules": RULES, "root": root.hex(), "state": _codec(State)[0](state)})
    return hashing.digest(hashing.SNAPSHOT, body) + body


def decode_state(data: bytes, root: bytes) -> State:
    """The state of a snapshot.

    Raises:
        BadEntry: altered, of another format or rules version, or bound to another root.
    """
    digest, body = data[:32], data[32:]
    if hashing.digest(hashing.SNAPSHOT, body) != digest:
        raise BadEntry(why="the snapshot was altered")
    value = orjson.loads(body)
    if (value["format"], value["rules"], value["root"]) != (FORMAT, RULES, root.hex()):
        raise BadEntry(why="the snapshot is of another format, rules version or history")
    state: State = _codec(State)[1](value["state"])
    return state


Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""How values of a type become JSON, and back."""


@cache
def _codec(kind: Any) -> Codec:
    if isinstance(kind, NewType):
        return _codec(kind.__supertype__)
    if kind is bytes:
        return bytes.hex, bytes.fromhex
    if kind is int:
        return (lambda n: n if -_LONG <= n <= _LONG else str(n)), int
    if kind is str:
        return str, _same
    if kind is bool or get_origin(kind) is Literal:
        return (lambda value: value), (lambda value: value)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Map:
        return _map_codec(*args)
    if origin is tuple:
        write, read = _tuple_codec(args)
        return (lru_cache(maxsize=4_096)(write) if kind in _SHARED else write), read
    if type(None) in args:
        return _optional_codec(next(a for a in args if a is not type(None)))
    return _record_codec(kind)


_SHARED = (tuple[KeyId, ...], tuple[tuple[KeyId, int], ...])
"""Who signed, and what was relied on: mostly the same for many records, so that they share one list on their way into the text."""


@lru_cache(maxsize=4_096)
def _same(text: str) -> str:
    """One text in memory for all that are equal: the same few keys and names stand in every record."""
    return text


def _map_codec(key: Any, value: Any) -> Codec:
    if (key, value) == (bytes, int):
        return _pack_ids, _unpack_ids
    (write_key, read_key), (write, read) = _codec(key), _codec(value)
    return (
        lambda m: [[write_key(k), write(v)] for k, v in sorted(m.items())],
        lambda pairs: Map((read_key(k), read(v)) for k, v in pairs),
    )


def _pack_ids(ids: Map[bytes, int]) -> list[Any]:
    """Record ids are the one map that is long while an era is open: all keys in one text, so that writing it takes little memory."""
    keys = sorted(ids)
    return [b"".join(keys).hex(), [ids[key] for key in keys]]


def _unpack_ids(packed: list[Any]) -> Map[bytes, int]:
    keys, values = bytes.fromhex(packed[0]), packed[1]
    length = len(keys) // max(1, len(values))
    return Map((keys[i * length : (i + 1) * length], value) for i, value in enumerate(values))


def _tuple_codec(args: tuple[Any, ...]) -> Codec:
    if len(args) == 2 and args[1] is ...:
        write, read = _codec(args[0])
        return (lambda items: [write(i) for i in items]), (lambda items: tuple(read(i) for i in items))
    codecs = [_codec(a) for a in args]
    return (
        lambda items: [write(i) for (write, _), i in zip(codecs, items, strict=True)],
        lambda items: tuple(read(i) for (_, read), i in zip(codecs, items, strict=True)),
    )


def _optional_codec(kind: Any) -> Codec:
    write, read = _codec(kind)
    return (lambda v: None if v is None else write(v)), (lambda v: None if v is None else read(v))


def _record_codec(kind: Any) -> Codec:
    hints = get_type_hints(kind)
    write, read = _tuple_codec(tuple(hints[name] for name in kind._fields))
    return write, lambda items: kind(*read(items))
