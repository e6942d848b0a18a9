"""What an agent cannot do, and that nothing of it is left, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proofroom.adapters.keys import Key
from proofroom.adapters.runtime import AgentRuntime
from proofroom.adapters.supervisor import MIB, Agent, Finished, Limits, run_agent
from proofroom.adapters.vault import Vault
from proofroom.domain.errors import (
    AgentCrashed,
    AgentFailed,
    AgentOverCpu,
    AgentOverMemory,
    AgentOverOutput,
    AgentOverProcesses,
    AgentOverTime,
)
from strategies.processes import arguments, assert_none_left

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="what is confined elsewhere is said in docs/private-compute.md"
)

AGENTS = """
import json, os, signal, socket, subprocess, sys, time
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]

def crash(data): os.kill(os.getpid(), signal.SIGSEGV)
def abort(data): os.abort()
def leave(data): sys.exit(3)
def kill_parent(data): os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)
def hang(data): subprocess.Popen([*SLEEPER, data.decode()]); time.sleep(600)
def stop(data): subprocess.Popen([*SLEEPER, data.decode()]); os.kill(os.getpid(), signal.SIGSTOP)
def escape(data):
    subprocess.Popen([*SLEEPER, data.decode()], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: os.execv(SLEEPER[0], [*SLEEPER, data.decode()])
        os._exit(0)
    return b"left"
def escape_and_hang(data): escape(data); time.sleep(600)
def escape_and_crash(data): escape(data); crash(data)
def ignores_signals(data):
    for number in range(1, 32):
        try: signal.signal(number, signal.SIG_IGN)
        except OSError: pass
    hang(data)
def eat(data): return b"x" * (1 << 34) and b""
def eat_below(data): return subprocess.run([sys.executable, "-c", "x = b'x' * (1 << 34)"]).returncode.to_bytes(1, "big")
def eat_together(data):
    for _ in range(8):
        if os.fork() == 0:
            x = os.urandom(1 << 20) * 100
            time.sleep(600)
    time.sleep(600)
def flood(data):
    while True:
        for handle in range(3, 6):
            try: os.write(handle, b"x" * 65536)
            except OSError: pass
def flood_result(data): return b"x" * 2_000_000
def burn(data):
    while True: pass
def burn_below(data):
    for _ in range(4):
        if os.fork() == 0:
            while True: pass
    time.sleep(600)
def bomb(data):
    started = 0
    for _ in range(1000):
        try:
            if os.fork() == 0: time.sleep(600)
        except OSError: break
        started += 1
    return str(started).encode()
def bomb_for_ever(data):
    while True:
        try: os.fork()
        except OSError: time.sleep(0.01)
def open_many(data):
    try: files = [open("/dev/null") for _ in range(5000)]
    except OSError as e: return str(e.errno).encode()
def connect(data):
    for family, where in ((socket.AF_INET, ("127.0.0.1", int(data))), (socket.AF_UNIX, "\\0proofroom-test")):
        try: socket.socket(family).connect(where); return b"connected"
        except OSError: pass
    return b"cut off"
def read(data):
    told = {}
    for path in json.loads(data):
        try: told[path] = open(path).read(100) if os.path.isfile(path) else sorted(os.listdir(path))[:3]
        except OSError as e: told[path] = None
    return json.dumps(told).encode()
def write(data):
    told = {}
    for path in json.loads(data):
        try: open(path, "w").write("x"); told[path] = True
        except OSError: told[path] = False
    return json.dumps(told).encode()
def fill(data):
    try:
        with open(os.environ["TMPDIR"] + "/x", "wb") as file:
            for _ in range(1000): file.write(b"x" * (1 << 20)); file.flush()
    except OSError: return b"full"
def add(value): return {"sum": sum(value["numbers"])}
def no_json(value): return float("nan")
def look(data):
    import pathlib
    status = pathlib.Path("/proc/self/status").read_text()
    caps = [line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "CapPrm"))]
    return json.dumps({"caps": caps, "processes": [p for p in os.listdir("/proc") if p.isdigit()]}).encode()
