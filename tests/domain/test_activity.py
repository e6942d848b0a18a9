"""Records and batches: the windows of their times, and the queue from which batches are sealed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.cast import Work
from proofroom.domain.activity import batch_root, unsealed
from proofroom.domain.envelope import sign
from proofroom.domain.errors import BatchMismatch, WrongNumber
from proofroom.domain.ids import SKEW_MS, from_ms, record_id
from proofroom.domain.state import UsageSum
from proofroom.domain.statements.activity import Signers
from proofroom.testing.histories import START_MS, History, resign
from proofroom.testing.keys import key


def started(**cluster: Any) -> History:
    """A cluster, founded with these changes, and its open era 0, two seconds in."""
    history = History()
    cast = history.cast
    _, *rest = cast.founding()
    history.write(cast.found_cluster(**cluster), *rest, *cast.consent(), cast.open_era(0))
    history.sleep(2_000)
    return history


EDGES: list[dict[str, Any]] = [
    {"record_id": record_id(START_MS - SKEW_MS, bytes(10))},
    {"record_id": record_id(START_MS + 2_000 + SKEW_MS, bytes(10))},
    {"ended_at": from_ms(START_MS + 2_000 + SKEW_MS)},
    {"started_at": from_ms(START_MS - SKEW_MS), "ended_at": from_ms(START_MS - SKEW_MS)},
    {"started_at": from_ms(START_MS - SKEW_MS), "ended_at": from_ms(START_MS + 2_000 + SKEW_MS)},
]


@pytest.mark.parametrize("times", EDGES, ids=str)
def test_times_on_the_edge_are_accepted(times: dict[str, Any]) -> None:
    """Ids and times exactly 5 minutes before the era or ahead of the clock; one ms further is in ``test_refusals``."""
    history = started()
    history.record(history.cast.activity(history.grant, 0, **times))


def test_a_record_counts_what_it_states() -> None:
    """Usage is read from the record as integers, GPU units in millionths."""
    history = started()
    (entry,) = history.work(0, Work(412, 0.83, 1, 2, 3, 4))
    (pending,) = unsealed(history.state.eras["dragon-1", 0])
    assert pending.usage == UsageSum(412, 830_000, 1, 2, 3, 4)
    assert (pending.log_index, pending.id, pending.node) == (entry.index, entry.verified.id, "node-0")
    assert (pending.agent, pending.customer) == (history.cast.agent.keyid, history.cast.user.keyid)


@settings(max_examples=settings().max_examples // 4)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=14))
def test_batches_take_the_oldest_of_their_orchestrator(steps: list[tuple[bool, int]]) -> None:
    """With two orchestrators: batch numbers are gapless over both, and each batch holds the oldest records of its own one."""
    names = ["orchestrator", "orchestrator-2"]
    history = started(orchestrators=[key(name).keyid for name in names])
    cast = history.cast
    waiting: dict[int, list[bytes]] = {0: [], 1: []}
    batches = 0
    for who, count in ((int(second), count) for second, count in steps):
        cast.orchestrator = key(names[who])
        if count == 0:
            waiting[who].append(history.record(cast.activity(history.grant, 0)).verified.id)
            continue
        batch = cast.seal(0, batches, waiting[who][:count] or [bytes(32)])
        if not waiting[who]:
            with pytest.raises(BatchMismatch):
                history.record(batch)
            continue
        with pytest.raises(WrongNumber):
            history.record(resign(batch, batch=batches + 1))
        history.write(batch)
        assert [r.id for r in history.state.rounds["dragon-1", batches].records] == waiting[who][:count]
        waiting[who], batches = waiting[who][count:], batches + 1
    assert history.state.eras["dragon-1", 0].batches == batches
    assert sorted(r.id for r in unsealed(history.state.eras["dragon-1", 0])) == sorted(waiting[0] + waiting[1])


def test_a_batch_of_another_order_does_not_match() -> None:
    """The root commits to the order of the log."""
    history = started()
    first, second = (entry.verified.id for entry in history.work(0, Work(1), Work(2)))
    assert batch_root([first, second]) != batch_root([second, first])
    with pytest.raises(BatchMismatch):
        history.record(history.cast.seal(0, 0, [second, first]))
    history.record(history.cast.seal(0, 0, [first, second]))


def test_a_record_goes_to_the_orchestrator_that_signed_it() -> None:
    """Each of two orchestrators seals only what it signed itself."""
    history = started(orchestrators=[key("orchestrator").keyid, key("orchestrator-2").keyid])
    cast, other = history.cast, key("orchestrator-2")
    roles = {"agent-derived-key": cast.derived.keyid, "agent-runtime": cast.runtimes[0].keyid}
    statement = cast.record(history.grant, 0, signers=Signers.model_validate({**roles, "orchestrator": other.keyid}))
    entry = history.record(sign(statement, cast.derived, other, cast.runtimes[0]))
    with pytest.raises(BatchMismatch):
        history.record(cast.seal(0, 0, [entry.verified.id]))
    cast.orchestrator = other
    history.record(cast.seal(0, 0, [entry.verified.id]))
