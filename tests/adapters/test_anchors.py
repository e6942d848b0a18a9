"""Anchors that are real: a folder, a git repository with a remote, an HTTP server."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proofroom.adapters.anchors import FolderAnchor, GitAnchor, HttpAnchor, anchor_at, anchor_newest, batch_roots
from proofroom.adapters.stores import MemoryStore
from proofroom.domain.errors import AnchorFailed, BadInput, HistoryChanged
from proofroom.domain.statements.activity import BatchSealed
from strategies.rooms import Room, edit, make_folder, make_room
from strategies.shell import proofroom, settle


@pytest.fixture(scope="module")
def room() -> Room:
    """A room with two sealed batches."""
    made = make_room(MemoryStore())
    for _ in range(2):
        made.ledger.append_many(made.records(3))
        made.ledger.append(made.cast.seal_all(made.ledger.state, 0))
    return made


def git(folder: Path, *args: str) -> str:
    """A git command."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *args], capture_output=True, text=True, check=True
    ).stdout


@contextmanager
def bucket(kept: dict[str, bytes]) -> Iterator[str]:
    """A server that keeps what is put, once."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            same = kept.setdefault(self.path, data) == data
            self.send_response(204 if same else 409)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_checkpoint_and_batch_roots_are_kept_in_a_folder(room: Room, tmp_path: Path) -> None:
    """The same again changes nothing; other bytes under the name are refused."""
    anchor = FolderAnchor(tmp_path)
    done = anchor_newest(room.ledger.store, [anchor])
    assert anchor_newest(room.ledger.store, [anchor]) == done
    assert (tmp_path / done.name).read_text() == room.ledger.checkpoint()
    sealed = [(e.index, e.statement) for e in room.ledger.read() if isinstance(e.statement, BatchSealed)]
    told = json.loads((tmp_path / f"{done.size:020}.batches.json").read_bytes())
    assert [(b["entry_index"], b["root"], b["count"]) for b in told] == [(i, s.root, s.count) for i, s in sealed]
    assert done.batches == 2
    with pytest.raises(AnchorFailed):
        anchor.keep(done.name, b"another")


def test_batches_since(room: Room) -> None:
    """From an index on, and only those."""
    both = batch_roots(room.ledger.store, 0, room.ledger.size)
    second = int(str(both[1]["entry_index"]))
    assert batch_roots(room.ledger.store, second, room.ledger.size) == both[1:]
    assert batch_roots(room.ledger.store, second + 1, room.ledger.size) == []
    assert batch_roots(room.ledger.store, 0, second) == both[:1]


def test_git_commits_and_pushes(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One commit for each file, at the remote too; the same again makes none."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "a")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.org")
    remote, tree = tmp_path / "remote", tmp_path / "tree"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    subprocess.run(["git", "clone", "--quiet", str(remote), str(tree)], check=True, capture_output=True)
    git(tree, "config", "push.default", "current")
    done = anchor_newest(room.ledger.store, [GitAnchor(tree)])
    anchor_newest(room.ledger.store, [GitAnchor(tree)])
    assert len(git(remote, "log", "--all", "--oneline").splitlines()) == 2
    assert git(tree, "show", f"HEAD:{done.name}") == room.ledger.checkpoint()
    with pytest.raises(AnchorFailed):
        GitAnchor(tmp_path / "none").keep("x", b"x")


def test_http_puts(room: Room) -> None:
    """What the server refuses, and a server that is not there, are errors."""
    kept: dict[str, bytes] = {}
    with bucket(kept) as url:
        done = anchor_newest(room.ledger.store, [HttpAnchor(f"{url}/room/")])
        assert kept[f"/room/{done.name}"].decode() == room.ledger.checkpoint()
        anchor_newest(room.ledger.store, [HttpAnchor(f"{url}/room")])
        with pytest.raises(AnchorFailed):
            HttpAnchor(f"{url}/room").keep(done.name, b"another")
    with pytest.raises(AnchorFailed):
        HttpAnchor(url).keep(done.name, b"x")


@pytest.mark.parametrize("uri", ["", "file:", "ftp://x", "room", "git:"])
def test_what_is_no_anchor(uri: str) -> None:
    """It names what there is."""
    with pytest.raises(BadInput):
        anchor_at(uri)


def test_as_a_command(tmp_path: Path) -> None:
    """An anchored checkpoint is what the next audit is held against."""
    made = make_folder(tmp_path / "room")
    with made.ledger:
        made.ledger.append_many(made.records(3))
        settle(made)
    ran = proofroom("anchor", "--room", tmp_path / "room", "--to", f"file:{tmp_path / 'kept'}", "--json")
    told = json.loads(ran.out)
    assert told["batches"] == 1
    assert proofroom("audit", "--room", tmp_path / "room", "--against", tmp_path / "kept" / told["name"]).status == 0
    assert proofroom("anchor", "--room", tmp_path / "room", "--to", "nowhere").status == BadInput.exit_status


def test_what_lies_in_a_folder_may_be_anything(tmp_path: Path) -> None:
    """A pipe is not waited for, and what has no end is not read to it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "long").write_bytes(b"x" * 100)
    for name in ("pipe", "endless", "long"):
        with pytest.raises(AnchorFailed):
            FolderAnchor(tmp_path).keep(name, b"x")


def test_git_works_in_its_own_tree_and_its_words_are_any_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a hook of another repository, whose name git hands down, too; where there is no repository, nothing is left behind."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "a")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.org")
    mine, other, none = tmp_path / "mine", tmp_path / "other", tmp_path / "none"
    for path in (mine, other):
        subprocess.run(["git", "init", "--quiet", str(path)], check=True)
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(other / ".git"))
        GitAnchor(mine).keep("x", b"x")
    assert git(mine, "log", "--format=%s").split("\n")[0] == "Anchor x"
    (mine / ".git" / "hooks").mkdir(exist_ok=True)
    refuses = mine / ".git" / "hooks" / "pre-commit"
    refuses.write_bytes(b"#!/bin/sh\nprintf 'not \\377 today' >&2\nexit 1\n")
    refuses.chmod(0o755)
    with pytest.raises(AnchorFailed, match=r"not .* today"):
        GitAnchor(mine).keep("y", b"y")
    with pytest.raises(AnchorFailed):
        GitAnchor(none).keep("x", b"x")
    assert not none.exists()


@pytest.mark.parametrize("url", ["http://[::1", "http://", "http://127.0.0.1:x"])
def test_an_address_that_is_none(url: str) -> None:
    """Is named, in words."""
    with pytest.raises(AnchorFailed, match=r"did not keep it: [^<]*$"):
        HttpAnchor(url).keep("x", b"x")


@pytest.mark.parametrize("payload", [b"\xff", b"{}", b"[]"])
def test_batches_of_a_log_that_was_edited(payload: bytes, tmp_path: Path) -> None:
    """It is the log that is named, not what was found in it."""
    made = make_folder(tmp_path)
    with made.ledger as ledger:
        ledger.append_many(made.records(3))
        at = ledger.append(made.cast.seal_all(ledger.state, 0)).entry_index
        edit(tmp_path / "log.db", f"UPDATE log SET state = x'{payload.hex()}' WHERE log_index = {at}")
        with pytest.raises(HistoryChanged, match=f"entry {at} is not what"):
            batch_roots(ledger.store, 0, ledger.size)
