"""How a cluster changes after its founding: proposals, votes, seats, enactment (protocol 6).

A proposal is one change. The manager and the providers of validated nodes have a seat each; they vote until the deadline, and the ledger
counts then. What passed is enacted when an era opens, so that no era changes under those who work in it. Each change is tried twice on
the cluster as it stands, when it is proposed and when it is enacted: two changes that fit alone need not fit together.
"""

from __future__ import annotations

from collections.abc import Mapping

from immutables import Map
from pydantic import TypeAdapter, ValidationError

from proofroom.domain import canonical, unlocking
from proofroom.domain.accounts import bond_account
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.entry import Entry
from proofroom.domain.errors import (
    AlreadyRecorded,
    BadParameters,
    NodeStatus,
    NoSeat,
    ProposalClosed,
    Refused,
    StaleVersion,
    TimesOutOfOrder,
    TooManyProposals,
    Unregistered,
    WrongNumber,
)
from proofroom.domain.governance import read_parameters
from proofroom.domain.ids import KeyId, to_ms
from proofroom.domain.state import Cluster, Due, Majority, NodeFacts, Proposal, State, schedule, unschedule
from proofroom.domain.statements import first_fault
from proofroom.domain.statements import governance as g
from proofroom.domain.statements import proposals as p

DAY_MS = 86_400_000
MAX_VOTING_MS = 28 * DAY_MS
"""A deadline is no further away than this."""

PRICE_NOTICE_MS = unlocking.DEPOSIT_MS
"""A price rise waits as long as a deposit takes to unlock, so that a customer who does not agree can leave first."""

MAX_PROPOSALS = 4
"""Proposals of one seat that are not decided or not enacted: nobody keeps the others from proposing."""

_CHANGE: TypeAdapter[p.Change] = TypeAdapter(p.Change)


def seats_of(cluster: Cluster) -> frozenset[KeyId]:
    """Who decides: the manager and each distinct provider of a validated node, one seat each."""
    return frozenset(n.provider for n in cluster.nodes.values() if n.status == "validated") | {cluster.manager}


def is_passed(majority: Majority, ayes: int, seats: int) -> bool:
    """All seats, or ``3 * ayes >= 2 * seats``. An abstention is a nay. A manager to whom all providers are lost decides nothing alone."""
    enough = ayes == seats if majority == "unanimous" else 3 * ayes >= 2 * seats
    return enough and seats > 1


# --- the change


def apply_change(name: str, cluster: Cluster, change: p.Change) -> Cluster:
    """The cluster with one change made to it.

    Raises:
        BadParameters: the parameters are out of range, or do not fit together.
        AlreadyRecorded: a node has this name or runtime key, or had it.
        Unregistered, NodeStatus: the node to validate was not admitted, is validated already, or has left.
    """
    match change:
        case p.Settings():
            merged = merge_parameters(cluster.terms, change.set)
            return cluster._replace(
                parameters=read_parameters(merged),
                terms=canonical.encode(merged.to_json()),
                majority=merged.majority,
            )
        case p.Admission():
            return cluster._replace(nodes=cluster.nodes.set(change.node.node, _admit(cluster, change.node)))
        case p.Validation():
            node = node_with_status(name, cluster, change.node, "admitted")
            return cluster._replace(nodes=cluster.nodes.set(change.node, node._replace(status="validated")))
        case p.Orchestrators():
            return cluster._replace(orchestrators=tuple(sorted(set(change.orchestrators))))
        case p.NewManager():
            return cluster._replace(manager=change.manager)


def merge_parameters(terms: bytes, settings: Mapping[str, str | int]) -> g.Parameters:
    """The parameters with some of them set anew.

    Raises:
        BadParameters: a value is not of its parameter's form.
    """
    value = canonical.decode(terms)
    for name, new in settings.items():
        group, _, field = name.rpartition(".")
        (value[group] if group else value)[field] = new
    try:
        return g.Parameters.model_validate(value)
    except ValidationError as e:
        raise BadParameters(why=str(first_fault("parameters", e))) from None


def is_price_rise(before: Cluster, after: Cluster) -> bool:
    """Whether any price is higher."""
    prices = g.Prices.model_fields
    return any(getattr(after.parameters, price) > getattr(before.parameters, price) for price in prices)


def _admit(cluster: Cluster, node: g.Node) -> NodeFacts:
    if node.node in cluster.nodes:
        raise AlreadyRecorded(what="node", key=node.node)
    if any(known.runtime_key == node.runtime_key for known in cluster.nodes.values()):
        raise AlreadyRecorded(what="runtime key", key=node.runtime_key)
    return NodeFacts(node.provider, node.runtime_key, "admitted")


