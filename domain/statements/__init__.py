"""Statements: what is signed. One class a kind; the payload type of kind ``k`` is ``application/vnd.proofroom.k.v1+json``.

Schemas are final. A kind that needs another field gets a new version of its payload type, and the old one stays readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from proofroom.domain import canonical
from proofroom.domain.errors import BadField, Malformed, UnknownKind
from proofroom.domain.statements.activity import Activity, BatchSealed
from proofroom.domain.statements.attestation import (
    BeaconRevealed,
    RoundOpened,
    RoundTallied,
    ValidatorRegistered,
    VoteCommitted,
    VoteRevealed,
)
from proofroom.domain.statements.consent import AgentKey, Delegation, Erased, Grant, Payer, VaultOpened, WireGrant
from proofroom.domain.statements.fields import LedgerStatement, Statement
from proofroom.domain.statements.governance import ClusterFounded, EraClose, EraOpened
from proofroom.domain.statements.identity import Compromise, Identity, KeyRotated
from proofroom.domain.statements.ledger import Genesis, Tick
from proofroom.domain.statements.marketplace import Listing, Marketplace
from proofroom.domain.statements.observation import Observed
from proofroom.domain.statements.offences import (
    Equivocation,
    FalseBeacon,
    NodeRemoved,
    Slashed,
    ValidatorLeft,
    ValidatorSuspended,
)
from proofroom.domain.statements.proposals import NodeLeft, Proposal, ProposalDecided, ProposalEnacted, ProposalVote
from proofroom.domain.statements.settlement import Deposit, EraPaid, EraSealed, Payout, Repayment
from proofroom.domain.statements.withdrawals import Withdrawal, WithdrawalPaid

__all__ = [
    "BESIDE",
    "GRANT_WIRE",
    "KINDS",
    "LedgerStatement",
    "Statement",
    "decode",
    "first_fault",
    "parse",
    "parse_decoded",
    "payload_type_of",
]


def payload_type_of(kind: str) -> str:
    """The payload type of a kind."""
    return f"application/vnd.proofroom.{kind}.v1+json"


KINDS: dict[str, type[Statement]] = {
    payload_type_of(statement.kind): statement
    for statement in (
        Genesis,
        Tick,
        KeyRotated,
        Identity,
        Compromise,
        VaultOpened,
        Grant,
        WireGrant,
        Delegation,
        AgentKey,
        Payer,
        Erased,
        ClusterFounded,
        EraOpened,
        Activity,
        BatchSealed,
        ValidatorRegistered,
        BeaconRevealed,
        RoundOpened,
        VoteCommitted,
        VoteRevealed,
        RoundTallied,
        Marketplace,
        Listing,
        Equivocation,
        FalseBeacon,
        ValidatorLeft,
        Slashed,
        NodeRemoved,
        ValidatorSuspended,
        Deposit,
        Withdrawal,
        WithdrawalPaid,
        EraClose,
        EraSealed,
        Payout,
        EraPaid,
        Repayment,
        Proposal,
        ProposalVote,
        ProposalDecided,
        ProposalEnacted,
        NodeLeft,
    )
}
"""Payload type -> statement class, of all that the ledger records."""

BESIDE: dict[str, type[Statement]] = {payload_type_of(Observed.kind): Observed}
"""The same of what is signed and travels beside the ledger."""

GRANT_WIRE = payload_type_of(WireGrant.kind)
"""The payload type under which a grant in the wallet wire form is stored; nothing is ever signed under it."""


def parse(payload_type: str, payload: bytes, kinds: Mapping[str, type[Statement]] = KINDS) -> Statement:
    """The statement that the payload writes.

    Raises:
        UnknownKind: no such payload type.
        Malformed: the payload is not canonical JSON of the kind's schema (each fault has its own class).
    """
    value = decode(payload_type, payload, kinds)
    statement = kinds[payload_type]
    try:
        return statement.model_validate(value)
    except ValidationError as e:
        raise first_fault(statement.kind, e) from None


def parse_decoded(payload_type: str, payload: bytes) -> Statement:
    """The same for a payload of the ledger's kinds that :func:`decode` has accepted before, perhaps in another process.

    Raises:
        BadField: it is not of the kind's schema.
    """
    statement = KINDS[payload_type]
    try:
        return statement.model_validate_json(payload)
    except ValidationError as e:
        raise first_fault(statement.kind, e) from None


def decode(payload_type: str, payload: bytes, kinds: Mapping[str, type[Statement]] = KINDS) -> dict[str, Any]:
    """The JSON object of a payload: canonical, but for grants in the wallet wire form, which may have any layout.

    Raises:
        UnknownKind: no such payload type.
        Malformed: see :func:`canonical.decode` and :func:`canonical.parse_strict`.
    """
    if payload_type not in kinds:
        raise UnknownKind(payload_type=payload_type[:200])
    if payload_type == GRANT_WIRE:
        return canonical.parse_strict(payload, fractions=True)
    return canonical.decode(payload)


def first_fault(kind: str, error: ValidationError) -> Malformed:
    """The first thing that a schema found wrong, as an error of ours; it never quotes the value."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in fault["loc"]) or "(whole)"
    return BadField(kind=kind, field=field[:120], why=fault["msg"][:200])
