"""The process under a seed, on a disk that fails and by a clock that jumps: each call is answered or says why not, and then all goes on.

At each write of a session the disk is full, takes a part of it, breaks, breaks once or becomes read-only; one sync fails, or all from then
on, and the power is cut; at each reading of the host's clock that is an hour ahead or goes back, by what is forgiven or by more. Nothing
that was acknowledged is lost or there twice, no call is recorded in part, and what failed is recorded when it is asked again, on the same
handle or on one that was opened anew.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
from collections import Counter
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from proofroom.adapters.audit import Verdict
from proofroom.adapters.cast import Cast
from proofroom.adapters.ledger import KEYS, LOG
from proofroom.adapters.signed_head import SIGNED_HEAD, SignedHead
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.errors import AlreadyRecorded, StoreUnavailable
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS
from proofroom.testing.hosting import ledger_in
from proofroom.testing.keys import key
from strategies.disk import FAULTS, Disk
from strategies.faulty import JUMPS, FaultySession, Point, open_files
from strategies.platter import Platter
from strategies.rooms import audit_file, soak
from strategies.soaking import Page, Soak

STEPS, SESSIONS, SLICES = 10, 4, 10


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_at_each_write_of_an_append(tmp_path: Path, what: str) -> None:
    """What a handle could not record, it records as soon as the disk takes it; what it recorded, it says, and the key's file knows it."""
    clock, room = Clock(START_MS), tmp_path / "room"
    with ledger_in(room, clock) as ledger:
        theft = Cast(ledger.id, clock, key, vault="v-0")
        theft.user = key("thief")
    for at in itertools.count():
        disk, places = Disk(at, FAULTS[what]), []
        with disk.mounted(), ledger_in(room, clock) as ledger:
            cast, size = Cast(ledger.id, clock, key, vault=f"v-{at}"), ledger.size
            disk.arm()
            with contextlib.suppress(StoreUnavailable):
                places.append(ledger.append(cast.open_vault()).entry_index)
                assert SignedHead(room / KEYS / SIGNED_HEAD).last().next_size == ledger.size
            if disk.is_failing:
                with contextlib.suppress(StoreUnavailable, AlreadyRecorded):
                    ledger.append(theft.open_vault())
            was_struck = disk.was_struck
            disk.mend()
            again = ledger.append(cast.open_vault())
            assert (again.entry_index, again.repeated) == (size, places == [size])
        if not was_struck:
            break
    assert at > (0 if FAULTS[what].syncs else 5)
    assert audit_file(room / LOG).verdict is Verdict.VALID


def test_a_writer_for_whom_no_connection_could_be_opened_comes_again(tmp_path: Path) -> None:
    """While a reader has the only one that there is."""
    with ledger_in(tmp_path, Clock(START_MS)) as ledger, Disk(fault=FAULTS["I/O error"]).mounted() as disk:
        assert isinstance(ledger.store, SqliteStore)
        with ledger.store._datastore.transaction(commit=False):
            disk.is_failing = True
            with pytest.raises(StoreUnavailable):
                ledger.tick()
            disk.mend()
            assert ledger.tick() == 2


def test_who_keeps_an_error_keeps_no_file_open(tmp_path: Path) -> None:
    """A write that could not begin lets go of what it began with."""
    disk = Disk(fault=FAULTS["I/O error"])
    with disk.mounted(), ledger_in(tmp_path, Clock(START_MS)) as ledger:
        with ledger_in(tmp_path, Clock(START_MS)) as other:  # so that there is something new to read
            other.tick()
        disk.is_failing = True
        with pytest.raises(StoreUnavailable) as kept:
            ledger.tick()
        disk.mend()
    assert open_files(tmp_path) == []
    assert kept.value.__traceback__ is not None


def test_what_follows_a_failed_sync_is_on_the_disk(tmp_path: Path) -> None:
    """The next process finds in the log what it was to bring, and no later sync brings that: written again, it stays."""
    room, clock, disk = tmp_path / "room", Clock(START_MS), Disk(fault=FAULTS["failing syncs"])
    ledger_in(room, clock).close()
    disk.platter = Platter(room)
    with disk.mounted():
        with ledger_in(room, clock) as ledger:
            ledger.tick()
            disk.is_failing = True
            with pytest.raises(StoreUnavailable):
                ledger.tick()
        disk.mend()
        with ledger_in(room, clock) as ledger:
            acknowledged = ledger.tick()
            disk.platter.lay_out(room, tmp_path / "cut")
    with ledger_in(tmp_path / "cut", clock) as ledger:
        assert ledger.size == acknowledged


PAGE = Page(
    "faults",
    "Faults of a simulated disk and clock",
    "tests/adapters/test_simulated_faults.py",
    {
        "sessions of ten operations by two copies of a ledger": "sessions",
        "points at which a session was struck": "points",
        **{f"of these: {what}": what for what in (*FAULTS, *JUMPS)},
        "calls meanwhile that were answered": "answered",
        "calls that failed, by a typed error, and were recorded when asked again": "recorded then",
        "calls that failed and were found recorded": "found recorded",
        "calls that a rule refused": "refused",
        "sessions that went on with handles opened anew": "opened anew",
        "entries that had been acknowledged, and were looked for": "acknowledged",
        "power cuts at and after a failing sync, each with its room opened and audited": "power cuts",
        "acknowledged entries lost": "lost",
        "statements recorded twice": "doubled",
    },
)


def test_a_fault_anywhere(pytestconfig: pytest.Config) -> None:
    """At some points of one session, and in a soak at all points of four."""
    with TemporaryDirectory() as name:

        @lru_cache(maxsize=1)
        def points(seed: str) -> list[Point]:
            whole = FaultySession(Path(name, seed), seed, STEPS)
            whole.check()
            return whole.points

        def try_one(seed: str, number: int) -> Counter[str]:
            part, of = number % soak(1, SLICES), soak(1, SLICES)
            session = f"{seed.partition(' ')[0]} session {number // of}"
            some = points(session)
            seen = Counter[str](sessions=part == 0)
            for point in random.Random(seed).sample(some, 4) if of == 1 else some[part::of]:
                shutil.rmtree(again := Path(name, "again"), ignore_errors=True)
                struck = FaultySession(again, session, STEPS, point)
                assert struck.was_struck
                struck.check()
                seen += struck.seen + Counter({"points": 1, point.what: 1})
            return seen

        Soak(PAGE, pytestconfig, 1, SESSIONS * SLICES).each(try_one)
