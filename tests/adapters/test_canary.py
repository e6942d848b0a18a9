"""Marked secrets in vault, prompt, keys and passwords are found nowhere else after a full run, on the disk or in what anybody is told."""

from __future__ import annotations

import base64
import json
import logging
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.cli import main
from proofroom.adapters.erasing import Eraser
from proofroom.adapters.keyfile import Cost, load_encrypted, save_encrypted
from proofroom.adapters.keys import Key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.openings import Openings
from proofroom.adapters.rekeying import follow_consent
from proofroom.adapters.runtime import AgentRuntime
from proofroom.adapters.supervisor import Agent, Limits
from proofroom.adapters.vault import Vault
from proofroom.domain.errors import ProofroomError
from strategies.watching import watching

DATA, PROMPT, PASSWORD = "canary-data-4711", "canary-prompt-4712", "canary-password-4713"
SEEDS = {
    name: f"canary-seed-of-{name}".ljust(32, ".")[:32].encode() for name in ("ledger", "checkpoint", "wallet", "agent")
}
SCOPE = "v-7c21 / calendar"
CHEAP = Cost(operations=1, memory=8 * 2**20)

AGENTS = """
import json, os, sys
def answer(value):
    print(value, file=sys.stderr)
    with open(os.environ.get("TMPDIR", "/tmp") + "/notes", "w") as file: json.dump(value, file)
    return {"answer": value["prompt"] + value["data"]}
def quote(value): raise RuntimeError(json.dumps(value))
def shout(data): sys.exit(data.decode())
def crash(value): print(value, file=sys.stderr, flush=True); os.abort()
def flood(data): return data * 1000
"""


class Told(NamedTuple):
    """A whole run, and all that anybody could see of it."""

    folder: Path
    seen: set[str]
    """Arguments, environments and temporary files while it ran."""
    texts: list[str]
    """Errors, logs, pages and outputs."""
    seeds: list[bytes]
    """The secret keys that were in play."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Grant, vault, runs that work and runs that fail, record, queries, audit, erasure; with everything around it listening."""
    folder = tmp_path_factory.mktemp("canary")
    (folder / "tmp").mkdir()
    told = Told(folder, set(), [], list(SEEDS.values()))
    listener = _Listener(told.texts)
    logging.getLogger().addHandler(listener)
    level, before = logging.getLogger().level, tempfile.tempdir
    logging.getLogger().setLevel(logging.DEBUG)
    tempfile.tempdir = str(folder / "tmp")
    try:
        with watching(told.seen, folder / "tmp"):
            _whole_run(told)
    finally:
        tempfile.tempdir = before
        logging.getLogger().setLevel(level)
        logging.getLogger().removeHandler(listener)
    return told


class _Listener(logging.Handler):
    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(self.format(record))


def _whole_run(told: Told) -> None:
    folder, keys = told.folder, told.folder / "room" / "keys"
    for name, seed in SEEDS.items():
        save_encrypted(keys / f"{name}.json", seed, PASSWORD.encode(), CHEAP)
    (folder / "password").write_text(PASSWORD)
    signers = {name: f"encrypted-file:{name}.json?password-file=../../password" for name in ("ledger", "checkpoint")}
    (folder / "code").mkdir()
    (folder / "code" / "canary_agents.py").write_text(AGENTS)
    known: dict[str, Key] = {}

    def key(name: str) -> Key:
        if name.startswith("derived "):
            return key("agent-service").derive(SCOPE)
        file = {"wallet": "wallet", "user": "wallet", "agent-service": "agent"}.get(name)
        if name not in known:
            known[name] = load_encrypted(keys / f"{file}.json", PASSWORD.encode()) if file else Key.generate()
        return known[name]

    with Ledger.create(folder / "room", signers=signers, bank_keys=[key("bank").keyid]) as ledger:
        cast = Cast(ledger.id, ledger.store.clock, key)
        told.seeds.append(cast.derived.seed_for_saving())
        told.texts.append(repr([ledger, cast.__dict__, cast.user, cast.derived, known]))
        ledger.append_many([*cast.founding(), *cast.consent(), cast.open_era(0)])
        vault = Vault(folder / "vault", cast.user.keyid)
        follow_consent(vault, SCOPE, ledger.state, cast.user, ledger.store.clock())
        question = json.dumps({"prompt": PROMPT, "data": DATA}).encode()
        vault.put(SCOPE, f"{DATA}.json", question, cast.user)
        _run_all(told, ledger, cast, vault)
        told.texts.append(str(ledger.sql("FROM records").fetchall()) + str(ledger.sql("FROM erasures").fetchall()))
        assert audit(ledger.store).verdict is Verdict.VALID


