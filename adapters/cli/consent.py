"""``proofroom authorise``, ``show person`` and ``show agent``: who may do what, and how that came about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.options import json_option, open_to_read, open_views, room_option
from proofroom.adapters.cli.output import one_line, print_json, print_pairs, style
from proofroom.domain.errors import BadInput, NoSuchEntry

if TYPE_CHECKING:
    from proofroom.adapters.ledger import Ledger
    from proofroom.domain.authorisation import Chain
    from proofroom.domain.ids import KeyId


@click.command(
    epilog="""\b
Examples:
  proofroom authorise ed25519:5d9e.. v-7c21 calendar "read + inference"
  proofroom authorise 5d9e v-7c21 calendar read --at 2026-03-01T09:00:00Z
  proofroom authorise 5d9e v-7c21 calendar read --index 42 && echo it may
"""
)
@click.argument("agent")
@click.argument("vault")
@click.argument("scope")
@click.argument("operation")
@click.option("--at", metavar="TIME", help="At this moment, such as 2026-03-01T09:00:00Z; without it, now.")
@click.option("--index", type=click.IntRange(0), help="As it stood behind this entry.")
@room_option
@json_option
def authorise(
    agent: str, vault: str, scope: str, operation: str, at: str | None, index: int | None, room: Path, as_json: bool
) -> None:
    """May AGENT do OPERATION on SCOPE of VAULT?

    Prints the chain of grants that says so and exits with 0; else says which link fails, and exits with 3.

    AGENT is a key id, or its first digits (at least 4) where these name one agent service. The rule is the one by which records are let in.
    """
    with open_to_read(room) as ledger:
        key = _named(ledger, agent, people=False)
        chain = ledger.authorise(key, vault, scope, operation, at_ms=_ms(at), index=index)
    if as_json:
        print_json({"agent": key, "chain": [_link(chain, i) for i in range(len(chain))]})
        return
    click.echo(style("authorised", fg="green", bold=True))
    for i in range(len(chain)):
        link = _link(chain, i)
        by = f"passed on by {link['delegator']}" if link["delegator"] else "granted by the wallet"
        click.echo(
            one_line(f"{'  ' * i}{link['grant']}  entry {link['entry_index']} · {by} · until {link['expires_at']}")
        )


def _link(chain: Chain, place: int) -> dict[str, Any]:
    version = chain[place]
    return {
        "grant": version.digest,
        "entry_index": version.log_index,
        "delegator": version.delegator or None,
        "scopes": list(version.scopes),
        "operations": list(version.operations) or None,
        "expires_at": version.expires_at or None,
    }


def _ms(time: str | None) -> int | None:
    from proofroom.domain.ids import to_ms

    if time is None:
        return None
    try:
        return to_ms(time)
    except (ValueError, TypeError):
        raise click.BadParameter(f"{time[:40]} is no time such as 2026-03-01T09:00:00Z", param_hint="--at") from None


@click.command(epilog="""\b\nExample:\n  proofroom show person 5d9e\n""")
@click.argument("key")
@room_option
@json_option
def person(key: str, room: Path, as_json: bool) -> None:
    """The consent history of a person: vaults, grants, delegations below them, payments, erasures, keys.

    KEY is the wallet's first key, or its first digits (at least 4). The same by SQL: FROM consent_history WHERE person = ...
    """
    _history(key, "person", room, as_json)


@click.command(epilog="""\b\nExample:\n  proofroom show agent 8f3c\n""")
@click.argument("key")
@room_option
@json_option
def agent(key: str, room: Path, as_json: bool) -> None:
    """The consent history of an agent service: what it was granted, what it passed on, its keys.

    KEY is its first key, or its first digits (at least 4). The same by SQL: FROM consent_history WHERE agent = ... OR other = ...
    """
    _history(key, "agent", room, as_json)


def _history(text: str, party: str, room: Path, as_json: bool) -> None:
    from duckdb import ColumnExpression, ConstantExpression

    with open_views(room) as ledger:
        key = _named(ledger, text, people=party == "person")
        column, wanted = ColumnExpression, ConstantExpression(key)
        mine = column(party) == wanted
        rows = ledger.sql("FROM consent_history").filter(
            mine if party == "person" else mine | (column("other") == wanted)
        )
        rows = rows.order("entry_index")
        names = list(rows.columns)
        found = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
        status = ledger.sql("FROM consent_status(now()::TIMESTAMP)").filter(
            column("user_key" if party == "person" else "agent") == wanted
        )
        columns = list(status.columns)
        in_force = [dict(zip(columns, row, strict=True)) for row in status.order("entry_index").fetchall()]
    if as_json:
        print_json({party: key, "history": found, "now": in_force})
        return
    click.echo(style(f"{party} {key}", bold=True))
    print_pairs(
        [(f"{row['entry_index']}  {row['recorded_at']:%Y-%m-%d %H:%M}", _sentence(row, party)) for row in found]
    )
    click.echo(style("\nnow", bold=True))
    print_pairs([(row["status"], f"{', '.join(row['scopes'])} to {row['agent']}") for row in in_force])


def _sentence(row: dict[str, Any], party: str) -> str:
    words = [row["event"], ", ".join(row["names"] or ())]
    if party == "person" and row["agent"] not in (None, row["person"]):
        words.append(f"to {row['agent']}")
    if party == "agent" and row["person"] not in (None, row["agent"]):
        words.append(f"of {row['person']}")
    if row["other"]:
        words.append(f"({row['other']})")
    if row["ends_at"]:
        words.append(f"until {row['ends_at']:%Y-%m-%d %H:%M}")
    return " ".join(word for word in words if word)


def _named(ledger: Ledger, text: str, *, people: bool) -> KeyId:
    """The one person or agent service whose key begins so.

    Raises:
        NoSuchEntry, BadInput: there is none, or more than one.
    """
    state, digits = ledger.state, text.removeprefix("ed25519:")
    known = {pair[0 if people else 1] for pair in (*state.grants, *state.delegations)}
    known |= set(state.vaults.values()) if people else {facts.agent for facts in state.agent_keys.values()}
    found = [key for key in known if len(digits) >= 4 and key[8:].startswith(digits)]
    if not found:
        raise NoSuchEntry(what=f"{'person' if people else 'agent service'} {text[:80]}")
    if len(found) > 1:
        raise BadInput(path=text[:80], why=f"names {len(found)}; give more digits")
    return found[0]
