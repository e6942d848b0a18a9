"""One golden ledger per release of the rules, which must audit for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from golden.make import GOLDEN, make
from proofroom.adapters.audit import Verdict
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.domain.checkpoint import parse_note
from proofroom.domain.statements import KINDS
from strategies.rooms import audit_file

ROOTS = {"rules-1": (152, "d3c97c88002364324845e23ed19f59a862adfe9012ee1ae22a0fad32621d429b")}
"""Size and root of each, written down when it was made."""


@pytest.fixture(params=ROOTS)
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def room(name: str, tmp_path: Path) -> Path:
    """A folder with a copy of the golden ledger."""
    shutil.copy(GOLDEN / f"{name}.db", tmp_path / LOG)
    return tmp_path


def test_a_golden_ledger_audits_for_ever(name: str, room: Path) -> None:
    """With every release: valid, against the checkpoint that was kept beside it, with exactly this size and root."""
    note = (GOLDEN / f"{name}.checkpoint").read_text()
    report = audit_file(room / LOG, note)
    assert report.verdict is Verdict.VALID, report.sentence()
    assert (report.entries, report.root.hex()) == ROOTS[name]
    checkpoint, _ = parse_note(note)
    assert (checkpoint.size, checkpoint.root) == (report.entries, report.root)


def test_a_golden_ledger_opens(room: Path) -> None:
    """Read-only, by replay; it holds no snapshot that would spare that."""
    with Ledger.open(room, read_only=True) as ledger:
        assert ledger.store.snapshots() == []
        assert ledger.size == ROOTS["rules-1"][0]
        assert sum(ledger.state.balances.values()) == 0


def payloads(room: Path) -> list[tuple[str, dict[str, object]]]:
    with Ledger.open(room, read_only=True) as ledger:
        return [(e.statement.kind, orjson.loads(e.verified.envelope.payload)) for e in ledger.read(0, 10_000)]


def test_the_golden_ledger_holds_every_case(room: Path) -> None:
    """A rejected record, an absent validator, a wallet's wire form, a payer, a debt, a late record, an era without work."""
    found = payloads(room)
    kinds = {kind for kind, _ in found}
    assert kinds <= {statement.kind for statement in KINDS.values()}  # rules 1 has grown since

    def some(kind: str, field: str) -> list[object]:
        return [value[field] for k, value in found if k == kind]

    assert any(some("round-opened", "missing"))
    assert any(n for n in some("round-tallied", "records_rejected"))
    assert 0 in some("round-tallied", "assigned")
    assert any(some("era-sealed", "late"))
    assert "no attested work" in some("era-paid", "note")
    assert {"charge", "treasury", "reserve", "validator", "provider"} == set(some("payout", "role"))
    assert any(basis.get("debt", "0") != "0" for basis in some("payout", "basis") if isinstance(basis, dict))
    assert True in some("grant", "revoked")


def test_the_golden_ledger_is_one_portable_file(name: str) -> None:
    """No write-ahead log beside it, and small."""
    assert sorted(p.name for p in GOLDEN.glob(f"{name}.*")) == [f"{name}.checkpoint", f"{name}.db"]
    assert (GOLDEN / f"{name}.db").stat().st_size < 300 * 1024


def test_making_it_again_gives_the_same_tree(tmp_path: Path) -> None:
    """Keys, clock and randomness are fixed, so that two runs differ in no entry."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert make(tmp_path / "one") == make(tmp_path / "two")
