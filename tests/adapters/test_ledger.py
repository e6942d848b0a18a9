"""The ledger as a host embeds it."""

from __future__ import annotations

import gc
import json
import sqlite3
import subprocess
import sys
import threading
import time
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
from proofroom.adapters.lab.forge import put, stored_of
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import Batch, MemoryStore
from proofroom.adapters.writer import Recorded
from proofroom.domain import merkle
from proofroom.domain.authority import AUTHORITY
from proofroom.domain.checkpoint import verify_checkpoint
from proofroom.domain.envelope import Envelope, Signature, sign, verify
from proofroom.domain.errors import (
    AlreadyRecorded,
    BadProof,
    BadSignature,
    Closed,
    GrantRevoked,
    HistoryChanged,
    LedgerExists,
    NoSigner,
    NoSuchEntry,
    NotGenesis,
    ProofroomError,
    Refused,
    TimeWentBack,
)
from proofroom.domain.receipt import Receipt, verify_receipt
from proofroom.domain.signing import pae
from proofroom.domain.snapshot import encode_state
from proofroom.domain.statements import GRANT_WIRE
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.rooms import (
    TESTS,
    Room,
    Worker,
    copy_of,
    edit,
    entries_of,
    forge,
    make_folder,
    make_room,
    note_of,
    rows_of,
    run_together,
    signers,
    soak,
    whole_checkpoints,
    write_history,
)
from strategies.whole import whole_history

START = 1_772_355_600_000


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def room(clock: Clock) -> Iterator[Room]:
    """A ledger in memory with a clock that stands still."""
    made = make_room(MemoryStore(clock), clock)
    with made.ledger:
        yield made


def assert_valid(store: Any, **options: Any) -> None:
    report = audit(store, **options)
    assert report.verdict is Verdict.VALID, report.sentence()


# --- creating, opening, closing


def test_create_makes_a_folder_that_opens_again(tmp_path: Path) -> None:
    """A new ledger has its genesis, its keys and a bank key; opened again it goes on."""
    with Ledger.create(tmp_path / "room") as ledger:
        assert ledger.size == 1
        founding = ledger.state.founding
        assert founding is not None
        assert ledger.entry(0).statement.kind == "genesis"
        ledger.tick()
        before = ledger.state
    files = sorted(p.name for p in (tmp_path / "room" / "keys").iterdir())
    names = ("bank", "checkpoint-recovery", "checkpoint", "ledger-recovery", "ledger")
    assert files == [*(f"{name}.json" for name in names), "signed-head"]
    with Ledger.open(tmp_path / "room") as ledger:
        assert ledger.state == before
        assert ledger.tick() == 3
        assert repr(ledger) == f"Ledger({founding.origin}, 3 entries)"


def test_create_does_not_touch_a_ledger_that_is_there(tmp_path: Path) -> None:
    """A folder that holds one is refused, and stays what it was."""
    Ledger.create(tmp_path).close()
    before = rows_of(tmp_path / LOG)
    with pytest.raises(LedgerExists):
        Ledger.create(tmp_path)
    assert rows_of(tmp_path / LOG) == before


def test_create_that_fails_leaves_a_folder_in_which_it_may_succeed(tmp_path: Path) -> None:
    """What genesis cannot be made of is a typed error, and no half of a ledger stays in the way."""
    with pytest.raises(ProofroomError):
        Ledger.create(tmp_path, origin="a name with blanks")
    gc.collect()
    with Ledger.create(tmp_path) as ledger:
        assert ledger.size == 1


def test_two_processes_create_one_ledger(tmp_path: Path) -> None:
    """One of them makes it, the other learns that it is there."""
    for attempt in range(soak(2, 20)):
        folder = tmp_path / str(attempt)
        said = sorted(lines[-1] for lines in run_together(*(Worker("create", folder) for _ in range(2))))
        assert said == ["created 1", "ledger-exists"]
        with Ledger.open(folder) as ledger:
            assert ledger.tick() == 2


