"""Snapshots: every state survives, and no other bytes are one."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import hashing
from proofroom.domain.entry import Entry
from proofroom.domain.errors import BadEntry
from proofroom.domain.snapshot import decode_state, encode_state
from proofroom.domain.state import State
from proofroom.domain.transition import transition
from proofroom.testing.bytes import bit_flipped, mutated
from strategies.whole import whole_history

ROOT = bytes(range(32))


def test_every_state_survives() -> None:
    """Each state of a whole history, from nothing to the end, is read back equal and written again to the same bytes."""
    for state in (State(), *whole_history().states):
        data = encode_state(state, ROOT)
        again = decode_state(data, ROOT)
        assert again == state
        assert encode_state(again, ROOT) == data


@pytest.mark.parametrize("at", range(0, 150, 7))
def test_a_history_continues_from_a_snapshot(at: int) -> None:
    """From a snapshot anywhere, the rest of the history leads to the same states."""
    history = whole_history()
    state = decode_state(encode_state(history.states[at], ROOT), ROOT)
    for entry, expected in zip(history.entries[at:], history.states[at + 1 :], strict=True):
        state = transition(state, Entry(entry.index, entry.recorded_at_ms, entry.verified))
        assert state == expected


@given(st.data(), st.sampled_from([0, 1, 60, 97, 152]))
def test_no_other_bytes_are_a_snapshot(data: st.DataObject, at: int) -> None:
    """Any bit turned, byte put in or out, or end cut off is noticed."""
    snapshot = encode_state(whole_history().states[at], ROOT)
    changed = data.draw(bit_flipped(snapshot) | mutated(snapshot))
    if changed == snapshot:
        return
    with pytest.raises(BadEntry) as refused:
        decode_state(changed, ROOT)
    assert refused.value.why == "the snapshot was altered"


def test_a_snapshot_belongs_to_one_history() -> None:
    """Under another root it is refused, whatever the state."""
    snapshot = encode_state(whole_history().state, ROOT)
    with pytest.raises(BadEntry) as refused:
        decode_state(snapshot, bytes(32))
    assert refused.value.why == "the snapshot is of another format, rules version or history"


@pytest.mark.parametrize("name", ["format", "rules"])
def test_a_snapshot_of_another_version(name: str) -> None:
    """Another format or rules version is refused although its digest is right."""
    value = orjson.loads(encode_state(State(), ROOT)[32:])
    value[name] += 1
    body = orjson.dumps(value)
    with pytest.raises(BadEntry):
        decode_state(hashing.digest(hashing.SNAPSHOT, body) + body, ROOT)


@pytest.mark.parametrize("data", [b"", b"{}", bytes(32), bytes(31), hashing.digest(hashing.SNAPSHOT, b"") + b" "])
def test_what_is_no_snapshot(data: bytes) -> None:
    """Nothing, too little, and a digest of something else."""
    with pytest.raises(BadEntry):
        decode_state(data, ROOT)
