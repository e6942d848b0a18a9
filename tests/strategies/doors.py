"""Every door through which bytes come in, and what must hold at each, whatever the bytes.

:mod:`strategies.all_doors` is the list. A door is tried with bytes that stand in the place of honest ones: a file of the stage, the
standard input, an argument, the body of a request. It may answer, or refuse by a typed error with code and advice; never by another
exception; and a refusal leaves every file as it was. ``make fuzz`` tries the same doors, guided by coverage; what it finds is kept in
``tests/corpus``.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from proofroom.adapters.ledger import KEYS, VIEWS
from proofroom.adapters.signed_head import SIGNED_HEAD, SLOT, Signed
from proofroom.adapters.signed_head import _parse as parse_slot
from proofroom.domain.errors import ProofroomError
from strategies.shell import Ran, proofroom
from strategies.stage import PASSWORD, Stage

ROOM = ("--room", "room", "--json")
"""Words that most verbs take."""

STATUSES = {0, 2, 3, 4, 5, 6, *range(10, 17), 20}
"""Exit statuses that ``proofroom --help`` explains."""

ERRORS = range(2, 7)

_HEAD = f"room/{KEYS}/{SIGNED_HEAD}"

ENVIRONMENT = {"PROOFROOM_TRACEBACK": "1", "DOOR_PASSWORD": PASSWORD}
"""A fault of our own is raised here, and not only told."""

PLACE = os.environ.get("DOORS_PLACE") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
"""Where the stage is made: in memory, where the system has a folder for that."""


class Door(NamedTuple):
    """One way in."""

    name: str
    knock: Callable[[Stage, bytes], None]
    """Tries it on an honest stage; raises only :class:`ProofroomError` or, where something does not hold, AssertionError."""
    seeds: Callable[[Stage], list[bytes]]
    """What to begin with."""


@cache
def stage() -> Stage:
    """The stage of this process."""
    folder = Path(tempfile.mkdtemp(prefix="proofroom-doors-", dir=PLACE))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Stage(folder)


def knock(door: Door, data: bytes) -> None:
    """Try a door once.

    Raises:
        AssertionError: what must hold does not.
    """
    here = stage()
    here.restore()
    try:
        door.knock(here, data)
    except ProofroomError as e:
        check_error(e.to_json())


def check_error(error: dict[str, Any]) -> None:
    """An error says what, why, and what to do."""
    assert error["code"], error
    assert error["message"], error
    assert error["advice"], error


# --- files, and words of the command line


def run(here: Stage, *words: str, stdin: bytes = b"") -> Ran:
    """The command on the stage. What it refuses leaves every file as it was; what it says is what it says it is."""
    before = here.files()
    ran = proofroom(*words, stdin=stdin, cwd=here.folder, env=ENVIRONMENT)
    check_answer(ran, as_json="--json" in words)
    if ran.status in ERRORS and not _has_recorded(ran):
        check_same(before, here.files())
    return ran


def check_answer(ran: Ran, *, as_json: bool) -> None:
    """A documented status, and an explanation in the form that was asked for."""
    assert ran.status in STATUSES, ran
    if ran.status not in ERRORS:
        return
    if as_json:
        found = json.loads(ran.out)
        if "error" in found:
            check_error(found["error"])
        for line in found.get("lines", ()):
            if "error" in line:
                check_error(line["error"])
    else:
        assert "error: " in ran.err or ran.status == 2, ran
        assert "hint: " in ran.err or ran.status == 2, ran


def _has_recorded(ran: Ran) -> bool:
    """Whether a submission recorded something: a bad line does not stop the others."""
    return '"recorded": ' in ran.out and bool(json.loads(ran.out)["counts"]["recorded"])


def check_same(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """No file was made, removed or changed, but for read models, which are a cache, and for what the ledger was about to sign."""
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed <= {f"room/{VIEWS}", _HEAD}, changed
    assert _HEAD not in changed or _given(before[_HEAD]) == _given(after[_HEAD])


def _given(data: bytes) -> tuple[int, bytes]:
    """The last tree that was signed, as the file beside the key has it."""
    slots = [slot for at in (0, SLOT) if (slot := parse_slot(data[at : at + SLOT])) is not None]
    return max(slots, default=Signed())[1:3]


def in_file(name: str, *words: str) -> Door:
    """A file of the stage, in whose place the bytes are, and the command that reads it."""

    def try_it(here: Stage, data: bytes) -> None:
        honest = _named(here, name)
        here.write(honest, data)
        run(here, *words)

    return Door(
        name.partition("*")[0].rstrip("/").replace("/", "-"), try_it, lambda here: [here.honest[_named(here, name)]]
    )


def _named(here: Stage, name: str) -> str:
    """The file with this name, or the first that begins with what stands before a star."""
    head, star, _ = name.partition("*")
    return next(file for file in sorted(here.honest) if file.startswith(head)) if star else name
