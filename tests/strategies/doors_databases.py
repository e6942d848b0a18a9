"""Doors of databases: the log, the read models and what others keep in files of their own, changed page by page, row by row, or whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from proofroom.adapters.ledger import LOG, VIEWS
from proofroom.adapters.witness import answer
from proofroom.domain import hashing
from proofroom.domain.cosigning import Request, write_request
from proofroom.domain.snapshot import encode_state
from strategies.doors import ROOM, check_same, run
from strategies.stage import Stage, witness_of


def patched(honest: bytes, data: bytes) -> bytes:
    """What bytes make of a file: ``=`` other content, ``<`` its beginning, else places (three bytes each) that hold another byte."""
    if data[:1] == b"=":
        return data[1:]
    if data[:1] == b"<":
        return honest[: int.from_bytes(data[1:4], "big") % (len(honest) + 1)]
    changed = bytearray(honest)
    for at in range(0, len(data) - 3, 4):
        changed[int.from_bytes(data[at : at + 3], "big") % len(honest)] = data[at + 3]
    return bytes(changed)


VALUES: tuple[Any, ...] = (
    None, 0, 1, -1, 2**53, 2**63 - 1, -(2**63), 1.5, "", "x", "0", b"", b"\0", b"\xff" * 32, b"\xff" * 5_000, b"{}",
    "application/vnd.x", "é",
)  # fmt: skip

SCHEMAS = (
    "DROP TABLE checkpoints", "DROP TABLE snapshots", "DROP TABLE log", "ALTER TABLE log RENAME COLUMN nodes TO hashes",
    "DELETE FROM checkpoints",
    "DELETE FROM log", "DELETE FROM log WHERE log_index = 3", "PRAGMA user_version = 2", "PRAGMA application_id = 7",
    "CREATE TABLE more (x)",
    "ALTER TABLE checkpoints ADD COLUMN more", "UPDATE log SET log_index = log_index + 1000", "UPDATE checkpoints SET size = -size",
    "CREATE VIEW v AS SELECT * FROM v", "DELETE FROM log WHERE log_index = 146",
)  # fmt: skip

TABLES = ("log", "checkpoints", "snapshots")


def edit_rows(path: Path, data: bytes) -> None:
    """Change a database through SQLite, as bytes say: four each, table, column, row and value; 255 in the first for another schema."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for at in range(0, min(len(data) - 3, 32), 4):
            table, column, row, value = data[at : at + 4]
            with suppress(sqlite3.Error), connection:  # a change that the file itself does not take
                if table == 255:
                    connection.execute(SCHEMAS[value % len(SCHEMAS)])
                    continue
                name = TABLES[table % len(TABLES)]
                names = [found[1] for found in connection.execute(f"PRAGMA table_info({name})")]
                if not names:
                    continue  # an earlier change took the table away
                where = f"rowid = (SELECT rowid FROM {name} LIMIT 1 OFFSET ? % (SELECT count(*) FROM {name}))"
                connection.execute(
                    f"UPDATE {name} SET {names[column % len(names)]} = ? WHERE {where}",
                    (VALUES[value % len(VALUES)], row),
                )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


ON_A_LOG: tuple[tuple[str, ...], ...] = (
    ("status", *ROOM),
    ("tick", *ROOM),
    ("submit", "deposit.jsonl", *ROOM),
    ("audit", *ROOM),
    ("show", "entry", "5", "--proof", *ROOM),
    ("receipt", "era", "dragon-1", "1", "--room", "room", "-o", "out"),
    ("publish", "www", *ROOM),
    ("monitor", "room", "--state", "seen", "--once", "--json"),
    ("checkpoint", *ROOM),
)


def pages(here: Stage, data: bytes) -> None:
    """The log's file, byte by byte. The first byte says which command reads it."""
    here.write(f"room/{LOG}", patched(here.honest[f"room/{LOG}"], data[1:]))
    run(here, *ON_A_LOG[(data or b"\0")[0] % len(ON_A_LOG)])


def rows(here: Stage, data: bytes) -> None:
    """The same, changed through SQLite."""
    edit_rows(here.folder / "room" / LOG, data[1:])
    run(here, *ON_A_LOG[(data or b"\0")[0] % len(ON_A_LOG)])


def query(here: Stage, data: bytes) -> None:
    """The receipt of a query; its tables are made anew."""
    here.write("query.json", data)
    run(here, "verify", "query.json", *ROOM)


def query_seed(here: Stage) -> list[bytes]:
    here.make_views()
    return [here.honest["query.json"]]


def views(here: Stage, data: bytes) -> None:
    """The read models' file."""
    here.make_views()
    here.write(f"room/{VIEWS}", patched(here.honest[f"room/{VIEWS}"], data))
    run(here, "sql", "SELECT count(*) AS n FROM balances", *ROOM)


def snapshot(here: Stage, data: bytes) -> None:
    """The state that the log keeps, so that opening replays little: not believed unless the ledger signed it."""
    with closing(sqlite3.connect(here.folder / "room" / LOG)) as connection, connection:
        connection.execute("INSERT INTO snapshots VALUES (?, ?)", [len(here.history.entries), data])
    assert run(here, "tick", *ROOM).status == 0


def snapshots(here: Stage) -> list[bytes]:
    return [encode_state(state, bytes(32)) for state in (here.history.states[5], here.history.state)]


def sealed(here: Stage, data: bytes) -> None:
    """What stands beside a sealed copy of the read models: whoever makes the next one looks whether it is of the log as it stands."""
    run(here, "snapshot", "sealed", "--no-parquet", *ROOM)
    (manifest,) = (path for path in (here.folder / "sealed").glob("*/snapshot.json") if not path.parent.is_symlink())
    here.write(str(manifest.relative_to(here.folder)), data)
    assert run(here, "snapshot", "sealed", "--no-parquet", *ROOM).status == 0


def progress(here: Stage, data: bytes) -> None:
    """What an audit keeps, under a digest that is right."""
    here.write("progress", hashing.digest(hashing.AUDIT_PROGRESS, data) + data)
    run(here, "audit", "--resume", "progress", *ROOM)


def witness_rows(here: Stage, data: bytes) -> None:
    """Any value in place of the size and of the root that a witness remembers: it cosigns what extends them, or nothing."""
    size, root, old = (*data[:3], 0, 0, 0)[:3]
    with closing(sqlite3.connect(here.folder / "w.db")) as connection, connection:
        connection.execute(
            "UPDATE heads SET size = ?, root = ?", [VALUES[size % len(VALUES)], VALUES[root % len(VALUES)]]
        )
    before = here.files()
    note = here.honest["room.checkpoint"].decode()
    said = answer(witness_of(here.folder), write_request(Request(old, tuple(bytes(32) for _ in data[3:20]), note)))
    assert said.status in HTTPStatus
    assert said.status != HTTPStatus.OK or old == 0
    if said.status != HTTPStatus.OK:
        check_same(before, here.files())


def witness_state(here: Stage, data: bytes) -> None:
    here.write("w.db", patched(here.honest["w.db"], data))
    witness = witness_of(here.folder)  # which makes its table where there is none
    before = here.files()
    witness.heads()
    check_same(before, here.files())
