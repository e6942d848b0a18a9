"""Keys at rest and keys elsewhere: what opens them, what does not, and that nothing of them is told."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters import exec_signer
from proofroom.adapters.cli import main
from proofroom.adapters.keyfile import Cost, load_encrypted, save_encrypted
from proofroom.adapters.keys import Key, load_key, save_key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.signers import SignerUri, register_scheme, signer_from_uri
from proofroom.domain.errors import BadInput, LedgerExists, ProofroomError, SignerFailed, WrongPassword
from proofroom.domain.signing import Signer, verify_signature

SEED = bytes(range(32))
PASSWORD = b"correct horse battery staple"
CHEAP = Cost(operations=1, memory=8 * 2**20)
"""The least that a reader accepts: tests need no expensive guesses."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A password-encrypted key file."""
    save_encrypted(tmp_path / "a.json", SEED, PASSWORD, CHEAP)
    return tmp_path / "a.json"


def test_the_password_opens_it_and_no_other(file: Path) -> None:
    """The same key comes back; mode 0600; nothing of the seed stands in the file."""
    assert load_encrypted(file, PASSWORD).keyid == Key(SEED).keyid
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SEED.hex() not in file.read_text()
    for wrong in (b"", PASSWORD + b" ", PASSWORD[:-1]):
        with pytest.raises(WrongPassword):
            load_encrypted(file, wrong)


def test_an_encrypted_file_is_never_written_over(file: Path) -> None:
    """A second key for the same name is refused; an empty password and an uncheckable cost are too."""
    with pytest.raises(LedgerExists):
        save_encrypted(file, bytes(32), PASSWORD, CHEAP)
    with pytest.raises(BadInput, match="protects nothing"):
        save_encrypted(file.with_name("b.json"), SEED, b"", CHEAP)
    with pytest.raises(BadInput, match="memory"):
        save_encrypted(file.with_name("b.json"), SEED, PASSWORD, CHEAP._replace(memory=2**31))
    assert [path.name for path in file.parent.iterdir()] == ["a.json"]
    assert load_encrypted(file, PASSWORD).keyid == Key(SEED).keyid


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_changed_byte_of_the_file_is_seen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """One byte changed or cut off: typed refusal or the very same key, never another one."""
    folder = tmp_path_factory.mktemp("key")
    save_encrypted(folder / "a.json", SEED, PASSWORD, CHEAP)
    before = (folder / "a.json").read_bytes()
    at, bit = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(0, 7))
    changed = data.draw(
        st.sampled_from([before[:at] + bytes([before[at] ^ (1 << bit)]) + before[at + 1 :], before[:at]])
    )
    (folder / "a.json").write_bytes(changed)
    with contextlib.suppress(BadInput, WrongPassword):
        assert load_encrypted(folder / "a.json", PASSWORD).keyid == Key(SEED).keyid


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("operations", value) for value in (0, 17, True, 1.0, None)),
        *(("memory", value) for value in (2**40, 8192, "8388608", -1)),
        *(("name", "scrypt"), ("salt", ""), ("salt", "00" * 8), ("salt", "zz" * 16)),
    ],
)
def test_parameters_are_bounded_before_they_are_used(file: Path, name: str, value: object) -> None:
    """A file that asks for a terabyte, or for no work at all, is refused at once."""
    content = json.loads(file.read_text())
    content["kdf"][name] = value
    file.write_text(json.dumps(content))
    with pytest.raises(BadInput):
        load_encrypted(file, PASSWORD)


def test_a_file_of_any_size_is_not_read(file: Path) -> None:
    """A long file is no key file, and neither is a folder or nothing."""
    file.write_bytes(file.read_bytes() + b" " * 10_000)
    for path in (file, file.parent, file.with_name("missing")):
        with pytest.raises(BadInput):
            load_encrypted(path, PASSWORD)


def test_another_key_under_this_name_is_seen(file: Path) -> None:
    """The public key beside the box is what the host reads; it must be the box's."""
    content = json.loads(file.read_text())
    content["keyid"] = Key(bytes(32)).keyid
    file.write_text(json.dumps(content))
    with pytest.raises(BadInput, match="names another public key"):
        load_encrypted(file, PASSWORD)


# --- by URI


