"""A stage on which every door can be tried: a folder with honest files of all kinds, put right again after each try.

All of it follows from :func:`~strategies.forging.proven_history` and from keys that follow from their names, so that bytes which were
interesting once stay so.
"""

from __future__ import annotations

from contextlib import closing
from importlib import resources
from pathlib import Path

import orjson

from proofroom.adapters.anchors import FolderAnchor, anchor_newest
from proofroom.adapters.audit import audit
from proofroom.adapters.cli.settle import EXAMPLE
from proofroom.adapters.keyfile import Cost, save_encrypted
from proofroom.adapters.keys import save_key
from proofroom.adapters.ledger import KEYS, LOG, VIEWS, Ledger
from proofroom.adapters.monitor import Monitor
from proofroom.adapters.proving import Prover
from proofroom.adapters.published import PublishedLog
from proofroom.adapters.publishing import publish
from proofroom.adapters.query_receipts import bind
from proofroom.adapters.signed_head import SIGNED_HEAD, SignedHead
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.vault import Vault
from proofroom.adapters.witness import Witness
from proofroom.domain.checkpoint import verifier_key
from proofroom.domain.cosigning import Request, witness_key, write_request
from proofroom.domain.verifier import Trust
from proofroom.domain.verifier.note import parse_key
from proofroom.testing.histories import ORIGIN, History, wire_grant
from proofroom.testing.keys import key
from strategies.forging import indexes, proven_history
from strategies.rooms import write_history

PASSWORD = "a password of tests"
SCOPE, BLOB = "v-7c21 / calendar", "calendar.ics"
NOW = 1_772_500_000.0
"""When whoever looks at the stage looks, in seconds UTC."""

WITNESS = "witness.example/w1"
LOG_KEY = verifier_key(ORIGIN, key("checkpoint").keyid)
WITNESS_KEY = witness_key(WITNESS, key("witness").keyid)


class Stage:
    """The folder, and what every file in it honestly holds.

    Args:
        folder: an empty folder, which is filled.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.history = folder, proven_history()
        _fill(folder, self.history)
        self.honest = self.files()

    def make_views(self) -> None:
        """Have read models in the room, and a receipt of a query to them; that takes a second, so only who wants them calls it."""
        if f"room/{VIEWS}" in self.honest:
            return
        self.restore()
        with Ledger.open(self.folder / "room", signers=()) as ledger:
            bound, _ = bind(ledger.read_models(), ledger.store, "SELECT account, balance FROM balances ORDER BY ALL")
        self.write("query.json", bound.to_json())
        self.honest = self.files()

    def files(self) -> dict[str, bytes]:
        """Every file, by its name in the folder."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}

    def restore(self) -> None:
        """Have every file as it was."""
        now = self.files()
        for name in now.keys() - self.honest.keys():
            (self.folder / name).unlink()
        for name, data in self.honest.items():
            if now.get(name) != data:
                self.write(name, data)

    def write(self, name: str, data: bytes) -> None:
        """Put other bytes into a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # another process may have the old one open
        path.write_bytes(data)


def witness_of(folder: Path) -> Witness:
    """The stage's witness."""
    return Witness(folder / "w.db", WITNESS, key("witness"), {ORIGIN: key("checkpoint").keyid}, clock=lambda: int(NOW))


def monitor_of(folder: Path) -> Monitor:
    """The stage's monitor."""
    trust = Trust(keys=(parse_key(LOG_KEY),))
    return Monitor(PublishedLog(str(folder / "www")), folder / "seen", trust=trust, grace_seconds=1e9)


def vault_of(folder: Path) -> Vault:
    """The stage's vault."""
    return Vault(folder / "vault", key("wallet").keyid)


def _fill(folder: Path, history: History) -> None:
    _make_room(folder / "room", history)
    with closing(SqliteStore(folder / "room" / LOG, read_only=True)) as store:
        prover = Prover(store, key("checkpoint").keyid)
        _write_proofs(folder, prover)
        _write_envelopes(folder, history)
        publish(store, folder / "www")
        request = write_request(Request(0, (), prover.note))
        (folder / "cosignature").write_text(witness_of(folder).add_checkpoint(request))
        monitor_of(folder).look()
        audit(store, resume=folder / "progress")
        anchor_newest(store, [FolderAnchor(folder / "anchors")])
    _fill_vault(vault_of(folder))
    save_encrypted(folder / "enc.json", bytes(32), PASSWORD.encode(), Cost(1, 8 * 2**20))
    save_key(folder / "v.json", key("validator-0").seed_for_saving())
    (folder / "v").mkdir()
    (folder / "v" / "secret").write_text("07" * 32)
    (folder / "policy").write_text(f"log {LOG_KEY}\nwitness w {WITNESS_KEY}\ngroup g 1 w\nquorum none\n")
    example = resources.files("proofroom.adapters").joinpath(EXAMPLE)
    (folder / "era-described.json").write_bytes(example.read_bytes())
    (folder / "calendar.ics").write_bytes(resources.files("proofroom.adapters").joinpath("sample.ics").read_bytes())


def _make_room(room: Path, history: History) -> None:
    room.mkdir()
    write_history(history, room / LOG)
    for name in ("ledger", "checkpoint"):
        save_key(room / KEYS / f"{name}.json", key(name).seed_for_saving())
    with Ledger.open(room) as ledger:
        head, tree = SignedHead(room / KEYS / SIGNED_HEAD), ledger._head.tree
        head.begin(tree, tree, ledger.store.node)
        head.end(given=True)
        head.close()


def _write_proofs(folder: Path, prover: Prover) -> None:
    work = orjson.loads(proven_history().entries[indexes("activity")[3]].verified.envelope.payload)["record_id"]
    for name, data in {
        "entry.json": prover.entry(5),
        "entry.tlog-proof": prover.receipt(5).to_tlog_proof().encode(),
        "paid.json": prover.payout(work),
        "era.json": prover.era("dragon-1", 1),
        "room.checkpoint": prover.note.encode(),
    }.items():
        (folder / name).write_bytes(data)


def _write_envelopes(folder: Path, history: History) -> None:
    """What parties might send: statements that the room has, a new one, a grant as wallets in the field send it; a vote by itself."""
    kinds = ("genesis", "grant", "activity", "vote-committed", "payout")
    known = [next(e for e in history.entries if e.statement.kind == kind).verified.envelope for kind in kinds]
    cast = history.cast
    new = [cast.deposit(cast.user.keyid, 7, reference="stage"), wire_grant(history, key("wallet-2"), "v-2")]
    for name, sent in {
        "envelopes.jsonl": [*known, *new],
        "wire.jsonl": new[1:],
        "deposit.jsonl": new[:1],
        "vote.json": known[3:4],
    }.items():
        (folder / name).write_bytes(b"".join(envelope.to_json() + b"\n" for envelope in sent))


def _fill_vault(vault: Vault) -> None:
    vault.start_epoch(SCOPE, key("wallet"), [key("agent").keyid])
    vault.put(SCOPE, BLOB, b"Dentist, Kantstrasse 12", key("wallet"))
