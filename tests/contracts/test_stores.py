"""What every store of the log must do.

A further store joins by one fixture that says how it is opened, and by its name in :data:`PLACES` and :data:`DURABLE`.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import PAGE, Batch, MemoryStore, Store, from_nodes, now_ms
from proofroom.domain import merkle
from proofroom.domain.errors import LogMoved

PLACES = ["memory", "sqlite"]
DURABLE = ["sqlite"]


Place = Callable[[Callable[[], int]], Store]
"""Opens a store, always the same one, with this clock."""


@pytest.fixture
def memory() -> Place:
    return MemoryStore


@pytest.fixture
def sqlite(tmp_path: Path) -> Place:
    return lambda clock: SqliteStore(tmp_path / "log.db", create=True, clock=clock)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """Each place in turn."""
    chosen: Place = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(params=DURABLE)
def durable(request: pytest.FixtureRequest) -> Place:
    """Each place that is there again when it is opened again."""
    chosen: Place = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with closing(place(lambda: 1_000)) as opened:
        yield opened


class Log:
    """Makes entries that continue a log; what they say does not matter to a store."""

    def __init__(self) -> None:
        self.tree = merkle.Tree()
        self.leaves: list[bytes] = []

    def batch(self, count: int, recorded_at_ms: int = 0) -> Batch:
        """So many entries more, and a checkpoint over all."""
        entries = []
        for _ in range(count):
            index = self.tree.size
            data = f"entry {index}".encode()
            self.leaves.append(merkle.SHA256.leaf(data))
            self.tree, nodes = merkle.append(self.tree, self.leaves[-1])
            entries.append(
                StoredEntry(
                    originator_id=originator(index),
                    originator_version=1,
                    topic="application/vnd.proofroom.tick.v1+json",
                    state=data,
                    index=index,
                    recorded_at_ms=recorded_at_ms,
                    signatures=bytes(97),
                    nodes=b"".join(nodes),
                )
            )
        return Batch(entries, f"checkpoint of {self.tree.size}")

    def write(self, store: Store, *counts: int) -> None:
        """One append for each count."""
        for count in counts:
            store.append(self.tree.size, lambda now, count=count: self.batch(count, now))  # type: ignore[misc]  # bound early, which no type says


def originator(index: int) -> str:
    return hashlib.sha256(str(index).encode()).hexdigest()[:32]


def test_a_new_log_is_empty(store: Store) -> None:
    """Nothing is in it, and every question about it has an answer."""
    assert store.size() == 0
    assert store.read(0) == []
    assert list(store.read_from(0)) == []
    assert store.find(originator(0)) is None
    assert store.checkpoints() == []
    assert store.last_checkpoint() is None
    assert store.snapshots() == []


def test_what_was_appended_is_read_as_it_was(store: Store) -> None:
    """Every field of every entry comes back, in order, with the checkpoint of each append."""
    log = Log()
    first, second = log.batch(3, 5), log.batch(2, 7)
    assert store.append(0, lambda _: first) == first
    assert store.append(3, lambda _: second) == second
    assert store.size() == 5
    assert store.read(0) == [*first.entries, *second.entries]
    assert store.checkpoints() == [(3, first.note), (5, second.note)]
    assert store.last_checkpoint() == (5, second.note)


def test_append_is_a_compare_and_swap(store: Store) -> None:
    """Another size than expected is refused before anything is made, and names both sizes."""
    log = Log()
    log.write(store, 2)
    for expected in (0, 1, 3):
        with pytest.raises(LogMoved) as refused:
            store.append(expected, lambda _: pytest.fail("made"))
        assert (refused.value.expected, refused.value.size) == (expected, 2)
    assert store.size() == 2


def test_the_clock_is_read_under_the_lock(place: Place) -> None:
    """Whoever waits for the lock gets the time at which it has the lock, so recorded times never fall."""
    seen: list[str] = []

    def clock() -> int:
        seen.append(f"clock of {threading.current_thread().name}")
        return 1_000

    with closing(place(clock)) as store:
        log, inside = Log(), threading.Event()

        def make(now: int) -> Batch:
            inside.set()
            time.sleep(0.2)  # the second waits by now
            seen.append("first is done")
            return log.batch(1, now)

        def append_second() -> None:
            assert inside.wait(60)
            store.append(1, lambda now: log.batch(1, now))

        second = threading.Thread(target=append_second, name="second")
        second.start()
        store.append(0, make)
        second.join()
        assert seen[1:] == ["first is done", "clock of second"]


def test_what_make_raises_is_passed_on_and_leaves_nothing(store: Store) -> None:
    """A refusal under the lock is the caller's own error, and the next append works."""
    log = Log()
    log.write(store, 1)

    def refuse(now: int) -> Batch:
        raise KeyError(now)

    with pytest.raises(KeyError, match="1000"):
        store.append(1, refuse)
    assert store.size() == 1
    assert store.checkpoints() == [(1, "checkpoint of 1")]
    log.write(store, 1)
    assert store.size() == 2