"""


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    """A folder with a module of agents."""
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "agents_there.py").write_text(AGENTS)
    return tmp_path / "agents"


def run(agents: Path, name: str, data: bytes = b"", **limits: float) -> Finished:
    return run_agent(Agent(f"agents_there:{name}"), data, Limits(**limits), paths=[str(agents)])  # type: ignore[arg-type]  # limits by name


@pytest.mark.parametrize(
    ("agent", "outcome", "limits"),
    [
        ("crash", AgentCrashed, {}),
        ("abort", AgentCrashed, {}),
        ("leave", AgentCrashed, {}),
        ("escape_and_crash", AgentCrashed, {}),
        ("kill_parent", AgentFailed, {"wall_seconds": 2}),
        ("hang", AgentOverTime, {"wall_seconds": 1}),
        ("stop", AgentOverTime, {"wall_seconds": 1}),
        ("escape_and_hang", AgentOverTime, {"wall_seconds": 1}),
        ("ignores_signals", AgentOverTime, {"wall_seconds": 1}),
        ("eat", AgentOverMemory, {}),
        ("eat_together", AgentOverMemory, {"memory_bytes": 300 * MIB}),
        ("flood", AgentOverOutput, {"output_bytes": 100_000}),
        ("flood_result", AgentOverOutput, {"output_bytes": 100_000}),
        ("burn", AgentOverCpu, {"cpu_seconds": 1}),
        ("burn_below", AgentOverCpu, {"cpu_seconds": 1}),
        (
            "bomb_for_ever",
            (AgentOverCpu, AgentOverTime, AgentOverProcesses),
            {"cpu_seconds": 1, "wall_seconds": 3, "processes": 20},
        ),
    ],
)
def test_each_failure_has_its_type_and_leaves_nothing(
    agents: Path, agent: str, outcome: type[AgentFailed], limits: dict[str, float]
) -> None:
    """Whatever ends a run, the error says what it was, and no process of it is left."""
    mark = os.urandom(8).hex()
    with pytest.raises(outcome):
        run(agents, agent, mark.encode(), **limits)
    assert_none_left(mark)
    assert_none_left(str(agents))  # it stands in the launcher's plan


def test_what_it_leaves_behind_ends_with_it(agents: Path) -> None:
    """Processes in sessions of their own, and such whose parent is gone, end with the run and do not hold up its result."""
    mark = os.urandom(8).hex()
    assert run(agents, "escape", mark.encode()).output == b"left"
    assert_none_left(mark)


def test_grandchildren_are_bounded_too(agents: Path) -> None:
    """A process below the agent gets no more memory than the agent; and so many processes, no more."""
    assert run(agents, "eat_below").output != b"\0"
    finished = run(agents, "bomb", processes=20)
    assert int(finished.output) <= 20
    assert run(agents, "open_many").output == b"24"


HOST = """
import os, sys, threading
from proofroom.adapters.supervisor import Agent, Limits, run_agent
run_agent(Agent("agents_there:" + sys.argv[2]), sys.argv[3].encode(), Limits(), paths=[sys.argv[1]])
"""


@pytest.mark.parametrize("agent", ["hang", "escape_and_hang", "ignores_signals"])
def test_killed_host_leaves_nothing(agents: Path, agent: str) -> None:
    """kill -9 of the host: the kernel ends all that it started, without anybody's help."""
    mark = os.urandom(8).hex()
    host = subprocess.Popen([sys.executable, "-c", HOST, str(agents), agent, mark])
    for _ in range(500):
        if sum(mark in arguments(path) for path in Path("/proc").glob("[0-9]*")) >= 2:
            break
        time.sleep(0.02)
    host.send_signal(signal.SIGKILL)
    host.wait()
    assert_none_left(mark)
    assert_none_left(str(agents))


def test_no_half_record(agents: Path, tmp_path: Path) -> None:
    """A run that fails stores nothing, whichever way it fails."""
    wallet, reader, scope = Key(bytes([1]) * 32), Key(bytes([2]) * 32), "v-7 / calendar"
    vault = Vault(tmp_path / "vault", wallet.keyid)
    vault.start_epoch(scope, wallet, [reader.keyid])
    vault.put(scope, "a", b"4711", wallet)
    before = sorted((tmp_path / "vault").rglob("*"))
    runtime = AgentRuntime(vault, paths=[agents], limits=Limits(output_bytes=1000, wall_seconds=5))
    for agent in ("crash", "flood_result", "eat", "leave", "nothing"):
        with pytest.raises(AgentFailed):
            runtime.run(f"agents_there:{agent}", scope, "a", reader)
    assert sorted((tmp_path / "vault").rglob("*")) == before


# --- what it cannot reach


