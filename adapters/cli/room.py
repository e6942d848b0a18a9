"""``proofroom status``, ``checkpoint`` and ``tick``: the room as a whole."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.options import founding_of, json_option, open_to_read, open_to_write, room_option
from proofroom.adapters.cli.output import print_json, print_pairs, print_table

if TYPE_CHECKING:
    from proofroom.adapters.ledger import Ledger
    from proofroom.domain.state import State


@click.command()
@room_option
@json_option
def status(room: Path, as_json: bool) -> None:
    """What the room holds, on one screen.

    Origin, size, ledger id, clusters, open eras, and the balances by kind of account (each account with --json).
    """
    with open_to_read(room) as ledger:
        facts = _facts(ledger)
    if as_json:
        print_json(facts)
    else:
        _print_status(facts)


def _facts(ledger: Ledger) -> dict[str, Any]:
    from proofroom.domain.checkpoint import verifier_key
    from proofroom.domain.identity import checkpoint_key
    from proofroom.domain.ids import from_ms

    state, founding = ledger.state, founding_of(ledger)
    return {
        "origin": founding.origin,
        "ledger": founding.ledger,
        "rules": founding.rules,
        "unit": founding.unit,
        "size": state.size,
        "last_recorded_at": from_ms(state.recorded_at_ms),
        "checkpoint_key": checkpoint_key(state),
        "verifier_key": verifier_key(founding.origin, checkpoint_key(state)),
        "grants": len(state.grants),
        "clusters": [_cluster(state, name) for name in sorted(state.clusters)],
        "unpaid_eras": [_era(state, *key) for key in sorted(state.eras)],
        "balances": {account: str(amount) for account, amount in sorted(state.balances.items())},
    }


def _cluster(state: State, name: str) -> dict[str, Any]:
    cluster = state.clusters[name]
    return {
        "cluster": name,
        "nodes": len(cluster.nodes),
        "validators": len(state.validators.get(name, ())),
        "eras": cluster.opened + 1,
        "open_era": cluster.opened if cluster.open else None,
        "rounds": cluster.rounds,
    }


def _era(state: State, cluster: str, number: int) -> dict[str, Any]:
    from proofroom.domain.ids import from_ms

    era = state.eras[cluster, number]
    return {
        "cluster": cluster,
        "era": number,
        "status": "sealed" if era.sealed else "open",
        "start": from_ms(era.start * 1000),
        "end": from_ms(era.end * 1000),
        "records": len(era.ids),
        "unsealed": sum(queue.tail - queue.head for queue in era.queues.values()),
        "batches": era.batches,
        "open_rounds": era.open_rounds,
    }


_TABLES = {
    "clusters": ("cluster", "nodes", "validators", "eras", "open_era", "rounds"),
    "unpaid_eras": ("cluster", "era", "status", "end", "records", "unsealed", "open_rounds"),
}
"""What of the facts a screen has room for."""


def _print_status(facts: dict[str, Any]) -> None:
    print_pairs(
        [
            ("origin", facts["origin"]),
            ("ledger", facts["ledger"]),
            ("key", facts["verifier_key"]),
            ("size", f"{facts['size']} entries, the last at {facts['last_recorded_at']}"),
            ("grants", facts["grants"]),
        ]
    )
    for title, names in _TABLES.items():
        click.echo()
        if rows := facts[title]:
            _print_rows([{name: row[name] for name in names} for row in rows])
        else:
            click.echo(f"no {title.replace('_', ' ')}")
    if facts["balances"]:
        click.echo()
        _print_rows(_by_kind(facts["balances"], facts["unit"]))


def _by_kind(balances: dict[str, str], unit: str) -> list[dict[str, Any]]:
    """Balances summed by kind of account, so that they fit a screen whatever the number of parties."""
    from proofroom.adapters.pages import money_text

    kinds: dict[str, list[int]] = defaultdict(list)
    for account, amount in balances.items():
        kinds[account.partition(":")[0]].append(int(amount))
    return [
        {"accounts": kind, "number": len(amounts), "balance": money_text(sum(amounts), unit)}
        for kind, amounts in sorted(kinds.items())
    ]


def _print_rows(rows: list[dict[str, Any]]) -> None:
    columns = [name.replace("_", " ") for name in rows[0]]
    cells = [["-" if value is None else value for value in row.values()] for row in rows]
    texts = ("cluster", "status", "end", "accounts")
    print_table(columns, cells, right=lambda i: columns[i] not in texts)


@click.command(
    epilog="""\b
Example:
  proofroom checkpoint > elsewhere/room.checkpoint
"""
)
@room_option
@json_option
def checkpoint(room: Path, as_json: bool) -> None:
    """Print the newest signed checkpoint, to keep elsewhere.

    A copy that this machine cannot reach is what later shows that nothing was removed or rewritten: proofroom audit --against FILE.
    """
    with open_to_read(room) as ledger:
        note, founding, state = ledger.checkpoint(), founding_of(ledger), ledger.state
    if not as_json:
        click.echo(note, nl=False)
        return
    from proofroom.domain.checkpoint import parse_note, verify_checkpoint
    from proofroom.domain.identity import checkpoint_key

    signed = verify_checkpoint(note, founding.origin, checkpoint_key(state, parse_note(note)[0].size))
    print_json({"origin": signed.origin, "size": signed.size, "root": signed.root.hex(), "note": note})


@click.command()
@room_option
@json_option
def tick(room: Path, as_json: bool) -> None:
    """Let time pass: the ledger states what is due.

    Deadlines take effect with the next entry of any kind. Where nothing else is being recorded, a tick is that entry; call it from a timer.
    """
    with open_to_write(room) as ledger:
        before = ledger.refresh()
        size = ledger.tick()
        stated = [{"entry_index": e.index, "kind": e.statement.kind} for e in ledger.read(before, size - before)]
    if as_json:
        print_json({"size": size, "stated": stated})
        return
    for entry in stated:
        click.echo(f"entry {entry['entry_index']}: {entry['kind']}")
