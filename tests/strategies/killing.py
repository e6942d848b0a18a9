"""Work that is killed at every point of it: one interpreter, and a fork of it for each, since an interpreter takes most of a second."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
TESTS = Path(__file__).parents[1]


class Fuse:
    """Kills its process at one point: before and after each call of what it watches, counted from 0."""

    def __init__(self, point: int) -> None:
        self._left = point

    def around(self, function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        """The function, watched."""

        def watched(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            self._at_point()
            result = function(*args, **kwargs)
            self._at_point()
            return result

        return watched

    def _at_point(self) -> None:
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def work_in_forks(work: Callable[[Path, Fuse], object]) -> None:
    """What the script of :func:`ends_of` calls: ``work`` in each folder, in a fork that is killed at the folder's point."""
    ends = []
    for point, folder in enumerate(json.load(sys.stdin)):
        child = os.fork()
        if not child:
            status = 1
            try:
                work(Path(folder), Fuse(point))
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                os._exit(status)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    sys.stdout.write(json.dumps(ends))


def ends_of(script: str, folders: Sequence[Path], *args: object) -> list[int]:
    """How the script's work ended in each folder, killed at point 0 in the first, at 1 in the second and so on: 0 if it came to its end."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, args)],
        input=json.dumps([str(folder) for folder in folders]),
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=True,
    )
    ends: list[int] = json.loads(done.stdout)
    assert set(ends) <= {0, -signal.SIGKILL}, done.stderr
    return ends
