"""The registry in one call each: what is signed is what the rules ask for, by whatever key is in force."""

from __future__ import annotations

import pytest

from proofroom.adapters.keys import Key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.registry import Registry
from proofroom.adapters.stores import MemoryStore
from proofroom.domain.envelope import sign
from proofroom.domain.errors import Distrusted, GrantAbsent, GrantRevoked, NotNarrower, OutOfScope
from proofroom.domain.ids import from_ms
from proofroom.domain.statements.consent import Limits
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS, make_genesis
from proofroom.testing.keys import key
from strategies.rooms import signers

WALLET, AGENT, HELPER = key("wallet"), key("agent-service"), key("helper")


@pytest.fixture
def ledger() -> Ledger:
    """A ledger on a clock that stands still, with one vault."""
    ledger = Ledger(MemoryStore(Clock(START_MS)), signers())
    ledger.append(sign(make_genesis(), *signers()))
    Registry(ledger).open_vault(WALLET, "v-1")
    return ledger


def may(ledger: Ledger, who: Key, scope: str = "calendar") -> int:
    """How many links allow it."""
    return len(ledger.authorise(who.keyid, "v-1", scope, "read"))


def test_a_sub_agent_with_a_narrower_scope(ledger: Ledger) -> None:
    """What is not said is as in the parent; the wallet's word ends both at once."""
    registry = Registry(ledger)
    limits = Limits(operations=("read",), cpu_ms=10, gpu_units=0.25, per="era")
    both = ["v-1 / calendar", "v-1 / mail"]
    grant = registry.grant(WALLET, AGENT.keyid, both, limits=limits, delegable=True, expires_at=from_ms(START_MS + 9))
    narrower = registry.delegate(AGENT, HELPER.keyid, grant.statement, ["v-1 / calendar"], delegable=True)
    assert (may(ledger, HELPER), may(ledger, AGENT, "mail")) == (2, 1)
    with pytest.raises(OutOfScope):
        may(ledger, HELPER, "mail")
    version, above = ledger.authorise(HELPER.keyid, "v-1", "calendar", "read")
    assert version[7:7] == above[7:7]
    assert version[9:13] == above[9:13]
    assert version.expires_at == above.expires_at
    with pytest.raises(NotNarrower):
        registry.delegate(HELPER, key("other").keyid, narrower.statement, both)
    with pytest.raises(GrantAbsent):
        registry.delegate(HELPER, key("other").keyid, grant.statement)
    registry.delegate(HELPER, key("other").keyid, narrower.statement)
    assert may(ledger, key("other")) == 3
    registry.end_delegation(AGENT, WALLET.keyid, HELPER.keyid)
    for who in (HELPER, key("other")):
        with pytest.raises(GrantRevoked):
            may(ledger, who)
    registry.revoke(WALLET, AGENT.keyid)
    with pytest.raises(GrantRevoked):
        may(ledger, AGENT)
    registry.end_delegation(AGENT, WALLET.keyid, key("nobody").keyid)  # nothing need be in force


def test_whoever_holds_the_key_in_force(ledger: Ledger) -> None:
    """After a rotation and a compromise the calls are the same, with another signer."""
    registry, recovery, second, third = Registry(ledger), key("recovery"), key("wallet-2"), key("wallet-3")
    registry.set_recovery(WALLET, recovery)
    registry.set_recovery(WALLET, key("recovery-2"), recovery)
    registry.rotate(WALLET, second)
    place = registry.grant(second, AGENT.keyid, ["v-1 / calendar"])
    assert may(ledger, AGENT) == 1
    registry.compromise(WALLET.keyid, place.entry_index, key("recovery-2"), third)
    with pytest.raises(Distrusted):
        may(ledger, AGENT)
    registry.grant(third, AGENT.keyid, ["v-1 / calendar"], replace=True)
    assert may(ledger, AGENT) == 1
