"""``proofroom show``: one thing of the ledger, as a receipt that a person can read line by line."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.options import MAX_NUMBER, founding_of, json_option, open_to_read, open_views, room_option
from proofroom.adapters.cli.output import plain, print_json, print_pairs, style
from proofroom.domain.errors import BadInput, NoSuchEntry

if TYPE_CHECKING:
    from proofroom.adapters.ledger import Ledger
    from proofroom.domain.entry import Entry
    from proofroom.domain.ids import KeyId

NUMBER = click.IntRange(0, MAX_NUMBER)

short_option = click.option("--short", is_flag=True, help="Cut keys and digests to their first and last digits.")


@click.group()
def show() -> None:
    """Show an entry, a grant, a record, a round, an era, a cluster, or the history of a person or an agent."""


@show.command(
    epilog="""\b
Examples:
  proofroom show entry 0
  proofroom show entry 42 --proof --json > entry-42.receipt.json
"""
)
@click.argument("index", type=NUMBER)
@click.option("--proof", is_flag=True, help="Also the proof that it is in the log, checked on the spot.")
@room_option
@json_option
def entry(index: int, proof: bool, room: Path, as_json: bool) -> None:
    """An entry, by its place in the log.

    Prints place, time, kind, statement id, signers and payload.

    With --proof its receipt: the entry's bytes, the path from its leaf to the root, and the signed checkpoint. Whoever has these and the
    log's public key needs nothing else to check them.
    """
    with open_to_read(room) as ledger:
        found = ledger.entry(index)
        facts = _entry_facts(found) | ({"receipt": _receipt(ledger, index)} if proof else {})
    if as_json:
        print_json(facts)
        return
    rows = [(name.replace("_", " "), facts[name]) for name in ("entry_index", "recorded_at", "kind", "id")]
    print_pairs([*rows, *(("signed by", keyid) for keyid in facts["signers"])])
    click.echo(plain(json.dumps(facts["payload"], indent=2, ensure_ascii=False)))
    if proof:
        _print_receipt(facts["receipt"])


def _entry_facts(found: Entry) -> dict[str, Any]:
    from proofroom.domain.ids import from_ms

    verified = found.verified
    return {
        "entry_index": found.index,
        "recorded_at": from_ms(found.recorded_at_ms),
        "kind": verified.kind,
        "id": verified.digest,
        "signers": [signature.keyid for signature in verified.envelope.signatures],
        "payload": json.loads(verified.envelope.payload),
    }


def _receipt(ledger: Ledger, index: int) -> dict[str, Any]:
    """The receipt of an entry, after it was checked as its reader will check it."""
    from proofroom.domain.checkpoint import parse_note
    from proofroom.domain.identity import checkpoint_key
    from proofroom.domain.receipt import verify_receipt

    founding, receipt = founding_of(ledger), ledger.receipt(index)
    key = checkpoint_key(ledger.state, parse_note(receipt.note)[0].size)
    _, checkpoint = verify_receipt(receipt, founding.origin, key)
    return {
        "verified": True,
        "checkpoint_key": key,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "entry": base64.b64encode(receipt.entry).decode(),
        "path": [node.hex() for node in receipt.path],
        "note": receipt.note,
    }


def _print_receipt(receipt: dict[str, Any]) -> None:
    click.echo(style("\nproof", bold=True))
    path = [("path", node) for node in receipt["path"]]
    print_pairs(
        [*path, ("root", receipt["root"]), ("of entries", receipt["size"]), ("signed by", receipt["checkpoint_key"])]
    )
    click.echo(f"\n{receipt['note']}")
    click.echo(style("the path leads from this entry to the signed root", fg="green"))


@show.command(
    epilog="""\b
Examples:
  proofroom show grant 5d9e 8f3c
  proofroom sql "SELECT user_key, agent FROM grants"      to find the keys
