"""A person's payloads are erased: they are gone, the ledger says so, and everything else stays what it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.cast import Cast
from proofroom.adapters.cli import main
from proofroom.adapters.demo import DemoResult, run_demo
from proofroom.adapters.erasing import Eraser
from proofroom.adapters.keys import Key, load_key, load_or_create_key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.openings import Openings
from proofroom.adapters.pages import find_entries
from proofroom.adapters.rekeying import follow_consent
from proofroom.adapters.runtime import AgentRuntime
from proofroom.adapters.supervisor import Agent
from proofroom.adapters.vault import Vault
from proofroom.domain.authorisation import authorise
from proofroom.domain.commitment import Opening
from proofroom.domain.envelope import sign
from proofroom.domain.errors import AlreadyRecorded, GrantRevoked, NotOwner, PayloadErased, VaultUnavailable
from proofroom.domain.ids import from_ms
from proofroom.domain.readers import readers_in_force
from proofroom.domain.receipt import verify_receipt
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.consent import AgentKey

SCOPE = "v-7c21 / calendar"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """A room in which an agent worked and was paid for."""
    return run_demo(tmp_path_factory.mktemp("erasing") / "room")


@pytest.fixture
def room(ran: DemoResult, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(ran.folder, tmp_path / "room")
    return tmp_path / "room"


@pytest.fixture
def ledger(room: Path) -> Iterator[Ledger]:
    with Ledger.open(room) as ledger:
        yield ledger


def record_of(ledger: Ledger) -> Activity:
    (found,) = find_entries(ledger, Activity)
    return found[1]


def test_all_of_a_person_is_erased_and_nothing_else(ledger: Ledger, room: Path) -> None:
    """Keys, salt and result go; receipts, balances and the audit from genesis stay, with the word ERASED."""
    wallet = load_key(room / "keys" / "wallet.json")
    vault, openings = Vault(room / "vault", wallet.keyid), Openings(room / "openings")
    record, balances, old = record_of(ledger), dict(ledger.state.balances), ledger.receipt(ledger.size - 1)
    data = vault.get(SCOPE, "calendar.ics", wallet)
    assert openings.load(record.input_commitment).is_of(data=data)

    eraser = Eraser(ledger, wallet)
    eraser.erase_input(openings, record)
    eraser.erase_result(vault, record)
    eraser.erase_epoch(vault, SCOPE, 0)

    with pytest.raises(VaultUnavailable, match="was erased"):
        openings.load(record.input_commitment)
    with pytest.raises(VaultUnavailable):
        vault.get_result(SCOPE, record.result_hash, wallet)
    for key in (wallet, load_key(room / "keys" / "agent-service.json").derive(SCOPE)):
        with pytest.raises(PayloadErased):
            vault.get(SCOPE, "calendar.ics", key)
    assert vault.storage.stored(SCOPE) == 0
    report = audit(ledger.store, against=old.note)
    assert (report.verdict, len(report.erased)) == (Verdict.VALID, 3)
    assert "ERASED: 3 payloads" in report.sentence()
    assert dict(ledger.state.balances) == balances
    founding = ledger.state.founding
    assert founding is not None
    verify_receipt(old, founding.origin, founding.checkpoint_key)


def test_no_file_of_the_room_opens_it_any_more(ledger: Ledger, room: Path) -> None:
    """After the epoch's wraps are gone no key of the room opens any blob that was kept aside, and no opening is left for the commitment."""
    wallet = load_key(room / "keys" / "wallet.json")
    vault = Vault(room / "vault", wallet.keyid)
    aside = room.parent / "aside"
    shutil.copytree(room / "vault", aside)
    Eraser(ledger, wallet).erase_epoch(vault, SCOPE, 0)
    folder = vault.storage.scope_folder(SCOPE)
    shutil.copytree(aside / folder / "blobs", room / "vault" / folder / "blobs", dirs_exist_ok=True)
    shutil.copytree(aside / folder / "names", room / "vault" / folder / "names", dirs_exist_ok=True)
    with pytest.raises(PayloadErased):
        vault.get(SCOPE, "calendar.ics", wallet)


def test_only_the_owner_erases(ledger: Ledger, room: Path) -> None:
    """A stranger's wish destroys nothing and states nothing; stating it twice is a conflict."""
    wallet, record, size = load_key(room / "keys" / "wallet.json"), record_of(ledger), ledger.size
    openings = Openings(room / "openings")
    with pytest.raises(NotOwner):
        Eraser(ledger, Key.generate()).erase_input(openings, record)
    assert openings.load(record.input_commitment).commitment() == record.input_commitment
    assert ledger.size == size
    Eraser(ledger, wallet).erase_input(openings, record)
    with pytest.raises(AlreadyRecorded):
        Eraser(ledger, wallet).erase_input(openings, record)


