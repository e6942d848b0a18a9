"""Statements of the marketplace: who runs one, and what is sold there."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from proofroom.domain.statements.fields import Key, LedgerStatement, Model, Name, Price, Ratio, Time


class Marketplace(LedgerStatement):
    """A marketplace, and the part of listings' fees that it asks for. Signed by its owner; a newer version changes the share."""

    kind: ClassVar[str] = "marketplace"

    marketplace: Name
    owner: Key
    share: Ratio
    """What listings that are made from now on must give it."""
    created_at: Time


class Creator(Model):
    """Who made what is sold, and how much of the fee is theirs in proportion to the other creators."""

    creator: Key
    weight: Annotated[int, Field(strict=True, ge=1, le=10**6)]


class Listing(LedgerStatement):
    """An agent service sells its work: each record that names this version owes its fee. Signed by the agent service's key.

    The fee is ``price_per_record`` for each record and ``ratio`` of what the records cost. A newer version takes the place of the one
    before; what was recorded keeps the version that it names.
    """

    kind: ClassVar[str] = "listing"

    agent: Key
    listing: Name
    """The agent service's own name of it."""
    cluster: Name | None
    """Where it is sold; null for any cluster."""
    price_per_record: Price
    ratio: Ratio
    creators: Annotated[tuple[Creator, ...], Field(strict=False, min_length=1, max_length=16)]
    marketplace: Name
    marketplace_share: Ratio
    """What the marketplace gets of the fee: its share in force, so that neither can change it alone."""
    withdrawn: bool
    """Nothing more is sold under it."""
    created_at: Time
