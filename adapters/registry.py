"""What wallets and agent services sign, made and recorded in one call each.

>>> registry = Registry(ledger)                                                          # doctest: +SKIP
>>> grant = registry.grant(wallet, agent.keyid, ["v-1 / calendar"], delegable=True)
>>> registry.delegate(agent, helper.keyid, grant.statement)
>>> registry.revoke(wallet, agent.keyid)                                                 # ends both

Only the signer of each call has to be at hand. Where the signing happens on another machine, the statements of
:mod:`proofroom.domain.statements.consent` and ``sign`` do the same, and the envelopes travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proofroom.adapters.ledger import Ledger
from proofroom.adapters.writer import Recorded
from proofroom.domain.canonical import MILLIONTHS, number_text
from proofroom.domain.envelope import sign
from proofroom.domain.errors import GrantAbsent
from proofroom.domain.ids import Digest, KeyId, from_ms
from proofroom.domain.permits import GrantVersion
from proofroom.domain.signing import Signer
from proofroom.domain.statements import Statement
from proofroom.domain.statements.consent import (
    Delegation,
    Grant,
    Limits,
    Metadata,
    ScopeContext,
    ScopeName,
    VaultOpened,
)
from proofroom.domain.statements.identity import Compromise, Identity, KeyRotated


class Registry:
    """The consent registry of a ledger, for those who sign. Scopes are written ``vault / scope``, times as RFC 3339 text in ``Z``.

    Every call raises what the ledger refuses it with; nothing is recorded then.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def open_vault(self, wallet: Signer, vault: str) -> Recorded:
        """The wallet claims a vault id."""
        statement = VaultOpened(
            ledger=self._ledger.id, user_pub_key=self._name(wallet), vaultId=vault, created_at=self._now()
        )
        return self._record(statement, wallet)

    def grant(
        self,
        wallet: Signer,
        agent: KeyId,
        scopes: Sequence[str],
        *,
        expires_at: str | None = None,
        limits: Limits | None = None,
        delegable: bool = False,
        replace: bool = False,
    ) -> Recorded:
        """The wallet lets an agent service use scopes; ``replace`` says that other scopes in force are meant to end."""
        metadata = _metadata(scopes, limits, delegable=delegable, replace=replace)
        return self._grant(wallet, agent, metadata, expires_at, revoked=False)

    def revoke(self, wallet: Signer, agent: KeyId) -> Recorded:
        """The wallet ends what it granted to an agent service, and with it everything that was passed on. Nothing need be in force."""
        return self._grant(wallet, agent, Metadata(scopes=()), None, revoked=True)

    def _grant(
        self, wallet: Signer, agent: KeyId, metadata: Metadata, expires_at: str | None, *, revoked: bool
    ) -> Recorded:
        user = self._name(wallet)
        statement = Grant(
            ledger=self._ledger.id,
            agent_service_pub_key=agent,
            user_pub_key=user,
            created_at=self._now(self._ledger.state.grants.get((user, agent))),
            expires_at=expires_at,
            revoked=revoked,
            metadata=metadata,
        )
        return self._record(statement, wallet)

    def delegate(
        self,
        delegator: Signer,
        agent: KeyId,
        parent: Digest,
        scopes: Sequence[str] | None = None,
        *,
        expires_at: str | None = None,
        limits: Limits | None = None,
        delegable: bool = False,
        replace: bool = False,
    ) -> Recorded:
        """An agent service passes on a version of what it has. What is not given is as in the parent.

        Raises:
            GrantAbsent: the delegator has no such version.
        """
        user, above = self._passed_on(self._name(delegator), parent)
        metadata = _metadata(
            above.scopes if scopes is None else scopes, limits or _limits(above), delegable=delegable, replace=replace
        )
        return self._delegation(delegator, user, agent, parent, metadata, expires_at or above.expires_at or None)

    def end_delegation(self, delegator: Signer, user: KeyId, agent: KeyId) -> Recorded:
        """The delegator ends what it passed on of a user's grant to an agent service."""
        before = self._delegated(user, agent, self._name(delegator))
        parent = Digest("blake3:" + "00" * 32) if before is None else before.parent
        return self._delegation(delegator, user, agent, parent, Metadata(scopes=()), None, revoked=True)

    def _delegation(
        self,
        delegator: Signer,
        user: KeyId,
        agent: KeyId,
        parent: Digest,
        metadata: Metadata,
        expires_at: str | None,
        *,
        revoked: bool = False,
    ) -> Recorded:
        name = self._name(delegator)
        before = self._delegated(user, agent, name)
        statement = Delegation(
            ledger=self._ledger.id,
            delegator=name,
            parent=parent,
            agent_service_pub_key=agent,
            user_pub_key=user,
            created_at=self._now(before),
            expires_at=expires_at,
            revoked=revoked,
            metadata=metadata,
        )
        return self._record(statement, delegator)

    def _delegated(self, user: KeyId, agent: KeyId, delegator: KeyId) -> GrantVersion | None:
        versions = self._ledger.state.delegations.get((user, agent))
        return None if versions is None else versions.get(delegator)

    def _passed_on(self, delegator: KeyId, parent: Digest) -> tuple[KeyId, GrantVersion]:
        """The user at the root of a version that the delegator has, and the version."""
        self._ledger.refresh()
        state = self._ledger.state
        if parent in state.delegated:
            user, agent, above = state.delegated[parent]
            versions = {user: state.delegations[user, agent][above]} if agent == delegator else {}
        else:
            versions = {user: version for (user, agent), version in state.grants.items() if agent == delegator}
        found = next(((user, version) for user, version in versions.items() if version.digest == parent), None)
        if found is None:
            raise GrantAbsent(grant=parent)
        return found

    # --- keys

    def rotate(self, party: Signer, new: Signer) -> Recorded:
        """A party's new key takes the place of the one in force."""
        statement = KeyRotated(
            ledger=self._ledger.id, identity=self._name(party), new_key=new.keyid, created_at=self._now()
        )
        return self._record(statement, party, new)

    def set_recovery(self, party: Signer, recovery: Signer, former: Signer | None = None) -> Recorded:
        """A party sets the key that may declare a compromise; where one is set, its ``former`` one signs too."""
        statement = Identity(
            ledger=self._ledger.id, identity=self._name(party), recovery_key=recovery.keyid, created_at=self._now()
        )
        return self._record(statement, party, recovery, *([] if former is None else [former]))

    def compromise(self, identity: KeyId, since_index: int, recovery: Signer, new: Signer) -> Recorded:
        """What a party signed from an entry on is not to be trusted, and a new key takes over."""
        statement = Compromise(
            ledger=self._ledger.id,
            identity=identity,
            since_index=since_index,
            new_key=new.keyid,
            created_at=self._now(),
        )
        return self._record(statement, recovery, new)

    # --- writing

    def _name(self, signer: Signer) -> KeyId:
        """The first key of the party that signs with this one."""
        self._ledger.refresh()
        return self._ledger.state.later_keys.get(signer.keyid, signer.keyid)

    def _now(self, before: GrantVersion | None = None) -> str:
        """Now, and later than the version before."""
        now_ms = self._ledger.store.clock()
        return from_ms(now_ms if before is None else max(now_ms, before.created_at_ms + 1))

    def _record(self, statement: Statement, *signers: Signer) -> Recorded:
        return self._ledger.append(sign(statement, *signers))


def _metadata(scopes: Sequence[str], limits: Limits | None, **flags: bool) -> Metadata:
    parts = [scope.partition(" / ") for scope in scopes]
    contexts = tuple(ScopeContext(context=ScopeName(vaultId=vault, scopeId=name)) for vault, _, name in parts)
    optional: dict[str, Any] = {name: True for name, wanted in flags.items() if wanted}
    return Metadata(scopes=contexts, **optional | ({} if limits is None else {"limits": limits}))


def _limits(version: GrantVersion) -> Limits | None:
    """A version's limits as they are written; what is not limited is absent."""
    limits: dict[str, Any] = {}
    if version.operations:
        limits["operations"] = version.operations
    if version.cpu_ms >= 0:
        limits["cpu_ms"] = version.cpu_ms
    if version.gpu_micro >= 0:
        whole = version.gpu_micro % MILLIONTHS == 0
        limits["gpu_units"] = version.gpu_micro // MILLIONTHS if whole else float(number_text(version.gpu_micro))
    if limits and version.per_era:
        limits["per"] = "era"
    return Limits(**limits) if limits else None
