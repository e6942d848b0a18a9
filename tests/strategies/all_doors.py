"""The list of doors (:mod:`strategies.doors`): what is read from files, from the wire, and from a database's own pages."""

from __future__ import annotations

import io
import socket
import socketserver
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, suppress
from functools import partial
from pathlib import Path
from typing import Any

from proofroom.adapters.agents import summarise_calendar
from proofroom.adapters.anchors import HttpAnchor
from proofroom.adapters.ledger import LOG, VIEWS, Ledger
from proofroom.adapters.published import PublishedLog, audit_published
from proofroom.adapters.witness import make_server
from proofroom.adapters.witnessing import WitnessAddress, ask
from proofroom.domain import hashing
from proofroom.domain.cosigning import Request, write_request
from proofroom.domain.snapshot import encode_state
from proofroom.domain.verifier.note import parse_key
from proofroom.testing.keys import key
from strategies.arguments import VERBS, arguments
from strategies.doors import Door, check_same, in_file, run
from strategies.juries import make_validator
from strategies.stage import BLOB, LOG_KEY, SCOPE, WITNESS_KEY, Stage, vault_of, witness_of

ROOM = ("--room", "room", "--json")

VERIFY = ("verify", "entry.json", "--json", "--key", LOG_KEY)

FILES = [
    in_file("envelopes.jsonl", "submit", "envelopes.jsonl", *ROOM),
    in_file("wire.jsonl", "submit", "wire.jsonl", *ROOM),
    in_file("entry.json", *VERIFY),
    in_file("entry.tlog-proof", "verify", "entry.tlog-proof", "--json", "--key", LOG_KEY),
    in_file("era.json", "verify", "era.json", "--json"),
    in_file("room.checkpoint", *VERIFY, "--checkpoint", "room.checkpoint"),
    in_file("policy", "verify", "entry.json", "--json", "--policy", "policy"),
    in_file("www/checkpoint", "audit", "--from-tiles", "www", "--json"),
    in_file("www/tile/0/*", "audit", "--from-tiles", "www", "--json"),
    in_file("www/tile/entries/*", "audit", "--from-tiles", "www", "--json"),
    in_file("seen/seen", "monitor", "www", "--state", "seen", "--key", LOG_KEY, "--once", "--grace", "1e9", "--json"),
    in_file("progress", "audit", "--resume", "progress", *ROOM),
    in_file("room/keys/ledger.json", "tick", *ROOM),
    in_file("room/keys/signed-head", "tick", *ROOM),
    in_file("enc.json", "key", "show", "encrypted-file:enc.json?password-env=DOOR_PASSWORD", "--json"),
    in_file("vote.json", "accuse", "vote.json", "vote.json", "--key", "file:v.json", *ROOM),
    in_file("era-described.json", "settle", "era-described.json", "--json"),
    in_file("anchors/*", "anchor", "--to", "file:anchors", *ROOM),
]


# --- other ways than a file that a command reads


def _stdin(here: Stage, data: bytes) -> None:
    run(here, "submit", "-", *ROOM, stdin=data)


def _sql(here: Stage, data: bytes) -> None:
    run(here, "sql", "--json", "--room", "missing", stdin=data)


def _arguments(here: Stage, data: bytes) -> None:
    words, may_run = arguments(data)
    run(here, *words, *(() if may_run else ("--help",)))


def _uri(here: Stage, data: bytes) -> None:
    """Where a key is. What would start a program is not tried."""
    if not data.strip().startswith(b"exec:"):
        here.write("room/keys/ledger.uri", data)
        run(here, "tick", *ROOM)


def _in_vault(part: str, here: Stage) -> list[bytes]:
    return [data for name, data in sorted(here.honest.items()) if name.startswith("vault/") and f"/{part}/" in name]


def _vault(part: str, here: Stage, data: bytes) -> None:
    """What the host keeps of a vault: read by whoever holds a key."""
    name = next(name for name in sorted(here.honest) if name.startswith("vault/") and f"/{part}/" in name)
    here.write(name, data)
    vault = vault_of(here.folder)
    before = here.files()
    try:
        if vault.get(SCOPE, BLOB, key("wallet")) != b"Dentist, Kantstrasse 12":
            raise AssertionError("another content was believed")
        vault.manifest(SCOPE)
        vault.admit(SCOPE, key("wallet"), [key("wallet-2").keyid])
    except BaseException:
        check_same(before, here.files())
        raise


