"""Deposits: money that comes in from outside (protocol 6)."""

from __future__ import annotations

from proofroom.domain.accounts import bank_account, bond_account, customer_account, transfer
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.debts import begin_repayment
from proofroom.domain.entry import Entry
from proofroom.domain.errors import AlreadyRecorded, Overflow, Unregistered
from proofroom.domain.money import AMOUNT_LIMIT, parse_amount
from proofroom.domain.proposals import check_manager_or_elect
from proofroom.domain.state import State
from proofroom.domain.statements.settlement import Deposit


def apply_deposit(state: State, entry: Entry, s: Deposit) -> State:
    """Money comes in, once for each reference. A customer in debt repays with it at once.

    Raises:
        Unregistered: no such cluster, or the owner is neither its manager nor elected to be, whose bond it names.
        AlreadyRecorded: the bank's reference is taken.
        Overflow: all money together would leave the range of amounts, so that one account could in the end.
    """
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    cluster = state.clusters.get(s.cluster)
    if cluster is None:
        raise Unregistered(what="cluster", key=s.cluster)
    if s.account == "cluster-bond":
        check_manager_or_elect(cluster, s.owner)
    if (s.bank, s.reference) in state.deposits:
        raise AlreadyRecorded(what="deposit", key=s.reference)
    amount = parse_amount(s.amount)
    banks = state.founding.bank_keys if state.founding is not None else ()
    if amount - sum(state.balances.get(bank_account(bank), 0) for bank in banks) >= AMOUNT_LIMIT:
        raise Overflow(account="all accounts together")
    account = (customer_account if s.account == "customer" else bond_account)(s.cluster, s.owner)
    state = state._replace(
        balances=transfer(state.balances, bank_account(s.bank), account, amount),
        deposits=state.deposits.set((s.bank, s.reference), entry.index),
    )
    return begin_repayment(state, entry.index, s.cluster, s.owner) if s.account == "customer" else state
