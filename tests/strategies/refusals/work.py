"""What is refused of records and batches."""

from __future__ import annotations

from proofroom.adapters.cast import Work
from proofroom.domain import activity, errors
from proofroom.domain.envelope import Envelope
from proofroom.domain.ids import SKEW_MS, from_ms, record_id
from proofroom.testing.histories import HOUR_MS, START_MS, History, resign
from proofroom.testing.keys import key
from strategies.refusals.cases import NOWHERE, refused
from strategies.selling import list_work, open_market

# --- activity


@refused(errors.Unregistered, what="cluster", key="nowhere")
def _record_in_no_cluster(h: History) -> Envelope:
    return h.cast.activity(h.grant, 0, cluster="nowhere")


@refused(errors.EraNotOpen, cluster="dragon-1", era=1, status="not opened yet")
def _record_in_the_next_era(h: History) -> Envelope:
    return h.cast.activity(h.grant, 1)


@refused(errors.EraNotOpen, cluster="dragon-1", era=0, status="paid")
def _record_in_a_paid_era(h: History) -> Envelope:
    h.write(h.cast.close_era(0))
    return h.cast.activity(h.grant, 0)


@refused(errors.EraNotOpen, cluster="dragon-1", era=0, status="sealed")
def _record_in_a_sealed_era(h: History) -> Envelope:
    h.work(0, Work())
    h.seal(0)
    h.write(h.cast.close_era(0))
    return h.cast.activity(h.grant, 0)


@refused(errors.NotListed, listing=NOWHERE)
def _record_with_a_listing_that_is_not_there(h: History) -> Envelope:
    return h.cast.activity(h.grant, 0, listing=NOWHERE)


@refused(errors.NotPayer, lambda h: {"customer": h.cast.user.keyid})
def _record_that_is_sold_to_who_set_no_cap(h: History) -> Envelope:
    h.write(open_market(h.cast))
    return h.cast.activity(h.grant, 0, listing=list_work(h))


@refused(errors.OverLimit, limit="the payer's cap per era", allowed="1999", asked="2000")
def _fee_beyond_the_cap(h: History) -> Envelope:
    h.write(open_market(h.cast), h.cast.payer(h.cast.user, 1_999))
    h.work(0, Work(cpu_ms=0), listing=list_work(h, price=1_000))
    return h.cast.activity(h.grant, 0, Work(cpu_ms=0), listing=next(iter(h.state.offers)))


@refused(errors.EraFull, cluster="dragon-1", era=0, limit=activity.MAX_ERA_RECORDS)
def _record_in_a_full_era(h: History) -> Envelope:
    activity.MAX_ERA_RECORDS = 1  # restored by the test; ten million records would take an hour
    h.work(0, Work())
    return h.cast.activity(h.grant, 0)


@refused(errors.AlreadyRecorded, what="record", key=record_id(START_MS, bytes(10)))
def _record_id_twice(h: History) -> Envelope:
    again = record_id(START_MS, bytes(10))
    h.write(h.cast.activity(h.grant, 0, record_id=again))
    return h.cast.activity(h.grant, 0, Work(1), record_id=again)


@refused(errors.Unregistered, what="node", key="node-9")
def _record_on_no_node(h: History) -> Envelope:
    return resign(h.cast.activity(h.grant, 0), node="node-9")


@refused(errors.KeyNotInForce, keyid=key("runtime-0").keyid, role="runtime of node-1")
def _record_by_another_nodes_runtime(h: History) -> Envelope:
    return resign(h.cast.activity(h.grant, 0), node="node-1")


@refused(errors.KeyNotInForce, keyid=key("manager").keyid, role="orchestrator of dragon-1")
def _record_by_no_orchestrator(h: History) -> Envelope:
    h.cast.orchestrator = h.cast.manager
    return h.cast.activity(h.grant, 0)


@refused(
    errors.TimesOutOfOrder,
    what="the work started at 2026-03-01T10:55:01.999Z, before the grant of 2026-03-01T11:00:02Z",
)
def _work_before_its_grant(h: History) -> Envelope:
    h.sleep(2 * HOUR_MS)
    h.write(h.cast.grant())
    return h.cast.activity(h.grant, 0, started_at=h.cast.now(-SKEW_MS - 1))


@refused(
    errors.TimesOutOfOrder,
    what="the work ended at 2026-03-01T09:00:01.999Z, before it started at 2026-03-01T09:00:02Z",
)
def _work_that_ended_before_it_started(h: History) -> Envelope:
    return h.cast.activity(h.grant, 0, ended_at=h.cast.now(-1))


@refused(errors.FromTheFuture, field="ended_at", time="2026-03-01T09:05:02.001Z")
def _work_that_ended_in_the_future(h: History) -> Envelope:
    return h.cast.activity(h.grant, 0, ended_at=h.cast.now(SKEW_MS + 1))


@refused(errors.TimesOutOfOrder, what="the work ended at 2026-03-01T08:54:59.999Z, before era 0 opened")
def _work_before_the_era(h: History) -> Envelope:
    long_ago = from_ms(START_MS - SKEW_MS - 1)
    return h.cast.activity(h.grant, 0, started_at=long_ago, ended_at=long_ago)


@refused(errors.TimesOutOfOrder, what=f"the record id was made at {START_MS - SKEW_MS - 1} ms, outside era 0")
def _record_id_before_the_era(h: History) -> Envelope:
    return h.cast.activity(h.grant, 0, record_id=record_id(START_MS - SKEW_MS - 1, bytes(10)))


@refused(errors.TimesOutOfOrder, what=f"the record id was made at {START_MS + 2_000 + SKEW_MS + 1} ms, outside era 0")
def _record_id_from_the_future(h: History) -> Envelope:
    return h.cast.activity(h.grant, 0, record_id=record_id(h.clock + SKEW_MS + 1, bytes(10)))


@refused(errors.OverLimit, limit="the payer's cap per era", allowed="2000000", asked="2002000")
def _payer_beyond_the_cap(h: History) -> Envelope:
    sponsor = key("sponsor")
    h.write(h.cast.payer(sponsor, 2_000_000))
    h.work(0, Work(1000), customer=sponsor.keyid)
    return h.cast.activity(h.grant, 0, Work(1), customer=sponsor.keyid)


# --- batches


@refused(errors.KeyNotInForce, keyid=key("manager").keyid, role="orchestrator of dragon-1")
def _batch_by_the_manager(h: History) -> Envelope:
    h.cast.orchestrator = h.cast.manager
    return h.cast.seal(0, 0, [bytes(32)])


@refused(errors.WrongNumber, what="the batch", number=1, expected=0)
def _batch_that_skips_a_number(h: History) -> Envelope:
    return h.cast.seal(0, 1, [e.verified.id for e in h.work(0, Work())])


@refused(errors.BatchMismatch, what="it counts 2 records, 1 are unsealed")
def _batch_of_more_than_there_is(h: History) -> Envelope:
    (entry,) = h.work(0, Work())
    return h.cast.seal(0, 0, [entry.verified.id, entry.verified.id])


@refused(
    errors.BatchMismatch,
    lambda h: {
        "what": f"its root is {activity.batch_root([h.entries[-1].verified.id])}, "
        f"the records give {activity.batch_root([h.entries[-2].verified.id])}"
    },
)
def _batch_that_passes_over_the_oldest(h: History) -> Envelope:
    _, newest = h.work(0, Work(), Work())
    return h.cast.seal(0, 0, [newest.verified.id])
