"""Statements by which a cluster changes after its founding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from immutables import Map
from pydantic import AfterValidator, Field, PlainSerializer

from proofroom.domain.statements.fields import Count, Key, LedgerStatement, Model, Name, Text, Time
from proofroom.domain.statements.governance import Node, Parameters


def _names() -> frozenset[str]:
    names: set[str] = set()
    for name, field in Parameters.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Model):
            names |= {f"{name}.{part}" for part in inner.model_fields}
        else:
            names.add(name)
    return frozenset(names)


PARAMETERS = _names()


def _parameter(name: str) -> str:
    if name not in PARAMETERS:
        raise ValueError("no such parameter")
    return name


ParameterName = Annotated[str, Field(max_length=64), AfterValidator(_parameter)]
"""A parameter by its place in :class:`~proofroom.domain.statements.governance.Parameters`: ``prices.cpu_second``, ``era_seconds``."""


class Settings(Model):
    """Parameters get new values; those that are not named stay as they are when the change is enacted."""

    what: Literal["parameters"]
    set: Annotated[Mapping[ParameterName, Text | Count], AfterValidator(Map), PlainSerializer(dict)]
    """Name -> value, as the parameter writes it."""


class Admission(Model):
    """A node comes to the cluster. Its provider and its runtime sign the proposal too. It may not work until it is validated."""

    what: Literal["admit-node"]
    node: Node


class Validation(Model):
    """An admitted node may work, and its provider has a seat."""

    what: Literal["validate-node"]
    node: Name


class Orchestrators(Model):
    """The cluster's orchestrators are these, all of them."""

    what: Literal["orchestrators"]
    orchestrators: Annotated[tuple[Key, ...], Field(strict=False, min_length=1, max_length=16)]


class NewManager(Model):
    """Another key manages the cluster. It signs the proposal too, pays a bond of its own, and opens its first era itself."""

    what: Literal["manager"]
    manager: Key


Change = Annotated[Settings | Admission | Validation | Orchestrators | NewManager, Field(discriminator="what")]


class Proposal(LedgerStatement):
    """Somebody with a seat proposes one change. Signed by the proposer, and by whom the change binds (see the change)."""

    kind: ClassVar[str] = "proposal"

    cluster: Name
    proposal: Count
    """Gapless per cluster, from 0."""
    proposer: Key
    change: Change
    deadline: Time
    """Until then the seats vote, and may change their votes."""


class ProposalVote(LedgerStatement):
    """A seat votes; its newest vote counts. Signed by the voter."""

    kind: ClassVar[str] = "proposal-vote"

    cluster: Name
    proposal: Count
    voter: Key
    aye: bool
    created_at: Time
    """Strictly newer than the voter's vote before."""


class ProposalDecided(LedgerStatement):
    """The ledger counts the votes at the deadline. Derived; signed by the ledger key."""

    kind: ClassVar[str] = "proposal-decided"

    cluster: Name
    proposal: Count
    majority: Literal["unanimous", "two-thirds"]
    """In force when it was proposed."""
    seats: Count
    """At the deadline."""
    ayes: Count
    """Of those who have a seat at the deadline; who did not vote counts as a nay."""
    passed: bool


class ProposalEnacted(LedgerStatement):
    """What an era's opening made of a proposal that passed. Derived; signed by the ledger key."""

    kind: ClassVar[str] = "proposal-enacted"

    cluster: Name
    proposal: Count
    era: Count
    """From this era on the change holds."""
    change: Change
    lapsed: Text | None
    """Null when it holds. Else the code of the error why it no longer fits the cluster; it is gone for good."""
    parameters: Parameters | None
    """All parameters after this change, when it changed some."""


class NodeLeft(LedgerStatement):
    """A provider takes a node out of the cluster, at once and for good. Signed by the provider."""

    kind: ClassVar[str] = "node-left"

    cluster: Name
    node: Name
    created_at: Time