def _journal(here: Stage, data: bytes) -> None:
    """The vote that a validator wrote down, and what a meter handed out."""
    state = next(state for state in here.history.states if state.rounds)
    ((_, number), round) = next(iter(state.rounds.items()))
    with Ledger.open(here.folder / "room", read_only=True) as ledger:
        mine = make_validator(ledger, here.folder / "v", 0)
        here.write(f"v/journal-0/{round.digest.hex()}.json", data)
        here.write(f"v/observations/{round.records[0].id.hex()}/{'0' * 64}.json", data)
        here.write(f"v/journal-0/round-{number}.txt", data)
        mine._claim(number, round)
        assert mine._written(round) is not None
        mine.judge(round)


def _votes(here: Stage) -> list[bytes]:
    return [b'{"assigned":1,"clean":true}', here.honest["vote.json"]]


def _secret(here: Stage, data: bytes) -> None:
    here.write("v/secret", data)
    options = (
        "--cluster",
        "dragon-1",
        "--key",
        "v.json",
        "--home",
        "v",
        "--observations",
        "v",
        "--believe",
        key("gateway").keyid,
    )
    run(here, "validator", *options, "--once", *ROOM)


def _calendar(here: Stage, data: bytes) -> None:
    summarise_calendar(data)


# --- databases


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


def _pages(here: Stage, data: bytes) -> None:
    """The log's file, byte by byte. The first byte says which command reads it."""
    here.write(f"room/{LOG}", patched(here.honest[f"room/{LOG}"], data[1:]))
    run(here, *ON_A_LOG[(data or b"\0")[0] % len(ON_A_LOG)])


def _rows(here: Stage, data: bytes) -> None:
    """The same, changed through SQLite."""
    edit_rows(here.folder / "room" / LOG, data[1:])
    run(here, *ON_A_LOG[(data or b"\0")[0] % len(ON_A_LOG)])


def _query(here: Stage, data: bytes) -> None:
    """The receipt of a query; its tables are made anew."""
    here.write("query.json", data)
    run(here, "verify", "query.json", *ROOM)


def _query_seed(here: Stage) -> list[bytes]:
    here.make_views()
    return [here.honest["query.json"]]


def _views(here: Stage, data: bytes) -> None:
    """The read models' file."""
    here.make_views()
    here.write(f"room/{VIEWS}", patched(here.honest[f"room/{VIEWS}"], data))
    run(here, "sql", "SELECT count(*) AS n FROM balances", *ROOM)


def _snapshot(here: Stage, data: bytes) -> None:
    """The state that the log keeps, so that opening replays little: not believed unless the ledger signed it."""
    with closing(sqlite3.connect(here.folder / "room" / LOG)) as connection, connection:
        connection.execute("INSERT INTO snapshots VALUES (?, ?)", [len(here.history.entries), data])
    assert run(here, "tick", *ROOM).status == 0


def _snapshots(here: Stage) -> list[bytes]:
    return [encode_state(state, bytes(32)) for state in (here.history.states[5], here.history.state)]


def _sealed(here: Stage, data: bytes) -> None:
    """What stands beside a sealed copy of the read models: whoever makes the next one looks whether it is of the log as it stands."""
    run(here, "snapshot", "sealed", "--no-parquet", *ROOM)
    (manifest,) = (path for path in (here.folder / "sealed").glob("*/snapshot.json") if not path.parent.is_symlink())
    here.write(str(manifest.relative_to(here.folder)), data)
    assert run(here, "snapshot", "sealed", "--no-parquet", *ROOM).status == 0


def _progress(here: Stage, data: bytes) -> None:
    """What an audit keeps, under a digest that is right."""
    here.write("progress", hashing.digest(hashing.AUDIT_PROGRESS, data) + data)
    run(here, "audit", "--resume", "progress", *ROOM)


def _witness_state(here: Stage, data: bytes) -> None:
    here.write("w.db", patched(here.honest["w.db"], data))
    witness = witness_of(here.folder)  # which makes its table where there is none
    before = here.files()
    witness.heads()
    check_same(before, here.files())


# --- the wire


