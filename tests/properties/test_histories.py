"""Random histories of 1 to 300 entries, lived by a ledger: all that follows from the log agrees, and what is nearly right leaves no trace.

Each is drawn from a seed of its own and checked in four ways. The state is that of a replay. The read models that followed are those made
anew. The published tiles, extended once, audit to the same root. And at a random place each invalid neighbour of what is recorded next is
sent to the ledger: it is refused by the error on its label, and state, files and read models are as they were.

In ``make test`` most histories are short, and one in twenty has read models and tiles. One in ten, here as in the soak, is kept in a room
on the disk, and the others in memory.
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
from proofroom.adapters.head import open_head
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.published import PublishedLog, audit_published
from proofroom.adapters.publishing import publish
from proofroom.adapters.stores import MemoryStore
from proofroom.adapters.views import Views
from proofroom.domain import merkle
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import from_ms
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS, make_genesis
from proofroom.testing.hosting import ledger_in
from proofroom.testing.neighbours import neighbours
from strategies.living import Life
from strategies.rooms import signers, soak
from strategies.soaking import Soak
from strategies.viewing import empty, rows_in

MOST = 280
"""Entries, before those that the last statement makes due."""


class Derived:
    """What is made of a log as it grows: read models that follow it, others made at once, and its published files."""

    def __init__(self) -> None:
        with patch.dict(views._SETTINGS, threads=1):  # so few rows are not worth waiting for another processor
            self.following, self.anew = Views(None), Views(None)

    def follow(self, life: Life, tiles: Path) -> int:
        """Bring read models and files up to date. How many entries were new to either."""
        published = publish(life.ledger.store, tiles)
        taken = self.following.project(life.ledger.store)
        assert published.new == taken
        return taken

    def agree(self, life: Life, tiles: Path) -> None:
        """Both read models hold the same, and an audit that has nothing but the files ends at the ledger's root.

        The read models are then empty again, for the next log.
        """
        self.anew.project(life.ledger.store)
        assert self.following.stopped == self.anew.stopped == []
        rows = rows_in(self.following)
        assert rows == rows_in(self.anew)
        empty(self.following, rows)
        empty(self.anew, rows)
        report = audit_published(PublishedLog(str(tiles)))
        assert (report.verdict, report.entries) == (Verdict.VALID, life.ledger.size), report.sentence()
        assert report.root == merkle.root(life.ledger._head.tree)

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


def check(seed: str, derived: Derived | None, *, in_room: bool) -> Counter[str]:
    """Live a history and hold it against everything that follows from it. What was seen."""
    chance, seen = random.Random(seed), Counter[str](histories=1)
    with TemporaryDirectory() as name, founded(room := Path(name, "room") if in_room else None) as ledger:
        tiles = Path(name, "tiles")

        def meet(life: Life, envelope: Envelope) -> None:
            if derived is not None:
                derived.follow(life, tiles)
            before = kept(ledger, room)
            for neighbour in neighbours(life.clock, envelope):
                answer = life.answer(neighbour.envelope)
                assert answer is neighbour.error, f"{neighbour.rule} {answer}"
                assert kept(ledger, room) == before, f"{neighbour.rule} It left a trace."
                seen["neighbours"] += 1
            assert derived is None or derived.follow(life, tiles) == 0

        size = int(MOST ** (chance.random() ** (soak(10, 3) / 2)))  # many are short
        clock = ledger.store.clock
        assert isinstance(clock, Clock)
        life = Life(ledger, clock, chance, size, meet)
        life.live()
        assert open_head(ledger.store) == ledger._head, "the replay ends in another state"
        if derived is not None:
            derived.follow(life, tiles)
            derived.agree(life, tiles)
            seen["derived"] += 1
        return seen + Counter({"entries": ledger.size, "rooms": in_room, "refused": life.refused})


FIGURES = {
    "histories": "histories",
    "entries in all of them": "entries",
    "histories of at least 30 / 100 / 200 entries": "of 30, of 100, of 200",
    "acts that a rule refused, by transition and ledger alike": "refused",
    "invalid neighbours, each refused by its own error and without a trace": "neighbours",
    "histories of which read models and tiles were made, extended once, and compared": "derived",
    "histories in a room on the disk": "rooms",
}


def test_all_that_follows_from_a_log_agrees(pytestconfig: pytest.Config) -> None:
    """For a fiftieth of the histories of a soak; each begins with genesis, and ends anywhere."""
    run = Soak("histories", pytestconfig, 200, 10_000)
    with closing(Derived()) as derived:

        def try_one(seed: str, number: int) -> Counter[str]:
            seen = check(seed, None if number % soak(20, 1) else derived, in_room=number % 10 == 5)
            seen.update({f"of {size}": seen["entries"] >= size for size in (30, 100, 200)})
            return seen

        run.each(try_one)
    text = "What is checked: `tests/properties/test_histories.py`."
    run.summarise("Random histories", "tests/properties/test_histories.py", text, FIGURES)
