"""The main job: four of five, era after era, from any calendar and after any crash; and what is private stays so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.demo import DemoResult, run_demo
from proofroom.adapters.keys import load_key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.pages import find_entries
from proofroom.adapters.stores import now_ms
from proofroom.adapters.vault import Vault
from proofroom.domain.errors import AgentFailed, BadInput, HistoryChanged, VaultUnavailable
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.consent import Grant
from proofroom.domain.statements.settlement import EraPaid
from strategies.rooms import soak
from strategies.watching import watching

CANARY = "canary-4711-Zwetschgendatschi"


class Ran(NamedTuple):
    """Two runs in one room, and what they said."""

    folder: Path
    results: tuple[DemoResult, DemoResult]
    said: str
    seen: set[str]
    """Arguments and environments of the processes that ran meanwhile."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demo, twice, on a calendar with a canary in it."""
    folder = tmp_path_factory.mktemp("demo")
    calendar, said, seen = folder / "mine.ics", list[str](), set[str]()
    calendar.write_text(
        f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260302T100000Z\r\nDTEND:20260302T113000Z\r\nSUMMARY:{CANARY}\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    with watching(seen):
        results = (
            run_demo(folder / "room", calendar, say=said.append),
            run_demo(folder / "room", calendar, say=said.append),
        )
    return Ran(folder / "room", results, "\n".join(said), seen)


def test_each_run_is_an_era(ran: Ran) -> None:
    """The second run goes on where the first stopped, under the same grant."""
    assert [r.receipts.era for r in ran.results] == [0, 1]
    assert ran.results[0].receipts.grant_index == ran.results[1].receipts.grant_index
    assert [r.report.verdict for r in ran.results] == [Verdict.VALID] * 2
    assert all(r.report.witnessed for r in ran.results)


def test_four_of_five_agree(ran: Ran) -> None:
    """One validator's meter reads too little; its own cross-check rejects, and the record passes without it."""
    for result in ran.results:
        facts = result.receipts.facts["round"]
        assert (facts["assigned"], facts["eligible"], facts["agree"], facts["passed"]) == (5, 7, 4, True)
        assert facts["doubts"] == {"overclaimed-cpu": 1}
        assert ran.said.count("agree               : 4 / 5  →  ⅔ supermajority  ✓ PASS") == 2


def test_room_is_left_for_others(ran: Ran) -> None:
    """What was left audits against the checkpoint beside it, by a ledger opened anew; all money sums to zero."""
    note = ran.results[1].checkpoint.read_text()
    assert ran.results[1].checkpoint == ran.folder.with_name("room.checkpoint")
    with Ledger.open(ran.folder, read_only=True) as ledger:
        report = audit(ledger.store, against=note)
        assert (report.verdict, report.witnessed, report.entries) == (Verdict.VALID, True, ledger.size)
        paid = [s for _, s in find_entries(ledger, EraPaid)]
        assert [(s.era, s.records.attested) for s in paid] == [(0, 1), (1, 1)]
        assert all(int(s.totals.collected) > 0 for s in paid)
        assert sum(ledger.state.balances.values()) == 0
        assert ran.results[1].receipts.balances == dict(ledger.state.balances)


def test_record_is_what_ran(ran: Ran) -> None:
    """The result behind the record opens for the wallet only, and is about this calendar; the cost is not invented."""
    wallet, agent = (load_key(ran.folder / "keys" / f"{name}.json") for name in ("wallet", "agent-service"))
    vault = Vault(ran.folder / "vault", wallet.keyid)
    with Ledger.open(ran.folder, read_only=True) as ledger:
        records = [s for _, s in find_entries(ledger, Activity)]
    for record, result in zip(records, ran.results, strict=True):
        opened = json.loads(vault.get_result(record.vault_scope, record.result_hash, wallet))
        assert opened == result.receipts.summary
        assert opened["longest_event"]["title"] == CANARY
        with pytest.raises(VaultUnavailable):
            vault.get_result(record.vault_scope, record.result_hash, agent)
        assert 0 < record.compute.cpu_ms < 10_000
        assert (record.compute.gpu_micro, record.data.gets, record.data.puts) == (0, 1, 1)


def test_canary_is_nowhere(ran: Ran) -> None:
    """What the calendar says is in no file of the room, no argument and no environment; nobody but its owner reads the keys."""
    for path in [*ran.folder.rglob("*"), ran.results[1].checkpoint]:
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
        if "keys" in path.parts and path.is_file():
            assert path.stat().st_mode & 0o077 == 0
    shown = "".join(ran.seen)
    assert "summarise_calendar" in shown  # the agent's process was seen
    assert CANARY not in shown
    seeds = [json.loads(path.read_text())["seed"] for path in (ran.folder / "keys").glob("*.json")]
    rest = b"".join(p.read_bytes() for p in ran.folder.rglob("*") if p.is_file() and "keys" not in p.parts)
    assert not [seed for seed in seeds if seed.encode() in rest or bytes.fromhex(seed) in rest or seed in shown]


def test_it_says_what_it_is(ran: Ran) -> None:
    """A stranger is told who plays the parts, what is staged and what is not proven."""
    for text in (
        "One process plays every party",
        "Staged: the meter of the first one drawn is broken",
        "It proves nothing of a model's internals",
        "There is no GPU here, so gpu_units is 0",
        "VALID: ",
        "event ClusterEraPaid { cluster: dragon-1, era: 1 }",
        "SELECT account, balance FROM balances",
    ):
        assert text in ran.said
    json.dumps(ran.results[0].to_json())


@pytest.fixture
def room(ran: Ran, tmp_path: Path) -> Path:
    """A copy of the room after two runs, with its checkpoint."""
    shutil.copytree(ran.folder, tmp_path / "room")
    shutil.copy(ran.results[1].checkpoint, tmp_path / "room.checkpoint")
    return tmp_path / "room"


@pytest.mark.parametrize("calendar", ["missing.ics", "."])
def test_calendar_that_cannot_be_read(tmp_path: Path, calendar: str) -> None:
    """No file, no room."""
    with pytest.raises(BadInput, match=calendar):
        run_demo(tmp_path / "room", tmp_path / calendar)
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_calendar(tmp_path: Path) -> None:
    """The agent says so; no record is made, and the next run uses the era that was opened."""
    (tmp_path / "shopping.ics").write_text(f"milk, eggs, {CANARY}")
    with pytest.raises(AgentFailed, match="not an iCalendar file") as failed:
        run_demo(tmp_path / "room", tmp_path / "shopping.ics")
    assert CANARY not in str(failed.value.to_json())
    with Ledger.open(tmp_path / "room", read_only=True) as ledger:
        assert not list(find_entries(ledger, Activity))
    result = run_demo(tmp_path / "room")
    assert (result.receipts.era, result.report.verdict) == (0, Verdict.VALID)


CRASH = """
import os, sys
from pathlib import Path
from proofroom.adapters.demo import run_demo
from proofroom.adapters.sqlite import SqliteStore

appends, die_at, before, append = 0, int(sys.argv[2]), sys.argv[3] == "before", SqliteStore.append

def counted(self, *args):
    global appends
    appends += 1
    if before and appends == die_at:
        os._exit(9)
    done = append(self, *args)
    if appends == die_at:
        os._exit(9)
    return done

SqliteStore.append = counted
run_demo(Path(sys.argv[1]))
"""


def crash(folder: Path, die_at: int, when: str) -> None:
    """Run the demo in a process that dies at an append."""
    arguments = [sys.executable, "-c", CRASH, str(folder), str(die_at), when]
    assert subprocess.run(arguments, check=False).returncode == 9


@pytest.mark.parametrize(
    ("die_at", "when", "later_s"),
    [
        (1, "before", 0),  # an empty log
        (2, "after", 0),
        (7, "after", 3 * 86_400),  # an open era, long over
        (8, "after", 0),  # a record in no batch
        (9, "after", 70),  # a batch whose beacon is over
        (19, "after", 70),  # some committed, the phase is over
        (23, "after", 200_000),  # some revealed; all is over
        (26, "after", 0),  # attested, not closed
    ][:: soak(2, 1)],
)
def test_run_that_was_killed_is_finished(tmp_path: Path, die_at: int, when: str, later_s: int) -> None:
    """Wherever a run dies, the next finishes what is open and does its own job, soon or days later."""
    folder = tmp_path / "room"
    crash(folder, die_at, when)
    result = run_demo(folder, clock=later(later_s))
    assert result.report.verdict is Verdict.VALID
    assert result.receipts.facts["round"]["agree"] == 4
    with Ledger.open(folder, read_only=True, clock=later(later_s)) as ledger:
        assert not ledger.state.clusters["dragon-1"].open
        assert all(era.sealed for era in ledger.state.eras.values())


@pytest.mark.parametrize("die_at", [9, 14, 19, 24][:: soak(2, 1)])
def test_round_that_was_cut_off_still_pays(tmp_path: Path, die_at: int) -> None:
    """While its deadlines last, a round that was left in any phase is finished with the same votes, and its record is paid."""
    crash(tmp_path / "room", die_at, "after")
    assert run_demo(tmp_path / "room").receipts.era == 1
    with Ledger.open(tmp_path / "room", read_only=True) as ledger:
        assert [s.records.attested for _, s in find_entries(ledger, EraPaid)] == [1, 1]


def later(seconds: int) -> Callable[[], int]:
    """The clock, so much later."""
    return lambda: now_ms() + seconds * 1000


def test_consent_that_ran_out_is_renewed(room: Path) -> None:
    """After a hundred days grant and derived key have run out: the wallet grants anew, the service derives a new key."""
    result = run_demo(room, clock=later(100 * 86_400))
    assert (result.receipts.era, result.report.verdict) == (2, Verdict.VALID)
    with Ledger.open(room, read_only=True) as ledger:
        records = [s for _, s in find_entries(ledger, Activity)]
        assert len(list(find_entries(ledger, Grant))) == 2
    assert records[1].signers.agent_derived_key != records[2].signers.agent_derived_key


def test_room_that_was_rolled_back_is_refused(room: Path, ran: Ran) -> None:
    """A room that is not what its checkpoint signed is not written on; a new room does not destroy the checkpoint of an old one."""
    shutil.rmtree(room)
    run_demo(room)
    assert room.with_name("room.checkpoint.old").read_text() == ran.results[1].checkpoint.read_text()
    shutil.copy(ran.results[1].checkpoint, room.with_name("room.checkpoint"))
    before = (room / "log.db").read_bytes()
    with pytest.raises(HistoryChanged, match="FORKED"):
        run_demo(room)
    assert (room / "log.db").read_bytes() == before