"""
)
@click.argument("user")
@click.argument("agent")
@short_option
@room_option
@json_option
def grant(user: str, agent: str, short: bool, room: Path, as_json: bool) -> None:
    """A grant, and its status now.

    The newest version of what USER granted to AGENT.

    Both are key ids, or their first digits (at least 4) where these name one grant.
    """
    from proofroom.adapters import pages

    with open_to_read(room) as ledger:
        key = _parties(ledger, user, agent)
        found, status = ledger.entry(ledger.state.grants[key].log_index), ledger.grant_status(*key)
    if as_json:
        print_json({**pages.grant_facts(found), "status": status})
    else:
        click.echo(plain(pages.grant_page(found, status=status, short=short)))


def _parties(ledger: Ledger, user: str, agent: str) -> tuple[KeyId, KeyId]:
    """The user and agent service of a recorded grant, from the first digits of their keys."""
    keys = [(u, a) for u, a in ledger.state.grants if _begins(u, user) and _begins(a, agent)]
    if not keys:
        raise NoSuchEntry(what=f"grant by {user} to {agent}")
    if len(keys) > 1:
        raise BadInput(path=f"{user} {agent}", why=f"names {len(keys)} grants; give more digits")
    return keys[0]


def _begins(keyid: str, text: str) -> bool:
    digits = text.removeprefix("ed25519:")
    return len(digits) >= 4 and keyid.removeprefix("ed25519:").startswith(digits)


@show.command(
    epilog="""\b
Examples:
  proofroom show record dac-01928374-aaaa-7bbb-8ccc-0123456789ab
  proofroom sql "SELECT record_id FROM records"           to find the ids
"""
)
@click.argument("record_id", metavar="DAC-ID")
@short_option
@room_option
@json_option
def record(record_id: str, short: bool, room: Path, as_json: bool) -> None:
    """An activity record: who ran what, what it burned, and what of it was erased."""
    from proofroom.adapters import pages
    from proofroom.domain.erasure import erased_of
    from proofroom.domain.statements.activity import Activity

    with open_views(room) as ledger:
        found = ledger.entry(_record_index(ledger, record_id))
        assert isinstance(found.statement, Activity)
        erased = erased_of(ledger.state, found.statement)
    if as_json:
        print_json(pages.record_facts(found) | {"erased": erased})
    else:
        click.echo(plain(pages.record_page(found, erased=erased, short=short)))


def _record_index(ledger: Ledger, record_id: str) -> int:
    from duckdb import ColumnExpression, ConstantExpression

    rows = ledger.sql("FROM records").filter(ColumnExpression("record_id") == ConstantExpression(record_id))
    for row in rows.select("entry_index").fetchall():
        return int(row[0])
    raise NoSuchEntry(what=f"record {record_id}")


@show.command(epilog="""\b\nExample:\n  proofroom show round dragon-1 0\n""")
@click.argument("cluster")
@click.argument("number", type=NUMBER)
@short_option
@room_option
@json_option
def round(cluster: str, number: int, short: bool, room: Path, as_json: bool) -> None:
    """An attestation round: who was drawn, how many agreed."""
    from proofroom.adapters import pages

    with open_views(room) as ledger:
        if as_json:
            print_json(pages.round_facts(ledger, cluster, number))
        else:
            click.echo(plain(pages.round_page(ledger, cluster, number, short=short)))


@show.command(epilog="""\b\nExample:\n  proofroom show era dragon-1 0\n""")
@click.argument("cluster")
@click.argument("number", type=NUMBER)
@short_option
@room_option
@json_option
def era(cluster: str, number: int, short: bool, room: Path, as_json: bool) -> None:
    """A settled era: who was debited, who was credited."""
    from proofroom.adapters import pages

    with open_views(room) as ledger:
        if as_json:
            print_json(pages.era_facts(ledger, cluster, number))
        else:
            click.echo(plain(pages.era_page(ledger, cluster, number, short=short)))


@show.command(epilog="""\b\nExample:\n  proofroom show cluster dragon-1\n""")
@click.argument("name", metavar="CLUSTER")
@short_option
@room_option
@json_option
def cluster(name: str, short: bool, room: Path, as_json: bool) -> None:
    """A cluster as it is now: who decides, its nodes and parameters, the proposals in hand."""
    from proofroom.adapters.governing import cluster_facts, cluster_page

    with open_to_read(room) as ledger:
        facts = cluster_facts(ledger.state, name)
    if as_json:
        print_json(facts)
    else:
        click.echo(plain(cluster_page(facts, short=short)))
