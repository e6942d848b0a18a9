"""Statements of offences: the evidence that anyone may bring, and what the ledger does about it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from proofroom.domain.statements.fields import Amount, Blake3, Count, Key, LedgerStatement, Name, Sparse, Time


class Place(Sparse):
    """Where a statement stands in a tree of which only the root was signed, as envelopes have it."""

    size: Count
    position: Count
    path: Annotated[str, Field(pattern=r"^([0-9a-f]{64}){0,16}$")]
    """The hashes from the leaf up, in hex."""


class Signed(Sparse):
    """A statement of the accused with its signature: enough to verify it without the ledger."""

    payload: Annotated[str, Field(max_length=16_384)]
    """The exact text that was signed."""
    keyid: Key
    """The key that signed: one that the accused has had."""
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
    rooted: Place | None = None


class Equivocation(LedgerStatement):
    """A validator signed two commitments, or two reveals, for one round. Signed by whoever reports it; proven by what is inside."""

    kind: ClassVar[str] = "equivocation"

    cluster: Name
    validator: Key
    reporter: Key
    of: Literal["vote-committed", "vote-revealed"]
    first: Signed
    second: Signed


class FalseBeacon(LedgerStatement):
    """A validator signed a beacon value that is not on its chain. Signed by whoever reports it; proven by the signature inside."""

    kind: ClassVar[str] = "false-beacon"

    cluster: Name
    validator: Key
    reporter: Key
    revealed: Signed
    """A ``beacon-revealed`` of the validator."""


class ValidatorLeft(LedgerStatement):
    """A validator leaves a cluster; its bond may be withdrawn, and is slashed for what it did until it is gone. Signed by the validator."""

    kind: ClassVar[str] = "validator-left"

    cluster: Name
    validator: Key
    created_at: Time


class SlashBasis(Sparse):
    """What a slash is for; the fields that fit the offence."""

    era: Count | None = None
    """Misreport: the era of the records."""
    node: Name | None = None
    records: Count | None = None
    """Records of the node that were finally rejected in the era."""
    charge: Amount | None = None
    """What they would have cost."""
    validator: Key | None = None
    """Equivocation and false beacon: whose bond it is."""
    evidence: Blake3 | None = None
    """Statement id of the evidence."""


class Slashed(LedgerStatement):
    """A bond pays for an offence, to the treasury. Derived; signed by the ledger key.

    A misreport costs ``max(floor, multiple * charge)`` of the cluster's bond; equivocation and a false beacon cost the validator its bond
    and its place. Never more than what is there.
    """

    kind: ClassVar[str] = "slashed"

    cluster: Name
    offence: Literal["misreport", "equivocation", "false-beacon"]
    debit: Annotated[str, Field(max_length=200)]
    """The account of the bond."""
    credit: Annotated[str, Field(max_length=200)]
    amount: Amount
    basis: SlashBasis


Eras = Annotated[tuple[Count, ...], Field(strict=False, max_length=10)]


class NodeRemoved(LedgerStatement):
    """A node misreported in three of ten eras, and records no more. Derived; signed by the ledger key."""

    kind: ClassVar[str] = "node-removed"

    cluster: Name
    node: Name
    provider: Key
    offences: Eras
    """The eras."""


class ValidatorSuspended(LedgerStatement):
    """A validator withheld its beacon value in too many of ten eras; the next ten go without it. Derived; signed by the ledger key."""

    kind: ClassVar[str] = "validator-suspended"

    cluster: Name
    validator: Key
    withheld: Eras
    """The eras."""
    until_era: Count
    """The last era in which it is not eligible."""
