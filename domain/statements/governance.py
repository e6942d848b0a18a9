"""Statements that found and run a cluster."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from proofroom.domain.statements.fields import Amount, Count, Key, LedgerStatement, Model, Name, Ratio, Sparse, Time


class Node(Model):
    """A machine that runs agents: its name, its provider, and the key of its runtime."""

    node: Name
    provider: Key
    runtime_key: Key


class Prices(Model):
    """What usage costs, in base units."""

    cpu_second: Amount
    gpu_unit: Amount
    mib_streamed: Amount
    mib_stored_month: Amount
    put: Amount
    get: Amount


class Shares(Model):
    """Parts of what an era collects; the rest goes to node providers. They sum to at most the whole."""

    treasury: Ratio
    reserve: Ratio
    validators: Ratio


class Attestation(Sparse):
    """How records are attested."""

    committee: Annotated[int, Field(strict=True, ge=5, le=61)]
    """Validators drawn for a round; 11 is the first size at which a colluding third carries less than 1 % of rounds."""
    beacon_ms: Annotated[int, Field(strict=True, ge=1, le=7 * 86_400_000)]
    commit_ms: Annotated[int, Field(strict=True, ge=1, le=7 * 86_400_000)]
    reveal_ms: Annotated[int, Field(strict=True, ge=1, le=7 * 86_400_000)]
    escalations: Annotated[int, Field(strict=True, ge=0, le=2)]
    """How often a disputed record goes to a fresh, larger committee."""
    cpu_tolerance: Ratio
    gpu_tolerance: Ratio
    bytes_tolerance: Ratio
    suspend_after: Annotated[int, Field(strict=True, ge=1, le=10)] | None = None
    """Eras of ten in which a validator may withhold its beacon value until it is suspended, the last one included; absent for never."""


class Bonds(Model):
    """What is at stake. A misreport costs ``max(slash_floor, slash_multiple * charge)``; with both zero there are no offences."""

    cluster_minimum: Amount
    validator_minimum: Amount
    slash_floor: Amount
    slash_multiple: Count


class Parameters(Sparse):
    """The parameters of a cluster; an era is bound to those in force when it opened."""

    prices: Prices
    shares: Shares
    attestation: Attestation
    bonds: Bonds
    era_seconds: Annotated[int, Field(strict=True, ge=1, le=366 * 86_400)]
    """An open era ends by itself after this time."""
    late_records: Literal["refused", "next-era"]
    """What becomes of records that miss the seal: they end unattested, or stand before the records of the next era."""
    majority: Literal["unanimous", "two-thirds"] = "unanimous"
    """Ayes that a proposal needs: all seats, or at least two thirds of them."""


class ClusterFounded(LedgerStatement):
    """A cluster begins. Signed by its manager and by each of its first providers, at least three."""

    kind: ClassVar[str] = "cluster-founded"

    cluster: Name
    manager: Key
    providers: Annotated[tuple[Key, ...], Field(strict=False, min_length=3, max_length=64)]
    nodes: Annotated[tuple[Node, ...], Field(strict=False, min_length=1, max_length=128)]
    """The first nodes, admitted by this statement."""
    orchestrators: Annotated[tuple[Key, ...], Field(strict=False, min_length=1, max_length=16)]
    """Keys that co-sign records and seal batches."""
    parameters: Parameters
    created_at: Time


class EraOpened(LedgerStatement):
    """The next era of a cluster opens. Signed by the manager, a new one if it takes office with this era."""

    kind: ClassVar[str] = "era-opened"

    cluster: Name
    era: Count
    start: Time
    """In whole seconds, not before the end of the era before."""


class EraClose(LedgerStatement):
    """The manager asks to end the open era before its time. Signed by the manager; ``era-sealed`` follows from it."""

    kind: ClassVar[str] = "era-close"

    cluster: Name
    era: Count
    end: Time
    """In whole seconds, after the start and not ahead of the ledger's clock."""
