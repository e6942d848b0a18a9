"""The verifier on one record: for each check a file in which only that check fails, made by a host that holds every key."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.proving import _inner_path
from proofroom.domain import merkle
from proofroom.domain.assurance import threshold
from proofroom.domain.entry import entry_bytes
from proofroom.domain.hashing import tagged
from proofroom.domain.ids import KeyId
from proofroom.domain.recount import verify
from proofroom.domain.signatures import Signature, encode_signatures
from proofroom.domain.signing import pae
from proofroom.domain.verifier import Verdict
from proofroom.domain.verifier.entry import parse_entry
from proofroom.domain.verifier.record import _two_thirds
from proofroom.domain.verifier.verdict import Fault
from proofroom.domain.voting import at_least, count_votes
from proofroom.testing.keys import key
from strategies.forged_records import (
    AFTER,
    BATCH,
    BATCHES,
    CHARGE,
    ERASED,
    FORGED,
    LINES,
    PAID,
    REJECTED,
    REVOKED_AT,
    ROUND,
    SPONSORED,
    STRANGER,
    TALLY,
    UNJUDGED,
    UNSEALED,
    WORK,
    check,
    forged_file,
    honest,
    honest_file,
    indexes_of,
    late_root,
    payout_file,
)
from strategies.forging import become, body_at, forge, id_at, proven_history, set_to


@pytest.mark.parametrize("name", FORGED)
def test_one_check_fails(name: str) -> None:
    """The verdict is that of the one check, and the entry at fault is named."""
    report = verify(forged_file(name))
    assert (report.verdict, FORGED[name].why in report.why) == (FORGED[name].verdict, True), report.sentence()


def test_the_honest_files_hold() -> None:
    """Without a change the same way gives VALID, and says what a reader should know."""
    for record in BATCHES:
        report = check(payout_file(honest(), record))
        assert report.verdict is Verdict.VALID, report.sentence()
        assert payout_file(honest(), record) == honest_file(record)
        assert f"the grant was revoked later, at entry {REVOKED_AT}" in report.notes
        assert any(note.startswith("UNWITNESSED") for note in report.notes)


def test_every_record() -> None:
    """Each record of the history: VALID when it was attested, SUSPECT when not."""
    history = proven_history()
    seen = set()
    for entry in history.entries:
        if entry.statement.kind != "activity" or entry.index == UNSEALED:
            continue
        name = body_at(entry.index)["record_id"]
        report = verify(honest().record(name))
        assert report.verdict in (Verdict.VALID, Verdict.SUSPECT)
        assert report.verdict is verify(honest().payout(name)).verdict
        assert report.at == (entry.index if report.verdict is Verdict.SUSPECT else None)
        seen.add((entry.index, report.verdict.name))
    assert {i for i, verdict in seen if verdict == "SUSPECT"} == {REJECTED, UNJUDGED}


def test_batch_of_later_records() -> None:
    """A batch cannot hold a record that came after it."""
    prover = forge(
        {
            BATCH: late_root,
            ROUND: set_to("batch", 1),
            TALLY: lambda b: b.update(records=1, attested="AQ==", rejected="AA=="),
        }
    )
    index = UNJUDGED
    value = payout_file(prover, WORK)
    value["entries"] = orjson.loads(prover._write("record", (indexes_of(WORK) - {WORK}) | {index}))["entries"]
    value["batch"] = {"position": 0, "path": []}
    assert "it is not the batch of the record" in check(value).why


def test_a_batch_of_too_many() -> None:
    """10,001 records, among which the record has its place."""
    ids = [id_at(honest(), WORK), *(bytes([i % 256, i // 256]) * 16 for i in range(10_000))]
    prover = forge({BATCH: lambda b: b.update(count=10_001, root=tagged(merkle.root_of(ids)))})
    value = payout_file(prover, WORK)
    value["batch"] = {"position": 0, "path": orjson.loads(orjson.dumps(_inner_path(0, ids), default=_text))}
    assert "a batch has 1 to 10,000 records" in check(value).why


@pytest.mark.parametrize(
    "payload", [b"[]", b'{"a":1,"a":1}', b'{"a":1e3}', b'{"a":0.1234567}', b'{"a":9007199254740992}', b"{"]
)
def test_payloads_that_are_not_strict(payload: bytes) -> None:
    """Signed, and yet read differently by different parsers: refused, whatever the kind."""
    kind = "application/vnd.proofroom.tick.v1+json"
    signature = Signature(KeyId(STRANGER.keyid), STRANGER.sign(pae(kind, payload)))
    with pytest.raises(Fault, match=r"not strict JSON|not a JSON object"):
        parse_entry(entry_bytes(0, 0, kind, payload, encode_signatures((signature,))))


def test_line_after_the_payment() -> None:
    """A line counts only before the era is closed."""
    late = body_at(CHARGE)
    once = forge({AFTER: become(late)}, signers={AFTER: [key("ledger")]}, kinds={AFTER: "payout"})
    ids = [id_at(once, AFTER if i == CHARGE else i) for i in LINES]
    prover = forge(
        {AFTER: become(late), PAID: set_to("lines_root", tagged(merkle.root_of(ids)))},
        signers={AFTER: [key("ledger")]},
        kinds={AFTER: "payout"},
    )
    value = payout_file(prover, WORK, without=LINES, more=[AFTER])
    value["lines"] = [[*value["lines"][0]]]
    value["lines"] = orjson.loads(orjson.dumps([_inner_path(1, ids)], default=_text))
    assert "the line is of another era" in check(value).why


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_customer_must_be_counted() -> None:
    """The completeness leaf must be the customer's own, with at least one attested record."""
    value = honest_file(WORK)
    other = honest_file(SPONSORED)
    swapped = {**value, "counted": other["counted"]}
    assert "the record's customer is not counted" in check(swapped).why
    nobody = orjson.loads(orjson.dumps(value))
    for attested in (0, -1):
        nobody["counted"]["leaf"]["attested"] = attested
        leaf = orjson.dumps(nobody["counted"]["leaf"], option=orjson.OPT_SORT_KEYS)
        prover = forge({PAID: set_to("completeness_root", tagged(merkle.root_of([leaf])))})
        value = payout_file(prover, WORK)
        value["counted"] = {"leaf": nobody["counted"]["leaf"], "position": 0, "size": 1, "path": []}
        assert "the record's customer is not counted" in check(value).why


