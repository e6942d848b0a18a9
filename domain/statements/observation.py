"""The statement of a meter that is not the runtime: what it saw of one run. It travels beside the ledger and is never an entry of it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from proofroom.domain.canonical import millionths
from proofroom.domain.statements.fields import (
    Blake3,
    Count,
    Key,
    LedgerStatement,
    ResultDigest,
    Time,
    Units,
    VaultScope,
)


class Observed(LedgerStatement):
    """What a gateway, a node's telemetry or a storage saw of the run behind a record. Signed by the source's key.

    Null stands for what the source has no meter for, never for zero.
    """

    kind: ClassVar[str] = "observation"

    record: Blake3
    """Statement id of the activity record."""
    source: Key
    meter: Literal["gateway", "node", "storage"]
    cpu_ms: Count | None
    gpu_units: Units | None
    byte_seconds: Count | None
    bytes_streamed: Count | None
    puts: Count | None
    gets: Count | None
    scopes: Annotated[tuple[VaultScope, ...], Field(strict=False, max_length=64)] | None
    """All vault scopes that were touched."""
    result_hash: ResultDigest | None
    created_at: Time

    @property
    def gpu_micro(self) -> int | None:
        """GPU units in millionths."""
        return None if self.gpu_units is None else millionths(self.gpu_units)
