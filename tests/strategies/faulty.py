"""A simulated session in which something fails once: the disk at one of its writes, or the host's clock at one of its readings.

Whoever asked in vain asks again when all is well; the session then goes on for a few steps, on the same handle or on one that was opened
anew. What was answered, and what was not, is for :meth:`FaultySession.check` to hold against the log.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from proofroom.adapters.audit import Verdict
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.writer import CLAMP_MS
from proofroom.domain.errors import (
    Conflict,
    HistoryChanged,
    NotALedger,
    ProofroomError,
    Refused,
    TimeWentBack,
    Unavailable,
    WouldFork,
)
from proofroom.testing.clocks import Clock
from proofroom.testing.hosting import ledger_in
from strategies.disk import FAULTS, Disk
from strategies.platter import Platter
from strategies.rooms import audit_file
from strategies.simulated import Session, digests_of

JUMPS = {
    "clock ahead by an hour": 3_600_000,
    "clock back by what is forgiven": -CLAMP_MS,
    "clock back by more": -CLAMP_MS - 60_000,
}
MORE_STEPS = 3
"""After the fault."""


class Point(NamedTuple):
    """Where a session is struck, and by what."""

    what: str
    """One of :data:`~strategies.disk.FAULTS` or :data:`JUMPS`."""
    at: int
    """The number of the write, or of the reading of the clock."""


class PowerCut(NamedTuple):
    """What a power cut would have left of the room at some moment."""

    folder: Path
    answered: int
    """So many calls were answered by then."""


class HostClock(Clock):
    """The clock of the ledger's host: that of the parties, until it jumps at one of its readings."""

    def __init__(self, parties: Clock, at: int, by: int) -> None:
        self.parties, self.at, self.by = parties, at, by
        self.readings = 0
        self.is_off = self.was_struck = False

    def __call__(self) -> int:
        """The time in ms UTC, as the host sees it."""
        if self.readings == self.at:
            self.is_off = self.was_struck = True
        self.readings += 1
        return self.parties() + self.by * self.is_off

    def mend(self) -> None:
        """It is set right."""
        self.is_off = False


