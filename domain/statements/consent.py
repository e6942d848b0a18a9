"""Statements of consent: vaults, grants, delegations, derived keys, payers, erasure."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from proofroom.domain.canonical import millionths
from proofroom.domain.ids import RECORD_ID_PATTERN, RESULT_DIGEST_PATTERN
from proofroom.domain.statements.fields import (
    Amount,
    Blake3,
    Count,
    Key,
    LedgerStatement,
    Model,
    Name,
    Scope,
    Sparse,
    Statement,
    Text,
    Time,
    Units,
    VaultScope,
)


class ScopeName(Model):
    """One scope of one vault, in the page's spelling; as text ``vaultId / scopeId``."""

    vaultId: Scope
    scopeId: Scope

    def __str__(self) -> str:
        return f"{self.vaultId} / {self.scopeId}"


class ScopeContext(Model):
    """The wrapper that the reference registry puts around a scope."""

    context: ScopeName


class Limits(Model):
    """What a grant allows at most; what is absent is not limited."""

    operations: Annotated[tuple[Text, ...], Field(strict=False, min_length=1, max_length=64)] = ()
    cpu_ms: Count = 0
    gpu_units: Units = 0
    per: Literal["era", "grant"] = "grant"
    """Whether the sums start anew with each era or count over the life of this version."""

    @property
    def gpu_micro(self) -> int:
        """GPU units in millionths."""
        return millionths(self.gpu_units)


class Metadata(Sparse):
    """What is granted."""

    scopes: Annotated[tuple[ScopeContext, ...], Field(strict=False, max_length=64)]
    limits: Limits | None = None
    delegable: bool = False
    """The agent service may pass it on, or less of it."""
    replace: bool = False
    """The new scopes are meant to replace other scopes that are in force."""


class GrantFields(Model):
    """The six fields of the page, signed by the wallet."""

    agent_service_pub_key: Key
    user_pub_key: Key
    """Names an identity by its first key."""
    created_at: Time
    expires_at: Time | None
    revoked: bool
    metadata: Metadata


class Grant(GrantFields, LedgerStatement):
    """A wallet lets an agent service use scopes of its vaults; with ``revoked`` it ends that. Signed by the user's key."""

    kind: ClassVar[str] = "grant"


class WireGrant(GrantFields, Statement):
    """The same grant as the reference registry's wallets send it: signed over the raw bytes, naming no ledger."""

    kind: ClassVar[str] = "grant-wire"


class Delegation(GrantFields, LedgerStatement):
    """An agent service passes on what it was granted, or less of it, to another one; with ``revoked`` it ends that.

    Signed by the delegator's key.
    """

    kind: ClassVar[str] = "delegation"

    delegator: Key
    """The agent service of the parent."""
    parent: Blake3
    """Statement id of the version of the grant, or of the delegation, that is passed on."""


class VaultOpened(LedgerStatement):
    """A wallet claims a vault id; the first to do so owns it. Signed by the user's key."""

    kind: ClassVar[str] = "vault-opened"

    user_pub_key: Key
    vaultId: Scope
    created_at: Time


class AgentKey(LedgerStatement):
    """The certificate of a derived key: the agent service lets it sign for one vault scope. Signed by both keys."""

    kind: ClassVar[str] = "agent-key"

    agent: Key
    vault_scope: VaultScope
    key: Key
    created_at: Time
    expires_at: Time


class Payer(LedgerStatement):
    """A customer takes on what an agent service burns in a cluster, up to a cap per era. Signed by the customer's key."""

    kind: ClassVar[str] = "payer"

    customer: Key
    agent: Key
    cluster: Name
    cap_per_era: Amount
    created_at: Time
    expires_at: Time | None
    revoked: bool


ErasedWhat = Annotated[
    str,
    Field(pattern=rf"^(epoch (0|[1-9][0-9]{{0,15}})|{RESULT_DIGEST_PATTERN[1:-1]} of {RECORD_ID_PATTERN[1:-1]})$"),
]
"""``epoch 7``: every wrap of the scope's key of that epoch. ``blake3:.. of dac-..``: a payload of one record, by its ``input_commitment``
(whose salt is gone) or its ``result_hash``."""


class Erased(LedgerStatement):
    """A wallet says that it had a payload of its vault destroyed. The ledger keeps every entry: only what lay outside it is gone.

    Signed by the user's key.
    """

    kind: ClassVar[str] = "erased"

    user_pub_key: Key
    vault_scope: VaultScope
    what: ErasedWhat
    created_at: Time
