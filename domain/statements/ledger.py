"""Statements about the ledger itself."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from proofroom.domain.checkpoint import ORIGIN_PATTERN
from proofroom.domain.statements.fields import Count, Key, LedgerStatement, Statement, Time


class Genesis(Statement):
    """Entry 0: who keeps this ledger and by which rules. Signed by the ledger key and the checkpoint key.

    Its statement id is the ``ledger`` that every later statement names.
    """

    kind: ClassVar[str] = "genesis"

    origin: Annotated[str, Field(pattern=ORIGIN_PATTERN)]
    """Name of the log on its checkpoints, such as ``example.org/room``."""
    created_at: Time
    rules: Annotated[int, Field(strict=True, ge=1, le=2**16)]
    """The rules version that the transition dispatches on."""
    ledger_key: Key
    """Signs what the ledger derives."""
    ledger_recovery_key: Key
    checkpoint_key: Key
    """Signs tree heads."""
    checkpoint_recovery_key: Key
    bank_keys: Annotated[tuple[Key, ...], Field(strict=False, min_length=1, max_length=32)]
    """Each may state that money came in from outside."""
    unit: Annotated[str, Field(pattern=r"^[A-Z]{2,12}$")]
    """Name of the currency; amounts are its base units (for CERE 10^-10)."""


class Tick(LedgerStatement):
    """The ledger lets time pass, so that deadlines take effect without other traffic. Signed by the ledger key."""

    kind: ClassVar[str] = "tick"

    index: Count
    """Its own index, which makes each tick a statement of its own."""
