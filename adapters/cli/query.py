"""``proofroom query``: a query whose result is bound to the log, and its verification."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import json_option, open_to_read, open_views, room_option
from proofroom.adapters.cli.output import plain, print_json, print_sentence, to_stderr

MAX_RECEIPT = 1024 * 1024

_COLOURS = {"VALID": "green", "INVALID": "red", "INCOMPLETE": "yellow", "FORKED": "red"}


@click.command(
    epilog="""\b
Examples:
  proofroom query "SELECT account, balance FROM balances" --receipt balances.json
  proofroom verify balances.json --room copy-of-the-room
"""
)
@click.argument("query")
@click.option(
    "--receipt",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Where to write the receipt. For a result alone there is `proofroom sql`.",
)
@room_option
@json_option
def query(query: str, receipt: Path, room: Path, as_json: bool) -> int:
    """Ask in SQL, and bind the result to the log with a receipt.

    The receipt holds the query, the digest of its result, the checkpoint over the entries it follows from, and the versions used.
    Whoever has a copy of the log computes it again with `proofroom verify FILE`. A query whose result may differ (time, chance, floating
    point, LIMIT without a total order) is refused, and told why.
    """
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


def is_query_receipt(data: bytes) -> bool:
    """Whether a file calls itself the receipt of a query, of whatever version."""
    try:
        found = orjson.loads(data) if len(data) <= MAX_RECEIPT else None
    except orjson.JSONDecodeError:
        return False
    return isinstance(found, dict) and str(found.get("type")).startswith("proofroom/query-receipt/")


def verify_query(data: bytes, file: Path, room: Path, as_json: bool) -> int:
    """Compute a query receipt again from the log of a room; the exit status is the verdict's."""
    from proofroom.adapters.query_receipts import parse_query_receipt, verify_query_receipt

    claimed = parse_query_receipt(data, str(file))
    with open_to_read(room) as ledger:
        keys = () if ledger.state.founding is None else (ledger.state.founding.checkpoint_key,)
        with Meter("reading", claimed.size) as meter:
            found = verify_query_receipt(claimed, ledger.store, keys=keys, progress=meter.update)
    if as_json:
        print_json({"verdict": found.verdict.name, "why": found.why, "notes": found.notes, "sql": claimed.sql})
    else:
        print_sentence(plain(found.sentence()), fg=_COLOURS[found.verdict.name])
    return int(found.verdict)
