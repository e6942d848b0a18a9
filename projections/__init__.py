"""Read models: tables in DuckDB that are fed from the log and from nothing else. They know the shape of entries, not the rules."""

from __future__ import annotations

from proofroom.projections.activity import ACTIVITY
from proofroom.projections.attestation import ATTESTATION
from proofroom.projections.base import Projection
from proofroom.projections.consent import CONSENT
from proofroom.projections.governance import GOVERNANCE
from proofroom.projections.history import HISTORY
from proofroom.projections.log import LOG
from proofroom.projections.marketplace import MARKETPLACE
from proofroom.projections.money import MONEY
from proofroom.projections.offences import OFFENCES
from proofroom.projections.proposals import PROPOSALS
from proofroom.projections.usage import USAGE
from proofroom.projections.validators import VALIDATORS

__all__ = ["PROJECTIONS"]

PROJECTIONS: tuple[Projection, ...] = (
    LOG,
    CONSENT,
    HISTORY,
    GOVERNANCE,
    PROPOSALS,
    ACTIVITY,
    ATTESTATION,
    VALIDATORS,
    OFFENCES,
    MONEY,
    MARKETPLACE,
    USAGE,
)
"""All of them, in the order in which they are made and fed: views look only at relations before them."""
