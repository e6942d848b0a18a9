"""The command line: every verb, for a person and for a program."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from proofroom import __version__
from proofroom.adapters.cli import main
from proofroom.domain.checkpoint import verify_checkpoint
from proofroom.domain.ids import KeyId
from strategies.rooms import edit, make_folder
from strategies.shell import Ran, proofroom, settle


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A room with a settled era of three records."""
    folder = tmp_path_factory.mktemp("built") / "room"
    room = make_folder(folder)
    with room.ledger:
        room.ledger.append_many(room.records(3))
        settle(room)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of it to work on."""
    return Path(shutil.copytree(built, tmp_path / "room"))


def called(capsys: pytest.CaptureFixture[str], *args: str | Path) -> Ran:
    """The command in this process."""
    status = main([str(a) for a in args])
    out, err = capsys.readouterr()
    return Ran(status, out, err)


def test_help_names_every_verb_and_loads_no_database(capsys: pytest.CaptureFixture[str]) -> None:
    """Help is there at once: it loads neither DuckDB nor the event library."""
    ran = proofroom("--help")
    assert ran.status == 0
    for verb in ("demo", "submit", "show", "sql", "audit", "checkpoint", "status", "tick"):
        assert f"\n  {verb} " in ran.out
        assert "--json" in called(capsys, *(("show", "entry") if verb == "show" else (verb,)), "--help").out
    loaded = "import sys, proofroom.adapters.cli as c; c.main(['--help']); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert not {"duckdb", "eventsourcing", "pyarrow", "pydantic", "rich"} & set(modules)


def test_version() -> None:
    """The version is that of the distribution."""
    assert proofroom("--version").out == f"proofroom {__version__}\n"


def test_a_room_is_found_by_option_by_environment_or_beside_the_person(folder: Path, tmp_path: Path) -> None:
    """--room goes before PROOFROOM_ROOM, and that before ./room."""
    beside = proofroom("status", "--json", cwd=tmp_path).json()
    assert beside == proofroom("status", "--json", env={"PROOFROOM_ROOM": str(folder)}).json()
    assert beside == proofroom("status", "--json", "--room", folder, env={"PROOFROOM_ROOM": "nowhere"}).json()


def test_status_tells_the_room_on_one_screen(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Origin, size, clusters and balances; the balances sum to zero."""
    text = called(capsys, "status", "--room", folder)
    assert text.status == 0
    assert "example.org/room" in text.out
    assert len(text.out.splitlines()) <= 24
    facts = called(capsys, "status", "--room", folder, "--json").json()
    assert facts["clusters"][0] | {"rounds": 1, "open_era": None} == facts["clusters"][0]
    assert sum(map(int, facts["balances"].values())) == 0
    assert str(facts["size"]) in text.out


