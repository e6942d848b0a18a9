"""Late records: refused at the seal, or left to the next era, in their order, counted once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.cast import DAY_MS, PARAMETERS, Work
from proofroom.domain.completeness import Counted, find_omission
from proofroom.domain.errors import KeyNotInForce, OverLimit
from proofroom.domain.ids import Digest
from proofroom.domain.state import UsageSum
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.settlement import EraPaid, EraSealed, Payout
from proofroom.testing.histories import History
from proofroom.testing.keys import key
from strategies.governing import orchestrators, pass_all
from strategies.selling import list_work, open_market

CARRYING = PARAMETERS.model_copy(update={"late_records": "next-era"})


def carrying() -> History:
    """A cluster whose late records go to the next era; era 0 is open."""
    history = History(parameters=CARRYING, validators=6)
    history.found()
    history.write(history.cast.open_era(0))
    return history


def seals(history: History) -> list[tuple[int, int, int | None]]:
    """Recorded, late and carried of each sealed era."""
    found = [e.statement for e in history.entries if isinstance(e.statement, EraSealed)]
    return [(s.recorded, s.late, s.carried) for s in found]


def charged(history: History, era: int) -> list[tuple[int, int]]:
    """Records and amount of the charges of an era."""
    lines = [e.statement for e in history.entries if isinstance(e.statement, Payout) and e.statement.era == era]
    return [(s.basis.records, int(s.amount)) for s in lines if s.role == "charge"]


def test_what_misses_the_seal_is_paid_in_the_next_era() -> None:
    """Two of three records are late; they come first in the next era's batch, and are charged there, once."""
    history = carrying()
    history.work(0, Work(1_000), Work(2_000), Work(3_000))
    history.attest(history.seal(0, 1))
    history.tick(DAY_MS)
    assert seals(history) == [(3, 2, 2)]
    assert charged(history, 0) == [(1, 2_000_000)]
    history.write(history.cast.open_era(1))
    late = [e.index for e in history.entries if isinstance(e.statement, Activity)][1:]
    history.sleep(1_000)
    own = history.work(1, Work(4_000))
    round = history.seal(1)
    assert [r.log_index for r in history.state.rounds[history.cast.cluster, round].records] == [*late, own[0].index]
    history.attest(round)
    history.sleep(1_000)
    history.write(history.cast.close_era(1))
    assert seals(history)[1] == (3, 0, None)
    assert charged(history, 1) == [(3, 18_000_000)]
    counts = [e.statement.records for e in history.entries if isinstance(e.statement, EraPaid)]
    assert [(c.recorded, c.attested, c.unattested) for c in counts] == [(1, 1, 0), (3, 3, 0)]
    assert [e.statement.carried for e in history.entries if isinstance(e.statement, EraPaid)] == [2, 0]


def test_who_holds_receipts_of_carried_records_accuses_nobody() -> None:
    """The first era counts one of three and says that two were left to the next; a fourth receipt would show an omission."""
    history = carrying()
    entries = history.work(0, Work(1_000), Work(2_000), Work(3_000))
    history.attest(history.seal(0, 1))
    history.tick(DAY_MS)
    (paid,) = (e.statement for e in history.entries if isinstance(e.statement, EraPaid))
    held = {Digest(e.verified.digest): e.statement for e in entries if isinstance(e.statement, Activity)}
    user = history.cast.user.keyid
    assert find_omission(paid, "customer", user, Counted("customer", user, 1, 1, UsageSum(1_000)), held) is None
    assert find_omission(paid, "customer", user, None, held) is not None


def test_a_manager_may_close_over_late_records_that_are_carried() -> None:
    """Nothing is lost by it."""
    history = carrying()
    history.work(0, Work())
    history.sleep(1_000)
    history.write(history.cast.close_era(0))
    assert seals(history) == [(1, 1, 1)]
    assert len(history.state.clusters[history.cast.cluster].carried) == 1


