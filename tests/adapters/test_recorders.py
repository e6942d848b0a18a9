"""The eventsourcing library's own recorder test cases, on our recorders."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import TestCase

import duckdb
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking

from proofroom.adapters.recorders import Datastore, MemoryLogRecorder, SQLiteLogRecorder
from proofroom.adapters.tracking import DuckDBTrackingRecorder
from proofroom.projections.progress import PROGRESS

with pytest.MonkeyPatch.context() as patch:
    # The module of the cases imports the library's cipher, which needs a package that no recorder uses.
    cipher = ModuleType("eventsourcing.cipher")
    vars(cipher)["AESCipher"] = object
    patch.setitem(sys.modules, cipher.__name__, cipher)
    from eventsourcing.tests import persistence as library


def _join_others() -> None:
    """The library's concurrent case leaves its two readers to end by themselves."""
    for thread in threading.enumerate():
        if thread.name.endswith("(read_continuously)"):
            thread.join()


class _OnFile(TestCase):
    """Gives each recorder a file of its own."""

    recorder_class: type[SQLiteLogRecorder] = SQLiteLogRecorder

    def create_recorder(self) -> SQLiteLogRecorder:
        folder = tempfile.TemporaryDirectory()
        datastore = Datastore(f"file:{Path(folder.name) / 'log.db'}?mode=rwc")
        recorder = self.recorder_class(datastore, events_table_name="log")
        recorder.create_table()
        self.addCleanup(folder.cleanup)
        self.addCleanup(datastore.close)
        self.addCleanup(_join_others)
        return recorder


class _SQLiteAggregates(SQLiteLogRecorder):
    """The library's aggregate cases ask for None where an application recorder gives notification ids; all else must be equal."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        super().insert_events(stored_events, **kwargs)


class _MemoryAggregates(MemoryLogRecorder):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        super().insert_events(stored_events, **kwargs)


class TestSQLiteAggregates(_OnFile, library.AggregateRecorderTestCase):
    recorder_class = _SQLiteAggregates


class TestSQLiteApplication(_OnFile, library.ApplicationRecorderTestCase[SQLiteLogRecorder]):
    pass


class TestSQLiteNotificationIds(_OnFile, library.NonInterleavingNotificationIDsBaseCase):
    pass


class TestMemoryAggregates(library.AggregateRecorderTestCase):
    def create_recorder(self) -> MemoryLogRecorder:
        return _MemoryAggregates()


class TestMemoryApplication(library.ApplicationRecorderTestCase[MemoryLogRecorder]):
    def create_recorder(self) -> MemoryLogRecorder:
        return MemoryLogRecorder()

    def test_insert_subscribe(self) -> None:
        """The library's in-memory recorder has a subscription, and ours keeps it."""
        self.optional_test_insert_subscribe()


class TestMemoryNotificationIds(library.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> MemoryLogRecorder:
        return MemoryLogRecorder()


def test_an_index_is_never_given_out_again_after_a_delete_in_the_middle(tmp_path: Path) -> None:
    """The next index follows the highest, whatever lies below it."""
    datastore = Datastore(f"file:{tmp_path / 'log.db'}?mode=rwc")
    recorder = SQLiteLogRecorder(datastore, events_table_name="log")
    recorder.create_table()
    events = [StoredEvent(f"{i}", 1, "topic", b"") for i in range(4)]
    assert recorder.insert_events(events[:3]) == [1, 2, 3]
    with datastore.transaction(commit=True) as c:
        c.execute("DELETE FROM log WHERE log_index = 1")
    assert recorder.insert_events(events[3:]) == [4]
    datastore.close()


class TestDuckDBTrackingRecorder(library.TrackingRecorderTestCase):
    """Positions in DuckDB pass the library's own case for tracking recorders."""

    def create_recorder(self) -> DuckDBTrackingRecorder:
        connection = duckdb.connect()
        self.addCleanup(connection.close)
        for relation in PROGRESS:
            for statement in relation.statements():
                connection.execute(statement)
        return DuckDBTrackingRecorder(connection)


def test_positions_move_together_or_not_at_all() -> None:
    """A batch that was taken in already, or that leaves a gap, is not recorded."""
    case = TestDuckDBTrackingRecorder()
    recorder = case.create_recorder()
    for name, position in (("a", 3), ("b", 3), ("c", 4)):
        recorder.insert_tracking(Tracking(name, position))
    recorder.advance(["a", "b"], 3, 8, "root", 9)
    assert [recorder.max_tracking_id(name) for name in "abc"] == [8, 8, 4]
    for names, start in ((["a"], 3), (["a"], 9), (["a", "c"], 8), (["d"], 0)):
        with pytest.raises(IntegrityError):
            recorder.advance(names, start, 10, "root", 10)
    case.doCleanups()
