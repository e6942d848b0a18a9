"""Every way in which a rule says no, by topic."""

from strategies.refusals import attestation, consent, governance, keys, marketplace, money, order, work
from strategies.refusals.cases import CASES, Case, started

__all__ = [
    "CASES",
    "Case",
    "attestation",
    "consent",
    "governance",
    "keys",
    "marketplace",
    "money",
    "order",
    "started",
    "work",
]