def node_with_status(name: str, cluster: Cluster, node: str, *statuses: str) -> NodeFacts:
    """The node, when it has one of these statuses.

    Raises:
        Unregistered, NodeStatus: there is none, or it has another status.
    """
    facts = cluster.nodes.get(node)
    if facts is None:
        raise Unregistered(what="node", key=node)
    if facts.status not in statuses:
        raise NodeStatus(cluster=name, node=node, status=facts.status)
    return facts


# --- proposing and voting


def apply_proposal(state: State, entry: Entry, s: p.Proposal) -> State:
    """A change is put to the vote.

    Raises:
        Unregistered, NoSeat: no such cluster, or the proposer has no seat.
        WrongNumber, TooManyProposals: not the next number, or too many of this seat are in hand.
        TimesOutOfOrder: the deadline has passed, or is too far away.
        BadParameters, AlreadyRecorded, NodeStatus: the change does not fit the cluster as it stands, or changes nothing.
    """
    cluster = state.clusters.get(s.cluster)
    if cluster is None:
        raise Unregistered(what="cluster", key=s.cluster)
    if s.proposer not in seats_of(cluster):
        raise NoSeat(keyid=s.proposer, cluster=s.cluster)
    if s.proposal != cluster.proposed:
        raise WrongNumber(what="the proposal", number=s.proposal, expected=cluster.proposed)
    if sum(proposal.proposer == s.proposer for proposal in cluster.proposals.values()) >= MAX_PROPOSALS:
        raise TooManyProposals(keyid=s.proposer, cluster=s.cluster, limit=MAX_PROPOSALS)
    deadline_ms = to_ms(s.deadline)
    if not entry.recorded_at_ms < deadline_ms <= entry.recorded_at_ms + MAX_VOTING_MS:
        raise TimesOutOfOrder(what=f"the deadline {s.deadline} has passed, or is more than 28 days away")
    # But for the wording of the terms, in which a default may be written out.
    if apply_change(s.cluster, cluster, s.change)._replace(terms=cluster.terms) == cluster:
        raise BadParameters(why="the proposal would change nothing")
    proposal = Proposal(s.proposer, canonical.encode(s.change.to_json()), cluster.majority, deadline_ms)
    cluster = cluster._replace(proposed=cluster.proposed + 1, proposals=cluster.proposals.set(s.proposal, proposal))
    return state._replace(
        clusters=state.clusters.set(s.cluster, cluster),
        agenda=schedule(state.agenda, Due(deadline_ms, "proposal", s.cluster, s.proposal)),
    )


def apply_vote(state: State, entry: Entry, s: p.ProposalVote) -> State:
    """A seat votes, or votes anew. At the deadline the ledger's decision is due first, so no vote comes later.

    Raises:
        Unregistered: no such cluster or proposal.
        ProposalClosed: it was decided.
        NoSeat: the voter has no seat.
        FromTheFuture, StaleVersion: the vote is not newer than the voter's last, or ahead of the clock.
    """
    cluster = state.clusters.get(s.cluster)
    if cluster is None or s.proposal >= cluster.proposed:
        raise Unregistered(what="proposal", key=f"{s.proposal} of {s.cluster}")
    proposal = cluster.proposals.get(s.proposal)
    if proposal is None or proposal.passed_ms >= 0:
        status = "decided" if proposal is None else "passed"
        raise ProposalClosed(cluster=s.cluster, proposal=s.proposal, status=status)
    if s.voter not in seats_of(cluster):
        raise NoSeat(keyid=s.voter, cluster=s.cluster)
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    if (last := proposal.votes.get(s.voter)) and to_ms(s.created_at) <= to_ms(last[1]):
        raise StaleVersion(what="the vote", created_at=s.created_at, newest=last[1])
    proposal = proposal._replace(votes=proposal.votes.set(s.voter, (s.aye, s.created_at)))
    return _put(state, s.cluster, s.proposal, proposal)


def _put(state: State, name: str, number: int, proposal: Proposal | None) -> State:
    cluster = state.clusters[name]
    proposals = cluster.proposals.delete(number) if proposal is None else cluster.proposals.set(number, proposal)
    return state._replace(clusters=state.clusters.set(name, cluster._replace(proposals=proposals)))


# --- what the ledger states


