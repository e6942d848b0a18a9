"""Bad input at each door of the command line: a sentence, advice, and the status of the family."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from proofroom.adapters.cli import main
from strategies.rooms import make_folder
from strategies.shell import PROOFROOM, environment
from strategies.shell import proofroom_process as proofroom

VERBS = [
    ["status"],
    ["checkpoint"],
    ["tick"],
    ["audit"],
    ["submit", "-"],
    ["sql", "SELECT 1"],
    ["query", "SELECT 1", "--receipt", "never-made"],
    ["project"],
    ["rebuild"],
    ["snapshot", "never-made"],
    ["show", "entry", "0"],
    ["show", "grant", "abcd", "abcd"],
    ["show", "record", "dac-1"],
    ["show", "round", "dragon-1", "0"],
    ["show", "era", "dragon-1", "0"],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A room with an open era; only read here."""
    folder = tmp_path_factory.mktemp("doors") / "room"
    make_folder(folder).ledger.close()
    return folder


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_room(capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: list[str]) -> None:
    """A folder that holds no ledger is named, for a person and for a program; nothing is made in it."""
    assert main([*verb, "--room", str(tmp_path)]) == 6
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: store {tmp_path}/log.db: ")
    assert "\nhint: " in err
    assert main([*verb, "--room", str(tmp_path), "--json"]) == 6
    assert '"code": "not-a-ledger"' in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"not a database", b"\x00" * 5000])
def test_something_else_in_place_of_the_log(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes) -> None:
    """A file that is no ledger is refused as such."""
    (tmp_path / "log.db").write_bytes(content)
    for verb in VERBS:
        assert main([*verb, "--room", str(tmp_path), "--json"]) == 6
        assert '"code": "not-a-ledger"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["show", "entry", "999"], 3, "no-such-entry"),
        (["show", "grant", "abcd", "abcd"], 3, "no-such-entry"),
        (["show", "record", "dac-1'; DROP TABLE records"], 3, "no-such-entry"),
        (["show", "round", "nowhere", "0"], 3, "no-such-entry"),
        (["show", "era", "dragon-1", "0"], 3, "no-such-entry"),
        (["sql", "SELEC 1"], 4, "query-failed"),
        (["sql", "SELECT error('no')"], 4, "query-failed"),
        (["sql", "DROP TABLE records"], 4, "query-failed"),
        (["sql", ""], 4, "query-failed"),
        (["submit", "nowhere.jsonl"], 4, "bad-input"),
        (["submit", "."], 4, "bad-input"),
        (["audit", "--against", "nowhere"], 4, "bad-input"),
        (["audit", "--against", os.devnull], 4, "bad-input"),
        (["demo", "--calendar", "nowhere.ics"], 4, "bad-input"),
        (["show", "entry", "x"], 2, "usage"),
        (["show", "entry", "9" * 30], 2, "usage"),
        (["show", "entry"], 2, "usage"),
        (["sql", "SELECT 1", "--csv"], 2, "usage"),
        (["settler", "--cluster", "dragon-1", "--poll", "nan"], 2, "usage"),
        (["nix"], 2, "usage"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else str(value),
)
def test_bad_words(capsys: pytest.CaptureFixture[str], folder: Path, words: list[str], status: int, code: str) -> None:
    """Each has its code and its status, and no output but the error."""
    room = ["--room", str(folder)] if words != ["nix"] else []
    assert main([*words, *room, "--json"]) == status
    out, err = capsys.readouterr()
    assert f'"code": "{code}"' in out
    assert err == ""
    if "--csv" not in words:
        assert main([*words, *room]) == status
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert "\nhint: " in err


