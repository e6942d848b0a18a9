"""Signers whose keys follow from a number, so that every run signs the same bytes."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st
from nacl.signing import SigningKey

from proofroom.domain.ids import KeyId, keyid_of


class SeedSigner:
    """A signer that holds its secret key as a seed of 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self._key = SigningKey(seed)
        self.keyid: KeyId = keyid_of(self._key.verify_key.encode())

    def __repr__(self) -> str:
        return f"signer({int.from_bytes(self.seed, 'big')})"

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of ``message``."""
        return self._key.sign(message).signature


@cache
def signer(number: int) -> SeedSigner:
    """The signer whose seed is this number, big-endian."""
    return SeedSigner(number.to_bytes(32, "big"))


def signers() -> st.SearchStrategy[SeedSigner]:
    """One of a few signers."""
    return st.integers(1, 40).map(signer)


def distinct_signers(least: int = 1, most: int = 5) -> st.SearchStrategy[list[SeedSigner]]:
    """Some signers with different keys, in any order."""
    numbers = st.lists(st.integers(1, 40), min_size=least, max_size=most, unique=True)
    return numbers.map(lambda drawn: [signer(n) for n in drawn])
