"""The lab's own room: small, with all keys at hand, one settled era behind it and an open one with a round under way."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

from blake3 import blake3

from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.keys import Key
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.envelope import sign
from proofroom.domain.ids import Digest, from_ms, to_ms
from proofroom.domain.state import RULES
from proofroom.domain.statements.consent import Limits
from proofroom.domain.statements.ledger import Genesis
from proofroom.domain.voting import make_vote

START_MS = to_ms("2026-01-01T00:00:00Z")
ORIGIN = "tamper-lab.invalid/room"
OLDER = "older.db"
"""The log as it was after the first era, as a backup would hold it."""


@cache
def stage_key(name: str) -> Key:
    """The key of a party: it follows from its name."""
    return Key(blake3(b"proofroom tamper lab " + name.encode()).digest())


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        """The time in ms UTC."""
        return self.ms


def open_stage(path: Path, clock: Clock, *, create: bool = False) -> Ledger:
    """The ledger in a file of the stage, with its keys."""
    store = SqliteStore(path, create=create, clock=clock)
    return Ledger(store, [stage_key("ledger"), stage_key("checkpoint")])


class Stage:
    """Makes the room in a folder; all that happens in it is the same each time."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        folder.mkdir(parents=True, exist_ok=True)
        with open_stage(folder / LOG, self.clock, create=True) as ledger:
            ledger.append(sign(_genesis(), stage_key("ledger"), stage_key("checkpoint")))
            self.cast = self._cast(ledger.id)
            self._play_first_era(ledger)
        shutil.copy(folder / LOG, folder / OLDER)
        with open_stage(folder / LOG, self.clock) as ledger:
            self._begin_second_era(ledger)

    def _cast(self, ledger: Digest) -> Cast:
        drawn, at = blake3(b"proofroom tamper lab randomness"), 0

        def randomness(count: int) -> bytes:
            nonlocal at
            at += count
            return drawn.digest(length=count, seek=at)

        return Cast(ledger, self.clock, stage_key, randomness=randomness, chain=50)

    def _play_first_era(self, ledger: Ledger) -> None:
        cast = self.cast
        grant = cast.grant(limits=Limits(cpu_ms=100_000))
        ledger.append_many([*cast.founding(), cast.open_vault(), grant, cast.certify()])
        ledger.append_many([cast.deposit(cast.user.keyid, 10**12, reference="wire-1"), cast.open_era(0)])
        self.clock.ms += 2_000
        self._work(ledger, 0, 3)
        ledger.append(cast.seal_all(ledger.state, 0))
        ledger.append_many([cast.reveal_beacon(0, i) for i in range(len(cast.validators))])
        members, vote = cast.members(ledger.state, 0), make_vote(3)
        ledger.append_many([cast.commit(ledger.state, 0, i, vote) for i in members])
        ledger.append_many([cast.reveal(0, i, vote) for i in members])
        ledger.append(cast.close_era(0))
        self.clock.ms += 1_000
        ledger.tick()

    def _begin_second_era(self, ledger: Ledger) -> None:
        """A sealed batch whose committee is drawn, and a record in no batch."""
        cast = self.cast
        ledger.append(cast.open_era(1))
        self._work(ledger, 1, 2)
        ledger.append(cast.seal_all(ledger.state, 1))
        ledger.append_many([cast.reveal_beacon(1, i) for i in range(len(cast.validators))])
        self._work(ledger, 1, 1)

    def _work(self, ledger: Ledger, era: int, runs: int) -> None:
        grant = ledger.state.grants[self.cast.user.keyid, self.cast.agent.keyid].digest
        ledger.append_many([self.cast.activity(grant, era, Work(400 + i), node=i) for i in range(runs)])


def _genesis() -> Genesis:
    return Genesis(
        origin=ORIGIN,
        created_at=from_ms(START_MS),
        rules=RULES,
        ledger_key=stage_key("ledger").keyid,
        ledger_recovery_key=stage_key("ledger-recovery").keyid,
        checkpoint_key=stage_key("checkpoint").keyid,
        checkpoint_recovery_key=stage_key("checkpoint-recovery").keyid,
        bank_keys=(stage_key("bank").keyid,),
        unit="CERE",
    )
