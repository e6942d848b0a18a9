"""Whoever edits the file of a ledger is found out by the audit, at the first entry that was touched."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.audit import Verdict
from proofroom.adapters.keys import Key
from proofroom.domain.checkpoint import Checkpoint, parse_note, sign_checkpoint
from proofroom.testing.keys import key
from strategies.rooms import (
    assert_bad,
    audit_file,
    copy_of,
    edit,
    rows_of,
    soak,
    whole_checkpoints,
)
from strategies.whole import whole_history

SIZE = len(whole_history().entries)
COLUMNS = ("originator_id", "originator_version", "topic", "state", "recorded_at_ms", "signatures", "nodes")
some = settings(max_examples=soak(10, 3_000))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tampering")


def cell(path: Path, column: str, index: int) -> Any:
    """What a row holds; a text as its bytes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        return connection.execute(f"SELECT {column} FROM log WHERE log_index = ?", [index]).fetchone()[0]


def set_cell(path: Path, column: str, index: int, value: int | bytes) -> None:
    kind = "TEXT" if column in ("originator_id", "topic") else "INTEGER" if isinstance(value, int) else "BLOB"
    edit(path, (f"UPDATE log SET {column} = CAST(? AS {kind}) WHERE log_index = ?", [value, index]))


@some
@given(data=st.data(), index=st.integers(0, SIZE - 1), column=st.sampled_from(COLUMNS))
def test_any_changed_byte_is_found(folder: Path, data: st.DataObject, index: int, column: str) -> None:
    """In every column of every entry, whatever the byte becomes."""
    path = copy_of(folder)
    value = cell(path, column, index)
    if isinstance(value, int):
        changed: int | bytes = value ^ 1 << data.draw(st.integers(0, 62), label="bit")
    else:
        at = data.draw(st.integers(0, len(value) - 1), label="at")
        byte = data.draw(st.integers(0, 255).filter(lambda b: b != value[at]), label="byte")
        changed = value[:at] + bytes([byte]) + value[at + 1 :]
    set_cell(path, column, index, changed)
    assert_bad(audit_file(path), index)


