"""Running an agent in processes of its own, and ending all of them, whatever happens.

The kernel binds what it can (:mod:`proofroom.adapters.confine`); this side watches the rest: time on the clock, output, and by samples the
processor time, memory and number of all processes together. Between two samples more may be taken than is allowed, never kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

import psutil

from proofroom.adapters.confine import SUPERVISOR
from proofroom.adapters.runtime_child import FAILED, NO_MEMORY
from proofroom.domain.errors import (
    AgentCrashed,
    AgentFailed,
    AgentOverCpu,
    AgentOverMemory,
    AgentOverOutput,
    AgentOverProcesses,
    AgentOverTime,
)

MIB = 2**20
POLL_SECONDS = 0.005
"""How often the supervisor looks whether the agent has ended."""
SAMPLE_SECONDS = 0.02
"""The least time between two samples; a sample may take a tenth of the time at most."""
GRACE_SECONDS = 5.0
"""How long the launcher may take to end the others before it is killed itself."""

Watch = Callable[[int], None]
"""Called with the launcher's process id, again and again while it runs and once when all has ended and its accounts can still be read."""


class Agent(NamedTuple):
    """What to run: a Python function or a program; its arguments are visible to others on the machine, so no data belongs there."""

    function: str = ""
    """``module:function``, from bytes to bytes."""
    command: tuple[str, ...] = ()
    """A program and its arguments; data on stdin, result on stdout."""
    json: bool = False
    """The function takes and gives JSON values; a program's input and output are checked to be JSON."""

    def __str__(self) -> str:
        return self.function or " ".join(self.command)


class Limits(NamedTuple):
    """What a run may take, all of its processes together unless said otherwise."""

    wall_seconds: float = 30.0
    cpu_seconds: int = 30
    memory_bytes: int = 1024 * MIB
    """Also of each process alone, by the kernel."""
    processes: int = 64
    """The kernel counts threads too."""
    open_files: int = 256
    """Of each process."""
    scratch_bytes: int = 64 * MIB
    """What it may write into its scratch space, which is memory and ends with it."""
    output_bytes: int = 4 * MIB


class Finished(NamedTuple):
    """An agent that gave a result."""

    output: bytes
    cpu_ms: int
    """User and system time by the operating system, of the agent and all that it started."""
    confinement: Mapping[str, str]
    """For each limit what held: ``kernel``, ``supervisor`` (by samples), or ``none``."""


def run_agent(
    agent: Agent,
    data: bytes,
    limits: Limits,
    *,
    paths: Sequence[str] = (),
    readable: Sequence[str] = (),
    messages: IO[bytes] | None = None,
    watch: Watch = lambda _: None,
) -> Finished:
    """Run an agent over data.

    Args:
        agent: what to run.
        data: its input.
        limits: what it may take.
        paths: folders that a function is imported from, besides the installed packages.
        readable: more files or folders that it may read, where the kernel restricts that.
        messages: where its stderr goes; nowhere unless said.
        watch: another meter.

    Raises:
        AgentFailed: it gave no result; the class says which limit or failure ended it. No process of it is left.
    """
    if agent.json:
        check_json(data, "its input")
    control, control_in_child = os.pipe()
    plan = {
        "parent": os.getpid(),
        "control": control_in_child,
        "function": agent.function,
        "command": agent.command,
        "json": agent.json,
        "paths": list(paths),
        "readable": list(readable),
        "limits": limits._asdict(),
    }
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "proofroom.adapters.runtime_child", json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if messages is None else messages,
            env=_clean_environment(),
            cwd="/",
            start_new_session=True,
            pass_fds=(control_in_child,),
        )
    except OSError as e:
        os.close(control)
        raise AgentFailed(why=f"its process could not be started: {e.strerror}") from None
    finally:
        os.close(control_in_child)
    try:
        with _Running(process, control, limits, watch) as running:
            finished = running.finish(data, is_function=bool(agent.function))
    except ChildProcessError:
        raise AgentFailed(why="the host reaped its process, so that its accounts are lost") from None
    if agent.json:
        check_json(finished.output, "its output")
    return finished


def check_json(data: bytes, what: str) -> None:
    """Check that bytes are one JSON text.

    Raises:
        AgentFailed: they are not; the reason does not quote them.
    """
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        raise AgentFailed(why=f"{what} is not JSON") from None


