"""What wallets and agent services sign beyond a plain grant, for tests: delegations, erasures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proofroom.adapters.cast import Cast
from proofroom.adapters.keys import Key
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import KeyId
from proofroom.domain.statements.consent import Delegation, Erased, Limits, Metadata, ScopeContext, ScopeName


def delegate(
    cast: Cast,
    delegator: Key,
    agent: KeyId,
    parent: str,
    scopes: Sequence[str] | None = None,
    *,
    limits: Limits | None = None,
    metadata: dict[str, bool] | None = None,
    **changes: Any,
) -> Envelope:
    """An agent service passes on a version of what it has: the cast's scope, or ``vault / scope`` texts, for 30 days."""
    names = [cast.vault_scope] if scopes is None else scopes
    parts = [name.split(" / ") for name in names]
    contexts = tuple(ScopeContext(context=ScopeName(vaultId=vault, scopeId=scope)) for vault, scope in parts)
    optional: dict[str, Any] = (metadata or {}) | ({} if limits is None else {"limits": limits})
    fields: dict[str, Any] = {
        "ledger": cast.ledger,
        "user_pub_key": cast.user.keyid,
        "delegator": delegator.keyid,
        "agent_service_pub_key": agent,
        "parent": parent,
        "created_at": cast.now(),
        "expires_at": cast.now(30 * 86_400_000),
        "revoked": False,
        "metadata": Metadata(scopes=contexts, **optional),
    }
    return sign(Delegation(**fields | changes), delegator)


def erase(cast: Cast, what: str, **changes: Any) -> Envelope:
    """The wallet states that it had an epoch's key, or a payload of a record, destroyed."""
    fields: dict[str, Any] = {
        "ledger": cast.ledger,
        "user_pub_key": cast.user.keyid,
        "vault_scope": cast.vault_scope,
        "what": what,
        "created_at": cast.now(),
    }
    return sign(Erased(**fields | changes), cast.user)
