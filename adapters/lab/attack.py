"""What an attack is, and the scene on which it plays: a copy of a room, the powers of its host, and a checkpoint kept elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

from proofroom.adapters.lab.forge import forge
from proofroom.adapters.lab.stage import Clock, Stage
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.canonical import encode
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import NothingToAttack, ProofroomError
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import Signer, pae
from proofroom.domain.statements import KINDS, payload_type_of

Power = Literal["file", "host", "party"]
"""What the attacker has: write access to the file; the ledger's own keys besides; keys of parties that misuse them."""


class Caught(NamedTuple):
    """What stopped an attack before an audit had to."""

    check: str
    """``ledger`` (it refused to record), ``opening``, or another name."""
    verdict: str
    """A verdict, or the code of the error."""
    sentence: str


Play = Callable[["Scene"], Caught | None]
"""Carries an attack out on a scene. None leaves it to the audit to find."""


class Attack(NamedTuple):
    """One attack of the threat model."""

    name: str
    power: Power
    does: str
    """One sentence."""
    expects: str
    """The verdict, or the code of the error, that names it in the lab's own room; elsewhere another check may come first."""
    play: Play


class Scene:
    """A copy of a room, to be tampered with.

    Args:
        folder: the copy.
        origin: name of the log.
        signers: the ledger's own keys, as far as they are at hand: ``ledger`` and ``checkpoint``.
        stage: all parties, where the room is the lab's own.
    """

    def __init__(self, folder: Path, origin: str, signers: dict[str, Signer], stage: Stage | None) -> None:
        self.folder, self.path, self.origin, self.signers, self.stage = folder, folder / LOG, origin, signers, stage

    # --- what it holds

    def entries(self) -> list[tuple[int, Envelope]]:
        """All entries as ``(recorded_at_ms, envelope)``."""
        found: list[tuple[int, Envelope]] = []
        with closing(SqliteStore(self.path, read_only=True)) as store:
            while page := store.read(len(found)):
                found += [(stored.recorded_at_ms, stored.envelope()) for stored in page]
        return found

    def find(self, *kinds: str, last: bool = False) -> int:
        """The index of the first (or last) entry of one of these kinds.

        Raises:
            NothingToAttack: the log has none.
        """
        types = {payload_type_of(kind) for kind in kinds}
        places = [i for i, (_, envelope) in enumerate(self.entries()) if envelope.payload_type in types]
        if not places:
            raise NothingToAttack(what=" or ".join(kinds))
        return places[-1 if last else 0]

    def newest_note(self) -> str:
        """The newest checkpoint."""
        with closing(SqliteStore(self.path, read_only=True)) as store:
            last = store.last_checkpoint()
        if last is None:
            raise NothingToAttack(what="checkpoint")
        return last[1]

    def middle(self) -> int:
        """An index well inside the log."""
        return len(self.entries()) // 2

    # --- what can be done to it

    def edit(self, *statements: str | tuple[str, Sequence[object]]) -> None:
        """Run SQL on the file, as anyone who can write it may."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                connection.execute(*([statement] if isinstance(statement, str) else statement))

    def flip(self, column: str, index: int) -> None:
        """Flip the lowest bit of the last byte that a column holds."""
        with closing(sqlite3.connect(self.path)) as connection:
            (value,) = connection.execute(f"SELECT {column} FROM log WHERE log_index = ?", [index]).fetchone()
        raw = value.encode() if isinstance(value, str) else value
        changed = raw[:-1] + bytes([raw[-1] ^ 1])
        new = changed.decode() if isinstance(value, str) else changed
        self.edit((f"UPDATE log SET {column} = ? WHERE log_index = ?", [new, index]))

    def rewrite(self, entries: Sequence[tuple[int, Envelope]]) -> None:
        """Replace the log by these entries, bound and signed as a host can who has the ledger's keys."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        with closing(SqliteStore(self.path, create=True, clock=Clock())) as store:
            forge(entries, store, self.origin, self.signers["checkpoint"])

    def by_ledger(self, envelope: Envelope, change: Callable[[dict[str, Any]], object]) -> Envelope:
        """A statement with its object changed, signed by the ledger's own key."""
        value = orjson.loads(envelope.payload)
        change(value)
        return self.signed(envelope.payload_type, encode(value), self.signers["ledger"])

    def signed(self, payload_type: str, payload: bytes, *signers: Signer) -> Envelope:
        """Any bytes, signed."""
        signatures = [Signature(s.keyid, s.sign(pae(payload_type, payload))) for s in signers]
        return Envelope(payload_type, payload, tuple(sorted(signatures)))

    def statement(self, index: int) -> Any:
        """The statement of an entry."""
        envelope = self.entries()[index][1]
        return KINDS[envelope.payload_type].model_validate(orjson.loads(envelope.payload))

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger of the lab's own room, open to write."""
        assert self.stage is not None
        store = SqliteStore(self.path, clock=self.stage.clock)
        with Ledger(store, self.signers.values()) as ledger:
            yield ledger

    def knock(self, *envelopes: Envelope) -> Caught | None:
        """Give statements to the ledger, as a party would: what it refused of the last one."""
        *before, last = envelopes
        with self.ledger() as ledger:
            for envelope in before:
                ledger.append(envelope)
            try:
                recorded = ledger.append(last)
            except ProofroomError as e:
                return Caught("ledger", e.code, str(e))
        return Caught("ledger", "repeated", "it has its first place already") if recorded.repeated else None


def attack(name: str, power: Power, expects: str, into: list[Attack]) -> Callable[[Play], Play]:
    """Make a function an attack; its docstring says what it does.

    >>> MINE: list[Attack] = []
    >>> @attack("mine", "file", "INVALID", MINE)
    ... def _(scene: Scene) -> None:
    ...     "The first entry is gone."
    ...     scene.edit("DELETE FROM log WHERE log_index = 0")
    >>> MINE[0].does
    'The first entry is gone.'
    """

    def add(play: Play) -> Play:
        into.append(Attack(name, power, (play.__doc__ or name).strip().splitlines()[0], expects, play))
        return play

    return add
