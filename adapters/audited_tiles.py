"""The audit of a published log, with nothing else at hand: the same audit, of entries that are served and hashes that the checkpoint signs.

A tile is believed once it leads to the checkpoint's root; an entry has to give the leaf that stands in its place. Where a tile does not
lead there, its leaves are unknown, and the entries are held against the checkpoint together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from proofroom.adapters.audit import Report, audit, report
from proofroom.adapters.audited import Audited
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.published import Source
from proofroom.adapters.replay import Replay
from proofroom.domain.checkpoint import parse_note
from proofroom.domain.entry import parse_entry
from proofroom.domain.envelope import Frozen, Verified
from proofroom.domain.errors import BadEntry, Malformed
from proofroom.domain.tiles import WIDTH, Tile, TileTree
from proofroom.domain.verifier import Verdict


@dataclass(frozen=True)
class PublishedEntry(StoredEntry):
    """An entry as it is published: bytes in a place, and the leaf that the tiles have there. It has no key, and no nodes of its own."""

    data: bytes
    leaf: bytes
    """Empty where it is not known."""
    fault: Malformed | None
    """Why there is no envelope."""
    tile_fault: Malformed | None
    """Why it and those behind it have no leaf."""

    def entry_bytes(self) -> bytes:
        if self.fault is not None and not self.data:
            raise self.fault
        return self.data

    def frozen(self) -> Frozen:
        if self.fault is not None:
            raise self.fault
        return super().frozen()

    def has_nodes(self, nodes: Iterable[bytes]) -> bool:
        if self.tile_fault is not None:
            raise self.tile_fault
        return not self.leaf or next(iter(nodes)) == self.leaf

    def has_key_of(self, verified: Verified) -> bool:
        return True

    @property
    def signed_leaf(self) -> bytes | None:
        return self.leaf or None


def published_entry(
    index: int, data: bytes, leaf: bytes, fault: Malformed | None, tile_fault: Malformed | None
) -> PublishedEntry:
    """What is published in a place."""
    recorded_at_ms, frozen = 0, ("", b"", b"")
    try:
        given, recorded_at_ms, envelope = parse_entry(data)
        frozen = envelope.freeze()
        fault = None if given == index else BadEntry(why=f"it says that it is entry {given}")
    except Malformed as e:
        fault = fault or e
    topic, state, signatures = frozen
    return PublishedEntry(
        originator_id="",
        originator_version=1,
        topic=topic,
        state=state,
        index=index,
        recorded_at_ms=recorded_at_ms,
        signatures=signatures,
        nodes=b"",
        data=data,
        leaf=leaf,
        fault=fault,
        tile_fault=tile_fault,
    )


class AuditedTiles(Audited):
    """A published log up to one of its checkpoints.

    Args:
        source: where it is read from.
        note: the checkpoint.

    Raises:
        BadNote: it is none.
        NotPublished, StoreUnavailable: the log cannot be read.
    """

    def __init__(self, source: Source, note: str) -> None:
        self._source, self._note, self._head = source, note, parse_note(note)[0]
        self._tree: TileTree | None = None
        self._fault: Malformed | None = None
        try:
            self._tree = TileTree(self._head.size, self._head.root, source.tile)
        except Malformed as e:
            self._fault = e

    def count(self) -> int:
        return self._head.size

    def entries(self, first: int) -> Iterator[StoredEntry]:
        size = self._head.size
        for number in range(first // WIDTH, -(-size // WIDTH)):
            tile = Tile(0, number, min(WIDTH, size - WIDTH * number))
            leaves, tile_fault = self._leaves(tile)
            bundle, fault = self._bundle(tile)
            for index, (data, leaf) in enumerate(zip(bundle, leaves, strict=True), WIDTH * number):
                if index >= first:
                    yield published_entry(index, data, leaf, fault, tile_fault)
                    tile_fault = None  # it is told once

    def checkpoints(self, first: int) -> Iterator[tuple[int, str]]:
        # Also when all of its entries were verified before: it may be another of that size.
        return iter([(self._head.size, self._note)][self._head.size + 1 < first :])

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        if self._tree is None:
            raise self._fault or BadEntry(why="there are no tiles")
        return [self._tree.node(*place) for place in places]

    def has_more(self, size: int) -> bool:
        return False

    def _leaves(self, tile: Tile) -> tuple[list[bytes], Malformed | None]:
        try:
            if self._tree is not None:
                return self._tree.tile(0, tile.number), None
            fault, self._fault = self._fault, None
        except Malformed as e:
            fault = e
        return [b""] * tile.width, fault

    def _bundle(self, tile: Tile) -> tuple[list[bytes], Malformed | None]:
        try:
            entries = self._source.bundle(tile)
            if len(entries) == tile.width:
                return entries, None
            fault: Malformed = BadEntry(why=f"there are {len(entries)} entries under {tile.width} leaves")
        except Malformed as e:
            fault = e
        return [b""] * tile.width, fault


def audit_published(
    source: Source,
    *,
    against: str | None = None,
    progress: Callable[[int], None] | None = None,
    workers: int | None = 0,
    resume: Path | None = None,
    first_only: bool = False,
) -> Report:
    """As :func:`proofroom.adapters.audit.audit`, of a published log up to its newest checkpoint.

    Raises:
        BadNote: ``against`` is not a checkpoint.
        BadInput: ``resume`` is no progress of an audit.
        NotPublished, StoreUnavailable: the log cannot be read, or the progress not be saved.
    """
    try:
        log = AuditedTiles(source, source.note())
    except Malformed as e:
        return report(Replay(), Verdict.INVALID, str(e), 0, e, "checkpoint")
    return audit(log, against=against, progress=progress, workers=workers, resume=resume, first_only=first_only)
