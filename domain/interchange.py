"""A record in the words of others: an in-toto statement about the result of a run.

Nothing is invented: the subject is the result, by its digest; the predicate is the record as it was signed, where it stands in the log,
and the proof of that. The original DSSE envelope travels inside with the signatures of the three roles, so that a reader of in-toto who
does not know our kinds can still check who signed what.
"""

from __future__ import annotations

import base64
from typing import Any

from proofroom.domain.canonical import encode
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import NoSuchEntry
from proofroom.domain.receipt import Receipt
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import Signer, pae
from proofroom.domain.statements.activity import Activity

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
IN_TOTO = "application/vnd.in-toto+json"
"""The payload type of an in-toto statement in DSSE."""
PREDICATE = "urn:proofroom:activity:v1"

_DIGESTS = {"blake2": "blake2b256", "blake3": "blake3"}
"""Our tag of a digest -> in-toto's name of the algorithm."""


def to_in_toto(entry: Entry, receipt: Receipt) -> dict[str, Any]:
    """The statement about the result of a run.

    Raises:
        NoSuchEntry: the entry is no activity record.
    """
    record = entry.statement
    if not isinstance(record, Activity):
        raise NoSuchEntry(what=f"activity record at entry {entry.index}")
    algorithm, _, digest = record.result_hash.partition(":")
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": record.record_id, "digest": {_DIGESTS[algorithm]: digest}}],
        "predicateType": PREDICATE,
        "predicate": {
            "record": record.to_json(),
            "statement": entry.verified.digest,
            "recorded_at_ms": entry.recorded_at_ms,
            "entry_index": entry.index,
            "envelope": base64.b64encode(entry.verified.envelope.to_json()).decode(),
            "tlog_proof": receipt.to_tlog_proof(),
        },
    }


def sign_in_toto(statement: dict[str, Any], signer: Signer) -> Envelope:
    """The statement in DSSE, signed by whoever makes the export and answers for it."""
    payload = encode(statement)
    return Envelope(IN_TOTO, payload, (Signature(signer.keyid, signer.sign(pae(IN_TOTO, payload))),))
