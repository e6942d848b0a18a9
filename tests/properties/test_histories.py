"""Random histories of 1 to 300 entries, lived by a ledger: all that follows from the log agrees, and what is nearly right leaves no trace.

Each is drawn from a seed of its own and checked in four ways. The state is that of a replay. The read models that followed are those made
anew. The published tiles, extended once, audit to the same root. And at a random place each invalid neighbour of what is recorded next is
sent to the ledger: it is refused by the error on its label, and state, files and read models are as they were.

In a soak each history has all of it. In ``make test`` one in twenty has read models, which cost most, the others are short, and one in ten
is published. One in ten is kept in a room on the disk, and the others in memory.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest

from proofroom.adapters import views
from proofroom.adapters.audit import Verdict
from proofroom.adapters.audited_tiles import audit_published
from proofroom.adapters.head import open_head
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.published import PublishedLog
from proofroom.adapters.publishing import publish
from proofroom.adapters.stores import MemoryStore, Store
from proofroom.domain import merkle
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import from_ms
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS, make_genesis
from proofroom.testing.hosting import ledger_in
from proofroom.testing.neighbours import neighbours
from strategies.living import Life
from strategies.rooms import signers, soak
from strategies.soaking import Page, Soak
from strategies.viewing import empty, fresh_views, rows_in

MOST = 280
"""Entries, before those that the last statement makes due."""


class Models:
    """Read models that follow a log as it grows, and others that are made of it at once."""

    def __init__(self) -> None:
        with patch.dict(views._SETTINGS, threads=1):  # so few rows are not worth waiting for another processor
            self.following, self.anew = fresh_views(page=40), fresh_views()

    def agree(self, store: Store) -> None:
        """They hold the same. Afterwards they are empty, for the next log."""
        self.following.project(store)
        self.anew.project(store)
        assert self.following.stopped == self.anew.stopped == []
        rows = rows_in(self.following)
        assert rows == rows_in(self.anew)
        empty(self.following, rows)
        empty(self.anew, rows)

    def close(self) -> None:
        """Let go of all."""
        self.following.close()
        self.anew.close()


@contextmanager
def founded(folder: Path | None) -> Iterator[Ledger]:
    """A ledger of one entry, in a folder or in memory."""
    clock = Clock(START_MS)
    if folder is not None:
        with ledger_in(folder, clock) as ledger:
            yield ledger
        return
    with Ledger(MemoryStore(clock), signers()) as ledger:
        ledger.append(sign(make_genesis(created_at=from_ms(clock.ms)), *signers()))
        yield ledger


def kept(ledger: Ledger, folder: Path | None) -> object:
    """All that a store holds: the bytes of a room's files, but for the index that SQLite shares between processes; or entries and notes."""
    if folder is not None:
        files = [file for file in folder.rglob("*") if file.is_file() and file.name != f"{LOG}-shm"]
        return {file: file.read_bytes() for file in files}
    return ledger.store.read(0), ledger.store.checkpoints(), ledger.store.snapshots()


def check(seed: str, *, published: bool, models: Models | None, in_room: bool) -> Counter[str]:
    """Live a history and hold it against what follows from it. What was seen."""
    chance, seen = random.Random(seed), Counter[str](histories=1)
    with TemporaryDirectory() as name, founded(room := Path(name, "room") if in_room else None) as ledger:
        store, tiles = ledger.store, Path(name, "tiles")

        def meet(life: Life, envelope: Envelope) -> None:
            if published:
                publish(store, tiles)
            if models is not None:
                models.following.project(store)
            before = kept(ledger, room)
            for neighbour in neighbours(life.clock, envelope):
                answer = life.answer(neighbour.envelope)
                assert answer is neighbour.error, f"{neighbour.rule} {answer}"
                assert kept(ledger, room) == before, f"{neighbour.rule} It left a trace."
                seen["neighbours"] += 1
            assert models is None or models.following.project(store) == 0

        assert isinstance(store.clock, Clock)
        is_short = models is None and soak(True, False)
        size = min(MOST, int(1 + chance.expovariate(1 / 6) if is_short else MOST ** (chance.random() ** 1.5)))
        life = Life(ledger, store.clock, chance, size, meet)
        life.live()
        assert open_head(store) == ledger._head, "the replay ends in another state"
        if published:
            publish(store, tiles)
            report = audit_published(PublishedLog(str(tiles)))
            assert (report.verdict, report.entries) == (Verdict.VALID, ledger.size), report.sentence()
            assert report.root == merkle.root(ledger._head.tree)
        if models is not None:
            models.agree(store)
        seen.update({f"of {many}": ledger.size >= many for many in (30, 100, 200)}, published=published)
        return seen + Counter(entries=ledger.size, refused=life.refused, rooms=in_room, projected=models is not None)


PAGE = Page(
    "histories",
    "Random histories",
    "tests/properties/test_histories.py",
    {
        "histories": "histories",
        "entries in all of them": "entries",
        "histories of at least 30 / 100 / 200 entries": "of 30, of 100, of 200",
        "acts that a rule refused, by transition and ledger alike": "refused",
        "invalid neighbours, each refused by its own error and without a trace": "neighbours",
        "histories whose tiles, extended once, audit to the same root": "published",
        "histories whose read models that followed are those made anew": "projected",
        "histories in a room on the disk": "rooms",
    },
)


def test_all_that_follows_from_a_log_agrees(pytestconfig: pytest.Config) -> None:
    """For a fiftieth of the histories of a soak; each begins with genesis, and ends anywhere."""
    with closing(Models()) as models:

        def try_one(seed: str, number: int) -> Counter[str]:
            is_published, is_projected, in_room = number % soak(10, 1) == 0, number % soak(20, 1) == 0, number % 10 == 5
            return check(seed, published=is_published, models=models if is_projected else None, in_room=in_room)

        Soak(PAGE, pytestconfig, 200, 10_000).each(try_one)
