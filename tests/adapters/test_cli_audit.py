"""``proofroom audit`` as a person runs it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from proofroom.adapters.findings import Report
from strategies.rooms import copy_of, edit, make_folder, soak
from strategies.shell import proofroom
from strategies.whole import whole_history

SIZE = len(whole_history().entries)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A room with a whole history in it."""
    return copy_of(tmp_path).parent


def test_a_good_log_is_one_sentence(room: Path) -> None:
    """And no table."""
    ran = proofroom("audit", "--room", room)
    assert (ran.status, len(ran.out.splitlines())) == (0, 1)
    assert ran.out.startswith("VALID: ")


def test_all_findings_are_a_table_and_json(room: Path) -> None:
    """The same ones, in log order; the exit status is that of the verdict."""
    edit(room / "log.db", "UPDATE log SET nodes = randomblob(length(nodes)) WHERE log_index IN (40, 99, 123)")
    ran = proofroom("audit", "--room", room)
    assert ran.status == 10
    assert ran.out.startswith("INVALID at 40: ")
    assert ran.out.rstrip().endswith("FINDINGS: 3")
    assert [line.split()[0] for line in ran.out.splitlines() if line.strip()[:3].strip().isdigit()] == [
        "40",
        "99",
        "123",
    ]
    shown = proofroom("audit", "--room", room, "--json", "--workers", "1").json()
    assert [f["entry"] for f in shown["findings"]] == [40, 99, 123]
    assert shown["findings"][0] == {
        "entry": 40,
        "check": "bytes",
        "why": "its bytes do not give the leaf and nodes that were stored with it",
        "code": None,
        "follows": False,
    }
    assert shown["exit_status"] == 10
    assert Report.from_json({k: v for k, v in shown.items() if k not in ("exit_status", "sentence")}).first_bad == 40
    first = proofroom("audit", "--room", room, "--json", "--first").json()
    assert [f["entry"] for f in first["findings"]] == [40]


def test_the_progress_is_kept(room: Path) -> None:
    """The second time there is nothing left to read, which the report says, and the verdict is the same."""
    progress = room / "progress"
    first = proofroom("audit", "--room", room, "--resume", progress, "--json").json()
    assert (progress.exists(), first.pop("earlier")) == (True, 0)
    edit(room / "log.db", "UPDATE log SET state = x'7b7d' WHERE log_index = 7")  # verified already, so not read again
    again = proofroom("audit", "--room", room, "--resume", progress, "--json").json()
    assert (again.pop("earlier"), again.pop("sentence")) == (
        SIZE,
        first.pop("sentence").replace("verified;", f"verified, {SIZE} of them by an earlier audit;"),
    )
    assert again == first
    progress.write_bytes(b"something else")
    ran = proofroom("audit", "--room", room, "--resume", progress)
    assert (ran.status, "remove it to begin anew" in ran.err) == (4, True)


def test_the_audit_can_be_asked_whether_it_would_notice(room: Path) -> None:
    """The catch rate by kind of change; the same seed gives the same again."""
    ran = proofroom("audit", "--room", room, "--fuzz", "12", "--seed", "5")
    assert ran.status == 0
    assert "CAUGHT: 12 of 12 changes" in ran.out
    shown = proofroom("audit", "--room", room, "--fuzz", "12", "--seed", "5", "--json").json()["fuzz"]
    assert (shown["seed"], shown["count"], shown["caught"], shown["rate"], shown["missed"]) == (5, 12, 12, 1.0, [])


@pytest.mark.skipif(not soak(0, 1), reason="in a soak; test_rebuild.py has the comparison itself")
def test_read_models_are_held_against_the_log(tmp_path: Path) -> None:
    """What somebody changed in a table is named by its table; nothing is mended, and the verdict on the log stands."""
    with make_folder(tmp_path).ledger:
        assert proofroom("audit", "--room", tmp_path, "--models", "--json").json()["models"] == []  # there are none yet
    proofroom("project", "--room", tmp_path)
    altered = "UPDATE journal SET amount = 7 WHERE entry_index = (SELECT min(entry_index) FROM journal)"
    with duckdb.connect(tmp_path / "views.duckdb") as connection:
        connection.execute(altered)
    before = (tmp_path / "views.duckdb").read_bytes()
    ran = proofroom("audit", "--room", tmp_path, "--models")
    assert ran.status == 20
    assert ran.out.startswith("VALID: ")
    assert "MODELS: 1 of" in ran.out
    assert "journal" in ran.out
    assert (tmp_path / "views.duckdb").read_bytes() == before


def test_what_a_published_log_has_no_place_for_is_wrong_usage(room: Path) -> None:
    """Instead of being passed over."""
    for option in (["--models"], ["--fuzz", "1"]):
        ran = proofroom("audit", "--from-tiles", room, *option)
        assert (ran.status, "--from-tiles has none" in ran.err) == (2, True)


def test_what_needs_a_valid_log_is_not_passed_over(room: Path) -> None:
    """Whoever asked for it learns that it was not done, as a person and as a program."""
    edit(room / "log.db", "DELETE FROM checkpoints")
    ran = proofroom("audit", "--room", room, "--fuzz", "1", "--models")
    assert (ran.status, "NOT DONE: --fuzz and --models, which need a log that is VALID" in ran.out) == (10, True)
    assert proofroom("audit", "--room", room, "--models", "--json").json()["not_done"] == ["--models"]
    assert "not_done" not in proofroom("audit", "--room", room, "--json").json()
