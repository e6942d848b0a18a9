"""Anchors: checkpoints and batch roots put where the host cannot take them back (protocol 3).

An anchor takes a name and bytes, and keeps them. A folder, a git repository and an HTTP address are here; a chain would be few lines more.
Whoever finds a checkpoint at an anchor can hold the log against it: ``proofroom audit --against``.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.request import Request

import orjson

from proofroom.adapters.files import open_regular, typed, write_new
from proofroom.adapters.head import as_recorded
from proofroom.adapters.stores import PAGE, Store
from proofroom.adapters.web import ANSWER_SECONDS, NO_ANSWER, urlopen, why_none
from proofroom.domain.checkpoint import parse_note
from proofroom.domain.errors import AnchorFailed, BadInput, NoSuchEntry, StoreUnavailable
from proofroom.domain.statements import payload_type_of

TIMEOUT_SECONDS = 60.0
_BATCH = payload_type_of("batch-sealed")
_OF_ANOTHER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_COMMON_DIR")
"""Variables that name a repository, as they do where a hook of one calls us."""


class Anchor(Protocol):
    """Somewhere else."""

    def keep(self, name: str, data: bytes) -> None:
        """Keep bytes under a name, for good. The same again changes nothing.

        Raises:
            AnchorFailed: they cannot be kept, or other bytes stand under the name.
        """
        ...


class FolderAnchor:
    """Files in a folder, such as one that is mounted from elsewhere and append-only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, name: str, data: bytes) -> None:
        """See :meth:`Anchor.keep`."""
        path, is_same = self.path / name, True
        try:
            with typed(path):
                try:
                    write_new(path, data)
                except FileExistsError:
                    with open_regular(path) as file:
                        is_same = file.read(len(data) + 1) == data
        except StoreUnavailable as e:
            raise AnchorFailed(anchor=str(self.path), why=e.why) from None
        if not is_same:
            raise AnchorFailed(anchor=str(self.path), why=f"{name} is there with another content")


class GitAnchor:
    """A commit for each checkpoint in a git work tree, and a push where it has somewhere to push to.

    Args:
        path: the work tree; it must be a repository already.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, name: str, data: bytes) -> None:
        """See :meth:`Anchor.keep`."""
        self._git("rev-parse")  # where there is none, nothing is left behind
        FolderAnchor(self.path).keep(name, data)
        self._git("add", "--", name)
        if self._git("status", "--porcelain", "--", name):
            self._git("commit", "--quiet", "--message", f"Anchor {name}", "--", name)
        if self._git("remote"):
            self._git("push", "--quiet")

    def _git(self, *args: str) -> str:
        command = ["git", "-C", str(self.path), *args]
        own = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER}
        try:
            with tempfile.TemporaryFile() as told:  # a remote may say anything, and without end
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=told,
                    env=own,
                    check=False,
                    timeout=TIMEOUT_SECONDS,
                )
                told.seek(0)
                why = told.read(800).decode(errors="replace").strip()[:200]
        except subprocess.TimeoutExpired:
            raise AnchorFailed(
                anchor=str(self.path), why=f"git {args[0]}: no end within {TIMEOUT_SECONDS:g} s"
            ) from None
        except OSError as e:
            raise AnchorFailed(anchor=str(self.path), why=f"git {args[0]}: {e.strerror or e}") from None
        if done.returncode:
            raise AnchorFailed(anchor=str(self.path), why=f"git {args[0]}: {why}")
        return done.stdout.decode(errors="replace")


class HttpAnchor:
    """``PUT`` to an address: an object store, a bucket with a lock, a service that stamps times.

    Args:
        url: the address, without the name.
        seconds: for the server to take the bytes and to answer.
    """

    def __init__(self, url: str, *, seconds: float = ANSWER_SECONDS) -> None:
        self.url, self.seconds = url.rstrip("/"), seconds

    def keep(self, name: str, data: bytes) -> None:
        """See :meth:`Anchor.keep`; whether other bytes may replace these is the server's to say."""
        headers = {"Content-Type": "application/octet-stream"}
        try:
            request = Request(f"{self.url}/{name}", data=data, method="PUT", headers=headers)
            with urlopen(request, self.seconds):
                pass
        except NO_ANSWER as e:
            raise AnchorFailed(anchor=self.url, why=why_none(e)) from None


def anchor_at(uri: str) -> Anchor:
    """The anchor at ``file:DIR``, ``git:DIR``, ``http://...`` or ``https://...``.

    Raises:
        BadInput: none of these.
    """
    scheme, _, rest = uri.partition(":")
    if scheme in ("http", "https"):
        return HttpAnchor(uri)
    if scheme in ("file", "git") and rest:
        return (FolderAnchor if scheme == "file" else GitAnchor)(Path(rest))
    raise BadInput(path=uri, why="an anchor is file:DIR, git:DIR, http://... or https://...")


class Anchored(NamedTuple):
    """What was put at the anchors."""

    size: int
    name: str
    batches: int
    """Batch roots beside the checkpoint."""


def anchor_newest(store: Store, anchors: Iterable[Anchor], since: int = 0) -> Anchored:
    """Put the newest checkpoint of a store at each anchor, and beside it the roots of the batches sealed from index ``since`` on.

    Raises:
        NoSuchEntry: the log has no checkpoint.
        AnchorFailed: one of them did not take it; those before it did.
    """
    last = store.last_checkpoint()
    if last is None:
        raise NoSuchEntry(what="checkpoint")
    size, note = last
    name = f"{parse_note(note)[0].size:020}"
    roots = batch_roots(store, since, size)
    for anchor in anchors:
        anchor.keep(f"{name}.batches.json", orjson.dumps(roots, option=orjson.OPT_INDENT_2))
        anchor.keep(f"{name}.checkpoint", note.encode())
    return Anchored(size, f"{name}.checkpoint", len(roots))


def batch_roots(store: Store, start: int, end: int) -> list[dict[str, object]]:
    """The sealed batches among the entries from ``start`` to before ``end``.

    Raises:
        HistoryChanged: one of them was edited.
    """
    found: list[dict[str, object]] = []
    while start < end and (page := store.scan(start, min(PAGE, end - start))):
        for index, _, topic, payload in page:
            if topic == _BATCH:
                with as_recorded(store):
                    s = orjson.loads(payload)
                    facts = {k: s[k] for k in ("cluster", "era", "batch", "count", "root")}
                found.append({"entry_index": index, **facts})
        start = page[-1][0] + 1
    return found
