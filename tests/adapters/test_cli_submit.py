"""``proofroom submit``: a result for each line, nothing lost, nothing twice."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from proofroom.adapters.ledger import Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.envelope import MAX_ENVELOPE
from strategies.rooms import Room, locked, make_folder
from strategies.shell import PROOFROOM, environment, proofroom


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A room with an open era, closed for the command to open."""
    room = make_folder(tmp_path / "room")
    room.ledger.close()
    return room


def write(path: Path, *lines: bytes) -> Path:
    """A file of lines."""
    path.write_bytes(b"\n".join(lines))
    return path


def lines_of(room: Room, count: int) -> list[bytes]:
    """Records, one a line."""
    return [envelope.to_json() for envelope in room.records(count)]


def test_twice_is_once(room: Room, tmp_path: Path) -> None:
    """All is recorded; the same file again changes nothing and says where each line stands."""
    file = write(tmp_path / "f.jsonl", *lines_of(room, 5))
    first = proofroom("submit", file, "--room", tmp_path / "room", "--json")
    again = proofroom("submit", file, "--room", tmp_path / "room", "--json")
    assert (first.status, again.status) == (0, 0)
    assert {line["status"] for line in first.json()["lines"]} == {"recorded"}
    assert {line["status"] for line in again.json()["lines"]} == {"already-recorded"}
    assert [x["entry_index"] for x in first.json()["lines"]] == [x["entry_index"] for x in again.json()["lines"]]
    assert first.json()["size"] == again.json()["size"]
    text = proofroom("submit", file, "--room", tmp_path / "room").out.splitlines()
    assert text[0].startswith("line 1: already recorded at ")
    assert text[-1].startswith("5 envelopes: 0 recorded, 5 recorded before")


def test_bad_lines_are_named_and_the_rest_is_recorded(room: Room, tmp_path: Path) -> None:
    """Each bad line has its own error; its neighbours are recorded; the status is the highest family's."""
    a, b, c = lines_of(room, 3)
    other = room.record(ledger="blake3:" + "0" * 64).to_json()
    bad = {
        2: (b"{", "not-json"),
        3: (b"\xff\xfe", "not-json"),
        4: (b'{"a": 1}', "bad-envelope"),
        5: (a.replace(b'"sig":"', b'"sig":"!', 1), "bad-base64"),
        6: (b"[" * 200_000, "too-large"),
        7: (other, "other-ledger"),
        8: (c[:-100], "not-json"),
    }
    file = write(tmp_path / "f.jsonl", a, *(line for line, _ in bad.values()), b"", b"  \r", b + b"\r", a)
    ran = proofroom("submit", file, "--room", tmp_path / "room", "--json")
    result = ran.json()
    assert (ran.status, result["exit_status"]) == (4, 4)
    by_line = {line["line"]: line for line in result["lines"]}
    assert {n: by_line[n]["error"]["code"] for n in bad} == {n: code for n, (_, code) in bad.items()}
    assert by_line[6]["error"]["size"] == 200_000
    assert [by_line[n]["status"] for n in (1, 11, 12)] == ["recorded", "recorded", "already-recorded"]
    assert 9 not in by_line
    assert result["counts"] == {"recorded": 2, "already-recorded": 1, "error": len(bad)}
    text = proofroom("submit", file, "--room", tmp_path / "room").out
    assert "line 7: other-ledger: " in text


def test_the_status_of_a_refusal_is_its_family(room: Room, tmp_path: Path) -> None:
    """With refused lines only, the status is that of refusals."""
    file = write(tmp_path / "f.jsonl", room.record(ledger="blake3:" + "0" * 64).to_json(), *lines_of(room, 1))
    assert proofroom("submit", file, "--room", tmp_path / "room").status == 3


@pytest.mark.parametrize("extra", [-1, 0, 1, 2, 3, 100])
def test_lines_about_the_limit(room: Room, tmp_path: Path, extra: int) -> None:
    """A line of exactly the limit is read whole; a longer one is refused with its true size, and the next line is found."""
    (good,) = lines_of(room, 1)
    file = write(tmp_path / "f.jsonl", b"x" * (MAX_ENVELOPE + extra), good, b"y" * (MAX_ENVELOPE + extra))
    result = proofroom("submit", file, "--room", tmp_path / "room", "--json").json()
    first, second, third = result["lines"]
    assert second["status"] == "recorded"
    for error in (first["error"], third["error"]):
        if extra > 0:
            assert (error["code"], error["size"]) == ("too-large", MAX_ENVELOPE + extra)
        else:
            assert error["code"] == "not-json"


def test_standard_input_and_nothing_at_all(room: Room, tmp_path: Path) -> None:
    """- reads standard input, through the processes that check signatures; an empty file is done at once."""
    data = b"\n".join(lines_of(room, 70))
    ran = proofroom("submit", "-", "--room", tmp_path / "room", "--json", stdin=data)
    assert (ran.status, ran.json()["counts"]["recorded"]) == (0, 70)
    empty = proofroom("submit", "-", "--room", tmp_path / "room", "--json")
    assert (empty.status, empty.json()["lines"]) == (0, [])
    assert proofroom("submit", "-", "--room", tmp_path / "room").out.startswith("0 envelopes: 0 recorded")


def test_a_text_that_would_steer_the_terminal_is_written_out(room: Room, tmp_path: Path) -> None:
    """Escape characters in what was submitted reach no terminal."""
    line = b'{"payloadType": "\\u001b[31mred\\u009b", "payload": "", "signatures": [], "\\u202e": 1}'
    file = write(tmp_path / "f.jsonl", line)
    for form in ([], ["--json"]):
        out = proofroom("submit", file, "--room", tmp_path / "room", *form).out
        assert not set(out) & set("\x1b\x9b\u202e")


def test_a_store_that_fails_on_the_way(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A locked store or a missing key ends the submission with its error; the object on stdout is whole."""
    defaults = SqliteStore.__init__.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "lock_timeout", 1)  # and not the half minute that a person waits
    file = write(tmp_path / "f.jsonl", *lines_of(room, 2))
    with locked(tmp_path / "room" / "log.db"):
        ran = proofroom("submit", file, "--room", tmp_path / "room", "--json")
    assert (ran.status, ran.json()["error"]["code"], ran.json()["lines"]) == (6, "store-locked", [])
    for key in (tmp_path / "room" / "keys").iterdir():
        key.unlink()
    ran = proofroom("submit", file, "--room", tmp_path / "room")
    assert (ran.status, ran.err.startswith("error: no signer")) == (6, True)
    assert "hint: " in ran.err


def test_a_reader_that_goes_away(room: Room, tmp_path: Path) -> None:
    """`submit | head` ends without a word, and what was recorded stays whole."""
    file = write(tmp_path / "f.jsonl", *lines_of(room, 1500))
    command = [PROOFROOM, "submit", str(file), "--room", str(tmp_path / "room")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
    with Ledger.open(tmp_path / "room") as ledger:
        assert ledger.size > room.ledger.size


def test_ctrl_c(room: Room, tmp_path: Path) -> None:
    """An interrupted submission says so, shows no traceback, and closes its JSON."""
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b"\n".join(lines_of(room, 2500)))
    command = [PROOFROOM, "submit", str(file), "--room", str(tmp_path / "room"), "--json"]
    pipe = subprocess.PIPE
    # A test run in the background of a shell ignores interrupts, and what it starts would inherit that.
    heeding = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment())
    finally:
        signal.signal(signal.SIGINT, heeding)
    with process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    assert (process.returncode, b"Traceback" in err, first) == (130, False, b'{"lines": [\n')
    assert b'"code": "interrupted"' in out
