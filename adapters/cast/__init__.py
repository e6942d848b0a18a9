"""A cast of signers that plays every part on a ledger: the demo, the benchmarks and the tests share it.

A host has its own wallets, services and validators; this is what each of them would sign, in a few lines each.
"""

from __future__ import annotations

from proofroom.adapters.cast.consent import DAY_MS, Consenting
from proofroom.adapters.cast.parties import PARAMETERS
from proofroom.adapters.cast.validators import Judging
from proofroom.adapters.cast.work import Work, Working, ids_of

__all__ = ["DAY_MS", "PARAMETERS", "Cast", "Work", "ids_of"]


class Cast(Consenting, Working, Judging):
    """Everybody. Each part of the play has a file of its own."""
