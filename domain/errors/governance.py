"""What the rules refuse: how a cluster changes."""

from __future__ import annotations

from proofroom.domain.errors.base import Refused


class NoSeat(
    Refused,
    code="no-seat",
    message="{keyid} has no seat in {cluster}",
    advice="seats belong to the manager and to the providers of validated nodes",
):
    """Only who has a seat may propose and vote."""

    keyid: str
    cluster: str


class ProposalClosed(
    Refused,
    code="proposal-closed",
    message="proposal {proposal} of {cluster} is {status}",
    advice="votes count until the deadline; propose again to change what was decided",
):
    """The proposal takes no votes."""

    cluster: str
    proposal: int
    status: str


class TooManyProposals(
    Refused,
    code="too-many-proposals",
    message="{keyid} has {limit} proposals in {cluster} that are not decided or not enacted, the most a seat may have",
    advice="wait for a deadline, or open the next era",
):
    """The seat has as many proposals in hand as it may."""

    keyid: str
    cluster: str
    limit: int


class NodeStatus(
    Refused,
    code="node-status",
    message="node {node} of {cluster} is {status}",
    advice="a node is admitted by a proposal, validated by another, and does not come back once it has left",
):
    """The node's status does not allow this."""

    cluster: str
    node: str
    status: str
