"""What a ledger takes, one statement at a time, many at once or a stream of them, from one thread or several; and when."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from proofroom.adapters import ledger as ledgers
from proofroom.adapters import verifying
from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.cast import DAY_MS
from proofroom.adapters.keys import Key
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import Batch, MemoryStore
from proofroom.adapters.verifying import CHUNK, VerifyingPool
from proofroom.adapters.writer import Recorded
from proofroom.domain.envelope import Envelope, sign, verify
from proofroom.domain.errors import (
    AlreadyRecorded,
    BadSignature,
    GrantRevoked,
    ProofroomError,
    Refused,
    TimeWentBack,
)
from proofroom.domain.receipt import verify_receipt
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import pae
from proofroom.domain.statements import GRANT_WIRE
from proofroom.domain.statements.ledger import Tick
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import ORIGIN, START_MS
from proofroom.testing.keys import key
from strategies.rooms import (
    Room,
    copy_of,
    make_folder,
    make_room,
    rows_of,
    signers,
    write_history,
)
from strategies.whole import whole_history


def assert_valid(store: Any, **options: Any) -> None:
    report = audit(store, **options)
    assert report.verdict is Verdict.VALID, report.sentence()


def test_the_ledger_writes_a_whole_history_as_the_rules_do(tmp_path: Path) -> None:
    """Given what others signed, it derives all of its own statements by itself, to the byte."""
    write_history(whole_history(), tmp_path / LOG)
    with Ledger.open(tmp_path, read_only=True) as ledger:
        written = [(e.index, e.recorded_at_ms, e.verified.envelope) for e in ledger.read()]
    assert written == [(e.index, e.recorded_at_ms, e.verified.envelope) for e in whole_history().entries]


def test_append_takes_json_envelopes_and_verified_statements(room: Room) -> None:
    """The three forms of an envelope are one."""
    first, second, third = room.records(3)
    outcomes = [room.ledger.append(form) for form in (first.to_json(), second, verify(third))]
    size = room.ledger.size
    assert [o.entry_index for o in outcomes] == [size - 3, size - 2, size - 1]
    assert outcomes[0] == Recorded(size - 3, verify(first).digest, START_MS)


def test_append_many_is_one_atomic_append(room: Room) -> None:
    """All of them under one checkpoint, or, with one fault anywhere, none."""
    size, checkpoints = room.ledger.size, len(room.ledger.store.checkpoints())
    good = room.records(5)
    room.ledger.append_many(good)
    assert room.ledger.size == size + 5
    assert len(room.ledger.store.checkpoints()) == checkpoints + 1
    for at in range(3):
        batch = room.records(2)
        batch.insert(at, room.record(customer=key("stranger").keyid))
        before = (room.ledger.state, room.ledger.store.size(), room.ledger.checkpoint())
        with pytest.raises(ProofroomError) as refused:
            room.ledger.append_many(batch)
        assert refused.value.code == "not-payer"
        assert (room.ledger.state, room.ledger.store.size(), room.ledger.checkpoint()) == before
    assert room.ledger.append_many([]) == []
    assert_valid(room.ledger.store)


def test_append_many_keeps_the_order_of_what_depends_on_each_other(room: Room) -> None:
    """A grant and the record under it may come in one call."""
    room.ledger.append(room.cast.grant(created_at=room.cast.now(1), revoked=True))
    renewed = room.cast.grant(created_at=room.cast.now(2))
    record = room.cast.activity(verify(renewed).digest, 0)
    with pytest.raises(GrantRevoked):
        room.ledger.append_many([record, renewed])
    assert [r.repeated for r in room.ledger.append_many([renewed, record])] == [False, False]


def test_a_stream_names_the_bad_and_records_the_rest(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each envelope its place or its error, in order; groups are committed as it goes."""
    monkeypatch.setattr(verifying, "CHUNK", 7)
    monkeypatch.setattr(ledgers, "GROUP", 1)
    good = room.records(20)
    stranger = room.record(customer=key("stranger").keyid)
    lines: list[bytes | Envelope] = [e.to_json() for e in good]
    lines[3:3] = [b"{"]
    lines[11:11] = [stranger.to_json(), b'{"payload":"","payload":""}']
    lines.append(good[4])
    size = room.ledger.size
    outcomes = list(room.ledger.append_stream(lines))
    assert len(outcomes) == len(lines)
    bad = {i: o.code for i, o in enumerate(outcomes) if isinstance(o, ProofroomError)}
    assert bad == {3: "not-json", 11: "not-payer", 12: "duplicate-key"}
    places = [o for o in outcomes if isinstance(o, Recorded)]
    assert [p.entry_index for p in places[:-1]] == list(range(size, size + 20))
    assert (places[-1].entry_index, places[-1].repeated) == (size + 4, True)
    again = [o for o in room.ledger.append_stream(lines) if isinstance(o, Recorded)]
    assert all(p.repeated for p in again)
    assert [p.entry_index for p in again] == [p.entry_index for p in places]
    assert room.ledger.size == size + 20
    assert_valid(room.ledger.store)


