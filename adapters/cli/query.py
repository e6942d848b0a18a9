"""``proofroom query``: a query whose result is bound to the log, and its verification."""

from __future__ import annotations

from pathlib import Path

import click

from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import json_option, open_to_read, open_views, room_option
from proofroom.adapters.cli.output import plain, print_json, print_sentence, to_stderr

MAX_RECEIPT = 1024 * 1024

_COLOURS = {"VALID": "green", "INVALID": "red", "INCOMPLETE": "yellow", "FORKED": "red"}


@click.command(
    epilog="""\b
Examples:
  proofroom query "SELECT account, balance FROM balances" --receipt balances.json
  proofroom query --verify balances.json --room copy-of-the-room
"""
)
@click.argument("query", required=False)
@click.option("--receipt", type=click.Path(path_type=Path), metavar="FILE", help="Where to write the receipt.")
@click.option("--verify", type=click.Path(path_type=Path), metavar="FILE", help="A receipt to compute again.")
@room_option
@json_option
def query(query: str | None, receipt: Path | None, verify: Path | None, room: Path, as_json: bool) -> int:
    """Ask in SQL, and bind the result to the log with a receipt.

    The receipt holds the query, the digest of its result, the checkpoint over the entries it follows from, and the versions used.
    Whoever has a copy of the log computes it again with --verify. A query whose result may differ (time, chance, floating point, LIMIT
    without a total order) is refused, and told why.

    --verify exits with 0 VALID, 10 INVALID, 11 INCOMPLETE (the log is too short), 12 FORKED (it is another log).
    """
    if (verify is None) == (query is None) or (verify is not None and receipt is not None):
        raise click.UsageError("give a query with --receipt FILE, or --verify FILE")
    if verify is not None:
        return _verify(verify, room, as_json)
    if query is None or receipt is None:
        raise click.UsageError("--receipt FILE says where the receipt goes; for a result alone use `proofroom sql`")
    from proofroom.adapters.cli.rows import Rows, print_rows_json, print_rows_table
    from proofroom.adapters.files import write_atomically
    from proofroom.adapters.query_receipts import bind

    with open_views(room) as ledger:
        bound, relation = bind(ledger.read_models(), ledger.store, query)
        write_atomically(receipt, bound.to_json())
        receipt.chmod(0o644)
        if as_json:
            print_rows_json(Rows(relation))
        else:
            print_rows_table(Rows(relation), advice="--json prints all")
    to_stderr(
        *(f"caution: {caution}" for caution in bound.cautions),
        f"{receipt}: {bound.rows:,} rows, {bound.digest}, of the first {bound.size:,} entries",
    )
    return 0


def _verify(file: Path, room: Path, as_json: bool) -> int:
    from proofroom.adapters.cli.options import read_text
    from proofroom.adapters.query_receipts import parse_query_receipt, verify_query_receipt

    claimed = parse_query_receipt(read_text(file, MAX_RECEIPT).encode(), str(file))
    with open_to_read(room) as ledger:
        keys = () if ledger.state.founding is None else (ledger.state.founding.checkpoint_key,)
        with Meter("reading", claimed.size) as meter:
            found = verify_query_receipt(claimed, ledger.store, keys=keys, progress=meter.update)
    if as_json:
        print_json({"verdict": found.verdict.name, "why": found.why, "notes": found.notes, "sql": claimed.sql})
    else:
        print_sentence(plain(found.sentence()), fg=_COLOURS[found.verdict.name])
    return int(found.verdict)