class _Answering(socketserver.TCPServer):
    """Answers every request by the same bytes, and hangs up."""

    allow_reuse_address = True

    def __init__(self, data: bytes) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    self.request.recv(65_536)
                    self.request.sendall(data)

        super().__init__(("127.0.0.1", 0), Handler)


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    """A server in a thread; its port."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_address[1])  # type: ignore[index]
        finally:
            server.shutdown()
            thread.join()


def _answered(client: Callable[[Stage, str], object], here: Stage, data: bytes) -> None:
    """What a server elsewhere says to us: the whole of its answer."""
    before = here.files()
    with serving(_Answering(data)) as port:
        try:
            client(here, f"http://127.0.0.1:{port}")
        finally:
            check_same(before, here.files())


def _ask_witness(here: Stage, url: str) -> None:
    with Ledger.open(here.folder / "room", read_only=True) as ledger:
        ask(ledger.store, here.honest["room.checkpoint"].decode(), WitnessAddress(url, parse_key(WITNESS_KEY)))


def _read_tiles(here: Stage, url: str) -> None:
    audit_published(PublishedLog(url))


def _anchor(here: Stage, url: str) -> None:
    HttpAnchor(url).keep("name", b"data")


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def _to_witness(here: Stage, data: bytes) -> None:
    """A whole request to a witness. It answers or hangs up, and cosigns what extends afterwards as before."""
    witness = witness_of(here.folder)
    before, told = here.files(), io.StringIO()
    with redirect_stderr(told), serving(make_server(witness)) as port, _connected(port) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        said = b"".join(iter(partial(connection.recv, 65_536), b""))
    assert "Traceback" not in told.getvalue(), told.getvalue()
    assert not said or b"HTTP/1." in said[:20] or b"Error response" in said, said  # HTTP/0.9 has no status line
    if b" 200 OK" not in said:
        check_same(before, here.files())


def _requests(here: Stage) -> list[bytes]:
    body = write_request(Request(0, (), here.honest["room.checkpoint"].decode()))
    return [b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)]


def _response(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def _every_verb(_: Stage) -> list[bytes]:
    return [bytes([i, *range(3 * i, 3 * i + 12)]) for i in range(len(VERBS))]


DOORS: dict[str, Door] = {
    door.name: door
    for door in (
        *FILES,
        Door("stdin", _stdin, lambda here: [here.honest["envelopes.jsonl"]]),
        Door("sql", _sql, lambda _: [b"SELECT 1"]),
        Door("arguments", _arguments, _every_verb),
        Door("uri", _uri, lambda _: [b"file:ledger.json", b"encrypted-file:../../enc.json?password-env=DOOR_PASSWORD"]),
        *(
            Door(f"vault-{part}", partial(_vault, part), partial(_in_vault, part))
            for part in ("epochs", "names", "blobs")
        ),
        Door("validator", _journal, _votes),
        Door("secret", _secret, lambda here: [here.honest["v/secret"]]),
        Door("calendar", _calendar, lambda here: [here.honest["calendar.ics"]]),
        Door("log-pages", _pages, lambda _: [bytes([i, 0, 16 * i, i, i]) for i in range(len(ON_A_LOG))]),
        Door("log-rows", _rows, lambda _: [bytes([i % 9, 255, 0, 0, i]) for i in range(len(SCHEMAS))]),
        Door("snapshot", _snapshot, _snapshots),
        Door("sealed", _sealed, lambda _: [b"{}"]),
        Door("progress-inside", _progress, lambda here: [here.honest["progress"][32:]]),
        Door("query", _query, _query_seed),
        Door("views", _views, lambda _: [b"=", b"<\0\x20\0", b"\0\x10\0\1"]),
        Door("witness-state", _witness_state, lambda _: [b"=", b"<\0\x10\0", b"\0\x10\0\1"]),
        Door("witness-request", _to_witness, _requests),
        Door("witness-answer", partial(_answered, _ask_witness), lambda here: [_response(here.honest["cosignature"])]),
        Door("tiles-answer", partial(_answered, _read_tiles), lambda here: [_response(here.honest["www/checkpoint"])]),
        Door("anchor-answer", partial(_answered, _anchor), lambda _: [_response(b"", b"201 Created")]),
    )
}
"""Every door, by its name."""

SLOW = {"query", "sealed", "stdin", "views"}
"""Doors behind which processes are started or all tables made, for a second or two."""
