"""What the checkpoint key signed last, kept beside the key: so that it never signs two histories, whatever becomes of the log's file.

A log that was restored from a backup, edited, or is open in a second copy would get signatures over a history that contradicts what
somebody holds already. So each batch takes a turn: the file is locked, what the log holds must extend the last tree that was signed, the
new tree is written down *before* it is signed, and marked as given once the log holds it. A tree that was written down and that the log
then does not hold (a crash in between) was never given to anyone, and another may take its place.

The file has two slots, written in turn, each with a checksum. They reach the disk when the ledger is closed, and otherwise when the system
writes them, within seconds: an ``fsync`` for each batch would double the cost of a durable append (``docs/decisions/0025``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from proofroom.adapters.files import typed
from proofroom.domain import merkle
from proofroom.domain.errors import (
    BadProof,
    NotALedger,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
    WouldFork,
)

SIGNED_HEAD = "signed-head"
"""Name of the file in a room's ``keys/``."""

SLOT = 512
WAIT_SECONDS = 30.0


class Signed(NamedTuple):
    """A slot: the last tree that was given, and the one that was to follow."""

    turn: int = 0
    size: int = 0
    root: bytes = merkle.SHA256.empty
    next_size: int = 0
    next_root: bytes = merkle.SHA256.empty


class SignedHead:
    """The file, as one process uses it. Not for several threads at once.

    Args:
        path: where it is; made when it is not there, which trusts the log as it stands.

    Raises:
        StoreReadOnly: it cannot be written, so nothing may be signed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise StoreReadOnly(path=str(path), why=e.strerror or str(e)) from None
        self._locked = False

    def check(self, tree: merkle.Tree, node: merkle.Node, signed: Signed) -> None:
        """Whether a log with this tree extends what was signed, as :meth:`last` said before the log was read: the log may grow meanwhile.

        Raises:
            WouldFork: it does not.
        """
        root = merkle.root(tree)
        if (tree.size, root) in (signed[1:3], signed[3:5]):
            return
        if tree.size < signed.size:
            why = "is shorter: a tail is missing, or an older copy was restored"
            raise WouldFork(signed=signed.size, size=tree.size, why=why)
        try:
            path = merkle.consistency_path(signed.size, tree.size, node)
            merkle.verify_consistency(signed.size, tree.size, path, signed.root, root)
        except BadProof as e:
            raise WouldFork(signed=signed.size, size=tree.size, why=f"holds another history: {e.why}") from None

    def begin(self, before: merkle.Tree, after: merkle.Tree, node: merkle.Node) -> None:
        """Take the turn, and write down what is to be signed.

        Raises:
            WouldFork: what the log holds does not extend what was signed.
            StoreLocked: another copy of this ledger holds the turn for too long.
            StoreUnavailable: it cannot be read or written; nothing was signed.
        """
        self._lock()
        last = self.last()
        self.check(before, node, last)
        held = Signed(last.turn + 1, before.size, merkle.root(before), after.size, merkle.root(after))
        self._write(held)

    def end(self, *, given: bool) -> None:
        """Hand over the turn; the tree that was written down is the last one now, when it was given."""
        if not self._locked:
            return
        try:
            if given:
                # The log holds the tree by now, and the slot names it already: what fails here changes nothing that anybody was given.
                with contextlib.suppress(StoreUnavailable):
                    last = self.last()
                    self._write(Signed(last.turn + 1, last.next_size, last.next_root, last.next_size, last.next_root))
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._locked = False

    def close(self) -> None:
        """Bring it to the disk, where that can be had, and let go of the file."""
        self.end(given=False)
        with contextlib.suppress(OSError):  # it is as far behind then as when the machine stops (docs/decisions/0025)
            os.fsync(self._file)
        os.close(self._file)

    def _lock(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._locked:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._locked = True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreLocked(path=str(self.path), why="another copy of this ledger is signing") from None
                time.sleep(0.001)

    def last(self) -> Signed:
        """What was signed last, and what was to follow.

        Raises:
            NotALedger: it is something else.
            StoreUnavailable: it cannot be read now.
        """
        with typed(self.path):
            data = os.pread(self._file, 2 * SLOT, 0)
        found = [slot for at in (0, SLOT) if (slot := _parse(data[at : at + SLOT])) is not None]
        # The first write goes to the second slot: when only that is torn, it was of nothing that was given.
        if not found and data[:SLOT].strip(b"\0"):
            raise NotALedger(path=str(self.path), why="what the checkpoint key signed last cannot be read")
        return max(found, default=Signed())

    def _write(self, signed: Signed) -> None:
        with typed(self.path):
            if os.pwrite(self._file, _print(signed), signed.turn % 2 * SLOT) < SLOT:
                raise StoreFull(path=str(self.path), why="a write was cut short")


def _print(signed: Signed) -> bytes:
    text = f"{signed.turn} {signed.size} {signed.root.hex()} {signed.next_size} {signed.next_root.hex()}"
    line = f"{text} {sha256(text.encode()).hexdigest()}"
    return line.ljust(SLOT - 1).encode() + b"\n"


def _parse(slot: bytes) -> Signed | None:
    """A slot that was written whole; None for any other."""
    try:
        turn, size, root, next_size, next_root, _ = slot.decode("ascii").split()
        signed = Signed(int(turn), int(size), bytes.fromhex(root), int(next_size), bytes.fromhex(next_root))
    except ValueError:
        return None
    return signed if _print(signed) == slot else None
