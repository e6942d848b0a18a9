"""What the state keeps of consent: who may do what, and who pays. Values only, next to those of :mod:`proofroom.domain.state`."""

from __future__ import annotations

from typing import NamedTuple

from proofroom.domain.ids import Digest, KeyId


class GrantVersion(NamedTuple):
    """The newest version of what a user granted to an agent service, or of what that one passed on to another."""

    digest: Digest
    log_index: int
    version: int
    """1 for the first version of this user and agent service."""
    created_at: str
    created_at_ms: int
    expires_at: str
    """Empty when it does not expire."""
    expires_at_ms: int
    """0 when it does not expire."""
    revoked: bool
    scopes: tuple[str, ...]
    """Sorted, as ``vaultId / scopeId``."""
    operations: tuple[str, ...]
    """Empty when not limited."""
    cpu_ms: int
    """-1 when not limited."""
    gpu_micro: int
    """-1 when not limited."""
    per_era: bool
    delegable: bool = False
    delegator: KeyId = KeyId("")
    """Who passed it on; empty for a grant, which the user signed."""
    parent: Digest = Digest("")
    """The version that is passed on; empty for a grant."""


class Spent(NamedTuple):
    """What was used under a grant in the period that its limits count."""

    digest: Digest
    """Of the version whose limits count."""
    era: int
    """Of the cluster in the key; 0 when the limits are per grant."""
    cpu_ms: int
    gpu_micro: int


class AgentKeyFacts(NamedTuple):
    """The certificate of a derived key."""

    log_index: int
    agent: KeyId
    vault_scope: str
    created_at_ms: int
    expires_at_ms: int


class PayerFacts(NamedTuple):
    """What a customer signed to pay for an agent service in a cluster."""

    log_index: int
    created_at: str
    created_at_ms: int
    expires_at_ms: int
    """0 when it does not expire."""
    revoked: bool
    cap_per_era: int