def derive_proposal(state: State, due: Due, now_ms: int) -> p.ProposalDecided | p.ProposalEnacted:
    """What the ledger must state about a proposal: the decision at its deadline; after an era's opening, what became of it."""
    cluster = state.clusters[due.cluster]
    proposal = cluster.proposals[due.number]
    if proposal.outcome:
        return _enacted(state, due, cluster, proposal)
    seats = seats_of(cluster)
    ayes = sum(aye for voter, (aye, _) in proposal.votes.items() if voter in seats)
    return p.ProposalDecided(
        ledger=state.ledger,
        cluster=due.cluster,
        proposal=due.number,
        majority=proposal.majority,
        seats=len(seats),
        ayes=ayes,
        passed=is_passed(proposal.majority, ayes, len(seats)),
    )


def apply_decided(state: State, entry: Entry, s: p.ProposalDecided) -> State:
    """What passed waits for an era's opening; what did not is gone."""
    proposal = state.clusters[s.cluster].proposals[s.proposal]
    kept = proposal._replace(votes=Map(), passed_ms=entry.recorded_at_ms) if s.passed else None
    state = state._replace(agenda=unschedule(state.agenda, Due(0, "proposal", s.cluster, s.proposal)))
    return _put(state, s.cluster, s.proposal, kept)


def enact(state: State, name: str, start_ms: int) -> State:
    """Make the changes that passed, in the order of their numbers, for an era that begins at ``start_ms``.

    A price rise waits until :data:`PRICE_NOTICE_MS` after its vote, a new manager until the cluster's minimum bond is paid in its name.
    What no longer fits lapses. The ledger states each outcome next, before anything else.
    """
    cluster = state.clusters[name]
    for number, proposal in sorted(cluster.proposals.items()):
        if proposal.passed_ms < 0:
            continue
        change = _CHANGE.validate_json(proposal.change)
        try:
            changed = apply_change(name, cluster, change)
        except Refused as e:
            outcome = proposal._replace(outcome=e.code)
        else:
            if is_price_rise(cluster, changed) and start_ms < proposal.passed_ms + PRICE_NOTICE_MS:
                continue
            if changed.manager != cluster.manager and not _is_bonded(state, name, changed):
                continue
            terms = changed.terms if isinstance(change, p.Settings) else b""
            cluster, outcome = changed, proposal._replace(outcome="enacted", terms=terms)
        cluster = cluster._replace(proposals=cluster.proposals.set(number, outcome))
        state = state._replace(agenda=schedule(state.agenda, Due(0, "proposal", name, number)))
    return state._replace(clusters=state.clusters.set(name, cluster))


def _is_bonded(state: State, name: str, cluster: Cluster) -> bool:
    return unlocking.get_free(state, bond_account(name, cluster.manager)) >= cluster.parameters.cluster_bond


def _enacted(state: State, due: Due, cluster: Cluster, proposal: Proposal) -> p.ProposalEnacted:
    return p.ProposalEnacted(
        ledger=state.ledger,
        cluster=due.cluster,
        proposal=due.number,
        era=cluster.opened,
        change=_CHANGE.validate_json(proposal.change),
        lapsed=None if proposal.outcome == "enacted" else proposal.outcome,
        parameters=g.Parameters.model_validate(canonical.decode(proposal.terms)) if proposal.terms else None,
    )


def apply_enacted(state: State, entry: Entry, s: p.ProposalEnacted) -> State:
    """The change took effect when the era opened; the proposal is done."""
    state = state._replace(agenda=unschedule(state.agenda, Due(0, "proposal", s.cluster, s.proposal)))
    return _put(state, s.cluster, s.proposal, None)


# --- leaving


def apply_node_left(state: State, entry: Entry, s: p.NodeLeft) -> State:
    """A node stops at once: it records no more work, and a provider without another validated node has no seat and no vote.

    What it did before is attested and paid as ever.

    Raises:
        NodeStatus: it has left already.
    """
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    return retire_node(state, s.cluster, s.node)


def retire_node(state: State, name: str, node: str) -> State:
    """The state without this node at work.

    Raises:
        Unregistered, NodeStatus: there is none, or it has left already.
    """
    cluster = state.clusters[name]
    facts = node_with_status(name, cluster, node, "admitted", "validated")
    nodes = cluster.nodes.set(node, facts._replace(status="left"))
    return state._replace(clusters=state.clusters.set(name, cluster._replace(nodes=nodes)))


def check_manager_or_elect(cluster: Cluster, owner: KeyId) -> None:
    """Who may pay the cluster's bond: the manager, and one whom a proposal that passed makes manager.

    Raises:
        Unregistered: the owner is neither.
    """
    elected = (_CHANGE.validate_json(x.change) for x in cluster.proposals.values() if x.passed_ms >= 0)
    if owner != cluster.manager and not any(isinstance(c, p.NewManager) and c.manager == owner for c in elected):
        raise Unregistered(what="manager", key=owner)
