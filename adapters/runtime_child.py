"""The process that an agent runs in: ``python -I -m proofroom.adapters.runtime_child module:function [path...]``.

Data comes in on stdin, the result goes out on what was stdout. It is started with a clean environment and knows no key. An agent that
cannot work raises :class:`~proofroom.domain.errors.AgentFailed`, whose ``why`` is shown to the user and so must not quote the data; of
any other exception only its type and place are told, since its text may.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from proofroom.domain.errors import AgentFailed

FAILED = 65
"""Exit status that says: what stands on the result pipe is not a result but the reason why there is none."""

MAX_WHY = 500


def main(agent: str, *paths: str) -> None:
    """Run one agent function over stdin."""
    sys.path[:0] = paths
    out = os.dup(1)
    os.dup2(2, 1)  # what the agent prints is not its result
    _leave_no_core()
    try:
        result = _find(agent)(sys.stdin.buffer.read())
    except AgentFailed as e:
        _fail(out, e.why)
    except Exception as e:  # noqa: BLE001 -- an agent may raise anything
        traceback.print_exc()
        _fail(out, _describe(e))
    if not isinstance(result, bytes):
        _fail(out, f"{agent} returned {type(result).__name__}, not bytes")
    _write(out, result)


def _find(agent: str) -> Callable[[bytes], object]:
    module, _, name = agent.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as e:
        raise AgentFailed(why=f"there is no agent {agent}: {e}") from e
    if not callable(function):
        raise AgentFailed(why=f"{agent} is no function")
    found: Callable[[bytes], object] = function
    return found


def _describe(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"it raised {type(error).__name__} in {os.path.basename(place.filename)}, line {place.lineno}"  # noqa: PTH119


def _fail(out: int, why: str) -> NoReturn:
    _write(out, why.encode("utf-8", "replace")[:MAX_WHY])
    sys.exit(FAILED)


def _write(out: int, data: bytes) -> None:
    with os.fdopen(out, "wb") as pipe:
        pipe.write(data)


def _leave_no_core() -> None:
    """A crash must not write the data to disk."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
