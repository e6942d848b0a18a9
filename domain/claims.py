"""What the state keeps of money that moves, waits or is owed: values only, next to those of :mod:`proofroom.domain.state`."""

from __future__ import annotations

from typing import Literal, NamedTuple

from immutables import Map

from proofroom.domain.ids import Digest, KeyId


class Line(NamedTuple):
    """One payout line before it is a statement: a transfer and the work behind it (see ``statements.settlement.Basis``)."""

    role: Literal["charge", "fee", "treasury", "reserve", "validator", "provider", "marketplace", "creator"]
    debit: str
    credit: str
    amount: int
    party: str
    """Customer, node, validator, marketplace or creator; empty for treasury and reserve."""
    records: int
    charged: tuple[int, ...]
    collected: tuple[int, ...]
    listing: Digest = Digest("")
    """Of a fee, and of whom it goes to."""


class Repaying(NamedTuple):
    """What a deposit repays, until all of it is stated."""

    customer: KeyId
    lines: tuple[tuple[int, Line], ...]
    """Era of the debt, and the line."""
    stated: int = 0


class Chunk(NamedTuple):
    """A part of an account that is being unlocked."""

    request: int
    """Index of the withdrawal that asked for it."""
    amount: int
    """What is left of what was asked; zero when charges or slashes took all of it."""
    at_ms: int
    """When it is unlocked."""
    bank: KeyId
    """Through which it leaves."""


class Unlocking(NamedTuple):
    """What is being unlocked on an account."""

    asked_ms: int = 0
    """``created_at`` of the newest request; the next must be newer."""
    chunks: tuple[Chunk, ...] = ()
    """Oldest first."""


class Openings(NamedTuple):
    """The accounts of all chunks that wait equally long, oldest first: keys ``head`` to ``tail - 1`` of ``accounts``.

    Time never goes back, so that the first to be asked for is the first to be unlocked.
    """

    head: int = 0
    tail: int = 0
    accounts: Map[int, str] = Map()


class Terms(NamedTuple):
    """What a version of a listing says: fixed for each record that was sold under it."""

    digest: Digest
    agent: KeyId
    cluster: str
    """Empty for any."""
    price: int
    """Of a record, in base units."""
    ratio: int
    """Of what the records cost, in 10^18ths."""
    creators: tuple[tuple[KeyId, int], ...]
    """Key and weight, in key order."""
    marketplace: str
    owner: KeyId
    """Of the marketplace."""
    share: int
    """The marketplace's part of the fee, in 10^18ths."""
    log_index: int = -1
    """Where the agent service signed it."""


class ListingFacts(NamedTuple):
    """The newest version of a listing."""

    digest: Digest
    created_at_ms: int


class MarketFacts(NamedTuple):
    """A marketplace."""

    owner: KeyId
    share: int
    """What new listings must give it, in 10^18ths."""
    created_at_ms: int


class Claim(NamedTuple):
    """Who is entitled to what is still owed for an era, fixed when it was paid."""

    shares: tuple[int, int, int]
    """Treasury, reserve, validators."""
    judges: tuple[tuple[KeyId, int], ...]
    terms: tuple[Terms, ...]
    """Of listings of which a fee is owed."""
    debts: int
    """Customers that owe."""


class Debt(NamedTuple):
    """What a customer owes for an era."""

    era: int
    parts: tuple[int, ...]
    """By part of the charge."""
    fees: tuple[tuple[Digest, int], ...]
    """By listing."""
    nodes: tuple[tuple[str, KeyId, int], ...]
    """Node, provider, and what the node's work for the customer costs, by node."""

    @property
    def total(self) -> int:
        """All that is owed."""
        return sum(self.parts) + sum(amount for _, amount in self.fees)
