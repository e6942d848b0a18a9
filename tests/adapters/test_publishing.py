"""Publishing: what is served is the log, whole at every moment, whatever file operation a crash comes at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from proofroom.adapters import files, publishing
from proofroom.adapters.cli import main
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.publishing import publish
from proofroom.adapters.stores import Batch, MemoryStore
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, parse_note, sign_checkpoint
from proofroom.domain.entry import entry_bytes
from proofroom.domain.errors import NoSuchEntry, ProofImpossible, PublishedOther, StoreUnavailable
from proofroom.domain.merkle import SHA256, Tree
from proofroom.domain.tiles import read_bundle, read_tile, tile_path, tiles_between
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.followed import log_of

KIND = "application/vnd.proofroom.tick.v1+json"


@cache
def rows(count: int, seed: bytes = b"") -> tuple[StoredEntry, ...]:
    """Entries that are only bytes: publishing does not look into them."""
    tree, made = Tree(), []
    for i in range(count):
        payload = seed + b"%d" % i
        tree, nodes = merkle.append(tree, SHA256.leaf(entry_bytes(i, i, KIND, payload, b"s")))
        made.append(StoredEntry(f"{i:076x}", 1, KIND, payload, i, i, b"s", b"".join(nodes)))
    return tuple(made)


def store_of(*sizes: int, seed: bytes = b"", origin: str = ORIGIN) -> MemoryStore:
    """A store that grew to these sizes, a checkpoint at each."""
    store, before = MemoryStore(), 0
    for size in sizes:
        tree = merkle.extend(Tree(), [row.nodes[:32] for row in rows(size, seed)])
        note = sign_checkpoint(Checkpoint(origin, size, merkle.root(tree)), key("checkpoint"))
        batch = Batch(rows(size, seed)[before:], note)
        store.append(before, lambda _, batch=batch: batch)  # type: ignore[misc]  # bound early, which no type says
        before = size
    return store


def served(folder: Path) -> tuple[Checkpoint | None, list[bytes]]:
    """The log as a client of the files reads it: every tile and bundle that the checkpoint needs is there and leads to its root."""
    path = folder / "checkpoint"
    if not path.exists():
        return None, []
    checkpoint = parse_note(path.read_text())[0]
    entries: list[bytes] = []
    levels: dict[int, list[bytes]] = {}
    for tile in tiles_between(0, checkpoint.size):
        levels.setdefault(tile.level, []).extend(fetch(folder, str(tile.level), tile.number, tile.width))
        if tile.level == 0:
            entries += fetch(folder, "entries", tile.number, tile.width)
    leaves = [SHA256.leaf(entry) for entry in entries]
    assert levels.get(0, []) == leaves
    assert merkle.root(merkle.extend(Tree(), leaves)) == checkpoint.root
    for level, hashes in levels.items():
        height = 8 * level
        assert hashes == [
            merkle.root(merkle.extend(Tree(), leaves[k << height : k + 1 << height]))
            for k in range(checkpoint.size >> height)
        ]
    return checkpoint, entries


def fetch(folder: Path, level: str, number: int, width: int) -> list[bytes]:
    """A tile, or the first part of the full one in its place (tlog-tiles allows a log to drop what became full)."""
    read: Callable[[bytes, int], list[bytes]] = read_bundle if level == "entries" else read_tile
    path = folder / tile_path(level, number, width)
    if path.exists():
        return read(path.read_bytes(), width)
    return read((folder / tile_path(level, number)).read_bytes(), 256)[:width]


@pytest.mark.parametrize("steps", [(1,), (255, 256, 257), (5, 600), (256, 512), (1, 2, 3, 700)])
def test_what_is_served_is_the_log(tmp_path: Path, steps: tuple[int, ...]) -> None:
    """After each run the files are exactly the log of its newest checkpoint, however it grew."""
    for i in range(len(steps)):
        done = publish(store_of(*steps[: i + 1]), tmp_path)
        checkpoint, entries = served(tmp_path)
        assert checkpoint is not None
        assert done.size == checkpoint.size == steps[i]
        assert done.new == steps[i] - (steps[i - 1] if i else 0)
        assert entries == [row.entry_bytes() for row in rows(steps[i])]
    assert publish(store_of(*steps), tmp_path) == (steps[-1], 0, 0)
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in tmp_path.rglob("*"))


def test_partial_tiles_go_once_they_are_full(tmp_path: Path) -> None:
    """A folder holds only what some client may still need."""
    publish(store_of(100), tmp_path)
    publish(store_of(100, 200), tmp_path)
    assert (tmp_path / "tile/0/000.p/100").exists()
    publish(store_of(100, 200, 300), tmp_path)
    assert not (tmp_path / "tile/0/000.p").exists()
    assert not (tmp_path / "tile/entries/000.p").exists()
    assert (tmp_path / "tile/0/001.p/44").exists()


def test_other_logs_are_refused(tmp_path: Path) -> None:
    """A folder with a longer log, another history, another origin or a broken checkpoint stays as it is."""
    publish(store_of(300), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for store in (
        store_of(299),
        store_of(300, seed=b"x"),
        store_of(400, seed=b"x"),
        store_of(400, origin="example.org/y"),
    ):
        with pytest.raises(PublishedOther):
            publish(store, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    (tmp_path / "checkpoint").write_bytes(b"\xff")
    with pytest.raises(PublishedOther):
        publish(store_of(400), tmp_path)
    with pytest.raises(NoSuchEntry):
        publish(MemoryStore(), tmp_path)


# --- a crash at each file operation


class Crash(BaseException):
    """The machine stops."""


@contextmanager
def crash_at(operation: int, monkeypatch: pytest.MonkeyPatch, *, half: bool) -> Iterator[list[int]]:
    """Stop before the n-th file operation (``half``: after it; a write, after its first half), and let none follow."""
    count = [0]

    def wrap(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            if count[0] < operation:
                return real(*args, **kwargs)
            if half and count[0] == operation:
                if name == "write":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                else:
                    real(*args, **kwargs)
            raise Crash

        monkeypatch.setattr(owner, name, wrapped)

    with monkeypatch.context():
        for owner, name in (
            (os, "open"), (os, "write"), (os, "fsync"), (Path, "replace"), (Path, "mkdir"), (publishing, "sync_folder"),
            (shutil, "rmtree"),
        ):  # fmt: skip
            wrap(owner, name)
        try:
            yield count
        finally:
            monkeypatch.undo()


@pytest.mark.parametrize("half", [False, True])
def test_a_crash_at_every_file_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bool) -> None:
    """At each one: a client sees the old log or the new, whole; the next run, of a longer log, goes on; no index is skipped or doubled."""
    old, new, later = store_of(200), store_of(200, 300), store_of(200, 300, 520)
    operation, seen = 1, set()
    while True:
        folder = tmp_path / f"{operation}"
        publish(old, folder)
        with crash_at(operation, monkeypatch, half=half) as count:
            try:
                publish(new, folder)
                finished = True
            except Crash:
                finished = False
        checkpoint, entries = served(folder)
        assert checkpoint is not None
        assert entries == [row.entry_bytes() for row in rows(checkpoint.size)]
        seen.add(checkpoint.size)
        publish(later if operation % 2 else new, folder)
        checkpoint, entries = served(folder)
        assert checkpoint is not None
        assert checkpoint.size == (520 if operation % 2 else 300)
        assert entries == [row.entry_bytes() for row in rows(checkpoint.size)]
        if finished:
            break
        shutil.rmtree(folder)
        operation += 1
    assert seen == {200, 300}
    assert count[0] > 30


def test_the_first_run_may_crash_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before there is a checkpoint there is no log; afterwards all of it."""
    for operation in range(1, 400):
        folder = tmp_path / f"{operation}"
        with crash_at(operation, monkeypatch, half=operation % 2 == 0):
            try:
                publish(store_of(3), folder)
                break
            except Crash:
                assert served(folder)[0] is None or served(folder)[0] == parse_note(store_of(3).checkpoints()[-1][1])[0]
        assert publish(store_of(3), folder).size == 3
        assert len(served(folder)[1]) == 3
    else:
        pytest.fail("it never came to its end")