@some
@given(data=st.data(), index=st.integers(0, SIZE - 1), column=st.sampled_from(["state", "signatures", "nodes"]))
def test_any_flipped_bit_is_found(folder: Path, data: st.DataObject, index: int, column: str) -> None:
    """Also the smallest change."""
    path = copy_of(folder)
    value = bytearray(cell(path, column, index))
    bit = data.draw(st.integers(0, len(value) * 8 - 1), label="bit")
    value[bit // 8] ^= 1 << bit % 8
    set_cell(path, column, index, bytes(value))
    assert_bad(audit_file(path), index)


@pytest.mark.parametrize("letter", ["upper", "hyphens", "braces", "urn"])
def test_another_spelling_of_a_key_is_found(folder: Path, letter: str) -> None:
    """The key of an entry is its text, not what a library reads as the same UUID."""
    path = copy_of(folder)
    text = cell(path, "originator_id", 60).decode()
    spellings = {
        "upper": text.upper(),
        "hyphens": f"{text[:8]}-{text[8:]}",
        "braces": f"{{{text}}}",
        "urn": f"urn:uuid:{text}",
    }
    set_cell(path, "originator_id", 60, spellings[letter].encode())
    assert_bad(audit_file(path), 60)


@pytest.mark.parametrize("value", ["NULL", "''", "x''", "1.5", "-1", "'text'", "x'ff'", "9223372036854775807"])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_may_hold_anything(folder: Path, column: str, value: str) -> None:
    """Values of other types, of no type, or out of range do not confuse the audit."""
    path = copy_of(folder)
    try:
        edit(path, f"UPDATE log SET {column} = {value} WHERE log_index = 77")
    except sqlite3.IntegrityError:
        return  # the table itself refuses
    assert_bad(audit_file(path), 77)


@some
@given(data=st.data())
def test_deleted_entries_are_missed(folder: Path, data: st.DataObject) -> None:
    """Whatever is deleted, the first missing index is named, unless all that is missing is the tail."""
    path = copy_of(folder)
    gone = data.draw(st.sets(st.integers(0, SIZE - 1), min_size=1, max_size=5))
    marks = ",".join("?" * len(gone))
    edit(path, (f"DELETE FROM log WHERE log_index IN ({marks})", sorted(gone)))
    report = audit_file(path)
    if min(gone) == SIZE - len(gone):
        assert report.verdict is Verdict.INCOMPLETE, report.sentence()
        assert report.first_bad is None
    else:
        assert_bad(report, min(gone))


@some
@given(pair=st.sets(st.integers(0, SIZE - 1), min_size=2, max_size=2))
def test_swapped_entries_are_found(folder: Path, pair: set[int]) -> None:
    """All columns change places; only the index stays."""
    path = copy_of(folder)
    i, j = sorted(pair)
    edit(
        path,
        f"UPDATE log SET log_index = -5 WHERE log_index = {i}",
        f"UPDATE log SET log_index = {i} WHERE log_index = {j}",
        f"UPDATE log SET log_index = {j} WHERE log_index = -5",
    )
    assert_bad(audit_file(path), i)


@some
@given(data=st.data(), at=st.integers(0, SIZE))
def test_an_inserted_entry_is_found(folder: Path, data: st.DataObject, at: int) -> None:
    """A copy of any entry, put in at any place, with the rest moved up."""
    path = copy_of(folder)
    source = data.draw(st.integers(0, SIZE - 1))
    edit(
        path,
        f"CREATE TEMP TABLE copy AS SELECT * FROM log WHERE log_index = {source}",
        f"UPDATE log SET log_index = -log_index - 1 WHERE log_index >= {at}",
        "UPDATE log SET log_index = -log_index WHERE log_index < 0",
        f"INSERT INTO log SELECT {at}, hex(randomblob(16)), 1, topic, state, recorded_at_ms, signatures, nodes FROM copy",
    )
    assert_bad(audit_file(path), at)


def test_an_entry_beyond_the_end_is_found(folder: Path) -> None:
    """With a gap before it, the gap is named."""
    path = copy_of(folder)
    edit(
        path,
        f"INSERT INTO log SELECT 500, 'k', 1, topic, state, recorded_at_ms, signatures, nodes FROM log WHERE log_index = {SIZE - 1}",
    )
    assert_bad(audit_file(path), SIZE)


def test_an_entry_before_the_beginning_is_found(folder: Path) -> None:
    """An index below zero is outside the log, and a store that holds one is not what a ledger wrote."""
    path = copy_of(folder)
    edit(
        path,
        "INSERT INTO log SELECT -1, 'k', 1, topic, state, recorded_at_ms, signatures, nodes FROM log WHERE log_index = 0",
    )
    assert audit_file(path).verdict is Verdict.INVALID


# --- checkpoints


@some
@given(data=st.data(), size=st.sampled_from(whole_checkpoints()))
def test_an_edited_checkpoint_is_found(folder: Path, data: st.DataObject, size: int) -> None:
    """Any byte of any note: the last entry under it is named."""
    path = copy_of(folder)
    note = dict(rows_of(path)["checkpoints"])[size]
    at = data.draw(st.integers(0, len(note) - 1), label="at")
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != note[at]), label="byte")
    changed = note[:at] + bytes([byte]) + note[at + 1 :]
    edit(path, ("UPDATE checkpoints SET note = CAST(? AS TEXT) WHERE size = ?", [changed, size]))
    assert_bad(audit_file(path), size - 1)


@pytest.mark.parametrize("value", ["x'00'", "''", "'text'", "5", "zeroblob(70000)"])
def test_a_note_may_hold_anything(folder: Path, value: str) -> None:
    """What is no text of a checkpoint is a bad checkpoint, and nothing worse."""
    path = copy_of(folder)
    size = whole_checkpoints()[9]
    edit(path, f"UPDATE checkpoints SET note = {value} WHERE size = {size}")
    assert_bad(audit_file(path), size - 1)


@some
@given(data=st.data(), size=st.sampled_from(whole_checkpoints()))
def test_a_checkpoint_moved_to_another_size_is_found(folder: Path, data: st.DataObject, size: int) -> None:
    """To a size that has none, inside or beyond the log."""
    path = copy_of(folder)
    free = [n for n in range(-3, SIZE + 5) if n not in whole_checkpoints()]
    other = data.draw(st.sampled_from(free), label="other")
    edit(path, f"UPDATE checkpoints SET size = {other} WHERE size = {size}")
    report = audit_file(path)
    assert report.verdict in (Verdict.INVALID, Verdict.INCOMPLETE), report.sentence()
    if 0 < other <= SIZE:
        assert_bad(report, other - 1)


