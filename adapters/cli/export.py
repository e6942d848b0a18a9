"""``proofroom export``: a record in the words of others."""

from __future__ import annotations

from pathlib import Path

import click

from proofroom.adapters.cli.options import MAX_NUMBER, open_to_read, room_option


@click.command(
    epilog="""\b
Example:
  proofroom export 22 --key file:room/keys/ledger.json -o record.intoto.json

docs/interchange.md says which field goes where, and what a reader can check with which tool.
"""
)
@click.argument("index", type=click.IntRange(0, MAX_NUMBER))
@room_option
@click.option(
    "--key", "uri", required=True, metavar="URI", help="Who makes the export, and answers for it: file:..., exec:..."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to write it; without, stdout."
)
def export(index: int, room: Path, uri: str, output: Path | None) -> None:
    """Write the record at entry INDEX as an in-toto statement in a DSSE envelope, with its signatures and its proof inside."""
    from proofroom.adapters.files import write_atomically
    from proofroom.adapters.signers import signer_from_uri
    from proofroom.domain.interchange import sign_in_toto, to_in_toto

    signer = signer_from_uri(uri)
    with open_to_read(room) as ledger:
        statement = to_in_toto(ledger.entry(index), ledger.receipt(index))
    data = sign_in_toto(statement, signer).to_json() + b"\n"
    if output is None:
        click.echo(data, nl=False)
    else:
        write_atomically(output, data)
        click.echo(f"{output}: {len(data)} bytes, signed by {signer.keyid}")
