"""Read models that follow by themselves: what was written is read, nobody waits for ever, and a failing store is said to fail."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from proofroom.adapters.follower import Follower
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.stores import MemoryStore, Store
from proofroom.adapters.views import ProjectionBehind, ProjectionStopped
from proofroom.domain.errors import StoreUnavailable
from proofroom.testing.histories import store_of
from strategies.rooms import Spoiled, make_folder
from strategies.viewing import fresh_views
from strategies.whole import whole_history
from strategies.worlds import content


class Growing(MemoryStore):
    """A store that shows its entries little by little, and fails while it is told to."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.inner, self.shown, self.failing = store, 0, threading.Event()

    def size(self) -> int:
        if self.failing.is_set():
            raise StoreUnavailable(path="here", why="on purpose")
        return self.shown

    def node(self, height: int, position: int) -> bytes:
        return self.inner.node(height, position)

    def scan(self, start: int, limit: int = 1_000) -> list[tuple[int, int, str, bytes]]:
        return self.inner.scan(start, limit)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """A ledger's own follower, while records are appended."""
    room = make_folder(tmp_path)
    with room.ledger.following() as follower:
        for count in (1, 2, 3):
            recorded = room.ledger.append(room.record())
            follower.wait_for(recorded.entry_index + 1, timeout=60)
            assert follower.views.sql("SELECT count(*) FROM records").fetchall() == [(count,)]
            assert follower.lag == 0
    room.ledger.close()


def test_following_is_one_pass() -> None:
    """In whatever steps the log grows, the tables are those of one pass; a writer can be held back."""
    store = Growing(store_of(whole_history()))
    views, whole = fresh_views(page=7), fresh_views()
    whole.project(store.inner)
    with Follower(views, store, poll_seconds=0.001) as follower:
        for shown in (1, 10, 11, 50, 100, store.inner.size()):
            store.shown = shown
            follower.hold(max_lag=20, timeout=60)
            assert views.position >= shown - 20
        follower.wait_for(store.shown, timeout=60)
    assert content(views) == content(whole)
    views.close()
    whole.close()


def test_a_store_that_fails_is_said_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits gets its error; when it is back the follower goes on."""
    monkeypatch.setattr("proofroom.adapters.follower.RETRY_SECONDS", 0.01)
    store, views = Growing(store_of(whole_history())), fresh_views()
    store.failing.set()
    with Follower(views, store, poll_seconds=0.001) as follower:
        while follower.error is None:
            pass
        with pytest.raises(StoreUnavailable, match="on purpose"):
            follower.wait_for(5, timeout=0)
        store.shown = 5
        store.failing.clear()
        follower.wait_for(5, timeout=60)
        assert follower.lag == 0
        with pytest.raises(ProjectionBehind, match="are at 5, not at 6"):
            follower.wait_for(6, timeout=0.01)
    views.close()


def test_a_stopped_projection_holds_nobody_back() -> None:
    """Who waits for it is told; who waits for the others is not."""
    good, kinds = store_of(whole_history()), [e.statement.kind for e in whole_history().entries]
    views = fresh_views()
    with Follower(views, Spoiled(good, kinds.index("deposit")), poll_seconds=0.001) as follower:
        follower.wait_for(good.size(), names=["consent"], timeout=60)
        follower.hold(max_lag=0, timeout=60)
        with pytest.raises(ProjectionStopped):
            follower.wait_for(good.size(), names=["money"], timeout=60)
    views.close()


def test_some_projections_sooner() -> None:
    """Each at its own pace; questions that would mix two moments are refused, and in the end all is as in one pass."""
    store, views, whole = store_of(whole_history()), fresh_views(page=13), fresh_views()
    whole.project(store)
    views.project(store, names=["activity"])
    views.project(store, names=["log", "governance"], until=77)
    assert views.positions["activity"] == store.size()
    assert views.positions["governance"] == 77
    assert len(views.sql("SELECT * FROM records").fetchall()) == len(content(whole)["records"])
    assert views.sql("SELECT count(*) FROM log JOIN eras ON entry_index = opened_index").fetchall()
    for mixed in (
        "FROM record_verdicts",
        "FROM log, records",
        "PIVOT log ON kind USING count(*)",
        "FROM balances_per_era",
    ):
        with pytest.raises(ProjectionBehind):
            views.sql(mixed)
    views.project(store)
    assert content(views) == content(whole)
    views.close()
    whole.close()


def test_a_closed_ledger_ends_its_follower(tmp_path: Path) -> None:
    """Whichever is closed first."""
    room = make_folder(tmp_path)
    with room.ledger.following():
        room.ledger.close()
    with Ledger.open(tmp_path) as ledger, ledger.following():
        pass
