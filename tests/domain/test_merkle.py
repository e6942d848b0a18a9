"""The Merkle tree, held against the recursive definition of RFC 6962 and the certificate-transparency vectors."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import merkle
from proofroom.domain.errors import BadProof
from proofroom.domain.merkle import INNER, SHA256, Tree, TreeHash

MOST = 130
HASH32 = st.binary(min_size=32, max_size=32)
HASHES = {"sha256": SHA256, "inner": INNER}

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
"""The inputs of the certificate-transparency tests."""

ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Their roots, by tree size."""

PATHS = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
"""Their inclusion paths, by index and tree size."""


def leaf_data(index: int) -> bytes:
    """A leaf's data, of a length that varies."""
    return b"leaf %d" % index * (index % 3)


class Naive:
    """RFC 6962 2.1 word for word: D[0:n] is split at the largest power of two below n, again and again."""

    def __init__(self, hash: TreeHash) -> None:
        self.hash = hash
        self.leaves = [hash.leaf(leaf_data(i)) for i in range(MOST)]
        self._root = cache(self._split)

    def root(self, first: int, end: int) -> bytes:
        """MTH(D[first:end])."""
        return self._root(first, end)

    def _split(self, first: int, end: int) -> bytes:
        if first == end:
            return self.hash.empty
        if end - first == 1:
            return self.leaves[first]
        middle = first + largest_power_below(end - first)
        return self.hash.node(self.root(first, middle), self.root(middle, end))

    def path(self, index: int, first: int, end: int) -> list[bytes]:
        """PATH(index, D[first:end])."""
        if end - first == 1:
            return []
        middle = first + largest_power_below(end - first)
        if index < middle:
            return [*self.path(index, first, middle), self.root(middle, end)]
        return [*self.path(index, middle, end), self.root(first, middle)]


