"""``proofroom receipt`` and ``proofroom verify``: proofs that are files, made here and checked anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from proofroom.adapters.cli.options import (
    MAX_NUMBER,
    founding_of,
    json_option,
    open_to_read,
    read_bytes,
    read_checkpoint,
    room_option,
)
from proofroom.adapters.cli.output import plain, print_json, print_sentence
from proofroom.adapters.cli.query import is_query_receipt, verify_query
from proofroom.adapters.cli.trust import trust_of, trust_options
from proofroom.domain.errors import BadInput
from proofroom.domain.verifier import BadTrust, Verdict

if TYPE_CHECKING:
    from proofroom.adapters.proving import Prover

COLOURS = {Verdict.VALID: "green", Verdict.INCOMPLETE: "yellow", Verdict.SUSPECT: "yellow"}


class _ByIndex(click.Group):
    """A number alone is the index of an entry."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0].isdecimal():
            args = ["entry", *args]
        return super().resolve_command(ctx, args)


@click.group(
    cls=_ByIndex,
    epilog="""\b
Examples:
  proofroom receipt 42 -o entry-42.tlog-proof
  proofroom receipt payout dac-019ca8a1-2ec6-75cf-825e-93f041a52525 -o paid.json
  proofroom receipt era dragon-1 0 -o era-0.json
""",
)
def receipt() -> None:
    """Write a proof as one file that verifies offline: INDEX, or record, payout, era."""


def _out_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    verb = click.option(
        "--since",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A checkpoint (or proof file) kept earlier: also prove that the log extends it.",
    )(verb)
    verb = click.option(
        "--under",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A checkpoint of this log to prove under, such as one that witnesses cosigned.",
    )(verb)
    verb = click.option(
        "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to write it; without, stdout."
    )(verb)
    return room_option(verb)


def _write(
    room: Path, output: Path | None, since: Path | None, under: Path | None, make: Callable[[Prover], bytes]
) -> None:
    from proofroom.adapters.files import write_atomically
    from proofroom.adapters.proving import Prover

    with open_to_read(room) as ledger:
        known = None if since is None else read_checkpoint(since).size
        note = None if under is None else read_checkpoint(under).note
        data = make(Prover(ledger.store, founding_of(ledger).checkpoint_key, known, note))
    if output is None:
        click.echo(data, nl=False)
    else:
        write_atomically(output, data)
        click.echo(f"{output}: {len(data)} bytes; check it with: proofroom verify {output}", err=True)


@receipt.command()
@click.argument("index", type=click.IntRange(0, MAX_NUMBER))
@_out_options
def entry(index: int, room: Path, output: Path | None, since: Path | None, under: Path | None) -> None:
    """One entry. A FILE that ends in .tlog-proof gets the C2SP form, with the entry as its extra data."""
    if output is not None and output.suffix == ".tlog-proof":
        _write(room, output, since, under, lambda prover: prover.receipt(index).to_tlog_proof().encode())
    else:
        _write(room, output, since, under, lambda prover: prover.entry(index))


@receipt.command()
@click.argument("record_id")
@_out_options
def record(record_id: str, room: Path, output: Path | None, since: Path | None, under: Path | None) -> None:
    """A record: its grant, batch, round, votes and tally."""
    _write(room, output, since, under, lambda prover: prover.record(record_id))


@receipt.command()
@click.argument("record_id")
@_out_options
def payout(record_id: str, room: Path, output: Path | None, since: Path | None, under: Path | None) -> None:
    """A record, and the lines of the era that paid for it."""
    _write(room, output, since, under, lambda prover: prover.payout(record_id))


@receipt.command()
@click.argument("cluster")
@click.argument("era", type=click.IntRange(0, MAX_NUMBER))
@_out_options
def era(cluster: str, era: int, room: Path, output: Path | None, since: Path | None, under: Path | None) -> None:
    """A paid era whole: all entries of the log from its opening to its payment."""
    _write(room, output, since, under, lambda prover: prover.era(cluster, era))


@click.command(
    epilog="""\b
Examples:
  proofroom verify paid.json --key example.org/room+1b2c3d4e+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
  proofroom verify paid.json --checkpoint elsewhere/room.checkpoint
  proofroom verify entry-42.tlog-proof --policy my.policy --strict
  proofroom verify balances.json --room copy-of-the-room     # a query receipt: computed again from the log
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@trust_options
@click.option(
    "--checkpoint",
    "known",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A checkpoint, or a proof file, of this log that was kept elsewhere.",
)
@click.option("--strict", is_flag=True, help="UNWITNESSED and ERASED are the verdict, not a note to a VALID.")
@room_option
@json_option
@click.pass_context
def verify(
    context: click.Context,
    file: Path,
    keys: tuple[str, ...],
    known: Path | None,
    witnesses: tuple[str, ...],
    policy: Path | None,
    strict: bool,
    room: Path,
    as_json: bool,
) -> int:
    """Check a receipt of any kind: a proof file, or the receipt of a query.

    A proof file is checked offline, believing nothing that it does not show. The verifier shares no code with the ledger; docs/verify.md
    says what each check proves and what it does not. A query receipt is computed again from the log in --room, by read models made anew.

    Exit status: 0 VALID, 10 INVALID, 11 INCOMPLETE, 12 FORKED, 13 SUSPECT, 14 REVOKED-GRANT; 15 UNWITNESSED, 16 ERASED
    where a policy or --strict asks for more.
    """
    from proofroom.domain.recount import verify as check
    from proofroom.domain.verifier.proof import MAX_FILE

    data = read_bytes(file, MAX_FILE)
    if is_query_receipt(data):
        if keys or known or witnesses or policy or strict:
            raise click.UsageError("a query receipt is checked against the log in --room, and by nothing else")
        return verify_query(data, file, room, as_json)
    if context.get_parameter_source("room") is ParameterSource.COMMANDLINE:
        raise click.UsageError("a proof file is checked by itself: --room is for query receipts")
    trust = trust_of(keys, witnesses, policy, known, strict=strict)
    try:
        report = check(data, trust)
    except BadTrust as e:
        raise BadInput(path="what to trust (--key, --policy, --witness)", why=str(e)) from None
    if as_json:
        facts = {**report._asdict(), "verdict": report.verdict.title}
        print_json({**facts, "exit_status": int(report.verdict), "sentence": report.sentence()})
    else:
        print_sentence(plain(report.sentence()), fg=COLOURS.get(report.verdict, "red"))
    return int(report.verdict)
