"""Records are what was signed, exactly, and batches hold what they sealed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.cast import Work
from proofroom.domain.activity import usage_of
from proofroom.domain.ids import to_ms
from proofroom.domain.statements.activity import Activity
from proofroom.testing.histories import History, store_of
from proofroom.testing.worlds import histories, units
from strategies.rooms import forge, soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history
from strategies.worlds import places_of


def check_batches(history: History) -> None:
    """Batch membership against :func:`places_of`, and each record against its statement."""
    views = fresh_views(page=7)
    views.project(store_of(history))
    rows = views.sql("SELECT entry_index, batch, position, batch_index FROM record_batches").fetchall()
    assert {index: tuple(place) for index, *place in rows} == places_of(history)
    assert len(rows) == len(places_of(history))
    query = """SELECT record_id, cpu_ms, gpu_micro, byte_seconds, bytes_streamed, puts, gets, statement_id, grant_id, customer,
        derived_key, runtime_key, epoch_ms(started_at), epoch_ms(ended_at) FROM records WHERE entry_index = """
    for entry in history.entries:
        if isinstance(s := entry.statement, Activity):
            (row,) = views.sql(query + str(entry.index)).fetchall()
            ids = (entry.verified.digest, s.grant, s.customer, s.signers.agent_derived_key, s.signers.agent_runtime)
            assert row == (s.record_id, *usage_of(s), *ids, to_ms(s.started_at), to_ms(s.ended_at))
    views.close()


@settings(max_examples=soak(2, 200))
@given(histories())
def test_batches_hold_the_oldest_unsealed_records(history: History) -> None:
    """For random histories, taken in by sevens."""
    check_batches(history)


def test_batches_of_the_whole_history() -> None:
    """With a partial seal and a late record."""
    check_batches(whole_history())


def test_queues_of_two_orchestrators_do_not_mix() -> None:
    """Each seals its own records, in whatever order they come."""
    history = History(seed="two")
    cast = history.cast
    other = cast.key("orchestrator-2")
    history.write(cast.found_cluster(orchestrators=[cast.orchestrator.keyid, other.keyid]))
    history.write(cast.deposit(cast.manager.keyid, 10**12, account="cluster-bond"), *cast.consent(), cast.open_era(0))
    first = cast.orchestrator
    for turn in (first, other, other, first, other, first, first):
        cast.orchestrator = turn
        history.work(0, Work(1))
    for turn, count in ((other, 2), (first, 3), (other, 1), (first, 1)):
        cast.orchestrator = turn
        history.seal(0, count)
    check_batches(history)


@settings(max_examples=soak(5, 50))
@given(st.lists(st.integers(0, 10**15) | st.integers(10**15 - 10**6, 10**15), min_size=1, max_size=20))
def test_gpu_units_are_exact(micros: list[int]) -> None:
    """Millionths come out as they were signed, from zero to a thousand million units."""
    history = whole_history()
    envelopes = [history.cast.activity(history.grant, 0, Work(gpu_units=units(micro))) for micro in micros]
    views = fresh_views()
    views.project(forge([(history.clock, envelope) for envelope in envelopes]))
    assert [row[0] for row in views.sql("SELECT gpu_micro FROM records ORDER BY entry_index").fetchall()] == micros
    views.close()


def test_text_and_times_survive() -> None:
    """Any text that may be signed, and milliseconds of any date."""
    history = whole_history()
    operation = "read\x00 \"'\\ é 😀 \u2028"
    times: dict[str, Any] = {"started_at": "1970-01-01T00:00:00.001Z", "ended_at": "9999-12-31T23:59:59.999Z"}
    views = fresh_views()
    views.project(forge([(7, history.cast.activity(history.grant, 0, operation=operation, **times))]))
    (row,) = views.sql("SELECT operation, started_at, ended_at, recorded_at FROM records").fetchall()
    assert row[0] == operation
    moments = [datetime.fromisoformat(time) for time in times.values()]
    assert [moment.replace(tzinfo=UTC) for moment in row[1:3]] == moments
    assert row[3].replace(tzinfo=UTC) == datetime(1970, 1, 1, 0, 0, 0, 7_000, UTC)
    views.close()