def test_a_stream_is_read_as_it_is_written(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no more of an endless source than it has in flight, and what it gave is in the log."""
    monkeypatch.setattr(verifying, "CHUNK", 10)
    monkeypatch.setattr(ledgers, "GROUP", 1)
    taken = 0

    def endless() -> Iterator[Envelope]:
        nonlocal taken
        while True:
            taken += 1
            yield room.record(taken)

    size = room.ledger.size
    outcomes = room.ledger.append_stream(endless())
    for i in range(10):
        outcome = next(outcomes)
        assert isinstance(outcome, Recorded)
        assert outcome.entry_index == size + i
    assert room.ledger.store.size() == size + 10
    assert taken == 10


def test_the_same_statement_gives_its_first_place(room: Room) -> None:
    """Again alone, twice in one call, in a stream, and in another order of signatures."""
    record = room.record()
    first = room.ledger.append(record)
    size = room.ledger.size
    assert room.ledger.append(record) == first._replace(repeated=True)
    value = json.loads(record.to_json())
    value["signatures"].reverse()
    assert room.ledger.append(json.dumps(value).encode()) == first._replace(repeated=True)
    assert list(room.ledger.append_stream([record])) == [first._replace(repeated=True)]
    assert room.ledger.size == size
    other = room.record()
    one, two = room.ledger.append_many([other, other])
    assert (one.entry_index, one.repeated) == (size, False)
    assert two == one._replace(repeated=True)


def test_every_entry_of_a_history_can_be_sent_again(tmp_path: Path) -> None:
    """Eras later, each statement is still answered with its first place, and nothing is written."""
    copy_of(tmp_path)
    history = whole_history()
    clock = Clock(history.clock + 400 * DAY_MS)
    with Ledger.open(tmp_path, signers=signers(), clock=clock) as ledger:
        ledger.tick()
        size = ledger.size
        for entry in history.entries:
            again = ledger.append(entry.verified.envelope)
            assert again == (entry.index, entry.verified.digest, entry.recorded_at_ms, True)
        assert ledger.size == size


def test_a_statement_without_its_signatures_is_not_the_recorded_one(tmp_path: Path) -> None:
    """Of every kind: with a signature missing, by a stranger only, or by one too many, it is refused though it is known."""
    copy_of(tmp_path)
    history = whole_history()
    stranger = Key(bytes(32))
    with Ledger.open(tmp_path, signers=signers(), clock=Clock(history.clock)) as ledger:
        before = ledger.size
        seen = set()
        for entry in history.entries:
            if entry.statement.kind in seen:
                continue
            seen.add(entry.statement.kind)
            kind, payload, signatures = entry.verified.envelope
            message = payload if kind == GRANT_WIRE else pae(kind, payload)
            foreign = Signature(stranger.keyid, stranger.sign(message))
            sets = [(foreign,), tuple(sorted([*signatures, foreign])), signatures[1:]]
            for attempt in sets:
                if not attempt:
                    continue
                with pytest.raises(Refused):
                    ledger.append(Envelope(kind, payload, attempt))
            broken = signatures[0]._replace(value=bytes(32) + signatures[0].value[32:])
            with pytest.raises(BadSignature):
                ledger.append(Envelope(kind, payload, (broken, *signatures[1:])))
        assert len(seen) >= 22
        assert ledger.size == before


def test_another_statement_with_the_same_unique_key_is_refused(room: Room) -> None:
    """A record id is given to one record."""
    record = room.cast.record(room.grant, 0)
    keys = (room.cast.derived, room.cast.orchestrator, room.cast.runtimes[0])
    room.ledger.append(sign(record, *keys))
    with pytest.raises(AlreadyRecorded):
        room.ledger.append(sign(record.model_copy(update={"operation": "another"}), *keys))


# --- time


def test_tick_lets_time_pass(room: Room, clock: Clock) -> None:
    """It states what is due; when nothing is, it says that time passed."""
    size = room.ledger.size
    assert room.ledger.tick() == size + 1
    assert room.ledger.entry(size).statement.kind == "tick"
    clock.ms += DAY_MS
    room.ledger.tick()
    assert [e.statement.kind for e in room.ledger.read(size + 1)] == ["era-sealed", "era-paid"]
    assert_valid(room.ledger.store)


class Interrupted(MemoryStore):
    """A store in which somebody else appends right after the next append of this process."""

    then: Callable[[], object] | None = None

    def append(self, expected_size: int, make: Callable[[int], Batch | None]) -> Batch | None:
        batch = super().append(expected_size, make)
        then, self.then = self.then, None
        if then is not None:
            then()
        return batch


def test_a_tick_gives_way_to_what_others_append(clock: Clock) -> None:
    """Between finding nothing due and ticking, another process may append: time passes all the same."""
    store = Interrupted(clock)
    room = make_room(store, clock)
    with room.ledger, Ledger(store, signers()) as other:
        store.then = lambda: other.append(room.record())
        assert room.ledger.tick() == other.refresh()
        assert_valid(store)


def test_what_is_due_comes_before_what_is_sent(room: Room, clock: Clock) -> None:
    """An append after the era's end first seals and pays it; refused or not, the due statements belong to the same call."""
    size = room.ledger.size
    late = room.record()
    clock.ms += DAY_MS
    with pytest.raises(ProofroomError) as refused:
        room.ledger.append(late)
    assert refused.value.code == "era-not-open"
    assert room.ledger.size == size
    room.ledger.append(room.cast.open_era(1))
    assert [e.statement.kind for e in room.ledger.read(size)] == ["era-sealed", "era-paid", "era-opened"]


@pytest.mark.parametrize("back", [1, 4_999, 5_000])
def test_a_small_step_back_of_the_clock_is_absorbed(room: Room, clock: Clock, back: int) -> None:
    """Up to five seconds: the entry is recorded at the time of the last."""
    clock.ms -= back
    assert room.ledger.append(room.record()).recorded_at_ms == START_MS
    assert_valid(room.ledger.store)


@pytest.mark.parametrize("back", [5_001, 86_400_000])
def test_a_larger_step_back_is_an_error(tmp_path: Path, back: int) -> None:
    """Nothing is recorded, by whatever way in, until the clock is right again."""
    clock = Clock(START_MS)
    with closing(SqliteStore(tmp_path / LOG, create=True, clock=clock)) as store:
        room = make_room(store, clock)
        record, before, state = room.record(), rows_of(tmp_path / LOG), room.ledger.state
        clock.ms -= back
        for use in (
            lambda: room.ledger.append(record),
            lambda: list(room.ledger.append_stream([record])),
            room.ledger.tick,
        ):
            with pytest.raises(TimeWentBack) as refused:
                use()
            assert (refused.value.code, refused.value.recorded_at_ms) == ("time-went-back", START_MS - back)
            assert refused.value.advice
        assert rows_of(tmp_path / LOG) == before
        assert room.ledger.state == state
        clock.ms = START_MS
        room.ledger.append(record)


# --- threads


@pytest.mark.parametrize("ways", ["one ledger", "a ledger each"])
def test_threads_append_at_once(tmp_path: Path, ways: str) -> None:
    """Each statement once, each at the place that was acknowledged, and the log is valid."""
    room = make_folder(tmp_path)
    parts = [[room.records(4, operation=f"thread {i}") for _ in range(6)] for i in range(4)]
    places: list[Recorded] = []
    barrier = threading.Barrier(4)

    def append(i: int) -> None:
        ledger = room.ledger if ways == "one ledger" else Ledger.open(tmp_path)
        barrier.wait()
        for part in parts[i]:
            if i % 2:
                places.extend(ledger.append_many(part))
            else:
                places.extend(o for o in ledger.append_stream(part) if isinstance(o, Recorded))
        if ledger is not room.ledger:
            ledger.close()

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(append, i) for i in range(4)]:
            future.result()
    size = room.ledger.refresh()
    assert sorted(p.entry_index for p in places) == list(range(size - 96, size))
    digests = {e.index: e.verified.digest for e in room.ledger.read(size - 96)}
    assert {p.entry_index: p.statement for p in places} == digests
    for i in range(4):
        mine = [
            e.verified.envelope
            for e in room.ledger.read(size - 96)
            if e.statement.to_json()["operation"] == f"thread {i}"
        ]
        assert mine == [e for part in parts[i] for e in part]
    assert_valid(room.ledger.store, against=room.ledger.checkpoint())
    room.ledger.close()


