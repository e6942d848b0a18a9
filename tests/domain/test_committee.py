"""The draw: without replacement, even, and the same everywhere.

``python tests/domain/test_committee.py`` writes the vectors anew; their format is in ``tests/vectors/committee.md``.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import hashing
from proofroom.domain.committee import _uniform, compute_committee, compute_seed, next_below
from proofroom.domain.ids import KeyId, keyid_of

VECTORS = Path(__file__).parents[1] / "vectors" / "committee.json"
SEEDS = st.binary(min_size=32, max_size=32)


def keys(count: int) -> list[KeyId]:
    """So many key ids in order; they are names here, not curve points."""
    return sorted(keyid_of(blake3(b"%d" % i).digest()) for i in range(count))


@given(SEEDS, st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_a_draw_is_without_replacement(seed: bytes, sizes: tuple[int, int]) -> None:
    """Exactly so many different members, all of them eligible; a smaller committee is the beginning of a larger one."""
    eligible, size = keys(sizes[0]), sizes[1]
    drawn = compute_committee(seed, eligible, size)
    assert len(set(drawn)) == len(drawn) == size
    assert set(drawn) <= set(eligible)
    assert compute_committee(seed, eligible, len(eligible))[:size] == drawn


def test_draws_are_even() -> None:
    """Over many fresh seeds each of the ten pairs of five, in each order, comes about equally often."""
    start = secrets.token_bytes(16)
    eligible, rounds = keys(5), 4_000
    seen = Counter(compute_committee(start + b"%016d" % i, eligible, 2) for i in range(rounds))
    expected = rounds / 20
    assert len(seen) == 20
    chi_square = sum((count - expected) ** 2 / expected for count in seen.values())
    # 19 degrees of freedom: more than 60 comes once in 250,000 runs.
    assert chi_square < 60, f"seeds that begin with {start.hex()}"


@given(st.lists(st.integers(0, 2**64 - 1), max_size=5), st.integers(1, 2**63))
def test_numbers_below_a_bound_have_no_bias(words: list[int], bound: int) -> None:
    """Words in the last incomplete run of the range are skipped, and the first other one counts."""
    limit = 2**64 // bound * bound
    expected = [word % bound for word in [*words, 7] if word < limit]
    assert next_below(iter([*words, 7]), bound) == expected[0]


def test_the_last_incomplete_run_is_skipped() -> None:
    """2^64 is one more than a multiple of 3: its last word alone would favour 0."""
    assert next_below(iter([2**64 - 1, 5]), 3) == 2
    assert next_below(iter([2**64 - 2]), 3) == 2
    assert next_below(iter([2**64 - 1, 2**64 - 6, 2**64 - 7]), 10) == 9


@given(SEEDS)
def test_words_go_on_behind_the_first_block(seed: bytes) -> None:
    """The words of the draw are those of one long output of BLAKE3, however it is asked for."""
    output = blake3(seed, derive_key_context=hashing.DRAW).digest(length=8 * 200)
    words = [int.from_bytes(output[i : i + 8], "big") for i in range(0, len(output), 8)]
    assert list(islice(_uniform(seed), 200)) == words


@given(st.binary(min_size=32, max_size=32), st.dictionaries(st.sampled_from(keys(6)), SEEDS, min_size=1))
def test_the_seed_depends_on_every_reveal(root: bytes, reveals: dict[KeyId, bytes]) -> None:
    """Not on their order, but on the root and on each value, to the last bit, and on their number."""
    seed = compute_seed(root, reveals)
    assert compute_seed(root, dict(reversed(list(reveals.items())))) == seed
    others = {compute_seed(bytes([root[0] ^ 1]) + root[1:], reveals)}
    for key, value in reveals.items():
        others.add(compute_seed(root, {**reveals, key: value[:-1] + bytes([value[-1] ^ 1])}))
        others.add(compute_seed(root, {k: v for k, v in reveals.items() if k != key}))
    assert seed not in others


def vectors() -> list[dict[str, Any]]:
    """Published examples, from small to the largest committee."""
    made = []
    for i, (eligible, size) in enumerate([(1, 1), (5, 5), (7, 5), (12, 11), (64, 23), (200, 61)]):
        root = blake3(b"root %d" % i).digest()
        chosen = keys(eligible)
        reveals = {key: blake3(key.encode()).digest() for key in chosen[: max(1, eligible * 2 // 3)]}
        seed = compute_seed(root, reveals)
        made.append(
            {
                "batch_root": root.hex(),
                "reveals": {key: value.hex() for key, value in reveals.items()},
                "seed": seed.hex(),
                "eligible": chosen,
                "size": size,
                "committee": list(compute_committee(seed, chosen, size)),
            }
        )
    return made


def test_published_vectors_have_not_drifted() -> None:
    """What other languages are held against is what this code gives."""
    assert json.loads(VECTORS.read_text()) == vectors()


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text()) if VECTORS.exists() else [])
def test_vectors_by_a_plain_shuffle(vector: dict[str, Any]) -> None:
    """The vectors follow from their format page alone."""
    seed = bytes.fromhex(vector["seed"])
    reveals = b"".join(bytes.fromhex(vector["reveals"][key]) for key in sorted(vector["reveals"]))
    context = "proofroom 2026 v1 committee seed"
    assert blake3(bytes.fromhex(vector["batch_root"]) + reveals, derive_key_context=context).digest() == seed
    stream = blake3(seed, derive_key_context="proofroom 2026 v1 committee draw").digest(length=8 * 4_096)
    words = [int.from_bytes(stream[i : i + 8], "big") for i in range(0, len(stream), 8)]
    pool: list[str] = list(vector["eligible"])
    drawn: list[str] = []
    while len(drawn) < vector["size"]:
        left, at = len(pool), len(drawn)
        word = words.pop(0)
        if word >= 2**64 - 2**64 % (left - at):
            continue
        j = at + word % (left - at)
        pool[at], pool[j] = pool[j], pool[at]
        drawn.append(pool[at])
    assert drawn == vector["committee"]


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