def test_nothing_lingers_after_a_close(tmp_path: Path) -> None:
    """No thread and no open file stays behind, and the files can be deleted."""
    descriptors = Path("/proc/self/fd")
    make_folder(tmp_path).ledger.close()
    gc.collect()
    before = (len(list(descriptors.iterdir())) if descriptors.exists() else 0, threading.active_count())
    room = Room(Ledger.open(tmp_path), lambda: time.time_ns() // 10**6, seed="lingers")
    with room.ledger:
        assert len(list(room.ledger.append_stream(room.records(200)))) == 200
        with ThreadPoolExecutor(4) as pool:
            assert len(list(pool.map(room.ledger.receipt, range(20)))) == 20
        assert next(room.ledger.follow()).index == 0
    room.ledger.close()
    after = (len(list(descriptors.iterdir())) if descriptors.exists() else 0, threading.active_count())
    assert after == before
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(("-wal", "-shm"))]
    (tmp_path / LOG).unlink()


_CLOSE_WHILE_READ = """
import sys, threading, time
from pathlib import Path
from strategies.rooms import make_folder
from proofroom.adapters.ledger import Ledger
from proofroom.domain.errors import ProofroomError

def read(ledger):
    try:
        while True:
            ledger.read(0, 100)
            ledger.receipt(3)
    except ProofroomError:
        pass

make_folder(Path(sys.argv[1])).ledger.close()
for _ in range(15):
    ledger = Ledger.open(sys.argv[1])
    threads = [threading.Thread(target=read, args=(ledger,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    ledger.close()
    for thread in threads:
        thread.join()
sys.stdout.write("well")
"""


