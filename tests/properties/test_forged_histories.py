"""A host that holds the ledger's own keys and follows no rule: properly bound histories in which only the rules can tell what is wrong."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.audit import Report, Verdict, audit
from proofroom.adapters.keys import Key
from proofroom.adapters.lab.perturb import changes_of
from proofroom.domain.authority import AUTHORITY
from proofroom.domain.canonical import encode
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import ProofroomError
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import pae
from proofroom.domain.statements import parse
from proofroom.domain.transition import next_due
from proofroom.testing.keys import key
from strategies.rooms import (
    assert_bad,
    entries_of,
    forge,
    soak,
    whole_checkpoints,
)
from strategies.whole import whole_history

SIZE = len(whole_history().entries)
DERIVED = [i for i, e in enumerate(whole_history().entries) if i and AUTHORITY[e.statement.kind].derived]
some = settings(max_examples=soak(10, 3_000))


def times() -> list[int]:
    return [at for at, _ in entries_of(whole_history())]


def audit_forged(envelopes: list[Envelope], first: int) -> Report:
    """The audit of a log with these statements at the honest times, properly bound, with honest checkpoints before ``first``."""
    at = times() + times()[-1:] * 2
    return audit(forge(list(zip(at, envelopes, strict=False)), [n for n in whole_checkpoints() if n <= first]))


def envelopes() -> list[Envelope]:
    return [e for _, e in entries_of(whole_history())]


def test_the_honest_history_is_valid_when_it_is_forged_unchanged() -> None:
    """The forger itself leaves nothing that the audit would stumble over."""
    assert audit_forged(envelopes(), SIZE).verdict is Verdict.VALID
    derived = {kind for kind, rule in AUTHORITY.items() if rule.derived}
    assert {whole_history().entries[i].statement.kind for i in DERIVED} == derived


@pytest.mark.parametrize("index", DERIVED[:: soak(4, 1)])
def test_a_derived_statement_that_is_left_out_is_found(index: int) -> None:
    """All that follows is re-bound and re-signed; the rules still miss the tally or the payout, exactly where it was due."""
    forged = envelopes()
    del forged[index]
    if index < SIZE - 1:
        assert_bad(audit_forged(forged, index), index)


OUTSTANDING = [
    i for i in DERIVED if next_due(whole_history().states[i], whole_history().states[i].recorded_at_ms) is not None
]
"""Those that were due already when the entry before them was recorded, not only later."""


@pytest.mark.parametrize("index", OUTSTANDING[:: soak(4, 1)])
def test_a_log_that_stops_before_a_derived_statement_is_found(index: int) -> None:
    """Hiding what is due by ending the log there does not help: no checkpoint of an honest ledger stands there."""
    report = audit_forged(envelopes()[:index], index - 1)
    assert_bad(report, index - 1)
    assert "due" in report.why


@some
@given(data=st.data(), index=st.sampled_from(DERIVED))
def test_a_derived_statement_that_is_moved_is_found(data: st.DataObject, index: int) -> None:
    """To any other place."""
    forged = envelopes()
    target = data.draw(st.integers(1, SIZE - 1).filter(lambda n: n != index))
    forged.insert(target, forged.pop(index))
    first = min(index, target)
    assert_bad(audit_forged(forged, first), first)


@some
@given(data=st.data(), index=st.sampled_from(DERIVED))
def test_a_derived_statement_that_stands_twice_is_found(data: st.DataObject, index: int) -> None:
    """A payout cannot be made twice."""
    forged = envelopes()
    target = data.draw(st.integers(index + 1, SIZE))
    forged.insert(target, forged[index])
    assert_bad(audit_forged(forged, target), target)


def by_ledger(payload_type: str, payload: bytes) -> Envelope:
    signer = key("ledger")
    return Envelope(payload_type, payload, (Signature(signer.keyid, signer.sign(pae(payload_type, payload))),))


@some
@given(data=st.data(), index=st.sampled_from(DERIVED))
def test_a_derived_statement_that_is_changed_by_one_unit_is_found(data: st.DataObject, index: int) -> None:
    """Each number, amount, time, digest, key and place in a list, signed by the ledger's own key."""
    forged = envelopes()
    kind, payload, _ = forged[index]
    changed = encode(data.draw(st.sampled_from(changes_of(orjson.loads(payload)))))
    try:
        parse(kind, changed)
    except ProofroomError:
        return  # not even of the schema
    forged[index] = by_ledger(kind, changed)
    report = audit_forged(forged, index)
    assert_bad(report, index)
    assert report.error is not None
    assert report.error["code"] == "not-derived"


def fakes(envelope: Envelope) -> dict[str, Envelope]:
    """What a host without the parties' keys could put in its place, by the error that names it."""
    stranger, (first, *rest) = Key(bytes(32)), envelope.signatures
    more = tuple(sorted([*envelope.signatures, signature(envelope, stranger)]))
    bribe = envelope._replace(payload_type="application/vnd.proofroom.bribe.v1+json")
    return {
        "missing-role": resigned(envelope, stranger),
        "extra-signature": envelope._replace(signatures=more),
        "bad-signature": envelope._replace(signatures=(first._replace(value=bytes(64)), *rest)),
        "bad-envelope": envelope._replace(signatures=()),
        "unknown-kind": resigned(bribe, stranger),
    }


def signature(envelope: Envelope, signer: Key) -> Signature:
    return Signature(signer.keyid, signer.sign(pae(envelope.payload_type, envelope.payload)))


def resigned(envelope: Envelope, signer: Key) -> Envelope:
    return envelope._replace(signatures=(signature(envelope, signer),))


@pytest.mark.parametrize("code", ["missing-role", "extra-signature", "bad-signature", "bad-envelope", "unknown-kind"])
def test_what_a_party_did_not_sign_is_found(code: str) -> None:
    """The host binds into its own tree whatever it likes: the parties' signatures it does not have."""
    index = next(i for i, e in enumerate(whole_history().entries) if e.statement.kind == "deposit")
    forged = envelopes()
    forged[index] = fakes(forged[index])[code]
    report = audit_forged(forged, index)
    assert_bad(report, index)
    assert report.error is not None
    assert report.error["code"] == code


def test_a_host_cannot_turn_the_clock_back() -> None:
    """Times recorded fall nowhere."""
    at = times()
    index = next(i for i in range(60, SIZE) if at[i] > at[i - 1])
    at[index] = at[index - 1] - 1
    report = audit(forge(list(zip(at, envelopes(), strict=True)), [n for n in whole_checkpoints() if n <= index]))
    assert_bad(report, index)


@pytest.mark.parametrize("at_ms", [2**53, 2**62, 2**63 - 1])
def test_a_time_beyond_any_calendar_is_found(at_ms: int) -> None:
    """A host may record any time; the audit ends with a verdict all the same."""
    for index in (40, 70, SIZE - 1):
        at = [*times()[:index], *[at_ms] * (SIZE - index)]
        report = audit(forge(list(zip(at, envelopes(), strict=True)), [n for n in whole_checkpoints() if n <= index]))
        assert report.verdict is Verdict.INVALID