def test_signers_by_uri(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain file, password from a variable, a file or a person: the same key each time."""
    save_key(file.with_name("plain key.json"), SEED)
    file.with_name("password").write_bytes(PASSWORD + b"\n")
    monkeypatch.setenv("A_PASSWORD", PASSWORD.decode())
    asked: list[str] = []

    def prompt(question: str) -> str:
        asked.append(question)
        return PASSWORD.decode()

    for uri in (
        f"file:{quote(str(file.with_name('plain key.json')))}",
        "file:plain%20key.json",
        "encrypted-file:a.json?password-env=A_PASSWORD",
        "encrypted-file:a.json?password-file=password",
        "encrypted-file:a.json",
    ):
        signer = signer_from_uri(uri, base=file.parent, prompt=prompt)
        verify_signature(Key(SEED).keyid, b"message", signer.sign(b"message"))
    assert asked == [f"Password for {file}: "]


@pytest.mark.parametrize(
    "uri",
    [
        *("", "a.json", "kms:x", "FILE:a.json", "file", "file:missing.json", "file:a.json", "file:" + "a" * 5000),
        *("file:a.json?password-env=X", "encrypted-file:a.json?password=x", "encrypted-file:a.json"),
        *("encrypted-file:a.json?password-env=A&password-env=B", "encrypted-file:a.json?password-env=NOT_SET"),
        *("encrypted-file:a.json?password-env=A&password-file=B", "encrypted-file:a.json?password-file=missing"),
        *("exec:/no/such/program", "exec:", "exec:/bin/false", "exec:/bin/true", "exec:/bin/echo"),
    ],
)
def test_invalid_uri_is_typed(file: Path, uri: str) -> None:
    """Each mistake is named; with nobody at the terminal nothing waits for an answer."""
    with pytest.raises((BadInput, SignerFailed)):
        signer_from_uri(uri, base=file.parent)


def test_a_host_adds_its_own_scheme() -> None:
    """What the host registers is asked, with its own options only."""
    seen: list[SignerUri] = []

    def open_signer(uri: SignerUri) -> Signer:
        seen.append(uri)
        return Key(SEED)

    register_scheme("test-vault", open_signer, ["slot"])
    assert signer_from_uri("test-vault:here?slot=7").keyid == Key(SEED).keyid
    assert (seen[0].path, seen[0].one("slot")) == ("here", "7")
    with pytest.raises(BadInput, match="unknown option"):
        signer_from_uri("test-vault:here?pin=7")


WRAPPER = """
import json, os, sys
from proofroom.adapters.keys import load_key
*args, request = sys.argv[1:]
open(args[1], "w").write(json.dumps({"argv": sys.argv, "env": dict(os.environ)}))
key = load_key(__import__("pathlib").Path(args[0]))
if request == "keyid":
    print(key.keyid)
else:
    message = sys.stdin.buffer.read()
    print((b"" if b"refuse" in message else key.sign(b"other" if b"wrong" in message else message)).hex())
"""


@pytest.fixture
def wrapper(tmp_path: Path) -> str:
    """The URI of a program that holds the key, as a wrapper around a KMS would."""
    save_key(tmp_path / "held.json", SEED)
    (tmp_path / "wrapper.py").write_text(WRAPPER)
    args = [str(tmp_path / name) for name in ("wrapper.py", "held.json", "seen")]
    return f"exec:{sys.executable}?" + "&".join(f"arg={quote(arg)}" for arg in args) + "&env=KMS_PROFILE"


def test_a_program_signs(wrapper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its signatures are the key's; it sees the variables it was given and no password of another key."""
    monkeypatch.setenv("KMS_PROFILE", "europe")
    monkeypatch.setenv("A_PASSWORD", PASSWORD.decode())
    signer = signer_from_uri(wrapper)
    message = os.urandom(100_000)
    verify_signature(Key(SEED).keyid, message, signer.sign(message))
    seen = (tmp_path / "seen").read_text()
    assert json.loads(seen)["env"]["KMS_PROFILE"] == "europe"
    assert PASSWORD.decode() not in seen
    for message in (b"refuse", b"wrong"):
        with pytest.raises(SignerFailed, match="no signature of its key"):
            signer.sign(message)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exec yes", "more than 1,024 bytes"),
        ("exec yes >&2", "no answer"),
        ("exec sleep 5", "no answer"),
        ("sleep 5 & exit 0", "no answer"),
        ("exec >&-; exec sleep 5", "no answer"),
        ("exit 3", "exit status 3"),
    ],
)
def test_a_program_that_does_not_come_to_an_end(script: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for so long, and no more of it is kept than an answer has."""
    monkeypatch.setattr(exec_signer, "WAIT_SECONDS", 0.2 if why == "no answer" else 60.0)
    with pytest.raises(SignerFailed, match=why):
        signer_from_uri(f"exec:/bin/sh?arg=-c&arg={quote(script)}")


# --- a ledger with them


def test_a_ledger_with_keys_of_every_sort(wrapper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once with URIs, opened ever after without naming them; the room holds no plain ledger key."""
    room = tmp_path / "room"
    save_encrypted(room / "keys" / "ledger.json", SEED[::-1], PASSWORD, CHEAP)
    monkeypatch.setenv("A_PASSWORD", PASSWORD.decode())
    signers = {"ledger": "encrypted-file:ledger.json?password-env=A_PASSWORD", "checkpoint": wrapper}
    with Ledger.create(room, signers=signers) as ledger:
        founding = ledger.state.founding
        assert founding is not None
        assert (founding.ledger_key, founding.checkpoint_key) == (Key(SEED[::-1]).keyid, Key(SEED).keyid)
    with Ledger.open(room) as ledger:
        assert ledger.tick() == 2
    with Ledger.open(room, signers=[Key(SEED[::-1]), wrapper]) as ledger:
        assert ledger.tick() == 3
    monkeypatch.delenv("A_PASSWORD")
    with pytest.raises(SignerFailed, match="A_PASSWORD holds no password"):
        Ledger.open(room)
    Ledger.open(room, read_only=True).close()


def test_key_verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """new, show and protect say the public key and nothing else; a protected room opens with the password."""
    monkeypatch.setenv("A_PASSWORD", PASSWORD.decode())
    monkeypatch.setattr("proofroom.adapters.keyfile.MODERATE", CHEAP)
    Ledger.create(tmp_path / "room").close()
    plain = tmp_path / "room" / "keys" / "ledger.json"
    seed = json.loads(plain.read_text())["seed"]
    keyid = load_key(plain).keyid
    assert main(["key", "protect", str(plain)]) == 6
    assert "New password: there is no terminal to ask at: give --password-env" in capsys.readouterr().err
    assert main(["key", "protect", str(plain), "--password-env", "A_PASSWORD"]) == 0
    capsys.readouterr()
    assert main(["key", "protect", str(plain), "--password-env", "A_PASSWORD"]) == 4
    assert "it is under a password already" in capsys.readouterr().err
    for uri, why in (
        (f"encrypted-file:{plain}", f"Password for {plain}: there is no terminal"),
        (str(plain), "not a sig"),
    ):
        assert main(["key", "show", uri]) in (4, 6)
        assert why in capsys.readouterr().err
    for file, why in (
        (plain, "name it as encrypted-file:"),
        (plain / "a", "Not a dir"),
        (plain.parent / "a", "No such"),
    ):
        with pytest.raises(BadInput, match=why):
            load_key(file)
    assert main(["key", "show", f"encrypted-file:{plain}?password-env=A_PASSWORD", "--json"]) == 0
    assert main(["key", "new", str(tmp_path / "new.json"), "--password-env", "A_PASSWORD"]) == 0
    assert main(["key", "new", str(tmp_path / "plain.json"), "--plain"]) == 0
    assert main(["key", "new", str(tmp_path / "new.json"), "--plain"]) == 5
    assert main(["key", "new", str(tmp_path / "other.json"), "--password-env", "NOT_SET"]) == 6
    told = capsys.readouterr()
    assert keyid in told.out
    assert seed not in told.out + told.err + plain.read_text()
    assert load_encrypted(plain, PASSWORD).keyid == keyid
    monkeypatch.setattr("sys.stdin", None)
    assert main(["tick", "--room", str(tmp_path / "room")]) == 6  # nobody is there to be asked
    (plain.with_suffix(".uri")).write_text("encrypted-file:ledger.json?password-env=A_PASSWORD\n")
    assert main(["tick", "--room", str(tmp_path / "room")]) == 0


def test_the_default_cost_is_libsodiums_middle(tmp_path: Path) -> None:
    """What a person gets who says nothing."""
    save_encrypted(tmp_path / "a.json", SEED, PASSWORD)
    kdf = json.loads((tmp_path / "a.json").read_text())["kdf"]
    assert (kdf["operations"], kdf["memory"]) == (3, 256 * 2**20)


@pytest.mark.parametrize("secret", [SEED.hex(), PASSWORD.decode()])
def test_no_error_shows_a_secret(file: Path, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither message, fields, cause nor traceback of anything that goes wrong with a key file."""
    monkeypatch.setenv("A_PASSWORD", PASSWORD.decode() + "!")
    save_key(file.with_name("b.json"), SEED)
    file.with_name("c.json").write_text(json.dumps({"seed": SEED.hex(), "keyid": "x"}))
    attempts: list[Callable[[], Any]] = [
        lambda: signer_from_uri("encrypted-file:a.json?password-env=A_PASSWORD", base=file.parent),
        lambda: load_encrypted(file.with_name("b.json"), PASSWORD),
        lambda: load_key(file.with_name("c.json")),
        lambda: load_encrypted(file, PASSWORD + b"!"),
    ]
    for attempt in attempts:
        with pytest.raises(ProofroomError) as failed:
            attempt()
        error = failed.value
        shown = json.dumps(error.to_json()) + repr(error) + "".join(traceback.format_exception(error))
        assert secret not in shown
        assert error.__cause__ is None
