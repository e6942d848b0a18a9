"""The consent registry: vaults, grants, derived keys, payers (protocol 2).

A grant's status is never stored. It is a function of the newest version and a time: :func:`grant_status`.
"""

from __future__ import annotations

from typing import Literal

from proofroom.domain.entry import Entry
from proofroom.domain.errors import (
    AlreadyRecorded,
    FromTheFuture,
    KeyNotInForce,
    NotOwner,
    NotPayer,
    ScopesInForce,
    StaleVersion,
    TimesOutOfOrder,
)
from proofroom.domain.identity import is_trusted
from proofroom.domain.ids import SKEW_MS, KeyId, to_ms
from proofroom.domain.money import parse_amount
from proofroom.domain.permits import AgentKeyFacts, GrantVersion, PayerFacts
from proofroom.domain.state import State
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
        FromTheFuture, StaleVersion, TimesOutOfOrder, ScopesInForce: see :func:`next_version`.
        NotOwner: a scope is of a vault that belongs to another wallet.
    """
    key = (s.user_pub_key, s.agent_service_pub_key)
    before = state.grants.get(key)
    active = before is not None and is_trusted(state, s.user_pub_key, before.log_index)
    active = active and grant_status(before, entry.recorded_at_ms) == "active"
    version = next_version(entry, s, "the grant", before, active=active)
    if not s.revoked:
        _check_owned(state, s)
    return state._replace(grants=state.grants.set(key, version))


def _check_owned(state: State, s: GrantFields) -> None:
    for scope in s.metadata.scopes:
        owner = state.vaults.get(scope.context.vaultId, s.user_pub_key)
        if owner != s.user_pub_key:
            raise NotOwner(vault=scope.context.vaultId, owner=owner)


def next_version(entry: Entry, s: GrantFields, what: str, before: GrantVersion | None, *, active: bool) -> GrantVersion:
    """The version that a statement makes after the one before it. Only the first two errors can stand in the way of ending consent.

    Raises:
        FromTheFuture, StaleVersion: ``created_at`` is ahead of the clock, or not newer than the version in the ledger.
        TimesOutOfOrder: it expires before it was created.
        ScopesInForce: the one before is active with other scopes, and ``replace`` does not say that this is meant.
    """
    created_at_ms = check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    if before is not None and created_at_ms <= before.created_at_ms:
        raise StaleVersion(what=what, created_at=s.created_at, newest=before.created_at)
    version = _version(entry, s, created_at_ms, before.version + 1 if before else 1)
    if s.revoked:
        return version
    if s.expires_at is not None and version.expires_at_ms <= created_at_ms:
        raise TimesOutOfOrder(what=f"expires_at {s.expires_at} is not after created_at {s.created_at}")
    if before is not None and active and version.scopes != before.scopes and not s.metadata.replace:
        raise ScopesInForce(in_force=before.scopes)
    return version


def _version(entry: Entry, s: GrantFields, created_at_ms: int, version: int) -> GrantVersion:
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
        scopes=tuple(sorted({str(scope.context) for scope in s.metadata.scopes})),
        operations=limits.operations if limits is not None else (),
        cpu_ms=limits.cpu_ms if limits is not None and "cpu_ms" in given else -1,
        gpu_micro=limits.gpu_micro if limits is not None and "gpu_units" in given else -1,
        per_era=limits is not None and limits.per == "era",
        delegable=s.metadata.delegable,
    )


def apply_agent_key(state: State, entry: Entry, s: AgentKey) -> State:
    """Certify a derived key for one vault scope. A key is certified once."""
    created_at_ms = check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    if s.key in state.agent_keys:
        raise AlreadyRecorded(what="agent key", key=s.key)
    if to_ms(s.expires_at) <= created_at_ms:
        raise TimesOutOfOrder(what=f"expires_at {s.expires_at} is not after created_at {s.created_at}")
    facts = AgentKeyFacts(entry.index, s.agent, s.vault_scope, created_at_ms, to_ms(s.expires_at))
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
        or not is_trusted(state, s.agent, facts.log_index)
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
    facts = PayerFacts(entry.index, s.created_at, created_at_ms, expires_at_ms, s.revoked, parse_amount(s.cap_per_era))
    return state._replace(payers=state.payers.set(key, facts))


def payer_cap(state: State, s: Activity, user: KeyId, ended_at_ms: int) -> int | None:
    """How much the customer of a record pays per era for this agent service: None is no cap, for the grant's own user.

    What is sold under a listing always needs a cap, since the agent service alone sets its price.

    Raises:
        NotPayer: the customer signed nothing, revoked it, or it expired before the work ended.
    """
    if s.customer == user and s.listing is None:
        return None
    facts = state.payers.get((s.customer, s.agent, s.cluster))
    if facts is None or facts.revoked or (facts.expires_at_ms and ended_at_ms > facts.expires_at_ms):
        raise NotPayer(customer=s.customer)
    if not is_trusted(state, s.customer, facts.log_index):
        raise NotPayer(customer=s.customer)
    return facts.cap_per_era
