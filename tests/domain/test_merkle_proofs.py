"""Consistency proofs, bulk integration, and both kinds of proof in every small tree and in trees of up to 2^40 leaves."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import merkle
from proofroom.domain.errors import BadProof
from proofroom.domain.merkle import INNER, SHA256, Tree
from strategies.rooms import soak

MOST = 512
LEAVES = [SHA256.leaf(b"%d" % i) for i in range(MOST)]


@cache
def mth(first: int, end: int) -> bytes:
    """MTH(D[first:end]) of RFC 6962 2.1, word for word."""
    if end - first == 1:
        return LEAVES[first]
    k = largest_power_below(end - first)
    return SHA256.node(mth(first, first + k), mth(first + k, end))


def largest_power_below(n: int) -> int:
    """The largest power of two smaller than ``n``."""
    power = 1
    while power * 2 < n:
        power *= 2
    return power


def subproof(m: int, first: int, end: int, whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[first:end], whole) of RFC 6962 2.1.2, word for word."""
    n = end - first
    if m == n:
        return [] if whole else [mth(first, end)]
    k = largest_power_below(n)
    if m <= k:
        return [*subproof(m, first, first + k, whole), mth(first + k, end)]
    return [*subproof(m - k, first + k, end, False), mth(first, first + k)]


def node(height: int, k: int) -> bytes:
    """A stored node of the tree of 512 leaves."""
    return mth(k << height, k + 1 << height)


def test_every_proof_in_every_tree_to_512() -> None:
    """All leaves of all sizes, and all pairs of sizes: each path is found, has the RFC's length bound, and verifies.

    Beyond 128 every 16th size, and 511 and 512, of which all smaller ones are prefixes; all of them in a soak.
    """
    roots = [SHA256.empty, *(mth(0, size) for size in range(1, MOST + 1))]
    for size in [*range(1, 129), *range(129, MOST - 1, soak(16, 1)), MOST - 1, MOST]:
        longest = (size - 1).bit_length()
        for index in range(size):
            path = merkle.inclusion_path(index, size, node)
            assert len(path) <= longest
            merkle.verify_inclusion(LEAVES[index], index, size, path, roots[size])
        for first in range(size + 1):
            path = merkle.consistency_path(first, size, node)
            assert len(path) <= longest + 1
            merkle.verify_consistency(first, size, path, roots[first], roots[size])


def test_consistency_is_the_rfcs() -> None:
    """The path is PROOF(m, D[n]) as RFC 6962 writes it, for all sizes to 100."""
    for size in range(1, 101):
        for first in range(1, size + 1):
            assert merkle.consistency_path(first, size, node) == subproof(first, 0, size, True)
        assert merkle.consistency_path(0, size, node) == []


@given(st.integers(0, MOST), st.integers(0, MOST))
def test_extending_is_appending(first: int, second: int) -> None:
    """Many leaves at once give the tree that one after the other gives, from any size on."""
    first, second = sorted((first, second))
    tree = merkle.extend(Tree(), LEAVES[:first])
    assert tree == Tree(first, tuple(node(*peak) for peak in merkle.peaks_of(first)))
    tree = merkle.extend(tree, LEAVES[first:second])
    assert tree == Tree(second, tuple(node(*peak) for peak in merkle.peaks_of(second)))
    assert merkle.extend(Tree(), iter(LEAVES[:9]), INNER) != merkle.extend(Tree(), LEAVES[:9])


# --- trees that nobody could build leaf by leaf


class Sparse:
    """A tree of 2^40 leaves that are all alike but for a few: any perfect subtree is hashed on demand."""

    def __init__(self, marked: set[int]) -> None:
        self.marked = sorted(marked)
        self.plain = [SHA256.leaf(b"")]
        for _ in range(41):
            self.plain.append(SHA256.node(self.plain[-1], self.plain[-1]))
        self.node = cache(self._node)

    def leaf(self, index: int) -> bytes:
        return SHA256.leaf(b"%d" % index if index in self.marked else b"")

    def _node(self, height: int, k: int) -> bytes:
        at = bisect_left(self.marked, k << height)
        if at == len(self.marked) or self.marked[at] >= k + 1 << height:
            return self.plain[height]
        if height == 0:
            return self.leaf(k)
        return SHA256.node(self.node(height - 1, 2 * k), self.node(height - 1, 2 * k + 1))

    def root(self, size: int) -> bytes:
        return merkle.root(Tree(size, tuple(self.node(*peak) for peak in merkle.peaks_of(size))))


LARGE = st.integers(1, 2**40)


