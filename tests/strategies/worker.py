"""What other processes do to a ledger in the tests: ``python -m strategies.worker COMMAND FOLDER ...`` from the folder ``tests``.

Each says ``ready``, waits for a line, and then prints one line for each thing that it has done, as soon as it is done.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from proofroom.adapters import ledger as ledgers
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.stores import now_ms
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import GrantRevoked, ProofroomError, Refused
from strategies.crowd import Member, at_once
from strategies.racing import SUB, Family
from strategies.rooms import Room


def say(*words: object) -> None:
    """One line, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def wait() -> None:
    """Stand ready until told to begin."""
    say("ready")
    sys.stdin.readline()


def room_in(folder: str, name: str) -> Room:
    """The ledger of a folder, opened by this process."""
    return Room(Ledger.open(folder), now_ms, seed=f"{name} {os.getpid()}")


def append(folder: str, name: str, count: str) -> None:
    """Append records: one by one, by two, by three, and so on in turn; say each place."""
    room = room_in(folder, name)
    wait()
    records = room.records(int(count), operation=name)
    with room.ledger:
        for size in itertools.cycle((1, 2, 3)):
            if not records:
                return
            for recorded in room.ledger.append_many(records[:size]):
                say(recorded.entry_index, recorded.statement)
            records = records[size:]


def tick(folder: str, count: str) -> None:
    """Let time pass again and again."""
    room = room_in(folder, "tick")
    wait()
    with room.ledger:
        for _ in range(int(count)):
            say(room.ledger.tick())


def calls(folder: str, name: str) -> None:
    """Append records in calls of many, for ever: an operation names its call and the size of it."""
    room = room_in(folder, name)
    sizes = itertools.cycle((50, 1, 200, 20))
    prepared = [room.records(size, operation=f"{name}-{i} of {size}") for i, size in zip(range(8), sizes, strict=False)]
    wait()
    for i, records in enumerate(prepared):
        room.ledger.append_many(records)
        say(f"{name}-{i} of {len(records)}")
    time.sleep(60)


def stream(folder: str, name: str) -> None:
    """Append a stream of records, committed in groups of 128; their operations number them."""
    ledgers.GROUP = 2
    room = room_in(folder, name)
    records = [room.record(i, operation=f"{name}-{i}") for i in range(512)]
    wait()
    for i, _ in enumerate(room.ledger.append_stream(records)):
        say(f"{name}-{i}")
    time.sleep(60)


def work_until_revoked(folder: str, name: str) -> None:
    """Append records under the grant until it is refused; say each place, then by which error it ended."""
    room = room_in(folder, name)
    room.ledger.refresh()
    prepared = room.records(100)
    wait()
    with room.ledger:
        for record in itertools.chain(prepared, (room.record() for _ in itertools.count())):
            try:
                say(room.ledger.append(record).entry_index)
            except GrantRevoked as e:
                say("stop", e.code)
                return


def revoke(folder: str, delay_ms: str) -> None:
    """Revoke the grant after a while; say where."""
    room = room_in(folder, "revoke")
    wait()
    with room.ledger:
        time.sleep(int(delay_ms) / 1000)
        say(room.ledger.append(room.cast.grant(created_at=room.cast.now(1_000), revoked=True)).entry_index)


def grant_and_revoke(folder: str, races: str, seed: str) -> None:
    """Grant, pass on, and revoke the one or the other, again and again; say where. In the end the vault ``done`` is opened."""
    room = room_in(folder, "revoker")
    family, chance = Family(room.ledger, f"revoker {os.getpid()}"), random.Random(seed)
    wait()
    with room.ledger:
        for i in range(int(races)):
            family.grant()
            time.sleep(chance.random() * 0.02)
            say(room.ledger.append(family.revoke(root=i % 2 == 0)).entry_index)
        room.cast.vault = "done"
        room.ledger.append(room.cast.open_vault())


def work_while_granted(folder: str, name: str) -> None:
    """Work under whatever grant and delegation are in force, until the vault ``done`` is there; say how many got in, and how many not."""
    room = room_in(folder, name)
    family, counts = Family(room.ledger, f"{name} {os.getpid()}"), [0, 0]
    user, service = room.cast.user.keyid, room.cast.agent.keyid
    wait()
    with room.ledger:
        while "done" not in room.ledger.state.vaults:
            room.ledger.refresh()
            state = room.ledger.state
            passed_on = state.delegations.get((user, SUB.keyid))
            if passed_on is None:
                continue
            for record in family.records(state.grants[user, service].digest, passed_on[service].digest, 2):
                try:
                    room.ledger.append(record)
                except Refused:
                    counts[1] += 1
                else:
                    counts[0] += 1
    say(*counts)


def reopen(folder: str, seconds: str) -> None:
    """Open and close the ledger again and again; say its size."""
    wait()
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline:
        with Ledger.open(folder) as ledger:
            say(ledger.size)


def create(folder: str) -> None:
    """Create the ledger, or say what kept it from that."""
    wait()
    try:
        with Ledger.create(Path(folder)) as ledger:
            say("created", ledger.size)
    except ProofroomError as e:
        say(e.code)


def fill(folder: str, mib: str) -> None:
    """On a file system of this many MiB: append until it is full, then make room and go on."""
    room = room_in(folder, "fill")
    wait()
    ballast = Path(folder) / "ballast"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    ballast.write_bytes(bytes(max(0, free - (1 << 20))))
    done: list[Envelope] = []
    code = "none"
    for _ in range(200):
        records = room.records(50)
        try:
            room.ledger.append_many(records)
            done += records
        except ProofroomError as e:
            code = e.code
            break
    size = room.ledger.store.size()
    ballast.unlink()
    again = room.ledger.append(room.record()).entry_index
    room.ledger.close()
    say(code, size, again, len(done))


def crowd(folder: str, name: str, seconds: str, tiles: str, *roles: str) -> None:
    """Play these roles at once, on one handle; say in JSON what each was told."""
    with Ledger.open(folder) as ledger:
        stop = threading.Event()
        members = [(Member(ledger, f"{name} {i}", stop, Path(tiles)), role) for i, role in enumerate(roles)]
        wait()
        told = at_once(members, stop, float(seconds))
    for one in told:
        say(json.dumps(one))


COMMANDS: dict[str, Callable[..., None]] = {
    f.__name__: f
    for f in (
        append,
        tick,
        calls,
        stream,
        work_until_revoked,
        revoke,
        grant_and_revoke,
        work_while_granted,
        reopen,
        create,
        fill,
        crowd,
    )
}


def main(argv: Iterator[str]) -> None:
    """Run one command."""
    command, *args = argv
    COMMANDS[command](*args)


if __name__ == "__main__":
    main(iter(sys.argv[1:]))
