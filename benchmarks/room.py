"""A room to measure in: one cluster, keys from words, everything in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from proofroom.adapters.cast import Cast
from proofroom.adapters.keys import Key, load_key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.stores import now_ms
from proofroom.domain.ids import Digest
from proofroom.domain.voting import make_vote

PLENTY = 10**30
"""A deposit that covers any benchmark."""

START_MS = 1_767_225_600_000
"""When a room by a ``Clock`` of its own is founded: the first moment of 2026.

Its eras are of an hour, which need not be waited for. Were one turned each second, all records would lie within the minutes in
which an id may come again, and each of them in the state.
"""
HOUR_MS = 3_600_000


def key_of(folder: Path, name: str) -> Key:
    """The bank's key of the room; the others from their names."""
    return load_key(folder / "keys" / "bank.json") if name == "bank" else Key(hashlib.sha256(name.encode()).digest())


def cast_of(ledger: Ledger, folder: Path) -> Cast:
    """The cast of a room, in its time."""
    keys: dict[str, Key] = {}
    return Cast(ledger.id, ledger.store.clock, lambda name: keys.setdefault(name, key_of(folder, name)))


def build(folder: Path, clock: Callable[[], int] = now_ms) -> None:
    """A founded room with consent, deposit and an open era 0."""
    with Ledger.create(folder, clock=clock) as ledger:
        cast = cast_of(ledger, folder)
        ledger.append_many([*cast.founding(), *cast.consent(), cast.deposit(cast.user.keyid, PLENTY)])
        ledger.append(cast.open_era(0))


def grant_of(ledger: Ledger, cast: Cast) -> Digest:
    """The grant in force."""
    return ledger.state.grants[cast.user.keyid, cast.agent.keyid].digest


def attest(ledger: Ledger, cast: Cast, era: int) -> None:
    """Seal what is unsealed and take it through a whole round."""
    number = ledger.state.clusters[cast.cluster].rounds
    ledger.append(cast.seal_all(ledger.state, era))
    ledger.append_many([cast.reveal_beacon(number, i) for i in range(len(cast.validators))])
    state = ledger.state
    vote = make_vote(len(state.rounds[cast.cluster, number].records))
    members = cast.members(state, number)
    ledger.append_many([cast.commit(state, number, i, vote) for i in members])
    ledger.append_many([cast.reveal(number, i, vote) for i in members])
