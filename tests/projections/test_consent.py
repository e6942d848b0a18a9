"""Grant status by SQL is what the domain says, at every entry and every moment."""

from __future__ import annotations

from hypothesis import given, settings

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.cast import Work
from proofroom.domain.consent import grant_status
from proofroom.domain.ids import from_ms
from proofroom.domain.state import State
from proofroom.domain.statements.activity import Activity
from proofroom.testing.histories import History, store_of, wire_grant
from proofroom.testing.keys import key
from proofroom.testing.worlds import histories
from strategies.consenting import erase
from strategies.rooms import soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history


def check_status(history: History) -> None:
    """Each grant's status after each entry, and just before and after its time, against the domain's own state."""
    views = fresh_views()
    views.project(store_of(history))
    pairs = sorted(history.state.grants)
    for entry, state in zip(history.entries, history.states[1:], strict=True):
        for user, agent in pairs:
            expected = grant_status(state.grants.get((user, agent)), entry.recorded_at_ms)
            assert views.grant_status(user, agent, index=entry.index) == expected
    times = sorted({e.recorded_at_ms + d for e in history.entries[-30:] for d in (-1, 0, 1)})
    for at_ms in times:
        state = state_at(history, at_ms)
        rows = views.sql(f"SELECT user_key, agent, status FROM grant_status('{from_ms(at_ms)}')").fetchall()
        expected_rows = {pair: grant_status(state.grants.get(pair), at_ms) for pair in pairs if pair in state.grants}
        assert {(user, agent): status for user, agent, status in rows} == expected_rows
        for user, agent in pairs:
            status = grant_status(state.grants.get((user, agent)), at_ms)
            assert views.grant_status(user, agent, at_ms=at_ms) == status
    views.close()


def state_at(history: History, at_ms: int) -> State:
    """The state after the last entry that was recorded by then."""
    return history.states[sum(e.recorded_at_ms <= at_ms for e in history.entries)]


@settings(max_examples=soak(2, 200))
@given(histories())
def test_grant_status_is_the_domains(history: History) -> None:
    """For every entry of a random history, and around the times of its last ones."""
    check_status(history)


def test_grant_status_of_the_whole_history() -> None:
    """With a renewed, a revoked and a wire grant."""
    check_status(whole_history())


def test_wire_grant_in_any_layout_is_a_grant() -> None:
    """The wallet's bytes are stored as they were signed; layout and order of keys do not matter."""
    history = History(seed="wire")
    wallet = key("wallet-3")
    history.write(wire_grant(history, wallet, "v-3"))
    views = fresh_views()
    views.project(store_of(history))
    rows = views.sql("SELECT user_key, scopes, expires_at, limit_per, wire FROM grants").fetchall()
    assert rows == [(wallet.keyid, ["v-3 / mail"], None, None, True)]
    views.close()


def test_every_version_with_its_limits() -> None:
    """What is not limited is null, and versions stand beside each other."""
    views = fresh_views()
    views.project(store_of(whole_history()))
    query = "SELECT limit_cpu_ms, limit_gpu_micro, limit_per, operations, replaces, revoked, len(scopes) FROM grants WHERE NOT wire"
    rows = views.sql(query + " ORDER BY entry_index").fetchall()
    assert rows == [
        (10**9, None, "era", None, False, False, 1),
        (None, None, None, None, True, False, 2),
        (None, None, None, None, False, True, 1),
        (None, None, None, None, False, False, 1),
    ]
    views.close()


def test_erasures_name_what_is_gone() -> None:
    """An epoch of a scope, or one payload of a record, which leads back to the record."""
    history = History(seed="erased")
    history.found()
    history.write(history.cast.open_era(0))
    (entry,) = history.work(0, Work(1))
    assert isinstance(entry.statement, Activity)
    digest = entry.statement.input_commitment
    history.write(erase(history.cast, "epoch 3"), erase(history.cast, f"{digest} of {entry.statement.record_id}"))
    views = fresh_views()
    views.project(store_of(history))
    rows = views.sql("SELECT vault_scope, epoch, record_id, digest FROM erasures ORDER BY entry_index").fetchall()
    scope = history.cast.vault_scope
    assert rows == [(scope, 3, None, None), (scope, None, entry.statement.record_id, digest)]
    query = "SELECT r.entry_index FROM records r JOIN erasures e ON r.record_id = e.record_id AND r.input_commitment = e.digest"
    assert views.sql(query).fetchall() == [(entry.index,)]
    views.close()


def test_the_audit_says_what_was_erased() -> None:
    """Every entry holds: the log was not touched, only what lay outside it."""
    history = History(seed="erased")
    history.found()
    assert audit(store_of(history)).erased == ()
    history.write(erase(history.cast, "epoch 3"), erase(history.cast, "epoch 0"))
    report = audit(store_of(history))
    assert (report.verdict, report.erased) == (
        Verdict.VALID,
        ("v-7c21 / calendar: epoch 3", "v-7c21 / calendar: epoch 0"),
    )
    assert report.sentence().endswith("; ERASED: 2 payloads, by statement of the owner")