def test_records_can_be_late_twice() -> None:
    """They wait until a batch holds them."""
    history = carrying()
    history.work(0, Work(1_000))
    for era in (0, 1):
        history.tick(DAY_MS)
        history.write(history.cast.open_era(era + 1))
    assert seals(history) == [(1, 1, 1), (1, 1, 1)]
    history.attest(history.seal(2))
    history.tick(DAY_MS)
    assert charged(history, 2) == [(1, 2_000_000)]


def test_a_cap_counts_what_was_carried() -> None:
    """The payer's cap per era holds for what an era charges, also for what came from the one before."""
    history = carrying()
    history.write(history.cast.payer(key("sponsor"), 2_500_000))
    history.work(0, Work(1_000), customer=key("sponsor").keyid)
    history.tick(DAY_MS)
    history.write(history.cast.open_era(1))
    with pytest.raises(OverLimit):
        history.record(history.cast.activity(history.grant, 1, Work(500), customer=key("sponsor").keyid))
    history.work(1, Work(250), customer=key("sponsor").keyid)


def test_a_cap_counts_all_that_was_carried_for_the_payer_and_nothing_else() -> None:
    """Usage and fees of two records that another pays for; the wallet's own record has no cap. Nothing waits any more."""
    history = carrying()
    cast, sponsor = history.cast, key("sponsor")
    history.write(cast.payer(sponsor, 10**15), open_market(cast))
    sold = list_work(history, price=7)
    history.work(0, Work(1_000), Work(2_000), customer=sponsor.keyid, listing=sold)
    history.work(0, Work(5_000))
    history.tick(DAY_MS)
    history.write(cast.open_era(1))
    era, payer = history.state.eras[cast.cluster, 1], (sponsor.keyid, cast.agent.keyid)
    assert dict(era.capped) == {payer: UsageSum(cpu_ms=3_000)}
    assert dict(era.capped_fees) == {payer: 14}
    assert (era.carried, dict(history.state.clusters[cast.cluster].carried)) == (3, {})


@settings(max_examples=settings().max_examples // 10)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=4))
def test_each_record_counts_in_exactly_one_era(eras: list[tuple[int, int]]) -> None:
    """However many are sealed of those that wait: what eras count sums to what was recorded, and nobody pays for one twice."""
    history = carrying()
    total = 0
    for era, (count, sealed) in enumerate(eras):
        if era:
            history.write(history.cast.open_era(era))
        history.work(era, *[Work(1_000)] * count)
        total += count
        waiting = sum(q.tail - q.head for q in history.state.eras[history.cast.cluster, era].queues.values())
        if min(sealed, waiting):
            history.attest(history.seal(era, min(sealed, waiting)))
        history.tick(DAY_MS)
    carried = history.state.clusters[history.cast.cluster].carried
    left = sum(queue.tail - queue.head for queue in carried.values())
    counts = [e.statement.records for e in history.entries if isinstance(e.statement, EraPaid)]
    assert sum(c.recorded for c in counts) == total - left == sum(c.attested for c in counts)
    assert sum(amount for era in range(len(eras)) for _, amount in charged(history, era)) == 2_000_000 * (total - left)


def test_a_replaced_orchestrator_seals_what_it_recorded() -> None:
    """The seats cannot keep its late records from being paid by giving its office to another. It records nothing more."""
    history = carrying()
    cast = history.cast
    history.work(0, Work(1_000))
    pass_all(history, (orchestrators(key("another orchestrator")),))
    history.tick(DAY_MS)
    history.write(cast.open_era(1))
    history.sleep(1_000)
    with pytest.raises(KeyNotInForce):
        history.work(1, Work(1_000))
    history.attest(history.seal(1))
    history.write(cast.close_era(1), cast.open_era(2))
    assert charged(history, 1) == [(1, 2_000_000)]
    with pytest.raises(KeyNotInForce):
        history.write(cast.seal(2, 0, [bytes(32)]))
