"""Whose observation counts: each check alone keeps one out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.observations import sign_observation
from proofroom.domain.crosscheck import Observation
from proofroom.domain.envelope import Envelope, sign, statement_id, verify
from proofroom.domain.errors import (
    BadEnvelope,
    KeyNotInForce,
    Malformed,
    MissingRole,
    NotIndependent,
    OtherLedger,
    ProofroomError,
    UnknownKind,
)
from proofroom.domain.hashing import tagged
from proofroom.domain.observing import verify_observation
from proofroom.domain.statements import BESIDE, parse
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.observation import Observed
from proofroom.testing.histories import START_MS, History
from proofroom.testing.keys import key

COUNTS = st.none() | st.integers(0, 2**53 - 1)
HISTORY = History()
RECORD_ENVELOPE = HISTORY.cast.activity(tagged(bytes(32)), 0)
RECORD = verify(RECORD_ENVELOPE).statement
RECORD_ID = statement_id(RECORD_ENVELOPE.payload_type, RECORD_ENVELOPE.payload)
SEEN = Observation(cpu_ms=400, scopes=("v-7c21 / calendar",))


def signed(seen: Observation = SEEN, *, by: str = "gateway", record: bytes = RECORD_ID, **changes: Any) -> Envelope:
    """An observation, and whatever is changed about it."""
    envelope = sign_observation(HISTORY.state.ledger, record, seen, key(by), at_ms=START_MS)
    statement = parse(envelope.payload_type, envelope.payload, BESIDE)
    assert isinstance(statement, Observed)
    return sign(statement.model_copy(update=changes), key(by))


def believed(envelope: Envelope, *sources: str) -> Observation:
    """What a validator takes from it."""
    assert isinstance(RECORD, Activity)
    keys = {key(name).keyid for name in sources or ("gateway",)}
    return verify_observation(envelope, record=RECORD, record_id=tagged(RECORD_ID), sources=keys)


@given(
    st.builds(
        Observation,
        COUNTS,
        st.none() | st.integers(0, 10**15),
        COUNTS,
        COUNTS,
        COUNTS,
        COUNTS,
        st.none() | st.lists(st.just("v-1 / mail"), max_size=3).map(tuple),
        st.none() | st.just(tagged(bytes(32))),
    )
)
def test_what_was_seen_arrives_unchanged(seen: Observation) -> None:
    """To the millionth, with null for what there is no meter for."""
    assert believed(signed(seen)) == seen


@pytest.mark.parametrize(
    ("envelope", "error"),
    [
        (signed(ledger=tagged(b"\1" * 32)), OtherLedger),
        (signed(record=b"\2" * 32), BadEnvelope),
        (signed(source=key("stranger").keyid), MissingRole),
        (signed(by="stranger"), KeyNotInForce),
        (RECORD_ENVELOPE, UnknownKind),
    ],
    ids=["another ledger", "another record", "signed by another", "not believed", "not an observation"],
)
def test_what_does_not_count(envelope: Envelope, error: type[ProofroomError]) -> None:
    """Each has its own error."""
    with pytest.raises(error):
        believed(envelope)


@pytest.mark.parametrize("role", ["derived v-7c21 / calendar", "orchestrator", "runtime-0"])
def test_nobody_confirms_what_they_signed(role: str) -> None:
    """A signer of the record is no witness of it, even where it is believed."""
    with pytest.raises(NotIndependent):
        believed(signed(by=role), role)


def test_two_signatures_are_one_too_many() -> None:
    """An observation speaks for one source."""
    statement = parse(signed().payload_type, signed().payload, BESIDE)
    with pytest.raises(MissingRole):
        believed(sign(statement, key("gateway"), key("stranger")))


def test_an_observation_is_no_entry() -> None:
    """The ledger does not know the kind."""
    with pytest.raises(UnknownKind):
        verify(signed())


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_changed_bit_does_not_verify(at: int, bit: int) -> None:
    """Whatever bit of the payload."""
    envelope = signed()
    payload = bytearray(envelope.payload)
    payload[at % len(payload)] ^= 1 << bit
    with pytest.raises(Malformed):
        believed(envelope._replace(payload=bytes(payload)))
