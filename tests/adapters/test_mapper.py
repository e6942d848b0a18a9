"""Between entries and stored events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from proofroom.adapters import mapper
from proofroom.adapters.mapper import StoredEntry, originator_id, read_statement, to_entry, to_stored_entry
from proofroom.domain import statements
from proofroom.domain.entry import Entry, parse_entry
from proofroom.domain.envelope import Envelope, sign, verify
from proofroom.domain.errors import BadEntry, BadSignature, Malformed, UnknownKind
from proofroom.domain.statements import KINDS, LedgerStatement, payload_type_of
from proofroom.domain.statements.activity import Activity
from proofroom.testing.histories import resign
from proofroom.testing.keys import key
from strategies.rooms import copy_of, rows_of
from strategies.whole import whole_history


def stored(entry: Entry) -> StoredEntry:
    return to_stored_entry(entry, originator_id(entry.verified), b"nodes")


ENTRIES = whole_history().entries


@given(entry=st.sampled_from(ENTRIES))
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    """Of every kind: payload type and payload unchanged, place, time and signatures beside them."""
    kept = stored(entry)
    assert (kept.topic, kept.state) == entry.verified.envelope[:2]
    assert kept.envelope() == entry.verified.envelope
    assert parse_entry(kept.entry_bytes()) == (entry.index, entry.recorded_at_ms, entry.verified.envelope)
    again = to_entry(kept)
    assert (again.index, again.recorded_at_ms, again.verified.id) == (
        entry.index,
        entry.recorded_at_ms,
        entry.verified.id,
    )
    assert again.statement == entry.statement


def test_what_is_read_is_verified() -> None:
    """The store is not believed: a stored entry with a changed payload does not become one."""
    kept = stored(ENTRIES[20])
    with pytest.raises(BadSignature):
        to_entry(replace(kept, signatures=kept.signatures[:40] + bytes(57)))
    with pytest.raises(Malformed):
        to_entry(replace(kept, state=kept.state + b" "))
    with pytest.raises(UnknownKind):
        to_entry(replace(kept, topic=kept.topic + "x"))


@pytest.mark.parametrize(
    "column",
    [
        {"topic": b"bytes"},
        {"topic": "ä"},
        {"state": "text"},
        {"signatures": None},
        {"nodes": None},
        {"recorded_at_ms": None},
        {"recorded_at_ms": 1.5},
        {"recorded_at_ms": -1},
        {"recorded_at_ms": True},
    ],
)
def test_a_column_that_holds_something_else_is_a_bad_entry(column: dict[str, Any]) -> None:
    """Whatever someone wrote there."""
    with pytest.raises(BadEntry):
        replace(stored(ENTRIES[5]), **column).entry_bytes()


def test_keys_come_from_the_statement_alone() -> None:
    """The same statement has the same key whoever signed it, others have others, and records' keys rise with time."""
    ids = [originator_id(e.verified) for e in ENTRIES]
    assert len(set(ids)) == len(ids)
    activity = next(e.verified.envelope for e in ENTRIES if isinstance(e.statement, Activity))
    more = resign(activity, extra=[key("stranger")])
    assert originator_id(verify(more)) == originator_id(verify(activity))
    heads = [str(originator_id(e.verified))[:12] for e in ENTRIES if isinstance(e.statement, Activity)]
    assert heads == sorted(heads)
    assert len(set(heads)) > 1


def test_no_python_path_is_in_the_store(tmp_path: Path) -> None:
    """Topics are payload types: files may move, classes may be renamed, history stays readable."""
    topics = {row[3].decode() for row in rows_of(copy_of(tmp_path))["log"]}
    assert topics == set(KINDS)
    for topic in KINDS:
        assert topic.startswith("application/vnd.proofroom.")
        assert ":" not in topic
        assert "domain" not in topic


class OldNote(LedgerStatement):
    """A made-up kind of an earlier release."""

    kind: ClassVar[str] = "note"
    text: Annotated[str, Field(max_length=99)]


class NewNote(LedgerStatement):
    """Its next version, which has a language."""

    kind: ClassVar[str] = "note"
    text: Annotated[str, Field(max_length=99)]
    language: str


class NewestNote(LedgerStatement):
    """And the one after that, with another name for a field."""

    kind: ClassVar[str] = "note"
    body: str
    language: str


def test_old_versions_are_read_as_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upcasters are chained for readers; bytes, id and signatures stay those of the version that was signed."""
    one = payload_type_of("note")
    two, three = one.replace("v1", "v2"), one.replace("v1", "v3")
    monkeypatch.setitem(statements.KINDS, one, OldNote)
    monkeypatch.setitem(statements.KINDS, two, NewNote)
    monkeypatch.setitem(statements.KINDS, three, NewestNote)
    monkeypatch.setitem(mapper.UPCASTERS, one, lambda v: (two, v | {"language": "en"}))
    monkeypatch.setitem(
        mapper.UPCASTERS, two, lambda v: (three, {"body" if k == "text" else k: x for k, x in v.items()})
    )
    ledger = whole_history().state.ledger
    envelope: Envelope = sign(OldNote(ledger=ledger, text="hello"), key("wallet"))
    entry = Entry(7, 1_000, verify(envelope))
    kept = stored(entry)
    assert read_statement(kept) == NewestNote(ledger=ledger, body="hello", language="en")
    assert to_entry(kept).statement == OldNote(ledger=ledger, text="hello")
    assert to_entry(kept).verified.id == entry.verified.id
    assert orjson.loads(kept.state) == {"ledger": ledger, "text": "hello"}


def test_kinds_of_this_release_are_read_as_they_are() -> None:
    """Without an upcaster, the reader's statement is the one that was signed."""
    assert mapper.UPCASTERS == {}
    for entry in ENTRIES:
        assert read_statement(stored(entry)) == entry.statement
