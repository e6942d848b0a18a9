"""The consent registry: vaults, grants, derived keys, payers (protocol 2).

A grant's status is never stored. It is a function of the newest version and a time: :func:`grant_status`.
"""

from __future__ import annotations

from typing import Literal

from proofroom.domain.entry import Entry
from proofroom.domain.errors import (
    AlreadyRecorded,
    FromTheFuture,
    GrantAbsent,
    GrantExpired,
    GrantRevoked,
    GrantSuperseded,
    KeyNotInForce,
    NotOwner,
    NotPayer,
    NotYet,
    OutOfScope,
    OverLimit,
    ScopesInForce,
    StaleVersion,
    TimesOutOfOrder,
)
from proofroom.domain.ids import SKEW_MS, KeyId, to_ms
from proofroom.domain.money import parse_amount
from proofroom.domain.state import AgentKeyFacts, GrantVersion, PayerFacts, Spent, State
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.consent import AgentKey, Grant, GrantFields, Payer, VaultOpened, WireGrant

GrantStatus = Literal["active", "expired", "revoked", "absent"]


def grant_status(version: GrantVersion | None, at_ms: int) -> GrantStatus:
    """The status at a time, given the newest version that was recorded by then (protocol 2)."""
    if version is None:
        return "absent"
    if version.revoked:
        return "revoked"
    if version.expires_at_ms and version.expires_at_ms < at_ms:
        return "expired"
    return "active"


def check_not_ahead(field: str, time: str, now_ms: int) -> int:
    """The time in ms.

    Raises:
        FromTheFuture: more than 5 minutes ahead of the ledger's clock.
    """
    ms = to_ms(time)
    if ms > now_ms + SKEW_MS:
        raise FromTheFuture(field=field, time=time)
    return ms


def apply_vault_opened(state: State, entry: Entry, s: VaultOpened) -> State:
    """The first wallet that claims a vault id owns it."""
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    if s.vaultId in state.vaults:
        raise AlreadyRecorded(what="vault", key=s.vaultId)
    return state._replace(vaults=state.vaults.set(s.vaultId, s.user_pub_key))


def apply_grant(state: State, entry: Entry, s: Grant | WireGrant) -> State:
    """A new version of what a user grants to an agent service.

    Raises:
        FromTheFuture, StaleVersion: ``created_at`` is ahead of the clock, or not newer than the version in the ledger.
        TimesOutOfOrder: it expires before it was created.
        NotOwner: a scope is of a vault that belongs to another wallet.
        ScopesInForce: an active grant has other scopes and ``replace`` does not say that this is meant.
    """
    created_at_ms = check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    key = (s.user_pub_key, s.agent_service_pub_key)
    before = state.grants.get(key)
    if before is not None and created_at_ms <= before.created_at_ms:
        raise StaleVersion(what="the grant", created_at=s.created_at, newest=before.created_at)
    if not s.revoked:
        _check_grantable(state, s, created_at_ms)
    scopes = tuple(sorted({str(scope.context) for scope in s.metadata.scopes}))
    active = before is not None and grant_status(before, entry.recorded_at_ms) == "active"
    if before is not None and active and not s.revoked and scopes != before.scopes and not s.metadata.replace:
        raise ScopesInForce(in_force=before.scopes)
    version = _version(entry, s, created_at_ms, scopes, before.version + 1 if before else 1)
    return state._replace(grants=state.grants.set(key, version))


def _check_grantable(state: State, s: GrantFields, created_at_ms: int) -> None:
    """What a grant must fulfil and a revocation need not: nothing may stand in the way of ending consent."""
    if s.metadata.delegable:
        raise NotYet(what="delegation")
    if s.expires_at is not None and to_ms(s.expires_at) <= created_at_ms:
        raise TimesOutOfOrder(what=f"expires_at {s.expires_at} is not after created_at {s.created_at}")
    for scope in s.metadata.scopes:
        owner = state.vaults.get(scope.context.vaultId, s.user_pub_key)
        if owner != s.user_pub_key:
            raise NotOwner(vault=scope.context.vaultId, owner=owner)


def _version(entry: Entry, s: GrantFields, created_at_ms: int, scopes: tuple[str, ...], version: int) -> GrantVersion:
    limits = s.metadata.limits
    given = limits.model_fields_set if limits is not None else set()
    return GrantVersion(
        digest=entry.verified.digest,
        log_index=entry.index,
        version=version,
        created_at=s.created_at,
        created_at_ms=created_at_ms,
        expires_at=s.expires_at or "",
        expires_at_ms=to_ms(s.expires_at) if s.expires_at is not None else 0,
        revoked=s.revoked,
        scopes=scopes,
        operations=limits.operations if limits is not None else (),
        cpu_ms=limits.cpu_ms if limits is not None and "cpu_ms" in given else -1,
        gpu_micro=limits.gpu_micro if limits is not None and "gpu_units" in given else -1,
        per_era=limits is not None and limits.per == "era",
    )


