"""What a ledger believes of its files when it opens: no snapshot that it did not make, no history that its keys did not sign."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from proofroom.adapters import ledger as ledgers
from proofroom.adapters.keys import Key
from proofroom.adapters.lab.forge import put, stored_of
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import MemoryStore
from proofroom.domain import merkle
from proofroom.domain.authority import AUTHORITY
from proofroom.domain.envelope import verify
from proofroom.domain.errors import HistoryChanged, ProofroomError
from proofroom.domain.snapshot import encode_state
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS
from strategies.rooms import (
    copy_of,
    edit,
    entries_of,
    forge,
    make_folder,
    make_room,
    note_of,
    rows_of,
    signers,
    whole_checkpoints,
)
from strategies.whole import whole_history

# --- snapshots


def test_a_ledger_opens_from_its_snapshot_as_from_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every size of a whole history the two give the same state and tree."""
    monkeypatch.setattr(ledgers, "SNAPSHOT_EVERY", 10)
    clock = Clock(0)
    store, states = MemoryStore(clock), set[int]()
    with Ledger(store, signers()) as ledger:
        for entry in whole_history().entries:
            if entry.index >= ledger.size:
                clock.ms = entry.recorded_at_ms
                ledger.append(entry.verified)
                states.update(size for size, _ in store.snapshots())
                with Ledger(store) as again:
                    assert again._head == ledger._head
    assert len(states) > 8


def test_the_snapshot_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening reads no more than the end of what the snapshot covers: an old entry that cannot be parsed any more does not matter to it."""
    monkeypatch.setattr("proofroom.adapters.head.TAIL", 5)
    copy_of(tmp_path)
    with Ledger.open(tmp_path, signers=signers(), clock=Clock(whole_history().clock)) as ledger:
        ledger.tick()
        state = ledger.state
    assert [row[0] for row in rows_of(tmp_path / LOG)["snapshots"]] == [state.size]
    edit(tmp_path / LOG, "UPDATE log SET topic = 'x' WHERE log_index = 3")
    with Ledger.open(tmp_path) as ledger:
        assert ledger.state == state
    edit(tmp_path / LOG, "DELETE FROM snapshots")
    with pytest.raises(HistoryChanged):
        Ledger.open(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE snapshots SET state = CAST(substr(state, 1, 40) || x'00' || substr(state, 42) AS BLOB)",
        "UPDATE snapshots SET state = substr(state, 1, 100)",
        "UPDATE snapshots SET state = x''",
        "UPDATE snapshots SET state = 'text'",
        "UPDATE snapshots SET size = size - 1",
        "UPDATE snapshots SET size = size + 1",
        "UPDATE snapshots SET size = 100000",
        "UPDATE snapshots SET size = -1",
        "UPDATE snapshots SET size = 0",
    ],
)
def test_a_snapshot_that_was_altered_is_ignored(tmp_path: Path, change: str) -> None:
    """The history is replayed, and gives the same state."""
    copy_of(tmp_path)
    with Ledger.open(tmp_path, signers=signers(), clock=Clock(whole_history().clock)) as ledger:
        ledger.tick()
        head = ledger._head
    edit(tmp_path / LOG, change)
    with Ledger.open(tmp_path) as ledger:
        assert ledger._head == head


def test_a_snapshot_of_another_history_is_ignored(tmp_path: Path) -> None:
    """It is bound to the tree that its entries give."""
    with closing(SqliteStore(copy_of(tmp_path, "other.db"))) as store:
        Ledger(store, signers(), workers=1).close()
    clock = Clock(START_MS)
    with closing(MemoryStore(clock)) as memory:
        room = make_room(memory, clock)
        size = room.ledger.size
        with Ledger(room.ledger.store) as other:
            state = other.state
        foreign = whole_history().states[size]
        memory.save_snapshot(size, encode_state(foreign, bytes(32)))
        with Ledger(memory) as opened:
            assert opened.state == state


def test_a_snapshot_that_cannot_be_kept_does_not_fail_the_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement is in the log by then, and its place must be told."""
    monkeypatch.setattr(ledgers, "SNAPSHOT_EVERY", 1)
    with closing(SqliteStore(tmp_path / LOG, create=True, lock_timeout=1)) as store:
        room = make_room(store)
        connection = sqlite3.connect(tmp_path / LOG)
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON snapshots BEGIN SELECT RAISE(ABORT, 'no'); END")
        connection.close()
        size = room.ledger.size
        assert room.ledger.append(room.record()).entry_index == size
        room.ledger.close()


