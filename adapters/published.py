"""Reading a log that others keep: published as static files (C2SP ``tlog-tiles``), in a folder or behind HTTP, or a ledger's own file.

What comes from there is believed in nothing: hashes only once they lead to the root that a checkpoint signs, entries only once they have
those hashes. Each file is read up to the length that it may have at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from proofroom.adapters.files import open_regular
from proofroom.adapters.ledger import LOG
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import Store
from proofroom.adapters.web import ANSWER_SECONDS, NO_ANSWER, urlopen, why_none
from proofroom.domain.checkpoint import MAX_NOTE
from proofroom.domain.entry import MAX_ENTRY
from proofroom.domain.errors import BadEntry, BadNote, NotPublished
from proofroom.domain.tiles import WIDTH, Tile, read_bundle, read_tile, tile_path

MAX_TILE = WIDTH * 32
MAX_BUNDLE = WIDTH * (2 + MAX_ENTRY)


class Source(Protocol):
    """Where a log is read from. Nothing that it gives is verified."""

    def note(self) -> str:
        """The newest checkpoint.

        Raises:
            BadNote, BadEntry: it is not text, or too long.
            NotPublished, StoreUnavailable: it cannot be had.
        """
        ...

    def tile(self, tile: Tile) -> list[bytes]:
        """The hashes of a tile.

        Raises:
            BadEntry: there are more or fewer, or something else.
            NotPublished, StoreUnavailable: they cannot be had.
        """
        ...

    def bundle(self, tile: Tile) -> list[bytes]:
        """The frozen bytes of the entries under a tile of level 0; raises the same."""
        ...


class PublishedLog:
    """A log as ``proofroom publish`` writes it.

    Args:
        place: its folder, or the ``http://`` or ``https://`` address under which it is served.
        seconds: for each file, from asking for it to its last byte.
    """

    def __init__(self, place: str, *, seconds: float = ANSWER_SECONDS) -> None:
        self.place, self.seconds = place.rstrip("/") or "/", seconds
        self._is_web = place.startswith(("http://", "https://"))

    def note(self) -> str:
        try:
            return self._read("checkpoint", MAX_NOTE).decode()
        except UnicodeDecodeError:
            raise BadNote(why="not text in UTF-8") from None

    def tile(self, tile: Tile) -> list[bytes]:
        data, width = self._part_or_whole(str(tile.level), tile, MAX_TILE)
        return read_tile(data, width)[: tile.width]

    def bundle(self, tile: Tile) -> list[bytes]:
        data, width = self._part_or_whole("entries", tile, MAX_BUNDLE)
        return read_bundle(data, width)[: tile.width]

    def _part_or_whole(self, level: str, tile: Tile, limit: int) -> tuple[bytes, int]:
        """A file, and how wide it is: where a log dropped a partial tile, the full one holds it (tlog-tiles)."""
        try:
            return self._read(tile_path(level, tile.number, tile.width), limit), tile.width
        except NotPublished as missing:
            try:
                return self._read(tile_path(level, tile.number), limit), WIDTH
            except NotPublished:
                raise missing from None

    def _read(self, name: str, limit: int) -> bytes:
        place = f"{self.place}/{name}"
        try:
            if self._is_web:
                with urlopen(place, self.seconds) as response:
                    data = response.read(limit + 1)
            else:
                with open_regular(Path(place)) as file:
                    data = file.read(limit + 1)
        except NO_ANSWER as e:
            raise NotPublished(place=place, why=why_none(e)) from None
        if len(data) > limit:
            raise BadEntry(why=f"{name} is longer than {limit} bytes")
        return data


class StoredLog:
    """A ledger's own store, read in the same pieces."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self) -> str:
        last = self._store.last_checkpoint()
        if last is None:
            raise NotPublished(place="the log's store", why="it has no checkpoint yet")
        return last[1]

    def tile(self, tile: Tile) -> list[bytes]:
        return read_tile(b"".join(self._store.nodes(list(tile.nodes()))), tile.width)

    def bundle(self, tile: Tile) -> list[bytes]:
        return [stored.entry_bytes() for stored in self._store.read(WIDTH * tile.number, tile.width)]


@contextmanager
def open_source(place: str) -> Iterator[Source]:
    """The log at a place: a room, the folder of a published log, or its address."""
    path = Path(place, LOG)
    if place.startswith(("http://", "https://")) or not path.exists():
        yield PublishedLog(place)
        return
    with closing(SqliteStore(path, read_only=True)) as store:
        yield StoredLog(store)
