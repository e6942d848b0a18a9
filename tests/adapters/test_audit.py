"""The audit's verdicts, sentences and exit statuses. What it finds is in ``properties/test_tampering.py``."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from proofroom.adapters.audit import UNWITNESSED, Verdict, audit
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.stores import MemoryStore
from proofroom.domain import merkle
from proofroom.domain.errors import BadNote
from proofroom.testing.clocks import Clock
from proofroom.testing.keys import key
from strategies.rooms import (
    audit_file,
    copy_of,
    edit,
    entries_of,
    forge,
    make_folder,
    make_room,
    rows_of,
    signers,
    whole_checkpoints,
)
from strategies.whole import whole_history

SIZE = len(whole_history().entries)


def test_a_whole_history_is_valid(tmp_path: Path) -> None:
    """Every entry is verified, the root is that of the tree, and the sentence says what was not compared."""
    path = copy_of(tmp_path)
    report = audit_file(path)
    tree = merkle.Tree()
    with Ledger.open(tmp_path, read_only=True) as ledger:
        for stored in ledger.store.read(0):
            tree, _ = merkle.append(tree, merkle.SHA256.leaf(stored.entry_bytes()))
    assert report.verdict is Verdict.VALID
    assert (report.entries, report.first_bad, report.witnessed) == (SIZE, None, False)
    assert report.root == merkle.root(tree)
    assert report.ledger == whole_history().state.ledger
    assert report.sentence().startswith(f"VALID: {SIZE} of {SIZE} verified; {UNWITNESSED}")
    assert json.loads(json.dumps(report.to_json()))["verdict"] == "VALID"


def test_each_verdict_has_an_exit_status() -> None:
    """Scripts rely on them."""
    assert {v.name: v.value for v in list(Verdict)[:4]} == {"VALID": 0, "INVALID": 10, "INCOMPLETE": 11, "FORKED": 12}


def test_the_audit_only_reads(tmp_path: Path) -> None:
    """Of a good log and of a bad one."""
    path = copy_of(tmp_path)
    edit(path, "UPDATE log SET recorded_at_ms = 0 WHERE log_index = 9")
    before = rows_of(path)
    assert audit_file(path).verdict is Verdict.INVALID
    assert rows_of(path) == before


def test_the_audit_reads_no_snapshot(tmp_path: Path) -> None:
    """An entry that the snapshot covers is checked like any other."""
    path = copy_of(tmp_path)
    with Ledger.open(tmp_path, signers=signers(), clock=Clock(whole_history().clock)) as ledger:
        ledger.tick()
    edit(path, "UPDATE log SET recorded_at_ms = recorded_at_ms - 1 WHERE log_index = 5")
    assert audit_file(path).first_bad == 5


def test_a_bad_entry_is_explained(tmp_path: Path) -> None:
    """The report carries the typed error, how many entries hold, and a sentence with both."""
    entries = entries_of(whole_history())
    at = next(i for i, e in enumerate(whole_history().entries) if e.statement.kind == "payout")
    report = audit(forge([*entries[:at], *entries[at + 1 :]], [n for n in whole_checkpoints() if n <= at]))
    assert report.error is not None
    assert report.error["code"] in ("not-derived", "due-first")
    assert report.entries == at
    assert report.sentence() == f"INVALID at {at}: {report.why}; {at} entries before it were verified"


def test_as_many_entries_hold_as_come_before_the_bad_one(tmp_path: Path) -> None:
    """Also where it is a checkpoint that does not hold."""
    path = copy_of(tmp_path)
    size = whole_checkpoints()[20]
    edit(path, f"UPDATE checkpoints SET note = 'none' WHERE size = {size}")
    report = audit_file(path)
    assert report.first_bad == report.entries == size - 1


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    """A gap is not a bad leaf."""
    path = copy_of(tmp_path)
    edit(path, "DELETE FROM log WHERE log_index = 50")
    assert "index 50 is missing" in audit_file(path).sentence()


def test_progress_is_told(tmp_path: Path) -> None:
    """Page by page, up to the size."""
    room = make_room(MemoryStore())
    room.ledger.append_many(room.records(1_200))
    seen: list[int] = []
    audit(room.ledger.store, progress=seen.append)
    assert seen == [1_000, room.ledger.size]


def test_an_empty_log_is_incomplete() -> None:
    """There is nothing to hold against."""
    report = audit(MemoryStore())
    assert (report.verdict, report.entries) == (Verdict.INCOMPLETE, 0)


def test_a_log_against_which_something_known_speaks_is_forked(tmp_path: Path) -> None:
    """After a roll-back, another history was written: the checkpoint kept elsewhere is of a tree that never was."""
    path = copy_of(tmp_path)
    notes = {size: note.decode() for size, note in rows_of(path)["checkpoints"]}
    size = whole_checkpoints()[-8]
    edit(path, f"DELETE FROM log WHERE log_index >= {size}", f"DELETE FROM checkpoints WHERE size > {size}")
    with Ledger.open(tmp_path, signers=signers(), clock=Clock(whole_history().clock)) as ledger:
        while ledger.size <= SIZE:
            ledger.tick()
    assert audit_file(path).verdict is Verdict.VALID
    assert audit_file(path, notes[size]).verdict is Verdict.VALID
    report = audit_file(path, notes[SIZE])
    assert report.verdict is Verdict.FORKED
    assert report.sentence().startswith(f"FORKED: the checkpoint given signs another history of {SIZE} entries")


def test_a_checkpoint_of_another_ledger_is_no_checkpoint_of_this(tmp_path: Path) -> None:
    """Another origin or another key: forked, and the reason says which."""
    path = copy_of(tmp_path)
    with Ledger.create(tmp_path / "other") as other:
        report = audit_file(path, other.checkpoint())
        assert report.verdict is Verdict.FORKED
        assert "not of this ledger" in report.sentence()
    with Ledger.create(tmp_path / "same name", origin="example.org/room", bank_keys=[key("bank").keyid]) as other:
        assert audit_file(path, other.checkpoint()).verdict is Verdict.FORKED


def test_a_text_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    """The question is malformed, not the log."""
    with pytest.raises(BadNote):
        audit_file(copy_of(tmp_path), "example.org/room\n12\n")


def test_a_bad_entry_counts_more_than_a_known_checkpoint(tmp_path: Path) -> None:
    """Against any checkpoint, the first bad entry is what is reported."""
    path = copy_of(tmp_path)
    kept = rows_of(path)["checkpoints"][-1][1].decode()
    edit(path, "DELETE FROM log WHERE log_index = 60")
    assert audit_file(path, kept).verdict is Verdict.INVALID


def test_a_ledger_can_be_audited_while_it_is_written(tmp_path: Path) -> None:
    """What is appended meanwhile is no fault of the log."""
    room = make_folder(tmp_path)
    stop = threading.Event()

    def append() -> None:
        while not stop.is_set():
            room.ledger.append(room.record())
            time.sleep(0.002)

    thread = threading.Thread(target=append)
    thread.start()
    try:
        with Ledger.open(tmp_path, read_only=True) as ledger:
            for _ in range(8):
                report = audit(ledger.store, against=ledger.checkpoint())
                assert report.verdict is Verdict.VALID, report.sentence()
    finally:
        stop.set()
        thread.join()
        room.ledger.close()
    assert audit_file(tmp_path / LOG).verdict is Verdict.VALID
