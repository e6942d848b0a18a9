"""Who must sign: exactly the keys of the table, one for each role."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proofroom.domain.authority import AUTHORITY
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, sign, verify
from proofroom.domain.errors import ExtraSignature, MissingRole, SharedKey
from proofroom.domain.ids import KeyId
from proofroom.domain.signatures import Signature
from proofroom.domain.state import State
from proofroom.domain.statements import KINDS, payload_type_of
from proofroom.domain.transition import transition
from proofroom.testing.histories import resign
from proofroom.testing.keys import key, key_of
from strategies.whole import whole_history

ROLES = {
    "vault-opened": {"wallet"},
    "grant": {"wallet"},
    "grant-wire": {"wallet"},
    "agent-key": {"agent service", "derived key"},
    "payer": {"customer"},
    "key-rotated": {"identity", "new key"},
    "identity": {"identity", "recovery key"},
    "compromise": {"recovery key", "new key"},
    "delegation": {"delegator"},
    "erased": {"wallet"},
    "cluster-founded": {"manager", "provider 0", "provider 1", "provider 2"},
    "validator-registered": {"validator", "controller"},
    "deposit": {"bank"},
    "era-opened": {"manager"},
    "era-close": {"manager"},
    "activity": {"agent-derived-key", "orchestrator", "agent-runtime"},
    "batch-sealed": {"orchestrator"},
    "beacon-revealed": {"validator"},
    "vote-committed": {"validator"},
    "vote-revealed": {"validator"},
    "round-opened": {"ledger"},
    "round-tallied": {"ledger"},
    "era-sealed": {"ledger"},
    "era-paid": {"ledger"},
    "payout": {"ledger"},
    "repayment": {"ledger"},
    "marketplace": {"owner"},
    "listing": {"agent service"},
    "withdrawal": {"owner"},
    "withdrawal-paid": {"ledger"},
    "tick": {"ledger"},
    "proposal": {"proposer", "provider", "runtime", "new manager"},
    "proposal-vote": {"voter"},
    "proposal-decided": {"ledger"},
    "proposal-enacted": {"ledger"},
    "node-left": {"provider"},
    "equivocation": {"reporter"},
    "false-beacon": {"reporter"},
    "validator-left": {"validator"},
    "slashed": {"ledger"},
    "node-removed": {"ledger"},
    "validator-suspended": {"ledger"},
}
"""The table of the module's docstring, written a second time; of a proposal, the roles of all changes together."""


def places(kind: str) -> list[tuple[State, Entry]]:
    """Some entries of a kind, each with the state before it."""
    pairs = zip(whole_history().states, whole_history().entries, strict=False)
    return [(state, entry) for state, entry in pairs if entry.statement.kind == kind][:4]


def submit(state: State, entry: Entry, envelope: Envelope) -> State:
    """What the transition says to another envelope in the entry's place."""
    return transition(state, Entry(entry.index, entry.recorded_at_ms, verify(envelope)))


def test_the_table_is_complete() -> None:
    """Every kind but genesis has its signers."""
    assert set(ROLES) == set(AUTHORITY)
    assert {payload_type_of(kind) for kind in (*AUTHORITY, "genesis")} == set(KINDS)


@pytest.mark.parametrize("kind", sorted(ROLES))
def test_each_required_signature(kind: str) -> None:
    """Any signature left out is missed, and the refusal names its role; with another key in its place just the same."""
    missed = set()
    for state, entry in places(kind):
        envelope = entry.verified.envelope
        assert len(envelope.signatures) == len(ROLES[kind]) or kind == "proposal"
        for signature in envelope.signatures:
            others = [s.keyid for s in envelope.signatures if s is not signature]
            swaps = [[key("stranger")]] + ([[]] if others else [])
            for extra in swaps:
                with pytest.raises(MissingRole) as refused:
                    submit(state, entry, resign(envelope, without=[signature.keyid], extra=extra))
                assert (refused.value.kind, refused.value.keyid) == (kind, signature.keyid)
                missed.add(refused.value.role)
    assert missed == ROLES[kind]


@pytest.mark.parametrize("kind", sorted(ROLES))
def test_no_other_signature(kind: str) -> None:
    """A signature of a key without a role is refused, and named."""
    for state, entry in places(kind):
        stranger = key("stranger")
        with pytest.raises(ExtraSignature) as refused:
            submit(state, entry, resign(entry.verified.envelope, extra=[stranger]))
        assert (refused.value.kind, refused.value.keyid) == (kind, stranger.keyid)


SHARED: list[tuple[str, str, str]] = [
    ("agent-key", "agent", "key"),
    ("cluster-founded", "manager", "providers.0"),
    ("cluster-founded", "providers.2", "providers.1"),
    ("validator-registered", "validator", "controller"),
    ("activity", "signers.agent-derived-key", "signers.orchestrator"),
    ("activity", "signers.orchestrator", "signers.agent-runtime"),
    ("activity", "signers.agent-runtime", "signers.agent-derived-key"),
]


@pytest.mark.parametrize(("kind", "kept", "replaced"), SHARED)
def test_one_key_cannot_hold_two_roles(kind: str, kept: str, replaced: str) -> None:
    """A statement that names one key for two roles is refused, even with that key's signature and all others."""
    for state, entry in places(kind):
        value = orjson.loads(entry.verified.envelope.payload)
        shared = at(value, kept)
        put(value, replaced, shared)
        statement = KINDS[payload_type_of(kind)].model_validate(value)
        signers = [key_of(KeyId(s.keyid)) for s in entry.verified.envelope.signatures]
        for chosen in (signers, [s for s in signers if s.keyid == shared]):
            with pytest.raises(SharedKey) as refused:
                submit(state, entry, sign(statement, *chosen))
            assert (refused.value.kind, refused.value.keyid) == (kind, shared)


def at(value: Any, path: str) -> Any:
    """The part of a JSON value under a dotted path."""
    for step in path.split("."):
        value = value[int(step) if step.isdigit() else step]
    return value


def put(value: Any, path: str, part: Any) -> None:
    """Replace the part under a dotted path."""
    head, _, last = path.rpartition(".")
    inner = at(value, head) if head else value
    inner[int(last) if last.isdigit() else last] = part


def test_a_signature_for_one_kind_serves_for_no_other() -> None:
    """The wallet's signature over our form of a grant does not make the wire form valid, nor the other way round."""
    (_, entry), *_ = places("grant")
    envelope = entry.verified.envelope
    value = orjson.loads(envelope.payload)
    del value["ledger"]
    wire = sign(KINDS[payload_type_of("grant-wire")].model_validate(value), key("wallet"))
    swapped = wire._replace(signatures=(Signature(*envelope.signatures[0]),))
    assert verify(wire).keys == verify(envelope).keys
    with pytest.raises(Exception, match="does not verify"):
        verify(swapped)
