"""What the state knows of validators: their standing, and what the ledger has yet to punish."""

from __future__ import annotations

from typing import Literal, NamedTuple

from proofroom.domain.ids import KeyId


class ValidatorFacts(NamedTuple):
    """A validator of one cluster. It is kept when it has left, so that its key never serves again and what it signed still counts."""

    controller: KeyId
    beacon: bytes
    """The chain value it revealed last."""
    next_round: int
    """The round to which the next preimage belongs; a later round takes as many steps more."""
    status: Literal["active", "left", "removed"] = "active"
    withheld: tuple[int, ...] = ()
    """Eras, of the last ten, in which it withheld a beacon value; counted where the cluster suspends."""
    suspended_until: int = -1
    """The last era in which it is not eligible."""


class Penalty(NamedTuple):
    """Something that the ledger must punish by a statement of its own."""

    offence: Literal["misreport", "repetition", "equivocation", "false-beacon", "withholding"]
    cluster: str
    party: str
    """The node, or the validator."""
    era: int = 0
    """In which a node misreported or a validator withheld."""
    records: int = 0
    """Misreported."""
    charge: int = 0
    """What these would have cost."""
    evidence: bytes = b""
    """Statement id of the evidence."""
