"""The list of doors (:mod:`strategies.doors`)."""

from __future__ import annotations

from functools import partial

from proofroom.adapters.agents import summarise_calendar
from proofroom.adapters.ledger import Ledger
from proofroom.testing.keys import key
from strategies import doors_databases as databases
from strategies import doors_wire as wire
from strategies.arguments import VERBS, arguments
from strategies.doors import ROOM, Door, check_same, in_file, run
from strategies.juries import make_validator
from strategies.stage import BLOB, LOG_KEY, SCOPE, Stage, vault_of

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
        Door(
            "log-pages",
            databases.pages,
            lambda _: [bytes([i, 0, 16 * i, i, i]) for i in range(len(databases.ON_A_LOG))],
        ),
        Door(
            "log-rows", databases.rows, lambda _: [bytes([i % 9, 255, 0, 0, i]) for i in range(len(databases.SCHEMAS))]
        ),
        Door("snapshot", databases.snapshot, databases.snapshots),
        Door("sealed", databases.sealed, lambda _: [b"{}"]),
        Door("progress-inside", databases.progress, lambda here: [here.honest["progress"][32:]]),
        Door("query", databases.query, databases.query_seed),
        Door("views", databases.views, lambda _: [b"=", b"<\0\x20\0", b"\0\x10\0\1"]),
        Door("witness-state", databases.witness_state, lambda _: [b"=", b"<\0\x10\0", b"\0\x10\0\1"]),
        Door("witness-rows", databases.witness_rows, lambda _: [bytes([2, 13, 1, 0]), bytes([1, 13, 0])]),
        Door("witness-request", wire.to_witness, wire.requests),
        Door(
            "witness-answer",
            partial(wire.answered, wire.ask_witness),
            lambda here: [wire.response(here.honest["cosignature"])],
        ),
        Door(
            "tiles-answer",
            partial(wire.answered, wire.read_tiles),
            lambda here: [wire.response(here.honest["www/checkpoint"])],
        ),
        Door("anchor-answer", partial(wire.answered, wire.anchor), lambda _: [wire.response(b"", b"201 Created")]),
    )
}
"""Every door, by its name."""

SLOW = {"query", "sealed", "stdin", "views"}
"""Doors behind which processes are started or all tables made, for a second or two."""
