"""The audit of a published log is the audit: all findings, any number of processes, and going on from where it ended."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proofroom.adapters import audit as auditing
from proofroom.adapters.audit import audit
from proofroom.adapters.audited_tiles import audit_published
from proofroom.adapters.findings import Report
from proofroom.adapters.published import PublishedLog
from proofroom.adapters.publishing import publish
from proofroom.adapters.verifying import VerifyingPool
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.merkle import SHA256, Tree
from proofroom.domain.tiles import Tile, read_bundle, tile_path, write_bundle
from proofroom.domain.verifier import Verdict
from proofroom.testing.histories import ORIGIN, History, store_of
from proofroom.testing.keys import key
from strategies.followed import EARLY, LATER, SIZE, log_of
from strategies.rooms import soak

LONG = 300
"""Entries of a log with a full tile."""


def copy_of(folder: Path, to: Path) -> Path:
    """A published log to change."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    return to


def audited(folder: Path) -> Report:
    """The report on the log in a folder."""
    return audit_published(PublishedLog(str(folder)))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole history, published."""
    folder = tmp_path_factory.mktemp("web")
    publish(log_of(), folder)
    return folder


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of which one tile is full."""
    folder, history = tmp_path_factory.mktemp("long"), History(validators=1, chain=5)
    while len(history.entries) < LONG:
        history.tick()
    publish(store_of(history), folder)
    return folder


