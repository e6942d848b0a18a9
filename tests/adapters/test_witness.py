"""A witness over real HTTP: it cosigns one history, whatever is asked of it, and remembers it through a crash."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from proofroom.adapters.keys import save_key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.stores import MemoryStore
from proofroom.adapters.witness import Witness, answer, make_server
from proofroom.adapters.witnessing import WitnessAddress, collect
from proofroom.domain import merkle
from proofroom.domain.checkpoint import parse_note, sign_checkpoint, verifier_key
from proofroom.domain.cosigning import Request, write_request
from proofroom.domain.errors import (
    BadInput,
    BadProof,
    HeadMoved,
    ProofroomError,
    StoreUnavailable,
    UnknownLog,
    UnknownLogKey,
)
from proofroom.domain.verifier import note as notes
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.rooms import TESTS, Room, make_folder, make_room
from strategies.shell import proofroom

NAME = "witness.example/w1"


def make_witness(path: Path) -> Witness:
    """A witness of the room."""
    return Witness(path, NAME, key("witness"), {ORIGIN: key("checkpoint").keyid}, clock=lambda: 1_800_000_000.9)


def room_at(ms: int) -> Room:
    """A room that was made at a time: at another, another history under the same keys."""
    clock = Clock(ms)
    return make_room(MemoryStore(clock), clock)


@contextmanager
def serving(witness: Witness) -> Iterator[WitnessAddress]:
    """The witness on a port of this machine."""
    with make_server(witness) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield WitnessAddress(f"http://127.0.0.1:{server.server_address[1]}", notes.parse_key(witness.key))
        finally:
            server.shutdown()
            thread.join()


def test_a_log_is_cosigned_as_it_grows(tmp_path: Path) -> None:
    """From nothing, from an earlier head, and again at the same head."""
    room = make_room(MemoryStore())
    with serving(make_witness(tmp_path / "w.db")) as witness:
        for _ in range(3):
            note, failed = collect(room.ledger.store, [witness])
            assert failed == []
            assert notes.is_cosigned(notes.parse_note(note), witness.key)
            room.ledger.append(room.record())
        room.ledger.append(room.record())
        assert collect(room.ledger.store, [witness])[1] == []
        assert collect(room.ledger.store, [witness])[1] == []
    assert make_witness(tmp_path / "w.db").heads()[ORIGIN].size == room.ledger.size


def test_another_history_is_not_cosigned(tmp_path: Path) -> None:
    """A fork of the same size, a longer fork, and a log that was rolled back; the reader of the note learns which witness did not sign."""
    first, second = room_at(10**12), room_at(10**12 + 1)
    with serving(make_witness(tmp_path / "w.db")) as witness:
        assert collect(first.ledger.store, [witness])[1] == []
        _, (fork,) = collect(second.ledger.store, [witness])
        assert "409" in fork.why
        second.ledger.append(second.record())
        _, (longer,) = collect(second.ledger.store, [witness])
        assert "422" in longer.why
        first.ledger.append(first.record())
        older = first.ledger.checkpoint()
        assert collect(first.ledger.store, [witness])[1] == []
        assert parse_note(older)[0].size == make_witness(tmp_path / "w.db").heads()[ORIGIN].size
        _, (short,) = collect(room_at(10**12).ledger.store, [witness])
        assert "knows a head" in short.why
    assert make_witness(tmp_path / "w.db").heads()[ORIGIN] == parse_note(first.ledger.checkpoint())[0]


def asked(room_note: str, old: int = 0, proof: tuple[bytes, ...] = ()) -> bytes:
    """A request."""
    return write_request(Request(old, proof, room_note))


def test_whom_it_answers(tmp_path: Path) -> None:
    """Logs that it watches, signed by their own key; each refusal has its status and leaves its memory as it was."""
    room = make_room(MemoryStore())
    witness, note = make_witness(tmp_path / "w.db"), room.ledger.checkpoint()
    checkpoint = parse_note(note)[0]
    refusals: list[tuple[bytes, type[ProofroomError], int]] = [
        (asked(sign_checkpoint(checkpoint._replace(origin="other.org/log"), key("checkpoint"))), UnknownLog, 404),
        (asked(sign_checkpoint(checkpoint, key("stranger"))), UnknownLogKey, 403),
        (asked(note, 5), HeadMoved, 409),
        (asked(note, 0, (bytes(32),)), BadProof, 422),
    ]
    for body, error, status in refusals:
        with pytest.raises(error):
            witness.add_checkpoint(body)
        assert answer(witness, body).status == status
        assert witness.heads() == {}
    given = answer(witness, asked(note, 5))
    assert (given.type, given.body) == ("text/x.tlog.size", "0\n")


def test_a_race_is_won_once(tmp_path: Path) -> None:
    """Of many who prove from the same old head to different new ones, the witness cosigns one history, through several openings."""
    room = make_room(MemoryStore())
    store, start = room.ledger.store, room.ledger.size
    make_witness(tmp_path / "w.db").add_checkpoint(asked(room.ledger.checkpoint()))
    notes_by_size = []
    for _ in range(16):
        room.ledger.append(room.record())
        path = tuple(merkle.consistency_path(start, room.ledger.size, store.node))
        notes_by_size.append(asked(room.ledger.checkpoint(), start, path))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: answer(make_witness(tmp_path / "w.db"), body), notes_by_size))
    assert sorted(a.status for a in answers) == [200, *[409] * 15]


def test_nothing_is_cosigned_that_cannot_be_kept(tmp_path: Path) -> None:
    """Where the head cannot be stored, the answer is an error and no signature."""
    room = make_room(MemoryStore())
    witness = make_witness(tmp_path / "w.db")
    (tmp_path / "w.db").write_bytes(b"not a database, and longer than a header of one would be" * 20)
    with pytest.raises(StoreUnavailable):
        witness.add_checkpoint(asked(room.ledger.checkpoint()))
    assert answer(witness, asked(room.ledger.checkpoint())).status == 500


CHILD = """
import os, signal, sys
from pathlib import Path
from proofroom.adapters import witness as module
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
honest = module.cosign
def killed(*args):
    os.kill(os.getpid(), signal.SIGKILL)