def test_closing_while_other_threads_read_is_safe(tmp_path: Path) -> None:
    """They get a typed error; the process lives (SQLite crashes when a connection is closed under a thread that uses it)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _CLOSE_WHILE_READ, tmp_path],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "well", "")


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    """Every use of it but its last known state is refused."""
    room = make_folder(tmp_path)
    ledger, record = room.ledger, room.record()
    following = ledger.follow(wait_seconds=5)
    next(following)
    ledger.close()
    ledger.close()
    uses: list[Callable[[], object]] = [
        lambda: ledger.append(record),
        lambda: ledger.append_many([record]),
        lambda: list(ledger.append_stream([record])),
        ledger.tick,
        ledger.refresh,
        ledger.read,
        lambda: ledger.entry(0),
        lambda: ledger.receipt(0),
        ledger.checkpoint,
        lambda: list(ledger.follow()),
        lambda: ledger.grant_status(room.cast.user.keyid, room.cast.agent.keyid),
        lambda: list(following),
    ]
    for use in uses:
        with pytest.raises(Closed):
            use()
    assert ledger.size == ledger.state.size


def test_the_context_manager_closes_also_after_an_error(tmp_path: Path) -> None:
    """What is raised inside passes through."""
    with pytest.raises(KeyError), Ledger.create(tmp_path) as ledger:
        raise KeyError
    with pytest.raises(Closed):
        ledger.tick()


def test_an_empty_store_takes_genesis_and_nothing_else() -> None:
    """Before genesis, questions have an answer and statements are refused."""
    with Ledger(MemoryStore(), signers()) as ledger:
        assert ledger.size == 0
        with pytest.raises(NoSuchEntry):
            ledger.id  # noqa: B018 -- asked for its error
        with pytest.raises(NoSuchEntry):
            ledger.checkpoint()
        with pytest.raises(NotGenesis):
            ledger.append(whole_history().entries[1].verified)
        with pytest.raises(NoSuchEntry):
            ledger.tick()


# --- appending


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
    assert outcomes[0] == Recorded(size - 3, verify(first).digest, START)


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
    assert room.ledger.append(room.record()).recorded_at_ms == START
    assert_valid(room.ledger.store)


@pytest.mark.parametrize("back", [5_001, 86_400_000])
def test_a_larger_step_back_is_an_error(tmp_path: Path, back: int) -> None:
    """Nothing is recorded, by whatever way in, until the clock is right again."""
    clock = Clock(START)
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
            assert (refused.value.code, refused.value.recorded_at_ms) == ("time-went-back", START - back)
            assert refused.value.advice
        assert rows_of(tmp_path / LOG) == before
        assert room.ledger.state == state
        clock.ms = START
        room.ledger.append(record)


# --- reading


def test_entries_are_read_as_they_were_signed(room: Room) -> None:
    """One, a page, and beyond the end."""
    record = room.record()
    index = room.ledger.append(record).entry_index
    assert room.ledger.entry(index).verified.envelope == record
    assert [e.index for e in room.ledger.read(2, 3)] == [2, 3, 4]
    for beyond in (-1, room.ledger.size):
        with pytest.raises(NoSuchEntry):
            room.ledger.entry(beyond)
        with pytest.raises(NoSuchEntry):
            room.ledger.receipt(beyond)


def test_status_is_derived_now() -> None:
    """Absent, active, revoked: never stored, and seen through another ledger on the same store."""
    room = make_room(MemoryStore())
    user, agent = room.cast.user.keyid, room.cast.agent.keyid
    with Ledger(room.ledger.store) as reader:
        assert reader.grant_status(agent, user) == "absent"
        assert reader.grant_status(user, agent) == "active"
        room.ledger.append(room.cast.grant(created_at=room.cast.now(1), revoked=True))
        assert reader.grant_status(user, agent) == "revoked"


def test_refresh_and_follow_see_what_others_wrote(tmp_path: Path) -> None:
    """A second ledger on the file takes in what the first wrote, by asking or by following."""
    room = make_folder(tmp_path)
    with room.ledger, Ledger.open(tmp_path) as other:
        size = other.size
        timer = threading.Timer(0.2, room.ledger.append, (room.record(),))
        timer.start()
        assert [e.index for e in other.follow(size - 1, wait_seconds=1)] == [size - 1, size]
        timer.join()
        assert other.size == size
        assert other.refresh() == size + 1
        assert other.state == room.ledger.state


def test_every_entry_has_a_receipt_at_every_size(clock: Clock) -> None:
    """Taken as the log grows, each verifies by the key alone and gives the statement."""
    room = make_room(MemoryStore(clock), clock)
    founding = room.ledger.state.founding
    assert founding is not None
    for _ in range(9):
        room.ledger.append_many(room.records(3))
        for entry in room.ledger.read():
            receipt = room.ledger.receipt(entry.index)
            verified, checkpoint = verify_receipt(receipt, ORIGIN, founding.checkpoint_key)
            assert receipt.entry_index == entry.index
            assert verified.envelope == entry.verified.envelope
            assert checkpoint.size == room.ledger.size
    room.ledger.close()


def test_no_bit_of_a_receipt_can_change(room: Room) -> None:
    """Entry, path and note: any flipped bit makes it fail."""
    receipt = room.ledger.receipt(7)
    checkpoint_key = key("checkpoint").keyid
    parts = [receipt.entry, b"".join(receipt.path), receipt.note.encode()]
    for which, part in enumerate(parts):
        for bit in range(0, len(part) * 8, 1 if which == 1 else 3):
            changed = bytearray(part)
            changed[bit // 8] ^= 1 << bit % 8
            entry, path, note = (bytes(changed) if i == which else kept for i, kept in enumerate(parts))
            hashes = tuple(path[i : i + 32] for i in range(0, len(path), 32))
            altered = Receipt(entry, hashes, note.decode(errors="surrogateescape"))
            with pytest.raises(ProofroomError):
                verify_receipt(altered, ORIGIN, checkpoint_key)


def test_a_receipt_of_another_ledger_fails(room: Room) -> None:
    """Another key, another origin, a path too short or too long."""
    receipt = room.ledger.receipt(3)
    for origin, keyid in ((ORIGIN, key("ledger").keyid), ("example.org/other", key("checkpoint").keyid)):
        with pytest.raises(BadProof):
            verify_receipt(receipt, origin, keyid)
    for path in (receipt.path[:-1], (*receipt.path, bytes(32)), ()):
        with pytest.raises(BadProof):
            verify_receipt(receipt._replace(path=path), ORIGIN, key("checkpoint").keyid)


def test_each_append_leaves_a_checkpoint_that_verifies(room: Room) -> None:
    """By the checkpoint key of genesis, over exactly the entries so far."""
    tree = merkle.Tree()
    for entry in room.ledger.store.read(0):
        tree, _ = merkle.append(tree, merkle.SHA256.leaf(entry.entry_bytes()))
    checkpoint = verify_checkpoint(room.ledger.checkpoint(), ORIGIN, key("checkpoint").keyid)
    assert (checkpoint.size, checkpoint.root) == (room.ledger.size, merkle.root(tree))


# --- snapshots


def test_a_ledger_opens_from_its_snapshot_as_from_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every size of a whole history the two give the same state and tree."""
    monkeypatch.setattr(ledgers, "SNAPSHOT_EVERY", 10)
    clock = Clock(0)
    store, states = MemoryStore(clock), set[int]()
    with Ledger(store, signers()) as ledger:
        for entry in whole_history().entries:
            if entry.index >= ledger.size:
                clock.ms = entry.recorded_at_ms
                ledger.append(entry.verified)
                states.update(size for size, _ in store.snapshots())
                with Ledger(store) as again:
                    assert again._head == ledger._head
    assert len(states) > 8


