"""What wallets and agent services sign beyond a plain grant, for tests: delegations, erasures, new keys; and a world to sign it in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proofroom.adapters.cast import Cast
from proofroom.adapters.keys import Key
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import KeyId
from proofroom.domain.statements.consent import Delegation, Erased, Limits, Metadata, ScopeContext, ScopeName
from proofroom.domain.statements.identity import Compromise, Identity, KeyRotated
from proofroom.testing.histories import History


def started(**world: Any) -> History:
    """A founded cluster with an open era 0, two seconds in."""
    history = History(**world)
    history.found()
    history.write(history.cast.open_era(0))
    history.sleep(2_000)
    return history


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


def rotate(cast: Cast, identity: Key, new: Key, *, by: Key | None = None, **changes: Any) -> Envelope:
    """An identity's key in force (its first, unless told) hands over to a new one."""
    fields = {"ledger": cast.ledger, "identity": identity.keyid, "new_key": new.keyid, "created_at": cast.now()}
    return sign(KeyRotated(**fields | changes), by or identity, new)


def set_recovery(cast: Cast, identity: Key, recovery: Key, *others: Key, by: Key | None = None) -> Envelope:
    """An identity sets its recovery key; ``others`` sign too."""
    statement = Identity(
        ledger=cast.ledger, identity=identity.keyid, recovery_key=recovery.keyid, created_at=cast.now()
    )
    return sign(statement, by or identity, recovery, *others)


def compromise(cast: Cast, identity: Key, since_index: int, new: Key, recovery: Key) -> Envelope:
    """The recovery key declares that an identity's keys are not to be trusted since an index."""
    statement = Compromise(
        ledger=cast.ledger,
        identity=identity.keyid,
        since_index=since_index,
        new_key=new.keyid,
        created_at=cast.now(),
    )
    return sign(statement, recovery, new)
