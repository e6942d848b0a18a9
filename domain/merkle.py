"""The Merkle tree of RFC 6962 / RFC 9162 section 2.1, over any hash.

The log uses SHA-256, as C2SP fixes it; trees inside statements use BLAKE3. A perfect subtree of height ``h`` whose first leaf is
``k * 2**h`` is called node ``(h, k)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from proofroom.domain import hashing
from proofroom.domain.errors import BadProof


class TreeHash(NamedTuple):
    """How a tree hashes: an empty tree, a leaf's data, and two child hashes."""

    empty: bytes
    leaf: Callable[[bytes], bytes]
    node: Callable[[bytes, bytes], bytes]


SHA256 = TreeHash(
    empty=sha256(b"").digest(),
    leaf=lambda data: sha256(b"\x00" + data).digest(),
    node=lambda left, right: sha256(b"\x01" + left + right).digest(),
)
"""RFC 9162 2.1.1: leaves and nodes are told apart by their first byte."""

INNER = TreeHash(
    empty=hashing.digest(hashing.INNER_LEAF),
    leaf=lambda data: hashing.digest(hashing.INNER_LEAF, b"\x00", data),
    node=lambda left, right: hashing.digest(hashing.INNER_NODE, left, right),
)
"""The trees inside statements (batches, payout lines, completeness)."""


class Tree(NamedTuple):
    """All that is needed to go on appending: the perfect subtrees of the leaves so far, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()


def append(tree: Tree, leaf_hash: bytes, hash: TreeHash = SHA256) -> tuple[Tree, list[bytes]]:
    """The tree with one leaf more, and the nodes this leaf completes: itself at height 0, then its perfect ancestors, rising.

    Node ``(h, k)`` is thus the item ``h`` of what the leaf ``(k + 1) * 2**h - 1`` completed, which is how the store finds it.
    """
    completed = [leaf_hash]
    peaks = list(tree.peaks)
    size = tree.size
    while size & 1:
        completed.append(hash.node(peaks.pop(), completed[-1]))
        size >>= 1
    peaks.append(completed[-1])
    return Tree(tree.size + 1, tuple(peaks)), completed


def extend(tree: Tree, leaf_hashes: Iterable[bytes], hash: TreeHash = SHA256) -> Tree:
    """The tree with many leaves more, for who needs only its head: level by level, which costs little more than the hashing."""
    level = list(leaf_hashes)
    peaks, before, found = list(tree.peaks), tree.size, []
    size = tree.size + len(level)
    while level or before:
        if before & 1:
            level.insert(0, peaks.pop())
        if len(level) & 1:
            found.append(level.pop())
        level = list(map(hash.node, level[::2], level[1::2]))
        before >>= 1
    return Tree(size, tuple(reversed(found)))


def root(tree: Tree, hash: TreeHash = SHA256) -> bytes:
    """MTH of the leaves so far (RFC 9162 2.1.1)."""
    if not tree.peaks:
        return hash.empty
    result = tree.peaks[-1]
    for peak in reversed(tree.peaks[:-1]):
        result = hash.node(peak, result)
    return result


def root_of(leaves: Iterable[bytes], hash: TreeHash = INNER) -> bytes:
    """The root over the data of all leaves."""
    return root(extend(Tree(), map(hash.leaf, leaves), hash), hash)


Node = Callable[[int, int], bytes]
"""Gives the hash of node ``(height, k)``, which is stored."""


def peaks_of(size: int) -> list[tuple[int, int]]:
    """The nodes ``(height, k)`` whose hashes are the peaks of a tree of ``size`` leaves, largest first."""
    peaks, first = [], 0
    for height in reversed(range(size.bit_length())):
        if size >> height & 1:
            peaks.append((height, first >> height))
            first += 1 << height
    return peaks


def inclusion_path(index: int, size: int, node: Node, hash: TreeHash = SHA256) -> list[bytes]:
    """PATH(index, D[size]) of RFC 9162 2.1.3.1, from the hashes of perfect subtrees: O(log size) calls of ``node``.

    Raises:
        BadProof: there is no such leaf in a tree of this size.
    """
    if not 0 <= index < size:
        raise BadProof(why=f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    first, count = 0, size
    while count > 1:
        left = _split(count)
        if index < first + left:
            path.append(_subtree(first + left, count - left, node, hash))
            count = left
        else:
            path.append(_subtree(first, left, node, hash))
            first, count = first + left, count - left
    path.reverse()
    return path


def consistency_path(first: int, second: int, node: Node, hash: TreeHash = SHA256) -> list[bytes]:
    """PROOF(first, D[second]) of RFC 9162 2.1.4.1, in O(log second) calls of ``node``; empty for an empty tree and for the same one.

    Raises:
        BadProof: the first tree is larger than the second.
    """
    if not 0 <= first <= second:
        raise BadProof(why=f"a tree of {first} does not come before one of {second}")
    path: list[bytes] = []
    start, count, whole = 0, second, True  # SUBPROOF(first - start, D[start:start + count], whole)
    while 0 < first - start < count:
        left = _split(count)
        if first - start <= left:
            path.append(_subtree(start + left, count - left, node, hash))
            count = left
        else:
            path.append(_subtree(start, left, node, hash))
            start, count, whole = start + left, count - left, False
    if not whole:
        path.append(_subtree(start, count, node, hash))
    path.reverse()
    return path


def run_path(first: int, end: int, size: int, node: Node, hash: TreeHash = SHA256) -> list[bytes]:
    """The roots of the subtrees of D[size] beside the leaves ``first`` to ``end - 1``, from the left: with these leaves they give the root.

    A run of one leaf has the hashes of its inclusion path, in another order. O(log size) calls of ``node``.

    Raises:
        BadProof: there are no such leaves in a tree of this size.
    """
    if not 0 <= first < end <= size:
        raise BadProof(why=f"no leaves {first} to {end - 1} in a tree of {size}")

    def beside(start: int, count: int) -> list[bytes]:
        if start + count <= first or end <= start:
            return [_subtree(start, count, node, hash)]
        if first <= start and start + count <= end:
            return []
        left = _split(count)
        return beside(start, left) + beside(start + left, count - left)

    return beside(0, size)


def _split(count: int) -> int:
    """The largest power of two below ``count``, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1


