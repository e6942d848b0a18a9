"""Observations: who may bear witness about a record, and what it says (protocol 5).

A validator compares a record with what others saw of the same run. It believes only sources that it chose itself, only over their own
signature, and never one that signed the record: whoever claims cannot be the one who confirms.
"""

from __future__ import annotations

from collections.abc import Collection

from proofroom.domain.crosscheck import Observation
from proofroom.domain.envelope import Envelope, verify
from proofroom.domain.errors import BadEnvelope, KeyNotInForce, MissingRole, NotIndependent, OtherLedger
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.statements import BESIDE
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.observation import Observed


def verify_observation(
    envelope: Envelope, *, record: Activity, record_id: Digest, sources: Collection[KeyId]
) -> Observation:
    """What a source saw of the run behind a record.

    Args:
        envelope: nothing of it is verified yet.
        record, record_id: the record that is judged, and its statement id.
        sources: the keys of the sources that this validator believes.

    Raises:
        Malformed: the envelope does not verify, or is about another record.
        OtherLedger: it was made for another ledger.
        MissingRole: it is not signed by the source that it names, and by nobody else.
        KeyNotInForce: the source is none of those believed.
        NotIndependent: the source signed the record itself.
    """
    verified = verify(envelope, BESIDE)
    s = verified.statement
    assert isinstance(s, Observed)
    if s.ledger != record.ledger:
        raise OtherLedger(ledger=s.ledger, expected=record.ledger)
    if s.record != record_id:
        raise BadEnvelope(why="it observes another record")
    if verified.keys != {s.source}:
        raise MissingRole(kind=s.kind, role="source", keyid=s.source)
    if s.source in {record.signers.agent_derived_key, record.signers.orchestrator, record.signers.agent_runtime}:
        raise NotIndependent(keyid=s.source)
    if s.source not in sources:
        raise KeyNotInForce(keyid=s.source, role="source that this validator believes")
    return Observation(s.cpu_ms, s.gpu_micro, s.byte_seconds, s.bytes_streamed, s.puts, s.gets, s.scopes, s.result_hash)
