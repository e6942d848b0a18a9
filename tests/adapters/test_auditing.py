"""The audit at full strength: all findings, any number of processes, and after any interruption the same report."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proofroom.adapters import audit as auditing
from proofroom.adapters.audit import Report, Verdict, audit
from proofroom.adapters.audit_fuzz import fuzz
from proofroom.adapters.audit_progress import load_progress
from proofroom.adapters.auditor import Auditor, verified
from proofroom.adapters.findings import MOST
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import PAGE, MemoryStore, Store
from proofroom.adapters.verifying import CHUNK, VerifyingPool, verify_chunks
from proofroom.domain.authority import AUTHORITY
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.errors import BadEntry, BadInput, NothingToAttack
from proofroom.testing.histories import ORIGIN, History, store_of
from proofroom.testing.keys import key
from proofroom.testing.tampering import Tampered, tampered
from strategies.chances import seeds
from strategies.rooms import audit_file, copy_of, edit, entries_of, forge, soak, whole_checkpoints
from strategies.whole import whole_history

SIZE = len(whole_history().entries)


@pytest.fixture(scope="module")
def whole() -> Store:
    """The whole history in memory."""
    return store_of(whole_history())


# --- any number of processes


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifyingPool]:
    """Two processes for all examples."""
    pool = VerifyingPool(2)
    yield pool
    pool.close()


def with_processes(store: Store, pool: VerifyingPool, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The report that an audit with the pool's processes gives."""

    class Shared:
        def __init__(self, workers: int) -> None:
            self.verify_chunks = pool.verify_chunks

        def close(self) -> None:
            """The pool stays."""

    with monkeypatch.context() as patch:
        patch.setattr(auditing, "VerifyingPool", Shared)
        return audit(store, workers=2)


fixtures = settings(suppress_health_check=list(HealthCheck), deadline=None)


