"""A ledger under a seed: two copies of it on one folder take turns, the clock moves as it is told, and each write to its files is noted.

What a crash leaves is then enumerated, not waited for. The write-ahead log only grows here, so that what a process had written when it
ended is a prefix of it; beside it stands ``signed-head`` as it was at that moment. A machine that stops may besides have lost what was not
synced: the last write to ``signed-head``, and pages of the log that no commit had synced, in any order.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from proofroom.adapters.ledger import KEYS, LOG, Ledger
from proofroom.adapters.recorders import PAGE_BYTES
from proofroom.adapters.signed_head import SIGNED_HEAD, Signed, SignedHead
from proofroom.adapters.writer import CLAMP_MS
from proofroom.domain import hashing
from proofroom.domain.envelope import Envelope, statement_id
from proofroom.domain.errors import ProofroomError, Unavailable
from proofroom.domain.ids import Digest
from proofroom.domain.voting import make_vote
from proofroom.testing.clocks import Clock
from proofroom.testing.hosting import ledger_in
from strategies.rooms import Room

START_MS = 1_772_000_000_000
FRAME_HEADER = 24
FRAME = FRAME_HEADER + PAGE_BYTES


class Call(NamedTuple):
    """What a host asked for in one call, when, and where it was told that it stands; nowhere, when it was told why not."""

    at_ms: int
    envelopes: Sequence[Envelope]
    places: Sequence[tuple[int, Digest]] = ()
    error: ProofroomError | None = None


class Moment(NamedTuple):
    """The files between two writes: bytes of the write-ahead log, the whole of ``signed-head``, and how many calls had been answered."""

    wal: int
    head: bytes
    answered: int


class Crash(NamedTuple):
    """What a crash left, and how many calls had been answered."""

    wal: bytes
    head: bytes
    answered: int
    is_torn: bool = False
    """A write is there in part, or what was not synced is not."""


class Session:
    """A drawn session of a room, played to its end.

    Args:
        folder: where the room is made.
        seed: of all that is drawn.
        steps: how many operations.
    """

    def __init__(self, folder: Path, seed: str, steps: int) -> None:
        self.folder, self.chance, self.clock = folder, random.Random(seed), Clock(START_MS)
        self.calls: list[Call] = []
        self.moments: list[Moment] = []
        ledger_in(folder, self.clock).close()
        with ExitStack() as stack:
            self.peers = [stack.enter_context(self.open(folder)) for _ in range(2)]
            self.room = Room(self.peers[0], self.clock, seed=seed)
            self.room.prepare()
            self.log = (folder / LOG).read_bytes()
            self._note()
            self._begin(stack)
            self.left = steps
            while self.left > 0:
                self.left -= 1
                self._step(self.chance.choice(self.peers))
            self.wal = self._wal.read_bytes()
            self.size = self.peers[0].store.size()

    def _begin(self, stack: ExitStack) -> None:
        """What is on until the session ends."""
        stack.enter_context(patch.object(SignedHead, "_write", self._noting(SignedHead._write)))

    def open(self, folder: Path) -> Ledger:
        """A ledger in a folder, by the session's clock."""
        return ledger_in(folder, self.clock)

    # --- what is noted

    @property
    def _wal(self) -> Path:
        return self.folder / f"{LOG}-wal"

    def _note(self) -> None:
        head = (self.folder / KEYS / SIGNED_HEAD).read_bytes()
        self.moments.append(Moment(self._wal.stat().st_size, head, len(self.calls)))

    def _noting(self, real: Callable[[SignedHead, Signed], None]) -> Callable[[SignedHead, Signed], None]:
        def write(head: SignedHead, signed: Signed) -> None:
            real(head, signed)
            self._note()

        return write

    # --- what is done

    def _step(self, peer: Ledger) -> None:
        """One operation by one of the copies, which may not have seen what the other did."""
        draw = self.chance.choice
        match draw(("one", "one", "many", "stream", "tick", "round", "revoke", "time", "back")):
            case "one":
                self._call(peer, [self.room.record(draw(range(900)))])
            case "many":
                self._call(peer, self.room.records(draw((2, 3, 8))))
            case "stream":
                self._stream(peer, self.room.records(draw((1, 5))))
            case "tick":
                peer.tick()
            case "round":
                self._round(peer)
            case "revoke":
                cast = self.room.cast
                self._call(peer, [cast.grant(revoked=True)])
                self._call(peer, [self.room.record()])  # one under a grant that is no more: refused
                self.clock.ms += 1
                self._call(peer, [cast.grant()])
            case "time":
                self.clock.ms += draw((1, 999, 60_000))
            case _:
                self._step_back(peer, draw((1, CLAMP_MS, CLAMP_MS + 1, 3_600_000)))
        self.clock.ms += 1

    def _step_back(self, peer: Ledger, ms: int) -> None:
        """The clock goes back, once further than may be; what is called meanwhile is recorded or refused, and then it is set right."""
        record = self.room.record()
        self.clock.ms -= ms
        self._call(peer, [record])
        self.clock.ms += ms

    def _round(self, peer: Ledger) -> None:
        """Seal what is unsealed, and take it through a whole round, as far as that goes."""
        peer.refresh()
        cast, state = self.room.cast, peer.state
        number = state.clusters[cast.cluster].rounds
        queue = state.eras[cast.cluster, 0].queues.get(cast.orchestrator.keyid)
        if queue is None or queue.head == queue.tail:
            return
        if not self._call(peer, [cast.seal_all(state, 0)]):
            return
        if not self._call(peer, [cast.reveal_beacon(number, i) for i in range(len(cast.validators))]):
            return
        state = peer.state
        vote = make_vote(len(state.rounds[cast.cluster, number].records))
        members = cast.members(state, number)
        if self._call(peer, [cast.commit(state, number, i, vote) for i in members]):
            self._call(peer, [cast.reveal(number, i, vote) for i in members])

    def _call(self, peer: Ledger, envelopes: Sequence[Envelope]) -> bool:
        """An atomic append, and its answer. Whether it was recorded."""
        places, error = [], None
        try:
            places = [(done.entry_index, done.statement) for done in peer.append_many(envelopes)]
        except ProofroomError as e:
            error = e
        self._answer(Call(self.clock.ms, envelopes, places, error))
        return error is None

    def _stream(self, peer: Ledger, envelopes: Sequence[Envelope]) -> None:
        """A stream, and what was answered of it."""
        taken, places, error = [], [], None
        try:
            for envelope, outcome in zip(envelopes, peer.append_stream(envelopes), strict=True):
                if not isinstance(outcome, ProofroomError):
                    taken.append(envelope)
                    places.append((outcome.entry_index, outcome.statement))
        except Unavailable as e:
            taken, error = [*envelopes], e
        self._answer(Call(self.clock.ms, taken, places, error))

    def _answer(self, call: Call) -> None:
        self.calls.append(call)
        self._note()

    # --- what a crash leaves

    def crashes(self) -> Iterator[Crash]:
        """All of them, in the order of the writes."""
        earlier = self.moments[0].head
        for before, after in pairwise(self.moments):
            yield from self._within(before, after)
            if before.head != after.head:
                yield Crash(self.wal[: after.wal], torn(before.head, after.head), before.answered, True)
            yield Crash(self.wal[: after.wal], after.head, after.answered)
            if earlier != after.head:  # a machine that stopped: the log is synced at its commit, this file is not
                yield Crash(self.wal[: after.wal], earlier, after.answered, True)
            earlier = before.head

    def _within(self, before: Moment, after: Moment) -> Iterator[Crash]:
        """Between and within the frames of one commit; and all of them but one, as a machine may leave what it had not synced."""
        starts = range(before.wal, after.wal, FRAME)
        assert (after.wal - before.wal) % FRAME == 0
        for start in starts:
            for more in (0, FRAME_HEADER // 2, FRAME_HEADER, FRAME_HEADER + PAGE_BYTES // 2):
                yield Crash(self.wal[: start + more], before.head, before.answered, more % FRAME_HEADER > 0)
        for start in starts[:-1]:
            whole = self.wal[: after.wal]
            yield Crash(whole[:start] + bytes(FRAME) + whole[start + FRAME :], before.head, before.answered, True)

    def lay_out(self, crash: Crash, folder: Path) -> None:
        """The room as the crash left it."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder / KEYS, folder / KEYS)
        (folder / KEYS / SIGNED_HEAD).write_bytes(crash.head)
        (folder / LOG).write_bytes(self.log)
        (folder / f"{LOG}-wal").write_bytes(crash.wal)


def wal_prefixes(before: bytes, after: bytes) -> Iterator[bytes]:
    """The write-ahead log after each write to it, and after half of each: a frame is a header, then a page."""
    assert after[: len(before)] == before
    assert (len(after) - len(before)) % FRAME == 0
    for start in range(len(before), len(after), FRAME):
        for more in (0, FRAME_HEADER // 2, FRAME_HEADER, FRAME_HEADER + PAGE_BYTES // 2):
            yield after[: start + more]
    yield after


def digests_of(ledger: Ledger) -> list[str]:
    """The digests of all statements that are in the store, by index."""
    return [hashing.tagged(statement_id(e.topic, e.state)) for e in ledger.store.read_from(0)]


def torn(old: bytes, new: bytes) -> bytes:
    """Half of what changed."""
    old = old.ljust(len(new), b"\0")
    changed = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    middle = changed[len(changed) // 2]
    return new[:middle] + old[middle:]
