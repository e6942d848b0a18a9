"""The validator process: its whole part in a round, whom it believes, and that it never votes twice."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from proofroom.adapters.keys import load_key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.observations import ObservationFolder
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.validator import Validator
from proofroom.domain.errors import BadInput, StoreUnavailable, TimeWentBack, Unregistered
from proofroom.domain.ids import KeyId
from proofroom.domain.rounds import phase_of
from proofroom.domain.statements.attestation import RoundTallied, VoteCommitted, VoteRevealed
from proofroom.domain.voting import read_bitmap
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS
from proofroom.testing.keys import key
from strategies.juries import Chamber, Pen, make_validator, observe
from strategies.killing import ends_of
from strategies.own_files import OwnFiles
from strategies.rooms import make_folder, signers
from strategies.shell import proofroom


@pytest.fixture
def chamber(tmp_path: Path) -> Chamber:
    return Chamber(tmp_path)


def tally_of(ledger: Ledger) -> RoundTallied:
    """The newest tally."""
    return [e.statement for e in ledger.read(0, 10_000) if isinstance(e.statement, RoundTallied)][-1]


def votes_of(ledger: Ledger, validator: KeyId) -> Counter[str]:
    """How many commitments and reveals of a validator the log holds."""
    statements = [e.statement for e in ledger.read(0, 10_000)]
    return Counter(
        s.kind for s in statements if isinstance(s, VoteCommitted | VoteRevealed) and s.validator == validator
    )


def test_validators_end_a_round_by_themselves(chamber: Chamber) -> None:
    """Beacon, draw, commitments, reveals and tally: each by who it falls to, from what the gateway saw."""
    honest, overclaimed = chamber.record(), chamber.record(5_000)
    chamber.observe(honest)
    chamber.observe(overclaimed, cpu_ms=400)
    chamber.seal()
    chamber.hold()
    tally = tally_of(chamber.ledger)
    assert (tally.assigned, tally.revealed) == (5, 5)
    assert read_bitmap(tally.attested, 2) == 0b01
    assert read_bitmap(tally.rejected, 2) == 0b10


def test_what_nobody_saw_is_not_attested(chamber: Chamber) -> None:
    """Without an observation a validator abstains, and the record ends unattested."""
    chamber.record()
    chamber.seal()
    chamber.hold()
    tally = tally_of(chamber.ledger)
    assert (tally.revealed, tally.records_attested, tally.records_rejected) == (5, 0, 0)


def test_whom_a_validator_believes(chamber: Chamber) -> None:
    """Neither a stranger, nor the runtime that signed the record, nor an observation that was moved or broken."""
    records = [chamber.record() for _ in range(5)]
    runtime = chamber.cast.runtimes[0]
    for validator in chamber.validators:
        validator.sources |= {runtime.keyid}  # even where an operator lists it by mistake
    chamber.observe(records[0], key("stranger"))
    chamber.observe(records[1], runtime)
    chamber.observe(records[2])
    place = chamber.observe(records[3])
    elsewhere = chamber.observe(records[4], key("stranger"))
    for path in place.iterdir():
        path.rename(elsewhere / path.name)
    (place / "broken.json").write_bytes(b"{")
    chamber.seal()
    chamber.hold()
    assert read_bitmap(tally_of(chamber.ledger).attested, 5) == 0b00100


def advance_to(chamber: Chamber, phase: str) -> None:
    """Go on until the round is in this phase."""
    while (round := chamber.round()) is not None and phase_of(round, chamber.clock()) != phase:
        chamber.go_on()


def test_another_history_gets_no_second_commitment(chamber: Chamber) -> None:
    """A validator that saw another round under this number signs no vote for this one: two would convict it of equivocation."""
    chamber.record()
    chamber.seal()
    advance_to(chamber, "commit")
    round = chamber.round()
    assert round is not None
    first, second = (next(v for v in chamber.validators if v.keyid == member) for member in round.committee[:2])
    first._journal.mkdir(exist_ok=True)
    (first._journal / "round-0.txt").write_text("00" * 32)
    assert first.step() == []
    assert [act.did for act in second.step()] == ["vote-committed"]


def test_the_vote_is_the_one_written_down(chamber: Chamber) -> None:
    """What comes to light between commitment and reveal changes nothing: the vote that was committed to is revealed."""
    record = chamber.record()
    chamber.seal()
    advance_to(chamber, "reveal")
    chamber.observe(record)
    chamber.validators = [make_validator(chamber.ledger, chamber.folder, i) for i in range(7)]
    chamber.hold()
    assert tally_of(chamber.ledger).revealed == 5
    assert tally_of(chamber.ledger).records_attested == 0


def test_a_lost_vote_is_not_made_anew(chamber: Chamber, tmp_path: Path) -> None:
    """A validator whose journal is gone stays silent: it could only reveal something else than it committed to."""
    chamber.observe(chamber.record())
    chamber.seal()
    advance_to(chamber, "reveal")
    round = chamber.round()
    assert round is not None
    lost = next(i for i, v in enumerate(chamber.validators) if v.keyid in round.committee)
    shutil.rmtree(tmp_path / f"journal-{lost}")
    assert chamber.validators[lost].step() == []
    for path in tmp_path.glob("journal-*/*.json"):
        path.write_bytes(b"not a vote")
    other = next(v for v in chamber.validators if v.keyid in round.committee and v is not chamber.validators[lost])
    with pytest.raises(StoreUnavailable):
        other.step()


def test_a_vote_is_on_the_disk_before_it_is_committed_to(chamber: Chamber, tmp_path: Path) -> None:
    """Also where it was written before, and its name could not be synced then."""
    chamber.observe(chamber.record())
    chamber.seal()
    advance_to(chamber, "commit")
    round = chamber.round()
    assert round is not None
    members = [(i, v) for i, v in enumerate(chamber.validators) if v.keyid in round.committee]
    for (i, member), at in zip(
        members, (2, 5), strict=False
    ):  # each third request of a new file is the sync of its name
        (journal := tmp_path / f"journal-{i}").mkdir(exist_ok=True)
        files = OwnFiles(journal, at)
        with files.mounted():
            with pytest.raises(StoreUnavailable):
                member.step()
            assert [act.did for act in member.step()] == ["vote-committed"]
        left = {path.name: path.read_bytes() for path in files.lay_out(tmp_path / f"cut-{i}").iterdir()}
        assert left == {path.name: path.read_bytes() for path in journal.iterdir()}
        assert f"{round.digest.hex()}.json" in left


def test_two_of_the_same_validator_vote_once(chamber: Chamber) -> None:
    """Started twice by mistake, it finds the vote that the other wrote down, whatever it would judge itself."""
    record = chamber.record()
    chamber.seal()
    advance_to(chamber, "commit")
    round = chamber.round()
    assert round is not None
    i = next(i for i, v in enumerate(chamber.validators) if v.keyid in round.committee)
    twin = make_validator(chamber.ledger, chamber.folder, i)
    before = chamber.validators[i].judge(round)
    chamber.observe(record)
    after = twin.judge(round)
    assert before != after
    assert chamber.validators[i]._write_down(round, before) == before
    assert twin._write_down(round, after) == before


def test_it_runs_beside_the_host_and_stops(chamber: Chamber) -> None:
    """In threads of their own, by a clock that goes on, seven validators end a round; each stops when told to."""
    chamber.observe(chamber.record())
    chamber.seal()
    stop = threading.Event()
    threads = [threading.Thread(target=v.run, args=(stop,), kwargs={"poll_seconds": 0.01}) for v in chamber.validators]
    for thread in threads:
        thread.start()
    final = threading.Event()
    for _ in range(2_000):
        if chamber.round() is None:
            final.set()
            break
        threading.Event().wait(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert final.is_set()
    assert tally_of(chamber.ledger).records_attested == 1


# --- killed at any point

CHILD = """
import sys
from proofroom.adapters import validator as module
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.sqlite import SqliteStore
from strategies.juries import Pen, make_validator
from strategies.killing import work_in_forks
from proofroom.testing.clocks import Clock
from strategies.rooms import signers

