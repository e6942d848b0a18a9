"""Several processes on one ledger, and processes that are killed: nothing is lost, doubled, out of order or half there."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from proofroom.adapters.audit import Verdict
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.domain.statements.activity import Activity
from strategies.rooms import Worker, audit_file, make_folder, run_together, soak


def assert_valid(folder: Path) -> int:
    """The audit holds; the number of entries."""
    with Ledger.open(folder, read_only=True) as ledger:
        report = audit_file(folder / LOG, ledger.checkpoint())
        assert report.verdict is Verdict.VALID, report.sentence()
        assert report.entries == ledger.size
        return ledger.size


def operations(folder: Path, start: int) -> list[str]:
    """What the records from an index on did."""
    with Ledger.open(folder, read_only=True) as ledger:
        statements = [e.statement for e in ledger.follow(start)]
    return [s.operation for s in statements if isinstance(s, Activity)]


@pytest.mark.parametrize("count", [3])
def test_processes_append_at_once(tmp_path: Path, count: int) -> None:
    """Each statement once, at the place that was acknowledged, each process's in its own order."""
    each = soak(30, 1_000)
    with make_folder(tmp_path).ledger as ledger:
        start = ledger.size
    workers = [Worker("append", tmp_path, f"process {i}", each) for i in range(count)]
    said = [[line.split() for line in lines] for lines in run_together(*workers)]
    places = {int(index): digest for lines in said for index, digest in lines}
    assert sorted(places) == list(range(start, start + count * each))
    with Ledger.open(tmp_path, read_only=True) as ledger:
        assert {e.index: e.verified.digest for e in ledger.follow(start)} == places
    for lines in said:
        indexes = [int(index) for index, _ in lines]
        assert indexes == sorted(indexes)
    assert Counter(operations(tmp_path, start)) == {f"process {i}": each for i in range(count)}
    assert assert_valid(tmp_path) == start + count * each


def test_processes_tick_at_once(tmp_path: Path) -> None:
    """Time passes for all of them; none is told that it came too late."""
    make_folder(tmp_path).ledger.close()
    run_together(*(Worker("tick", tmp_path, soak(40, 1_000)) for _ in range(2)))
    assert_valid(tmp_path)


def test_a_ledger_opens_while_another_process_appends(tmp_path: Path) -> None:
    """What is appended between two looks of the opening is no changed history."""
    make_folder(tmp_path).ledger.close()
    writer, opener = Worker("append", tmp_path, "writer", soak(100, 2_000)), Worker("reopen", tmp_path, 0.7)
    run_together(writer, opener)
    sizes = [int(line) for line in opener.lines]
    assert sizes == sorted(sizes)
    assert_valid(tmp_path)


@pytest.mark.parametrize("attempt", range(soak(2, 20)))
def test_nothing_is_recorded_under_a_grant_after_its_revocation(tmp_path: Path, attempt: int) -> None:
    """One process works under the grant while another revokes it: from the revocation's index on there is no record."""
    with make_folder(tmp_path).ledger as ledger:
        start = ledger.size
    worker = Worker("work_until_revoked", tmp_path, "worker")
    revoker = Worker("revoke", tmp_path, random.Random(attempt).randrange(20, soak(150, 2_000)))
    worked, revoked = run_together(worker, revoker)
    index = int(revoked[0])
    assert worked[-1] == "stop grant-revoked"
    assert [int(line) for line in worked[:-1]] == list(range(start, index))
    with Ledger.open(tmp_path, read_only=True) as ledger:
        assert ledger.size == index + 1
        assert ledger.entry(index).statement.kind == "grant"
    assert_valid(tmp_path)


@pytest.mark.parametrize("attempt", range(soak(3, 200)))
def test_a_killed_append_many_is_there_whole_or_not_at_all(tmp_path: Path, attempt: int) -> None:
    """kill -9 at a random moment: the next open works, what was acknowledged is there, and no call in part."""
    with make_folder(tmp_path).ledger as ledger:
        start = ledger.size
    worker = Worker("calls", tmp_path, f"calls {attempt}")
    worker.wait_ready()
    worker.go()
    time.sleep(random.random() * 0.4)
    worker.kill()
    with Ledger.open(tmp_path) as ledger:
        ledger.tick()
    found = Counter(operations(tmp_path, start))
    for call, count in found.items():
        assert count == int(call.rpartition(" of ")[2]), call
    acknowledged = [line for line in worker.lines if re.fullmatch(r".* of \d+", line)]
    assert set(acknowledged) <= set(found)
    assert len(found) <= len(acknowledged) + 1
    assert_valid(tmp_path)


@pytest.mark.parametrize("attempt", range(soak(3, 200)))
def test_a_killed_stream_is_there_up_to_whole_groups(tmp_path: Path, attempt: int) -> None:
    """kill -9 at a random moment: what is there is the stream's beginning, in whole groups, with all that was acknowledged."""
    with make_folder(tmp_path).ledger as ledger:
        start = ledger.size
    name = f"stream {attempt}"
    worker = Worker("stream", tmp_path, name)
    worker.wait_ready()
    worker.go()
    time.sleep(random.random() * 0.4)
    worker.kill()
    found = operations(tmp_path, start)
    assert found == [f"{name}-{i}" for i in range(len(found))]
    assert len(found) % 128 == 0
    acknowledged = [line for line in worker.lines if re.fullmatch(rf"{name}-\d+", line)]
    assert acknowledged == found[: len(acknowledged)]
    assert_valid(tmp_path)


FORKED = """
import os, sys
from proofroom import Ledger, ProofroomError
from proofroom.adapters.ledger import LOG

def refused(call):
    try:
        call()
    except ProofroomError as e:
        return e.code

ledger = Ledger.open(sys.argv[1])
ledger.sql("SELECT 1").fetchall()
child = os.fork()
if not child:
    with ledger:
        mine = lambda: ledger.sql("SELECT 1")
        codes = [refused(call) for call in (ledger.tick, ledger.refresh, mine, ledger.store.size, lambda: Ledger.open(sys.argv[1]))]
    print(*codes, flush=True)
    os._exit(0)
status = os.waitpid(child, 0)[1]
print(status, ledger.tick() == ledger.sql("SELECT count(*) FROM log").fetchall()[0][0])
ledger.close()
"""


def test_a_fork_leaves_a_ledger_to_its_parent(tmp_path: Path) -> None:
    """SQLite's locks stay with the parent: what a child wrote under them was lost after it was answered. It may not, and ends in peace."""
    make_folder(tmp_path).ledger.close()
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (ran.stdout.splitlines(), ran.stderr) == (
        ["closed closed closed closed opened-by-parent", "0 True"],
        "",
    )
    assert_valid(tmp_path)
