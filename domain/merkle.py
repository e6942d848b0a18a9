"""The Merkle tree of RFC 6962 / RFC 9162 section 2.1, over any hash.

The log uses SHA-256, as C2SP fixes it; trees inside statements use BLAKE3. A perfect subtree of height ``h`` whose first leaf is
``k * 2**h`` is called node ``(h, k)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
    tree = Tree()
    for leaf in leaves:
        tree, _ = append(tree, hash.leaf(leaf), hash)
    return root(tree, hash)


def peaks_of(size: int) -> list[tuple[int, int]]:
    """The nodes ``(height, k)`` whose hashes are the peaks of a tree of ``size`` leaves, largest first."""
    peaks, first = [], 0
    for height in reversed(range(size.bit_length())):
        if size >> height & 1:
            peaks.append((height, first >> height))
            first += 1 << height
    return peaks


def inclusion_path(index: int, size: int, node: Callable[[int, int], bytes], hash: TreeHash = SHA256) -> list[bytes]:
    """PATH(index, D[size]) of RFC 9162 2.1.3.1, from the hashes of perfect subtrees: O(log size) calls of ``node``.

    Raises:
        BadProof: there is no such leaf in a tree of this size.
    """
    if not 0 <= index < size:
        raise BadProof(why=f"no leaf {index} in a tree of {size}")

    def subtree(first: int, count: int) -> bytes:
        if count & (count - 1) == 0:
            height = count.bit_length() - 1
            return node(height, first >> height)
        left = 1 << (count - 1).bit_length() - 1
        return hash.node(subtree(first, left), subtree(first + left, count - left))

    path: list[bytes] = []
    first, count = 0, size
    while count > 1:
        left = 1 << (count - 1).bit_length() - 1
        if index < first + left:
            path.append(subtree(first + left, count - left))
            count = left
        else:
            path.append(subtree(first, left))
            first, count = first + left, count - left
    path.reverse()
    return path


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes, hash: TreeHash = SHA256
) -> None:
    """RFC 9162 2.1.3.2: check that the leaf stands at ``index`` in the tree of ``size`` with this root.

    Raises:
        BadProof: it does not, or the path is too long or too short.
    """
    if not 0 <= index < size:
        raise BadProof(why=f"no leaf {index} in a tree of {size}")
    fn, sn, r = index, size - 1, leaf_hash
    for p in path:
        if sn == 0:
            raise BadProof(why="the path is too long")
        if fn & 1 or fn == sn:
            r = hash.node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hash.node(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise BadProof(why="the path is too short")
    if r != root:
        raise BadProof(why="the path leads to another root")