def work(folder, fuse):
    i, now = map(int, sys.argv[1:])
    pen = Pen(folder, i)
    pen.sign = fuse.around(pen.sign)
    module.write_new = fuse.around(module.write_new)
    with Ledger(SqliteStore(folder / "log.db", clock=Clock(now)), signers()) as ledger:
        validator = make_validator(ledger, folder, i, signer=pen)
        validator._submit = fuse.around(ledger.append)
        validator.step()

work_in_forks(work)
"""


@pytest.mark.parametrize(("phase", "points"), [("commit", 8), ("reveal", 4)])
def test_killed_at_every_point_it_votes_once(tmp_path: Path, phase: str, points: int) -> None:
    """Before and after it writes, signs and submits: a killed validator, started again, votes once, and signed nothing else.

    Between the two starts an observation arrives that would change its judgement.
    """
    room = tmp_path / "room"
    room.mkdir()
    clock = Clock(START_MS)
    chamber = Chamber(room, store=SqliteStore(room / "log.db", create=True, clock=clock), clock=clock)
    record = chamber.record()
    chamber.seal()
    advance_to(chamber, phase)
    round = chamber.round()
    assert round is not None
    i = next(i for i, v in enumerate(chamber.validators) if v.keyid in round.committee)
    chamber.ledger.close()
    folders = [Path(shutil.copytree(room, tmp_path / f"{point}")) for point in range(points + 1)]
    assert ends_of(CHILD, folders, i, clock()) == [-signal.SIGKILL] * points + [0]
    for folder in folders[:points]:
        observe(folder, record)
        with Ledger(SqliteStore(folder / "log.db", clock=clock), signers()) as ledger:
            pen = Pen(folder, i)
            validator = make_validator(ledger, folder, i, signer=pen)
            validator.step()
            assert votes_of(ledger, validator.keyid) == votes_after(phase)
        assert len(set(pen.signed())) == 1


def votes_after(phase: str) -> dict[str, int]:
    """One of each, as far as the round has come."""
    return {"vote-committed": 1} if phase == "commit" else {"vote-committed": 1, "vote-revealed": 1}


def test_as_a_command(tmp_path: Path) -> None:
    """It joins, does its part when told to once, and prints what it did."""
    folder = tmp_path / "room"
    room = make_folder(folder)
    with room.ledger:
        options: list[str | Path] = [
            *("validator", "--room", folder, "--cluster", "dragon-1", "--key", tmp_path / "v.json"),
            *("--home", tmp_path / "v", "--observations", tmp_path / "seen", "--believe", key("gateway").keyid),
            *("--controller", tmp_path / "me.json", "--once", "--json"),
        ]
        assert proofroom(*options).out == ""
        keyid = load_key(tmp_path / "v.json").keyid
        room.ledger.append(room.cast.deposit(keyid, 10**12, account="validator-bond"))
        room.ledger.append(room.record())
        room.ledger.append(room.cast.seal_all(room.ledger.state, 0))
        assert json.loads(proofroom(*options).out) == {"cluster": "dragon-1", "round": 0, "did": "beacon-revealed"}
        assert proofroom(*options).out == ""
        room.ledger.refresh()
        assert keyid in room.ledger.state.rounds["dragon-1", 0].reveals
    (tmp_path / "v" / "secret").write_text("00")
    assert proofroom(*options).status == BadInput.exit_status


def test_what_is_no_file_in_the_place_of_an_observation(chamber: Chamber) -> None:
    """A pipe is not waited for, wherever meters hand out what they saw: the others count."""
    record = chamber.record()
    os.mkfifo(chamber.observe(record) / "0.json")
    chamber.seal()
    chamber.hold()
    assert read_bitmap(tally_of(chamber.ledger).attested, 1) == 0b1


def test_a_clock_that_went_back_is_told(chamber: Chamber, caplog: pytest.LogCaptureFixture) -> None:
    """No other process sets it right: a look fails, and a validator that runs says so and tries again."""
    chamber.record()
    chamber.seal()
    chamber.clock.ms -= 365 * 86_400_000
    with pytest.raises(TimeWentBack):
        chamber.validators[0].step()
    stop = threading.Event()

    def heard(_: logging.LogRecord) -> bool:
        stop.set()
        return True

    caplog.handler.addFilter(heard)
    chamber.validators[0].run(stop, poll_seconds=0.01)
    assert "the clock reads" in caplog.text


def test_a_place_that_cannot_be_read_is_no_observation(chamber: Chamber) -> None:
    """The validator waits, and does not sign that nobody saw the record."""
    record = chamber.record()
    place = chamber.observe(record)
    chamber.seal()
    advance_to(chamber, "commit")
    place.rename(place.with_name("aside"))
    place.touch()
    round = chamber.round()
    assert round is not None
    (member,) = (v for v in chamber.validators if v.keyid == round.committee[0])
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        member.step()
    place.unlink()
    place.with_name("aside").rename(place)
    assert [act.did for act in member.step()] == ["vote-committed"]


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33)])
def test_a_secret_of_another_length_is_none(chamber: Chamber, secret: bytes) -> None:
    """Whoever forgot to draw one would reveal what everybody can compute."""
    with pytest.raises(BadInput, match="32 bytes"):
        Validator(
            chamber.ledger,
            chamber.cast.cluster,
            key("v"),
            secret,
            observations=ObservationFolder(chamber.folder),
            sources=(),
            journal=chamber.folder,
        )


def test_a_cluster_that_is_not_there(chamber: Chamber) -> None:
    """Is said, and not waited for in silence."""
    chamber.validators[0].cluster = "dragon-x"
    with pytest.raises(Unregistered):
        chamber.validators[0].step()
