"""Validators of a cluster: who they are, and which of them may judge a batch (protocol 5)."""

from __future__ import annotations

from proofroom.domain import hashing
from proofroom.domain.accounts import bond_account
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.entry import Entry
from proofroom.domain.errors import AlreadyRecorded, Unregistered
from proofroom.domain.ids import KeyId
from proofroom.domain.state import Pending, State, ValidatorFacts
from proofroom.domain.statements.attestation import ValidatorRegistered
from proofroom.domain.unlocking import get_free


def apply_validator_registered(state: State, entry: Entry, s: ValidatorRegistered) -> State:
    """A validator joins; its first preimage belongs to the cluster's next round. It is eligible once its bond is paid in."""
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    cluster = state.clusters.get(s.cluster)
    if cluster is None:
        raise Unregistered(what="cluster", key=s.cluster)
    members = state.validators[s.cluster]
    if s.validator in members:
        raise AlreadyRecorded(what="validator", key=s.validator)
    facts = ValidatorFacts(s.controller, hashing.untagged(s.beacon), cluster.rounds)
    return state._replace(validators=state.validators.set(s.cluster, members.set(s.validator, facts)))


def may_judge(state: State, cluster: str, validator: KeyId, minimum: int) -> bool:
    """Whether a validator is in good standing: its bond is paid in, and not being unlocked."""
    return get_free(state, bond_account(cluster, validator)) >= minimum


def eligible_validators(state: State, name: str, records: tuple[Pending, ...], minimum: int) -> tuple[KeyId, ...]:
    """Who may judge a batch, in key order: in good standing, and answering for no party to it."""
    cluster = state.clusters[name]
    parties: set[KeyId] = {cluster.manager, *cluster.orchestrators}
    for record in records:
        parties |= {record.customer, record.agent, cluster.nodes[record.node].provider}
        if record.terms is not None:
            parties |= {record.terms.owner, *(creator for creator, _ in record.terms.creators)}
    return tuple(
        sorted(
            key
            for key, facts in state.validators[name].items()
            if may_judge(state, name, key, minimum) and not {key, facts.controller} & parties
        )
    )
