"""The money of a ledger a second time: double-entry books that read only what was stated, transfer by transfer."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.offences import Slashed
from proofroom.domain.statements.settlement import Deposit, EraPaid, Payout, Repayment
from proofroom.domain.statements.withdrawals import Withdrawal, WithdrawalPaid


class Books:
    """Double entry, from what was stated."""

    def __init__(self, penalties: dict[str, tuple[int, int]]) -> None:
        self.penalties = penalties
        """By cluster: floor and multiple of a slash."""
        self.counted: defaultdict[str, int] = defaultdict(int)
        """By cluster: records, less those that a paid era counted."""
        self.balances: defaultdict[str, int] = defaultdict(int)
        self.asked: dict[int, int] = {}
        """Withdrawals without an answer: index -> amount."""
        self.owed: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.lines: set[tuple[str, str, int, int]] = set()
        self.pots: defaultdict[str, int] = defaultdict(int)
        """What an era's clearing accounts took in."""

    def read(self, index: int, s: Any) -> None:
        """One entry."""
        if isinstance(s, Deposit):
            kind = "customer" if s.account == "customer" else "bond"
            self._move(f"bank:{s.bank}", f"{kind}:{s.cluster}:{s.owner}", int(s.amount))
        elif isinstance(s, Withdrawal):
            self.asked[index] = int(s.amount)
        elif isinstance(s, WithdrawalPaid):
            assert int(s.amount) <= self.asked.pop(s.request)
            self._move(s.debit, s.credit, int(s.amount))
        elif isinstance(s, (Payout, Repayment)):
            self._line(s)
        elif isinstance(s, Slashed):
            self._slash(s)
        elif isinstance(s, Activity):
            self.counted[s.cluster] += 1
        elif isinstance(s, EraPaid):
            pots = (f"clearing:{s.cluster}:{s.era}", f"market:{s.cluster}:{s.era}")
            assert not any(self.balances[pot] for pot in pots)
            self.counted[s.cluster] -= s.records.recorded
            t = {name: int(amount) for name, amount in s.totals.to_json().items()}
            assert (
                t["collected"] == t["providers"] + t["validators"] + t["treasury"] + t["reserve"] == self.pots[pots[0]]
            )
            fees = t.get("marketplaces", 0) + t.get("creators", 0)
            assert t.get("fees_collected", 0) == fees == self.pots[pots[1]]

    def _line(self, s: Payout | Repayment) -> None:
        place = (s.kind, s.cluster, s.era if isinstance(s, Payout) else s.deposit, s.line)
        assert place not in self.lines  # nobody is paid twice
        self.lines.add(place)
        if s.role in ("charge", "fee"):
            customer = (s.cluster, str(s.basis.customer))
            self.pots[s.credit] += int(s.amount)
            if isinstance(s, Payout):
                self.owed[customer] += int(s.basis.debt)
            else:
                self.owed[customer] -= int(s.amount)
        self._move(s.debit, s.credit, int(s.amount))

    def _slash(self, s: Slashed) -> None:
        """A misreport costs ``max(floor, multiple * charge)``, at most the bond; a validator's offence all of it."""
        bond, (floor, multiple) = self.balances[s.debit], self.penalties[s.cluster]
        due = max(floor, multiple * int(s.basis.charge or 0)) if s.offence == "misreport" else bond
        assert (int(s.amount), s.credit) == (min(bond, due), "treasury")
        self._move(s.debit, s.credit, int(s.amount))

    def _move(self, debit: str, credit: str, amount: int) -> None:
        self.balances[debit] -= amount
        self.balances[credit] += amount
        for account in (debit, credit):
            assert self.balances[account] <= 0 if account.startswith("bank:") else self.balances[account] >= 0
