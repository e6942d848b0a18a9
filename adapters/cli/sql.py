"""``proofroom sql``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from proofroom.adapters.cli.options import json_option, open_views, room_option
from proofroom.domain.errors import BadInput


@click.command(
    epilog="""\b
Examples:
  proofroom sql                                            asks for queries, with completion and history
  proofroom sql "SHOW TABLES"
  proofroom sql "SELECT * FROM balances ORDER BY balance DESC LIMIT 5"
  proofroom sql "SELECT * FROM records" --csv > records.csv
  proofroom sql "SELECT * FROM journal" --parquet journal.parquet
  proofroom sql < question.sql
"""
)
@click.argument("query", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line (RFC 4180: lines end in CR LF).")
@click.option("--parquet", type=click.Path(path_type=Path), metavar="FILE", help="Write a Parquet file.")
@room_option
@json_option
def sql(query: str | None, as_csv: bool, parquet: Path | None, room: Path, as_json: bool) -> None:
    """Ask the read models in SQL.

    QUERY is in the dialect of DuckDB; the tables are brought up to date first. Without one it is read from a pipe, or asked for.
    docs/data-dictionary.md and the comments of the catalogue say what each table and column means.

    A result that is wider than the terminal is shown as a block for each row. With --json one array of objects is printed; DECIMAL and
    128-bit integers, so all amounts, are strings in it, so that no reader rounds them. In Parquet they are DECIMAL(38,0).
    """
    if as_csv + as_json + (parquet is not None) > 1:
        raise click.UsageError("--csv, --json and --parquet exclude each other")
    if query is None and sys.stdin.isatty():
        if as_csv or as_json or parquet:
            raise click.UsageError("give a query with --csv, --json and --parquet")
        from proofroom.adapters.cli.shell import Shell

        with open_views(room) as ledger:
            Shell(ledger).run()
        return
    text = _piped() if query is None else query
    from proofroom.adapters.cli.rows import (
        Rows,
        print_rows_json,
        print_rows_table,
        write_rows_csv,
        write_rows_parquet,
    )

    with open_views(room) as ledger:
        relation = ledger.sql(text)
        if parquet is not None:
            click.echo(f"{write_rows_parquet(relation, parquet):,} rows in {parquet}")
        elif as_json:
            print_rows_json(Rows(relation))
        elif as_csv:
            write_rows_csv(Rows(relation), sys.stdout)
        else:
            print_rows_table(Rows(relation), advice="--csv and --json print all")


def _piped() -> str:
    """The query on standard input.

    Raises:
        BadInput: it is not UTF-8.
    """
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise BadInput(path="standard input", why="not text in UTF-8") from None