def test_the_snapshot_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening reads no more than the end of what the snapshot covers: an old entry that cannot be parsed any more does not matter to it."""
    monkeypatch.setattr("proofroom.adapters.head.TAIL", 5)
    copy_of(tmp_path)
    with Ledger.open(tmp_path, signers=signers(), clock=Clock(whole_history().clock)) as ledger:
        ledger.tick()
        state = ledger.state
    assert [row[0] for row in rows_of(tmp_path / LOG)["snapshots"]] == [state.size]
    edit(tmp_path / LOG, "UPDATE log SET topic = 'x' WHERE log_index = 3")
    with Ledger.open(tmp_path) as ledger:
        assert ledger.state == state
    edit(tmp_path / LOG, "DELETE FROM snapshots")
    with pytest.raises(HistoryChanged):
        Ledger.open(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE snapshots SET state = CAST(substr(state, 1, 40) || x'00' || substr(state, 42) AS BLOB)",
        "UPDATE snapshots SET state = substr(state, 1, 100)",
        "UPDATE snapshots SET state = x''",
        "UPDATE snapshots SET state = 'text'",
        "UPDATE snapshots SET size = size - 1",
        "UPDATE snapshots SET size = size + 1",
        "UPDATE snapshots SET size = 100000",
        "UPDATE snapshots SET size = -1",
        "UPDATE snapshots SET size = 0",
    ],
)
def test_a_snapshot_that_was_altered_is_ignored(tmp_path: Path, change: str) -> None:
    """The history is replayed, and gives the same state."""
    copy_of(tmp_path)
    with Ledger.open(tmp_path, signers=signers(), clock=Clock(whole_history().clock)) as ledger:
        ledger.tick()
        head = ledger._head
    edit(tmp_path / LOG, change)
    with Ledger.open(tmp_path) as ledger:
        assert ledger._head == head


def test_a_snapshot_of_another_history_is_ignored(tmp_path: Path) -> None:
    """It is bound to the tree that its entries give."""
    with closing(SqliteStore(copy_of(tmp_path, "other.db"))) as store:
        Ledger(store, signers(), workers=1).close()
    clock = Clock(START)
    with closing(MemoryStore(clock)) as memory:
        room = make_room(memory, clock)
        size = room.ledger.size
        with Ledger(room.ledger.store) as other:
            state = other.state
        foreign = whole_history().states[size]
        memory.save_snapshot(size, encode_state(foreign, bytes(32)))
        with Ledger(memory) as opened:
            assert opened.state == state


# --- a history that was changed


SIZE = len(whole_history().entries)
LAST = SIZE - 1

CHANGES: dict[str, tuple[str, ...]] = {
    "the last entry is gone": (f"DELETE FROM log WHERE log_index = {LAST}",),
    "the last ten are gone": (f"DELETE FROM log WHERE log_index > {LAST - 10}",),
    "the last checkpoint is gone": (f"DELETE FROM checkpoints WHERE size = {SIZE}",),
    "all checkpoints are gone": ("DELETE FROM checkpoints",),
    "all entries are gone": ("DELETE FROM log",),
    "a middle entry is gone": ("DELETE FROM log WHERE log_index = 80",),
    "genesis is gone": ("DELETE FROM log WHERE log_index = 0",),
    "the last time": (f"UPDATE log SET recorded_at_ms = recorded_at_ms + 1 WHERE log_index = {LAST}",),
    "a payload": (f"UPDATE log SET state = CAST(replace(state, 'a', 'b') AS BLOB) WHERE log_index = {LAST - 2}",),
    "a payload that is no JSON": (f"UPDATE log SET state = x'7b' WHERE log_index = {LAST - 2}",),
    "a topic": (f"UPDATE log SET topic = 'application/vnd.proofroom.tick.v2+json' WHERE log_index = {LAST - 2}",),
    "a topic that is no text": (f"UPDATE log SET topic = x'ff' WHERE log_index = {LAST - 2}",),
    "a signature": (
        f"UPDATE log SET signatures = CAST(substr(signatures, 1, 96) || x'01' AS BLOB) WHERE log_index = {LAST - 2}",
    ),
    "no signatures": (f"UPDATE log SET signatures = NULL WHERE log_index = {LAST - 2}",),
    "no time": (f"UPDATE log SET recorded_at_ms = NULL WHERE log_index = {LAST - 2}",),
    "the last checkpoint's note": (
        f"UPDATE checkpoints SET note = replace(note, '{SIZE}', '{LAST}') WHERE size = {SIZE}",
    ),
    "a note that is no text": (f"UPDATE checkpoints SET note = x'00' WHERE size = {SIZE}",),
    "an older checkpoint in place of the last": (
        f"UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size < {SIZE} ORDER BY size DESC) WHERE size = {SIZE}",
    ),
    "a signature and its type": (f"UPDATE log SET signatures = 'text' WHERE log_index = {LAST - 2}",),
    "two entries changed places": (
        f"UPDATE log SET log_index = 1000 WHERE log_index = {LAST - 2}",
        f"UPDATE log SET log_index = {LAST - 2} WHERE log_index = {LAST - 1}",
        f"UPDATE log SET log_index = {LAST - 1} WHERE log_index = 1000",
    ),
}


@pytest.mark.parametrize("what", ["the last entry is gone", "the last checkpoint is gone"])
def test_the_sizes_that_differ_are_named(tmp_path: Path, what: str) -> None:
    """A log and a checkpoint of different sizes are told apart from a tree that differs."""
    edit(copy_of(tmp_path), *CHANGES[what])
    with pytest.raises(HistoryChanged, match=rf"the log has ({LAST}|{SIZE}) entries"):
        Ledger.open(tmp_path, signers=signers())


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_tail_is_never_signed_over(tmp_path: Path, what: str) -> None:
    """Opening finds that the log is not what its last checkpoint signed, and writes nothing."""
    path = copy_of(tmp_path)
    edit(path, *CHANGES[what])
    before = rows_of(path)
    with pytest.raises(HistoryChanged) as refused:
        Ledger.open(tmp_path, signers=signers())
    assert refused.value.advice
    assert rows_of(path) == before


def test_another_key_cannot_sign_the_tail(tmp_path: Path) -> None:
    """A checkpoint over the right tree by another key is no checkpoint of this ledger."""
    path = copy_of(tmp_path)
    with closing(SqliteStore(path)) as store:
        tree = Ledger(store)._head.tree
    edit(path, (f"UPDATE checkpoints SET note = ? WHERE size = {SIZE}", [note_of(tree, Key(bytes(32)))]))
    with pytest.raises(HistoryChanged):
        Ledger.open(tmp_path, signers=signers())


def test_the_checkpoint_key_alone_cannot_replace_the_history(tmp_path: Path) -> None:
    """A checkpoint that signs another tree than the entries give is found on opening."""
    path = copy_of(tmp_path)
    other = merkle.Tree(SIZE, (bytes(32),) * SIZE.bit_count())
    edit(path, (f"UPDATE checkpoints SET note = ? WHERE size = {SIZE}", [note_of(other)]))
    with pytest.raises(HistoryChanged):
        Ledger.open(tmp_path, signers=signers())


@pytest.mark.parametrize("count", [1, 5])
def test_a_running_ledger_notices_that_its_tail_was_removed(tmp_path: Path, count: int) -> None:
    """With the checkpoints over it: what comes next is refused, at once, and nothing is written."""
    room = make_folder(tmp_path)
    with room.ledger as ledger:
        for record in room.records(5):
            ledger.append(record)
        size = ledger.size - count
        edit(
            tmp_path / LOG, f"DELETE FROM log WHERE log_index >= {size}", f"DELETE FROM checkpoints WHERE size > {size}"
        )
        before = rows_of(tmp_path / LOG)
        outcome: list[BaseException] = []

        def append() -> None:
            try:
                ledger.append(room.record())
            except ProofroomError as e:
                outcome.append(e)

        thread = threading.Thread(target=append, daemon=True)
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
        assert [type(e) for e in outcome] == [HistoryChanged]
        assert rows_of(tmp_path / LOG) == before


@pytest.mark.parametrize("note", ["none", "forged"])
def test_a_running_ledger_takes_in_nothing_that_its_checkpoint_key_did_not_sign(tmp_path: Path, note: str) -> None:
    """Someone who may write the file, but has no key, appends a valid statement: the ledger does not sign over it."""
    room = make_folder(tmp_path)
    with room.ledger as ledger:
        entry, tree = stored_of(ledger.size, ledger.state.recorded_at_ms, room.record(), ledger._head.tree)
        put(ledger.store, [entry], note_of(tree, Key(bytes(32))))
        if note == "none":
            edit(tmp_path / LOG, f"DELETE FROM checkpoints WHERE size = {tree.size}")
        before = rows_of(tmp_path / LOG)
        for use in (lambda: ledger.append(room.record()), ledger.refresh):
            with pytest.raises(HistoryChanged):
                use()
        assert rows_of(tmp_path / LOG) == before


def test_a_ledger_refuses_what_its_rules_do_not_allow_in_a_store() -> None:
    """Entries that are properly signed and bound, but break a rule, are not gone on from."""
    entries = entries_of(whole_history())
    derived = next(i for i, (_, e) in enumerate(entries) if AUTHORITY.get(verify(e).kind, AUTHORITY["grant"]).derived)
    with pytest.raises(HistoryChanged):
        Ledger(forge([*entries[:derived], *entries[derived + 1 :]], whole_checkpoints()[:3]), signers())


# --- signers


def test_without_its_keys_a_ledger_is_for_reading(tmp_path: Path) -> None:
    """Whichever key is missing, an append names it and nothing is written."""
    path = copy_of(tmp_path)
    before = rows_of(path)
    clock = Clock(whole_history().clock)
    for held, missing in (([], "ledger"), ([key("ledger")], "checkpoint"), ([key("checkpoint")], "ledger")):
        with Ledger.open(tmp_path, signers=held, clock=clock) as ledger, pytest.raises(NoSigner) as refused:
            ledger.tick()
        assert refused.value.keyid == key(missing).keyid
        assert refused.value.advice
    assert rows_of(path)["log"] == before["log"]
    assert rows_of(path)["checkpoints"] == before["checkpoints"]


def test_a_snapshot_that_cannot_be_kept_does_not_fail_the_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement is in the log by then, and its place must be told."""
    monkeypatch.setattr(ledgers, "SNAPSHOT_EVERY", 1)
    with closing(SqliteStore(tmp_path / LOG, create=True, lock_timeout=1)) as store:
        room = make_room(store)
        connection = sqlite3.connect(tmp_path / LOG)
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON snapshots BEGIN SELECT RAISE(ABORT, 'no'); END")
        connection.close()
        size = room.ledger.size
        assert room.ledger.append(room.record()).entry_index == size
        room.ledger.close()


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
