"""A log as files that any web server can serve: C2SP ``tlog-tiles``.

====================================  ===================================================================================
``checkpoint``                        the signed note
``tile/<level>/<n>[.p/<width>]``      up to 256 hashes: the nodes of height ``8 * level`` from ``256 * n`` on, from the left
``tile/entries/<n>[.p/<width>]``      the entries under the tile of level 0, each after its length as a big-endian uint16
====================================  ===================================================================================

``<n>`` is written in three-digit path elements, all but the last with an ``x`` before: 1234067 is ``x001/x234/067``. Only a tile on the
right edge is partial; what was published never changes, but a partial tile may go once the full one is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from proofroom.domain import merkle
from proofroom.domain.errors import BadEntry, BadProof
from proofroom.domain.merkle import Tree

WIDTH = 256
"""Hashes of a full tile."""

LEVEL_HEIGHT = 8
"""Tree levels that a tile spans."""


class Tile(NamedTuple):
    """A tile of hashes: its level, its place in the level, and how many hashes it has."""

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Where it is served."""
        return tile_path(str(self.level), self.number, self.width)

    @property
    def entries_path(self) -> str:
        """Where the entries under a tile of level 0 are served."""
        return tile_path("entries", self.number, self.width)

    def nodes(self) -> Iterator[tuple[int, int]]:
        """The nodes ``(height, k)`` whose hashes it holds, from the left."""
        return ((LEVEL_HEIGHT * self.level, WIDTH * self.number + i) for i in range(self.width))


def tile_path(level: str, index: int, width: int = WIDTH) -> str:
    """The path of a tile; ``level`` is its number, or ``entries``."""
    digits = f"{index:0{-(-len(str(index)) // 3) * 3}d}"
    elements = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join([*(f"x{element}" for element in elements[:-1]), elements[-1]])
    return f"tile/{level}/{name}" + (f".p/{width}" if width < WIDTH else "")


def tiles_between(old: int, new: int) -> Iterator[Tile]:
    """The tiles that a tree of ``new`` leaves has and one of ``old`` has not, level by level."""
    level = 0
    while new >> LEVEL_HEIGHT * level:
        had, has = old >> LEVEL_HEIGHT * level, new >> LEVEL_HEIGHT * level
        for index in range(had // WIDTH, -(-has // WIDTH)):
            width = min(WIDTH, has - WIDTH * index)
            if width > had - WIDTH * index:
                yield Tile(level, index, width)
        level += 1


def write_bundle(entries: Iterable[bytes]) -> bytes:
    """The entries of a tile of level 0, as they are served."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def read_bundle(data: bytes, width: int) -> list[bytes]:
    """The entries that a bundle of this width holds.

    Raises:
        BadEntry: it does not hold exactly so many.
    """
    entries, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or end - at <= 2:
            raise BadEntry(why="the bundle is cut short")
        entries.append(data[at + 2 : end])
        at = end
    if len(entries) != width:
        raise BadEntry(why=f"the bundle holds {len(entries)} entries, not {width}")
    return entries


def read_tile(data: bytes, width: int) -> list[bytes]:
    """The hashes that a tile of this width holds.

    Raises:
        BadEntry: it does not hold exactly so many.
    """
    if len(data) != 32 * width:
        raise BadEntry(why=f"the tile has {len(data)} bytes, not {32 * width}")
    return [data[i : i + 32] for i in range(0, len(data), 32)]


class TileTree:
    """The tree of a checkpoint, read from tiles of which nothing is believed before it leads to the checkpoint's root.

    The partial tiles of all levels together give the root, and with it are known; the hash of a full tile stands in the tile above it.

    Args:
        size: leaves of the tree.
        root: its root.
        fetch: gives the hashes of a tile, exactly so many as it is wide.

    Raises:
        BadProof: the tiles on the right edge lead to another root. What ``fetch`` raises is passed on.
    """

    def __init__(self, size: int, root: bytes, fetch: Callable[[Tile], list[bytes]]) -> None:
        self.size, self._fetch = size, fetch
        self._kept: dict[int, tuple[int, list[bytes]]] = {}
        """Level -> the full tile that was read last, by its number."""
        self._edge: dict[int, list[bytes]] = {}
        peaks: list[bytes] = []
        for level in reversed(range(-(-size.bit_length() // LEVEL_HEIGHT))):
            number, width = divmod(size >> LEVEL_HEIGHT * level, WIDTH)
            self._edge[level] = fetch(Tile(level, number, width)) if width else []
            peaks += merkle.extend(Tree(), self._edge[level]).peaks
        if merkle.root(Tree(size, tuple(peaks))) != root:
            raise BadProof(why="the tiles lead to another root")

    def tile(self, level: int, number: int) -> list[bytes]:
        """The hashes of a tile.

        Raises:
            BadProof: they do not give the hash above them.
        """
        if number == self.size >> LEVEL_HEIGHT * (level + 1):
            return self._edge[level]
        if self._kept.get(level, (-1,))[0] != number:
            hashes = self._fetch(Tile(level, number, WIDTH))
            if _root(hashes) != self.tile(level + 1, number // WIDTH)[number % WIDTH]:
                raise BadProof(why=f"the tile {tile_path(str(level), number)} does not give the hash above it")
            self._kept[level] = number, hashes
        return self._kept[level][1]

    def node(self, height: int, k: int) -> bytes:
        """The hash of node ``(height, k)``, for proofs by :mod:`proofroom.domain.merkle`."""
        level, up = divmod(height, LEVEL_HEIGHT)
        number, at = divmod(k << up, WIDTH)
        return _root(self.tile(level, number)[at : at + (1 << up)])

    def entries(self, first: int, bundle: Callable[[Tile], list[bytes]]) -> Iterator[bytes]:
        """The frozen bytes of the entries from index ``first`` on; ``bundle`` gives those under a tile of level 0.

        Raises:
            BadProof: an entry does not give its leaf, or there are more or fewer of them.
        """
        for number in range(first // WIDTH, -(-self.size // WIDTH)):
            leaves = self.tile(0, number)
            entries = bundle(Tile(0, number, len(leaves)))
            if len(entries) != len(leaves):
                raise BadProof(why=f"there are {len(entries)} entries under {len(leaves)} leaves")
            for index, (leaf, entry) in enumerate(zip(leaves, entries, strict=True), WIDTH * number):
                if merkle.SHA256.leaf(entry) != leaf:
                    raise BadProof(why=f"entry {index} does not give its leaf")
                if index >= first:
                    yield entry


def _root(hashes: list[bytes]) -> bytes:
    return merkle.root(merkle.extend(Tree(), hashes))
