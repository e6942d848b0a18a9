"""Withdrawals: money that leaves the ledger, as its owner asked (protocol 6).

The owner signs a ``withdrawal`` that names the bank. When the money is unlocked, the ledger itself must state ``withdrawal-paid``: the
money moves to the bank's account, and from then on it is the bank that owes it to the owner, outside. A bank can owe no more than it
brought in.
"""

from __future__ import annotations

from proofroom.domain.accounts import (
    bank_account,
    bond_account,
    creator_account,
    customer_account,
    marketplace_account,
    provider_account,
    validator_account,
)
from proofroom.domain.claims import Chunk
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.debts import get_debt
from proofroom.domain.entry import Entry
from proofroom.domain.errors import BankShort, InDebt, KeyNotInForce, StaleVersion, Unregistered
from proofroom.domain.ids import KeyId, from_ms
from proofroom.domain.money import parse_amount
from proofroom.domain.state import Due, State
from proofroom.domain.statements.withdrawals import EARNINGS, Withdrawal, WithdrawalPaid
from proofroom.domain.unlocking import BOND_MS, DEPOSIT_MS, close_first, first_unlocked, move, unlock

_EARNED = {
    "provider": provider_account,
    "validator": validator_account,
    "creator": creator_account,
    "marketplace": marketplace_account,
}


def account_of(s: Withdrawal) -> tuple[str, int]:
    """The account that a withdrawal is from, and how long it waits: 7 days for a deposit, 28 for a bond, not at all for earnings.

    Raises:
        Unregistered: a deposit or a bond without its cluster, or earnings with one.
    """
    if (s.cluster is None) is not (s.account in EARNINGS):
        raise Unregistered(what="account", key=f"{s.account} of {s.cluster or 'no cluster'}")
    if s.cluster is None:
        return _EARNED[s.account](s.owner), 0
    if s.account == "customer":
        return customer_account(s.cluster, s.owner), DEPOSIT_MS
    return bond_account(s.cluster, s.owner), BOND_MS


def get_brought_in(state: State, bank: KeyId) -> int:
    """What came in through a bank and has not gone out through it."""
    return -state.balances.get(bank_account(bank), 0)


def apply_withdrawal(state: State, entry: Entry, s: Withdrawal) -> State:
    """The owner asks for its money; it waits from now on.

    Raises:
        Unregistered: no such account.
        KeyNotInForce: the bank is none of this ledger.
        StaleVersion: not newer than the account's newest request, so that none counts twice.
        InDebt: a customer that owes anything here cannot withdraw.
        NotFree, TooManyChunks: there is not so much that is free, or too many requests are open.
        BankShort: the bank brought in less.
    """
    created_at_ms = check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    if state.founding is None or s.bank not in state.founding.bank_keys:
        raise KeyNotInForce(keyid=s.bank, role="bank")
    account, wait_ms = account_of(s)
    before = state.unlocking.get(account)
    if before is not None and created_at_ms <= before.asked_ms:
        raise StaleVersion(what="the withdrawal", created_at=s.created_at, newest=from_ms(before.asked_ms))
    debt = get_debt(state, s.cluster, s.owner) if s.cluster is not None and s.account == "customer" else 0
    if debt:
        raise InDebt(customer=s.owner, cluster=s.cluster or "", debt=str(debt))
    amount = parse_amount(s.amount)
    at_ms = entry.recorded_at_ms + wait_ms if wait_ms else 0
    state = unlock(state, account, Chunk(entry.index, amount, at_ms, s.bank), created_at_ms, wait_ms)
    if amount > get_brought_in(state, s.bank):
        raise BankShort(bank=s.bank, held=str(get_brought_in(state, s.bank)), asked=s.amount)
    return state


def derive_withdrawal(state: State, due: Due, now_ms: int) -> WithdrawalPaid:
    """The oldest request that is unlocked pays ``min(what is left of it, what its bank brought in)``; what the bank lacks stays."""
    account, chunk = first_unlocked(state, due.number)
    return WithdrawalPaid(
        ledger=state.ledger,
        request=chunk.request,
        waited_ms=due.number,
        debit=account,
        credit=bank_account(chunk.bank),
        amount=str(min(chunk.amount, get_brought_in(state, chunk.bank))),
    )


def apply_withdrawal_paid(state: State, entry: Entry, s: WithdrawalPaid) -> State:
    """The money has left."""
    return move(close_first(state, s.waited_ms), s.debit, s.credit, parse_amount(s.amount))
