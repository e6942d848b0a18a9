"""Whatever wallets, services, sub-agents, payers, thieves and clocks do: a record gets in exactly when the reference model lets it in."""

from __future__ import annotations

from hypothesis import settings

from proofroom.testing.family_machine import FamilyMachine
from strategies.rooms import soak

TestConsent = FamilyMachine.TestCase
TestConsent.settings = settings(max_examples=soak(12, 1_000), stateful_step_count=35)