def test_a_checkpoint_that_is_not_text(folder: Path, tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and a file without end, are refused before they are believed."""
    (tmp_path / "note").write_bytes(b"\xff\xfe")
    ran = proofroom("audit", "--against", tmp_path / "note", "--room", folder)
    assert (ran.status, "holds no checkpoint" in ran.err) == (4, True)
    assert proofroom("audit", "--against", "/dev/zero", "--room", folder).status == 4


@pytest.mark.parametrize(
    "words",
    [
        ["sql", "\udcff"],
        ["query", "\udcff", "--receipt", "x"],
        ["receipt", "record", "\udcff"],
        ["show", "record", "\udcff"],
        ["show", "era", "\udcff", "0"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_word_that_is_not_text(capsys: pytest.CaptureFixture[str], folder: Path, words: list[str]) -> None:
    """A byte that is no UTF-8 comes in as half a character (PEP 383): a name of a file may hold it, nothing else."""
    assert main([*words, "--room", str(folder)]) == 4
    err = capsys.readouterr().err
    assert ("not text in UTF-8" in err, "an argument" in err) == (True, False)


def test_a_name_that_is_not_text(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    """Files may be called so, and a room too; only DuckDB cannot open one of such a name, and it is that name which is told."""
    odd = tmp_path / "odd\udcff"
    odd.symlink_to(folder)
    assert main(["audit", "--room", str(odd)]) == 0
    assert main(["checkpoint", "--room", str(odd)]) == 0
    capsys.readouterr()
    assert main(["snapshot", str(tmp_path / "sealed\udcff"), "--room", str(odd)]) == 4
    assert main(["sql", "SELECT 1", "--room", str(odd)]) == 4
    told = capsys.readouterr().err
    assert all(
        f"{name}: DuckDB takes only names in UTF-8" in told for name in ("views.duckdb", "odd\\udcff/views.duckdb")
    )


def test_a_password_is_asked_for_at_a_terminal_only(tmp_path: Path) -> None:
    """Where there is none, that is said, and what to give instead; no key is made."""
    ran = proofroom("key", "new", tmp_path / "new.json", "--json")
    assert (ran.status, ran.json()["error"]["code"]) == (6, "signer-failed")
    assert not list(tmp_path.iterdir())


def test_an_ambiguous_grant(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Fewer than four digits name nothing."""
    assert main(["show", "grant", "", "", "--room", str(folder)]) == 3
    capsys.readouterr()


def test_plain_text_where_colours_are_not_wanted(folder: Path) -> None:
    """No escape sequence goes into a pipe, whatever the terminal is called."""
    for verb in (["status"], ["show", "entry", "999"]):
        ran = proofroom(*verb, "--room", folder, env={"TERM": "xterm-256color", "COLORTERM": "truecolor"})
        assert "\x1b" not in ran.out + ran.err


def test_an_output_that_is_not_utf_8(folder: Path) -> None:
    """Where the output cannot carry a character it is written out; JSON stays JSON."""
    env = {"PYTHONIOENCODING": "latin-1"}
    assert proofroom("show", "grant", "nix…", "nix…", "--room", folder, env=env).status == 3
    assert "\\u2192" in proofroom("sql", "SELECT '→' AS x", "--room", folder, env=env).out
    assert proofroom("sql", "SELECT '→' AS x", "--json", "--room", folder, env=env).json() == [{"x": "→"}]


@pytest.mark.parametrize(
    "words", [["sql", "FROM range(100000)", "--csv"], ["sql", "FROM range(100000)", "--json"], ["status"]]
)
def test_a_reader_that_goes_away(folder: Path, words: list[str]) -> None:
    """A closed pipe ends the command without a word."""
    command = [PROOFROOM, *words, "--room", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("words", [["sql", "FROM range(100000)", "--csv"], ["status", "--json"]], ids=lambda w: w[0])
def test_a_full_disk(folder: Path, words: list[str]) -> None:
    """An output that takes no more is an error of its own, on the other one, and no word is lost about the store, which is well."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [PROOFROOM, *words, "--room", str(folder)],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    assert (done.returncode, done.stderr.splitlines()[0]) == (6, b"error: standard output: No space left on device")


def test_ctrl_c_while_the_command_is_being_loaded(tmp_path: Path) -> None:
    """The process ends as any program does, and shows nothing of what it was loading; where Ctrl-C is not for it, it goes on."""
    struck = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise SystemExit('it went on')\n"
    (tmp_path / "click.py").write_text(struck, encoding="utf-8")
    run = "from proofroom.adapters.command import main; main()"
    for before, end in (("", (-signal.SIGINT, b"")), ("trap '' INT; ", (1, b"it went on\n"))):
        command = ["sh", "-c", f'{before}exec "$0" -c "$1"', sys.executable, run]
        done = subprocess.run(
            command,
            env=environment(PYTHONPATH=str(tmp_path)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == end


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The demo in a place that is a file says what is in the way."""
    (tmp_path / "file").write_text("x")
    ran = proofroom("demo", "--room", tmp_path / "file" / "room", "--json")
    assert (ran.status, "error" in ran.json()) == (6, True)


def test_our_own_fault_is_a_sentence(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw is told in one sentence, and with its place only to who asks for it."""
    from proofroom.adapters import ledger

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nobody foresaw")

    monkeypatch.setattr(ledger.Ledger, "open", broken)
    assert main(["status", "--room", str(folder)]) == 1
    assert "nobody foresaw" in capsys.readouterr().err
    monkeypatch.setenv("PROOFROOM_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["status", "--room", str(folder)])


def test_streams_that_the_caller_closed(folder: Path) -> None:
    """A cron line may end in ``>&-``: what is written goes nowhere, and the status is what it would have been."""
    words = [PROOFROOM, "sql", "SELECT 1", "--room", str(folder)]
    for closing in (">&-", "2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'"$@" {closing}', "sh", *words], capture_output=True, env=environment(), check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")


def in_terminal(*words: str | Path, columns: int, **more: str) -> str:
    """What a person sees: the command on a pseudo-terminal of this width."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    env = environment(TERM="xterm-256color", **more)
    with subprocess.Popen([PROOFROOM, *map(str, words)], stdout=slave, stderr=slave, stdin=slave, env=env):
        os.close(slave)
        seen = bytearray()
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while data := os.read(master, 65_536):
                seen += data
    os.close(master)
    return seen.decode()


def test_a_terminal_gets_colours_and_no_line_that_is_cut(folder: Path) -> None:
    """On a terminal a wide table becomes blocks, sentences break between words, and NO_COLOR is heard."""
    narrow = in_terminal("sql", "FROM clusters", "--room", folder, columns=80)
    assert "\x1b[1mrow 1" in narrow
    assert "\x1b" not in in_terminal("status", "--room", folder, columns=80, NO_COLOR="1")
    lines = in_terminal("audit", "--room", folder, columns=80, NO_COLOR="1").splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
