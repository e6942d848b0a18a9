"""``proofroom propose``, ``vote`` and ``leave``: what seats and providers sign, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.options import MAX_NUMBER, Finite, json_option, open_to_write, room_option
from proofroom.adapters.cli.output import print_json
from proofroom.domain.errors import BadInput, Unregistered

if TYPE_CHECKING:
    from collections.abc import Callable

    from proofroom.adapters.ledger import Ledger
    from proofroom.domain.ids import KeyId
    from proofroom.domain.signing import Signer
    from proofroom.domain.state import Cluster
    from proofroom.domain.statements import LedgerStatement

HOUR_MS = 3_600_000
NUMBER = click.IntRange(0, MAX_NUMBER)


def key_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--key URI``."""
    return click.option("--key", "uri", required=True, metavar="URI", help=f"{what}, such as file:me.json.")


@click.command(
    epilog="""\b
Examples:
  proofroom propose dragon-1 --set prices.put=2000 --set era_seconds=3600 --key file:manager.json
  proofroom propose dragon-1 --admit node-9 --provider file:p.json --runtime file:r.json --key file:manager.json
  proofroom propose dragon-1 --validate node-9 --key file:manager.json
  proofroom propose dragon-1 --manager file:new.json --key file:manager.json

Parameters have their names from the founding statement; proofroom show cluster NAME prints them. One proposal is one change.
"""
)
@click.argument("cluster")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter and its new value; repeatable."
)
@click.option("--admit", metavar="NODE", help="A node to admit, with --provider and --runtime.")
@click.option("--provider", metavar="URI", help="The key of who provides it.")
@click.option("--runtime", metavar="URI", help="The key of its runtime.")
@click.option("--validate", metavar="NODE", help="An admitted node that may work from now on.")
@click.option("--orchestrator", "orchestrators", multiple=True, metavar="KEYID", help="All orchestrators; repeatable.")
@click.option("--manager", metavar="URI", help="The key of the new manager.")
@click.option("--hours", default=24.0, show_default=True, type=Finite(0.001, 672), help="Time to vote.")
@key_option("The proposer's key")
@room_option
@json_option
def propose(
    cluster: str,
    settings: tuple[str, ...],
    admit: str | None,
    provider: str | None,
    runtime: str | None,
    validate: str | None,
    orchestrators: tuple[str, ...],
    manager: str | None,
    hours: float,
    uri: str,
    room: Path,
    as_json: bool,
) -> None:
    """Propose a change of a cluster, as one who has a seat in it."""
    from proofroom.adapters.signers import signer_from_uri
    from proofroom.domain.ids import from_ms
    from proofroom.domain.statements.proposals import Proposal

    asked = [bool(part) for part in (settings, admit, validate, orchestrators, manager)]
    if sum(asked) != 1:
        raise click.UsageError("give one of --set, --admit, --validate, --orchestrator and --manager")
    if bool(admit) != bool(provider) or bool(admit) != bool(runtime):
        raise click.UsageError("--admit, --provider and --runtime belong together")
    others = [signer_from_uri(other) for other in (provider, runtime, manager) if other]
    with open_to_write(room) as ledger:
        facts = _cluster(ledger, cluster)
        if settings:
            change = {"what": "parameters", "set": _settings(facts, settings)}
        elif admit:
            keys = {"provider": _identity(ledger, others[0]), "runtime_key": _identity(ledger, others[1])}
            change = {"what": "admit-node", "node": {"node": admit, **keys}}
        elif validate:
            change = {"what": "validate-node", "node": validate}
        elif orchestrators:
            change = {"what": "orchestrators", "orchestrators": list(orchestrators)}
        else:
            change = {"what": "manager", "manager": _identity(ledger, others[0])}
        fields = {
            "proposal": facts.proposed,
            "change": change,
            "deadline": from_ms(ledger.store.clock() + int(hours * HOUR_MS)),
        }
        _record(ledger, Proposal, cluster, "proposer", fields, [signer_from_uri(uri), *others], as_json)


