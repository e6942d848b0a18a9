"""Making a ledger: wherever a crash comes, there is none and it can be made, or there is a whole one with the keys that it names."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from proofroom.adapters.audit import Verdict
from proofroom.adapters.files import LOCK
from proofroom.adapters.keys import load_key, save_key
from proofroom.adapters.ledger import KEYS, LOG, Ledger
from proofroom.adapters.signed_head import SIGNED_HEAD, Signed, SignedHead
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.errors import BadInput, LedgerExists, NotALedger
from proofroom.testing.keys import key
from strategies.killing import ends_of
from strategies.rooms import audit_file, soak
from strategies.shell import proofroom
from strategies.simulated import torn, wal_prefixes

POINTS = 130
"""More than there are places in the making of a ledger at which its process may be killed."""

WAL_HEADER = 32

NAMES = ("ledger", "ledger-recovery", "checkpoint", "checkpoint-recovery", "bank")

CHILD = """
import fcntl, os, sqlite3
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.signed_head import SignedHead
from proofroom.adapters.sqlite import SqliteStore
from strategies.killing import work_in_forks

def work(folder, fuse):
    fuse._left = int(folder.name)
    for owner, name in [
        (os, "mkdir"), (os, "open"), (os, "fsync"), (os, "link"), (os, "unlink"), (os, "rename"), (os, "chmod"),
        (fcntl, "flock"), (sqlite3, "connect"), (SignedHead, "_write"), (SqliteStore, "append"),
    ]:
        setattr(owner, name, fuse.around(getattr(owner, name)))
    Ledger.create(folder / "room").close()

work_in_forks(work)
"""


def take_up(room: Path) -> bool:
    """Make the ledger again after a crash, or open it; whether it was made. Key files that were there are as they were."""
    before = {path: path.read_bytes() for path in (room / KEYS).glob("*.json")}
    try:
        ledger, made = Ledger.create(room), True
    except LedgerExists:
        ledger, made = Ledger.open(room), False
    with ledger:
        assert ledger.size == 1
        founding = ledger.state.founding
        assert founding is not None
        held = [load_key(room / KEYS / f"{name}.json").keyid for name in NAMES]
        assert held[0] == founding.ledger_key
        assert held[2] == founding.checkpoint_key
        assert held[4:] == list(founding.bank_keys)
        assert ledger.tick() == 2
    assert before.items() <= {path: path.read_bytes() for path in (room / KEYS).glob("*.json")}.items()
    assert {path.name for path in (room / KEYS).iterdir()} == {*(f"{name}.json" for name in NAMES), SIGNED_HEAD}
    assert {path.name for path in room.iterdir()} == {KEYS, LOG, LOCK}
    assert audit_file(room / LOG).verdict is Verdict.VALID
    return made


def test_killed_at_every_file_operation(tmp_path: Path) -> None:
    """Before and after each: a few of them, drawn anew in every run; all of them in a soak."""
    points = sorted(random.sample(range(POINTS), soak(8, POINTS)))
    folders = [tmp_path / str(point) for point in points]
    for folder in folders:
        folder.mkdir()
    ends = ends_of(CHILD, folders)
    assert ends == sorted(ends)  # killed at the first ones, done before the last
    assert ends[-1] == 0 or len(points) < POINTS
    made = [take_up(folder / "room") for folder, end in zip(folders, ends, strict=True) if end]
    assert made == sorted(made, reverse=True)  # up to one point there is no ledger, from then on there is one
    assert set(made) == {True, False} or len(points) < POINTS


def test_killed_within_the_commit_of_genesis(tmp_path: Path) -> None:
    """Whatever of the write-ahead log was written, up to all of it, and of what the checkpoint key is to sign."""
    room = tmp_path / "room"
    with pytest.MonkeyPatch.context() as patch:
        heads, logs = [b""], list[tuple[bytes, bytes]]()
        write, append = SignedHead._write, SqliteStore.append

        def noting(head: SignedHead, signed: Signed) -> None:
            write(head, signed)
            heads.append(head.path.read_bytes())

        def framed(store: SqliteStore, *args: Any) -> Any:
            wal = store.path.with_name(f"{LOG}-wal")
            logs.append((store.path.read_bytes(), wal.read_bytes() if wal.exists() else b""))
            done = append(store, *args)
            logs.append((store.path.read_bytes(), wal.read_bytes()))
            return done

        patch.setattr(SignedHead, "_write", noting)
        patch.setattr(SqliteStore, "append", framed)
        Ledger.create(room).close()
    (log, before), (_, after) = logs
    assert len(heads) == 3
    assert before == b""
    prefixes = [b"", after[: WAL_HEADER // 2], *wal_prefixes(after[:WAL_HEADER], after)]
    crashes = [(wal, heads[1]) for wal in prefixes]
    crashes += [(prefixes[0], head) for head in (heads[0], torn(*heads[:2]))] + [(after, head) for head in heads]
    for i, (wal, head) in enumerate(random.sample(crashes, soak(4, len(crashes)))):
        copy = tmp_path / str(i)
        shutil.copytree(room / KEYS, copy / KEYS)
        (copy / KEYS / SIGNED_HEAD).write_bytes(head)
        (copy / LOG).write_bytes(log)
        (copy / f"{LOG}-wal").write_bytes(wal)
        assert take_up(copy) is (wal != after)


def test_what_genesis_names_is_on_the_disk_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file by its content, and each by its name in a folder, up to one that was there: a machine may stop right after the commit."""
    synced: dict[Path, set[str]] = {}
    contents: set[int] = set()
    fsync, append = os.fsync, SqliteStore.append

    def noting(handle: int) -> None:
        fsync(handle)
        contents.add(os.fstat(handle).st_ino)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path.is_dir():
            synced[path] = {name.name for name in path.iterdir()}

    def checked(store: SqliteStore, *args: Any) -> Any:
        keys = room / KEYS
        assert {f"{name}.json" for name in NAMES} <= synced[keys]
        assert {LOG, KEYS} <= synced[room]
        assert "room" in synced[room.parent]
        assert "new" in synced[tmp_path]
        assert {(keys / f"{name}.json").stat().st_ino for name in NAMES} <= contents
        synced.clear()
        return append(store, *args)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc here")
    room = tmp_path / "new" / "room"
    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(SqliteStore, "append", checked)
    Ledger.create(room).close()
    assert set(synced) <= {room, room / KEYS}  # it came to the append