def test_openings_are_what_they_open(tmp_path: Path) -> None:
    """Kept, loaded, never mistaken: an altered file or one under another name is seen."""
    openings = Openings(tmp_path)
    opening = Opening.of(bytes(32), "a:b", {"wall": "kernel"}, b"data", b"result")
    commitment = openings.keep(opening)
    assert openings.load(commitment) == opening
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    for content in (b"", b"{}", file.read_bytes().replace(b"kernel", b"none")):
        file.write_bytes(content)
        with pytest.raises(VaultUnavailable, match="altered"):
            openings.load(commitment)
    openings.erase(commitment)
    openings.erase(commitment)
    assert list(tmp_path.iterdir()) == []


def test_erase_verb(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The three verbs, what show then says, and what an audit says."""
    with Ledger.open(room, read_only=True) as ledger:
        record_id = record_of(ledger).record_id
    at = ["--room", str(room)]
    assert main(["erase", "epoch", SCOPE, "0", *at, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["erased"] == "epoch 0"
    assert main(["erase", "input", record_id, *at]) == 0
    assert main(["erase", "result", record_id, *at]) == 0
    assert main(["erase", "result", record_id, *at]) == 3
    assert main(["erase", "input", "dac-0", *at]) == 3
    assert main(["erase", "epoch", SCOPE, "7", *at]) == 6
    assert main(["erase", "input", record_id, "--wallet", f"file:{room}/keys/agent-service.json", *at]) == 3
    capsys.readouterr()
    assert main(["show", "record", record_id, *at]) == 0
    page = capsys.readouterr().out
    assert "ERASED: its input" in page
    assert "ERASED: its result" in page
    assert main(["audit", *at]) == 0
    assert "ERASED" in capsys.readouterr().out


def test_keys_follow_consent(ledger: Ledger, room: Path) -> None:
    """After a revocation the wallet's next look starts an epoch without the agent; a new grant lets it read everything again."""

    def clock() -> int:
        return ledger.store.clock()

    keys: dict[str, Key] = {}

    def key(name: str) -> Key:
        if name.startswith("derived "):
            return key("agent-service").derive(SCOPE)
        return keys.setdefault(name, load_or_create_key(room / "keys" / f"{name}.json"))

    cast = Cast(ledger.id, clock, key)
    vault = Vault(room / "vault", cast.user.keyid)
    assert follow_consent(vault, SCOPE, ledger.state, cast.user, clock()) == 0
    ledger.append(cast.grant(revoked=True))
    assert follow_consent(vault, SCOPE, ledger.state, cast.user, clock()) == 1
    assert follow_consent(vault, SCOPE, ledger.state, cast.user, clock()) == 1
    vault.put(SCOPE, "later", b"4711", cast.user)
    for name in ("later", "calendar.ics"):
        with pytest.raises(VaultUnavailable, match="given no key of epoch 1"):
            vault.get(SCOPE, name, cast.derived)
    ledger.append(cast.grant())
    assert follow_consent(vault, SCOPE, ledger.state, cast.user, clock()) == 1
    assert vault.get(SCOPE, "later", cast.derived) == b"4711"
    other = cast.agent.derive("v-7c21 / health")
    ledger.append(
        sign(
            AgentKey(
                ledger=ledger.id,
                agent=cast.agent.keyid,
                vault_scope="v-7c21 / health",
                key=other.keyid,
                created_at=from_ms(clock()),
                expires_at=from_ms(clock() + 86_400_000),
            ),
            cast.agent,
            other,
        )
    )
    follow_consent(vault, SCOPE, ledger.state, cast.user, clock())
    assert vault.readers(SCOPE) == {cast.user.keyid, cast.derived.keyid}  # a key for another scope reads nothing here
    assert readers_in_force(ledger.state, "v-7c21 / health", clock()) == frozenset()  # certified, and not granted
    runtime = AgentRuntime(
        vault, permit=lambda scope: authorise(ledger.state, cast.agent.keyid, scope, "read", clock())
    )
    assert runtime.run(Agent(command=("wc", "-c")), SCOPE, "later", cast.derived).usage.gets == 1
    ledger.append(cast.grant(revoked=True))
    before = vault.storage.meters()
    with pytest.raises(GrantRevoked):  # although it still holds the key
        runtime.run(Agent(command=("wc", "-c")), SCOPE, "later", cast.derived)
    assert vault.storage.meters() == before
    ledger.append(cast.grant())
    far = clock() + 400 * 86_400_000
    assert follow_consent(vault, SCOPE, ledger.state, cast.user, far) == 2  # expired by then
