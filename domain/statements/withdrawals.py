"""Statements of money that leaves."""

from __future__ import annotations

from typing import ClassVar, Literal

from proofroom.domain.statements.fields import (
    Account,
    Amount,
    Count,
    Key,
    LedgerStatement,
    Name,
    Positive,
    Time,
)

EARNINGS = frozenset({"provider", "validator", "creator", "marketplace"})
"""Accounts that are not kept by cluster."""


class Withdrawal(LedgerStatement):
    """The owner of money asks for it. Signed by the owner's key."""

    kind: ClassVar[str] = "withdrawal"

    account: Literal["customer", "validator-bond", "cluster-bond", "provider", "validator", "creator", "marketplace"]
    cluster: Name | None
    """Of a deposit or a bond; null for what was earned, which is not kept by cluster."""
    owner: Key
    amount: Positive
    bank: Key
    """Through which the money is to leave."""
    created_at: Time
    """Strictly newer than the owner's last request on this account."""


class WithdrawalPaid(LedgerStatement):
    """A request is unlocked, and its money left. Derived; signed by the ledger key."""

    kind: ClassVar[str] = "withdrawal-paid"

    request: Count
    """Index of the ``withdrawal``."""
    waited_ms: Count
    """How long it had to wait: 7 days for a deposit, 28 for a bond, 0 for earnings."""
    debit: Account
    credit: Account
    """The bank's account."""
    amount: Amount
    """What was asked, less what charges and slashes took meanwhile, at most what the bank brought in."""