@settings(fixtures, max_examples=soak(2, 1_000))
@given(data=st.data())
def test_the_report_is_the_same_whatever_the_number_of_processes(
    whole: Store, pool: VerifyingPool, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    """Of a log with one change, to the last finding."""
    log = data.draw(tampered(whole))
    assert with_processes(log, pool, monkeypatch) == audit(log)


def test_an_audit_starts_processes_of_its_own_and_ends_them() -> None:
    """Here one, for a log of three entries."""
    history = History(validators=1, chain=5)
    history.tick()
    history.tick()
    store = store_of(history)
    assert audit(store, workers=1) == audit(store)
    assert audit(store).verdict is Verdict.VALID


# --- all findings


HARMLESS = ["nodes", "originator_id"]
"""Columns that say nothing of what an entry did."""


@settings(fixtures, max_examples=soak(2, 1_000))
@given(
    places=st.sets(st.integers(0, SIZE - 1), min_size=1, max_size=5),
    column=st.sampled_from(HARMLESS),
)
def test_each_edit_is_one_finding(tmp_path_factory: pytest.TempPathFactory, places: set[int], column: str) -> None:
    """What an entry did is still known, so nothing follows from it: exactly the edited entries are named."""
    path = copy_of(tmp_path_factory.mktemp("edits"))
    marks = ",".join("?" * len(places))
    changed = "hex(randomblob(38))" if column == "originator_id" else "randomblob(length(nodes))"
    edit(path, (f"UPDATE log SET {column} = {changed} WHERE log_index IN ({marks})", sorted(places)))
    report = audit_file(path, first_only=False)
    assert [f.entry for f in report.findings] == sorted(places)
    assert not any(f.follows for f in report.findings)
    assert (report.first_bad, report.why) == (min(places), report.findings[0].why)
    assert (report.verdict, report.left_off) == (Verdict.INVALID, 0)


DERIVED = [e.index for e in whole_history().entries if e.index and AUTHORITY[e.statement.kind].derived]


@settings(fixtures, max_examples=soak(2, 1_000))
@given(places=st.sets(st.sampled_from(DERIVED), min_size=1, max_size=3))
def test_what_had_to_stand_there_is_gone_on_with(tmp_path_factory: pytest.TempPathFactory, places: set[int]) -> None:
    """A payout, a tally or a seal that somebody changed is one finding, for the ledger's own statements follow from the rest."""
    path = copy_of(tmp_path_factory.mktemp("derived"))
    marks = ",".join("?" * len(places))
    edit(path, (f"UPDATE log SET state = x'7b7d' WHERE log_index IN ({marks})", sorted(places)))
    report = audit_file(path, first_only=False)
    assert [f.entry for f in report.findings] == sorted(places)


@settings(fixtures, max_examples=soak(2, 1_000))
@given(places=st.sets(st.integers(0, SIZE - 1), min_size=1, max_size=4))
def test_what_may_be_a_consequence_says_so(tmp_path_factory: pytest.TempPathFactory, places: set[int]) -> None:
    """Where signatures are broken, what those entries did is lost: all others that are named are named as what may follow from it."""
    path = copy_of(tmp_path_factory.mktemp("signatures"))
    marks = ",".join("?" * len(places))
    broken = "CAST(substr(signatures, 1, length(signatures) - 1) || x'ff' AS BLOB)"
    edit(path, (f"UPDATE log SET signatures = {broken} WHERE log_index IN ({marks})", sorted(places)))
    report = audit_file(path, first_only=False)
    assert [f.entry for f in report.findings if not f.follows] == sorted(places)


def test_behind_a_gap_the_audit_goes_on(tmp_path: Path) -> None:
    """The gap is named, and what stands behind it is still held against its signatures."""
    path = copy_of(tmp_path)
    edit(path, "DELETE FROM log WHERE log_index = 50", "UPDATE log SET state = x'7b7d' WHERE log_index = 200")
    report = audit_file(path, first_only=False)
    assert [(f.entry, f.check) for f in report.findings if not f.follows] == [(50, "index"), (200, "statement")]


def test_checkpoints_are_findings_of_their_own(tmp_path: Path) -> None:
    """Each that does not hold, and nothing else."""
    path = copy_of(tmp_path)
    bad = whole_checkpoints()[3:9:2]
    edit(path, f"UPDATE checkpoints SET note = 'none' WHERE size IN ({','.join(map(str, bad))})")
    found = audit_file(path, first_only=False).findings
    assert [(f.entry, f.check, f.code) for f in found] == [(size - 1, "checkpoint", "bad-note") for size in bad]


def test_more_findings_than_are_kept_are_counted() -> None:
    """Memory does not grow with what is wrong."""

    class Endless(MemoryStore):
        """Entries that are all nonsense."""

        def size(self) -> int:
            return MOST + 7

        def read(self, start: int, limit: int = PAGE) -> list[StoredEntry]:
            first = max(0, start)
            return [
                StoredEntry("k", 1, "kind", b"{}", i, 0, b"", b"")
                for i in range(first, min(first + limit, self.size()))
            ]

        def last_checkpoint(self) -> tuple[int, str]:
            return self.size(), "none"

    report = audit(Endless())
    assert (len(report.findings), report.left_off) == (MOST, 7)


def test_what_holds_no_envelope_is_not_piled_up() -> None:
    """However many such entries follow each other."""
    read: list[int] = []

    def nonsense() -> Iterator[StoredEntry]:
        for i in range(10 * CHUNK):
            read.append(i)
            yield StoredEntry("k", 1, "kind", b"{}", i, -1, b"", b"")

    stream = verified(nonsense(), verify_chunks)
    stored, outcome = next(stream)
    assert (stored.index, isinstance(outcome, BadEntry)) == (0, True)
    assert len(read) <= CHUNK
    assert sum(1 for _ in stream) == 10 * CHUNK - 1


def test_a_report_is_json_and_back(whole: Store) -> None:
    """With all findings, so that it can be kept."""
    report = audit(without_its_third_entry(whole))
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


def without_its_third_entry(store: Store) -> Store:
    """A log with a gap near its beginning."""
    return Tampered("drop", [e for e in store.read(0) if e.index != 2], store.checkpoints(0, 10_000), 2)


# --- interrupted, and later


class Power(MemoryStore):
    """A store that is read in small pages, until the power fails."""

    def __init__(self, store: Store, fails_at: int | None = None) -> None:
        super().__init__()
        self.store, self.fails_at, self.begun_at = store, fails_at, None

    begun_at: int | None

    def size(self) -> int:
        return self.store.size()

    def read(self, start: int, limit: int = PAGE) -> list[StoredEntry]:
        self.begun_at = start if self.begun_at is None else self.begun_at
        if self.fails_at is not None and start > self.fails_at:
            raise KeyboardInterrupt
        return self.store.read(start, 11)

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        return self.store.nodes(places)

    def checkpoints(self, start: int = 0, limit: int = PAGE) -> list[tuple[int, str]]:
        return self.store.checkpoints(start, 7)

    def last_checkpoint(self) -> tuple[int, str] | None:
        return self.store.last_checkpoint()


@settings(fixtures, max_examples=soak(3, 1_000))
@given(data=st.data(), every=st.integers(20, 90), failures=st.lists(st.integers(0, SIZE), max_size=2).map(sorted))
def test_an_audit_that_was_interrupted_gives_the_same_report(
    whole: Store, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, every: int, failures: list[int]
) -> None:
    """At any points, any number of times, of a good log and of a bad one."""
    log = data.draw(st.just(whole) | tampered(whole, ["bit", "field", "drop", "swap", "re-sign", "truncate"]))
    path = tmp_path_factory.mktemp("resumed") / "progress"
    for fails_at in failures:
        with contextlib.suppress(KeyboardInterrupt):
            audit(Power(log, fails_at), resume=path, save_every=every)
    assert audit(Power(log), resume=path, save_every=every)._replace(earlier=0) == audit(log)
    assert audit(Power(log), resume=path)._replace(earlier=0) == audit(log)


def test_a_later_audit_reads_only_what_is_new(whole: Store, tmp_path: Path) -> None:
    """And holds a checkpoint that was kept from before against it all the same."""
    path, half = tmp_path / "progress", next(size for size in whole_checkpoints() if size > SIZE // 2)
    notes = dict(whole.checkpoints(0, 10_000))
    shorter = part_of(whole, half)
    assert audit(shorter, resume=path).entries == half
    again, read = Power(whole), half
    for size in (whole_checkpoints()[0], half, SIZE):
        report = audit(again, resume=path, against=notes[size])
        assert (report.verdict, report.witnessed, report.entries) == (Verdict.VALID, True, SIZE)
        assert (report.earlier, f", {report.earlier} of them by an earlier audit" in report.sentence()) == (read, True)
        read = SIZE
    assert again.begun_at == half
    for size in (whole_checkpoints()[0], half, SIZE):
        other = sign_checkpoint(Checkpoint(ORIGIN, size, bytes(32)), key("checkpoint"))
        assert audit(whole, resume=path, against=other).verdict is Verdict.FORKED


def part_of(store: Store, size: int) -> Store:
    """The log as it was at this size."""
    entries = [e for e in store.read(0) if e.index < size]
    return Tampered("nothing", entries, [c for c in store.checkpoints(0, 10_000) if c[0] <= size], -1)


def test_a_log_that_does_not_go_on_from_what_was_verified_is_found_out(whole: Store, tmp_path: Path) -> None:
    """Rolled back, or written anew with the ledger's own keys: the auditor's file is a witness."""
    path = tmp_path / "progress"
    assert audit(whole, resume=path).verdict is Verdict.VALID
    shorter = audit(part_of(whole, whole_checkpoints()[-5]), resume=path)
    assert shorter.verdict is Verdict.INCOMPLETE
    assert str(SIZE) in shorter.sentence()
    entries = [(at + (i == SIZE - 1), envelope) for i, (at, envelope) in enumerate(entries_of(whole_history()))]
    rewritten = forge(entries, whole_checkpoints())
    assert audit(rewritten).verdict is Verdict.VALID
    assert audit(rewritten, resume=path).verdict is Verdict.FORKED


@pytest.mark.parametrize("damage", [b"", b"nothing of the kind", "cut", "bit"])
def test_a_file_that_is_no_progress_is_not_believed(whole: Store, tmp_path: Path, damage: bytes | str) -> None:
    """It says so, and what to do."""
    path = tmp_path / "progress"
    audit(whole, resume=path)
    good = path.read_bytes()
    path.write_bytes(
        damage if isinstance(damage, bytes) else good[:-1] if damage == "cut" else good[:99] + b"~" + good[100:]
    )
    with pytest.raises(BadInput, match="remove it to begin anew"):
        audit(whole, resume=path)


AUDITOR = """
import sys
from pathlib import Path
from proofroom.adapters.audit import audit
from proofroom.adapters.sqlite import SqliteStore
audit(SqliteStore(Path(sys.argv[1]), read_only=True), resume=Path(sys.argv[2]), save_every=20, workers=1)
"""


def test_killed_and_started_again_it_finds_the_same(tmp_path: Path) -> None:
    """``kill -9`` once there is something to go on with; a report that names an edited entry is the same afterwards."""
    path, progress = copy_of(tmp_path), tmp_path / "progress"
    edit(path, "UPDATE log SET nodes = randomblob(length(nodes)) WHERE log_index = 15")
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(AUDITOR), str(path), str(progress)])
    try:
        while not progress.exists() and child.poll() is None:
            time.sleep(0.005)
    finally:
        child.kill()
        child.wait(60)
    assert load_progress(progress).size >= 20
    with closing(SqliteStore(path, read_only=True)) as store:
        assert audit(store, resume=progress)._replace(earlier=0) == audit(store)


# --- would it notice?


def test_every_change_is_caught_where_it_is(whole: Store) -> None:
    """The catch rate of a whole audit is one; the same seed tries the same changes."""
    trials = fuzz(whole, soak(25, 20_000), seed=(seed := seeds(1)[0]))
    assert trials.missed == ()
    assert trials.caught == trials.tried
    assert fuzz(whole, 5, seed) == fuzz(whole, 5, seed)


def test_an_audit_that_overlooks_something_is_found_out(whole: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it overlooks whatever is wrong with an entry, and only counts them."""
    monkeypatch.setattr(Auditor, "found", lambda *_: None)
    trials = fuzz(whole, 20, seed=1)
    assert trials.to_json()["rate"] < 1
    assert {trial.kind for trial in trials.missed} >= {"bit", "field", "re-sign"}
    assert all(trial.found is None for trial in trials.missed if trial.kind == "bit")


@pytest.mark.parametrize("entries", [0, 1])
def test_what_has_no_second_entry_cannot_be_changed_in_the_middle(entries: int) -> None:
    """It says so."""
    store = store_of(History()) if entries else MemoryStore()
    with pytest.raises(NothingToAttack):
        fuzz(store, 1, 0)