def largest_power_below(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


NAIVE = {name: Naive(hash) for name, hash in HASHES.items()}


def grow(size: int, hash: TreeHash) -> tuple[Tree, dict[int, list[bytes]]]:
    """A tree of this many leaves, and what each leaf completed."""
    tree, completed = Tree(), {}
    for index in range(size):
        tree, completed[index] = merkle.append(tree, hash.leaf(leaf_data(index)), hash)
    return tree, completed


@pytest.mark.parametrize("name", HASHES)
def test_roots_of_all_small_trees(name: str) -> None:
    """After each leaf the root is the RFC's, and the peaks are the nodes that ``peaks_of`` names."""
    naive, hash, tree = NAIVE[name], HASHES[name], Tree()
    for size in range(MOST + 1):
        assert tree.size == size
        assert merkle.root(tree, hash) == naive.root(0, size)
        assert merkle.root_of(map(leaf_data, range(size)), hash) == naive.root(0, size)
        peaks = merkle.peaks_of(size)
        assert list(tree.peaks) == [naive.root(k << h, k + 1 << h) for h, k in peaks]
        assert sum(1 << h for h, _ in peaks) == size
        tree, _ = merkle.append(tree, hash.leaf(leaf_data(size)), hash)


@pytest.mark.parametrize("name", HASHES)
def test_completed_nodes(name: str) -> None:
    """Leaf ``(k+1) * 2^h - 1`` completes node (h, k) as its item h, and completes nothing else."""
    naive = NAIVE[name]
    _, completed = grow(MOST, HASHES[name])
    seen = set()
    for height in range(8):
        for k in range(MOST >> height):
            last = (k + 1 << height) - 1
            assert completed[last][height] == naive.root(k << height, k + 1 << height)
            seen.add((last, height))
    assert seen == {(index, height) for index, nodes in completed.items() for height in range(len(nodes))}


@pytest.mark.parametrize("name", HASHES)
def test_inclusion_in_all_small_trees(name: str) -> None:
    """For every leaf of every tree of up to 130 leaves the path is the RFC's, and it verifies."""
    naive, hash = NAIVE[name], HASHES[name]
    _, completed = grow(MOST, hash)

    def node(height: int, k: int) -> bytes:
        return completed[(k + 1 << height) - 1][height]

    for size in range(1, MOST + 1):
        root = naive.root(0, size)
        for index in range(size):
            path = merkle.inclusion_path(index, size, node, hash)
            assert path == naive.path(index, 0, size)
            merkle.verify_inclusion(naive.leaves[index], index, size, path, root, hash)


@given(st.integers(0, 2**63), st.integers(1, 2**63))
def test_path_asks_only_for_existing_nodes(index: int, size: int) -> None:
    """In a tree of any size a path has at most one hash a level and asks only for perfect subtrees within the tree."""
    index %= size
    asked: list[tuple[int, int]] = []

    def node(height: int, k: int) -> bytes:
        asked.append((height, k))
        return bytes(32)

    path = merkle.inclusion_path(index, size, node)
    assert len(path) <= (size - 1).bit_length()
    assert len(asked) <= 2 * size.bit_length()
    assert all((k + 1) << height <= size for height, k in asked)
    assert not any(k << height <= index < k + 1 << height for height, k in asked)


@given(st.integers(0, 2**63))
def test_peaks_are_the_bits_of_the_size(size: int) -> None:
    """The peaks cover all leaves once, from the left, in falling height."""
    at = 0
    for height, k in merkle.peaks_of(size):
        assert k << height == at
        at += 1 << height
    assert at == size
    heights = [h for h, _ in merkle.peaks_of(size)]
    assert heights == sorted(set(heights), reverse=True)


@st.composite
def proofs(draw: st.DrawFn) -> tuple[int, int]:
    """A leaf and a size."""
    size = draw(st.integers(1, MOST))
    return draw(st.integers(0, size - 1)), size


def refused(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> None:
    """The proof does not hold."""
    with pytest.raises(BadProof):
        merkle.verify_inclusion(leaf, index, size, path, root)


@given(proofs(), st.data())
def test_corrupted_proof_is_refused(place: tuple[int, int], data: st.DataObject) -> None:
    """Another leaf, index, root, or a path with an item changed, missing, added or moved proves nothing."""
    index, size = place
    naive = NAIVE["sha256"]
    leaf, path, root = naive.leaves[index], naive.path(index, 0, size), naive.root(0, size)
    merkle.verify_inclusion(leaf, index, size, path, root)

    refused(bytes(32), index, size, path, root)
    refused(leaf, index, size, path, bytes(32))
    refused(leaf, index, size, [*path, bytes(32)], root)
    refused(leaf, index, size, [*path, *path[-1:], bytes(32)], root)
    other = data.draw(st.integers(-3, size + 3).filter(lambda i: i != index))
    refused(leaf, other, size, path, root)
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        changed = bytes([path[at][0] ^ 1]) + path[at][1:]
        refused(leaf, index, size, [*path[:at], changed, *path[at + 1 :]], root)
        refused(leaf, index, size, [*path[:at], *path[at + 1 :]], root)
        refused(leaf, index, size, [*path[:at], path[at], *path[at:]], root)
        refused(leaf, index, size, [*path[:at], path[at] + b"\x00", *path[at + 1 :]], root)
        refused(leaf, index, size, [*path[:at], path[at][:-1], *path[at + 1 :]], root)
    if len(path) > 1:
        refused(leaf, index, size, path[::-1], root)


@given(proofs(), HASH32, st.booleans())
def test_path_cannot_go_on_above_the_root(place: tuple[int, int], sibling: bytes, left: bool) -> None:
    """A path that is too long is refused even if it leads to the claimed root: its length follows from index and size."""
    index, size = place
    naive = NAIVE["sha256"]
    root = naive.root(0, size)
    above = SHA256.node(sibling, root) if left else SHA256.node(root, sibling)
    refused(naive.leaves[index], index, size, [*naive.path(index, 0, size), sibling], above)


@given(proofs(), st.integers(-1, MOST))
def test_proof_is_of_one_tree(place: tuple[int, int], other: int) -> None:
    """Against the root of a tree of another size a path does not hold, whichever of the two sizes is claimed."""
    index, size = place
    naive = NAIVE["sha256"]
    leaf, path = naive.leaves[index], naive.path(index, 0, size)
    if other != size and other > 0:
        refused(leaf, index, other, path, naive.root(0, other))
        refused(leaf, index, size, path, naive.root(0, other))
    refused(leaf, index, min(other, index), path, naive.root(0, size))


@given(st.integers(1, MOST - 1))
def test_node_is_no_leaf(size: int) -> None:
    """A node's hash does not prove itself as a leaf of the smaller tree above it, since leaves hash under another prefix."""
    for hash in HASHES.values():
        left, right = hash.leaf(b"left"), hash.leaf(b"right")
        assert hash.node(left, right) != hash.leaf(left + right)
        assert hash.node(left, right) != hash.node(right, left)
        assert hash.leaf(b"") != hash.empty
    naive = NAIVE["sha256"]
    with pytest.raises(BadProof):
        merkle.verify_inclusion(
            naive.root(0, size), 0, size, naive.path(0, 0, size)[1:] if size > 1 else [bytes(32)], naive.root(0, size)
        )


def test_certificate_transparency_vectors() -> None:
    """The eight leaves of the certificate-transparency tests give the published roots and paths."""
    tree, completed = Tree(), []
    for size, leaf in enumerate(LEAVES, start=1):
        assert merkle.root(tree).hex() == ROOTS[size - 1]
        tree, nodes = merkle.append(tree, SHA256.leaf(bytes.fromhex(leaf)))
        completed.append(nodes)
        assert merkle.root(tree).hex() == ROOTS[size]
    for (index, size), path in PATHS.items():
        found = merkle.inclusion_path(index, size, lambda h, k: completed[(k + 1 << h) - 1][h])
        assert [item.hex() for item in found] == path
        leaf_hash = SHA256.leaf(bytes.fromhex(LEAVES[index]))
        merkle.verify_inclusion(leaf_hash, index, size, found, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (5, 3), (-1, 3), (0, -1)])
def test_invalid_place(index: int, size: int) -> None:
    """There is no leaf outside the tree, to find or to verify."""
    with pytest.raises(BadProof):
        merkle.inclusion_path(index, size, lambda _h, _k: bytes(32))
    with pytest.raises(BadProof):
        merkle.verify_inclusion(bytes(32), index, size, [], bytes(32))


def test_inner_tree_is_frozen() -> None:
    """The roots of the trees inside statements stand in every ledger; these may never change."""
    assert [merkle.root_of(map(leaf_data, range(size))).hex()[:16] for size in (0, 1, 2, 3, 7)] == [
        "b3063a10b97aa900",
        "037e11874a2f5b1f",
        "4b007c99db782407",
        "5c9ae7ed3896a205",
        "f0ae11951c712e5d",
    ]