# --- a history that was changed


SIZE = len(whole_history().entries)
LAST = SIZE - 1

CHANGES: dict[str, tuple[str, ...]] = {
    "the last entry is gone": (f"DELETE FROM log WHERE log_index = {LAST}",),
    "the last ten are gone": (f"DELETE FROM log WHERE log_index > {LAST - 10}",),
    "the last checkpoint is gone": (f"DELETE FROM checkpoints WHERE size = {SIZE}",),
    "all checkpoints are gone": ("DELETE FROM checkpoints",),
    "all entries are gone": ("DELETE FROM log",),
    "a middle entry is gone": ("DELETE FROM log WHERE log_index = 80",),
    "genesis is gone": ("DELETE FROM log WHERE log_index = 0",),
    "the last time": (f"UPDATE log SET recorded_at_ms = recorded_at_ms + 1 WHERE log_index = {LAST}",),
    "a payload": (f"UPDATE log SET state = CAST(replace(state, 'a', 'b') AS BLOB) WHERE log_index = {LAST - 2}",),
    "a payload that is no JSON": (f"UPDATE log SET state = x'7b' WHERE log_index = {LAST - 2}",),
    "a topic": (f"UPDATE log SET topic = 'application/vnd.proofroom.tick.v2+json' WHERE log_index = {LAST - 2}",),
    "a topic that is no text": (f"UPDATE log SET topic = x'ff' WHERE log_index = {LAST - 2}",),
    "a signature": (
        f"UPDATE log SET signatures = CAST(substr(signatures, 1, 96) || x'01' AS BLOB) WHERE log_index = {LAST - 2}",
    ),
    "no signatures": (f"UPDATE log SET signatures = NULL WHERE log_index = {LAST - 2}",),
    "no time": (f"UPDATE log SET recorded_at_ms = NULL WHERE log_index = {LAST - 2}",),
    "the last checkpoint's note": (
        f"UPDATE checkpoints SET note = replace(note, '{SIZE}', '{LAST}') WHERE size = {SIZE}",
    ),
    "a note that is no text": (f"UPDATE checkpoints SET note = x'00' WHERE size = {SIZE}",),
    "an older checkpoint in place of the last": (
        f"UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size < {SIZE} ORDER BY size DESC) WHERE size = {SIZE}",
    ),
    "a signature and its type": (f"UPDATE log SET signatures = 'text' WHERE log_index = {LAST - 2}",),
    "two entries changed places": (
        f"UPDATE log SET log_index = 1000 WHERE log_index = {LAST - 2}",
        f"UPDATE log SET log_index = {LAST - 2} WHERE log_index = {LAST - 1}",
        f"UPDATE log SET log_index = {LAST - 1} WHERE log_index = 1000",
    ),
}


@pytest.mark.parametrize("what", ["the last entry is gone", "the last checkpoint is gone"])
def test_the_sizes_that_differ_are_named(tmp_path: Path, what: str) -> None:
    """A log and a checkpoint of different sizes are told apart from a tree that differs."""
    edit(copy_of(tmp_path), *CHANGES[what])
    with pytest.raises(HistoryChanged, match=rf"the log has ({LAST}|{SIZE}) entries"):
        Ledger.open(tmp_path, signers=signers())


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_tail_is_never_signed_over(tmp_path: Path, what: str) -> None:
    """Opening finds that the log is not what its last checkpoint signed, and writes nothing."""
    path = copy_of(tmp_path)
    edit(path, *CHANGES[what])
    before = rows_of(path)
    with pytest.raises(HistoryChanged) as refused:
        Ledger.open(tmp_path, signers=signers())
    assert refused.value.advice
    assert rows_of(path) == before


