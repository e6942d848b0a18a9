"""``proofroom witness`` and ``proofroom cosign``: to vouch for a log's head, and to have others vouch for it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proofroom.adapters.cli.interrupts import on_interrupt
from proofroom.adapters.cli.options import json_option, open_to_read, room_option
from proofroom.adapters.cli.output import json_text, one_line, print_json, to_stderr

if TYPE_CHECKING:
    from proofroom.domain.verifier.note import Key

NONE_COSIGNED = 6
"""Exit status when a witness gave no cosignature: unavailable."""


@click.command(
    epilog="""\b
Example:
  proofroom key new w1.json
  proofroom witness --name witness.example/w1 --key encrypted-file:w1.json --state w1.db \\
      --log 'example.org/room+1a2b3c4d+AZ...'

It speaks C2SP tlog-witness over plain HTTP: put a proxy that ends TLS in front of it. Whoever loses the state file must take a new key.
""",
)
@click.option("--name", required=True, metavar="NAME", help="Its name, such as witness.example/w1.")
@click.option(
    "--key", "uri", required=True, metavar="URI", help="Its key, which signs nothing else: file:..., exec:..."
)
@click.option(
    "--state", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Where it remembers heads."
)
@click.option("--log", "logs", multiple=True, required=True, metavar="VKEY", help="A log to watch; repeatable.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65_535), help="Port to listen on.  [default: a free one]")
@json_option
def witness(name: str, uri: str, state: Path, logs: tuple[str, ...], host: str, port: int, as_json: bool) -> None:
    """Cosign checkpoints of logs: each only when it extends the last, which is on disk before the answer goes out."""
    from proofroom.adapters.signers import signer_from_uri
    from proofroom.adapters.witness import Witness, make_server
    from proofroom.domain.ids import keyid_of

    watched = {key.name: keyid_of(key.public) for key in map(_key, logs)}
    mine = Witness(state, name, signer_from_uri(uri), watched)
    with (
        make_server(mine, host, port) as server,
        on_interrupt(lambda: threading.Thread(target=server.shutdown).start()),
    ):
        address = f"http://{host}:{server.server_address[1]}"
        facts = {"name": name, "key": mine.key, "url": address, "logs": sorted(watched)}
        click.echo(json_text(facts, indent=None) if as_json else one_line(f"{mine.key} at {address}"))
        server.serve_forever()


def _key(text: str) -> Key:
    from proofroom.domain.verifier.note import parse_key
    from proofroom.domain.verifier.verdict import Fault

    try:
        return parse_key(text)
    except Fault as e:
        raise click.BadParameter(f"{text[:80]}: {e}") from None


@click.command(
    epilog="""\b
Example:
  proofroom cosign --witness 'witness.example/w1+9f00...=https://witness.example' -o room.cosigned
  proofroom receipt 42 --under room.cosigned -o entry-42.json
"""
)
@room_option
@click.option("--witness", "witnesses", multiple=True, required=True, metavar="VKEY=URL", help="A witness; repeatable.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Where to write it."
)
@json_option
def cosign(room: Path, witnesses: tuple[str, ...], output: Path, as_json: bool) -> int:
    """Have witnesses cosign the newest checkpoint, and write it with their signatures.

    The exit status says whether all did; what some gave is written all the same, and nothing where none did.
    """
    from proofroom.adapters.files import write_atomically
    from proofroom.adapters.witnessing import WitnessAddress, collect

    places = []
    for text in witnesses:
        # A key is base64 and may end in "=": the address begins at the scheme.
        vkey, found, url = text.partition("=http")
        if not found:
            raise click.BadParameter(f"{text[:80]}: not VKEY=URL", param_hint="--witness")
        places.append(WitnessAddress(f"http{url}", _key(vkey)))
    with open_to_read(room) as ledger:
        note, failed = collect(ledger.store, places)
    given = len(places) - len(failed)
    if given:  # what was cosigned before is worth more than what nobody cosigned
        write_atomically(output, note.encode())
    if as_json:
        print_json(
            {
                "output": str(output) if given else None,
                "cosigned": given,
                "failed": [e.to_json() for e in failed],
                "note": note,
            }
        )
    else:
        for e in failed:
            to_stderr(f"error: {e}", f"hint: {e.advice}")
        click.echo(one_line(f"{output if given else 'nothing was written'}: cosigned by {given} of {len(places)}"))
    return NONE_COSIGNED if failed else 0
