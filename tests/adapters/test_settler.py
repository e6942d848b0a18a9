"""The settler: eras that go on by themselves, with any of the keys, killed at any point, and beside another."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.keys import save_key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.settler import Pace, Settled, Settler
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import MemoryStore
from proofroom.domain.errors import BadInput, TimeWentBack, Unregistered
from proofroom.domain.signing import Signer
from proofroom.domain.statements.settlement import EraPaid
from proofroom.domain.voting import make_vote
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import HOUR_MS, START_MS, resign
from proofroom.testing.keys import key
from strategies.governing import new_manager, orchestrators, propose, settings, vote
from strategies.killing import ends_of
from strategies.rooms import Room, make_folder, make_room, signers
from strategies.shell import proofroom

ALL = (key("manager"), key("orchestrator"))
BRISK = Pace(seal_after_ms=1_000, era_seconds=60, opens=True)


def settler_of(room: Room, keys: tuple[Signer, ...] = ALL, pace: Pace = BRISK) -> Settler:
    """A settler of the room's cluster."""
    return Settler(room.ledger, room.cast.cluster, keys, pace=pace)


def did(settler: Settler) -> list[str]:
    """The kinds that one step brought."""
    return [what.did for what in settler.step()]


def attest(room: Room, round: int) -> None:
    """All validators do their part in a round, in agreement."""
    cast, ledger = room.cast, room.ledger
    for i in range(len(cast.validators)):
        ledger.append(cast.reveal_beacon(round, i))
    count = len(ledger.state.rounds[cast.cluster, round].records)
    members = cast.members(ledger.state, round)
    for i in members:
        ledger.append(cast.commit(ledger.state, round, i, make_vote(count)))
    for i in members:
        ledger.append(cast.reveal(round, i, make_vote(count)))


def test_eras_go_on_by_themselves() -> None:
    """Sealed, closed, the next one opened; paid when the round is final. Every step of it is told."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    settler = settler_of(room)
    room.ledger.append_many(room.records(3))
    assert did(settler) == []
    clock.ms += 1_000
    assert did(settler) == ["batch-sealed"]
    room.ledger.append(room.record())
    clock.ms += 59_000
    assert did(settler) == ["batch-sealed", "era-close", "era-sealed", "era-opened"]
    assert did(settler) == []
    attest(room, 0)
    attest(room, 1)
    clock.ms += 60_000
    assert did(settler) == ["era-close", "era-sealed", "era-paid", "era-opened"]
    assert [s.era for s in settler.step()] == []
    paid = [e.statement for e in room.ledger.read(0, 10_000) if isinstance(e.statement, EraPaid)]
    assert [(s.era, s.records.attested, s.note) for s in paid] == [(0, 4, None), (1, 0, "no attested work")]
    assert audit(room.ledger.store).verdict is Verdict.VALID


def test_nothing_misses_the_seal_of_an_era_that_ends_by_itself() -> None:
    """Within the margin all is sealed at once; then the era ends, and its round by its deadline."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    settler = settler_of(room, pace=Pace(seal_after_ms=10 * 24 * HOUR_MS, seal_at=2))
    clock.ms = START_MS + 24 * HOUR_MS - 10_001
    room.ledger.append_many(room.records(5))
    assert did(settler) == ["batch-sealed", "batch-sealed"]
    clock.ms += 1
    assert did(settler) == ["batch-sealed"]
    clock.ms += 10_000
    assert did(settler) == ["era-sealed"]
    clock.ms += 60_000
    assert did(settler)[-1] == "era-paid"
    (paid,) = [e.statement for e in room.ledger.read(0, 10_000) if isinstance(e.statement, EraPaid)]
    assert (paid.batches, paid.records.recorded, paid.records.unattested) == (3, 5, 5)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((), []),
        ((key("stranger"),), []),
        ((key("orchestrator"),), ["batch-sealed"]),
        ((key("manager"),), []),
        (ALL, ["batch-sealed", "era-close", "era-sealed", "era-opened"]),
    ],
)
def test_with_any_of_the_keys(keys: tuple[Signer, ...], expected: list[str]) -> None:
    """It does what its keys allow; a manager alone ends no era over records that an orchestrator has still to seal."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    room.ledger.append(room.record())
    clock.ms += 60_000
    assert did(settler_of(room, keys)) == expected
    clock.ms = START_MS + 25 * HOUR_MS
    assert "era-paid" in did(settler_of(room, keys))


def test_an_office_that_changes_hands() -> None:
    """Who is manager is looked up each time: from the next era on, the old one's key does nothing any more."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    cast, elect = room.cast, key("manager-2")
    seats = [cast.manager, *cast.providers]
    room.ledger.append(propose(cast, 0, new_manager(elect), elect))
    room.ledger.append_many([vote(cast, 0, seat) for seat in seats])
    clock.ms += HOUR_MS
    assert did(settler_of(room, (cast.manager,))) == [
        "proposal-decided",
        "era-close",
        "era-sealed",
        "era-paid",
        "era-opened",
    ]
    room.ledger.append(cast.deposit(elect.keyid, 10**12, account="cluster-bond"))
    clock.ms += 60_000
    assert did(settler_of(room, (cast.manager,))) == ["era-close", "era-sealed", "era-paid"]
    assert did(settler_of(room, (cast.manager,))) == []
    assert did(settler_of(room, (elect,))) == ["era-opened", "proposal-enacted"]
    clock.ms += 60_000
    assert did(settler_of(room, (cast.manager,))) == []
    assert did(settler_of(room, (elect,))) == ["era-close", "era-sealed", "era-paid", "era-opened"]


