"""The runtime: real child processes, and every way in which one can fail."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from proofroom.adapters.blobs import FolderBlobs
from proofroom.adapters.gateway import RunMeter, process_ms
from proofroom.adapters.keys import Key
from proofroom.adapters.runtime import AgentRuntime
from proofroom.adapters.storage import Meter
from proofroom.adapters.supervisor import Agent, Finished, Limits, run_agent
from proofroom.adapters.vault import Vault
from proofroom.domain.crosscheck import Claim, Tolerances, cross_check
from proofroom.domain.errors import AgentFailed, AgentOverCpu, VaultUnavailable
from proofroom.domain.state import UsageSum
from strategies.processes import arguments, assert_none_left

WALLET, AGENT = Key(bytes([1]) * 32), Key(bytes([2]) * 32)
SCOPE = "v-7 / calendar"
DATA = b"BEGIN:SECRET-4711"

AGENTS = """
import json, os, signal, subprocess, sys, time
from proofroom.domain.errors import AgentFailed

def upper(data): return data.upper()
def spend(data):
    end = time.process_time() + float(data)
    while time.process_time() < end: pass
    return b"spent"
def spend_below(data):
    subprocess.run([sys.executable, "-c", f"import time\\nwhile time.process_time() < {float(data)}: pass"], check=True)
    return b"spent below"
def spend_and_leave(data):
    if os.fork() == 0:
        if os.fork() == 0: spend(data)
        os._exit(0)
    time.sleep(1.5); return b"an orphan spent"
def look_around(data):
    files = sorted(os.listdir("/proc/self/fd"))
    return json.dumps({"env": dict(os.environ), "argv": sys.argv, "files": files, "cwd": os.getcwd()}).encode()
def chatter(data):
    print("not the result"); os.write(1, b"nor this"); return b"result"
def ignores_input(data): return b"x" * 100_000
def flood(data): return b"x" * 2_000_000
def flood_slowly(data):
    while True: os.write(3, b"x" * 65536)
