"""A record as an in-toto statement, read by a DSSE library that is not ours."""

from __future__ import annotations

import base64
import json

import orjson
import pytest
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.signer._key import SSlibKey

from proofroom.adapters.ledger import Ledger
from proofroom.domain.envelope import parse_envelope, verify
from proofroom.domain.errors import NoSuchEntry
from proofroom.domain.interchange import IN_TOTO, sign_in_toto, to_in_toto
from proofroom.domain.receipt import verify_receipt
from proofroom.domain.statements.activity import Activity
from proofroom.testing.histories import ORIGIN, store_of
from proofroom.testing.keys import key
from strategies.rooms import signers
from strategies.whole import whole_history


def test_another_library_verifies_it_and_finds_the_record_inside() -> None:
    """The outer signature by securesystemslib; subject, original envelope and proof by what they name."""
    with Ledger(store_of(whole_history()), signers()) as ledger:
        entry = next(
            e for e in whole_history().entries if isinstance(e.statement, Activity) and e.statement.compute.gpu_micro
        )
        receipt = ledger.receipt(entry.index)
        envelope = sign_in_toto(to_in_toto(entry, receipt), key("exporter"))
    theirs = TheirEnvelope.from_dict(json.loads(envelope.to_json()))
    public = key("exporter").keyid
    trusted = SSlibKey(public, "ed25519", "ed25519", {"public": public.removeprefix("ed25519:")})
    assert theirs.verify([trusted], 1)
    assert theirs.payload_type == IN_TOTO
    statement = orjson.loads(theirs.payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    record = entry.statement
    assert isinstance(record, Activity)
    (subject,) = statement["subject"]
    assert subject["name"] == record.record_id
    assert list(subject["digest"].values()) == [record.result_hash.partition(":")[2]]
    predicate = statement["predicate"]
    assert predicate["record"] == orjson.loads(entry.verified.envelope.payload)
    inner = verify(parse_envelope(base64.b64decode(predicate["envelope"])))
    assert (inner.digest, inner.keys) == (predicate["statement"], entry.verified.keys)
    assert predicate["tlog_proof"] == receipt.to_tlog_proof()
    assert verify_receipt(receipt, ORIGIN, key("checkpoint").keyid)[0].id == inner.id


def test_only_records_are_exported() -> None:
    """A statement of another kind has no result to be a subject."""
    with Ledger(store_of(whole_history()), signers()) as ledger, pytest.raises(NoSuchEntry):
        to_in_toto(whole_history().entries[0], ledger.receipt(0))
