"""``proofroom audit``."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import json_option, read_checkpoint, room_option
from proofroom.adapters.cli.output import plain, print_json, print_sentence, print_table

if TYPE_CHECKING:
    from proofroom.adapters.audit import Report
    from proofroom.adapters.audit_fuzz import Trials
    from proofroom.adapters.rebuild import Comparison
    from proofroom.adapters.stores import Store

_COLOURS = {"VALID": "green", "INVALID": "red", "INCOMPLETE": "yellow", "FORKED": "red"}

MISSED = 20
"""Exit status when a change was not caught."""

SHOWN = 50
"""Findings in the table; ``--json`` has all that are kept."""


@click.command(
    epilog="""\b
Examples:
  proofroom checkpoint > elsewhere/room.checkpoint      today
  proofroom audit --against elsewhere/room.checkpoint   any later day
  proofroom audit --resume elsewhere/room.audit         goes on where it was ended; next time reads only what is new
  proofroom audit --from-tiles https://logs.example/room --against elsewhere/room.checkpoint
  proofroom audit --fuzz 1000                           and would it notice?
"""
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A checkpoint of this ledger that was kept elsewhere, or any proof file with one. Without it, a removed tail cannot be seen.",
)
@click.option(
    "--from-tiles",
    "tiles",
    metavar="PLACE",
    help="Audit a published log instead, with nothing else at hand: its folder, or its http:// or https:// address.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    metavar="N",
    help="Processes that check signatures; by default one for each processor, and none for a small log. The report does not depend on it.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep the progress in this file and go on from it. Keep it where whoever keeps the log cannot write.",
)
@click.option("--first", is_flag=True, help="End at the first thing that does not hold.")
@click.option(
    "--fuzz",
    type=click.IntRange(1, 10**7),
    metavar="N",
    help="When the log is VALID, change it in N ways, one at a time and in memory only, and say how many the audit catches.",
)
@click.option(
    "--models",
    is_flag=True,
    help="When the log is VALID, hold each table of the room's read models against what the log makes of it; on a copy.",
)
@click.option("--seed", type=int, metavar="N", help="Of --fuzz, to have the same changes again.")
@room_option
@json_option
def audit(
    against: Path | None,
    tiles: str | None,
    workers: int | None,
    resume: Path | None,
    first: bool,
    fuzz: int | None,
    models: bool,
    seed: int | None,
    room: Path,
    as_json: bool,
) -> int:
    """Replay every entry from genesis and believe nothing.

    Signatures, tree, order, rules, what the ledger derived, and checkpoints are all recomputed. It needs no key and
    writes nothing, so it works on a copy, and on a published log. On a damaged one it names the first entry that does not hold, and why,
    and lists all that it finds behind it.

    Exit status: 0 VALID, 10 INVALID, 11 INCOMPLETE, 12 FORKED; 20 when the log is VALID, and a read model differs or a change of --fuzz was
    not caught.
    """
    from proofroom.adapters.ledger import LOG
    from proofroom.adapters.sqlite import SqliteStore

    if tiles is not None and (fuzz or models):
        raise click.UsageError("--fuzz and --models need the room, and --from-tiles has none")
    note = None if against is None else read_checkpoint(against).note
    trials: Trials | None = None
    tables: list[Comparison] | None = None
    if tiles is not None:
        report = _of_tiles(tiles, note, workers, resume, first)
    else:
        with closing(SqliteStore(room / LOG, read_only=True)) as store:
            report = _of_store(store, note, workers, resume, first)
            if fuzz and not report.verdict:
                trials = _fuzzed(store, fuzz, secrets.randbits(32) if seed is None else seed)
            if models and not report.verdict:
                tables = _compared(store, room)
    asked = {"--fuzz": fuzz, "--models": models}
    left_out = [option for option, given in asked.items() if given and report.verdict]
    missed = (trials is not None and trials.missed) or not all(table.equal for table in tables or ())
    status = MISSED if missed else int(report.verdict)
    if as_json:
        shown = {**report.to_json(), "exit_status": status, "sentence": report.sentence()}
        shown |= {} if trials is None else {"fuzz": trials.to_json()}
        shown |= {"not_done": left_out} if left_out else {}
        print_json(shown if tables is None else {**shown, "models": [table.to_json() for table in tables]})
        return status
    _print(report)
    if left_out:
        print_sentence(f"NOT DONE: {' and '.join(left_out)}, which need a log that is VALID", fg="yellow")
    if trials is not None:
        _print_trials(trials)
    if tables is not None:
        _print_tables(tables)
    return status


def _of_store(store: Store, note: str | None, workers: int | None, resume: Path | None, first: bool) -> Report:
    from proofroom.adapters.audit import audit as replay

    with Meter("auditing", store.size()) as meter:
        return replay(store, against=note, progress=meter.update, workers=workers, resume=resume, first_only=first)


def _of_tiles(place: str, note: str | None, workers: int | None, resume: Path | None, first: bool) -> Report:
    from proofroom.adapters.audited_tiles import audit_published
    from proofroom.adapters.published import PublishedLog

    with Meter("auditing", None) as meter:
        return audit_published(
            PublishedLog(place), against=note, progress=meter.update, workers=workers, resume=resume, first_only=first
        )


def _fuzzed(store: Store, count: int, seed: int) -> Trials:
    from proofroom.adapters.audit_fuzz import fuzz

    with Meter("changing", count) as meter:
        return fuzz(store, count, seed, meter.update)


def _compared(store: Store, room: Path) -> list[Comparison]:
    from proofroom.adapters.ledger import VIEWS
    from proofroom.adapters.rebuild import compare

    if not (room / VIEWS).exists():
        return []
    with Meter("comparing", store.size()) as meter:
        return compare(room / VIEWS, store, meter.update)


def _print(report: Report) -> None:
    print_sentence(plain(report.sentence()), fg=_COLOURS[report.verdict.name])
    total = len(report.findings) + report.left_off
    if total < 2:
        return
    click.echo()
    shown = report.findings[:SHOWN]
    rows = [("-" if f.entry is None else f.entry, f.check, f.why, "may follow" if f.follows else "") for f in shown]
    print_table(("entry", "check", "what", ""), rows, right=lambda column: column == 0)
    click.echo()
    left = f"; the first {len(shown)} are shown, --json has {len(report.findings)}" if total > len(shown) else ""
    print_sentence(f"FINDINGS: {total}{left}", fg="red")


def _print_trials(trials: Trials) -> None:
    click.echo()
    rows = [(kind, tried, trials.caught[kind]) for kind, tried in trials.tried.items()]
    print_table(("change", "tried", "caught"), rows, right=lambda column: column > 0)
    click.echo()
    total, caught = sum(trials.tried.values()), sum(trials.caught.values())
    for trial in trials.missed[:SHOWN]:
        click.echo(plain(f"{trial.kind} at {trial.changed}: {trial.verdict}, {trial.why}"))
    again = f" (again: --seed {trials.seed})"
    if trials.missed:
        print_sentence(f"MISSED: {total - caught} of {total} changes were not caught where they are{again}", fg="red")
    else:
        print_sentence(f"CAUGHT: {caught} of {total} changes, each where it is{again}", fg="green")


def _print_tables(tables: list[Comparison]) -> None:
    click.echo()
    if not tables:
        print_sentence("MODELS: the room has none, so there was nothing to compare", fg="yellow")
        return
    differing = [table for table in tables if not table.equal]
    if not differing:
        print_sentence(f"MODELS: {len(tables)} tables are as the log makes them", fg="green")
        return
    rows = [(t.projection, t.table, f"{t.before.rows:,}", f"{t.after.rows:,}") for t in differing]
    print_table(("projection", "table", "rows", "the log gives"), rows, right=lambda column: column > 1)
    click.echo()
    print_sentence(
        f"MODELS: {len(differing)} of {len(tables)} tables differ; `proofroom rebuild` mends them, the log is not touched",
        fg="red",
    )