def test_make_may_write_nothing(store: Store) -> None:
    """None leaves the log as it is, and the lock is free again."""
    log = Log()
    log.write(store, 1)
    assert store.append(1, lambda _: None) is None
    assert store.size() == 1
    assert store.last_checkpoint() == (1, "checkpoint of 1")
    log.write(store, 1)


def test_an_append_is_whole_or_not_at_all(store: Store) -> None:
    """Where one entry cannot be kept, because its key is taken, nothing of the batch or its checkpoint is."""
    log = Log()
    log.write(store, 2)
    batch = Log().batch(2)
    twice = [*log.batch(2).entries, batch.entries[0]]
    with pytest.raises(Exception, match=r"(?i)unique|recorded"):
        store.append(2, lambda _: Batch(twice, "of 5"))
    assert store.size() == 2
    assert [e.index for e in store.read(0)] == [0, 1]
    assert store.last_checkpoint() == (2, "checkpoint of 2")


def test_make_may_read_while_another_thread_waits_to_append(store: Store) -> None:
    """The lock keeps writers out, not the reading that a writer needs to decide."""
    log = Log()
    log.write(store, 1)
    inside, moved = threading.Event(), []

    def make(now: int) -> Batch:
        inside.set()
        time.sleep(0.2)  # the other thread waits for the lock by now
        assert store.find(originator(0)) == 0
        assert len(store.read(0)) == 1
        return log.batch(1, now)

    def second() -> None:
        assert inside.wait(60)
        try:
            store.append(1, lambda _: None)
        except LogMoved as e:
            moved.append(e.size)

    thread = threading.Thread(target=second)
    thread.start()
    started = time.monotonic()
    try:
        store.append(1, make)
    finally:
        thread.join()
    assert moved == [2]
    assert time.monotonic() - started < 20  # who waited for the lock would wait for 30


def test_reading_is_paged(store: Store) -> None:
    """A page holds at most so many, from anywhere, and is empty past the end."""
    Log().write(store, 2_100, 7)
    assert [e.index for e in store.read(0)] == list(range(PAGE))
    assert [e.index for e in store.read(5, 3)] == [5, 6, 7]
    assert [e.index for e in store.read(2_105, 10)] == [2_105, 2_106]
    assert store.read(2_107) == []
    assert [e.index for e in store.read_from(3)] == list(range(3, 2_107))


def test_checkpoints_are_paged(store: Store) -> None:
    """From a size on, rising, at most so many."""
    Log().write(store, *[1] * 5)
    assert [size for size, _ in store.checkpoints(2, 2)] == [2, 3]
    assert [size for size, _ in store.checkpoints(6)] == []


def test_following_waits_and_sees_another_thread(store: Store) -> None:
    """``read_from`` gives what is there, then what comes while it waits."""
    log = Log()
    log.write(store, 2)

    def later() -> None:
        for _ in range(3):
            time.sleep(0.1)
            log.write(store, 1)

    thread = threading.Thread(target=later)
    thread.start()
    seen = [e.index for e in islice(store.read_from(1, wait_seconds=60), 4)]
    thread.join()
    assert seen == [1, 2, 3, 4]


def test_following_ends_when_nothing_comes(store: Store) -> None:
    """After as long as it was told to wait, and not before."""
    Log().write(store, 2)
    started = time.monotonic()
    assert [e.index for e in store.read_from(1, wait_seconds=0.2)] == [1]
    assert time.monotonic() - started >= 0.2


