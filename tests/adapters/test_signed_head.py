"""The checkpoint key never signs two histories: restored backups, edits, second copies and crashes between its two writes."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from proofroom.adapters.ledger import KEYS, LOG, Ledger
from proofroom.adapters.signed_head import SIGNED_HEAD, SLOT, SignedHead
from proofroom.domain import merkle
from proofroom.domain.errors import NotALedger, StoreLocked, WouldFork
from proofroom.domain.merkle import SHA256, Tree
from strategies.rooms import make_folder

LEAVES = [SHA256.leaf(b"%d" % i) for i in range(64)]


def tree(size: int, fork: int = 64) -> Tree:
    """A tree of this many leaves; from ``fork`` on they are others."""
    return merkle.extend(Tree(), [leaf if i < fork else SHA256.leaf(leaf) for i, leaf in enumerate(LEAVES[:size])])


def nodes(fork: int = 64) -> merkle.Node:
    """The stored nodes of such a tree."""

    def node(height: int, k: int) -> bytes:
        leaves = [leaf if i < fork else SHA256.leaf(leaf) for i, leaf in enumerate(LEAVES)]
        return merkle.root(merkle.extend(Tree(), leaves[k << height : k + 1 << height]))

    return node


@pytest.fixture
def head(tmp_path: Path) -> SignedHead:
    """A key that signed trees of 3 and of 5 entries."""
    made = SignedHead(tmp_path / "head")
    for before, after in ((0, 3), (3, 5)):
        made.begin(tree(before), tree(after), nodes())
        made.end(given=True)
    return made


def test_goes_on_from_what_was_signed(head: SignedHead) -> None:
    """The same tree, and any that extends it, may be signed over."""
    for size in range(5, 65):
        head.check(tree(size), nodes(), head.last())


def test_refuses_what_is_shorter(head: SignedHead) -> None:
    """A restored backup, however short."""
    for size in range(5):
        with pytest.raises(WouldFork, match="shorter"):
            head.check(tree(size), nodes(), head.last())
        with pytest.raises(WouldFork):
            head.begin(tree(size), tree(size + 1), nodes())
        head.end(given=False)


def test_refuses_what_was_changed(head: SignedHead) -> None:
    """Another history of the same size or longer, whichever entry it parts at; also where the stored nodes still tell the old one."""
    for fork in range(5):
        for size in (5, 6, 8, 40):
            for node in (nodes(fork), nodes()):
                with pytest.raises(WouldFork, match="another history"):
                    head.check(tree(size, fork), node, head.last())
    head.check(tree(40, 5), nodes(5), head.last())


def test_a_crash_before_the_log_held_it(head: SignedHead, tmp_path: Path) -> None:
    """What was written down and never given may come again, or another in its place; what was given before still binds."""
    head.begin(tree(5), tree(9), nodes())
    head.end(given=False)  # the process ends here; its lock with it
    again = SignedHead(tmp_path / "head")
    again.check(tree(9), nodes(), again.last())  # the log did hold it
    again.check(tree(5), nodes(), again.last())  # it did not
    again.begin(tree(5), tree(7, 5), nodes())
    again.end(given=True)
    with pytest.raises(WouldFork):
        again.check(tree(9), nodes(), again.last())
    with pytest.raises(WouldFork):
        again.check(tree(5), nodes(), again.last())


def test_one_copy_signs_at_a_time(head: SignedHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second copy of the log waits for the turn, and then finds that the first was given."""
    other = SignedHead(tmp_path / "head")
    head.begin(tree(5), tree(6), nodes())
    monkeypatch.setattr("proofroom.adapters.signed_head.WAIT_SECONDS", 0.0)
    with pytest.raises(StoreLocked):
        other.begin(tree(5), tree(7, 5), nodes())
    monkeypatch.setattr("proofroom.adapters.signed_head.WAIT_SECONDS", 30.0)
    refused: list[WouldFork] = []

    def second() -> None:
        try:
            other.begin(tree(5), tree(7, 5), nodes())
        except WouldFork as e:
            refused.append(e)

    waiting = threading.Thread(target=second)
    waiting.start()
    head.end(given=True)
    waiting.join()
    assert [e.signed for e in refused] == [6]


