"""``proofroom accuse``: a validator is convicted by what it signed."""

from __future__ import annotations

from pathlib import Path

import click

from proofroom.adapters.cli.govern import key_option
from proofroom.adapters.cli.options import json_option, open_to_write, read_bytes, room_option
from proofroom.adapters.cli.output import print_json

FILE = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  proofroom accuse first.json second.json --key file:me.json    # two commitments, or two votes, for one round
  proofroom accuse value.json --key file:me.json                # a beacon value that is not on its chain

Each file is an envelope as the validator signed it, also one that the ledger refused.
"""
)
@click.argument("first", type=FILE, metavar="FILE")
@click.argument("second", type=FILE, metavar="[FILE]", required=False)
@key_option("Who reports it")
@room_option
@json_option
def accuse(first: Path, second: Path | None, uri: str, room: Path, as_json: bool) -> None:
    """Bring evidence against a validator: its own signatures.

    The ledger checks it, and what it proves costs the validator its bond and its place. What proves nothing is refused.
    """
    from proofroom.adapters.accusing import accuse_of_equivocation, accuse_of_false_beacon
    from proofroom.adapters.signers import signer_from_uri
    from proofroom.domain.envelope import MAX_ENVELOPE, Envelope, parse_envelope
    from proofroom.domain.statements.offences import Slashed

    def envelope_in(path: Path) -> Envelope:
        return parse_envelope(read_bytes(path, 2 * MAX_ENVELOPE).strip())

    reporter = signer_from_uri(uri)
    if second is None:
        evidence = accuse_of_false_beacon(envelope_in(first), reporter)
    else:
        evidence = accuse_of_equivocation(envelope_in(first), envelope_in(second), reporter)
    with open_to_write(room) as ledger:
        place = ledger.append(evidence)
        stated = next(e for e in ledger.read(place.entry_index + 1) if isinstance(e.statement, Slashed))
    slashed = stated.statement
    assert isinstance(slashed, Slashed)
    if as_json:
        print_json(
            {
                "entry_index": place.entry_index,
                "slashed_at": stated.index,
                "offence": slashed.offence,
                "validator": slashed.basis.validator,
                "amount": slashed.amount,
            }
        )
    else:
        click.echo(
            f"entry {place.entry_index}: {slashed.basis.validator} is convicted of {slashed.offence}; "
            f"entry {stated.index}: its bond pays {slashed.amount}"
        )
