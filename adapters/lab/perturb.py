"""One random change to a stretch of a stored log, as somebody makes it who can write the file: what an audit must find, and where.

A change is drawn from a seeded generator, so that it can be made again. ``proofroom audit --fuzz`` and :mod:`proofroom.testing.tampering`
share them; the lab's named attacks are the ones that a reader should see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

import orjson

from proofroom.adapters.keys import Key
from proofroom.adapters.lab.forge import stored_of
from proofroom.adapters.mapper import StoredEntry
from proofroom.domain import merkle
from proofroom.domain.canonical import encode
from proofroom.domain.envelope import signed_message
from proofroom.domain.ids import from_ms, to_ms
from proofroom.domain.signatures import Signature

Entries = Sequence[StoredEntry]
STRANGER = Key(bytes(32))
_COLUMNS = ("originator_id", "topic", "state", "recorded_at_ms", "signatures", "nodes")


class Perturbed(NamedTuple):
    """A stretch with one change."""

    kind: str
    entries: list[StoredEntry]
    first: int
    """The index of the first entry that is not there as it was."""


def perturb(entries: Entries, tree: merkle.Tree, chance: Random, kind: str | None = None) -> Perturbed:
    """One change to entries that follow each other, at least two.

    Args:
        entries: the stretch; it is left as it is.
        tree: the tree over all entries before it, so that what is signed anew can be bound anew.
        chance: what is drawn from.
        kind: one of :data:`PERTURBATIONS`; drawn when not given.
    """
    chosen = chance.choice(PERTURBATIONS) if kind is None else kind
    changed = _MAKE[chosen](entries, tree, chance)
    return Perturbed(chosen, changed, _first_difference(entries, changed))


def _first_difference(before: Entries, after: Entries) -> int:
    differing = (old.index for old, new in zip(before, after, strict=False) if old != new)
    first = next(differing, None)
    if first is not None:
        return first
    assert len(before) != len(after)
    return before[len(after)].index if len(after) < len(before) else before[-1].index + 1


def _numbered(entries: Entries, first: int) -> list[StoredEntry]:
    """Without gaps."""
    return [replace(entry, index=first + i) for i, entry in enumerate(entries)]


def _bit(entries: Entries, tree: merkle.Tree, chance: Random) -> list[StoredEntry]:
    """One bit of one column of one entry."""
    at, column = chance.randrange(len(entries)), chance.choice(_COLUMNS)
    value = getattr(entries[at], column)
    if isinstance(value, int):
        changed: int | str | bytes = value ^ 1 << chance.randrange(48)
    elif isinstance(value, str):
        place = chance.randrange(len(value))
        changed = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
    else:
        place = chance.randrange(len(value))
        changed = value[:place] + bytes([value[place] ^ 1 << chance.randrange(8)]) + value[place + 1 :]
    return [*entries[:at], _with(entries[at], column, changed), *entries[at + 1 :]]


def _with(entry: StoredEntry, column: str, value: object) -> StoredEntry:
    changes: dict[str, Any] = {column: value}
    return replace(entry, **changes)


def _field(entries: Entries, tree: merkle.Tree, chance: Random) -> list[StoredEntry]:
    """One field of one statement, by one unit."""
    at = chance.randrange(len(entries))
    return [*entries[:at], replace(entries[at], state=_one_off(entries[at], chance)), *entries[at + 1 :]]


def _one_off(entry: StoredEntry, chance: Random) -> bytes:
    return encode(chance.choice(changes_of(orjson.loads(entry.state))))  # every kind has a key, a time or a number


def _drop(entries: Entries, tree: merkle.Tree, chance: Random) -> list[StoredEntry]:
    """An entry is gone; the rest stays where it was, or moves up."""
    at = chance.randrange(len(entries))
    left = [*entries[:at], *entries[at + 1 :]]
    return _numbered(left, entries[0].index) if chance.random() < 0.5 else left


def _insert(entries: Entries, tree: merkle.Tree, chance: Random) -> list[StoredEntry]:
    """A copy of an entry is put somewhere, and the rest moves down."""
    at, copied = chance.randrange(len(entries) + 1), chance.choice(entries)
    copy = replace(copied, originator_id=f"{chance.getrandbits(304):076x}")
    return _numbered([*entries[:at], copy, *entries[at:]], entries[0].index)


def _swap(entries: Entries, tree: merkle.Tree, chance: Random) -> list[StoredEntry]:
    """Two entries change places."""
    i = chance.randrange(len(entries) - 1)
    j = chance.randrange(i + 1, len(entries))
    moved = list(entries)
    moved[i], moved[j] = entries[j], entries[i]
    return _numbered(moved, entries[0].index)


def _splice(entries: Entries, tree: merkle.Tree, chance: Random) -> list[StoredEntry]:
    """A few entries give way to others from elsewhere in the stretch."""
    count = chance.randint(1, min(5, len(entries) - 1))
    places = len(entries) - count + 1
    to = chance.randrange(places)
    source = (to + chance.randrange(1, places)) % places
    spliced = [*entries[:to], *entries[source : source + count], *entries[to + count :]]
    return _numbered(spliced, entries[0].index)


def _truncate(entries: Entries, tree: merkle.Tree, chance: Random) -> list[StoredEntry]:
    """The end is cut off; the checkpoints over it stay."""
    return list(entries[: chance.randrange(len(entries))])


def _resign(entries: Entries, tree: merkle.Tree, chance: Random) -> list[StoredEntry]:
    """A statement is changed by one unit and signed by a stranger, and it and all that follows are bound anew."""
    at = chance.randrange(len(entries))
    bound: list[StoredEntry] = []
    for i, entry in enumerate(entries):
        envelope = entry.envelope()
        if i == at:
            envelope = envelope._replace(payload=_one_off(entry, chance))
            signature = Signature(STRANGER.keyid, STRANGER.sign(signed_message(envelope)))
            envelope = envelope._replace(signatures=(signature,))
        stored, tree = stored_of(entry.index, entry.recorded_at_ms, envelope, tree)
        bound.append(stored)
    return bound


def one_off(value: Any) -> Any:
    """A value of a statement changed by one unit; None where it has none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str) and value.isdecimal():
        return str(int(value) + 1)
    if isinstance(value, str) and value.startswith(("blake3:", "ed25519:")):
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    if isinstance(value, str) and value.endswith("Z"):
        return from_ms(to_ms(value) + 1)
    return None


def changes_of(value: Any) -> list[Any]:
    """All values that differ from this one in one field by one unit."""
    if isinstance(value, dict):
        return [{**value, k: changed} for k, v in value.items() if k != "ledger" for changed in changes_of(v)]
    if isinstance(value, list):
        shorter = [value[:-1], value[1:] + value[:1]] if len(value) > 1 else []
        return shorter + [[*value[:i], c, *value[i + 1 :]] for i, v in enumerate(value) for c in changes_of(v)]
    changed = one_off(value)
    return [] if changed is None else [changed]


_MAKE: dict[str, Callable[[Entries, merkle.Tree, Random], list[StoredEntry]]] = {
    "bit": _bit,
    "field": _field,
    "drop": _drop,
    "insert": _insert,
    "swap": _swap,
    "splice": _splice,
    "truncate": _truncate,
    "re-sign": _resign,
}
PERTURBATIONS = tuple(_MAKE)
