"""What a check can find. One table for the verifier, the audit and the command line."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Verdict(IntEnum):
    """A verdict; its value is the exit status. The last two are one only where the reader asks for more."""

    VALID = 0
    """All that the file claims was checked and holds."""
    INVALID = 10
    """Something in it is not what it claims to be."""
    INCOMPLETE = 11
    """It ends before, or cannot be joined to, a checkpoint that was kept elsewhere."""
    FORKED = 12
    """The log's key signed two histories."""
    SUSPECT = 13
    """It was recorded, and nobody independent vouches for it."""
    REVOKED_GRANT = 14
    """The record used a grant that was not in force at its index."""
    UNWITNESSED = 15
    """No witness that the reader trusts saw this log: its keeper could show others another one. Qualifies a VALID."""
    ERASED = 16
    """What the record was about was destroyed by its owner; the proof stands without it. Qualifies a VALID."""

    @property
    def title(self) -> str:
        """The verdict as it is written."""
        return self.name.replace("_", "-")


class Fault(Exception):
    """A check that does not hold: the verdict that it leads to, why, and at which entry."""

    def __init__(self, why: str, at: int | None = None, verdict: Verdict = Verdict.INVALID) -> None:
        super().__init__(why)
        self.why, self.at, self.verdict = why, at, verdict


class Report(NamedTuple):
    """The outcome for one file."""

    verdict: Verdict
    why: str
    """What was found, for a person."""
    at: int | None = None
    """Index of the entry that does not hold."""
    notes: tuple[str, ...] = ()
    """What a reader should know besides, such as that the grant was revoked later."""

    def sentence(self) -> str:
        """The outcome in one line."""
        place = f" at {self.at}" if self.at is not None else ""
        return "; ".join((f"{self.verdict.title}{place}: {self.why}", *self.notes))