def test_an_office_that_is_lost_over_late_records() -> None:
    """The orchestrator of before seals what it had recorded, and the settler with its key does."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    cast = room.cast
    for number, change in enumerate((settings(late_records="next-era"), orchestrators(key("orchestrator-2")))):
        room.ledger.append(propose(cast, number, change))
        room.ledger.append_many([vote(cast, number, seat) for seat in (cast.manager, *cast.providers)])
        if number:
            room.ledger.append(cast.activity(room.grant, 1))
        clock.ms += 25 * HOUR_MS
        assert "era-opened" in did(settler_of(room, (cast.manager,)))
    clock.ms += 1_000
    assert did(settler_of(room, (key("orchestrator-2"),))) == []
    assert did(settler_of(room, (cast.orchestrator,))) == ["batch-sealed"]


def test_what_it_cannot_do_for_now() -> None:
    """An opening that a rule refuses is tried again at each look, until it is allowed."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    cast = room.cast
    bond = int(cast.parameters.bonds.cluster_minimum)
    room.ledger.append(propose(cast, 0, settings(bonds__cluster_minimum=str(2 * bond))))
    room.ledger.append_many([vote(cast, 0, seat) for seat in (cast.manager, *cast.providers)])
    clock.ms += HOUR_MS
    settler = settler_of(room)
    assert did(settler)[-1] == "era-paid"
    assert did(settler) == []
    room.ledger.append(cast.deposit(cast.manager.keyid, bond, account="cluster-bond"))
    assert did(settler) == ["era-opened", "proposal-enacted"]


def test_what_it_cannot_do_at_all() -> None:
    """Another cluster's name, and a batch of no records, are errors of the host."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    with pytest.raises(Unregistered):
        Settler(room.ledger, "nowhere", ALL).step()
    with pytest.raises(BadInput):
        Settler(room.ledger, "dragon-1", ALL, pace=Pace(seal_at=0))


def test_several_clusters_beside_each_other() -> None:
    """Each has a settler of its own; what one does is not told by the other."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    cast = room.cast
    room.ledger.append(cast.found_cluster(cluster="dragon-2"))
    room.ledger.append(resign(cast.deposit(cast.manager.keyid, 10**12, account="cluster-bond"), cluster="dragon-2"))
    one, two = settler_of(room), Settler(room.ledger, "dragon-2", ALL, pace=BRISK)
    clock.ms += 30_000
    assert did(one) == []
    assert did(two) == ["era-opened"]
    clock.ms += 30_000
    assert did(one) == ["era-close", "era-sealed", "era-paid", "era-opened"]
    assert did(two) == []
    clusters = room.ledger.state.clusters
    assert (clusters["dragon-1"].opened, clusters["dragon-2"].opened) == (1, 0)
    clock.ms += 25 * HOUR_MS
    assert did(Settler(room.ledger, "dragon-1")) == ["era-sealed", "era-paid"]
    assert not room.ledger.state.clusters["dragon-2"].open


# --- killed at any point, and two at once


def busy_folder(folder: Path) -> Clock:
    """A room in which one step seals, closes and opens."""
    folder.mkdir()
    clock = Clock(START_MS)
    room = make_room(SqliteStore(folder / "log.db", create=True, clock=clock), clock)
    with room.ledger:
        room.ledger.append_many(room.records(3))
    clock.ms += 60_000
    return clock


