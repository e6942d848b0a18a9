"""Running the lab: a fresh copy for each attack, then the audit against a checkpoint that was kept elsewhere."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.keys import load_key
from proofroom.adapters.lab.attack import Attack, Caught, Scene
from proofroom.adapters.lab.by_host import BY_HOST
from proofroom.adapters.lab.by_parties import BY_PARTIES
from proofroom.adapters.lab.on_files import ON_FILES
from proofroom.adapters.lab.stage import ORIGIN, Stage, stage_key
from proofroom.adapters.ledger import KEYS, LOG, Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.errors import NothingToAttack, ProofroomError
from proofroom.domain.signing import Signer

ATTACKS: tuple[Attack, ...] = (*ON_FILES, *BY_HOST, *BY_PARTIES)


class Result(NamedTuple):
    """What became of one attack."""

    attack: Attack
    check: str
    """What caught it: ``audit``, ``ledger``, ``opening``; empty when it was skipped."""
    verdict: str
    """The verdict, or the code of the error."""
    sentence: str
    skipped: bool = False

    @property
    def caught(self) -> bool:
        """Something stopped it, or there was nothing to attack."""
        return self.skipped or bool(self.check)

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        known = {"attack": self.attack.name, "power": self.attack.power, "does": self.attack.does}
        seen = {"check": self.check, "verdict": self.verdict, "sentence": self.sentence}
        return {**known, **seen, "expected": self.attack.expects, "caught": self.caught, "skipped": self.skipped}


def run_lab(
    room: Path | None = None,
    attacks: Sequence[Attack] = ATTACKS,
    *,
    progress: Callable[[int], object] = lambda _: None,
) -> Iterator[Result]:
    """Try each attack on a copy of its own.

    Args:
        room: a room to copy; it is only read. None is the lab's own room, in which every attack can be played.
        attacks: those to try.
        progress: called with the number of attacks done.

    Raises:
        NotALedger: the room holds none.
        HistoryChanged, ProofroomError: it does not hold even before anything was done to it.
    """
    with TemporaryDirectory(prefix="proofroom-lab-") as folder:
        honest, stage = Path(folder) / "honest", None
        if room is None:
            stage, signers, origin = Stage(honest), _stage_signers(), ORIGIN
        else:
            signers, origin = _copy_room(room, honest)
        kept = _kept(honest)
        for number, attack in enumerate(attacks):
            place = Path(shutil.copytree(honest, Path(folder) / attack.name))
            yield _play(attack, Scene(place, origin, signers, stage), kept)
            shutil.rmtree(place)
            progress(number + 1)


def _play(attack: Attack, scene: Scene, kept: str) -> Result:
    missing = _missing_power(attack, scene)
    if missing:
        return Result(attack, "", "", f"skipped: {missing}", skipped=True)
    clock = scene.stage.clock.ms if scene.stage is not None else 0
    try:
        caught = attack.play(scene)
    except NothingToAttack as e:
        return Result(attack, "", "", f"skipped: {e}", skipped=True)
    finally:
        if scene.stage is not None:
            scene.stage.clock.ms = clock
    caught = caught or _audit(scene, kept)
    return Result(attack, *caught)


def _missing_power(attack: Attack, scene: Scene) -> str:
    if attack.power == "host" and not {"ledger", "checkpoint"} <= scene.signers.keys():
        return "the room's keys are not at hand"
    if attack.power == "party" and scene.stage is None:
        return "it needs keys of the parties; it is played on the lab's own room"
    return ""


def _audit(scene: Scene, kept: str) -> Caught:
    """What somebody finds who kept a checkpoint from before."""
    with closing(SqliteStore(scene.path, read_only=True)) as store:
        report = audit(store, against=kept, first_only=True)
    return Caught("audit" if report.verdict is not Verdict.VALID else "", report.verdict.name, report.sentence())


def _stage_signers() -> dict[str, Signer]:
    return {name: stage_key(name) for name in ("ledger", "checkpoint")}


def _copy_room(room: Path, target: Path) -> tuple[dict[str, Signer], str]:
    """Copy the log of a room, as it is now, and load the ledger's keys where they are in files."""
    target.mkdir(parents=True)
    with closing(SqliteStore(room / LOG, read_only=True)) as store:
        store.size()  # it is a ledger
    source = f"file:{quote(str((room / LOG).absolute()))}?mode=ro"
    with closing(sqlite3.connect(source, uri=True)) as live, closing(sqlite3.connect(target / LOG)) as copy:
        live.backup(copy)
    signers: dict[str, Signer] = {}
    for name in ("ledger", "checkpoint"):
        try:
            signers[name] = load_key(room / KEYS / f"{name}.json")
        except ProofroomError:
            continue
    with Ledger(SqliteStore(target / LOG)) as ledger:
        founding = ledger.state.founding
    if founding is None:
        raise NothingToAttack(what="entry")
    return signers, founding.origin


def _kept(folder: Path) -> str:
    """The newest checkpoint of the honest room, as somebody outside would hold it."""
    with closing(SqliteStore(folder / LOG, read_only=True)) as store:
        last = store.last_checkpoint()
        if last is None or (report := audit(store)).verdict is not Verdict.VALID:
            raise NothingToAttack(what="honest log" if last is None else f"honest log: {report.sentence()}")
    return last[1]