def test_another_key_under_a_name_is_no_key_of_the_ledger(tmp_path: Path) -> None:
    """Opening would find the one in the folder, so a signer that is given must be that; nothing is recorded before it is."""
    other = save_key(tmp_path / KEYS / "ledger.json", bytes(32))
    with pytest.raises(BadInput, match="another key lies there"):
        Ledger.create(tmp_path, signers={"ledger": key("ledger")})
    with Ledger.create(tmp_path, signers={"ledger": other}) as ledger:
        assert ledger.size == 1


@pytest.mark.parametrize("late", [False, True], ids=["after the first", "while the first is at it"])
def test_the_second_maker_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """Also not where a key is said to be: the first genesis names other keys."""
    for name in ("a", "b"):
        save_key(tmp_path / f"{name}.json", name.encode() * 32)
    room, lock = tmp_path / "room", fcntl.flock

    def first(*_: int) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "flock", lock)
            Ledger.create(room, signers={"ledger": "file:../../a.json"}).close()

    if late:
        monkeypatch.setattr(fcntl, "flock", first)  # the second one waits for the first
    else:
        first()
    with pytest.raises(LedgerExists):
        Ledger.create(room, signers={"ledger": "file:../../b.json"})
    monkeypatch.undo()
    with Ledger.open(room) as ledger:
        assert ledger.tick() == 2


def test_what_a_crash_leaves_is_no_ledger_to_others(tmp_path: Path) -> None:
    """An empty folder, and an empty log, are told as such."""
    with pytest.raises(NotALedger):
        Ledger.open(tmp_path)
    with closing(SqliteStore(tmp_path / LOG, create=True)):
        pass
    ran = proofroom("status", "--room", tmp_path, "--json")
    assert (ran.status, ran.json()["error"]["code"]) == (3, "no-such-entry")
