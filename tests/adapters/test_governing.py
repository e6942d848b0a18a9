"""Governance from the command line: propose, vote, leave, and the cluster as its operators see it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from proofroom.adapters.keys import save_key
from proofroom.domain.errors import BadField, BadInput, NodeStatus, NoSeat, Unregistered
from proofroom.testing.keys import key
from strategies.rooms import Room, make_folder
from strategies.shell import Ran, proofroom

NAMES = ("manager", "provider-0", "provider-1", "provider-2", "provider-9", "runtime-9")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    for name in NAMES:
        save_key(tmp_path / f"{name}.json", hashlib.sha256(name.encode()).digest())
    return make_folder(tmp_path / "room")


def run(folder: Path, verb: str, *args: str, by: str = "manager") -> Ran:
    """One verb with a key."""
    return proofroom(verb, "dragon-1", *args, "--key", f"file:{folder / by}.json", "--room", folder / "room", "--json")


def test_a_change_from_the_command_line(room: Room, tmp_path: Path) -> None:
    """Proposed, voted on, seen; what a rule refuses is said, with its own exit status."""
    with room.ledger:
        made = run(tmp_path, "propose", "--set", "prices.put=2000", "--set", "era_seconds=7").json()
        assert (made["proposal"], made["change"]["set"]) == (0, {"prices.put": "2000", "era_seconds": 7})
        assert run(tmp_path, "vote", "0", "nay", by="provider-1").json()["aye"] is False
        assert run(tmp_path, "vote", "0", "aye", by="provider-9").status == NoSeat.exit_status
        keys = [f"file:{tmp_path / name}.json" for name in ("provider-9", "runtime-9")]
        admit = run(tmp_path, "propose", "--admit", "node-9", "--provider", keys[0], "--runtime", keys[1]).json()
        assert admit["change"]["node"] == {
            "node": "node-9",
            "provider": key("provider-9").keyid,
            "runtime_key": key("runtime-9").keyid,
        }
        assert run(tmp_path, "propose", "--manager", keys[0], by="provider-0").json()["proposal"] == 2
        run(tmp_path, "leave", "node-2", by="provider-2")
        assert run(tmp_path, "leave", "node-2", by="provider-2").status == NodeStatus.exit_status
        shown = proofroom("show", "cluster", "dragon-1", "--room", tmp_path / "room", "--json").json()
        assert [n["status"] for n in shown["nodes"]] == ["validated", "validated", "left"]
        assert len(shown["seats"]) == 3
        assert shown["proposals"][0]["votes"] == {key("provider-1").keyid: "nay"}
        page = proofroom("show", "cluster", "dragon-1", "--room", tmp_path / "room").out
        assert "set.prices.put: 2000" in page
        assert "prices.put                    1000" in page


def test_what_cannot_be_proposed(room: Room, tmp_path: Path) -> None:
    """Wrong usage, a parameter that is none, a change that does not fit, a cluster that is not there: each is named."""
    cases: list[tuple[tuple[str, ...], int]] = [
        ((), 2),
        (("--set", "prices.put=1", "--validate", "node-0"), 2),
        (("--admit", "node-9"), 2),
        (("--set", "prices.put"), BadInput.exit_status),
        (("--set", "prices.plum=1"), BadField.exit_status),
        (("--validate", "node-0"), NodeStatus.exit_status),
        (("--orchestrator", "nobody"), BadField.exit_status),
    ]
    with room.ledger:
        for args, status in cases:
            assert run(tmp_path, "propose", *args).status == status, args
        assert proofroom("show", "cluster", "nowhere", "--room", tmp_path / "room").status == Unregistered.exit_status