module.cosign = killed
w = module.Witness(Path(sys.argv[1]), "witness.example/w1", key("witness"), {ORIGIN: key("checkpoint").keyid})
w.add_checkpoint(Path(sys.argv[2]).read_bytes())
"""


def test_killed_before_it_answers_it_remembers(tmp_path: Path) -> None:
    """The head is on disk before anything is signed: after a crash a fork of it is refused."""
    first, second = room_at(10**12), room_at(10**12 + 1)
    (tmp_path / "body").write_bytes(asked(first.ledger.checkpoint()))
    args = [sys.executable, "-c", CHILD, str(tmp_path / "w.db"), str(tmp_path / "body")]
    assert subprocess.run(args, cwd=TESTS, check=False).returncode == -signal.SIGKILL
    witness = make_witness(tmp_path / "w.db")
    with pytest.raises(HeadMoved):
        witness.add_checkpoint(asked(second.ledger.checkpoint(), second.ledger.size))
    witness.add_checkpoint(asked(first.ledger.checkpoint(), first.ledger.size))


def post(url: str, data: bytes, **headers: str) -> int:
    """The status of a request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method="POST"), timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as e:
        with e:
            return e.code


def test_bad_requests_over_http(tmp_path: Path) -> None:
    """Another call, no request, and one that is too long; the server lives on."""
    with serving(make_witness(tmp_path / "w.db")) as witness:
        assert post(f"{witness.url}/other", b"") == 404
        assert post(f"{witness.url}/add-checkpoint", b"nothing") == 400
        assert post(f"{witness.url}/add-checkpoint", b"x", **{"Content-Length": "99999999"}) == 400
        assert collect(make_room(MemoryStore()).ledger.store, [witness])[1] == []


def test_a_witness_that_answers_nonsense_is_named(tmp_path: Path) -> None:
    """Another key than the one trusted, nobody there, no address."""
    room = make_room(MemoryStore())
    other = notes.parse_key(verifier_key("w", key("x").keyid))
    with serving(make_witness(tmp_path / "w.db")) as witness:
        _, failed = collect(room.ledger.store, [witness._replace(key=other._replace(type=4))])
    assert "not signed by" in failed[0].why
    _, failed = collect(room.ledger.store, [witness, witness._replace(url="file:///etc/passwd")])
    assert [e.code for e in failed] == ["no-witness"] * 2


