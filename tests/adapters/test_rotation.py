"""The ledger's own keys change: checkpoints, snapshots and audits go by the key that was in force at their size."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.head import save_snapshot
from proofroom.adapters.keys import Key, load_key
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.stores import MemoryStore
from proofroom.domain.checkpoint import parse_note, verify_checkpoint
from proofroom.domain.errors import BadInput, HistoryChanged, NoSigner
from proofroom.domain.identity import checkpoint_key
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import ORIGIN, START_MS
from proofroom.testing.keys import key
from strategies.consenting import compromise
from strategies.rooms import edit, make_folder, make_room, note_of
from strategies.shell import proofroom


def test_a_ledger_goes_on_under_new_keys(tmp_path: Path) -> None:
    """Both keys change twice; each checkpoint is signed by the key of its size, and the audit follows."""
    room = make_folder(tmp_path)
    ledger, kept = room.ledger, room.ledger.checkpoint()
    for n in (1, 2):
        for which in ("ledger", "checkpoint"):
            ledger.rotate(which, key(f"{which} {n}"))
            ledger.tick()
    for size, note in ledger.store.checkpoints():
        verify_checkpoint(note, ORIGIN, checkpoint_key(ledger.state, size))
    assert parse_note(ledger.checkpoint())[1] != parse_note(kept)[1]
    assert audit(ledger.store, against=kept).verdict is Verdict.VALID
    assert audit(ledger.store, against=ledger.checkpoint()).verdict is Verdict.VALID
    state = ledger.state
    ledger.close()
    with Ledger.open(tmp_path, read_only=True) as again:
        assert again.state == state
        assert len(again.store.snapshots()) == 1
    with Ledger.open(tmp_path) as without, pytest.raises(NoSigner):
        without.tick()
    with Ledger.open(tmp_path, signers=[key("ledger 2"), key("checkpoint 2")]) as holder:
        holder.tick()


def test_the_old_checkpoint_key_is_worth_nothing_any_more(tmp_path: Path) -> None:
    """Neither a checkpoint nor a snapshot that it signs after the rotation is taken."""
    room = make_folder(tmp_path)
    ledger = room.ledger
    ledger.rotate("checkpoint", key("checkpoint 1"))
    old, new = load_key(tmp_path / "keys" / "checkpoint.json"), key("checkpoint 1")
    save_snapshot(ledger.store, ledger._head, old)
    (snapshot,) = ledger.store.snapshots()
    ledger.store.close()
    with Ledger.open(tmp_path, read_only=True) as replayed:
        assert replayed.size == snapshot[0]
        tree = replayed._head.tree
    for signer, holds in ((old, False), (new, True)):
        edit(tmp_path / LOG, ("UPDATE checkpoints SET note = ? WHERE size = ?", (note_of(tree, signer), tree.size)))
        if holds:
            Ledger.open(tmp_path, read_only=True).close()
        else:
            with pytest.raises(HistoryChanged):
                Ledger.open(tmp_path, read_only=True)


def test_a_snapshot_does_not_vouch_for_its_own_key(tmp_path: Path) -> None:
    """A state that claims a rotation which the log does not hold is no cache, whoever signed it."""
    room = make_folder(tmp_path)
    ledger = room.ledger
    state = ledger.state
    assert state.founding is not None
    name = state.founding.checkpoint_key
    thief = Key.generate()
    ring = state.keyrings[name]
    for index in (1, 10**6):
        forged = state.keyrings.set(name, ring._replace(keys=(*ring.keys, (index, thief.keyid))))
        head = ledger._head._replace(state=state._replace(keyrings=forged, size=1))
        save_snapshot(ledger.store, head, thief)
        with Ledger.open(tmp_path, read_only=True) as opened:
            assert opened.state == state
    ledger.close()


def test_rotating_from_the_command_line(tmp_path: Path) -> None:
    """The new key is a file beside the old one, and opening the room finds it."""
    make_folder(tmp_path).ledger.close()
    for n in (2, 3):
        assert proofroom("key", "rotate", "checkpoint", "--room", tmp_path).status == 0
        assert (tmp_path / "keys" / f"checkpoint-{n}.json").exists()
        assert proofroom("tick", "--room", tmp_path).status == 0
    assert proofroom("audit", "--room", tmp_path).status == 0
    with closing(sqlite3.connect(tmp_path / LOG)) as connection:
        assert connection.execute("SELECT count(*) FROM log WHERE topic LIKE '%key-rotated%'").fetchone() == (2,)


def test_the_audit_says_since_when_the_ledgers_own_word_is_in_doubt() -> None:
    """A stolen ledger key could write nothing that the rules refuse; order and time of what it wrote rest on its word alone."""
    store = MemoryStore(Clock(START_MS))
    room = make_room(store, store.clock)
    assert audit(store).suspect == ()
    room.ledger.tick()
    since = room.ledger.size
    room.ledger.tick()
    room.ledger.append(compromise(room.cast, key("ledger"), since, key("ledger 1"), key("ledger-recovery")))
    report = audit(store)
    assert (report.verdict, report.suspect) == (Verdict.VALID, ((since, since + 1),))
    assert report.sentence().endswith(f"SUSPECT: a key of the ledger was in other hands in entries {since} to {since}")
    with pytest.raises(NoSigner):
        room.ledger.tick()
    assert Ledger(store, [key("ledger 1"), key("checkpoint")]).tick() == since + 3


def test_only_the_ledgers_own_keys_rotate(tmp_path: Path) -> None:
    """A word that is no key of it changes none."""
    with make_folder(tmp_path).ledger as ledger:
        size = ledger.size
        with pytest.raises(BadInput, match="ledger or the checkpoint key"):
            ledger.rotate("checkpont", key("checkpoint 1"))  # type: ignore[arg-type]  # whoever checks no types is told as well
        assert ledger.size == size
