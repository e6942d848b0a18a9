"""``publish``: the log as static files (C2SP ``tlog-tiles``), only ever extended, whole at every moment.

Each file is written under another name, brought to the disk, and renamed into its place; the checkpoint comes last, when all that it needs
is there. A crash at any point leaves the old checkpoint with all of its files, and the next run goes on from there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from proofroom.adapters.files import alone, sync_folder, typed
from proofroom.adapters.proving import earlier
from proofroom.adapters.stores import Store, from_nodes
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, parse_note
from proofroom.domain.errors import BadNote, BadProof, NoSuchEntry, ProofImpossible, PublishedOther
from proofroom.domain.tiles import WIDTH, tiles_between, write_bundle

CHECKPOINT = "checkpoint"


class Published(NamedTuple):
    """What one run did."""

    size: int
    """Entries of the log that is published now."""
    new: int
    """Entries that were not before."""
    files: int
    """Files that were written."""


def publish(
    store: Store, folder: Path, progress: Callable[[int], None] | None = None, *, under: str | None = None
) -> Published:
    """Publish a log up to its newest checkpoint. One process at a time: a second one waits.

    Args:
        store: the log.
        folder: where to; made when it is not there.
        progress: called with the number of entries written so far.
        under: a checkpoint of this log to publish instead, such as the newest with cosignatures.

    Raises:
        NoSuchEntry: the log has no checkpoint.
        ProofImpossible: the log did not sign ``under``.
        PublishedOther: the folder holds another log, or a longer one.
        StoreUnavailable: a file cannot be written; what was published before is whole.
    """
    chosen = _newest(store) if under is None else (_signed_here(store, under), under)
    with typed(folder), alone(folder, 0o777):
        # The newest once more: who had the turn before may have published what was not there yet.
        size, note = _newest(store) if under is None else chosen
        old = _published_size(store, folder, parse_note(note)[0])
        files, kept = 0, {folder}
        for tile in tiles_between(old, size):
            if tile.level == 0:
                entries = [stored.entry_bytes() for stored in store.read(WIDTH * tile.number, tile.width)]
                _write(folder, tile.entries_path, write_bundle(entries), kept)
                files += 1
            _write(folder, tile.path, b"".join(store.nodes(list(tile.nodes()))), kept)
            files += 1
            if progress is not None and tile.level == 0:
                progress(min(size, WIDTH * tile.number + tile.width))
        if size > old or (under is not None and (folder / CHECKPOINT).read_bytes() != note.encode()):
            _write(folder, CHECKPOINT, note.encode(), kept)
            files += 1
        _drop_partial(folder, old, size)
    return Published(size, size - old, files)


def _newest(store: Store) -> tuple[int, str]:
    last = store.last_checkpoint()
    if last is None:
        raise NoSuchEntry(what="checkpoint")
    return last


def _signed_here(store: Store, note: str) -> int:
    """The size of a checkpoint that this log signed, whatever cosignatures it has besides.

    Raises:
        ProofImpossible: the log did not.
    """
    size = earlier(store, note)
    own = [stored for at, stored in store.checkpoints(size, 1) if at == size]
    if not own or not set(own[0].splitlines()) <= set(note.splitlines()):
        raise ProofImpossible(what=f"publication under the checkpoint of size {size}", why="the log did not sign it")
    return size


def _published_size(store: Store, folder: Path, head: Checkpoint) -> int:
    """How many entries are published; the log must extend them.

    Raises:
        PublishedOther: it does not.
    """
    try:
        before = parse_note((folder / CHECKPOINT).read_text(encoding="utf-8"))[0]
    except FileNotFoundError:
        return 0
    except (BadNote, UnicodeDecodeError) as e:
        raise PublishedOther(path=str(folder), why=f"its checkpoint cannot be read: {e}") from None
    sync_folder(folder)  # when it was put there, this may have failed
    if before.origin != head.origin or before.size > head.size:
        raise PublishedOther(path=str(folder), why=f"{before.size} entries of {before.origin}")
    try:
        path = from_nodes(store, lambda node: merkle.consistency_path(before.size, head.size, node))
        merkle.verify_consistency(before.size, head.size, path, before.root, head.root)
    except BadProof as e:
        raise PublishedOther(
            path=str(folder), why=f"this log does not extend its {before.size} entries: {e.why}"
        ) from None
    return before.size


def _write(folder: Path, name: str, data: bytes, kept: set[Path]) -> None:
    """Put a file in its place, for all to read. What an earlier run left under the other name is written over."""
    path = folder / name
    _make_folder(path.parent, kept)
    draft = path.with_name(f".{path.name}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(path)
    sync_folder(path.parent)


def _make_folder(path: Path, kept: set[Path]) -> None:
    """A folder that is still there after a crash, as those are that are ``kept``. An earlier run may have come no further than its name."""
    if path not in kept:
        _make_folder(path.parent, kept)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)
        kept.add(path)


def _drop_partial(folder: Path, old: int, new: int) -> None:
    """Partial tiles whose full tile is there: nobody needs them under the new checkpoint, and under the old one the full tile serves."""
    for tile in tiles_between(old, new):
        if tile.width == WIDTH:
            for path in (tile.path, *([tile.entries_path] if tile.level == 0 else [])):
                shutil.rmtree(folder / f"{path}.p", ignore_errors=True)