def test_as_commands(tmp_path: Path) -> None:
    """A witness process, a cosigned checkpoint, and a receipt under it that a policy asks a quorum for."""
    folder = tmp_path / "room"
    with make_folder(folder).ledger as ledger:
        ledger.tick()
    save_key(tmp_path / "w.json", bytes(range(32)))
    log = verifier_key(ORIGIN, ledger.state.founding.checkpoint_key)  # type: ignore[union-attr]  # it is there
    command = ["witness", "--name", NAME, "--key", f"file:{tmp_path / 'w.json'}"]
    command += ["--state", str(tmp_path / "w.db"), "--log", log, "--json"]
    run = "import sys; from proofroom.adapters.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", run, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        note = tmp_path / "room.cosigned"
        done = proofroom("cosign", "--room", folder, "--witness", f"{told['key']}={told['url']}", "-o", note)
        assert (done.status, "cosigned by 1 of 1" in done.out) == (0, True), done.err
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()  # type: ignore[union-attr]  # it is there
    file, policy = tmp_path / "entry.json", tmp_path / "policy"
    with Ledger.open(folder) as ledger:
        ledger.tick()
    assert proofroom("receipt", "0", "--room", folder, "--under", note, "-o", file).status == 0
    policy.write_text(f"log {log}\nwitness w1 {told['key']}\nquorum w1\n")
    verified = proofroom("verify", file, "--policy", policy)
    assert (verified.status, verified.out[:5]) == (0, "VALID"), verified
    assert "UNWITNESSED" not in verified.out
    gone = proofroom("cosign", "--room", folder, "--witness", f"{told['key']}={told['url']}", "-o", note)
    assert (gone.status, "nothing was written: cosigned by 0 of 1" in gone.out) == (6, True)
    assert proofroom("receipt", "0", "--room", folder, "--under", note, "-o", file).status == 0
    assert proofroom("verify", file, "--policy", policy).status == 0  # what was cosigned before is there


def test_a_client_that_hangs_up_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback for whoever runs the witness, and the next client is answered."""
    witness = make_witness(tmp_path / "w.db")
    with make_server(witness) as server, socket.socket() as request:
        try:
            raise BrokenPipeError("gone")
        except BrokenPipeError:
            server.handle_error(request, ("198.51.100.7", 1))
    assert [record.getMessage() for record in caplog.records] == ["198.51.100.7: BrokenPipeError('gone')"]
    assert caplog.records[0].exc_info is None
    assert capsys.readouterr().err == ""


def test_a_fault_of_the_witness_keeps_its_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what a client can cause is no more than a line."""
    with make_server(make_witness(tmp_path / "w.db")) as server, socket.socket() as request:
        try:
            raise ZeroDivisionError("ours")
        except ZeroDivisionError:
            server.handle_error(request, ("198.51.100.7", 1))
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_name_that_no_note_can_hold(tmp_path: Path, name: str) -> None:
    """It would cosign under a key that nobody can read."""
    with pytest.raises(BadInput, match="no name of a witness"):
        Witness(tmp_path / "w.db", name, key("witness"), {})
    assert not (tmp_path / "w.db").exists()


@pytest.mark.parametrize("host", ["256.1.1.1", "192.0.2.1", "a..b"])
def test_a_place_at_which_nobody_can_listen(tmp_path: Path, host: str) -> None:
    """It is that which is named."""
    with pytest.raises(BadInput, match="cannot listen there"):
        make_server(make_witness(tmp_path / "w.db"), host)


def test_an_address_of_a_witness_that_is_none(tmp_path: Path) -> None:
    """It gave no cosignature."""
    mine = notes.parse_key(make_witness(tmp_path / "w.db").key)
    room = make_room(MemoryStore())
    _, (failed,) = collect(room.ledger.store, [WitnessAddress("http://[::1", mine)])
    assert "Invalid IPv6 URL" in failed.why
