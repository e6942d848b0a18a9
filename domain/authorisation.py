"""What is allowed: the one rule by which the ledger lets a record in and a host lets an agent begin (protocol 2).

An agent service is allowed what a user granted it, or what another one passed on to it. Either way a *chain* says so: the version that it
relies on, the version which that one passes on, and so on to the grant that the wallet signed. What the chain allows is what each of its
versions allows as it stands now; when one is revoked, superseded or expired, all below it have ended at that moment, with nothing written.
"""

from __future__ import annotations

from typing import Literal

from immutables import Map

from proofroom.domain.errors import (
    Distrusted,
    GrantAbsent,
    GrantExpired,
    GrantRevoked,
    GrantSuperseded,
    OutOfScope,
    OverLimit,
    Refused,
)
from proofroom.domain.identity import is_trusted
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.permits import GrantVersion, Spent
from proofroom.domain.state import State
from proofroom.domain.statements.activity import Activity

Chain = tuple[GrantVersion, ...]
"""The version relied on, then what it passes on, and so on; the wallet's grant comes last."""

ChainStatus = Literal["active", "expired", "revoked", "superseded", "distrusted", "absent"]


def authorise(state: State, agent: KeyId, vault_scope: str, operation: str, at_ms: int) -> Chain:
    """The chain by which an agent service may do this at this time: where several hold, the one that begins with the newest version.

    Raises:
        OutOfScope: nobody opened the vault, or the newest chain does not cover the scope.
        GrantAbsent, GrantRevoked, GrantSuperseded, GrantExpired, Distrusted, OverLimit: which link of the newest chain fails.
    """
    user = vault_owner(state, vault_scope)
    versions = list(state.delegations.get((user, agent), Map()).values())
    if (user, agent) in state.grants:
        versions.append(state.grants[user, agent])
    refusal: Refused | None = None
    for version in sorted(versions, key=lambda v: v.log_index, reverse=True):
        try:
            chain = chain_in_force(state, user, agent, version.digest, at_ms)
            check_covered(chain, vault_scope, operation)
        except Refused as e:
            refusal = refusal or e
        else:
            return chain
    raise refusal or GrantAbsent(grant=f"by {user} to {agent}")


def vault_owner(state: State, vault_scope: str) -> KeyId:
    """The wallet that opened the vault of a scope.

    Raises:
        OutOfScope: nobody opened it, so nobody can have granted it.
    """
    owner = state.vaults.get(vault_scope.partition(" / ")[0])
    if owner is None:
        raise OutOfScope(vault_scope=vault_scope, granted=())
    return owner


def chain_in_force(state: State, user: KeyId, agent: KeyId, grant: Digest, at_ms: int) -> Chain:
    """The chain from a version that an agent service relies on up to the user's grant, when all of it is in force.

    Raises:
        GrantAbsent, GrantRevoked, GrantSuperseded, GrantExpired, Distrusted: which link fails, from the agent's end.
    """
    chain: list[GrantVersion] = []
    while not chain or chain[-1].delegator:
        if chain:
            agent, grant = chain[-1].delegator, chain[-1].parent
        version = _newest(state, user, agent, grant)
        if version.revoked:
            raise GrantRevoked(grant=grant)
        if version.digest != grant:
            raise GrantSuperseded(grant=grant, in_force=version.digest)
        if version.expires_at_ms and at_ms > version.expires_at_ms:
            raise GrantExpired(grant=grant, expires_at=version.expires_at)
        signer = version.delegator or user
        if not is_trusted(state, signer, version.log_index):
            raise Distrusted(what=f"grant {grant}", index=version.log_index, identity=signer)
        chain.append(version)
    return tuple(chain)


def chain_status(state: State, user: KeyId, agent: KeyId, grant: Digest, at_ms: int) -> ChainStatus:
    """Whether a chain is in force, or how the first of its links that is not has ended."""
    try:
        chain_in_force(state, user, agent, grant, at_ms)
    except (GrantAbsent, GrantRevoked, GrantSuperseded, GrantExpired, Distrusted) as e:
        return _ENDED[type(e)]
    return "active"


_ENDED: dict[type[Refused], ChainStatus] = {
    GrantAbsent: "absent",
    GrantRevoked: "revoked",
    GrantSuperseded: "superseded",
    GrantExpired: "expired",
    Distrusted: "distrusted",
}


def _newest(state: State, user: KeyId, agent: KeyId, grant: Digest) -> GrantVersion:
    """The newest version of what ``grant`` is, or was, a version of."""
    passed_on = state.delegated.get(grant)
    if passed_on is None:
        version = state.grants.get((user, agent))
    elif passed_on[:2] == (user, agent):
        version = state.delegations[user, agent][passed_on[2]]
    else:
        version = None
    if version is None:
        raise GrantAbsent(grant=grant)
    return version


def check_covered(chain: Chain, vault_scope: str, operation: str) -> None:
    """Each version of the chain covers the scope and the operation.

    Raises:
        OutOfScope, OverLimit: one does not.
    """
    for place, version in enumerate(chain):
        if vault_scope not in version.scopes:
            raise OutOfScope(vault_scope=vault_scope, granted=version.scopes)
        if version.operations and operation not in version.operations:
            limit = _name("operations", chain, place)
            raise OverLimit(limit=limit, allowed=", ".join(version.operations), asked=operation)


def spend(state: State, s: Activity, user: KeyId, chain: Chain) -> State:
    """Count a record against the limits of each version in its chain.

    Raises:
        OverLimit: a sum would exceed its limit.
    """
    agent = s.agent
    for place, version in enumerate(chain):
        if version.cpu_ms >= 0 or version.gpu_micro >= 0:
            key = (user, agent, version.delegator, s.cluster if version.per_era else "")
            period = (version.digest, s.era if version.per_era else 0)
            before = state.spent.get(key)
            if before is None or before[:2] != period:
                before = Spent(*period, 0, 0)
            spent = Spent(*period, before.cpu_ms + s.compute.cpu_ms, before.gpu_micro + s.compute.gpu_micro)
            _check_limit(_name("cpu_ms", chain, place), version.cpu_ms, spent.cpu_ms)
            _check_limit(_name("gpu_units in millionths", chain, place), version.gpu_micro, spent.gpu_micro)
            state = state._replace(spent=state.spent.set(key, spent))
        agent = version.delegator
    return state


def _check_limit(limit: str, allowed: int, asked: int) -> None:
    if 0 <= allowed < asked:
        raise OverLimit(limit=limit, allowed=str(allowed), asked=str(asked))


def _name(limit: str, chain: Chain, place: int) -> str:
    """The limit, and whose it is where it is not that of the version relied on."""
    return limit if place == 0 else f"{limit} of {chain[place].digest}"