@given(st.lists(st.integers(0, 31), max_size=9), st.integers(0, 9))
def test_two_thirds_is_the_domains(votes: list[int], assigned: int) -> None:
    """Both count alike, for every number of votes and seats."""
    assigned = max(assigned, len(votes))
    expected = at_least(count_votes(votes), threshold(assigned), 5) if assigned else 0
    assert _two_thirds(votes, assigned, 5) == expected


def test_erasure_is_told() -> None:
    """What the owner destroyed is said, and is the verdict for who asks for more."""
    name = body_at(WORK)["record_id"]
    what = f"{body_at(WORK)['result_hash']} of {name}"
    prover = forge({ERASED: set_to("what", what)})
    report = verify(prover.payout(name))
    assert report.verdict is Verdict.VALID
    assert f"ERASED at entry {ERASED}: {what}" in report.notes
    others = (f"{body_at(SPONSORED)['result_hash']} of {name}", f"epoch of {name}")
    strays: list[dict[str, Any]] = [{"changes": {ERASED: set_to("what", other)}} for other in others]
    strays.append({"changes": {ERASED: set_to("what", what)}, "signers": {ERASED: [STRANGER]}})
    strays.append({"changes": {ERASED: lambda b: b.update(what=what, vault_scope="v-7c21 / mail")}})
    for stray in strays:  # as somebody would have it whose file is lost
        report = check(payout_file(forge(**stray), WORK, more=[ERASED]))
        assert report.verdict is Verdict.VALID
        assert not any(note.startswith("ERASED") for note in report.notes)
