"""Tiles: which a tree has, where they are served, and that what is printed is what is parsed."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import merkle
from proofroom.domain.errors import BadEntry, BadProof
from proofroom.domain.merkle import SHA256, Tree
from proofroom.domain.tiles import Tile, TileTree, read_bundle, read_tile, tile_path, tiles_between, write_bundle

ENTRIES = st.lists(st.binary(min_size=1, max_size=40), max_size=256)


def test_the_example_of_the_specification() -> None:
    """A tree of 70,000: 273 full tiles and one of 112 at level 0, one full and one of 17 at level 1, one of 1 at level 2."""
    tiles = list(tiles_between(0, 70_000))
    assert [(t.level, t.width) for t in tiles] == [*[(0, 256)] * 273, (0, 112), (1, 256), (1, 17), (2, 1)]
    assert [(t.level, t.width) for t in tiles_between(0, 256)] == [(0, 256), (1, 1)]
    assert tile_path("0", 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path("entries", 0, 5) == "tile/entries/000.p/5"
    assert tile_path("1", 999) == "tile/1/999"
    assert tile_path("1", 1000, 255) == "tile/1/x001/000.p/255"


@given(st.integers(0, 2**17), st.integers(0, 2**17))
def test_only_what_is_new(old: int, new: int) -> None:
    """What two steps write is what one step writes, but for partial tiles that grew; no tile reaches beyond the tree."""
    old, new = sorted((old, new))
    at_once, before, after = set(tiles_between(0, new)), set(tiles_between(0, old)), set(tiles_between(old, new))
    assert after <= at_once
    assert at_once <= before | after
    assert not before & after
    for tile in after:
        *_, (height, k) = tile.nodes()
        assert (k + 1) << height <= new
        assert 1 <= tile.width <= 256


@given(ENTRIES)
def test_bundles(entries: list[bytes]) -> None:
    """A bundle gives back its entries, and nothing else passes for it."""
    data = write_bundle(entries)
    assert read_bundle(data, len(entries)) == entries
    for broken, width in (
        (data + b"\0", len(entries)),
        (data[:-1], len(entries)),
        (data, len(entries) + 1),
        (data + b"\0\0", len(entries) + 1),
    ):
        if broken != data or width != len(entries):
            with pytest.raises(BadEntry):
                read_bundle(broken, width)


def test_hashes() -> None:
    """A tile is whole hashes, as many as its width says."""
    assert read_tile(bytes(64), 2) == [bytes(32), bytes(32)]
    for size in (0, 63, 65, 96):
        with pytest.raises(BadEntry):
            read_tile(bytes(size), 2)
    assert list(Tile(1, 2, 3).nodes()) == [(8, 512), (8, 513), (8, 514)]
    assert Tile(0, 2, 3).entries_path == "tile/entries/002.p/3"


# --- tiles of others, believed in nothing


@cache
def node(height: int, k: int) -> bytes:
    """A node of the tree over the entries 0, 1, 2, ..."""
    if height == 0:
        return SHA256.leaf(b"%d" % k)
    return SHA256.node(node(height - 1, 2 * k), node(height - 1, 2 * k + 1))


def root(size: int) -> bytes:
    """The root of the first entries."""
    return merkle.root(Tree(size, tuple(node(*peak) for peak in merkle.peaks_of(size))))


def tile_of(tile: Tile) -> list[bytes]:
    """An honest tile."""
    return [node(*place) for place in tile.nodes()]


def bundle_of(tile: Tile) -> list[bytes]:
    """An honest bundle."""
    return [b"%d" % i for i in range(256 * tile.number, 256 * tile.number + tile.width)]


SIZES = st.sampled_from([0, 1, 2, 255, 256, 257, 511, 512, 700, 1023, 1024, 65_535, 65_536, 65_537, 66_000])


@given(SIZES | st.integers(0, 3_000), st.data())
def test_a_tree_from_tiles(size: int, data: st.DataObject) -> None:
    """Every node of the tree, its entries from any index on, and so any proof."""
    tree = TileTree(size, root(size), tile_of)
    first = data.draw(st.integers(max(0, size - 300), size))
    assert list(tree.entries(first, bundle_of)) == [b"%d" % i for i in range(first, size)]
    if size:
        index = data.draw(st.integers(0, size - 1))
        path = merkle.inclusion_path(index, size, tree.node)
        merkle.verify_inclusion(node(0, index), index, size, path, root(size))
        assert merkle.consistency_path(index, size, tree.node) == merkle.consistency_path(index, size, node)


@given(SIZES.filter(bool) | st.integers(1, 3_000), st.data())
def test_no_false_tile_is_believed(size: int, data: st.DataObject) -> None:
    """One hash of any tile, or one entry of any bundle, is another: whoever reads it is told, and never given it."""
    false = data.draw(st.sampled_from(list(tiles_between(0, size))))
    at = data.draw(st.integers(0, false.width - 1))
    in_entries = false.level == 0 and data.draw(st.booleans())

    def lie(honest: list[bytes], tile: Tile) -> list[bytes]:
        return [*honest[:at], bytes(32), *honest[at + 1 :]] if tile == false else honest

    place = 256 * false.number + at

    def read() -> None:
        tree = TileTree(size, root(size), lambda tile: tile_of(tile) if in_entries else lie(tile_of(tile), tile))
        if in_entries:
            next(tree.entries(place, lambda tile: lie(bundle_of(tile), tile)))
        tree.node(8 * false.level, place)

    with pytest.raises(BadProof, match=f"entry {place} does not give" if in_entries else "."):
        read()


def test_a_claim_of_a_huge_tree_costs_little() -> None:
    """A size that nobody has: a few tiles are asked for, and none leads to the root."""
    asked: list[Tile] = []

    def fetch(tile: Tile) -> list[bytes]:
        asked.append(tile)
        return [bytes(32)] * tile.width

    with pytest.raises(BadProof):
        TileTree(2**63 - 1, bytes(32), fetch)
    assert len(asked) == 8
    with pytest.raises(BadProof):
        TileTree(0, bytes(32), fetch)


def test_bundles_of_another_length() -> None:
    """One entry more or fewer than there are leaves."""
    tree = TileTree(3, root(3), tile_of)
    for entries in ([b"0", b"1"], [b"0", b"1", b"2", b"3"]):
        with pytest.raises(BadProof, match="under 3 leaves"):
            next(tree.entries(0, {Tile(0, 0, 3): entries}.__getitem__))