def check_finished(folder: Path, now: int) -> None:
    """Whatever was left undone gets done, and all of it once: one batch, one end, one beginning, one payment."""
    clock = Clock(now)
    with Ledger(SqliteStore(folder / "log.db", clock=clock), signers()) as ledger:
        Settler(ledger, "dragon-1", ALL, pace=BRISK).step()
        clock.ms += 60_000
        Settler(ledger, "dragon-1").step()
        counts = Counter(e.statement.kind for e in ledger.read(0, 10_000))
        once = ("batch-sealed", "era-close", "era-sealed", "round-tallied", "era-paid")
        assert [counts[kind] for kind in once] == [1] * len(once)
        assert counts["era-opened"] == 2
        assert audit(ledger.store).verdict is Verdict.VALID


CHILD = """
import sys
from proofroom.adapters import settler as module
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.settler import Pace, Settler
from proofroom.adapters.sqlite import SqliteStore
from proofroom.testing.keys import key
from proofroom.testing.clocks import Clock
from strategies.killing import work_in_forks
from strategies.rooms import signers

def work(folder, fuse):
    module.sign = fuse.around(module.sign)
    with Ledger(SqliteStore(folder / "log.db", clock=Clock(int(sys.argv[1]))), signers()) as ledger:
        ledger.append = fuse.around(ledger.append)
        pace = Pace(seal_after_ms=1_000, era_seconds=60, opens=True)
        Settler(ledger, "dragon-1", (key("manager"), key("orchestrator")), pace=pace).step()

work_in_forks(work)
"""


def test_killed_at_every_point_it_goes_on(tmp_path: Path) -> None:
    """Before and after it signs and records each of three statements: started again, it does the rest and nothing twice."""
    clock = busy_folder(tmp_path / "room")
    points = 12
    folders = [Path(shutil.copytree(tmp_path / "room", tmp_path / f"{point}")) for point in range(points + 1)]
    assert ends_of(CHILD, folders, clock()) == [-signal.SIGKILL] * points + [0]
    for folder in folders:
        check_finished(folder, clock())


def test_two_settlers_do_no_harm(tmp_path: Path) -> None:
    """At one moment on one log: what one does, the other finds done."""
    clock = busy_folder(tmp_path / "room")
    barrier = threading.Barrier(2)

    def settle() -> None:
        with Ledger(SqliteStore(tmp_path / "room" / "log.db", clock=clock), signers()) as ledger:
            barrier.wait()
            for _ in range(3):
                Settler(ledger, "dragon-1", ALL, pace=BRISK).step()

    threads = [threading.Thread(target=settle) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_finished(tmp_path / "room", clock())


def test_it_runs_beside_the_host_and_stops() -> None:
    """In a thread of its own it does what a step does, and tells it; it ends when told to."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    room.ledger.append(room.record())
    clock.ms += 60_000
    stop, told = threading.Event(), []

    def tell(what: Settled) -> None:
        told.append(what.did)
        if what.did == "era-opened":
            stop.set()

    thread = threading.Thread(target=settler_of(room).run, args=(stop,), kwargs={"poll_seconds": 0.01, "tell": tell})
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert told == ["batch-sealed", "era-close", "era-sealed", "era-opened"]


def test_as_a_command(tmp_path: Path) -> None:
    """One look from a timer, with keys by URI; what it did as a line of JSON each."""
    folder = tmp_path / "room"
    room = make_folder(folder)
    for name in ("manager", "orchestrator"):
        save_key(tmp_path / f"{name}.json", hashlib.sha256(name.encode()).digest())
    keys = [part for n in ("manager", "orchestrator") for part in ("--key", f"file:{tmp_path / n}.json")]
    options: list[str | Path] = [
        "settler",
        "--room",
        folder,
        "--cluster",
        "dragon-1",
        "--once",
        "--json",
        "--seal-seconds",
        "0",
    ]
    with room.ledger:
        room.ledger.append(room.record())
        assert proofroom(*options).out == ""
        (line,) = proofroom(*options, *keys).out.splitlines()
        assert json.loads(line) == {
            "cluster": "dragon-1",
            "entry_index": room.ledger.refresh() - 1,
            "did": "batch-sealed",
            "era": 0,
        }
        assert proofroom(*options, *keys).out == ""
    assert proofroom(*options[:-2], "--cluster", "nowhere").status == Unregistered.exit_status


def test_a_clock_that_went_back_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """No other process sets it right: a look fails, and a settler that runs says so and tries again."""
    clock = Clock(START_MS)
    room = make_room(MemoryStore(clock), clock)
    settler = settler_of(room, pace=Pace(seal_at=1))
    room.ledger.append(room.record())
    clock.ms -= 365 * 86_400_000
    with pytest.raises(TimeWentBack):
        settler.step()
    stop = threading.Event()

    def heard(_: logging.LogRecord) -> bool:
        stop.set()
        return True

    caplog.handler.addFilter(heard)
    settler.run(stop, poll_seconds=0.01)
    assert "the clock reads" in caplog.text