def test_reading_goes_on_while_others_append(store: Store) -> None:
    """Readers in threads see a log that only grows, entries and checkpoints alike."""
    log, stop = Log(), threading.Event()

    def read() -> int:
        last = 0
        while not stop.is_set():
            size = store.size()
            checkpoint = store.last_checkpoint()
            assert size >= last
            assert checkpoint is None or checkpoint[0] >= size
            assert len(store.read(0)) >= size
            assert [s for s, _ in store.checkpoints(1)][: size // 2] == list(range(2, size + 1, 2))
            last = size
        return last

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        log.write(store, *[2] * 60)
        stop.set()
        for reader in readers:
            reader.result()


def test_an_entry_is_found_by_its_key(store: Store) -> None:
    """The index of each, and None for a key that is not there."""
    Log().write(store, 3, 4)
    assert [store.find(originator(i)) for i in range(8)] == [0, 1, 2, 3, 4, 5, 6, None]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH over leaf hashes, as RFC 9162 2.1.1 writes it."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return merkle.SHA256.node(naive_root(leaves[:half]), naive_root(leaves[half:]))


@pytest.fixture(scope="module")
def long_log() -> tuple[MemoryStore, list[bytes]]:
    store, log = MemoryStore(), Log()
    log.write(store, 100, 1, 99)
    return store, log.leaves


def test_each_node_is_the_root_of_its_leaves(store: Store) -> None:
    """``node(h, k)`` for every perfect subtree there is equals a naive computation."""
    log = Log()
    log.write(store, 1, 2, 3, 20, 11)
    for height in range(6):
        for position in range(37 >> height):
            leaves = log.leaves[position << height : (position + 1) << height]
            assert store.node(height, position) == naive_root(leaves)
    places = [(height, k) for height in range(6) for k in range(37 >> height)]
    many = [*reversed(places), *places * 8]
    assert store.nodes(many) == [store.node(*place) for place in many]
    assert store.nodes([]) == []


def test_a_proof_asks_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """All nodes that a proof needs are read by one call, and give the proof of single reads."""
    Log().write(store, 37)
    expected = [merkle.inclusion_path(i, 37, store.node) for i in range(37)]
    asked: list[int] = []
    real = store.nodes

    def nodes(places: Sequence[tuple[int, int]]) -> list[bytes]:
        asked.append(len(places))
        return real(places)

    monkeypatch.setattr(store, "nodes", nodes)
    assert [from_nodes(store, partial(merkle.inclusion_path, i, 37)) for i in range(37)] == expected
    assert len(asked) == 37
    assert from_nodes(store, lambda n: merkle.consistency_path(12, 37, n)) == merkle.consistency_path(
        12, 37, store.node
    )


@given(data=st.data())
def test_paths_from_stored_nodes_hold_at_every_size(
    long_log: tuple[MemoryStore, list[bytes]], data: st.DataObject
) -> None:
    """The nodes that are kept suffice for inclusion in any tree of the past."""
    store, leaves = long_log
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_path(index, size, store.node)
    merkle.verify_inclusion(leaves[index], index, size, path, naive_root(leaves[:size]))


def test_the_newest_snapshot_takes_the_place_of_older_ones(store: Store) -> None:
    """One is kept; a writer that comes late with an older one does not bring it back."""
    Log().write(store, 10)
    store.save_snapshot(3, b"three")
    store.save_snapshot(3, b"three again")
    assert store.snapshots() == [(3, b"three again")]
    store.save_snapshot(8, b"eight")
    assert store.snapshots() == [(8, b"eight")]
    store.save_snapshot(5, b"five")
    assert store.snapshots()[0] == (8, b"eight")


def test_reopening_finds_everything(durable: Place) -> None:
    """A durable log is there again, to the byte."""
    with closing(durable(now_ms)) as store:
        Log().write(store, 3, 2)
        store.save_snapshot(5, b"state")
        before = (store.read(0), store.checkpoints(), store.snapshots())
    with closing(durable(now_ms)) as store:
        assert (store.read(0), store.checkpoints(), store.snapshots()) == before
        assert store.size() == 5
        assert store.find(originator(4)) == 4


def test_two_openings_write_one_log(durable: Place) -> None:
    """Appends through two stores at once take turns: each entry once, no index left out, and both see all."""
    log, lost = Log(), []
    with closing(durable(now_ms)) as one, closing(durable(now_ms)) as two:

        def write(store: Store) -> None:
            done, order = 0, random.Random(id(store))
            while done < 30:
                try:
                    store.append(store.size(), lambda now: log.batch(1, now))
                    done += 1
                except LogMoved as e:
                    lost.append(e)
                    time.sleep(order.random() / 1_000)

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(write, s) for s in (one, two)]:
                future.result()
        assert [e.index for e in one.read(0)] == list(range(60))
        assert one.read(0) == two.read(0)


def test_following_sees_another_opening(durable: Place) -> None:
    """What one store wrote, the other follows."""
    log = Log()
    with closing(durable(now_ms)) as one, closing(durable(now_ms)) as two:
        log.write(one, 1)
        thread = threading.Timer(0.2, log.write, (one, 2))
        thread.start()
        assert [e.index for e in islice(two.read_from(0, wait_seconds=60), 3)] == [0, 1, 2]
        thread.join()