@given(LARGE, LARGE, st.sets(LARGE, max_size=8))
def test_proofs_to_two_to_the_forty(first: int, second: int, marked: set[int]) -> None:
    """In trees of up to 2^40 leaves both proofs hold, with at most 41 hashes, from at most two nodes a level."""
    first, second = sorted((first, second))
    sparse = Sparse({index - 1 for index in marked} | {first - 1, second - 1})
    asked: list[tuple[int, int]] = []

    def ask(height: int, k: int) -> bytes:
        asked.append((height, k))
        assert (k + 1) << height <= second
        return sparse.node(height, k)

    path = merkle.consistency_path(first, second, ask)
    assert len(path) <= 41
    assert len(asked) <= 82
    merkle.verify_consistency(first, second, path, sparse.root(first), sparse.root(second))
    asked.clear()
    path = merkle.inclusion_path(first - 1, second, ask)
    assert len(path) <= 40
    assert len(asked) <= 82
    merkle.verify_inclusion(sparse.leaf(first - 1), first - 1, second, path, sparse.root(second))
    other = Sparse(set(sparse.marked) - {first - 1})
    if other.root(first) != sparse.root(first):
        refused(first, second, merkle.consistency_path(first, second, ask), other.root(first), sparse.root(second))


# --- what does not hold


def refused(first: int, second: int, path: list[bytes], first_root: bytes, second_root: bytes) -> None:
    """The proof does not hold."""
    with pytest.raises(BadProof):
        merkle.verify_consistency(first, second, path, first_root, second_root)


@given(st.integers(1, MOST), st.integers(1, MOST))
def test_corrupted_consistency_is_refused(first: int, second: int) -> None:
    """Another root, or a path with an item changed, missing, added or moved, proves nothing."""
    first, second = sorted((first, second))
    path, roots = merkle.consistency_path(first, second, node), (mth(0, first), mth(0, second))
    merkle.verify_consistency(first, second, path, *roots)
    for at in range(len(path)):
        refused(first, second, path[:at] + path[at + 1 :], *roots)
        refused(first, second, [*path[:at], bytes(32), *path[at + 1 :]], *roots)
    refused(first, second, [*path, bytes(32)], *roots)
    refused(first, second, path, roots[0], bytes(32))
    refused(first, second, path, bytes(32), roots[1])
    if len(path) > 1:
        refused(first, second, path[::-1], *roots)


@given(st.integers(1, MOST - 1), st.binary(min_size=32, max_size=32))
def test_consistency_cannot_go_on_above_the_root(first: int, above: bytes) -> None:
    """A path that is too long is refused even where its roots are those that the extra hash gives."""
    path = merkle.consistency_path(first, MOST, node)
    refused(first, MOST, [*path, above], mth(0, first), SHA256.node(mth(0, MOST), above))
    refused(first, MOST, [*path, above], mth(0, first), SHA256.node(above, mth(0, MOST)))


def test_nothing_and_the_same() -> None:
    """Every tree begins with the empty one and with itself; the proof of that is empty, and the roots count all the same."""
    empty, root = SHA256.empty, mth(0, 7)
    merkle.verify_consistency(0, 7, [], empty, root)
    merkle.verify_consistency(7, 7, [], root, root)
    merkle.verify_consistency(0, 0, [], empty, empty)
    refused(0, 7, [], root, root)
    refused(0, 7, [root], empty, root)
    refused(7, 7, [root], root, root)
    refused(7, 7, [], root, mth(0, 8))
    refused(0, 0, [], empty, root)
    merkle.verify_consistency(0, 7, [], bytes(bytearray(empty)), root)
    for other in (bytes(32), b"\xff" * 32):
        refused(0, 7, [], other, root)
        refused(300, int("300"), [], mth(0, 300), other)
    for first, second in ((8, 7), (-1, 7), (-1, -1)):
        with pytest.raises(BadProof):
            merkle.consistency_path(first, second, node)


@pytest.mark.parametrize(
    ("first", "end", "size"), [(3, 3, 7), (300, int("300"), MOST), (5, 3, 7), (-1, 3, 7), (0, 8, 7)]
)
def test_runs_that_are_none(first: int, end: int, size: int) -> None:
    """No leaf, or such as are not there."""
    with pytest.raises(BadProof):
        merkle.run_path(first, end, size, node)


@pytest.mark.parametrize("index", [-1, 8, 9])
def test_no_path_leads_from_where_no_leaf_is(index: int) -> None:
    """Not from before the first or behind the last either, whose bits are those of a leaf."""
    path = merkle.inclusion_path(7, 8, node)
    with pytest.raises(BadProof):
        merkle.inclusion_root(LEAVES[7], index, 8, path)


def test_a_path_ends_at_the_root() -> None:
    """One that leads to the root of a smaller tree proves nothing of a larger one, which is given that root."""
    path = merkle.inclusion_path(0, 4, node)
    merkle.verify_inclusion(LEAVES[0], 0, 4, path, mth(0, 4))
    with pytest.raises(BadProof):
        merkle.verify_inclusion(LEAVES[0], 0, 8, path, mth(0, 4))
    refused(2, 8, [mth(2, 4)], mth(0, 2), mth(0, 4))


def test_no_tree_is_of_less_than_nothing() -> None:
    """Not even where the path leads to both roots that are given."""
    a, b, c, d = LEAVES[:4]
    refused(-1, 7, [a, b, c, d], SHA256.node(d, SHA256.node(c, a)), SHA256.node(d, SHA256.node(c, SHA256.node(a, b))))