@click.command(epilog="""\b\nExample:\n  proofroom vote dragon-1 3 aye --key file:me.json\n""")
@click.argument("cluster")
@click.argument("proposal", type=NUMBER)
@click.argument("says", type=click.Choice(["aye", "nay"]), metavar="aye|nay")
@key_option("The voter's key")
@room_option
@json_option
def vote(cluster: str, proposal: int, says: str, uri: str, room: Path, as_json: bool) -> None:
    """Vote on a proposal, or change your vote before its deadline."""
    from proofroom.adapters.signers import signer_from_uri
    from proofroom.domain.ids import from_ms
    from proofroom.domain.statements.proposals import ProposalVote

    with open_to_write(room) as ledger:
        fields = {"proposal": proposal, "aye": says == "aye", "created_at": from_ms(ledger.store.clock())}
        _record(ledger, ProposalVote, cluster, "voter", fields, [signer_from_uri(uri)], as_json)


@click.command(epilog="""\b\nExample:\n  proofroom leave dragon-1 node-9 --key file:provider.json\n""")
@click.argument("cluster")
@click.argument("node")
@key_option("The provider's key")
@room_option
@json_option
def leave(cluster: str, node: str, uri: str, room: Path, as_json: bool) -> None:
    """Take your node out of a cluster, at once and for good. What it did before is still attested and paid."""
    from proofroom.adapters.signers import signer_from_uri
    from proofroom.domain.ids import from_ms
    from proofroom.domain.statements.proposals import NodeLeft

    with open_to_write(room) as ledger:
        fields = {"node": node, "created_at": from_ms(ledger.store.clock())}
        _record(ledger, NodeLeft, cluster, None, fields, [signer_from_uri(uri)], as_json)


def _cluster(ledger: Ledger, name: str) -> Cluster:
    facts = ledger.state.clusters.get(name)
    if facts is None:
        raise Unregistered(what="cluster", key=name)
    return facts


def _identity(ledger: Ledger, signer: Signer) -> KeyId:
    """The name of whom a key signs for: its first key."""
    return ledger.state.later_keys.get(signer.keyid, signer.keyid)


def _settings(facts: Cluster, settings: tuple[str, ...]) -> dict[str, str | int]:
    """Values in the form that the parameters in force have."""
    from proofroom.domain.canonical import decode

    terms = decode(facts.terms)
    values: dict[str, str | int] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name in values:
            raise BadInput(path=setting, why="not NAME=VALUE, or named twice")
        group, _, field = name.rpartition(".")
        inner = terms.get(group, {}) if group else terms
        is_number = isinstance(inner.get(field), int) and value.isdigit()
        values[name] = int(value) if is_number else value
    return values


def _record(
    ledger: Ledger,
    kind: type[LedgerStatement],
    cluster: str,
    role: str | None,
    fields: dict[str, Any],
    signers: list[Signer],
    as_json: bool,
) -> None:
    """Sign a statement as its first signer and all others, record it, and say where it stands."""
    from pydantic import ValidationError

    from proofroom.domain.envelope import sign
    from proofroom.domain.statements import first_fault

    named: dict[str, KeyId] = {} if role is None else {role: _identity(ledger, signers[0])}
    try:
        statement = kind.model_validate({"ledger": ledger.id, "cluster": cluster, **named, **fields})
    except ValidationError as e:
        raise first_fault(kind.kind, e) from None
    distinct = {signer.keyid: signer for signer in signers}
    recorded = ledger.append(sign(statement, *distinct.values()))
    if as_json:
        print_json({**recorded._asdict(), **statement.to_json()})
    elif "proposal" in fields:
        click.echo(f"entry {recorded.entry_index}: {kind.kind} {fields['proposal']} of {cluster}")
    else:
        click.echo(f"entry {recorded.entry_index}: {kind.kind}, {fields['node']} of {cluster}")
