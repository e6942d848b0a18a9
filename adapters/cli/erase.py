"""``proofroom erase``: what a person wants gone, destroyed and stated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.cli.options import json_option, open_to_write, room_option
from proofroom.adapters.cli.output import print_json
from proofroom.domain.errors import NoSigner, NoSuchEntry

if TYPE_CHECKING:
    from proofroom.adapters.erasing import Eraser
    from proofroom.adapters.ledger import Ledger
    from proofroom.adapters.vault import Vault
    from proofroom.adapters.writer import Recorded
    from proofroom.domain.signing import Signer
    from proofroom.domain.statements.activity import Activity

Verb = Callable[..., Any]


def _options(verb: Verb) -> Verb:
    wallet = click.option(
        "--wallet",
        metavar="URI",
        help="What signs for the owner, see proofroom key --help. Default: the room's keys/wallet.",
    )
    vault = click.option(
        "--vault",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The folder of the vault. Default: vault/ in the room.",
    )
    return wallet(vault(room_option(json_option(verb))))


@click.group()
def erase() -> None:
    """Destroy a payload, and state that in the ledger.

    What lies outside the ledger is destroyed: keys, salts, blobs. What the ledger says stays, and every proof, tally and payout is valid
    as before: keys, ids, scope names, operations, times and amounts remain readable; digests remain, and say nothing any more. Whoever was
    given a payload or a key before may still have it. This cannot be undone.
    """


@erase.command()
@click.argument("vault_scope", metavar="'VAULT / SCOPE'")
@click.argument("number", metavar="EPOCH", type=click.IntRange(0))
@_options
def epoch(vault_scope: str, number: int, **options: Any) -> None:
    """Destroy all wraps of a scope's key of one epoch, and the blobs under it."""
    _erase(lambda eraser, vault, _: eraser.erase_epoch(vault, vault_scope, number), **options)


@erase.command("input")
@click.argument("record_id", metavar="DAC-ID")
@_options
def input_(record_id: str, **options: Any) -> None:
    """Destroy the salt of a record's commitment: nobody can show any more what its input was."""

    def do(eraser: Eraser, _: Vault, ledger: Ledger) -> Recorded:
        from proofroom.adapters.openings import Openings

        return eraser.erase_input(Openings(options["room"] / "openings"), _record(ledger, record_id))

    _erase(do, **options)


@erase.command()
@click.argument("record_id", metavar="DAC-ID")
@_options
def result(record_id: str, **options: Any) -> None:
    """Destroy the encrypted result of a record."""
    _erase(lambda eraser, vault, ledger: eraser.erase_result(vault, _record(ledger, record_id)), **options)


def _erase(
    do: Callable[[Eraser, Vault, Ledger], Recorded],
    *,
    room: Path,
    wallet: str | None,
    vault: Path | None,
    as_json: bool,
) -> None:
    from proofroom.adapters.erasing import Eraser
    from proofroom.adapters.vault import Vault
    from proofroom.domain.statements.consent import Erased

    with open_to_write(room) as ledger:
        signer = _wallet(room, wallet)
        done = do(Eraser(ledger, signer), Vault(vault or room / "vault", signer.keyid), ledger)
        statement = ledger.entry(done.entry_index).statement
        assert isinstance(statement, Erased)
    if as_json:
        print_json({"entry_index": done.entry_index, "vault_scope": statement.vault_scope, "erased": statement.what})
    else:
        click.echo(f"ERASED {statement.what} in {statement.vault_scope}, stated in entry {done.entry_index}")


def _wallet(room: Path, uri: str | None) -> Signer:
    from proofroom.adapters.signers import signer_from_uri, signer_of_room

    signer = signer_of_room(room / "keys", "wallet") if uri is None else signer_from_uri(uri)
    if signer is None:
        raise NoSigner(keyid="the wallet: give --wallet URI")
    return signer


def _record(ledger: Ledger, record_id: str) -> Activity:
    from proofroom.adapters.pages import find_entries
    from proofroom.domain.statements.activity import Activity

    found = next(find_entries(ledger, Activity, lambda s: s.record_id == record_id), None)
    if found is None:
        raise NoSuchEntry(what=f"record {record_id}")
    return found[1]
