"""Statements of some kinds, written out by hand for a reader, and signed."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

from proofroom.domain.envelope import Envelope, Verified, sign, verify
from proofroom.domain.statements import KINDS, Statement, payload_type_of
from proofroom.testing.keys import signer

LEDGER = "blake3:" + "11" * 32
GRANT = "blake3:" + "22" * 32
KEYS = [signer(n).keyid for n in range(8)]

_BY_HAND: dict[str, dict[str, Any]] = {
    "genesis": {
        "origin": "example.org/room",
        "created_at": "2026-01-01T00:00:00Z",
        "rules": 1,
        "ledger_key": KEYS[1],
        "ledger_recovery_key": KEYS[2],
        "checkpoint_key": KEYS[3],
        "checkpoint_recovery_key": KEYS[4],
        "bank_keys": [KEYS[5]],
        "unit": "CERE",
    },
    "tick": {"ledger": LEDGER, "index": 7},
    "grant": {
        "ledger": LEDGER,
        "agent_service_pub_key": KEYS[1],
        "user_pub_key": KEYS[2],
        "created_at": "2026-01-01T10:00:00Z",
        "expires_at": "2026-02-01T10:00:00.5Z",
        "revoked": False,
        "metadata": {
            "scopes": [{"context": {"vaultId": "vault-7", "scopeId": "calendar"}}],
            "limits": {"operations": ["summarise"], "cpu_ms": 60_000, "gpu_units": 0.25, "per": "era"},
        },
    },
    "activity": {
        "ledger": LEDGER,
        "record_id": "dac-019b7a3c-0000-7000-8000-000000000001",
        "agent": KEYS[1],
        "vault_scope": "vault-7 / calendar",
        "operation": "summarise",
        "compute": {"cpu_ms": 1250, "gpu_units": 0.000001},
        "data": {"byte_seconds": 0, "bytes_streamed": 4096, "puts": 1, "gets": 3},
        "result_hash": "blake2:" + "33" * 32,
        "input_commitment": "blake3:" + "44" * 32,
        "grant": GRANT,
        "cluster": "berlin",
        "era": 1,
        "node": "node-1",
        "customer": KEYS[2],
        "listing": None,
        "started_at": "2026-01-01T10:00:00Z",
        "ended_at": "2026-01-01T10:00:01.25Z",
        "signers": {"agent-derived-key": KEYS[3], "orchestrator": KEYS[4], "agent-runtime": KEYS[5]},
    },
    "vote-revealed": {
        "ledger": LEDGER,
        "cluster": "berlin",
        "round": 0,
        "validator": KEYS[1],
        "salt": "55" * 32,
        "vote": {"agree": "/w==", "reasons": {"overclaimed-cpu": "AQ==", "unobserved": "Ag=="}},
    },
    "deposit": {
        "ledger": LEDGER,
        "bank": KEYS[5],
        "reference": "transfer 1",
        "cluster": "berlin",
        "account": "customer",
        "owner": KEYS[2],
        "amount": "10000000000",
        "created_at": "2026-01-01T10:00:00Z",
    },
    "payout": {
        "ledger": LEDGER,
        "cluster": "berlin",
        "era": 1,
        "line": 0,
        "role": "provider",
        "debit": "pot",
        "credit": "node",
        "amount": "1",
        "basis": {"node": "node-1", "records": 2},
    },
}


def example(kind: str) -> dict[str, Any]:
    """A statement's JSON value, written out by hand; yours to change."""
    return deepcopy(_BY_HAND[kind])


def example_statement(kind: str) -> Statement:
    """The same, as a statement."""
    return KINDS[payload_type_of(kind)].model_validate(example(kind))


@cache
def example_envelope(kind: str = "activity", count: int = 3) -> Envelope:
    """One envelope that is always the same, by this many signers."""
    return sign(example_statement(kind), *map(signer, range(1, count + 1)))


@cache
def example_verified(kind: str = "activity", count: int = 3) -> Verified:
    """The same, verified."""
    return verify(example_envelope(kind, count))
