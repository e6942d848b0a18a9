"""Validators of a cluster: who they are, and which of them may judge a batch (protocol 5)."""

from __future__ import annotations

from immutables import Map

from proofroom.domain import hashing
from proofroom.domain.accounts import bond_account
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.entry import Entry
from proofroom.domain.errors import AlreadyRecorded, KeyNotInForce, Unregistered
from proofroom.domain.ids import KeyId
from proofroom.domain.standing import ValidatorFacts
from proofroom.domain.state import Pending, State
from proofroom.domain.statements.attestation import ValidatorRegistered
from proofroom.domain.statements.offences import ValidatorLeft
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


def apply_validator_left(state: State, entry: Entry, s: ValidatorLeft) -> State:
    """A validator is eligible for no batch that is sealed from now on. It finishes what it was drawn for, and its key never comes back.

    Its bond is withdrawn as any other, and slashed until it is gone.

    Raises:
        Unregistered: it is none of the cluster.
        AlreadyRecorded: it has left, or was removed.
    """
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    members = state.validators.get(s.cluster, Map())
    facts = members.get(s.validator)
    if facts is None:
        raise Unregistered(what="validator", key=s.validator)
    if facts.status != "active":
        raise AlreadyRecorded(what="departure of", key=s.validator)
    members = members.set(s.validator, facts._replace(status="left"))
    return state._replace(validators=state.validators.set(s.cluster, members))


def may_judge(state: State, cluster: str, validator: KeyId, era: int, minimum: int) -> bool:
    """Whether a validator may judge a batch of an era: it is still here, not suspended, and its bond is paid in and not being unlocked."""
    facts = state.validators[cluster][validator]
    if facts.status != "active" or era <= facts.suspended_until:
        return False
    return get_free(state, bond_account(cluster, validator)) >= minimum


def check_not_removed(facts: ValidatorFacts, validator: KeyId) -> None:
    """Nothing more is taken from a validator that was removed, also in a round that had begun.

    Raises:
        KeyNotInForce: it was.
    """
    if facts.status == "removed":
        raise KeyNotInForce(keyid=validator, role="validator")


def eligible_validators(
    state: State, name: str, era: int, records: tuple[Pending, ...], minimum: int
) -> tuple[KeyId, ...]:
    """Who may judge a batch, in key order: in good standing, and answering for no party to it.

    Parties are the manager; who signed a record, its orchestrator too, or what it relies on; its customer, agent service, node's provider;
    and who sells it. Each has signed for that: nobody takes a validator out of the draw by naming it.
    """
    cluster = state.clusters[name]
    parties: set[KeyId] = {cluster.manager}
    alike = {
        (r.customer, r.agent, r.node, r.signers, r.relied, r.terms) for r in records
    }  # many records of few parties
    for customer, agent, node, signers, relied, terms in alike:
        parties |= {customer, agent, cluster.nodes[node].provider, *signers, *(who for who, _ in relied)}
        if terms is not None:
            parties |= {terms.owner, *(creator for creator, _ in terms.creators)}
    return tuple(
        sorted(
            key
            for key, facts in state.validators[name].items()
            if may_judge(state, name, key, era, minimum) and not {key, facts.controller} & parties
        )
    )