def _clean_environment() -> dict[str, str]:
    """Nothing of the host's environment, but where the interpreter finds its own libraries."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC", **kept}


class _Running:
    """Processes of a run: what goes in, what comes out, and their end. Leaving the context leaves none of them."""

    def __init__(self, process: subprocess.Popen[bytes], control: int, limits: Limits, watch: Watch) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.control, self.limits, self.watch = process, control, limits, watch
        self.stdin, self.stdout = process.stdin, process.stdout
        self.deadline = time.monotonic() + limits.wall_seconds
        self.next_sample = 0.0
        self.family: list[psutil.Process] = []
        self.output = bytearray()
        self.input = memoryview(b"")
        self.cpu_ms = 0
        self.selector = selectors.DefaultSelector()
        for handle in (self.stdin.fileno(), self.stdout.fileno(), control):
            os.set_blocking(handle, False)

    def __enter__(self) -> _Running:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.process.returncode is None:
                self._stop()
        finally:
            for process in self.family:
                # psutil knows a process by its start too, so none is mistaken for another.
                with contextlib.suppress(psutil.Error):
                    process.kill()
            self.selector.close()
            os.close(self.control)
            for pipe in (self.stdin, self.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def finish(self, data: bytes, *, is_function: bool) -> Finished:
        """Pump until all has ended; the result.

        Raises:
            AgentFailed: there is none.
        """
        self.input = memoryview(data)
        self.selector.register(self.stdin, selectors.EVENT_WRITE)
        self.selector.register(self.stdout, selectors.EVENT_READ)
        while not self._has_ended():
            self._pump(POLL_SECONDS)
            self._sample()
            self.watch(self.process.pid)
        self.watch(self.process.pid)  # it is not reaped yet, so its accounts are final and still there
        self._kill_group()
        self._reap(0)
        while self.stdout in {key.fileobj for key in self.selector.get_map().values()}:
            self._pump(POLL_SECONDS)
        told = self._told()
        self._check_end(told, is_function=is_function)
        held = {"wall": SUPERVISOR, "output": SUPERVISOR, "cpu": SUPERVISOR, "memory": SUPERVISOR, **told["held"]}
        return Finished(bytes(self.output), self.cpu_ms, dict(sorted(held.items())))

    def _told(self) -> dict[str, Any]:
        """What the launcher wrote: what held, and how the agent ended."""
        lines = b""
        with contextlib.suppress(BlockingIOError):
            lines = os.read(self.control, 65_536)
        told: dict[str, Any] = {"held": {}}
        for line in lines.splitlines():
            with contextlib.suppress(ValueError):
                told |= json.loads(line)
        return told

    def _check_end(self, told: Mapping[str, Any], *, is_function: bool) -> None:
        status = told.get("status")
        if "failed" in told:
            raise AgentFailed(why=told["failed"])
        if not isinstance(status, int):
            raise AgentCrashed(why="the processes that watch over it were ended")
        code = os.waitstatus_to_exitcode(status)
        if is_function and code in (FAILED, NO_MEMORY):
            why = self.output.decode("utf-8", "replace")
            raise AgentFailed(why=why) if code == FAILED else AgentOverMemory(why=why)
        if code == -signal.SIGXCPU:
            raise AgentOverCpu(why=f"it took more than {self.limits.cpu_seconds} s of processor time")
        if code < 0:
            raise AgentCrashed(why=f"it was killed by signal {-code} ({signal.strsignal(-code)})")
        if code > 0:
            raise AgentCrashed(why=f"it exited with status {code}")

    # --- the end

    def _has_ended(self) -> bool:
        if hasattr(os, "waitid"):  # not on every system
            return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return self._reap(os.WNOHANG)

    def _reap(self, options: int) -> bool:
        """Take over the launcher's end and its accounts, if it has ended; with options 0, wait for it."""
        if self.process.returncode is None:
            pid, status, used = os.wait4(self.process.pid, options)
            if not pid:
                return False
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_ms = int((used.ru_utime + used.ru_stime) * 1000)
        return True

    def _stop(self) -> None:
        """Ask the launcher to end the others and itself; when it does not, kill what is known."""
        with contextlib.suppress(ProcessLookupError):
            # Popen.send_signal would reap a launcher that has just ended, and lose its accounts.
            os.kill(self.process.pid, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        while not self._has_ended() and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        self._kill_group()
        self._reap(0)

    def _kill_group(self) -> None:
        """What is left of its process group, whose name is safe until the launcher is reaped."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    # --- samples

    def _sample(self) -> None:
        if (began := time.monotonic()) < self.next_sample:
            return
        try:
            launcher = psutil.Process(self.process.pid)
            self.family = launcher.children(recursive=True)
        except psutil.Error:
            return
        if len(self.family) > self.limits.processes + 2:
            raise AgentOverProcesses(why=f"it started more than {self.limits.processes} processes")
        cpu, memory = _sum_of(_cpu_seconds, [launcher, *self.family]), _sum_of(_resident, self.family)
        if cpu > self.limits.cpu_seconds:
            raise AgentOverCpu(why=f"it took more than {self.limits.cpu_seconds} s of processor time")
        if memory > self.limits.memory_bytes and _sum_of(_own_memory, self.family) > self.limits.memory_bytes:
            raise AgentOverMemory(why=f"it took more than {self.limits.memory_bytes} bytes of memory")
        self.next_sample = time.monotonic() + max(SAMPLE_SECONDS, 9 * (time.monotonic() - began))

    # --- pipes

    def _pump(self, wait_seconds: float) -> None:
        if time.monotonic() > self.deadline:
            raise AgentOverTime(why=f"it took longer than {self.limits.wall_seconds:g} s")
        for key, _ in self.selector.select(wait_seconds):
            if key.fileobj is self.stdin:
                self._write_some()
            else:
                self._read_some()

    def _write_some(self) -> None:
        try:
            self.input = self.input[os.write(self.stdin.fileno(), self.input[:65_536]) :]
        except BrokenPipeError:
            self.input = memoryview(b"")  # it did not want all of it, which is its own affair
        except BlockingIOError:
            return
        if not self.input:
            self.selector.unregister(self.stdin)
            self.stdin.close()

    def _read_some(self) -> None:
        try:
            part = os.read(self.stdout.fileno(), 65_536)
        except BlockingIOError:
            return
        self.output += part
        if len(self.output) > self.limits.output_bytes:
            raise AgentOverOutput(why=f"it gave more than {self.limits.output_bytes} bytes")
        if not part:
            self.selector.unregister(self.stdout)


def _sum_of(measure: Callable[[psutil.Process], float], processes: Sequence[psutil.Process]) -> float:
    """The sum over those that are still there."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += measure(process)
    return total


def _cpu_seconds(process: psutil.Process) -> float:
    """Its own, and that of its children that have ended."""
    return float(sum(process.cpu_times()[:4]))


def _resident(process: psutil.Process) -> float:
    return float(process.memory_info().rss)


def _own_memory(process: psutil.Process) -> float:
    """With shared pages counted once: slower to read."""
    return float(process.memory_full_info().pss) if sys.platform == "linux" else float(process.memory_info().rss)