def test_only_what_the_log_signed_is_published(tmp_path: Path) -> None:
    """An older checkpoint of its own may be; one by another key, or of another tree, may not, and nothing is written."""
    store = store_of(5, 9)
    notes = dict(store.checkpoints())
    tree = parse_note(notes[9])[0]
    for note in (sign_checkpoint(tree, key("stranger")), store_of(9, seed=b"x").checkpoints()[-1][1]):
        with pytest.raises(ProofImpossible):
            publish(store, tmp_path / "web", under=note)
    assert not (tmp_path / "web").exists()
    assert publish(store, tmp_path / "web", under=notes[5]).size == 5
    assert publish(store, tmp_path / "web").new == 4


def test_who_waited_publishes_what_is_newest_by_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run that had the turn, on a log that had grown meanwhile, is no other log."""
    short, grown, had = store_of(3), store_of(3, 5), list[Path]()
    alone = files.alone

    @contextmanager
    def waits(folder: Path, mode: int) -> Iterator[None]:
        if not had:
            had.append(folder)
            assert publish(grown, folder).size == 5
            monkeypatch.setattr(short, "last_checkpoint", grown.last_checkpoint)
        with alone(folder, mode):
            yield

    monkeypatch.setattr(publishing, "alone", waits)
    assert publish(short, tmp_path).new == 0


def test_publish_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``proofroom publish DIR`` says what it wrote; a restored room is refused."""
    room, web = tmp_path / "room", tmp_path / "web"
    with Ledger.create(room) as ledger:
        ledger.tick()
    shutil.copytree(room, tmp_path / "old")
    with Ledger.open(room) as ledger:
        ledger.tick()
    assert main(["publish", str(web), "--room", str(room)]) == 0
    assert "3 entries, 3 of them new" in capsys.readouterr().out
    assert served(web)[0] is not None
    assert main(["publish", str(web), "--room", str(tmp_path / "old")]) == PublishedOther.exit_status


def test_what_is_linked_to_is_not_written_over(tmp_path: Path) -> None:
    """A link under the name that a file has until it is whole, in a folder that others write to, leads to their aim."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / ".checkpoint.new").symlink_to(victim)
    with pytest.raises(StoreUnavailable):
        publish(log_of(), tmp_path / "web")
    assert victim.read_bytes() == b"mine"