def _subtree(first: int, count: int, node: Node, hash: TreeHash) -> bytes:
    """MTH(D[first:first + count]), where ``first`` is a multiple of a power of two that is at least ``count``."""
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return node(height, first >> height)
    left = _split(count)
    return hash.node(_subtree(first, left, node, hash), _subtree(first + left, count - left, node, hash))


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes, hash: TreeHash = SHA256
) -> None:
    """RFC 9162 2.1.3.2: check that the leaf stands at ``index`` in the tree of ``size`` with this root.

    Raises:
        BadProof: it does not, or the path is too long or too short.
    """
    if inclusion_root(leaf_hash, index, size, path, hash) != root:
        raise BadProof(why="the path leads to another root")


def inclusion_root(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], hash: TreeHash = SHA256) -> bytes:
    """The root that the path leads to from the leaf at ``index`` in a tree of ``size`` (RFC 9162 2.1.3.2, steps 1 to 4).

    Raises:
        BadProof: there is no such leaf, or the path is too long or too short.
    """
    if not 0 <= index < size:
        raise BadProof(why=f"no leaf {index} in a tree of {size}")
    r = leaf_hash
    for p, is_left in _climb(index, size - 1, path):
        r = hash.node(p, r) if is_left else hash.node(r, p)
    return r


def verify_consistency(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes, hash: TreeHash = SHA256
) -> None:
    """RFC 9162 2.1.4.2: check that the tree of size ``second`` begins with the tree of size ``first``.

    Raises:
        BadProof: it does not, or the path is too long or too short.
    """
    if not 0 <= first <= second:
        raise BadProof(why=f"a tree of {first} does not come before one of {second}")
    if first in (0, second):
        if path:
            raise BadProof(why="the path is too long")
        smaller = first_root if first else hash.empty
        if first_root != smaller or (first == second and second_root != smaller):
            raise BadProof(why="the smaller root is not that of its size")
        return
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    # Where the first tree is one node of the second, its root begins the path and is left out.
    fr = sr = first_root if fn == 0 else path[0] if path else hash.empty
    for c, is_left in _climb(fn, sn, path[1:] if fn else path):
        if is_left:
            fr = hash.node(c, fr)
        sr = hash.node(c, sr) if is_left else hash.node(sr, c)
    if (fr, sr) != (first_root, second_root):
        raise BadProof(why="the path leads to other roots")


def _climb(fn: int, sn: int, path: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each hash of a path with whether it stands on the left, from node ``fn`` of a level whose last node is ``sn`` up to the root.

    Raises:
        BadProof: the root comes before the path ends, or after.
    """
    for p in path:
        if sn == 0:
            raise BadProof(why="the path is too long")
        is_left = bool(fn & 1) or fn == sn
        while is_left and not fn & 1 and fn:
            fn, sn = fn >> 1, sn >> 1
        yield p, is_left
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise BadProof(why="the path is too short")
