"""What owners of money sign, for tests: withdrawals."""

from __future__ import annotations

from typing import Any

from proofroom.adapters.cast import Cast
from proofroom.adapters.keys import Key
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.statements.withdrawals import EARNINGS, Withdrawal


def withdraw(cast: Cast, owner: Key, amount: int, account: str = "customer", **changes: Any) -> Envelope:
    """An owner asks for money of its own, through the cast's bank."""
    fields: dict[str, Any] = {
        "ledger": cast.ledger,
        "account": account,
        "cluster": None if account in EARNINGS else cast.cluster,
        "owner": owner.keyid,
        "amount": str(amount),
        "bank": cast.bank.keyid,
        "created_at": cast.now(),
    }
    return sign(Withdrawal(**fields | changes), owner)