def grant_in_force(state: State, s: Activity, user: KeyId, ended_at_ms: int) -> GrantVersion:
    """The version that a record relies on, when that is in force: at the record's index, and not expired when the work ended.

    Raises:
        GrantAbsent, GrantRevoked, GrantSuperseded, GrantExpired, OutOfScope, NotOwner: which link failed.
    """
    version = state.grants.get((user, s.agent))
    if version is None:
        raise GrantAbsent(grant=s.grant)
    if version.revoked:
        raise GrantRevoked(grant=s.grant)
    if version.digest != s.grant:
        raise GrantSuperseded(grant=s.grant, in_force=version.digest)
    if version.expires_at_ms and ended_at_ms > version.expires_at_ms:
        raise GrantExpired(grant=s.grant, expires_at=version.expires_at)
    if s.vault_scope not in version.scopes:
        raise OutOfScope(vault_scope=s.vault_scope, granted=version.scopes)
    return version


def vault_owner(state: State, vault_scope: str) -> KeyId:
    """The wallet that opened the vault of a scope.

    Raises:
        OutOfScope: nobody opened it, so nobody can have granted it.
    """
    owner = state.vaults.get(vault_scope.partition(" / ")[0])
    if owner is None:
        raise OutOfScope(vault_scope=vault_scope, granted=())
    return owner


def spend(state: State, s: Activity, user: KeyId, version: GrantVersion) -> State:
    """Count a record against the limits of its grant.

    Raises:
        OverLimit: the operation is not allowed, or a sum would exceed its limit.
    """
    if version.operations and s.operation not in version.operations:
        raise OverLimit(limit="operations", allowed=", ".join(version.operations), asked=s.operation)
    if version.cpu_ms < 0 and version.gpu_micro < 0:
        return state
    key = (user, s.agent, s.cluster if version.per_era else "")
    period = (version.digest, s.era if version.per_era else 0)
    before = state.spent.get(key)
    if before is None or before[:2] != period:
        before = Spent(*period, 0, 0)
    cpu_ms, gpu_micro = before.cpu_ms + s.compute.cpu_ms, before.gpu_micro + s.compute.gpu_micro
    if 0 <= version.cpu_ms < cpu_ms:
        raise OverLimit(limit="cpu_ms", allowed=str(version.cpu_ms), asked=str(cpu_ms))
    if 0 <= version.gpu_micro < gpu_micro:
        raise OverLimit(limit="gpu_units in millionths", allowed=str(version.gpu_micro), asked=str(gpu_micro))
    return state._replace(spent=state.spent.set(key, Spent(*period, cpu_ms, gpu_micro)))


def apply_agent_key(state: State, entry: Entry, s: AgentKey) -> State:
    """Certify a derived key for one vault scope. A key is certified once."""
    created_at_ms = check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    if s.key in state.agent_keys:
        raise AlreadyRecorded(what="agent key", key=s.key)
    if to_ms(s.expires_at) <= created_at_ms:
        raise TimesOutOfOrder(what=f"expires_at {s.expires_at} is not after created_at {s.created_at}")
    facts = AgentKeyFacts(s.agent, s.vault_scope, created_at_ms, to_ms(s.expires_at))
    return state._replace(agent_keys=state.agent_keys.set(s.key, facts))


def check_agent_key(state: State, s: Activity, ended_at_ms: int) -> None:
    """The derived key that signed is certified by the agent service for this vault scope and was in force when the work ended.

    Raises:
        KeyNotInForce: it is not.
    """
    facts = state.agent_keys.get(s.signers.agent_derived_key)
    if (
        facts is None
        or (facts.agent, facts.vault_scope) != (s.agent, s.vault_scope)
        or ended_at_ms > facts.expires_at_ms
    ):
        raise KeyNotInForce(keyid=s.signers.agent_derived_key, role=f"derived key of {s.agent} for {s.vault_scope}")


def apply_payer(state: State, entry: Entry, s: Payer) -> State:
    """A new version of what a customer pays for."""
    created_at_ms = check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    key = (s.customer, s.agent, s.cluster)
    before = state.payers.get(key)
    if before is not None and created_at_ms <= before.created_at_ms:
        raise StaleVersion(what="the payer statement", created_at=s.created_at, newest=before.created_at)
    expires_at_ms = to_ms(s.expires_at) if s.expires_at is not None else 0
    if s.expires_at is not None and expires_at_ms <= created_at_ms and not s.revoked:
        raise TimesOutOfOrder(what=f"expires_at {s.expires_at} is not after created_at {s.created_at}")
    facts = PayerFacts(s.created_at, created_at_ms, expires_at_ms, s.revoked, parse_amount(s.cap_per_era))
    return state._replace(payers=state.payers.set(key, facts))


def payer_cap(state: State, s: Activity, user: KeyId, ended_at_ms: int) -> int | None:
    """How much the customer of a record pays per era for this agent service: None is no cap, for the grant's own user.

    Raises:
        NotPayer: the customer signed nothing, revoked it, or it expired before the work ended.
    """
    if s.customer == user:
        return None
    facts = state.payers.get((s.customer, s.agent, s.cluster))
    if facts is None or facts.revoked or (facts.expires_at_ms and ended_at_ms > facts.expires_at_ms):
        raise NotPayer(customer=s.customer)
    return facts.cap_per_era