def _run_all(told: Told, ledger: Ledger, cast: Cast, vault: Vault) -> None:
    runtime = AgentRuntime(vault, paths=[told.folder / "code"], limits=Limits(output_bytes=10_000))
    name, openings = f"{DATA}.json", Openings(told.folder / "openings")
    run = runtime.run(Agent("canary_agents:answer", json=True), SCOPE, name, cast.derived)
    assert DATA.encode() in vault.get_result(SCOPE, run.result_hash, cast.user)
    told.texts.append(repr(run))
    openings.keep(run.opening)
    grant = ledger.state.grants[cast.user.keyid, cast.agent.keyid].digest
    work = Work(run.cpu_ms, 0, **run.usage.model_dump())
    ledger.append(cast.activity(grant, 0, work, input_commitment=run.input_commitment, result_hash=run.result_hash))
    for agent, holder in [
        *((Agent(f"canary_agents:{name}", json=True), cast.derived) for name in ("quote", "crash", "missing")),
        *((Agent(f"canary_agents:{name}"), cast.derived) for name in ("shout", "flood")),
        (Agent(command=("sh", "-c", "cat >&2; exit 3")), cast.derived),
        (Agent(command=("wc", "-l", "-c"), json=True), cast.derived),
        (Agent("canary_agents:answer", json=True), cast.orchestrator),
    ]:
        try:
            runtime.run(agent, SCOPE, name, holder)
        except ProofroomError as e:
            told.texts.append(json.dumps(e.to_json()) + repr(e) + "".join(traceback.format_exception(e)))
        else:
            raise AssertionError(f"{agent} was expected to fail")
    assert Eraser(ledger, cast.user).erase_epoch(vault, SCOPE, 0)


def forms(secret: bytes) -> set[bytes]:
    """The ways in which a secret would be written down."""
    return {
        secret,
        secret.hex().encode(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
        secret.decode("latin-1").encode("utf-16-le"),
        repr(secret)[2:-1].encode(),
        str(list(secret)).encode(),
    }


def hits(told: Told, content: bytes) -> list[bytes]:
    secrets = [DATA.encode(), PROMPT.encode(), PASSWORD.encode(), *told.seeds]
    return [secret for secret in secrets if any(form in content for form in forms(secret))]


def test_no_file_holds_it(told: Told) -> None:
    """Neither ledger nor read models, vault, openings, key files or what was left among temporary files."""
    files = [path for path in told.folder.rglob("*") if path.is_file() and path.name != "password"]
    assert {"log.db", "views.duckdb", "ledger.json"} <= {path.name for path in files}
    assert {str(path): hits(told, path.read_bytes()) for path in files if hits(told, path.read_bytes())} == {}
    assert not [path for path in told.folder.rglob("*") if hits(told, path.name.encode())]
    assert list((told.folder / "tmp").iterdir()) == []


def test_nothing_that_ran_showed_it(told: Told) -> None:
    """Neither arguments nor environments of any process, nor temporary files, while it ran."""
    shown = "\0".join(told.seen)
    assert "canary_agents:answer" in shown  # the agents' processes were seen
    assert hits(told, shown.encode()) == []


def test_nobody_was_told_it(told: Told) -> None:
    """Neither errors, their causes and tracebacks, nor logs, reprs, rows and pages."""
    assert len(told.texts) > 8
    assert [text for text in told.texts if hits(told, text.encode())] == []


def test_the_command_does_not_say_it(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    """What the verbs print, of the room and when they fail."""
    room = ["--room", str(told.folder / "room")]
    uri = f"encrypted-file:{told.folder}/room/keys/wallet.json?password-file={told.folder}/password"
    wrong = f"encrypted-file:{told.folder}/room/keys/wallet.json?password-file={told.folder}/room/keys/ledger.uri"
    assert main(["status", *room, "--json"]) == 0
    assert main(["sql", "FROM records", *room]) == 0
    assert main(["show", "entry", "0", *room]) == 0
    assert main(["audit", *room]) == 0
    assert main(["key", "show", uri]) == 0
    assert main(["key", "show", wrong]) == 6
    printed = capsys.readouterr()
    assert hits(told, (printed.out + printed.err).encode()) == []


def test_the_search_finds_what_it_looks_for(told: Told) -> None:
    """Each form of each secret would have been found."""
    for secret in (DATA.encode(), *told.seeds):
        for form in forms(secret):
            assert secret in hits(told, b"before " + form + b" after")
    assert sys.platform != "linux" or told.seen
