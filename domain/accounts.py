"""Accounts and transfers: double entry, so that all balances sum to zero after each entry.

Only banks may be below zero: what they are below is what came in from outside.
"""

from __future__ import annotations

from immutables import Map

from proofroom.domain.ids import KeyId

TREASURY = "treasury"
RESERVE = "reserve"


def bank_account(bank: KeyId) -> str:
    """Where money comes from and leaves to: never above zero."""
    return f"bank:{bank}"


def customer_account(cluster: str, customer: KeyId) -> str:
    """A customer's deposit in a cluster."""
    return f"customer:{cluster}:{customer}"


def bond_account(cluster: str, owner: KeyId) -> str:
    """The bond of a validator, or of the cluster (owned by its manager)."""
    return f"bond:{cluster}:{owner}"


def provider_account(provider: KeyId) -> str:
    """What a node provider earned."""
    return f"provider:{provider}"


def validator_account(validator: KeyId) -> str:
    """What a validator earned."""
    return f"validator:{validator}"


def clearing_account(cluster: str, era: int) -> str:
    """Where an era's charges meet its payouts: empty before and after."""
    return f"clearing:{cluster}:{era}"


def creator_account(creator: KeyId) -> str:
    """What a creator of listings earned."""
    return f"creator:{creator}"


def marketplace_account(owner: KeyId) -> str:
    """What the marketplaces of an owner earned."""
    return f"marketplace:{owner}"


def market_account(cluster: str, era: int) -> str:
    """Where an era's listing fees meet their payouts: empty before and after, and never mixed with the charges."""
    return f"market:{cluster}:{era}"


def transfer(balances: Map[str, int], debit: str, credit: str, amount: int) -> Map[str, int]:
    """Move ``amount`` from ``debit`` to ``credit``. An account at zero is not kept."""
    for account, change in ((debit, -amount), (credit, amount)):
        balance = balances.get(account, 0) + change
        assert balance <= 0 if account.startswith("bank:") else balance >= 0, f"{account} would be at {balance}"
        if balance:
            balances = balances.set(account, balance)
        elif account in balances:
            balances = balances.delete(account)
    return balances
