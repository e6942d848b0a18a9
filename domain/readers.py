"""Who may hold a scope's key: consent turned into keys (protocol 4).

The ledger states consent; the wallet, which holds the keys, follows it.
"""

from __future__ import annotations

from immutables import Map

from proofroom.domain.authorisation import chain_in_force, vault_owner
from proofroom.domain.errors import Refused
from proofroom.domain.ids import KeyId
from proofroom.domain.state import State


def readers_in_force(state: State, vault_scope: str, at_ms: int) -> frozenset[KeyId]:
    """The derived keys for a scope that are certified at a time, of agent services that a chain of grants allows the scope.

    For which operations is not asked: a key reads, whatever for.

    Raises:
        OutOfScope: nobody opened the vault.
    """
    user = vault_owner(state, vault_scope)
    certified = {key: facts for key, facts in state.agent_keys.items() if facts.vault_scope == vault_scope}
    agents = {facts.agent for facts in certified.values() if facts.expires_at_ms >= at_ms}
    allowed = {agent for agent in agents if _is_allowed(state, user, agent, vault_scope, at_ms)}
    return frozenset(key for key, facts in certified.items() if facts.agent in allowed and facts.expires_at_ms >= at_ms)


def _is_allowed(state: State, user: KeyId, agent: KeyId, vault_scope: str, at_ms: int) -> bool:
    versions = list(state.delegations.get((user, agent), Map()).values())
    if (user, agent) in state.grants:
        versions.append(state.grants[user, agent])
    for version in versions:
        try:
            chain = chain_in_force(state, user, agent, version.digest, at_ms)
        except Refused:
            continue
        if all(vault_scope in link.scopes for link in chain):
            return True
    return False
