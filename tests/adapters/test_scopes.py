"""An agent that was granted ``calendar`` tries to read ``health``, with all that it holds and all that a host's disk holds."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proofroom.adapters import sealing
from proofroom.adapters.cast import Cast
from proofroom.adapters.keys import Key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.runtime import AgentRuntime
from proofroom.adapters.supervisor import Agent
from proofroom.adapters.vault import NAME, WRAPS, Vault, unseal
from proofroom.domain import hashing
from proofroom.domain.canonical import encode
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import Malformed, VaultUnavailable
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import pae

CALENDAR, HEALTH = "v-7c21 / calendar", "v-7c21 / health"
SECRET = b"canary-4711: blood group, diagnosis"


class Heist:
    """A room with both scopes, and what the agent has of it: its own keys, and a copy of every file that is not a key of others."""

    def __init__(self, folder: Path) -> None:
        keys: dict[str, Key] = {}
        derived = f"derived {CALENDAR}"

        def key(name: str) -> Key:
            if name.startswith("derived "):
                name = derived
            if name not in keys:
                keys[name] = key("agent-service").derive(CALENDAR) if name == derived else Key.generate()
            return keys[name]

        self.ledger = Ledger.create(folder / "room")
        self.cast = Cast(self.ledger.id, self.ledger.store.clock, key)
        self.ledger.append_many(self.cast.consent())
        self.vault = Vault(folder / "vault", self.cast.user.keyid)
        for _ in range(2):  # an epoch that ended, too
            self.vault.start_epoch(CALENDAR, self.cast.user, [self.cast.derived.keyid])
            self.vault.start_epoch(HEALTH, self.cast.user, [])
            self.vault.put(CALENDAR, "calendar.ics", b"Dentist", self.cast.user)
            self.vault.put(HEALTH, "records", SECRET, self.cast.user)
            self.vault.put(HEALTH, "calendar.ics", SECRET, self.cast.user)
        agent, reader = self.cast.agent, self.cast.derived
        self.keys = [
            agent,
            reader,
            agent.derive(HEALTH),
            reader.derive(HEALTH),
            agent.derive(HEALTH, 1),
            agent.derive(""),
        ]
        self.files = [p for p in folder.rglob("*") if p.is_file() and p.parent.name != "keys"]

    def blobs(self, scope: str) -> Iterator[bytes]:
        for address in self.vault.storage.blobs.sizes(f"{self.vault.storage.scope_folder(scope)}/blobs"):
            yield b"".join(self.vault.storage.blobs.read(f"{self.vault.storage.scope_folder(scope)}/blobs/{address}"))

    def wraps(self) -> Iterator[bytes]:
        """Every sealed scope key on the disk, whomever it is for."""
        for scope in (CALENDAR, HEALTH):
            for epoch in range(self.vault.epochs(scope)):
                path = self.vault.storage.scope_folder(scope)
                envelope = json.loads(b"".join(self.vault.storage.blobs.read(f"{path}/epochs/{epoch}")))
                payload = json.loads(__import__("base64").b64decode(envelope["payload"]))
                yield from (bytes.fromhex(wrap) for wrap in payload["wraps"].values())

    def scope_keys(self) -> set[bytes]:
        """All that opens, and all that could be made of what opens."""
        opened = set()
        for key, wrap in itertools.product(self.keys, self.wraps()):
            try:
                opened.add(unseal(key, wrap))
            except VaultUnavailable:
                continue
        seeds = [key.seed_for_saving() for key in self.keys] + [key.exchange_key() for key in self.keys]
        made = {
            hashing.digest(context, secret, name)
            for context in (NAME, hashing.AGENT_KEY, hashing.BLOB)
            for secret in (*opened, *seeds)
            for name in (b"", HEALTH.encode(), b"\0" * 8 + HEALTH.encode())
        }
        return opened | made | set(seeds)


@pytest.fixture
def heist(tmp_path: Path) -> Iterator[Heist]:
    """Everything in place."""
    heist = Heist(tmp_path)
    yield heist
    heist.ledger.close()


def test_the_agent_reads_what_it_was_granted(heist: Heist) -> None:
    """The attack below fails for a reason: the same means do open the calendar."""
    assert heist.vault.get(CALENDAR, "calendar.ics", heist.cast.derived) == b"Dentist"
    bound = encode({"vault_scope": CALENDAR, "epoch": 1, "name": "calendar.ics"})
    assert any(opens(blob, key, bound) for blob in heist.blobs(CALENDAR) for key in heist.scope_keys())


def opens(blob: bytes, key: bytes, bound: bytes) -> bool:
    try:
        return b"".join(sealing.decrypt([blob], key, bound)) is not None
    except sealing.NotSealed:
        return False


def test_no_key_it_has_or_makes_opens_a_blob(heist: Heist) -> None:
    """Every key against every blob of health, under every name, epoch and scope that it could stand for."""
    bounds = [
        encode({"vault_scope": scope, "epoch": epoch, "name": name})
        for scope in (CALENDAR, HEALTH)
        for epoch in (0, 1)
        for name in ("records", "calendar.ics")
    ]
    tries = itertools.product(heist.blobs(HEALTH), heist.scope_keys(), [*bounds, b""])
    assert not any(opens(*attempt) for attempt in tries)


def test_the_vault_gives_it_nothing(heist: Heist) -> None:
    """With the wraps, names and blobs of either scope copied over the other's, and with wraps that it signed itself."""
    vault, folder = heist.vault, Path(heist.vault.storage.blobs.folder)  # type: ignore[attr-defined]  # blobs in a folder
    calendar, health = (folder / vault.storage.scope_folder(scope) for scope in (CALENDAR, HEALTH))
    aside = folder.parent / "aside"
    shutil.copytree(folder, aside)
    changes: list[tuple[Path, Path]] = [
        (health, health),
        *((calendar / part, health / part) for part in ("epochs", "names", "blobs")),
        *((health / part, calendar / part) for part in ("epochs", "names", "blobs")),
    ]
    for source, target in changes:
        if source != target:
            shutil.copytree(source, target, dirs_exist_ok=True)
        assert_nothing(heist)
        shutil.rmtree(folder)
        shutil.copytree(aside, folder)
    scope_key = unseal(heist.cast.derived, vault._wraps(CALENDAR, 1)[heist.cast.derived.keyid])
    for signer in heist.keys:
        (health / "epochs" / "1").write_bytes(forged(signer, scope_key, heist))
        assert_nothing(heist)


