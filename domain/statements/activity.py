"""Statements of work: the activity record and the batch that seals it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from proofroom.domain.statements.fields import (
    Blake3,
    Compute,
    Count,
    Key,
    LedgerStatement,
    Model,
    Name,
    RecordId,
    ResultDigest,
    Text,
    Time,
    Usage,
    VaultScope,
)

MAX_BATCH = 10_000
"""Records of one batch (protocol 1.1)."""


class Signers(Model):
    """Which key signs in which role; three distinct keys."""

    agent_derived_key: Annotated[Key, Field(alias="agent-derived-key")]
    orchestrator: Key
    agent_runtime: Annotated[Key, Field(alias="agent-runtime")]


class Activity(LedgerStatement):
    """One operation of an agent on one vault scope, with what it cost. Signed in three roles at source."""

    kind: ClassVar[str] = "activity"

    record_id: RecordId
    agent: Key
    """The agent service that was granted."""
    vault_scope: VaultScope
    operation: Text
    compute: Compute
    data: Usage
    result_hash: ResultDigest
    """Over the encrypted result, which stays off the ledger."""
    input_commitment: Blake3
    """Salted, so that it tells nothing of the input and can be erased."""
    grant: Blake3
    """Statement id of the version of the grant that the agent relied on."""
    cluster: Name
    era: Count
    node: Name
    customer: Key
    """Whose deposit pays: the grant's user, or a payer."""
    listing: Blake3 | None
    """The version of a marketplace listing that the record is sold under."""
    started_at: Time
    ended_at: Time
    signers: Signers

    def to_json(self) -> dict[str, object]:
        """The object with the page's spelling of the roles."""
        return self.model_dump(exclude_unset=True, by_alias=True)


class BatchSealed(LedgerStatement):
    """The orchestrator seals its oldest unsealed records: the one thing a chain would carry. Signed by the orchestrator."""

    kind: ClassVar[str] = "batch-sealed"

    cluster: Name
    era: Count
    orchestrator: Key
    batch: Count
    """Gapless per cluster and era, from 0."""
    count: Annotated[int, Field(strict=True, ge=1, le=MAX_BATCH)]
    root: Blake3
    """Inner Merkle root over the statement ids of the records, in log order."""
