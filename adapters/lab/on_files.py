"""Attacks by whoever can write the files of a room, and has no key."""

from __future__ import annotations

import shutil

from proofroom.adapters.lab.attack import Attack, Caught, Scene, attack
from proofroom.adapters.lab.stage import OLDER
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.errors import NothingToAttack, ProofroomError

ON_FILES: list[Attack] = []


def _copy(scene: Scene, source: int, target: int) -> None:
    scene.edit(
        f"INSERT INTO log SELECT {target}, hex(randomblob(38)), 1, topic, state, recorded_at_ms, signatures, nodes "
        f"FROM log WHERE log_index = {source}"
    )


@attack("edit-payload", "file", "INVALID", ON_FILES)
def _edit_payload(scene: Scene) -> None:
    """One bit of a stored statement is changed."""
    scene.flip("state", scene.middle())


@attack("edit-signature", "file", "INVALID", ON_FILES)
def _edit_signature(scene: Scene) -> None:
    """One bit of a stored signature is changed."""
    scene.flip("signatures", scene.middle())


@attack("edit-kind", "file", "INVALID", ON_FILES)
def _edit_kind(scene: Scene) -> None:
    """A statement is passed off as one of another kind."""
    scene.edit(f"UPDATE log SET topic = 'application/vnd.proofroom.tick.v1+json' WHERE log_index = {scene.middle()}")


@attack("edit-time", "file", "INVALID", ON_FILES)
def _edit_time(scene: Scene) -> None:
    """An entry is said to have been recorded a millisecond later."""
    scene.edit(f"UPDATE log SET recorded_at_ms = recorded_at_ms + 1 WHERE log_index = {scene.middle()}")


@attack("edit-key", "file", "INVALID", ON_FILES)
def _edit_key(scene: Scene) -> None:
    """The key by which a statement is found again is changed, so that it could be recorded twice."""
    scene.flip("originator_id", scene.middle())


@attack("edit-tree", "file", "INVALID", ON_FILES)
def _edit_tree(scene: Scene) -> None:
    """A stored node of the Merkle tree is changed, so that proofs would not fit."""
    scene.flip("nodes", scene.middle())


@attack("swap-payloads", "file", "INVALID", ON_FILES)
def _swap_payloads(scene: Scene) -> None:
    """Two entries exchange their statements under their own signatures."""
    i, j = scene.middle(), scene.middle() + 1
    scene.edit(
        "CREATE TEMP TABLE two AS SELECT log_index AS i, state AS s, topic AS t FROM log",
        f"UPDATE log SET state = (SELECT s FROM two WHERE i = {j}), topic = (SELECT t FROM two WHERE i = {j}) WHERE log_index = {i}",
        f"UPDATE log SET state = (SELECT s FROM two WHERE i = {i}), topic = (SELECT t FROM two WHERE i = {i}) WHERE log_index = {j}",
    )


@attack("drop", "file", "INVALID", ON_FILES)
def _drop(scene: Scene) -> None:
    """An entry in the middle is deleted."""
    scene.edit(f"DELETE FROM log WHERE log_index = {scene.middle()}")


@attack("drop-and-close-up", "file", "INVALID", ON_FILES)
def _drop_and_close_up(scene: Scene) -> None:
    """An entry in the middle is deleted and the rest moves up, so that no index is missing."""
    i = scene.middle()
    scene.edit(
        f"DELETE FROM log WHERE log_index = {i}",
        f"UPDATE log SET log_index = -log_index WHERE log_index > {i}",
        "UPDATE log SET log_index = -log_index - 1 WHERE log_index < 0",
    )


@attack("insert", "file", "INVALID", ON_FILES)
def _insert(scene: Scene) -> None:
    """A copy of an entry is put behind the last."""
    _copy(scene, scene.middle(), len(scene.entries()))


@attack("insert-before-genesis", "file", "INVALID", ON_FILES)
def _insert_before(scene: Scene) -> None:
    """An entry is put before the first."""
    _copy(scene, scene.middle(), -1)


@attack("reorder", "file", "INVALID", ON_FILES)
def _reorder(scene: Scene) -> None:
    """Two entries change places."""
    i = scene.middle()
    scene.edit(
        f"UPDATE log SET log_index = -5 WHERE log_index = {i}",
        f"UPDATE log SET log_index = {i} WHERE log_index = {i + 1}",
        f"UPDATE log SET log_index = {i + 1} WHERE log_index = -5",
    )


@attack("truncate-entries", "file", "INCOMPLETE", ON_FILES)
def _truncate_entries(scene: Scene) -> None:
    """The last entry is deleted; its checkpoint stays."""
    scene.edit("DELETE FROM log WHERE log_index = (SELECT max(log_index) FROM log)")


@attack("truncate", "file", "INCOMPLETE", ON_FILES)
def _truncate(scene: Scene) -> None:
    """The end of the log is deleted together with its checkpoints."""
    scene.edit(
        "CREATE TEMP TABLE keep AS SELECT size FROM checkpoints ORDER BY size LIMIT (SELECT count(*) - 1 FROM checkpoints)",
        "DELETE FROM log WHERE log_index >= (SELECT max(size) FROM keep)",
        "DELETE FROM checkpoints WHERE size > (SELECT max(size) FROM keep)",
    )


@attack("roll-back", "file", "INCOMPLETE", ON_FILES)
def _roll_back(scene: Scene) -> None:
    """An older copy of the log is put in its place."""
    older = scene.folder / OLDER
    if not older.exists():
        raise NothingToAttack(what="older copy of the log")
    shutil.copy(older, scene.path)


@attack("replay-checkpoint", "file", "INVALID", ON_FILES)
def _replay_checkpoint(scene: Scene) -> None:
    """The newest checkpoint is replaced by an older one."""
    scene.edit(
        "UPDATE checkpoints SET note = (SELECT note FROM checkpoints ORDER BY size LIMIT 1) "
        "WHERE size = (SELECT max(size) FROM checkpoints)"
    )


@attack("drop-checkpoints", "file", "INVALID", ON_FILES)
def _drop_checkpoints(scene: Scene) -> None:
    """The newest checkpoint is deleted; the entries under it stay."""
    scene.edit("DELETE FROM checkpoints WHERE size = (SELECT max(size) FROM checkpoints)")


@attack("edit-and-go-on", "file", "history-changed", ON_FILES)
def _edit_and_go_on(scene: Scene) -> Caught | None:
    """The last entry is changed, and the ledger is opened so that it signs over it."""
    scene.flip("state", len(scene.entries()) - 1)
    try:
        Ledger(SqliteStore(scene.path), scene.signers.values()).close()
    except ProofroomError as e:
        return Caught("opening", e.code, str(e))
    return None


@attack("forge-snapshot", "file", "replayed", ON_FILES)
def _forge_snapshot(scene: Scene) -> Caught | None:
    """A state snapshot is put beside the log that says something else than the log does."""
    with_snapshot = "INSERT OR REPLACE INTO snapshots SELECT max(log_index) + 1, zeroblob(4096) FROM log"
    scene.edit("DELETE FROM snapshots", with_snapshot)
    with Ledger(SqliteStore(scene.path, read_only=True)) as ledger:
        if ledger.size == len(scene.entries()):
            return Caught("opening", "replayed", "the snapshot is not believed; the state comes from the log")
    return None
