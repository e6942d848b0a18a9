"""Statements of the jury: validators, beacon, round, votes, tally."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from immutables import Map
from pydantic import AfterValidator, Field, PlainSerializer

from proofroom.domain.statements.fields import (
    Bitmap,
    Blake3,
    Bytes32,
    Count,
    Key,
    LedgerStatement,
    Model,
    Name,
    Ratio,
    Sparse,
    Time,
)

RejectReason = Literal["overclaimed-cpu", "overclaimed-gpu", "overclaimed-bytes", "out-of-scope", "result-mismatch"]
AbstainReason = Literal["unobserved", "observation-conflict"]
Reason = RejectReason | AbstainReason
"""Why a validator does not agree to a record."""

REJECT_REASONS = ("overclaimed-cpu", "overclaimed-gpu", "overclaimed-bytes", "out-of-scope", "result-mismatch")
"""Each says that the record claims what was not observed."""
ABSTAIN_REASONS = ("unobserved", "observation-conflict")
"""Each says that the validator cannot tell; it counts neither way."""


Level = Annotated[int, Field(strict=True, ge=1, le=2)]


class ValidatorRegistered(LedgerStatement):
    """A validator joins a cluster. Signed by the validator's key and by its controller."""

    kind: ClassVar[str] = "validator-registered"

    cluster: Name
    validator: Key
    controller: Key
    """Who answers for it; not eligible where it is a party to the batch."""
    beacon: Blake3
    """The end of its hash chain; round after round it reveals the preimages."""
    created_at: Time


class BeaconRevealed(LedgerStatement):
    """A validator reveals the chain value that belongs to a round. Signed by the validator's key."""

    kind: ClassVar[str] = "beacon-revealed"

    cluster: Name
    round: Count
    validator: Key
    value: Bytes32


class Assurance(Model):
    """How much a round proves, recomputable by anyone (protocol 5)."""

    eligible: Count
    colluding: Count
    """A third of the eligible, rounded down."""
    committee: Count
    threshold: Count
    missing: Count
    """Eligible validators whose reveal is missing; they choose among 2^missing draws."""
    capture: Ratio
    """Chance, rounded up, that the colluding hold the threshold in the committee."""


class RoundOpened(LedgerStatement, Sparse):
    """The ledger draws the committee for a batch, or for what an earlier one could not decide. Derived; signed by the ledger key."""

    kind: ClassVar[str] = "round-opened"

    cluster: Name
    era: Count
    batch: Count
    round: Count
    seed: Blake3
    committee: Annotated[tuple[Key, ...], Field(strict=False)]
    missing: Annotated[tuple[Key, ...], Field(strict=False, max_length=128)]
    """The first 128 eligible validators, in key order, that did not reveal."""
    commit_until: Time
    reveal_until: Time
    assurance: Assurance
    level: Level | None = None
    """How many committees came before; absent for the first."""
    judged: Bitmap | None = None
    """The positions of the batch that this committee judges; absent for the first, which judges all."""


class VoteCommitted(LedgerStatement):
    """A committee member commits to its vote. Signed by the validator's key."""

    kind: ClassVar[str] = "vote-committed"

    cluster: Name
    round: Count
    validator: Key
    commitment: Blake3


class Vote(Model):
    """A judgement of each position of a batch: agreed, or doubted for at least one reason."""

    agree: Bitmap
    reasons: Annotated[Mapping[Reason, Bitmap], AfterValidator(Map), PlainSerializer(dict)]


class VoteRevealed(LedgerStatement):
    """A committee member opens its vote, once no commitment can be added. Signed by the validator's key."""

    kind: ClassVar[str] = "vote-revealed"

    cluster: Name
    round: Count
    validator: Key
    salt: Bytes32
    vote: Vote


class RoundTallied(LedgerStatement, Sparse):
    """The ledger counts a round. Derived; signed by the ledger key.

    A record is attested when ``3 * agree >= 2 * assigned`` and somebody was assigned, rejected when the same holds for reject. Otherwise
    it is escalated to the next, larger committee, or unattested where there is none. Absent and abstaining members count as neither.
    """

    kind: ClassVar[str] = "round-tallied"

    cluster: Name
    era: Count
    batch: Count
    round: Count
    assigned: Count
    committed: Count
    revealed: Count
    agree: Count
    """The fewest agreeing votes that any attested record has; 0 when none is attested."""
    attested: Bitmap
    rejected: Bitmap
    records: Count
    """Records of the batch; each bitmap has a bit for each of them."""
    records_attested: Count
    records_rejected: Count
    records_observed: Count
    """Records on which at least one vote did not abstain."""
    catch: Ratio
    """Chance, rounded down, that a misreport rate of 1 % was caught."""
    level: Level | None = None
    """As on ``round-opened``."""
    judged: Bitmap | None = None
    """As on ``round-opened``."""
    escalated: Bitmap | None = None
    """The positions that go to a larger committee; absent when none does."""
    next_round: Count | None = None
    """The round in which they do."""