def test_no_network(agents: Path) -> None:
    """Neither the machine's own ports nor its abstract sockets, where the system lets that be cut."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind("\0proofroom-test")
        local.listen()
        finished = run(agents, "connect", str(server.getsockname()[1]).encode())
    assert (finished.output == b"cut off") == (finished.confinement["network"] == "kernel")


def test_no_files_of_the_host(agents: Path, tmp_path: Path) -> None:
    """It reads what programs need and nothing else: no key file, vault or ledger; it writes into its scratch space alone."""
    secret = tmp_path / "keys" / "wallet.json"
    secret.parent.mkdir()
    secret.write_text("4711")
    asked = [
        str(secret),
        str(tmp_path),
        "/etc/shadow",
        f"/proc/{os.getpid()}/environ",
        f"/proc/{os.getpid()}/cwd",
        "/root",
    ]
    finished = run(agents, "read", json.dumps(asked).encode())
    if finished.confinement["files"] != "kernel":
        pytest.skip("no Landlock here")
    assert set(json.loads(finished.output).values()) == {None}
    open_to_all = ["/dev/shm/x", "/tmp/x", "/usr/x", str(agents / "x"), str(secret)]
    written = json.loads(run(agents, "write", json.dumps(open_to_all).encode()).output)
    assert [path for path, done in written.items() if done] in ([], ["/dev/shm/x"])
    assert not Path("/dev/shm/x").exists()
    assert secret.read_text() == "4711"


def test_scratch_is_bounded(agents: Path) -> None:
    """It cannot fill the machine."""
    assert run(agents, "fill", scratch_bytes=3 * MIB).output == b"full"


def test_no_privilege(agents: Path) -> None:
    """No capability beyond reading what root may read, and no process of the host in sight."""
    finished = run(agents, "look")
    seen = json.loads(finished.output)
    assert all(int(mask, 16) in (0, 1 << 2) for mask in seen["caps"])
    if finished.confinement.get("proc") == "kernel":
        assert len(seen["processes"]) <= 2


def test_what_held_is_said(agents: Path) -> None:
    """Every limit has a word for what bound it, and nothing is claimed that the run itself does not show."""
    held = run(agents, "bomb", processes=3).confinement
    assert set(held.values()) <= {"kernel", "supervisor", "none"}
    assert {"wall", "cpu", "memory", "processes", "open_files", "output", "network", "files", "escape"} <= set(held)


WITHOUT = """
import os, sys, json
from pathlib import Path
Path("/proc/sys/user/max_user_namespaces").write_text("0")
from proofroom.adapters.supervisor import Agent, Limits, run_agent
from proofroom.domain.errors import AgentFailed
paths = [sys.argv[1]]
for agent, seconds in (("escape", 60), ("escape_and_hang", 1.5), ("escape_and_crash", 60)):
    try: finished = run_agent(Agent("agents_there:" + agent), sys.argv[2].encode(), Limits(wall_seconds=seconds), paths=paths)
    except AgentFailed as e: print(e.code)
    else: print(json.dumps(dict(finished.confinement)))
"""


def test_without_namespaces(agents: Path) -> None:
    """Where the system gives none, nothing is left behind either, and the run says what it went without."""
    mark = os.urandom(8).hex()
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", WITHOUT, str(agents), mark]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if "unshare" in done.stderr or done.returncode == 127:
        pytest.skip("this system lets no user namespace be made")
    held, *codes = done.stdout.splitlines()
    facts = json.loads(held)
    assert (facts["escape"], facts["network"], facts["user"]) == ("supervisor", "none", "none")
    assert codes == ["agent-over-time", "agent-crashed"]
    assert_none_left(mark)


# --- programs, JSON


def test_a_program_is_an_agent_too() -> None:
    """Data on stdin, result on stdout, a status that is not 0 is a crash."""
    assert run_agent(Agent(command=("tr", "a-z", "A-Z")), b"calendar", Limits()).output == b"CALENDAR"
    big = os.urandom(500_000).hex().encode()
    assert run_agent(Agent(command=("cat",)), big, Limits()).output == big
    with pytest.raises(AgentCrashed, match="status 1"):
        run_agent(Agent(command=("false",)), b"", Limits())
    with pytest.raises(AgentFailed, match="cannot be started"):
        run_agent(Agent(command=("/no/such/program",)), b"", Limits())
    with pytest.raises(AgentOverOutput):
        run_agent(Agent(command=("yes",)), b"", Limits(output_bytes=1000))
    with pytest.raises(AgentOverTime):
        run_agent(Agent(command=("sleep", "600")), b"", Limits(wall_seconds=0.5))


def test_json_in_and_out(agents: Path) -> None:
    """A value in, a value out; what is not JSON, on either side, is a failed run that quotes nothing."""
    paths = [str(agents)]
    added = run_agent(Agent("agents_there:add", json=True), b'{"numbers": [1, 2]}', Limits(), paths=paths)
    assert json.loads(added.output) == {"sum": 3}
    echo = Agent(command=("cat",), json=True)
    assert run_agent(echo, b'{"a": 1}', Limits()).output == b'{"a": 1}'
    with pytest.raises(AgentFailed, match="its input is not JSON"):
        run_agent(echo, b"{4711", Limits())
    with pytest.raises(AgentFailed, match="its output is not JSON"):
        run_agent(Agent(command=("wc", "-l", "-c"), json=True), b"[]", Limits())
    with pytest.raises(AgentFailed, match="raised ValueError"):
        run_agent(Agent("agents_there:no_json", json=True), b"1", Limits(), paths=paths)
