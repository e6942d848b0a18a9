"""The tamper lab: every attack is caught, by the check that is meant for it; and one that is not would be told."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from proofroom.adapters.lab.attack import Attack, Scene, attack
from proofroom.adapters.lab.run import ATTACKS, run_lab
from proofroom.adapters.ledger import KEYS
from proofroom.domain.errors import HistoryChanged
from strategies.rooms import TESTS, make_folder, rows_of
from strategies.shell import proofroom, proofroom_process, settle

MINE: list[Attack] = []


@attack("nothing-at-all", "file", "INVALID", MINE)
def _nothing(scene: Scene) -> None:
    """Nothing is changed."""


def test_each_attack_is_caught_by_the_check_meant_for_it() -> None:
    """In the lab's own room nothing is skipped; and what leaves a valid log behind is told as not caught."""
    results = list(run_lab(None, [*ATTACKS, *MINE]))
    named = {r.attack.name: (r.verdict, r.skipped, r.caught) for r in results}
    assert named.pop("nothing-at-all") == ("VALID", False, False)
    assert named == {a.name: (a.expects, False, True) for a in ATTACKS}


def test_names_are_unique_and_say_what_they_do() -> None:
    """A name for each, and a sentence."""
    assert len({a.name for a in ATTACKS}) == len(ATTACKS) >= 25
    assert all(a.does.endswith(".") for a in ATTACKS)


def test_the_security_page_names_every_attack() -> None:
    """What is promised there is what is tried here."""
    page = TESTS.parent / "SECURITY.md"
    named = set(re.findall(r"`([a-z-]+)`", page.read_text()))
    assert {a.name for a in ATTACKS} <= named


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A room of a host, with a settled era."""
    folder = tmp_path_factory.mktemp("lab") / "room"
    made = make_folder(folder)
    with made.ledger:
        made.ledger.append_many(made.records(3))
        settle(made)
    return folder


def test_a_room_is_copied_and_stays_as_it_was(room: Path) -> None:
    """What its files and its host could do is tried on copies."""
    before = rows_of(room / "log.db")
    played = list(run_lab(room))
    assert rows_of(room / "log.db") == before
    assert all(result.caught for result in played)
    assert {r.attack.power for r in played if not r.skipped} == {"file", "host"}


def test_without_the_keys_of_the_host_only_its_files_are_attacked(room: Path, tmp_path: Path) -> None:
    """What cannot be played says why."""
    copy = Path(shutil.copytree(room, tmp_path / "room"))
    shutil.rmtree(copy / KEYS)
    played = list(run_lab(copy))
    assert {r.attack.power for r in played if not r.skipped} == {"file"}
    assert all("keys" in r.sentence for r in played if r.attack.power != "file")


def test_a_room_that_does_not_hold_is_not_attacked(room: Path, tmp_path: Path) -> None:
    """There would be nothing to learn."""
    copy = Path(shutil.copytree(room, tmp_path / "room"))
    list(run_lab(copy, []))
    shutil.copy(room / "log.db", copy / "log.db")
    scene = Scene(copy, "", {}, None)
    scene.flip("state", 3)
    with pytest.raises(HistoryChanged):
        list(run_lab(copy))


def test_as_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a person and for a program; a host's own attacks beside ours; the exit status says whether one passed."""
    ran = proofroom("tamper-lab", "--only", "double-pay", "--only", "vote-copied", "--json")
    told = json.loads(ran.out)
    assert ran.status == 0
    assert [(a["attack"], a["caught"]) for a in told["attacks"]] == [("double-pay", True), ("vote-copied", True)]
    own = "from proofroom.adapters.lab.attack import attack\nMINE = []\n@attack('mine', 'file', 'INVALID', MINE)\n"
    (tmp_path / "own_attacks.py").write_text(own + "def _(scene):\n    'Nothing.'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ran = proofroom_process("tamper-lab", "--also", "own_attacks:MINE", "--only", "mine")
    assert (ran.status, "PASSED: 1 of 1" in ran.out) == (20, True)
    assert proofroom("tamper-lab", "--only", "no-such").status == 2
    assert proofroom("tamper-lab", "--also", "no_such:X").status == 2
    assert proofroom("tamper-lab", "--all", "--only", "mine").status == 2
    assert proofroom("tamper-lab", "--room", tmp_path / "none", "--only", "drop").status == 6