def forged(signer: Key, scope_key: bytes, heist: Heist) -> bytes:
    from proofroom.adapters.vault import seal

    wraps: dict[str, Any] = {key.keyid: seal(key.keyid, scope_key).hex() for key in heist.keys}
    payload = encode({"vault_scope": HEALTH, "epoch": 1, "wraps": wraps})
    signature = Signature(signer.keyid, signer.sign(pae(WRAPS, payload)))
    return Envelope(WRAPS, payload, (signature,)).to_json()


def assert_nothing(heist: Heist) -> None:
    for scope, name, key in itertools.product((HEALTH, CALENDAR), ("records", "calendar.ics"), heist.keys):
        try:
            got = heist.vault.get(scope, name, key)
        except (VaultUnavailable, Malformed):
            continue
        assert got == b"Dentist"


def test_no_file_says_it_in_clear(heist: Heist) -> None:
    """Neither the ledger's files nor the vault's hold it, in any plain form."""
    assert heist.ledger.size > 3
    for path in heist.files:
        content = path.read_bytes()
        assert not any(form in content for form in (SECRET, SECRET.hex().encode(), SECRET[:12], SECRET[::-1]))


def test_nor_does_its_run(heist: Heist, tmp_path: Path) -> None:
    """Inside the runtime it has no key at all, and where the kernel confines files it sees neither vault nor ledger."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "thief.py").write_text(
        "import os\n"
        "def steal(data):\n"
        "    found = []\n"
        "    for line in data.decode().splitlines() + ['/proc/%d/environ' % os.getppid()]:\n"
        "        try: found.append(open(line, 'rb').read())\n"
        "        except OSError: pass\n"
        "    return repr(found).encode()\n"
    )
    targets = "\n".join(str(path) for path in tmp_path.rglob("*") if path.is_file())
    heist.vault.put(CALENDAR, "targets", targets.encode(), heist.cast.user)
    runtime = AgentRuntime(heist.vault, paths=[tmp_path / "code"])
    run = runtime.run(Agent("thief:steal"), CALENDAR, "targets", heist.cast.derived)
    got = heist.vault.get_result(CALENDAR, run.result_hash, heist.cast.user)
    assert SECRET not in got
    if run.confinement["files"] == "kernel":
        assert got.count(b"BLOB") == 0
        assert heist.cast.derived.seed_for_saving() not in got
        assert len(got) < 2_000  # its own code, and that is all
