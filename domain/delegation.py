"""Delegation: an agent service passes on what it was granted, or less of it (protocol 2).

A delegation never says more than its parent, so that whoever reads it alone reads nothing that is not allowed. It passes on one version:
when that is superseded, revoked or expired, the delegation has ended too. Its delegator may revoke it and nobody else; the wallet ends it
by ending the grant at the root.
"""

from __future__ import annotations

from immutables import Map

from proofroom.domain.authorisation import Chain, chain_in_force
from proofroom.domain.consent import next_version
from proofroom.domain.entry import Entry
from proofroom.domain.errors import ChainTooLong, NotDelegable, NotNarrower, Refused
from proofroom.domain.permits import GrantVersion
from proofroom.domain.state import State
from proofroom.domain.statements.consent import Delegation

MAX_DEPTH = 3
"""Delegations in a row below a grant."""


def apply_delegation(state: State, entry: Entry, s: Delegation) -> State:
    """A new version of what an agent service passes on to another. For a revocation nothing above need be in force.

    Raises:
        FromTheFuture, StaleVersion, TimesOutOfOrder, ScopesInForce: as for a grant.
        GrantAbsent, GrantRevoked, GrantSuperseded, GrantExpired: a link above is not in force now.
        NotDelegable, ChainTooLong, NotNarrower: the parent does not allow this.
    """
    key = (s.user_pub_key, s.agent_service_pub_key)
    siblings = state.delegations.get(key, Map())
    before = siblings.get(s.delegator)
    active = before is not None and _is_active(state, entry, s, before)
    version = next_version(entry, s, "the delegation", before, active=active)
    version = version._replace(delegator=s.delegator, parent=s.parent)
    if not s.revoked:
        _check_passed_on(version, chain_in_force(state, key[0], s.delegator, s.parent, entry.recorded_at_ms))
    return state._replace(
        delegations=state.delegations.set(key, siblings.set(s.delegator, version)),
        delegated=state.delegated.set(version.digest, (*key, s.delegator)),
    )


def _is_active(state: State, entry: Entry, s: Delegation, version: GrantVersion) -> bool:
    try:
        chain_in_force(state, s.user_pub_key, s.agent_service_pub_key, version.digest, entry.recorded_at_ms)
    except Refused:
        return False
    return True


def _check_passed_on(version: GrantVersion, above: Chain) -> None:
    """The parent may be passed on, from where it stands, and allows at least as much."""
    parent = above[0]
    if not parent.delegable:
        raise NotDelegable(grant=parent.digest)
    if len(above) > MAX_DEPTH:
        raise ChainTooLong(grant=parent.digest, limit=MAX_DEPTH)
    wider = first_wider(version, parent)
    if wider:
        raise NotNarrower(what=wider, grant=parent.digest)


def first_wider(version: GrantVersion, parent: GrantVersion) -> str:
    """The first thing of which a version says more than its parent; empty when it is equal or narrower in all.

    What the parent limits, the version limits too. A limit per era is not narrower than one over the life of the grant.
    """
    limited = parent.cpu_ms >= 0 or parent.gpu_micro >= 0
    narrower = {
        "scopes": set(version.scopes) <= set(parent.scopes),
        "expires_at": _is_narrower(version.expires_at_ms or -1, parent.expires_at_ms or -1),
        "operations": not parent.operations or set() < set(version.operations) <= set(parent.operations),
        "cpu_ms": _is_narrower(version.cpu_ms, parent.cpu_ms),
        "gpu_units": _is_narrower(version.gpu_micro, parent.gpu_micro),
        "per": not limited or parent.per_era or not version.per_era,
    }
    return next((what for what, holds in narrower.items() if not holds), "")


def _is_narrower(value: int, limit: int) -> bool:
    """Whether a limit is equal to another or narrower; a negative one is none."""
    return limit < 0 or 0 <= value <= limit
