"""What the demo says to the person who watches."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proofroom.adapters import pages
from proofroom.domain.ids import KeyId

if TYPE_CHECKING:
    from proofroom.adapters.demo import DemoResult


def opening(folder: Path, calendar: Path | None, *, is_new: bool, entries: int, witnessed: bool) -> str:
    """Where it runs, on what, and what of it is real."""
    room = "a new room" if is_new else f"the room with {entries} entries"
    checked = ", which continues the checkpoint of the last run" if witnessed else ""
    return (
        f"{room[0].upper()}{room[1:]} in {folder}{checked}.\n"
        f"Calendar: {'the sample that is shipped' if calendar is None else calendar}.\n"
        "One process plays every party of cluster dragon-1, each with its own key. Encryption, agent process, measurements,\n"
        "signatures and votes are real."
    )


def closing(result: DemoResult, *, since: bool) -> str:
    """The audit's verdict, what it means, and where to look next."""
    record, room, checkpoint = result.receipts.facts["record"], _path(result.folder), _path(result.checkpoint)
    against = "the checkpoint of the last run" if since else "the checkpoint just written"
    return (
        f"Audit, against {against}:\n\n  {result.report.sentence()}\n\n"
        "This proves what was authorised, captured and attested before anyone was paid. It proves nothing of a model's internals.\n"
        f"The room is {result.folder}. Its checkpoint is {result.checkpoint}: keep a copy elsewhere.\n"
        f"Look closer:\n  proofroom show record {record['record']['record_id']} --room {room}\n"
        f"  proofroom show round dragon-1 {result.receipts.round} --room {room}\n"
        f"  proofroom audit --against {checkpoint} --room {room}\n"
        "Run the demo again for the next era."
    )


def account(account: str, names: dict[KeyId, str]) -> str:
    """An account for a person: the key shortened, with the name of its part in the demo."""
    _, colon, digits = account.rpartition("ed25519:")
    name = names.get(KeyId(f"ed25519:{digits}")) if colon else None
    return pages.shorten(account) + (f" ({name})" if name else "")


def listing(values: dict[str, Any]) -> str:
    """One value a line."""
    return "\n".join(f"   {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())


def _path(path: Path) -> str:
    """A path for the shell, as short as it can be from here."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