def test_a_torn_slot_is_none(head: SignedHead, tmp_path: Path) -> None:
    """Of two slots a half-written one does not count; where neither can be read, nothing is signed."""
    path = tmp_path / "head"
    whole = path.read_bytes()
    last = 0 if whole[:SLOT].split()[0] > whole[SLOT:].split()[0] else SLOT
    for at in (last, last + 40, last + SLOT - 1):
        path.write_bytes(whole[:at] + b"x" + whole[at + 1 :])
        again = SignedHead(path)
        again.check(tree(5), nodes(), again.last())
    path.write_bytes(b"x" * 2 * SLOT)
    with pytest.raises(NotALedger):
        SignedHead(path).last()


# --- a ledger in a folder


def copy_log(folder: Path, to: Path) -> None:
    """The log's file alone, as a backup of it."""
    shutil.copy(folder / LOG, to)


def restore(folder: Path, backup: Path) -> None:
    """The backup in place of the log's file, whose companions go."""
    for file in folder.glob(f"{LOG}*"):
        file.unlink()
    shutil.copy(backup, folder / LOG)


def test_a_first_write_that_was_torn(tmp_path: Path) -> None:
    """Nothing was given yet, so a new ledger goes on; where something was, the other slot says so, and what cannot be read is refused."""
    path = tmp_path / "head"
    first = SignedHead(path)
    first.begin(tree(0), tree(1), nodes())
    first.close()
    whole = path.read_bytes()
    assert not whole[:SLOT].strip(b"\0")
    for torn in (whole[: SLOT + 1], whole[: SLOT + 200], whole[: SLOT + 200].ljust(2 * SLOT, b"\0")):
        path.write_bytes(torn)
        again = SignedHead(path)
        assert again.last().size == 0
        again.begin(tree(0), tree(1), nodes())
        again.end(given=True)
        given = path.read_bytes()
        again.close()
        for lost in (given[:5] + b"x" * SLOT, given[: SLOT - 9] + b"x" * SLOT):
            path.write_bytes(lost)
            other = SignedHead(path)
            with pytest.raises(NotALedger):
                other.last()
            other.close()


def test_a_restored_backup_is_not_signed_over(tmp_path: Path) -> None:
    """Opened for writing, it is refused; for reading, it opens, since somebody must look; with the newest copy back, it goes on."""
    room, old, new = tmp_path / "room", tmp_path / "old", tmp_path / "new"
    with Ledger.create(room) as ledger:
        ledger.tick()
    copy_log(room, old)
    with Ledger.open(room) as ledger:
        ledger.tick()
    copy_log(room, new)
    restore(room, old)
    with pytest.raises(WouldFork):
        Ledger.open(room)
    with Ledger.open(room, read_only=True) as ledger:
        assert ledger.size == 2
    restore(room, new)
    with Ledger.open(room) as ledger:
        assert ledger.tick() == 4


def test_two_copies_with_one_key(tmp_path: Path) -> None:
    """Two copies of a log that share a key folder: whoever signs second is refused, and has written nothing."""
    one, two = tmp_path / "one", tmp_path / "two"
    Ledger.create(one).close()
    two.mkdir()
    copy_log(one, two / LOG)
    (two / KEYS).symlink_to(one / KEYS)
    with Ledger.open(one) as first, Ledger.open(two) as second:
        first.tick()
        with pytest.raises(WouldFork):
            second.tick()
        assert (first.size, second.store.size()) == (2, 1)
        first.tick()


def test_an_older_ledger_gets_its_file(tmp_path: Path) -> None:
    """A room from before the file is taken as it stands, and bound from then on."""
    with Ledger.create(tmp_path) as ledger:
        ledger.tick()
    (tmp_path / KEYS / SIGNED_HEAD).unlink()
    with Ledger.open(tmp_path) as ledger:
        ledger.tick()
        size = ledger.size
    head = SignedHead(tmp_path / KEYS / SIGNED_HEAD)
    with pytest.raises(WouldFork):
        head.check(tree(size - 1), nodes(), head.last())
    head.close()


def test_a_log_that_grows_while_it_is_opened_is_no_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process appends after the log was read and before it is held against what was signed."""
    make_folder(tmp_path).ledger.close()
    check = SignedHead.check

    def late(self: SignedHead, *args: Any) -> None:
        monkeypatch.undo()
        with Ledger.open(tmp_path) as other:
            other.tick()
        check(self, *args)

    monkeypatch.setattr(SignedHead, "check", late)
    with Ledger.open(tmp_path) as ledger:
        size = ledger.size
        assert ledger.tick() == size + 1  # after the tick of the other
