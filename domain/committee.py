"""The draw: a pure function from a seed that nobody could foresee to a committee (protocol 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from blake3 import blake3

from proofroom.domain import hashing
from proofroom.domain.ids import KeyId


def compute_seed(batch_root: bytes, reveals: Mapping[KeyId, bytes]) -> bytes:
    """``H(batch root | reveals in key order)``: fixed only when the last reveal is known."""
    return hashing.digest(hashing.COMMITTEE, batch_root, *(reveals[key] for key in sorted(reveals)))


def compute_committee(seed: bytes, eligible: Sequence[KeyId], size: int) -> tuple[KeyId, ...]:
    """Draw ``size`` of the eligible without replacement, each subset with the same chance; in the order drawn.

    A Fisher-Yates shuffle of the eligible in the given order, stopped after ``size`` steps.
    """
    numbers = _uniform(seed)
    pool = list(eligible)
    for i in range(size):
        j = i + next_below(numbers, len(pool) - i)
        pool[i], pool[j] = pool[j], pool[i]
    return tuple(pool[:size])


def next_below(numbers: Iterator[int], bound: int) -> int:
    """The next number below ``bound``, without modulo bias: what lies in the last incomplete run of the 64-bit range is skipped."""
    limit = 2**64 - 2**64 % bound
    return next(n for n in numbers if n < limit) % bound


def _uniform(seed: bytes) -> Iterator[int]:
    """64-bit big-endian words of the BLAKE3 output stream of the seed."""
    stream = blake3(seed, derive_key_context=hashing.DRAW)
    at = 0
    while True:
        block = stream.digest(length=512, seek=at)
        yield from (int.from_bytes(block[i : i + 8], "big") for i in range(0, 512, 8))
        at += 512