def hang(data): time.sleep(600)
def hang_below(data):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", data.decode()]); time.sleep(600)
def leave_behind(data):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", data.decode()]); return b"left"
def crash(data): os.kill(os.getpid(), signal.SIGSEGV)
def leave(data): sys.exit(3)
def leave_well(data): os._exit(0)
def quote(data): raise RuntimeError(data.decode())
def refuse(data): raise AgentFailed(why="the calendar is empty")
def text(data): return "text"
not_a_function = 7
raise_at_import = None
"""


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    """A folder with a module of agents."""
    (tmp_path / "agents_here.py").write_text(AGENTS)
    return tmp_path


def run(agents: Path, name: str, data: bytes = DATA, **limits: float) -> bytes:
    return finish(agents, name, data, **limits).output


def finish(agents: Path, name: str, data: bytes = DATA, **limits: float) -> Finished:
    return run_agent(Agent(f"agents_here:{name}"), data, Limits(**limits), paths=[str(agents)])  # type: ignore[arg-type]  # limits by name


def test_bytes_in_bytes_out(agents: Path) -> None:
    """The function gets the bytes and its result comes back, also when they are many and it reads them late."""
    big = os.urandom(1_000_000).hex().encode()
    assert run(agents, "upper") == DATA.upper()
    assert run(agents, "upper", big) == big.upper()
    assert run(agents, "upper", b"") == b""
    assert run(agents, "ignores_input", big) == b"x" * 100_000


def test_what_it_prints_is_not_its_result(agents: Path) -> None:
    """Neither print nor a write to descriptor 1 gets into the result."""
    assert run(agents, "chatter") == b"result"


@pytest.mark.parametrize(("agent", "seconds"), [("spend", 0.3), ("spend_below", 0.3), ("spend_and_leave", 0.3)])
def test_cpu_is_the_operating_systems(agents: Path, agent: str, seconds: float) -> None:
    """Processor time is what the kernel counted, of grandchildren too; sleeping costs none. The gateway reads it another way."""
    seen: list[int] = []
    watch = lambda pid: seen.append(process_ms(pid) or 0)  # noqa: E731
    data = str(seconds).encode()
    finished = run_agent(Agent(f"agents_here:{agent}"), data, Limits(), paths=[str(agents)], watch=watch)
    assert seconds * 1000 <= finished.cpu_ms < seconds * 1000 + 2_000
    assert finished.cpu_ms <= seen[-1] <= finished.cpu_ms + 45


def test_child_has_nothing_of_ours(agents: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the host, no open file of the host, no data in its arguments."""
    monkeypatch.setenv("SECRET_TOKEN", "4711")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    with (tmp_path / "open").open("w"):
        around = json.loads(run(agents, "look_around"))
    allowed = {"PATH", "LANG", "TZ", "LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "TMPDIR"}
    assert set(around["env"]) <= allowed
    assert DATA.decode() not in json.dumps(around)
    assert len(around["files"]) <= 5  # the three standard ones, the result pipe, and the listing itself
    assert around["cwd"] in ("/", "/dev/shm")


@pytest.mark.parametrize(
    ("agent", "why"),
    [
        ("crash", r"killed by signal 11"),
        ("leave", r"exited with status 3"),
        ("refuse", r"the calendar is empty"),
        ("text", r"returned str, not bytes"),
        ("not_a_function", r"is no function"),
        ("nothing", r"there is no agent agents_here:nothing"),
        ("quote", r"raised RuntimeError in agents_here.py, line \d+"),
        ("flood", r"more than 1000000 bytes"),
        ("flood_slowly", r"more than 1000000 bytes"),
    ],
)
def test_agent_that_fails(agents: Path, agent: str, why: str) -> None:
    """Each way to give no result has its reason, and none quotes the data."""
    with pytest.raises(AgentFailed, match=why) as failed:
        run(agents, agent, output_bytes=1_000_000)
    assert "4711" not in str(failed.value.to_json())


@pytest.mark.parametrize("agent", ["no_such_module:x", "os", ":", "os:", ":x", "no.such:x", "os..path:x"])
def test_agent_that_is_not_there(agent: str) -> None:
    """A name that leads nowhere is a failed agent, not a crash of ours."""
    with pytest.raises(AgentFailed, match="no agent"):
        run_agent(Agent(agent), b"", Limits())


@pytest.mark.parametrize("agent", ["hang", "hang_below"])
def test_agent_that_takes_too_long(agents: Path, agent: str) -> None:
    """Time runs out: the agent is ended with all that it started, at once."""
    mark = os.urandom(8).hex()
    began = time.monotonic()
    with pytest.raises(AgentFailed, match=r"longer than 0.5 s"):
        run(agents, agent, mark.encode(), wall_seconds=0.5)
    assert time.monotonic() - began < 60  # and not the ten minutes that it would have slept
    assert_none_left(mark)


def test_agent_that_leaves_a_process_behind(agents: Path) -> None:
    """What it started and did not wait for ends with it, and does not hold up the result."""
    mark = os.urandom(8).hex()
    began = time.monotonic()
    assert run(agents, "leave_behind", mark.encode()) == b"left"
    assert time.monotonic() - began < 60  # and not the ten minutes that it would have slept
    assert_none_left(mark)


def test_interrupt_leaves_no_process(agents: Path) -> None:
    """Whatever stops the supervisor stops the child."""
    mark = os.urandom(8).hex()

    def interrupt(pid: int) -> None:
        if mark in arguments(Path(f"/proc/{pid}")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_agent(Agent("agents_here:hang"), b"", Limits(), paths=[str(agents), mark], watch=interrupt)
    assert_none_left(mark)


def test_what_ended_a_run_is_told_though_its_processes_have_just_gone(agents: Path) -> None:
    """A limit may be passed in the moment in which the kernel ends the run for the same cause: the limit is what is told."""

    def end_it_first(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not reaped
        raise AgentOverCpu(why="it took more than 1 s of processor time")

    with pytest.raises(AgentOverCpu):
        run_agent(Agent("agents_here:hang"), b"", Limits(), paths=[str(agents)], watch=end_it_first)


def test_messages_go_where_the_host_says(agents: Path, tmp_path: Path) -> None:
    """A developer may see the agent's own messages; by default nobody does, since they may quote the data."""
    with (tmp_path / "messages").open("wb") as messages, pytest.raises(AgentFailed):
        run_agent(Agent("agents_here:quote"), DATA, Limits(), paths=[str(agents)], messages=messages)
    assert b"RuntimeError: BEGIN:SECRET-4711" in (tmp_path / "messages").read_bytes()


# --- over a vault


def vault_folder(vault: Vault) -> Path:
    assert isinstance(vault.storage.blobs, FolderBlobs)
    return vault.storage.blobs.folder


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault whose calendar scope the agent may read."""
    vault = Vault(tmp_path / "vault", WALLET.keyid)
    vault.start_epoch(SCOPE, WALLET, [AGENT.keyid])
    vault.put(SCOPE, "calendar.ics", DATA, WALLET)
    return vault


def test_run_over_a_scope(vault: Vault, agents: Path) -> None:
    """The result is the wallet's, the commitment opens with the salt, and an honest claim is borne out by the gateway."""
    meter = RunMeter(vault.storage, SCOPE)
    runtime = AgentRuntime(vault, paths=[agents])
    run = runtime.run("agents_here:upper", SCOPE, "calendar.ics", AGENT, watch=meter.watch)
    observation = meter.observation(SCOPE)
    assert vault.get_result(SCOPE, run.result_hash, WALLET) == DATA.upper()
    assert run.opening.commitment() == run.input_commitment
    assert run.opening.is_of(data=DATA, result=DATA.upper())
    assert not run.opening.is_of(data=DATA + b" ")
    assert not run.opening.is_of(result=DATA + b" ")
    assert run.started_at_ms <= run.ended_at_ms
    assert (run.usage.gets, run.usage.puts) == (1, 1)
    usage = UsageSum(cpu_ms=run.cpu_ms, **run.usage.model_dump())
    claim = Claim(usage, SCOPE, run.result_hash)
    strict = Tolerances(0, 0, 0)
    assert cross_check(claim, observation, strict) is None
    for lie, reason in [
        (claim._replace(usage=usage._replace(cpu_ms=usage.cpu_ms * 2 + 100)), "overclaimed-cpu"),
        (claim._replace(usage=usage._replace(bytes_streamed=usage.bytes_streamed + 1)), "overclaimed-bytes"),
        (claim._replace(usage=usage._replace(gpu_micro=1)), "unobserved"),
        (claim._replace(result_hash=run.input_commitment), "result-mismatch"),
        (claim._replace(vault_scope="v-7 / health"), "out-of-scope"),
    ]:
        assert cross_check(lie, observation, strict) == reason


def test_gpu_units_come_from_meters_of_the_host(vault: Vault, agents: Path) -> None:
    """Runtime and observer each read their own meter; a claim above what was observed is seen, and one without a meter too."""
    claimed, seen = iter([100, 1_100]), iter([7, 507])
    meter = RunMeter(vault.storage, SCOPE, gpu=lambda: next(seen))
    run = AgentRuntime(vault, paths=[agents], gpu=lambda: next(claimed)).run(
        "agents_here:upper", SCOPE, "calendar.ics", AGENT, watch=meter.watch
    )
    observation = meter.observation(SCOPE)
    assert (run.gpu_micro, observation.gpu_micro) == (1_000, 500)
    claim = Claim(UsageSum(run.cpu_ms, run.gpu_micro, **run.usage.model_dump()), SCOPE, run.result_hash)
    assert cross_check(claim, observation, Tolerances(0, 0, 0)) == "overclaimed-gpu"
    assert cross_check(claim, observation._replace(gpu_micro=None), Tolerances(0, 0, 0)) == "unobserved"


def test_failed_run_keeps_nothing(vault: Vault, agents: Path) -> None:
    """No result is stored, and the gateway saw the read but no result."""
    files, meter = sorted(vault_folder(vault).rglob("*")), RunMeter(vault.storage, SCOPE)
    with pytest.raises(AgentFailed):
        AgentRuntime(vault, paths=[agents]).run("agents_here:crash", SCOPE, "calendar.ics", AGENT, watch=meter.watch)
    assert sorted(vault_folder(vault).rglob("*")) == files
    seen = meter.observation(SCOPE)
    assert (seen.gets, seen.puts, seen.result_hash, seen.scopes) == (1, 0, None, (SCOPE,))


def test_key_without_consent_starts_nothing(vault: Vault, agents: Path) -> None:
    """Without a wrap for its key no process is started, and nothing passes the storage."""
    before = vault.storage.meters()
    with pytest.raises(VaultUnavailable):
        AgentRuntime(vault, paths=[agents]).run("agents_here:upper", SCOPE, "calendar.ics", Key(bytes([9]) * 32))
    assert vault.storage.meters() == before
    assert before[SCOPE] == Meter(1, 0, before[SCOPE].bytes_streamed)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_meter_of_nothing() -> None:
    """A process that is not there has no account."""
    assert process_ms(2**30) is None
    assert re.match(r"\d+", str(process_ms(os.getpid())))