@pytest.mark.parametrize("count", [1, 2, 10, len(whole_checkpoints())])
def test_entries_without_a_checkpoint_are_found(folder: Path, count: int) -> None:
    """When the newest checkpoints are gone, the first entry that none covers is named."""
    path = copy_of(folder)
    left = [0, *whole_checkpoints()][:-count]
    edit(path, f"DELETE FROM checkpoints WHERE size > {left[-1]}")
    assert_bad(audit_file(path), left[-1])


def test_a_checkpoint_in_the_middle_is_covered_by_later_ones(folder: Path) -> None:
    """Which entries were appended together is not bound: without one of its notes the same history is still proven."""
    path = copy_of(folder)
    edit(path, f"DELETE FROM checkpoints WHERE size = {whole_checkpoints()[10]}")
    assert audit_file(path).verdict is Verdict.VALID


@pytest.mark.parametrize("at", [0, 10, -1])
def test_a_checkpoint_by_another_key_is_found(folder: Path, at: int) -> None:
    """The right tree, signed by whoever is not this ledger's checkpoint key: its own ledger key too."""
    for signer in (Key(bytes(32)), key("ledger")):
        path = copy_of(folder)
        size = whole_checkpoints()[at]
        checkpoint = parse_note(dict(rows_of(path)["checkpoints"])[size].decode())[0]
        edit(path, ("UPDATE checkpoints SET note = ? WHERE size = ?", [sign_checkpoint(checkpoint, signer), size]))
        assert_bad(audit_file(path), size - 1)


@pytest.mark.parametrize("at", [0, 10, -1])
def test_a_checkpoint_that_signs_another_tree_is_found(folder: Path, at: int) -> None:
    """The checkpoint key itself signed another root, size or origin."""
    path = copy_of(folder)
    size = whole_checkpoints()[at]
    right = parse_note(dict(rows_of(path)["checkpoints"])[size].decode())[0]
    for wrong in (
        right._replace(root=bytes(32)),
        right._replace(size=size + 1),
        right._replace(origin="example.org/other"),
    ):
        note = sign_checkpoint(wrong, key("checkpoint"))
        edit(path, ("UPDATE checkpoints SET note = ? WHERE size = ?", [note, size]))
        assert_bad(audit_file(path), size - 1)


def test_a_checkpoint_of_an_empty_log_is_out_of_order(folder: Path) -> None:
    """No append leaves one, though the checkpoint key signed it, with whatever root."""
    path = copy_of(folder)
    first = parse_note(rows_of(path)["checkpoints"][0][1].decode())[0]
    for root in (bytes(32), first.root):
        note = sign_checkpoint(Checkpoint(first.origin, 0, root), key("checkpoint"))
        edit(path, ("INSERT OR REPLACE INTO checkpoints VALUES (0, ?)", [note]))
        assert_bad(audit_file(path), 0)


# --- the tail


@settings(max_examples=soak(4, 300))
@given(size=st.sampled_from(whole_checkpoints()[:-1]))
def test_a_removed_tail_is_seen_only_against_a_checkpoint_kept_elsewhere(folder: Path, size: int) -> None:
    """Together with its checkpoints it is gone without a trace; the sentence says that this would not be seen."""
    path = copy_of(folder)
    kept = rows_of(path)["checkpoints"][-1][1].decode()
    edit(path, f"DELETE FROM log WHERE log_index >= {size}")
    report = audit_file(path)
    assert report.verdict is Verdict.INCOMPLETE
    assert report.entries == size
    edit(path, f"DELETE FROM checkpoints WHERE size > {size}")
    alone = audit_file(path)
    assert (alone.verdict, alone.entries, alone.witnessed) == (Verdict.VALID, size, False)
    assert "UNWITNESSED" in alone.sentence()
    assert "removed tail" in alone.sentence()
    against = audit_file(path, kept)
    assert (against.verdict, against.first_bad) == (Verdict.INCOMPLETE, None)
    assert str(SIZE) in against.sentence()
    assert str(size) in against.sentence()


@given(size=st.sampled_from(whole_checkpoints()))
@settings(max_examples=10)
def test_a_log_extends_each_of_its_own_checkpoints(folder: Path, size: int) -> None:
    """Against any checkpoint of its past it is valid, and says that it was compared."""
    path = copy_of(folder)
    report = audit_file(path, dict(rows_of(path)["checkpoints"])[size].decode())
    assert (report.verdict, report.witnessed) == (Verdict.VALID, True)
    assert "UNWITNESSED" not in report.sentence()
