"""Merkle trees as RFC 9162 2.1 has them: recomputing a root from a leaf and its path, from an older root, and from a run of leaves.

The log's tree hashes with SHA-256; the trees inside statements with BLAKE3, one derivation context for leaves and one for nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from blake3 import blake3

from proofroom.domain.verifier.verdict import Fault

Node = Callable[[bytes, bytes], bytes]


def log_leaf(data: bytes) -> bytes:
    """The leaf hash of an entry's bytes."""
    return sha256(b"\x00" + data).digest()


def log_node(left: bytes, right: bytes) -> bytes:
    """The hash of a node of the log's tree."""
    return sha256(b"\x01" + left + right).digest()


def _blake3(context: str) -> Callable[..., bytes]:
    return lambda *parts: blake3(b"".join(parts), derive_key_context=f"proofroom 2026 v1 {context}").digest()


inner_leaf, inner_node = _blake3("inner tree leaf"), _blake3("inner tree node")
"""Of trees inside statements; before an item comes a zero byte."""
rooted_leaf, rooted_node = _blake3("rooted signature leaf"), _blake3("rooted signature node")
"""Of trees of which only the root was signed."""


def root_from(leaf: bytes, index: int, size: int, path: Sequence[bytes], node: Node = log_node) -> bytes:
    """The root to which a path leads from the leaf at this index of a tree of this size (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        raise Fault(f"there is no leaf {index} in a tree of {size}")
    for sibling, is_left in _climb(index, size - 1, path):
        leaf = node(sibling, leaf) if is_left else node(leaf, sibling)
    return leaf


def check_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes, node: Node = log_node
) -> None:
    """The leaf stands at this index of the tree of this size and root."""
    if root_from(leaf, index, size, path, node) != root:
        raise Fault("the path leads to another root")


def check_consistency(first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes) -> None:
    """The tree of size ``second`` begins with the tree of size ``first``, 0 < first < second (RFC 9162 2.1.4.2)."""
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    if at:  # otherwise the smaller tree is one node of the larger, and its root, left out of the path, begins it
        if not path:
            raise Fault("the path is too short")
        old, path = path[0], path[1:]
    else:
        old = first_root
    new = old
    for sibling, is_left in _climb(at, last, path):
        old = log_node(sibling, old) if is_left else old
        new = log_node(sibling, new) if is_left else log_node(new, sibling)
    if old != first_root or new != second_root:
        raise Fault("the path leads to other roots")


def _climb(at: int, last: int, path: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each hash of a path, and whether it stands on the left, from node ``at`` of a level that ends in node ``last`` up to the root."""
    for sibling in path:
        if not last:
            raise Fault("the path is too long")
        is_left = at & 1 == 1 or at == last
        while is_left and at and not at & 1:
            at, last = at >> 1, last >> 1
        yield sibling, is_left
        at, last = at >> 1, last >> 1
    if last:
        raise Fault("the path is too short")
