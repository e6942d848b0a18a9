"""``proofroom settle`` as a stranger runs it."""

from __future__ import annotations

import json
from pathlib import Path

from proofroom.domain.errors import BadInput
from strategies.shell import proofroom
from vectors import settlement as vectors


def test_the_example_settles(tmp_path: Path) -> None:
    """What --example prints is settled as the published vector says, as tables and as JSON."""
    (tmp_path / "era.json").write_text(proofroom("settle", "--example").out)
    ran = proofroom("settle", "era.json", "--json", cwd=tmp_path)
    assert ran.json() == json.loads(vectors.FILE.read_text())["eras"][0]["result"]
    table = proofroom("settle", "era.json", cwd=tmp_path)
    assert table.status == 0
    for word in (
        "charges",
        "debts",
        "rewards",
        "totals",
        "journal",
        "balances",
        "acme",
        "calendar-pro",
        "marketplace:bazaar",
    ):
        assert word in table.out


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """A file that is not there, one that is no description, and no file at all."""
    assert proofroom("settle", "nowhere.json", cwd=tmp_path).status == BadInput.exit_status
    (tmp_path / "era.json").write_text('{"cluster": 5}')
    ran = proofroom("settle", "era.json", "--json", cwd=tmp_path)
    assert (ran.status, ran.json()["error"]["code"]) == (4, "bad-field")
    assert proofroom("settle").status == 2
