"""A published log is audited from its files, with nothing else at hand; none of them is believed."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.audit import audit
from proofroom.adapters.audited_tiles import audit_published
from proofroom.adapters.cli import main
from proofroom.adapters.files import LOCK
from proofroom.adapters.monitor import Monitor
from proofroom.adapters.published import PublishedLog
from proofroom.adapters.publishing import publish
from proofroom.domain.errors import NotPublished
from proofroom.domain.merkle import SHA256
from proofroom.domain.tiles import read_bundle, write_bundle
from proofroom.domain.verifier import Verdict
from strategies.followed import EARLY, LATER, LOG, PAYOUT, SIZE, log_of, small
from strategies.rooms import soak
from strategies.serving import serve


def test_a_published_log_audits_as_its_store(tmp_path: Path) -> None:
    """The same verdict, root and ledger; against a checkpoint kept elsewhere too."""
    publish(log_of(), tmp_path)
    source = PublishedLog(str(tmp_path))
    mine, its = audit_published(source), audit(log_of())
    assert mine == its
    assert mine.verdict is Verdict.VALID
    notes = {n: log_of(size=n).checkpoints()[-1][1] for n in (EARLY, SIZE)}
    for note in notes.values():
        assert audit_published(source, against=note) == audit(log_of(), against=note)
    fork = log_of(size=EARLY, late=EARLY - 1).checkpoints()[-1][1]
    assert audit_published(source, against=fork).verdict is Verdict.FORKED
    publish(small(), tmp_path / "short")
    assert audit_published(PublishedLog(str(tmp_path / "short")), against=notes[SIZE]).verdict is Verdict.INCOMPLETE


def test_a_broken_rule_in_a_published_log(tmp_path: Path) -> None:
    """The index, and the typed error."""
    publish(log_of(without=PAYOUT), tmp_path)
    report = audit_published(PublishedLog(str(tmp_path)))
    assert (report.verdict, report.first_bad, report.entries) == (Verdict.INVALID, PAYOUT, PAYOUT)
    assert report.error is not None


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small log, published."""
    folder = tmp_path_factory.mktemp("web")
    publish(small(), folder)
    return folder


@settings(max_examples=soak(40, 3_000))
@given(st.data())
def test_any_byte_of_any_file(web: Path, data: st.DataObject) -> None:
    """Changed, cut or longer: never VALID, and never another error than a typed one."""
    path = data.draw(st.sampled_from(sorted(p for p in web.rglob("*") if p.is_file() and p.name != LOCK)))
    honest = path.read_bytes()
    at = data.draw(st.integers(0, len(honest) - 1))
    changed = data.draw(
        st.sampled_from(
            [honest[:at], honest + honest[: at + 1], honest[:at] + bytes([honest[at] ^ 1]) + honest[at + 1 :]]
        )
    )
    path.write_bytes(changed)
    try:
        # A checkpoint that names another size may lead to files that nobody published.
        with suppress(NotPublished) if path.name == "checkpoint" else nullcontext():
            assert audit_published(PublishedLog(str(web))).verdict is Verdict.INVALID
    finally:
        path.write_bytes(honest)


def test_files_that_are_not_there(web: Path, tmp_path: Path) -> None:
    """A missing file is no verdict on the log, an endless one is read to its limit; a dropped partial tile is served by the full one."""
    for name in ("checkpoint", f"tile/0/000.p/{EARLY}", f"tile/entries/000.p/{EARLY}"):
        copy = tmp_path / name.replace("/", "-")
        shutil.copytree(web, copy)
        (copy / name).unlink()
        with pytest.raises(NotPublished):
            audit_published(PublishedLog(str(copy)))
        with (copy / name).open("wb") as file:
            file.truncate(10**9)
        report = audit_published(PublishedLog(str(copy)))
        assert (report.verdict, "longer than" in report.why) == (Verdict.INVALID, True)
        assert Monitor(PublishedLog(str(copy)), copy / "seen").look().verdict is Verdict.INVALID
    full = tmp_path / "full"
    publish(log_of(size=LATER), full)
    _cut(full, full / "checkpoint", log_of(size=EARLY).checkpoints()[-1][1])
    assert audit_published(PublishedLog(str(full))) == audit(small())
    with pytest.raises(NotPublished):
        audit_published(PublishedLog("http://127.0.0.1:1/"))


def _cut(folder: Path, checkpoint: Path, note: str) -> None:
    """A log whose first tiles are full now, as they are served to who holds an older checkpoint of it."""
    later = [b"%d" % i for i in range(EARLY, 256)]
    entries, hashes = (folder / f"tile/{level}/000.p/{LATER}" for level in ("entries", "0"))
    bundle = write_bundle([*read_bundle(entries.read_bytes(), LATER)[:EARLY], *later])
    tile = hashes.read_bytes()[: 32 * EARLY] + b"".join(map(SHA256.leaf, later))
    for part, data in ((entries, bundle), (hashes, tile)):
        shutil.rmtree(part.parent)
        part.parent.with_suffix("").write_bytes(data)
    checkpoint.write_text(note)


def test_over_http(web: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``audit --from-tiles URL`` and ``monitor URL --once``, with their exit statuses."""
    with serve(web) as url:
        assert main(["audit", "--from-tiles", url, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["entries"] == EARLY
        assert (
            main(["monitor", url, "--state", str(tmp_path / "s"), "--once", "--key", LOG, "--grace", "1e12", "--json"])
            == 0
        )
        facts = json.loads(capsys.readouterr().out)
        assert (facts["verdict"], facts["size"], facts["new"], facts["exit_status"]) == ("VALID", EARLY, EARLY, 0)
    assert main(["monitor", url, "--state", str(tmp_path / "s"), "--once"]) == 6
    assert "checkpoint cannot be read: Connection refused\n" in capsys.readouterr().err
    assert main(["audit", "--from-tiles", str(tmp_path / "nowhere")]) == 6
    assert "nowhere/checkpoint cannot be read: No such file or directory\n" in capsys.readouterr().err
    assert main(["monitor", str(web), "--state", str(tmp_path / "s"), "--key", "x"]) == 4


@pytest.mark.parametrize("name", ["checkpoint", "tile"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, name: str) -> None:
    """A pipe in the place of a file, which nobody writes to, is a file that cannot be had."""
    publish(small(), tmp_path)
    path = tmp_path / name
    path = path if name == "checkpoint" else next(file for file in sorted(path.rglob("*")) if file.is_file())
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(NotPublished, match="it is no file"):
        audit_published(PublishedLog(str(tmp_path)))


@pytest.mark.parametrize("cut", ["checkpoint", "tile/0/", "tile/entries/"])
def test_what_was_cut_off_on_the_way_says_nothing_of_the_log(web: Path, tmp_path: Path, cut: str) -> None:
    """A monitor that took it for the log's would end in an alarm when a connection is lost."""
    with serve(web, cut=cut) as url, pytest.raises(NotPublished, match="cut off, 1 bytes before its end"):
        Monitor(PublishedLog(url), tmp_path).look()
    assert not list(tmp_path.iterdir())