class FaultySession(Session):
    """A session that is struck at a point, or at none.

    Args:
        folder: where the room is made.
        seed: of all that is drawn.
        steps: how many operations there are at most.
        point: where it is struck.
    """

    def __init__(self, folder: Path, seed: str, steps: int, point: Point | None = None) -> None:
        name, at = point or Point("", -1)
        self.disk = Disk(at if name in FAULTS else -1, FAULTS.get(name, FAULTS["disk full"]))
        self.jump, self.jump_at = JUMPS.get(name, 0), at if name in JUMPS else -1
        self.host: HostClock | None = None
        self.is_over = False
        self.seen = Counter[str]()
        self.cuts: list[PowerCut] = []
        self.disk.at_strike = self._cut_power
        super().__init__(folder, seed, steps)

    @property
    def points(self) -> list[Point]:
        """Where a session of this seed may be struck, when it was not."""
        assert self.host is not None
        counts = {name: self.disk.syncs if fault.syncs else self.disk.writes for name, fault in FAULTS.items()}
        struck = [Point(name, at) for name, count in counts.items() for at in range(count)]
        return struck + [Point(name, at) for at in range(self.host.readings) for name in JUMPS]

    # --- the session, played on what may fail

    def open(self, folder: Path) -> Ledger:
        """A ledger in a folder, by the host's clock once that may jump."""
        return ledger_in(folder, self.host or self.clock)

    def _begin(self, stack: ExitStack) -> None:
        self._stack = stack
        for peer in self.peers:  # what is open already is synced unasked
            peer.close()
        self.disk.platter = Platter(self.folder)
        stack.enter_context(self.disk.mounted())
        self.host = HostClock(self.clock, self.jump_at, self.jump)
        self._open_both()
        self.disk.arm()

    def _open_both(self) -> None:
        self.peers = [self._stack.enter_context(self.open(self.folder)) for _ in range(2)]

    def _note(self) -> None:
        """No crash is made of it."""

    def _step(self, peer: Ledger) -> None:
        before = len(self.calls)
        try:
            super()._step(peer)
        except (Unavailable, TimeWentBack) as e:
            self._check_typed(e)
        if self.was_struck and not self.is_over:
            self.is_over, self.left = True, min(self.left, MORE_STEPS)
            self._recover(peer, before)
        if self.left == 0 and self.disk.fault.syncs:
            self._cut_power()

    def _cut_power(self) -> None:
        """Keep what it would leave now."""
        cut = PowerCut(self.folder.with_name(f"{self.folder.name}-cut-{len(self.cuts)}"), len(self.calls))
        assert self.disk.platter is not None
        self.disk.platter.lay_out(self.folder, cut.folder)
        self.cuts.append(cut)

    @property
    def was_struck(self) -> bool:
        """Whether it came to its point."""
        assert self.host is not None
        return self.disk.was_struck or self.host.was_struck

    def _check_typed(self, error: ProofroomError) -> None:
        """Only something that failed is told; never that the log is not what it was."""
        assert self.was_struck, error
        assert not isinstance(error, HistoryChanged | WouldFork), error
        # SQLite calls corrupt what it cannot read.
        assert self.disk.fault.reads or not isinstance(error, NotALedger), error
        self.seen[error.code] += 1

    def _recover(self, peer: Ledger, before: int) -> None:
        """Ask while it lasts, mend it, perhaps open anew, and ask again for what was not answered."""
        assert self.host is not None
        opens_anew = self.chance.random() < 0.5
        if self.disk.is_failing:
            self._in_vain(peer.tick)
        if opens_anew:
            for one in self.peers:
                one.close()
            if self.disk.is_failing:
                self._in_vain(lambda: self.open(self.folder).close())
        self.disk.mend()
        self.host.mend()
        if opens_anew:
            self.seen["opened anew"] += 1
            self._open_both()
            peer = self.peers[0]
        self._wait_for_the_clock(peer)
        self._ask_again(peer, before)

    def _in_vain(self, operation: Callable[[], object]) -> None:
        """It may work; and if not, it says why."""
        try:
            operation()
        except Unavailable as e:
            self._check_typed(e)

    def _wait_for_the_clock(self, peer: Ledger) -> None:
        """A host that was ahead is refused until time has come to where it was."""
        peer.refresh()
        ahead = peer.state.recorded_at_ms - self.clock.ms
        if ahead > CLAMP_MS:
            try:
                peer.tick()
            except TimeWentBack as e:
                self._check_typed(e)
            else:
                raise AssertionError("time went back")
        self.clock.ms += max(0, ahead)

    def _ask_again(self, peer: Ledger, before: int) -> None:
        """Whatever failed is whole in the log or not at all; what a rule refused, it refuses again."""
        for number, call in enumerate(self.calls[before:], before):
            if call.error is None:
                self.seen["answered"] += 1
                continue
            if not isinstance(call.error, Unavailable | TimeWentBack):
                self.seen["refused"] += 1
                continue
            self._check_typed(call.error)
            try:
                again = peer.append_many(call.envelopes[len(call.places) :])
            except (Refused, Conflict):
                # Under a grant that was revoked, say: it would have been refused without the fault.
                self.seen["refused"] += 1
                continue
            there = {done.repeated for done in again}
            assert len(there) == 1, "a call was recorded in part"
            self.seen["found recorded" if there == {True} else "recorded then"] += 1
            places = [*call.places, *((done.entry_index, done.statement) for done in again)]
            self.calls[number] = call._replace(places=places, error=None)

    # --- what is left

    def check(self) -> None:
        """No file is kept open; all that was acknowledged is there, nothing is there twice, and the log audits; after a power cut too."""
        assert open_files(self.folder) == []
        if self.disk.fault.syncs:
            self._cut_power()
        for cut in self.cuts:
            self._check_room(*cut)
            shutil.rmtree(cut.folder)
            self.seen["power cuts"] += 1
        self.seen["acknowledged"] += self._check_room(self.folder, len(self.calls))

    def _check_room(self, folder: Path, answered: int) -> int:
        """A room in which the first calls were answered; the number of entries that they were told of."""
        with self.open(folder) as ledger:
            digests = digests_of(ledger)
        places = [place for call in self.calls[:answered] for place in call.places]
        for index, digest in places:
            assert digests[index] == digest, "an entry that was acknowledged is lost"
        assert len(set(digests)) == len(digests), "a statement was recorded twice"
        report = audit_file(folder / LOG)
        assert (report.verdict, report.entries) == (Verdict.VALID, len(digests)), report.sentence()
        return len(places)


def open_files(folder: Path) -> list[str]:
    """What this process has open of a folder."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            found.append(str(link.readlink()))
    return [file for file in found if file.startswith(f"{folder}/")]
