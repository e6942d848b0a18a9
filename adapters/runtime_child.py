"""The process that an agent runs in: ``python -I -m proofroom.adapters.runtime_child PLAN``.

Three processes, of which only the last runs the agent's code::

    launcher    confines what follows; ends all of it when the host ends, or asks it to
      init      process 1 of a namespace of its own: when it ends, the kernel ends whatever is left in there
        agent   limits, no privileges, no files but those it needs; data on stdin, result on what was stdout

Where the system has no such namespaces, launcher and init are one, and adopt and end what is left behind themselves. The launcher knows no
key. The plan says which agent, which limits and which folders; it is visible to others on the machine and holds no secret.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from proofroom.adapters import confine
from proofroom.adapters.landlock import restrict_files
from proofroom.domain.errors import AgentFailed

FAILED, NO_MEMORY = 65, 66
"""Exit statuses that say: what stands on the result pipe is not a result but the reason why there is none."""

MAX_WHY = 500


def main(plan_text: str) -> None:
    """Confine, run the agent, tell the host how it ended."""
    plan = json.loads(plan_text)
    held = confine.unshare()
    confine.die_with_parent(signal.SIGTERM)
    if os.getppid() not in (plan["parent"], 0):
        os._exit(1)  # the host ended before it could be noticed
    if held["escape"] == confine.KERNEL:
        _launch_init(plan, held)
    if confine.adopt_orphans():
        held["escape"] = confine.SUPERVISOR
    signal.signal(signal.SIGTERM, lambda *_: _end_children())
    _oversee(plan, held)
    _end_children()


def _launch_init(plan: dict[str, Any], held: dict[str, str]) -> NoReturn:
    """Start init and wait for it. Asked to stop, end it: the kernel does not let it go before all others in there are gone."""
    alive, lifeline = os.pipe()
    init = os.fork()
    if init == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(lifeline)
        confine.die_with_parent()
        if select.select([alive], [], [], 0)[0]:
            os._exit(1)  # the launcher ended before it could be noticed
        os.close(alive)
        held |= confine.mount_own(plan["limits"]["scratch_bytes"], plan["paths"])
        _oversee(plan, held)
        os._exit(0)

    def stop(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(init, signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(init, 0)
    os._exit(0)


def _oversee(plan: dict[str, Any], held: dict[str, str]) -> None:
    """Start the agent, reap whatever ends, and tell the host what held and how the agent ended."""
    control: int = plan["control"]
    agent = os.fork()
    if agent == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        confine.die_with_parent()
        held |= _confine(plan, held)
        os.write(control, json.dumps({"held": held}).encode() + b"\n")
        _run(plan, held)
    status = None
    while status is None:
        pid, ended = os.wait()
        status = ended if pid == agent else None
    os.write(control, json.dumps({"status": status}).encode() + b"\n")


def _end_children() -> NoReturn:
    """Kill and reap until nothing is left: what a killed process leaves behind becomes our child."""
    me = str(os.getpid())
    with contextlib.suppress(ChildProcessError):
        while True:
            for name in os.listdir("/proc") if confine.LINUX else ():  # noqa: PTH208
                if name.isdigit() and _parent_of(name) == me:
                    os.kill(int(name), signal.SIGKILL)
            os.waitpid(-1, 0 if confine.LINUX else os.WNOHANG)
    os._exit(0)


def _parent_of(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[1]
    except (OSError, IndexError):
        return ""


def _confine(plan: dict[str, Any], held: dict[str, str]) -> dict[str, str]:
    """In the agent's own process: limits, then privileges, then files."""
    is_root, mapped = os.getuid() == 0, held["user"] == confine.KERNEL
    limits = confine.limit_resources(plan["limits"], watchers=0 if is_root and mapped else 2)
    if not confine.drop_privileges(mapped=mapped):
        limits["processes"] = confine.SUPERVISOR  # RLIMIT_NPROC does not bind root
    confine.die_with_parent()  # a change of user cleared it
    own_proc = ["/proc"] if held.get("proc") == confine.KERNEL else []
    scratch = [confine.SCRATCH] if held.get("scratch") == confine.KERNEL else []
    readable = [*plan["paths"], *plan["readable"], *sys.path, sys.prefix, sys.base_prefix, *_our_folders(), *own_proc]
    limits["files"] = confine.KERNEL if restrict_files(filter(None, readable), scratch) else confine.NONE
    return limits


def _our_folders() -> set[str]:
    """Where this package really lies: a checkout has links."""
    files = (m.__file__ for name, m in sys.modules.items() if name.startswith("proofroom") and m.__file__)
    return {os.path.dirname(os.path.realpath(file)) for file in files} - {""}  # noqa: PTH120


# --- the agent


def _run(plan: dict[str, Any], held: dict[str, str]) -> NoReturn:
    if held.get("scratch") == confine.KERNEL:
        os.environ["HOME"] = os.environ["TMPDIR"] = confine.SCRATCH
        os.chdir(confine.SCRATCH)
    control: int = plan["control"]
    if not plan["command"]:
        os.close(control)
        run_function(plan["function"], plan["paths"], as_json=plan["json"])
    os.set_inheritable(control, False)
    try:
        os.execvp(plan["command"][0], plan["command"])
    except (OSError, ValueError) as e:
        why = f"its program cannot be started: {getattr(e, 'strerror', e)}"
        os.write(control, json.dumps({"failed": why}).encode() + b"\n")
    finally:
        os._exit(1)


def run_function(agent: str, paths: list[str], *, as_json: bool) -> NoReturn:
    """Run one function over stdin.

    An agent that cannot work raises :class:`~proofroom.domain.errors.AgentFailed`, whose ``why`` is shown to the user and so must not quote
    the data; of any other exception only its type and place are told, since its text may.
    """
    sys.path[:0] = paths
    out = os.dup(1)
    os.dup2(2, 1)  # what the agent prints is not its result
    try:
        data = sys.stdin.buffer.read()
        result = _find(agent)(json.loads(data) if as_json else data)
        if as_json:
            result = json.dumps(result, allow_nan=False, ensure_ascii=False).encode()
    except AgentFailed as e:
        _fail(out, e.why)
    except MemoryError:
        _fail(out, "it needed more memory than it may have", NO_MEMORY)
    except Exception as e:  # noqa: BLE001 -- an agent may raise anything
        traceback.print_exc()
        _fail(out, _describe(e))
    except SystemExit as e:
        os._exit(e.code if isinstance(e.code, int) else 1)
    if not isinstance(result, bytes):
        _fail(out, f"{agent} returned {type(result).__name__}, not bytes")
    _write(out, result)
    sys.stdout.flush()
    os._exit(0)


def _find(agent: str) -> Callable[[Any], object]:
    import importlib

    module, _, name = agent.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as e:
        raise AgentFailed(why=f"there is no agent {agent}: {e}") from e
    if not callable(function):
        raise AgentFailed(why=f"{agent} is no function")
    found: Callable[[Any], object] = function
    return found


def _describe(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"it raised {type(error).__name__} in {os.path.basename(place.filename)}, line {place.lineno}"  # noqa: PTH119


def _fail(out: int, why: str, status: int = FAILED) -> NoReturn:
    _write(out, why.encode("utf-8", "replace")[:MAX_WHY])
    os._exit(status)


def _write(out: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(out, "wb") as pipe:
        pipe.write(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
