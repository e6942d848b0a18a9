"""The agent runtime: a real function over a granted scope, in a process of its own (protocol 4).

Plain form: the child has a clean environment, no key, no inherited file, a limit of wall time and of output; its process group ends with
it. Not limited here: memory, processor time, files and network; an agent is code that the host has chosen to run.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from proofroom.adapters.keys import Key
from proofroom.adapters.runtime_child import FAILED
from proofroom.adapters.stores import now_ms
from proofroom.adapters.vault import Vault, seal
from proofroom.domain import hashing
from proofroom.domain.errors import AgentFailed
from proofroom.domain.ids import Digest
from proofroom.domain.statements.fields import Usage

MIB = 2**20
POLL_SECONDS = 0.005
"""How often the supervisor looks whether the child has ended."""

Watch = Callable[[int], None]
"""Called with the child's process id, again and again while it runs and once when it has ended and its accounts can still be read."""


class Limits(NamedTuple):
    """What a run may take."""

    wall_seconds: float = 30.0
    output_bytes: int = 4 * MIB


class Finished(NamedTuple):
    """A child that gave a result."""

    output: bytes
    cpu_ms: int
    """User and system time by the operating system, of the child and all of its descendants that were waited for."""


class Run(NamedTuple):
    """One run, as the runtime claims it; nothing of it is on the ledger yet."""

    agent: str
    vault_scope: str
    cpu_ms: int
    usage: Usage
    started_at_ms: int
    ended_at_ms: int
    result_hash: Digest
    """Over the result as it was sealed to the wallet; also its address in the vault."""
    input_commitment: Digest
    salt: bytes
    """Opens the commitment; without it the commitment tells nothing."""


class AgentRuntime:
    """Runs agent functions over what a vault holds.

    Args:
        vault: where input comes from and the sealed result goes.
        limits: of every run.
        paths: folders from which agents are imported, besides the installed packages.
        messages: where an agent's stderr goes; nowhere unless said, since it may quote the data.
        clock: time in ms UTC.
    """

    def __init__(
        self,
        vault: Vault,
        *,
        limits: Limits = Limits(),  # noqa: B008 -- an immutable value
        paths: Sequence[Path] = (),
        messages: IO[bytes] | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.vault, self.limits, self.clock = vault, limits, clock
        self._paths = [str(path.absolute()) for path in paths]
        self._messages = messages

    def run(self, agent: str, vault_scope: str, name: str, key: Key, *, watch: Watch = lambda _: None) -> Run:
        """Open a blob with the agent's derived key, run ``"module:function"`` over it, seal what it returns to the wallet.

        Raises:
            VaultUnavailable: the key does not open the blob.
            AgentFailed: a crash, a time-out, too much output or no result. Nothing was kept.
        """
        before = self.vault.meter
        data = self.vault.get(vault_scope, name, key)
        started_at_ms = self.clock()
        finished = run_child(agent, data, self.limits, self._paths, self._messages, watch)
        ended_at_ms = max(started_at_ms, self.clock())
        salt = os.urandom(32)
        result_hash = self.vault.put_result(vault_scope, seal(self.vault.owner, finished.output))
        used = self.vault.meter.minus(before)
        return Run(
            agent=agent,
            vault_scope=vault_scope,
            cpu_ms=finished.cpu_ms,
            usage=Usage(byte_seconds=0, bytes_streamed=used.bytes_streamed, puts=used.puts, gets=used.gets),
            started_at_ms=started_at_ms,
            ended_at_ms=ended_at_ms,
            result_hash=result_hash,
            input_commitment=commit_to_input(salt, data),
            salt=salt,
        )


def commit_to_input(salt: bytes, data: bytes) -> Digest:
    """The salted commitment of a run's input, for whoever holds both to check."""
    return hashing.tagged(hashing.digest(hashing.INPUT, salt, data))


def run_child(
    agent: str,
    data: bytes,
    limits: Limits,
    paths: Sequence[str] = (),
    messages: IO[bytes] | None = None,
    watch: Watch = lambda _: None,
) -> Finished:
    """Run an agent function in a child process.

    Raises:
        AgentFailed: it gave no result.
    """
    command = [sys.executable, "-I", "-m", "proofroom.adapters.runtime_child", agent, *paths]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if messages is None else messages,
            env=_clean_environment(),
            cwd="/",
            start_new_session=True,
        )
    except OSError as e:
        raise AgentFailed(why=f"its process could not be started: {e.strerror}") from None
    try:
        with _Child(process, limits, watch) as child:
            child.feed(data)
            return child.finish()
    except ChildProcessError:
        raise AgentFailed(why="the host reaped its process, so that its accounts are lost") from None


def _clean_environment() -> dict[str, str]:
    """Nothing of the host's environment, but where the interpreter finds its own libraries."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC", **kept}


class _Child:
    """A running child: what goes in, what comes out, and its end. Leaving the context leaves no process of its group."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits, watch: Watch) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.limits, self.watch = process, limits, watch
        self.stdin, self.stdout = process.stdin, process.stdout
        self.deadline = time.monotonic() + limits.wall_seconds
        self.output = bytearray()
        self.input = memoryview(b"")
        self.cpu_ms = 0
        self.selector = selectors.DefaultSelector()
        for pipe in (self.stdin, self.stdout):
            os.set_blocking(pipe.fileno(), False)

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self._kill_group()
            self._reap(0)
        self.selector.close()
        for pipe in (self.stdin, self.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def feed(self, data: bytes) -> None:
        """Have ``data`` written to the child as it takes it."""
        self.input = memoryview(data)
        self.selector.register(self.stdin, selectors.EVENT_WRITE)
        self.selector.register(self.stdout, selectors.EVENT_READ)

    def finish(self) -> Finished:
        """Pump until the child ends; its result.

        Raises:
            AgentFailed: there is none.
        """
        while not self._has_ended():
            self._pump(POLL_SECONDS)
            self.watch(self.process.pid)
        self.watch(self.process.pid)  # it is not reaped yet, so its accounts are final and still there
        self._kill_group()  # what it left running; the name of the group is safe until it is reaped
        self._reap(0)
        while self.stdout in {key.fileobj for key in self.selector.get_map().values()}:
            self._pump(POLL_SECONDS)
        return Finished(self._result(), self.cpu_ms)

    def _has_ended(self) -> bool:
        if hasattr(os, "waitid"):  # not on every system
            return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return self._reap(os.WNOHANG)

    def _reap(self, options: int) -> bool:
        """Take over the child's end and its accounts, if it has ended; with options 0, wait for it."""
        if self.process.returncode is None:
            pid, status, used = os.wait4(self.process.pid, options)
            if not pid:
                return False
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_ms = int((used.ru_utime + used.ru_stime) * 1000)
        return True

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _pump(self, wait_seconds: float) -> None:
        if time.monotonic() > self.deadline:
            raise AgentFailed(why=f"it took longer than {self.limits.wall_seconds:g} s")
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
            raise AgentFailed(why=f"it gave more than {self.limits.output_bytes} bytes")
        if not part:
            self.selector.unregister(self.stdout)

    def _result(self) -> bytes:
        code, output = self.process.returncode, bytes(self.output)
        if code == FAILED:
            raise AgentFailed(why=output.decode("utf-8", "replace"))
        if code < 0:
            raise AgentFailed(why=f"it was killed by signal {-code} ({signal.strsignal(-code)})")
        if code > 0:
            raise AgentFailed(why=f"it exited with status {code}")
        return output