def test_reading_goes_on_while_threads_append(tmp_path: Path) -> None:
    """Receipts taken at any moment verify."""
    room = make_folder(tmp_path)
    founding = room.ledger.state.founding
    assert founding is not None
    checkpoint_key = founding.checkpoint_key
    stop = threading.Event()

    def read() -> int:
        count = 0
        while not stop.is_set():
            verify_receipt(room.ledger.receipt(count % room.ledger.size), ORIGIN, checkpoint_key)
            count += 1
        return count

    with room.ledger, ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        for record in room.records(40):
            room.ledger.append(record)
        stop.set()
        assert all(reader.result() for reader in readers)


@pytest.mark.parametrize("more", [0, 1])
def test_processes_are_started_for_more_than_a_chunk(room: Room, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    """One line is recorded before they would have begun."""
    started = []

    class Noted(VerifyingPool):
        def __init__(self, workers: int) -> None:
            started.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(ledgers, "VerifyingPool", Noted)
    room.ledger._workers = 1
    ticks = (sign(Tick(ledger=room.ledger.id, index=room.ledger.size + i), key("ledger")) for i in range(CHUNK + more))
    assert sum(isinstance(outcome, Recorded) for outcome in room.ledger.append_stream(ticks)) == CHUNK + more
    assert started == [1] * more
