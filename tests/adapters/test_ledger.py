"""The ledger as a host embeds it: made, opened, read, and without its keys."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from proofroom.adapters import views
from proofroom.adapters.ledger import LOG, VIEWS, Ledger
from proofroom.adapters.stores import MemoryStore
from proofroom.adapters.views import Views
from proofroom.domain import merkle
from proofroom.domain.checkpoint import verify_checkpoint
from proofroom.domain.errors import (
    BadInput,
    BadProof,
    Closed,
    LedgerExists,
    NoSigner,
    NoSuchEntry,
    NotGenesis,
    ProofroomError,
    StoreUnavailable,
)
from proofroom.domain.receipt import Receipt, verify_receipt
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.rooms import (
    Room,
    Worker,
    copy_of,
    make_folder,
    make_room,
    rows_of,
    run_together,
    signers,
    soak,
)
from strategies.whole import whole_history

# --- creating, opening


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
        assert [e.index for e in islice(other.follow(size - 1, wait_seconds=60), 2)] == [size - 1, size]
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


# --- read models in the making


class Making(Views):
    """Read models whose tables take as long to make as somebody wants."""

    begun, may_end = threading.Event(), threading.Event()

    def __init__(self, path: Path | None) -> None:
        self.begun.set()
        assert self.may_end.wait(60), "nobody else came to anything"
        super().__init__(path)


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> type[Making]:
    """These, for all ledgers."""
    Making.begun.clear()
    Making.may_end.clear()
    monkeypatch.setattr(views, "Views", Making)
    return Making


def test_an_append_does_not_wait_for_tables_that_are_made(tmp_path: Path, making: type[Making]) -> None:
    """And who asks meanwhile gets the same read models, with the entry that was appended."""
    with make_folder(tmp_path).ledger as ledger, ThreadPoolExecutor(2) as threads:
        first = threads.submit(ledger.read_models)
        assert making.begun.wait(60)
        second = threads.submit(ledger.read_models)
        size = ledger.tick()
        making.may_end.set()
        assert first.result(60) is second.result(60) is ledger.read_models()
        assert ledger.read_models().position == size


def test_a_ledger_that_is_closed_lets_go_of_tables_that_were_made(tmp_path: Path, making: type[Making]) -> None:
    """Who asked for them is told."""
    with make_folder(tmp_path).ledger as ledger, ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ledger.read_models)
        assert making.begun.wait(60)
        ledger.close()
        making.may_end.set()
        with pytest.raises(Closed):
            asked.result(60)
    with pytest.raises(Closed):
        ledger.read_models()
    Views(tmp_path / VIEWS).close()


def test_what_is_no_envelope_in_any_form_is_named(tmp_path: Path, clock: Clock) -> None:
    """A host that passes text or a parsed object learns what to pass; nothing is recorded."""
    with Ledger.create(tmp_path / "room", clock=clock) as ledger:
        given: Any
        for given in ("{}", {}, None):
            with pytest.raises(TypeError, match="an envelope is its JSON as bytes, or what sign"):
                ledger.append(given)
        assert ledger.size == 1


def test_a_key_by_a_name_that_no_key_has(tmp_path: Path) -> None:
    """It is not passed over, which would leave a plain file where a host meant another signer."""
    with pytest.raises(BadInput, match="checkpoints: no key of a ledger has this name"):
        Ledger.create(tmp_path / "room", signers={"checkpoints": key("checkpoint")})
    assert not (tmp_path / "room").exists()


def test_an_index_beyond_all_numbers(room: Room) -> None:
    """Is of no entry, as any that is too high."""
    for ask in (room.ledger.entry, room.ledger.receipt):
        with pytest.raises(NoSuchEntry):
            ask(2**64)


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_recorded_in_a_file_that_lost_its_place(tmp_path: Path, replaced: bool) -> None:
    """A log that was removed, or restored from a copy, under a ledger that has it open would take what is answered with it."""
    make_folder(tmp_path).ledger.close()
    copy = tmp_path / "copy"
    copy.write_bytes((tmp_path / LOG).read_bytes())
    with Ledger.open(tmp_path) as ledger:
        size = ledger.size
        (tmp_path / LOG).unlink()
        if replaced:
            copy.rename(tmp_path / LOG)
        with pytest.raises(StoreUnavailable, match=r"another file has its place|No such file"):
            ledger.tick()
        assert ledger.size == size
