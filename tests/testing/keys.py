"""Keys that follow from a name or a number, so that every run signs the same bytes. Never for anything that has value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st

from proofroom.adapters.keys import Key
from proofroom.domain.ids import KeyId

_KEYS: dict[KeyId, Key] = {}


@cache
def key(name: str) -> Key:
    """The key of a party: always the same for the same name."""
    made = Key(hashlib.sha256(name.encode()).digest())
    _KEYS[made.keyid] = made
    return made


def key_of(keyid: KeyId) -> Key:
    """The key that :func:`key` made under this key id."""
    return _KEYS[keyid]


def deterministic_randomness(seed: str) -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    stream, at = hashlib.shake_256(seed.encode()), 0

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        return stream.digest(at)[-count:]

    return take


@cache
def signer(number: int) -> Key:
    """The key whose seed is this number, big-endian."""
    return Key(number.to_bytes(32, "big"))


def signers() -> st.SearchStrategy[Key]:
    """One of a few signers."""
    return st.integers(1, 40).map(signer)


def distinct_signers(least: int = 1, most: int = 5) -> st.SearchStrategy[list[Key]]:
    """Some signers with different keys, in any order."""
    numbers = st.lists(st.integers(1, 40), min_size=least, max_size=most, unique=True)
    return numbers.map(lambda drawn: [signer(n) for n in drawn])
