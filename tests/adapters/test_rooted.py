"""Rooted signatures on a ledger: appended in streams, proven by receipts, replayed by the audit, and safe from whoever rewrites the log."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.stores import MemoryStore
from proofroom.adapters.writer import Recorded
from proofroom.domain.envelope import Envelope, join, sign, sign_rooted
from proofroom.domain.errors import BadSignature, MissingRole
from proofroom.domain.receipt import verify_receipt
from proofroom.testing.histories import ORIGIN
from strategies.rooms import Room, forge, make_folder, make_room, soak


def rooted_records(room: Room, count: int, **changes: Any) -> list[Envelope]:
    """Records that all three roles signed at once."""
    cast = room.cast
    records = [cast.record(room.grant, 0, **changes) for _ in range(count)]
    return sign_rooted(records, cast.derived, cast.orchestrator, cast.runtimes[0], tree=64)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_takes_direct_and_rooted_alike(tmp_path: Path, workers: int) -> None:
    """Each gets its place; a path of another record is refused; the audit replays all; a receipt needs nothing beside itself."""
    room = make_folder(tmp_path)
    rooted, direct = rooted_records(room, 150), room.records(150)
    spoiled = rooted[3]._replace(signatures=rooted[4].signatures)
    record = room.cast.record(room.grant, 0)
    mixed = join(sign(record, room.cast.derived), *sign_rooted([record], room.cast.orchestrator, room.cast.runtimes[0]))
    lines = [e.to_json() for pair in zip(rooted, direct, strict=True) for e in pair]
    room.ledger.close()
    with Ledger.open(tmp_path, workers=workers) as ledger:
        before = ledger.size
        outcomes = list(ledger.append_stream([spoiled.to_json(), *lines, mixed, rooted[0]]))
        assert isinstance(outcomes[0], BadSignature)
        places = [o.entry_index for o in outcomes[1:-1] if isinstance(o, Recorded) and not o.repeated]
        assert places == list(range(before, before + 301))
        last = outcomes[-1]
        assert isinstance(last, Recorded)
        assert (last.repeated, last.entry_index) == (True, before)
        assert [e.verified.envelope for e in ledger.read(before, 2)] == [rooted[0], direct[0]]
        founding = ledger.state.founding
        assert founding is not None
        verified, _ = verify_receipt(ledger.receipt(before + 300), ORIGIN, founding.checkpoint_key)
        assert verified.envelope == mixed
        assert audit(ledger.store).verdict is Verdict.VALID


def test_a_role_that_signed_no_root_is_missed() -> None:
    """A root counts for the keys that signed it, and for nobody else."""
    room = make_room(MemoryStore())
    (alone,) = sign_rooted([room.cast.record(room.grant, 0)], room.cast.derived, room.cast.orchestrator)
    with pytest.raises(MissingRole):
        room.ledger.append(alone)


@cache
def history() -> tuple[Room, list[tuple[int, Envelope]]]:
    """A room with 20 rooted records at its end, and all of its log."""
    room = make_room(MemoryStore(), seed="rooted")
    room.ledger.append_many(rooted_records(room, 20))
    return room, [(e.recorded_at_ms, e.verified.envelope) for e in room.ledger.read(0, 1_000)]


def test_the_history_is_valid_when_it_is_forged_unchanged() -> None:
    """So that what fails below fails for its change."""
    assert audit(forge(history()[1])).verdict is Verdict.VALID


@settings(max_examples=soak(15, 500))
@given(st.integers(-20, -1), st.booleans(), st.data())
def test_who_holds_the_ledgers_keys_cannot_change_what_was_signed_by_root(
    at: int, payload: bool, data: st.DataObject
) -> None:
    """Tree and checkpoints made anew over one changed record or one changed path: the audit names the entry."""
    log = list(history()[1])
    ms, envelope = log[at]
    if payload:
        changed = envelope._replace(payload=envelope.payload.replace(b'"cpu_ms":412', b'"cpu_ms":413'))
    else:
        first, *rest = envelope.signatures
        assert first.rooted is not None
        path = bytearray(first.rooted.path)
        path[data.draw(st.integers(0, len(path) - 1))] ^= data.draw(st.integers(1, 255))
        changed = envelope._replace(signatures=(first._replace(rooted=first.rooted._replace(path=bytes(path))), *rest))
    log[at] = (ms, changed)
    report = audit(forge(log))
    assert (report.verdict, report.first_bad) == (Verdict.INVALID, len(log) + at)
    assert report.error is not None
    assert report.error["code"] == "bad-signature"


def test_rooted_records_are_sealed_like_others() -> None:
    """Once recorded, a statement is a statement: its batch and round say nothing of the form of a signature."""
    room, _ = history()
    cast, ledger = room.cast, room.ledger
    ledger.append(cast.seal_all(ledger.state, 0))
    assert len(ledger.state.rounds[cast.cluster, 0].records) == 20
