"""Tiles: which a tree has, where they are served, and that what is printed is what is parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain.errors import BadEntry
from proofroom.domain.tiles import Tile, read_bundle, read_tile, tile_path, tiles_between, write_bundle

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
