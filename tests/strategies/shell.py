"""The command as a person runs it, in this process or, where it matters, in one of its own."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from proofroom.adapters.cli import main
from strategies.rooms import Room

PROOFROOM = (
    shutil.which("proofroom", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "proofroom"
)


class Ran(NamedTuple):
    """What a run of the command left."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Its output, which must be one JSON value."""
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    """The environment of a person who set nothing."""
    unset = ("PROOFROOM_ROOM", "NO_COLOR", "FORCE_COLOR", "PROOFROOM_TRACEBACK")
    return {k: v for k, v in os.environ.items() if k not in unset} | more


def proofroom(
    *args: str | Path, stdin: bytes = b"", cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Ran:
    """Run the command in this process, which spares it most of a second; it never shows a traceback."""
    out, err = io.BytesIO(), io.BytesIO()
    with ExitStack() as stack:
        stack.enter_context(chdir(cwd or Path.cwd()))
        stack.enter_context(mock.patch.dict(os.environ, environment(**env or {}), clear=True))
        for name, raw in (("stdin", io.BytesIO(stdin)), ("stdout", out), ("stderr", err)):
            stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
            stack.callback(stream.detach)
            stack.enter_context(mock.patch.object(sys, name, stream))
        status = main(list(map(str, args)))
    return _ran(status, out.getvalue(), err.getvalue())


def proofroom_process(
    *args: str | Path, stdin: bytes = b"", cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Ran:
    """Run the installed command as a person does, in a process of its own: slower, for where that is what matters."""
    done = subprocess.run(
        [PROOFROOM, *map(str, args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=environment(**env or {}),
        check=False,
    )
    return _ran(done.returncode, done.stdout, done.stderr)


def _ran(status: int, out: bytes, err: bytes) -> Ran:
    ran = Ran(status, out.decode(), err.decode())
    assert "Traceback" not in ran.out + ran.err, ran.err
    return ran


def settle(room: Room) -> None:
    """Attest and pay era 0 of a room that has records; one validator disagrees with the first of them."""
    from proofroom.domain.ids import from_ms
    from proofroom.domain.voting import make_vote

    ledger, cast = room.ledger, room.cast
    ledger.append(cast.seal_all(ledger.state, 0))
    for i in range(len(cast.validators)):
        ledger.append(cast.reveal_beacon(0, i))
    count, members = len(ledger.state.rounds["dragon-1", 0].records), cast.members(ledger.state, 0)
    votes = {i: make_vote(count, {0: "overclaimed-cpu"} if i == members[0] else {}) for i in members}
    for i in members:
        ledger.append(cast.commit(ledger.state, 0, i, votes[i]))
    for i in members:
        ledger.append(cast.reveal(0, i, votes[i]))
    era = ledger.state.eras["dragon-1", 0]
    wait_until_ms((era.start + 1) * 1000)
    ledger.append(cast.close_era(0, end=from_ms((era.start + 1) * 1000)))


def wait_until_ms(ms: int) -> None:
    """Let the system's clock reach a time."""
    import time

    while (left := ms - time.time_ns() // 1_000_000) > 0:
        time.sleep(left / 1000)