@settings(max_examples=soak(2, 500), suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_each_entry_that_was_changed_is_found(web: Path, tmp_path: Path, data: st.DataObject) -> None:
    """By its bytes, whatever else follows from what is lost; and nothing else is found without that word."""
    folder = copy_of(web, tmp_path / "web")
    path = folder / Tile(0, 0, SIZE).entries_path
    entries = read_bundle(path.read_bytes(), SIZE)
    changed = sorted(data.draw(st.sets(st.integers(0, SIZE - 1), min_size=1, max_size=4)))
    for index in changed:
        at = data.draw(st.integers(0, len(entries[index]) - 1))
        entries[index] = entries[index][:at] + bytes([entries[index][at] ^ 1]) + entries[index][at + 1 :]
    path.write_bytes(write_bundle(entries))
    report = audited(folder)
    assert (report.verdict, report.first_bad, report.entries) == (Verdict.INVALID, changed[0], changed[0])
    assert [f.entry for f in report.findings if f.check == "bytes"] == changed
    assert [f for f in report.findings if f.check != "bytes" and not f.follows] == []


class Shared:
    """One process for all examples."""

    pool: VerifyingPool

    def __init__(self, workers: int) -> None:
        self.verify_chunks = self.pool.verify_chunks

    def close(self) -> None:
        """The pool stays."""


@pytest.fixture(scope="module")
def shared() -> Iterator[type[Shared]]:
    """As the audit would start them."""
    Shared.pool = VerifyingPool(1)
    yield Shared
    Shared.pool.close()


def test_the_report_is_the_same_whatever_the_number_of_processes(
    web: Path, tmp_path: Path, shared: type[Shared], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a log that holds, and of one that does not."""
    broken = copy_of(web, tmp_path / "web")
    path = broken / Tile(0, 0, SIZE).entries_path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for folder in (web, broken):
        alone = audited(folder)
        with monkeypatch.context() as patch:
            patch.setattr(auditing, "VerifyingPool", shared)
            assert audit_published(PublishedLog(str(folder)), workers=2) == alone


def test_it_goes_on_from_where_it_ended(tmp_path: Path) -> None:
    """By tiles or by the store; only what is new is read, and a log that does not continue it is another, or too short."""
    kept, folder = tmp_path / "kept", tmp_path / "web"
    for store in (log_of(size=EARLY), log_of(size=LATER), log_of()):
        publish(store, folder)
        assert audit_published(PublishedLog(str(folder)), resume=kept)._replace(earlier=0) == audit(store)
    assert audit(log_of(), resume=kept)._replace(earlier=0) == audit(log_of())
    known = log_of(size=EARLY).checkpoints()[-1][1]
    assert audit_published(PublishedLog(str(folder)), resume=kept, against=known).witnessed
    (folder / Tile(0, 0, SIZE).entries_path).write_bytes(b"unread")
    assert audit_published(PublishedLog(str(folder)), resume=kept).verdict is Verdict.VALID
    checkpoint, other = folder / "checkpoint", Checkpoint(ORIGIN, SIZE, bytes(32))
    checkpoint.write_text(sign_checkpoint(other, key("checkpoint")))
    again = audit_published(PublishedLog(str(folder)), resume=kept)
    assert [(f.entry, f.check) for f in again.findings] == [(SIZE - 1, "checkpoint")]
    kept.unlink()
    audit(log_of(), resume=kept)
    publish(log_of(size=LATER), tmp_path / "short")
    assert audit_published(PublishedLog(str(tmp_path / "short")), resume=kept).verdict is Verdict.INCOMPLETE
    publish(log_of(late=EARLY), tmp_path / "other")
    assert audit_published(PublishedLog(str(tmp_path / "other")), resume=kept).verdict is Verdict.FORKED


def test_a_tile_that_leads_nowhere_is_one_finding(long: Path, tmp_path: Path) -> None:
    """Its entries are held against the checkpoint together: these hold."""
    for path in (tile_path("0", 0), tile_path("0", 1, LONG - 256), tile_path("1", 0, 1)):
        folder = copy_of(long, tmp_path / "web")
        data = bytearray((folder / path).read_bytes())
        data[7] ^= 1
        (folder / path).write_bytes(data)
        report = audited(folder)
        (finding,) = report.findings
        assert (report.verdict, finding.entry, finding.check, finding.code) == (
            Verdict.INVALID,
            0,
            "bytes",
            "bad-proof",
        )


def test_a_bundle_that_is_none_is_passed_over(long: Path, tmp_path: Path) -> None:
    """Each of its entries is a finding, and those behind it are read."""
    folder = copy_of(long, tmp_path / "web")
    path = folder / tile_path("entries", 0)
    path.write_bytes(path.read_bytes()[:-1])
    behind = folder / tile_path("entries", 1, LONG - 256)
    entries = read_bundle(behind.read_bytes(), LONG - 256)
    entries[9] = entries[9][:-1] + b"x"
    behind.write_bytes(write_bundle(entries))
    report = audited(folder)
    lost = [f.entry for f in report.findings if f.check == "bytes"]
    assert lost == [*range(256), 265]
    assert report.findings[0].code == "bad-entry"
    assert audit_published(PublishedLog(str(folder)), first_only=True).findings == report.findings[:1]


def test_an_entry_in_the_place_of_another(long: Path, tmp_path: Path) -> None:
    """Two that changed places are two findings."""
    folder = copy_of(long, tmp_path / "web")
    path = folder / tile_path("entries", 1, LONG - 256)
    entries = read_bundle(path.read_bytes(), LONG - 256)
    entries[3], entries[4] = entries[4], entries[3]
    path.write_bytes(write_bundle(entries))
    report = audited(folder)
    assert [f.entry for f in report.findings if f.check == "bytes"] == [259, 260]


def test_a_time_that_was_changed_is_one_finding(long: Path, tmp_path: Path) -> None:
    """The statement holds, and the leaf in its place is the one that the checkpoint signs."""
    folder = copy_of(long, tmp_path / "web")
    path = folder / tile_path("entries", 1, LONG - 256)
    entries = read_bundle(path.read_bytes(), LONG - 256)
    entries[3] = entries[3][:15] + bytes([entries[3][15] ^ 1]) + entries[3][16:]
    path.write_bytes(write_bundle(entries))
    assert [(f.entry, f.check) for f in audited(folder).findings] == [(259, "bytes")]


def test_an_entry_that_is_signed_under_another_number(tmp_path: Path) -> None:
    """By whoever holds the log's key: what counts is the place."""
    publish(log_of(size=EARLY), tmp_path)
    tile = Tile(0, 0, EARLY)
    entries = read_bundle((tmp_path / tile.entries_path).read_bytes(), EARLY)
    entries[-1] = (EARLY + 1).to_bytes(8, "big") + entries[-1][8:]
    leaves = list(map(SHA256.leaf, entries))
    (tmp_path / tile.entries_path).write_bytes(write_bundle(entries))
    (tmp_path / tile.path).write_bytes(b"".join(leaves))
    head = Checkpoint(ORIGIN, EARLY, merkle.root(merkle.extend(Tree(), leaves)))
    (tmp_path / "checkpoint").write_text(sign_checkpoint(head, key("checkpoint")))
    (finding,) = audited(tmp_path).findings
    assert (finding.entry, finding.check, finding.code) == (EARLY - 1, "statement", "bad-entry")
