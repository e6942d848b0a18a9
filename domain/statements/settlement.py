"""Statements of money: deposits, the end of an era, its payout lines."""

from __future__ import annotations

from typing import ClassVar, Literal

from proofroom.domain.statements.fields import (
    Account,
    Amount,
    Blake3,
    Count,
    Key,
    LedgerStatement,
    Model,
    Name,
    Sparse,
    Text,
    Time,
)


class Deposit(LedgerStatement):
    """Money came in from outside. Signed by a bank key of genesis."""

    kind: ClassVar[str] = "deposit"

    bank: Key
    reference: Text
    """The bank's own, unique reference of the transfer."""
    cluster: Name
    account: Literal["customer", "validator-bond", "cluster-bond"]
    owner: Key
    """The customer, the validator, or the cluster's manager."""
    amount: Amount
    created_at: Time


class EraSealed(LedgerStatement):
    """An era accepts no more records. Derived, at its time or at the manager's request; signed by the ledger key."""

    kind: ClassVar[str] = "era-sealed"

    cluster: Name
    era: Count
    start: Time
    end: Time
    batches: Count
    recorded: Count
    late: Count
    """Records in no batch; they are not attested and never pay."""


class ChargeParts(Model):
    """A charge by what it is for."""

    cpu: Amount
    gpu: Amount
    streamed: Amount
    stored: Amount
    puts: Amount
    gets: Amount


class Basis(Sparse):
    """The work behind a line; the fields that fit its role."""

    customer: Key | None = None
    node: Name | None = None
    validator: Key | None = None
    records: Count = 0
    """Attested records (of the customer or on the node), or records inspected with the outcome (by the validator)."""
    charged: ChargeParts | None = None
    """What the attested usage costs."""
    collected: ChargeParts | None = None
    """What the deposit covered, of each part."""
    debt: Amount = "0"
    """What it did not cover."""


class Payout(LedgerStatement):
    """One line of an era's settlement: a transfer between two accounts. Derived; signed by the ledger key."""

    kind: ClassVar[str] = "payout"

    cluster: Name
    era: Count
    line: Count
    """Gapless, from 0."""
    role: Literal["charge", "treasury", "reserve", "validator", "provider"]
    debit: Account
    """The account that gives."""
    credit: Account
    """The account that receives."""
    amount: Amount
    basis: Basis


class RecordCounts(Model):
    """What became of the era's records; the three last sum to the first."""

    recorded: Count
    attested: Count
    rejected: Count
    unattested: Count


class Totals(Model):
    """Sums of the lines: ``collected`` equals the sum of the four receivers, to the unit."""

    charged: Amount
    collected: Amount
    debt: Amount
    providers: Amount
    validators: Amount
    treasury: Amount
    reserve: Amount


class EraPaid(LedgerStatement):
    """``ClusterEraPaid``: the era is settled and closed for ever. Derived; signed by the ledger key."""

    kind: ClassVar[str] = "era-paid"

    cluster: Name
    era: Count
    start: Time
    end: Time
    first_index: Count
    """Index of the entry that opened the era."""
    last_index: Count
    """Index of the last entry before this one."""
    batches: Count
    lines: Count
    records: RecordCounts
    totals: Totals
    lines_root: Blake3
    """Inner Merkle root over the statement ids of the lines, in order."""
    completeness_root: Blake3
    """Inner Merkle root over the counts and sums per agent and per customer, so that an omission can be proven."""
    note: Literal["no attested work"] | None
