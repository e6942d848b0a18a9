"""A crash at each write of an append: whatever of its files reached the disk, the ledger goes on, and no size gets a second checkpoint.

An append writes ``keys/signed-head``, then frames of SQLite's write-ahead log up to the commit, then ``signed-head`` again; a later
checkpoint of SQLite carries the pages over. A process that ends leaves a prefix of these writes. A machine that stops may have kept or
lost either of the two before the commit was synced, each up to half a write.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from proofroom.adapters.audit import Verdict
from proofroom.adapters.ledger import KEYS, LOG, Ledger
from proofroom.adapters.signed_head import SIGNED_HEAD, Signed, SignedHead
from proofroom.domain.checkpoint import parse_note
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import from_ms
from proofroom.domain.statements.consent import VaultOpened
from proofroom.testing.keys import key
from strategies.rooms import audit_file, rows_of
from strategies.simulated import FRAME, FRAME_HEADER, torn, wal_prefixes

PAGE = FRAME - FRAME_HEADER
BEFORE, NEW = 4, 3


class Written(NamedTuple):
    """The files of a room before, during and after one append."""

    folder: Path
    log: bytes
    wal: tuple[bytes, bytes]
    """Before and after."""
    heads: tuple[bytes, ...]
    """``signed-head`` before, and after each write to it."""
    kept: tuple[str, ...]
    """Checkpoints that somebody was given: before, and when the append returned."""
    carried: bytes
    """The log's file after SQLite carried the pages over."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """One append of three statements to a room that is open."""
    folder = tmp_path_factory.mktemp("made") / "room"
    with Ledger.create(folder) as ledger, pytest.MonkeyPatch.context() as patch:
        for _ in range(BEFORE - 1):
            ledger.tick()
        path, wal = folder / KEYS / SIGNED_HEAD, folder / f"{LOG}-wal"
        log, before, heads, kept = (
            (folder / LOG).read_bytes(),
            wal.read_bytes(),
            [path.read_bytes()],
            [ledger.checkpoint()],
        )
        real = SignedHead._write

        def write(self: SignedHead, signed: Signed) -> None:
            real(self, signed)
            heads.append(path.read_bytes())

        patch.setattr(SignedHead, "_write", write)
        ledger.append_many(_openings(ledger))
        kept.append(ledger.checkpoint())
        after = wal.read_bytes()
        with closing(sqlite3.connect(folder / LOG)) as other:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)")
        carried = (folder / LOG).read_bytes()
    return Written(folder, log, (before, after), tuple(heads), tuple(kept), carried)


def _openings(ledger: Ledger) -> list[Envelope]:
    now, wallet = from_ms(ledger.store.clock()), key("user")
    fields = {"ledger": ledger.id, "user_pub_key": wallet.keyid, "created_at": now}
    return [sign(VaultOpened.model_validate({**fields, "vaultId": f"v-{i}"}), wallet) for i in range(NEW)]


def go_on(made: Written, folder: Path, log: bytes, wal: bytes | None, head: bytes) -> int:
    """Open what a crash left, and append; nothing that was given is contradicted. How many entries the crash left."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made.folder / KEYS, folder / KEYS)
    (folder / KEYS / SIGNED_HEAD).write_bytes(head)
    (folder / LOG).write_bytes(log)
    if wal is not None:
        (folder / f"{LOG}-wal").write_bytes(wal)
    with Ledger.open(folder) as ledger:
        left = ledger.size
        assert left in (BEFORE, BEFORE + NEW)
        assert ledger.tick() == left + 1
        notes = dict(ledger.store.checkpoints())
    for note in made.kept[: 1 + (left > BEFORE)]:
        size = parse_note(note)[0].size
        assert parse_note(notes[size])[0] == parse_note(note)[0]
        assert audit_file(folder / LOG, note).verdict is Verdict.VALID
    indexes = [row[0] for row in rows_of(folder / LOG)["log"]]
    assert indexes == list(range(left + 1))
    with Ledger.open(folder) as ledger:  # the key goes on from what it signed
        assert ledger.tick() == left + 2
    return left


def test_a_crash_at_each_write(made: Written, tmp_path: Path) -> None:
    """The process ends between any two writes, or in the middle of one."""
    assert len(made.heads) == 3
    first, begun, ended = made.heads
    for head in (first, torn(first, begun), begun):
        assert go_on(made, tmp_path / "room", made.log, made.wal[0], head) == BEFORE
    left = [go_on(made, tmp_path / "room", made.log, wal, begun) for wal in wal_prefixes(*made.wal)]
    assert left == sorted(left)
    assert left[-1] == BEFORE + NEW
    assert left[-2] == BEFORE
    for head in (torn(begun, ended), ended):
        assert go_on(made, tmp_path / "room", made.log, made.wal[1], head) == BEFORE + NEW


def test_a_machine_that_stops(made: Written, tmp_path: Path) -> None:
    """``signed-head`` is not synced with the commit: the log may hold what it does not name yet, or not yet what it names."""
    for head in (made.heads[0], torn(*made.heads[:2])):
        assert go_on(made, tmp_path / "room", made.log, made.wal[1], head) == BEFORE + NEW


def test_a_crash_while_pages_are_carried_over(made: Written, tmp_path: Path) -> None:
    """After each page, and in the middle of one: the write-ahead log has them all."""
    size = max(len(made.log), len(made.carried))
    old, new = made.log.ljust(size, b"\0"), made.carried.ljust(size, b"\0")
    pages = [at for at in range(0, size, PAGE) if old[at : at + PAGE] != new[at : at + PAGE]]
    assert len(pages) > 2
    for at in pages:
        for end in (at + PAGE // 2, at + PAGE):
            assert go_on(made, tmp_path / "room", new[:end] + old[end:], made.wal[1], made.heads[2]) == BEFORE + NEW
