"""One durable signed append (A) against one bare ``Application.save`` of the eventsourcing library on SQLite (B)."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.compare import compare, measure
from benchmarks.room import build, cast_of
from proofroom.adapters.ledger import Ledger

COUNT = 500


class Vault(Aggregate):
    """An aggregate with one event of about the same content."""

    @event("Opened")
    def __init__(self, user: str, vault: str) -> None:
        self.user, self.vault = user, vault


def append_each(folder: Path) -> None:
    """Side A: a signed ``vault-opened`` a call."""
    build(folder / "room")
    with Ledger.open(folder / "room") as ledger:
        cast = cast_of(ledger, folder / "room")
        envelopes = []
        for i in range(COUNT):
            cast.vault = f"v-{i}"
            envelopes.append(cast.open_vault().to_json())

        def work() -> None:
            for envelope in envelopes:
                ledger.append(envelope)

        measure(work)


def save_each(folder: Path) -> None:
    """Side B: an aggregate with one event a call."""
    env = {**os.environ, "PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "bare.db")}
    application: Application[UUID] = Application(env=env)
    vaults = [Vault("ed25519:" + "0" * 64, f"v-{i}") for i in range(COUNT)]

    def work() -> None:
        for vault in vaults:
            application.save(vault)

    measure(work)
    application.close()


def main(runs: int = 5) -> None:
    """Print the figure."""
    with tempfile.TemporaryDirectory() as name:
        samples = compare(
            "one durable signed append against a bare Application.save on SQLite",
            __spec__.name,
            ("append", name),
            ("save", name),
            goal=0.5,
            per=COUNT,
            runs=runs,
        )
        print(samples)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["append", folder]:
            append_each(Path(tempfile.mkdtemp(dir=folder)))
        case ["save", folder]:
            save_each(Path(tempfile.mkdtemp(dir=folder)))
        case rest:
            main(*map(int, rest))