def test_another_key_cannot_sign_the_tail(tmp_path: Path) -> None:
    """A checkpoint over the right tree by another key is no checkpoint of this ledger."""
    path = copy_of(tmp_path)
    with closing(SqliteStore(path)) as store:
        tree = Ledger(store)._head.tree
    edit(path, (f"UPDATE checkpoints SET note = ? WHERE size = {SIZE}", [note_of(tree, Key(bytes(32)))]))
    with pytest.raises(HistoryChanged):
        Ledger.open(tmp_path, signers=signers())


def test_the_checkpoint_key_alone_cannot_replace_the_history(tmp_path: Path) -> None:
    """A checkpoint that signs another tree than the entries give is found on opening."""
    path = copy_of(tmp_path)
    other = merkle.Tree(SIZE, (bytes(32),) * SIZE.bit_count())
    edit(path, (f"UPDATE checkpoints SET note = ? WHERE size = {SIZE}", [note_of(other)]))
    with pytest.raises(HistoryChanged):
        Ledger.open(tmp_path, signers=signers())


@pytest.mark.parametrize("count", [1, 5])
def test_a_running_ledger_notices_that_its_tail_was_removed(tmp_path: Path, count: int) -> None:
    """With the checkpoints over it: what comes next is refused, at once, and nothing is written."""
    room = make_folder(tmp_path)
    with room.ledger as ledger:
        for record in room.records(5):
            ledger.append(record)
        size = ledger.size - count
        edit(
            tmp_path / LOG, f"DELETE FROM log WHERE log_index >= {size}", f"DELETE FROM checkpoints WHERE size > {size}"
        )
        before = rows_of(tmp_path / LOG)
        outcome: list[BaseException] = []

        def append() -> None:
            try:
                ledger.append(room.record())
            except ProofroomError as e:
                outcome.append(e)

        thread = threading.Thread(target=append, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        assert [type(e) for e in outcome] == [HistoryChanged]
        assert rows_of(tmp_path / LOG) == before


@pytest.mark.parametrize("note", ["none", "forged"])
def test_a_running_ledger_takes_in_nothing_that_its_checkpoint_key_did_not_sign(tmp_path: Path, note: str) -> None:
    """Someone who may write the file, but has no key, appends a valid statement: the ledger does not sign over it."""
    room = make_folder(tmp_path)
    with room.ledger as ledger:
        entry, tree = stored_of(ledger.size, ledger.state.recorded_at_ms, room.record(), ledger._head.tree)
        put(ledger.store, [entry], note_of(tree, Key(bytes(32))))
        if note == "none":
            edit(tmp_path / LOG, f"DELETE FROM checkpoints WHERE size = {tree.size}")
        before = rows_of(tmp_path / LOG)
        for use in (lambda: ledger.append(room.record()), ledger.refresh):
            with pytest.raises(HistoryChanged):
                use()
        assert rows_of(tmp_path / LOG) == before


def test_a_ledger_refuses_what_its_rules_do_not_allow_in_a_store() -> None:
    """Entries that are properly signed and bound, but break a rule, are not gone on from."""
    entries = entries_of(whole_history())
    derived = next(i for i, (_, e) in enumerate(entries) if AUTHORITY.get(verify(e).kind, AUTHORITY["grant"]).derived)
    with pytest.raises(HistoryChanged):
        Ledger(forge([*entries[:derived], *entries[derived + 1 :]], whole_checkpoints()[:3]), signers())
