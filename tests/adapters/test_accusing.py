"""Anybody who holds two signatures of a validator for one round, or a false beacon value, convicts it from the command line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from proofroom.adapters.accusing import accuse_of_equivocation, accuse_of_false_beacon
from proofroom.adapters.keys import save_key
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import BadInput, NoOffence
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import resign
from proofroom.testing.keys import key
from strategies.rooms import Room, make_folder
from strategies.shell import Ran, proofroom


@pytest.fixture
def room(tmp_path: Path) -> Room:
    save_key(tmp_path / "me.json", hashlib.sha256(b"me").digest())
    return make_folder(tmp_path / "room")


def accuse(folder: Path, *envelopes: Envelope, json: bool = True) -> Ran:
    """Bring these envelopes, each in a file."""
    files = [folder / f"{i}.json" for i in range(len(envelopes))]
    for file, envelope in zip(files, envelopes, strict=True):
        file.write_bytes(envelope.to_json() + b"\n")
    options: list[str | Path] = [
        "--key",
        f"file:{folder / 'me.json'}",
        "--room",
        folder / "room",
        *(["--json"] if json else []),
    ]
    return proofroom("accuse", *files, *options)


def test_a_validator_is_convicted_from_the_command_line(room: Room, tmp_path: Path) -> None:
    """Two commitments cost one validator its bond, a false value another; what proves nothing is refused and costs nobody anything."""
    cast, ledger = room.cast, room.ledger
    with ledger:
        ledger.append(room.record())
        ledger.append(cast.seal_all(ledger.state, 0))
        ledger.append_many([cast.reveal_beacon(0, i) for i in range(7)])
        member, other = cast.members(ledger.state, 0)[:2]
        first = cast.commit(ledger.state, 0, member, make_vote(1))
        second = resign(first, commitment="blake3:" + "0" * 64)
        assert accuse(tmp_path, first, first).status == NoOffence.exit_status
        made = accuse(tmp_path, first, second).json()
        assert made == {
            "entry_index": made["slashed_at"] - 1,
            "slashed_at": made["slashed_at"],
            "offence": "equivocation",
            "validator": cast.validators[member].keyid,
            "amount": "100000000000",
        }
        true = cast.reveal_beacon(0, other)
        assert accuse(tmp_path, true).status == NoOffence.exit_status
        assert "convicted of false-beacon" in accuse(tmp_path, resign(true, value="00" * 32), json=False).out
        ledger.refresh()
        status = {i: ledger.state.validators[cast.cluster][v.keyid].status for i, v in enumerate(cast.validators)}
        assert [i for i, s in status.items() if s == "removed"] == sorted([member, other])
        gone = proofroom(
            "accuse", tmp_path / "none.json", "--key", f"file:{tmp_path / 'me.json'}", "--room", tmp_path / "room"
        )
        assert gone.status == BadInput.exit_status


def test_what_is_no_evidence_is_not_made_into_one(room: Room) -> None:
    """Kinds that nobody is accused of, and two kinds beside each other."""
    cast = room.cast
    with room.ledger:
        value, me = cast.reveal_beacon(0, 0), key("me")
        for first, second in ((value, value), (room.record(), value), (cast.reveal(0, 0, make_vote(1)), value)):
            with pytest.raises(NoOffence):
                accuse_of_equivocation(first, second, me)
        with pytest.raises(NoOffence):
            accuse_of_false_beacon(room.record(), me)
