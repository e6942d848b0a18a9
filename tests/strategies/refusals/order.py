"""What is refused by order, time and authority, and of what the ledger states itself."""

from __future__ import annotations

from typing import Any

from proofroom.domain import errors
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import MAX_TIME_MS, from_ms
from proofroom.domain.statements.ledger import Tick
from proofroom.domain.statements.settlement import EraSealed
from proofroom.testing.histories import HOUR_MS, START_MS, History, make_genesis, resign
from proofroom.testing.keys import key
from strategies.refusals.cases import NOWHERE, refused

# --- order, time, genesis


@refused(errors.WrongIndex, lambda h: {"index": h.state.size + 1, "expected": h.state.size})
def _tick_with_another_index(h: History) -> Envelope:
    return sign(Tick(ledger=h.state.ledger, index=h.state.size + 1), key("ledger"))


@refused(errors.TimeWentBack, recorded_at_ms=START_MS + 1_999, last_ms=START_MS + 2_000)
def _clock_one_ms_back(h: History) -> Envelope:
    h.tick()
    h.clock -= 1
    return h.cast.open_vault()


@refused(errors.TimeOutOfRange, recorded_at_ms=MAX_TIME_MS + 1)
def _clock_beyond_what_can_be_written(h: History) -> Envelope:
    statement = resign(h.cast.open_vault(), vaultId="v-2")
    h.clock = MAX_TIME_MS + 1
    return statement


@refused(errors.NotGenesis, lambda h: {"kind": "genesis", "index": h.state.size})
def _second_genesis(h: History) -> Envelope:
    return sign(make_genesis(), key("ledger"), key("checkpoint"))


@refused(errors.OtherLedger, lambda h: {"ledger": NOWHERE, "expected": h.state.ledger})
def _statement_of_another_ledger(h: History) -> Envelope:
    return resign(h.cast.open_vault(), ledger=NOWHERE)


# --- authority


@refused(errors.MissingRole, kind="activity", role="orchestrator", keyid=key("orchestrator").keyid)
def _record_without_orchestrator(h: History) -> Envelope:
    return resign(h.cast.activity(h.grant, 0), without=[h.cast.orchestrator.keyid])


@refused(errors.ExtraSignature, kind="vault-opened", keyid=key("stranger").keyid)
def _stranger_signs_too(h: History) -> Envelope:
    return resign(h.cast.open_vault(), extra=[key("stranger")])


@refused(errors.SharedKey, kind="agent-key", keyid=key("agent-service").keyid)
def _service_certifies_itself(h: History) -> Envelope:
    return resign(h.cast.certify(), key=h.cast.agent.keyid, without=[h.cast.derived.keyid])


@refused(errors.Unregistered, what="cluster", key="nowhere")
def _era_of_no_cluster(h: History) -> Envelope:
    return resign(h.cast.open_era(1), cluster="nowhere")


@refused(errors.KeyNotInForce, keyid=key("stranger").keyid, role="bank")
def _deposit_by_no_bank(h: History) -> Envelope:
    statement = resign(h.cast.deposit(h.cast.user.keyid, 1), bank=key("stranger").keyid, extra=[key("stranger")])
    return resign(statement, without=[h.cast.bank.keyid])


# --- derived statements


@refused(errors.DueFirst, due="era-sealed", kind="activity")
def _record_after_the_end(h: History) -> Envelope:
    h.sleep(24 * HOUR_MS)
    return h.cast.activity(h.grant, 0)


def era_sealed(h: History, **changes: Any) -> Envelope:
    """The seal of era 0 as it will be due at its end, with changes."""
    fields: dict[str, Any] = {
        "ledger": h.state.ledger,
        "cluster": h.cast.cluster,
        "era": 0,
        "start": from_ms(START_MS),
        "end": from_ms(START_MS + 24 * HOUR_MS),
        "batches": 0,
        "recorded": 0,
        "late": 0,
    }
    return sign(EraSealed(**fields | changes), key("ledger"))


@refused(errors.NotDue, kind="era-sealed")
def _seal_one_ms_early(h: History) -> Envelope:
    h.clock = START_MS + 24 * HOUR_MS - 1
    return era_sealed(h)


@refused(errors.NotDerived, kind="era-sealed", field="recorded")
def _seal_with_a_record_that_is_not_there(h: History) -> Envelope:
    h.clock = START_MS + 24 * HOUR_MS
    return era_sealed(h, recorded=1)
