"""``proofroom key``: key files, and signers that live elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from proofroom.adapters.cli.options import founding_of, json_option, open_to_write, room_option
from proofroom.adapters.cli.output import print_json
from proofroom.domain.errors import BadInput, SignerFailed

if TYPE_CHECKING:
    from proofroom.adapters.keys import Key

FILE = click.Path(path_type=Path, dir_okay=False)

password_option = click.option(
    "--password-env", metavar="NAME", help="The variable that holds the password; without it you are asked."
)


@click.group()
def key() -> None:
    """Make, protect and name keys.

    A room's keys/ folder holds NAME.json (a key file) or NAME.uri (where the key is), for NAME ledger and checkpoint. URIs:

    \b
      file:ledger.json
      encrypted-file:ledger.json?password-env=NAME   (or password-file=PATH; or neither: you are asked)
      exec:/opt/kms/sign?arg=ledger&env=AWS_PROFILE  (another program: a KMS, a hardware key)
    """


@key.command()
@click.argument("file", type=FILE)
@click.option("--plain", is_flag=True, help="Without a password: only the file's mode 0600 protects it.")
@password_option
@json_option
def new(file: Path, plain: bool, password_env: str | None, as_json: bool) -> None:
    """Make a key in a new file, encrypted under a password."""
    from proofroom.adapters.keyfile import save_encrypted
    from proofroom.adapters.keys import save_key

    seed = os.urandom(32)
    made = save_key(file, seed) if plain else save_encrypted(file, seed, _new_password(password_env))
    _tell(made, file, as_json)


@key.command()
@click.argument("file", type=FILE)
@password_option
@json_option
def protect(file: Path, password_env: str | None, as_json: bool) -> None:
    """Encrypt a plain key file in place, under a password.

    The file is replaced as a whole. Copies of it elsewhere, and what the disk keeps of the old blocks, stay as they are. From then on
    whoever uses the key is asked for the password; where nobody can be, keys/NAME.uri says where it is (proofroom key --help).
    """
    from proofroom.adapters.keyfile import is_encrypted, save_encrypted
    from proofroom.adapters.keys import load_key

    if is_encrypted(file):
        raise BadInput(path=str(file), why="it is under a password already")
    held = load_key(file)
    made = save_encrypted(file, held.seed_for_saving(), _new_password(password_env), replace=True)
    _tell(made, file, as_json)


@key.command()
@click.argument("uri")
@json_option
def show(uri: str, as_json: bool) -> None:
    """Print the public key behind a signer's URI, and check that it signs."""
    from proofroom.adapters.signers import signer_from_uri
    from proofroom.domain.signing import verify_signature

    signer = signer_from_uri(uri)
    verify_signature(signer.keyid, b"proofroom key show", signer.sign(b"proofroom key show"))
    if as_json:
        print_json({"keyid": signer.keyid})
    else:
        click.echo(signer.keyid)


def _new_password(variable: str | None) -> bytes:
    from proofroom.adapters.signers import check_terminal

    if variable is None:
        check_terminal("New password", "give --password-env")
        text: str = click.prompt("New password", hide_input=True, confirmation_prompt=True)
        return text.encode()
    if not (text := os.environ.get(variable, "")):
        raise SignerFailed(signer="--password-env", why=f"the variable {variable} holds no password")
    return text.encode()


@key.command(epilog="""\b\nExample:\n  proofroom key rotate checkpoint --room room\n""")
@click.argument("which", type=click.Choice(["ledger", "checkpoint"]))
@room_option
@json_option
def rotate(which: Literal["ledger", "checkpoint"], room: Path, as_json: bool) -> None:
    """Put a new key in the place of a room's ledger or checkpoint key.

    The new key is made as a plain file keys/WHICH-N.json, or taken from keys/WHICH-N.json or .uri where you put one before. It is in
    force from the next entry on; the old key stays valid for what it signed, and can be taken out of the folder.
    """
    from proofroom.adapters.ledger import KEYS
    from proofroom.adapters.signers import take_signer
    from proofroom.domain.identity import keyring

    with open_to_write(room) as ledger:
        founding = founding_of(ledger)
        identity = founding.ledger_key if which == "ledger" else founding.checkpoint_key
        name = f"{which}-{len(keyring(ledger.state, identity).keys) + 1}"
        successor = take_signer(room / KEYS, name, None)
        place = ledger.rotate(which, successor)
    if as_json:
        print_json({"identity": identity, "key": successor.keyid, "name": name, "entry_index": place.entry_index})
    else:
        click.echo(f"{successor.keyid} signs from entry {place.entry_index + 1} on; it is {name} in keys/")


def _tell(made: Key, file: Path, as_json: bool) -> None:
    if as_json:
        print_json({"keyid": made.keyid, "file": str(file)})
    else:
        click.echo(f"{made.keyid} in {file}")
