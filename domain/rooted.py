"""One signature for many statements: a signer signs the root of a tree over them, once (protocol 3).

Each statement then carries the signature of the root and its own place in the tree::

    leaf      = BLAKE3(rooted leaf context, PAE(payload type, payload))       the bytes that would be signed directly
    node      = BLAKE3(rooted node context, left | right)                     the tree of RFC 9162 2.1
    signed    = PAE("application/vnd.proofroom.signed-root.v1+json", {"root":"blake3:<hex>","size":<leaves>})

Contexts and payload type are used for nothing else, so that neither a leaf nor a root can be taken for something that it is not. The size
is signed with the root: with it, a place has exactly one path.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from proofroom.domain import hashing, merkle
from proofroom.domain.errors import BadProof, BadRooted
from proofroom.domain.ids import KeyId
from proofroom.domain.signing import pae, verify_signature

SIGNED_ROOT = "application/vnd.proofroom.signed-root.v1+json"
"""Payload type of a signed root; no statement has it."""

MAX_ROOTED = 2**16
"""Statements under one root."""

MAX_PATH = 16 * 32
"""Bytes of the longest path."""


@lru_cache(maxsize=4096)
def _node(left: bytes, right: bytes) -> bytes:
    """Remembered, since the paths of neighbours meet: in a tree of 256 a statement costs one new node and not eight."""
    return hashing.digest(hashing.ROOTED_NODE, left, right)


ROOTED = merkle.TreeHash(empty=b"", leaf=lambda data: hashing.digest(hashing.ROOTED_LEAF, data), node=_node)


class RootedPath(NamedTuple):
    """Where a statement stands in a tree of which only the root was signed."""

    size: int
    """Statements in the tree."""
    position: int
    path: bytes
    """The hashes from the leaf up to the root, 32 bytes each (RFC 9162 2.1.3.1)."""


def root_message(size: int, root: bytes) -> bytes:
    """What a signer of a root signs."""
    return pae(SIGNED_ROOT, b'{"root":"%b","size":%d}' % (hashing.tagged(root).encode(), size))


def tree_of(messages: Sequence[bytes]) -> tuple[bytes, list[RootedPath]]:
    """The message to sign for all of ``messages``, each the bytes that would be signed directly, and the place of each."""
    size = len(messages)
    levels = [[ROOTED.leaf(message) for message in messages]]
    while len(below := levels[-1]) > 1:
        levels.append(list(map(ROOTED.node, below[::2], below[1::2])))

    def node(height: int, k: int) -> bytes:
        return levels[height][k]

    root = merkle.root(merkle.Tree(size, tuple(node(*peak) for peak in merkle.peaks_of(size))), ROOTED)
    paths = (merkle.inclusion_path(position, size, node, ROOTED) for position in range(size))
    return root_message(size, root), [RootedPath(size, i, b"".join(path)) for i, path in enumerate(paths)]


def check_place(keyid: KeyId, place: RootedPath) -> None:
    """Check that the place which the signer ``keyid`` gives can be one.

    Raises:
        BadRooted: it is not a position in a tree of at most :data:`MAX_ROOTED`, and whole hashes.
    """
    size, position, path = place
    if (type(size), type(position), type(path)) != (int, int, bytes):
        raise BadRooted(keyid=keyid, why="its place is not two integers and bytes")
    if not 0 <= position < size <= MAX_ROOTED or len(path) > MAX_PATH or len(path) % 32:
        raise BadRooted(keyid=keyid, why=f"position {position} of {size} with a path of {len(path)} bytes")


def message_at(keyid: KeyId, message: bytes, place: RootedPath) -> bytes:
    """The root message that the signer ``keyid`` must have signed, if ``message`` stands at this place, which :func:`check_place` passed.

    Raises:
        BadRooted: the path has not the length that position and size demand.
    """
    size, position, path = place
    hashes = [path[i : i + 32] for i in range(0, len(path), 32)]
    try:
        root = merkle.inclusion_root(ROOTED.leaf(message), position, size, hashes, ROOTED)
    except BadProof as e:
        raise BadRooted(keyid=keyid, why=e.why) from None
    return root_message(size, root)


@lru_cache(maxsize=1024)
def verify_root_signature(keyid: KeyId, message: bytes, signature: bytes) -> None:
    """Check the signature of a root message; what held is remembered, so that a tree costs one check a signer and not one a statement.

    Raises:
        BadKeyId, BadSignature: see :func:`~proofroom.domain.signing.verify_signature`.
    """
    verify_signature(keyid, message, signature)