def test_status_shows_an_open_era(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An era that is not paid is listed with its records."""
    room = make_folder(tmp_path / "room")
    with room.ledger:
        room.ledger.append_many(room.records(2))
    (era,) = called(capsys, "status", "--room", tmp_path / "room", "--json").json()["unpaid_eras"]
    assert (era["status"], era["records"], era["unsealed"]) == ("open", 2, 2)
    assert "open" in called(capsys, "status", "--room", tmp_path / "room").out


def test_show_entry_with_its_proof(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """An entry is told with signers and payload, and its receipt is checked before it is shown."""
    facts = called(capsys, "show", "entry", "0", "--proof", "--json", "--room", folder).json()
    assert (facts["entry_index"], facts["kind"], len(facts["signers"])) == (0, "genesis", 2)
    assert facts["receipt"]["verified"] is True
    assert facts["payload"]["origin"] == "example.org/room"
    text = called(capsys, "show", "entry", "0", "--proof", "--room", folder).out
    for part in (facts["id"], *facts["signers"], *facts["receipt"]["path"], facts["receipt"]["note"]):
        assert part in text


def test_show_the_four_receipts(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Grant, record, round and era in the page's shapes, and as plain values."""
    rows = called(capsys, "sql", "SELECT record_id, customer, agent FROM records LIMIT 1", "--json", "--room", folder)
    ((record, user, agent),) = (row.values() for row in rows.json())
    asked = {
        '"agent_service_pub_key"': ("grant", user, agent),
        '"record_id"': ("record", record),
        "attestation round · cluster dragon-1 · era 0": ("round", "dragon-1", "0"),
        "event ClusterEraPaid { cluster: dragon-1, era: 0 }": ("era", "dragon-1", "0"),
    }
    for shape, words in asked.items():
        text = called(capsys, "show", *words, "--room", folder)
        assert text.status == 0
        assert shape in text.out
        short = called(capsys, "show", *words, "--short", "--room", folder)
        assert "…" in short.out or words[0] in ("round", "era")
        assert isinstance(called(capsys, "show", *words, "--json", "--room", folder).json(), dict)


def test_show_grant_takes_first_digits_and_tells_the_status(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The first digits of a key are enough where they name one."""
    ((user, agent),) = (
        row.values()
        for row in called(capsys, "sql", "SELECT user_key, agent FROM grants", "--json", "--room", folder).json()
    )
    facts = called(capsys, "show", "grant", user[8:14], agent[:14], "--json", "--room", folder).json()
    assert (facts["status"], facts["grant"]["user_pub_key"]) == ("active", user)
    assert "active" in called(capsys, "show", "grant", user, agent, "--room", folder).out


def test_sql_in_three_forms(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A table for a person, JSON and CSV for programs; amounts are never rounded."""
    query = "SELECT account, balance FROM balances ORDER BY balance, account"
    rows = called(capsys, "sql", query, "--json", "--room", folder).json()
    assert sum(Decimal(row["balance"]) for row in rows) == 0
    assert all(isinstance(row["balance"], str) for row in rows)
    table = list(csv.reader(io.StringIO(called(capsys, "sql", query, "--csv", "--room", folder).out)))
    assert table == [["account", "balance"], *([row["account"], row["balance"]] for row in rows)]
    text = called(capsys, "sql", query, "--room", folder).out
    assert all(row["account"] in text and row["balance"] in text for row in rows)
    assert f"({len(rows)} rows)" in text


def test_sql_values_as_json(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Every type has its JSON form; a second column of a name gets a number; no row is an empty array."""
    query = """
        SELECT 1 AS a, 2::HUGEINT AS a, 1.50::DECIMAL(38,2) AS d, 'nan'::DOUBLE AS n, 'x'::BLOB AS b, [1, 2] AS l, {'k': NULL} AS s,
        TIMESTAMP '2026-01-02 03:04:05' AS t, TIMESTAMPTZ '2026-01-02 03:04:05+00' AS z, NULL AS none, true AS yes
    """
    (row,) = called(capsys, "sql", query, "--json", "--room", folder).json()
    assert row == {
        "a": 1,
        "a_2": "2",
        "d": "1.50",
        "n": "nan",
        "b": "78",
        "l": [1, 2],
        "s": {"k": None},
        "t": "2026-01-02T03:04:05",
        "z": "2026-01-02 03:04:05+00",
        "none": None,
        "yes": True,
    }
    assert called(capsys, "sql", "SELECT 1 WHERE false", "--json", "--room", folder).json() == []


def test_sql_shows_a_person_the_first_thousand_rows(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A table stops after a thousand rows and says so; JSON holds them all."""
    ran = called(capsys, "sql", "FROM range(2500)", "--room", folder)
    assert "999" in ran.out
    assert "1000" not in ran.out
    assert "first 1,000 rows" in ran.err
    assert len(called(capsys, "sql", "FROM range(2500)", "--json", "--room", folder).json()) == 2500


def test_checkpoint_and_audit_against_it(folder: Path, tmp_path: Path) -> None:
    """A checkpoint that was kept elsewhere is what the audit holds the log against."""
    kept = tmp_path / "kept"
    kept.write_text(proofroom("checkpoint", "--room", folder).out, encoding="utf-8")
    facts = proofroom("checkpoint", "--json", "--room", folder).json()
    assert facts["note"] == kept.read_text(encoding="utf-8")
    key = KeyId(proofroom("status", "--json", "--room", folder).json()["checkpoint_key"])
    assert verify_checkpoint(facts["note"], "example.org/room", key).size == facts["size"]
    assert proofroom("tick", "--room", folder).status == 0
    assert "UNWITNESSED" in proofroom("audit", "--room", folder).out
    ran = proofroom("audit", "--against", kept, "--room", folder, "--json")
    assert (ran.status, ran.json()["verdict"], ran.json()["witnessed"]) == (0, "VALID", True)


def test_tick_lists_what_the_ledger_stated(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Where nothing is due a tick says only that time passed."""
    facts = called(capsys, "tick", "--json", "--room", folder).json()
    assert facts["stated"] == [{"entry_index": facts["size"] - 1, "kind": "tick"}]
    assert called(capsys, "tick", "--room", folder).out == f"entry {facts['size']}: tick\n"


def test_audit_exit_status_is_the_verdict(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    """10 for a changed entry, 11 for a removed tail, 12 for another history."""
    note = tmp_path / "note"
    note.write_text(called(capsys, "checkpoint", "--room", folder).out, encoding="utf-8")

    changed = Path(shutil.copytree(folder, tmp_path / "changed"))
    edit(changed / "log.db", "UPDATE log SET recorded_at_ms = recorded_at_ms + 1 WHERE log_index = 5")
    ran = called(capsys, "audit", "--room", changed, "--json")
    assert (ran.status, ran.json()["verdict"], ran.json()["first_bad"]) == (10, "INVALID", 5)
    assert "INVALID at 5" in called(capsys, "audit", "--room", changed).out

    cut = Path(shutil.copytree(folder, tmp_path / "cut"))
    size = called(capsys, "status", "--room", folder, "--json").json()["size"]
    (earlier,) = called(
        capsys, "sql", "SELECT min(entry_index) AS i FROM log WHERE kind = 'batch-sealed'", "--json", "--room", folder
    ).json()
    edit(
        cut / "log.db",
        f"DELETE FROM log WHERE log_index >= {earlier['i']}",
        f"DELETE FROM checkpoints WHERE size > {earlier['i']}",
    )
    edit(cut / "log.db", "DELETE FROM snapshots")
    assert called(capsys, "audit", "--room", cut).status == 0, "a removed tail cannot be seen without a checkpoint"
    ran = called(capsys, "audit", "--room", cut, "--against", note)
    assert (ran.status, str(size) in ran.out) == (11, True)

    other = make_folder(tmp_path / "other")
    other.ledger.close()
    assert called(capsys, "audit", "--room", tmp_path / "other", "--against", note).status == 12


def test_audit_needs_no_keys_and_works_where_opening_is_refused(folder: Path) -> None:
    """A damaged copy without keys is audited though the ledger does not open on it."""
    shutil.rmtree(folder / "keys")
    edit(folder / "log.db", "DELETE FROM log WHERE log_index > 7", "DELETE FROM snapshots")
    assert proofroom("status", "--room", folder).status == 6
    assert proofroom("audit", "--room", folder).status == 11


def test_demo_prints_receipts_balances_and_verdict(tmp_path: Path) -> None:
    """The main job, for a person and again for a program; the room it leaves is a room."""
    ran = proofroom("demo", "--room", tmp_path / "room")
    assert ran.status == 0
    for part in ('"agent_service_pub_key"', '"record_id"', "4 / 5", "ClusterEraPaid", "VALID"):
        assert part in ran.out
    again = proofroom("demo", "--json", "--room", tmp_path / "room").json()
    assert again["audit"]["verdict"] == "VALID"
    assert again["era"]["statement"]["era"] == 1
    assert proofroom("show", "era", "dragon-1", "1", "--room", tmp_path / "room").status == 0
