"""``proofroom receipt`` and ``verify``: proofs as files, and what a file that somebody kept says of a log that was shortened or changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from proofroom.adapters.cli import main
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.publishing import publish
from proofroom.domain.checkpoint import parse_note, verifier_key
from proofroom.domain.cosigning import add_cosignatures, cosign, witness_key
from proofroom.domain.statements.activity import Activity
from proofroom.domain.verifier import Verdict
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.rooms import make_folder
from strategies.shell import settle


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A room with a paid era, the key of its log, and a record of it; only read here."""
    folder = tmp_path_factory.mktemp("paid") / "room"
    room = make_folder(folder)
    with room.ledger as ledger:
        ledger.append_many(room.records(3))
        settle(room)
        record = next(e.statement for e in list(ledger.read(0, 500))[::-1] if isinstance(e.statement, Activity))
        founding = ledger.state.founding
    assert founding is not None
    return folder, verifier_key(ORIGIN, founding.checkpoint_key), record.record_id


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str]:
    """The status and what was printed."""
    status = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return status, out + err


def test_each_kind_of_file(paid: tuple[Path, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An entry in both forms, a record, its payment and its era: written, and VALID with the log's key."""
    room, log, record = paid
    kinds = {
        "5": ["5"], "e.tlog-proof": ["entry", "5"], "r.json": ["record", record], "p.json": ["payout", record],
        "era.json": ["era", "dragon-1", "0"],
    }  # fmt: skip
    for name, what in kinds.items():
        file = tmp_path / name
        status, said = run(capsys, "receipt", *what, "--room", room, "-o", file)
        assert (status, "check it with: proofroom verify" in said) == (0, True), said
        status, said = run(capsys, "verify", file, "--key", log)
        assert (status, said[:6], "UNWITNESSED" in said) == (0, "VALID:", True), said
        assert run(capsys, "verify", file, "--key", log, "--strict")[0] == Verdict.UNWITNESSED
        file.write_bytes(file.read_bytes().replace(b"A", b"B", 1))
        assert run(capsys, "verify", file, "--key", log)[0] == Verdict.INVALID
    status, out = run(capsys, "receipt", "payout", record, "--room", room)
    (tmp_path / "stdout.json").write_text(out)
    status, out = run(capsys, "verify", tmp_path / "stdout.json", "--json")
    facts = json.loads(out)
    assert (status, facts["verdict"], facts["exit_status"], facts["at"]) == (0, "VALID", 0, None)
    assert any("own claim" in note for note in facts["notes"])


def test_what_cannot_be_proven_or_read(
    paid: tuple[Path, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each mistake has its status: a proof of what is not there 3, a file or key that is none 4."""
    room, log, _ = paid
    for what in (["999"], ["record", "dac-1"], ["payout", "dac-1"], ["era", "dragon-1", "9"], ["era", "x", "0"]):
        status, said = run(capsys, "receipt", *what, "--room", room, "-o", tmp_path / "none")
        assert (status, "hint:" in said) == (3, True), said
    assert not (tmp_path / "none").exists()
    file = tmp_path / "e.json"
    assert run(capsys, "receipt", "5", "--room", room, "-o", file)[0] == 0
    (tmp_path / "text").write_text("nothing")
    for bad in (
        [tmp_path / "nowhere"],
        [file, "--key", "x"],
        [file, "--witness", log + "x"],
        [file, "--policy", tmp_path / "text"],
        [file, "--checkpoint", tmp_path / "text"],
        [file, "--checkpoint", tmp_path / "nowhere"],
    ):
        status, said = run(capsys, "verify", *bad)
        assert (status, said.startswith("error:")) == (4, True), (bad, said)
    assert run(capsys, "verify", tmp_path / "text")[0] == Verdict.INVALID
    stranger = verifier_key(ORIGIN, key("stranger").keyid)
    assert run(capsys, "verify", file, "--key", stranger)[0] == Verdict.INVALID
    assert run(capsys, "verify", file, "--key", stranger, "--key", log)[0] == 0


def test_witnesses_and_policies(
    paid: tuple[Path, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A proof under a cosigned checkpoint satisfies who names the witness; k of n by a policy."""
    room, log, _ = paid
    with Ledger.open(room, read_only=True) as ledger:
        note = ledger.checkpoint()
    names = ("w1", "w2", "w3")
    keys = {n: witness_key(f"witness.example/{n}", key(n).keyid) for n in names}
    for n in names[:2]:
        note = add_cosignatures(note, cosign(parse_note(note)[0], f"witness.example/{n}", key(n), 1))
    cosigned, file, policy = tmp_path / "cosigned", tmp_path / "e.json", tmp_path / "policy"
    cosigned.write_text(note)
    assert run(capsys, "receipt", "5", "--room", room, "--under", cosigned, "-o", file)[0] == 0
    status, said = run(
        capsys, "verify", file, "--key", log, "--witness", keys["w1"], "--witness", keys["w2"], "--strict"
    )
    assert (status, "UNWITNESSED" in said) == (0, False), said
    assert run(capsys, "verify", file, "--key", log, "--witness", keys["w3"])[0] == Verdict.UNWITNESSED
    for least, status in ((1, 0), (2, 0), (3, Verdict.UNWITNESSED)):
        lines = [f"log {log}", *(f"witness {n} {keys[n]}" for n in names), f"group g {least} w1 w2 w3", "quorum g", ""]
        policy.write_text("\n".join(lines))
        assert run(capsys, "verify", file, "--policy", policy)[0] == status


def copied(room: Path, to: Path) -> Path:
    """A copy of the whole folder, keys and all."""
    shutil.copytree(room, to)
    return to


def test_a_shortened_log_against_a_receipt_kept_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole folder is put back to an older copy: INCOMPLETE against the receipt of an entry that is gone; once it goes on, FORKED.

    Without anything from elsewhere it is VALID, and says UNWITNESSED and what that means.
    """
    room, held, early = tmp_path / "room", tmp_path / "held.json", tmp_path / "early.json"
    made = make_folder(room)
    with made.ledger as ledger:
        old = copied(room, tmp_path / "old")
        ledger.append_many(made.records(2))
        last = ledger.size - 1
    assert run(capsys, "receipt", last, "--room", room, "-o", held)[0] == 0
    assert run(capsys, "receipt", 0, "--room", old, "-o", early)[0] == 0

    def verdicts() -> list[Any]:
        audited = run(capsys, "audit", "--room", old, "--against", held)
        assert run(capsys, "receipt", 0, "--room", old, "-o", tmp_path / "now.json")[0] == 0
        verified = run(capsys, "verify", tmp_path / "now.json", "--checkpoint", held)
        publish_to = tmp_path / f"web-{len(list(tmp_path.iterdir()))}"
        with Ledger.open(old, read_only=True) as ledger:
            publish(ledger.store, publish_to)
        tiles = run(capsys, "audit", "--from-tiles", publish_to, "--against", held)
        return [status for status, _ in (audited, verified, tiles)]

    assert verdicts() == [Verdict.INCOMPLETE] * 3
    status, said = run(capsys, "audit", "--room", old)
    assert (status, "UNWITNESSED" in said, "removed tail" in said) == (0, True, True), said
    with Ledger.open(old) as ledger:
        while ledger.size <= last:
            ledger.tick()
    assert verdicts() == [Verdict.FORKED] * 3
    with Ledger.open(old) as ledger:
        ledger.tick()
    since = tmp_path / "since.json"
    assert run(capsys, "receipt", 0, "--room", old, "--since", early, "-o", since)[0] == 0
    assert run(capsys, "verify", since, "--checkpoint", early)[0] == 0
    assert run(capsys, "verify", since, "--checkpoint", held)[0] == Verdict.INCOMPLETE
    assert run(capsys, "receipt", 0, "--room", old, "--since", held, "-o", since)[0] == 0
    status, said = run(capsys, "verify", since, "--checkpoint", held)
    assert (status, "does not extend" in said) == (Verdict.FORKED, True), said
