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
    """The customer, the validator, or the cluster's manager, also one who is elected and not yet in office."""
    amount: Amount
    created_at: Time


class EraSealed(LedgerStatement, Sparse):
    """An era accepts no more records. Derived, at its time or at the manager's request; signed by the ledger key."""

    kind: ClassVar[str] = "era-sealed"

    cluster: Name
    era: Count
    start: Time
    end: Time
    batches: Count
    recorded: Count
    late: Count
    """Records in no batch; they are not attested and never pay, but for those that are carried."""
    carried: Count | None = None
    """Late records that go to the next era and count there: all that are late, where the parameters say so."""


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
    marketplace: Name | None = None
    creator: Key | None = None
    listing: Blake3 | None = None
    """The version of a listing that was sold."""
    records: Count = 0
    """Attested records (of the customer or on the node), or records inspected with the outcome (by the validator)."""
    charged: ChargeParts | None = None
    """What the attested usage costs; of a repayment, what was owed."""
    collected: ChargeParts | None = None
    """What the deposit covered, of each part."""
    fee: Amount | None = None
    """What the listing's records cost; of a repayment, what was owed."""
    debt: Amount = "0"
    """What it did not cover."""


Role = Literal["charge", "fee", "treasury", "reserve", "validator", "provider", "marketplace", "creator"]
"""What a line is for: ``charge`` and ``fee`` (of a listing) are paid by a customer, the others are paid out."""


class Payout(LedgerStatement):
    """One line of an era's settlement: a transfer between two accounts. Derived; signed by the ledger key."""

    kind: ClassVar[str] = "payout"

    cluster: Name
    era: Count
    line: Count
    """Gapless, from 0."""
    role: Role
    debit: Account
    """The account that gives."""
    credit: Account
    """The account that receives."""
    amount: Amount
    basis: Basis


class Repayment(LedgerStatement):
    """One line of what a deposit repays: a transfer, as in the settlement of the era of which it was owed.

    Derived, line after line, as soon as a customer in debt deposits; signed by the ledger key.
    """

    kind: ClassVar[str] = "repayment"

    cluster: Name
    customer: Key
    deposit: Count
    """Index of the deposit that repays."""
    line: Count
    """Gapless, from 0, for each deposit."""
    era: Count
    """Of the debt."""
    role: Role
    debit: Account
    credit: Account
    amount: Amount
    basis: Basis


class RecordCounts(Model):
    """What became of the era's records; the three last sum to the first."""

    recorded: Count
    attested: Count
    rejected: Count
    unattested: Count


class Totals(Sparse):
    """Sums of the lines: ``collected`` equals the sum of the four receivers, to the unit.

    Fees of listings are apart, and there only when any are charged: ``fees_collected`` equals what marketplaces and creators received.
    """

    charged: Amount
    collected: Amount
    debt: Amount
    providers: Amount
    validators: Amount
    treasury: Amount
    reserve: Amount
    fees_charged: Amount | None = None
    fees_collected: Amount | None = None
    fees_debt: Amount | None = None
    marketplaces: Amount | None = None
    creators: Amount | None = None


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
    carried: Count = 0
    """Records that it does not count because they were late and go to the next era; absent when there are none."""
    totals: Totals
    lines_root: Blake3
    """Inner Merkle root over the statement ids of the lines, in order."""
    completeness_root: Blake3
    """Inner Merkle root over the counts and sums per agent and per customer, so that an omission can be proven."""
    note: Literal["no attested work"] | None
