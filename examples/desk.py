"""A host application, small and whole: a desk at which anybody hands in signed statements.

It embeds a ledger, answers in the words of HTTP, gives a receipt for each statement, keeps the newest checkpoint where the ledger's folder
cannot be reached, and tells its other parts who may do what. ``test_desk.py`` holds it against the rules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from proofroom import Ledger, ProofroomError
from proofroom.domain.errors import Conflict, Unavailable
from proofroom.domain.ids import KeyId

CONFLICT, BAD, OUT_OF_ORDER = 409, 422, 503


class Answer(NamedTuple):
    """What the desk says, as an HTTP server would send it."""

    status: int
    body: dict[str, Any]


class Desk:
    """The desk.

    Args:
        ledger: its ledger; the desk closes it.
        elsewhere: a folder on another machine, as far as whoever breaks into this one is concerned.
    """

    def __init__(self, ledger: Ledger, elsewhere: Path) -> None:
        self.ledger, self.elsewhere = ledger, elsewhere
        elsewhere.mkdir(parents=True, exist_ok=True)

    def post(self, body: bytes) -> Answer:
        """Take in one envelope: 201 with its place and receipt, 200 where it has one already, or what is wrong with it."""
        try:
            recorded = self.ledger.append(body)
        except ProofroomError as e:
            return Answer(_status(e), {"error": e.to_json()})
        receipt = self.ledger.receipt(recorded.entry_index)
        self._keep(receipt.note)
        status = 200 if recorded.repeated else 201
        return Answer(status, {"index": recorded.entry_index, "receipt": receipt.to_tlog_proof()})

    def may(self, agent: KeyId, vault: str, scope: str, operation: str = "read") -> bool:
        """Whether an agent service may do this now. No answer is no."""
        try:
            self.ledger.authorise(agent, vault, scope, operation)
        except ProofroomError:
            return False
        return True

    def kept(self) -> str:
        """The newest checkpoint that is kept elsewhere."""
        return (self.elsewhere / "checkpoint").read_text()

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def _keep(self, note: str) -> None:
        new = self.elsewhere / "checkpoint.new"
        new.write_text(note)
        new.replace(self.elsewhere / "checkpoint")


def _status(error: ProofroomError) -> int:
    if isinstance(error, Conflict):
        return CONFLICT
    return OUT_OF_ORDER if isinstance(error, Unavailable) else BAD
