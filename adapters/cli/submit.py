"""``proofroom submit``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click

from proofroom.adapters.cli.meter import Meter
from proofroom.adapters.cli.options import INTERRUPTED, json_option, open_to_write, room_option
from proofroom.adapters.cli.output import json_text, one_line, print_error, style
from proofroom.domain.errors import BadInput, ProofroomError, TooLarge, Unavailable

if TYPE_CHECKING:
    from proofroom.adapters.ledger import Ledger
    from proofroom.adapters.writer import Recorded

SKIP_BYTES = 1 << 20
"""How much of a line that is too long is thrown away at once."""


LARGE_BYTES = 4 << 20
"""From this size on it pays to start processes that check signatures."""


class Interrupted(Unavailable):
    """The person stopped the submission."""

    code = "interrupted"
    message = "interrupted; what has a result is recorded"
    advice = "submit the file again: what is recorded is found, the rest follows"
    exit_status = INTERRUPTED


class Line(NamedTuple):
    """A line on its way through the ledger."""

    number: int
    too_large: TooLarge | None


@click.command(
    epilog="""\b
Examples:
  proofroom submit records.jsonl
  producer | proofroom submit - --json
"""
)
@click.argument("file", metavar="FILE.jsonl")
@room_option
@json_option
def submit(file: str, room: Path, as_json: bool) -> int:
    """Record signed statements, one envelope a line.

    A line is a DSSE envelope in JSON ({"payloadType", "payload", "signatures"}) or a grant in the wallet wire form ({"payload",
    "signature"}). Blank lines are skipped; FILE may be - for standard input. Each line gets its result: the index where it is recorded, or
    the error that kept it out; bad lines do not stop the rest. Statements are committed in groups of 1,000, and memory does not grow with
    the file. Submitting a file again changes nothing: what is there is found again.

    Exit status: 0 when every line is recorded, now or before; otherwise the highest status among the lines that are not: 3 refused,
    4 malformed, 5 conflict, 6 unavailable.

    With --json one object, written as it goes, each element of "lines" on a line of its own: {"lines": [{"line",
    "status", "entry_index", "id", "recorded_at_ms"} or {"line", "status": "error", "error"}, ...], "counts", "size",
    "exit_status"}, and "error" where the store failed on the way.
    """
    with _open(file) as (source, total):
        workers = 0 if total is not None and total < LARGE_BYTES else os.cpu_count() or 1
        with open_to_write(room, workers=workers) as ledger, Meter("recording", total) as meter:
            return _Submission(ledger, source, meter, _JsonReport() if as_json else _Report()).run()


@contextlib.contextmanager
def _open(file: str) -> Iterator[tuple[IO[bytes], int | None]]:
    """The lines, and how many bytes they are if that can be known."""
    if file == "-":
        yield sys.stdin.buffer, None
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 - closed below; only opening it is the person's fault
        if source.seekable():
            total: int | None = Path(file).stat().st_size
        else:
            total = None
    except OSError as e:
        raise BadInput(path=file, why=e.strerror or "cannot be read") from None
    with source:
        yield source, total


class _Report:
    """Results for a person: a line each, then what they sum to."""

    def line(self, number: int, outcome: Recorded | ProofroomError) -> None:
        if isinstance(outcome, ProofroomError):
            click.echo(f"line {number}: {style(outcome.code, fg='red')}: {one_line(outcome)} ({outcome.advice})")
        elif outcome.repeated:
            click.echo(f"line {number}: {style('already recorded', fg='yellow')} at {outcome.entry_index}")
        else:
            click.echo(f"line {number}: {style('recorded', fg='green')} at {outcome.entry_index}")

    def end(self, summary: dict[str, Any], error: ProofroomError | None) -> None:
        counts = summary["counts"]
        parts = [f"{counts[name]} {text}" for name, text in _COUNTS.items() if counts[name] or name == "recorded"]
        click.echo(f"{sum(counts.values())} envelopes: {', '.join(parts)}; the log has {summary['size']} entries")
        if error is not None:
            print_error(error, as_json=False)


class _JsonReport:
    """Results for a program: one JSON object, written as it goes, an element of ``lines`` on each line of text."""

    def __init__(self) -> None:
        self._between = '{"lines": [\n'

    def line(self, number: int, outcome: Recorded | ProofroomError) -> None:
        click.echo(self._between + json_text(_result(number, outcome), indent=None), nl=False)
        self._between = ",\n"

    def end(self, summary: dict[str, Any], error: ProofroomError | None) -> None:
        opening = "" if self._between == ",\n" else self._between
        facts = summary if error is None else {**summary, "error": error.to_json()}
        click.echo(f"{opening}\n], {json_text(facts, indent=None)[1:]}")


_COUNTS = {"recorded": "recorded", "already-recorded": "recorded before", "error": "not recorded"}


def _status(outcome: Recorded | ProofroomError) -> str:
    if isinstance(outcome, ProofroomError):
        return "error"
    return "already-recorded" if outcome.repeated else "recorded"


def _result(number: int, outcome: Recorded | ProofroomError) -> dict[str, Any]:
    result: dict[str, Any] = {"line": number, "status": _status(outcome)}
    if isinstance(outcome, ProofroomError):
        return {**result, "error": outcome.to_json()}
    where = {"entry_index": outcome.entry_index, "id": outcome.statement, "recorded_at_ms": outcome.recorded_at_ms}
    return result | where


class _Submission:
    """One file on its way into the ledger."""

    def __init__(self, ledger: Ledger, source: IO[bytes], meter: Meter, report: _Report | _JsonReport) -> None:
        self._ledger, self._source, self._meter, self._report = ledger, source, meter, report
        self._read = 0
        self._under_way: deque[Line] = deque()
        self._counts: Counter[str] = Counter()
        self._worst = 0

    def run(self) -> int:
        """Record what can be recorded; the exit status."""
        try:
            for outcome in self._ledger.append_stream(self._envelopes()):
                self._take(outcome)
        except ProofroomError as e:  # the store failed; what was given before is recorded
            return self._end(e)
        except KeyboardInterrupt:
            return self._end(Interrupted())
        return self._end(None)

    def _end(self, error: ProofroomError | None) -> int:
        if error is not None:
            self._worst = max(self._worst, error.exit_status)
        counts = {name: self._counts[name] for name in _COUNTS}
        self._report.end({"counts": counts, "size": self._ledger.size, "exit_status": self._worst}, error)
        return self._worst

    def _take(self, outcome: Recorded | ProofroomError) -> None:
        line = self._under_way.popleft()
        outcome = line.too_large or outcome
        self._counts[_status(outcome)] += 1
        if isinstance(outcome, ProofroomError):
            self._worst = max(self._worst, outcome.exit_status)
        self._report.line(line.number, outcome)
        self._meter.update(self._read)

    def _envelopes(self) -> Iterator[bytes]:
        """Each line that is not blank. Of one that is too long only so much is given that the ledger refuses it too."""
        from proofroom.domain.envelope import MAX_ENVELOPE

        number = 0
        while data := self._source.readline(MAX_ENVELOPE + 2):
            number += 1
            self._read += len(data)
            line = data.strip()
            if len(data) == MAX_ENVELOPE + 2 and not data.endswith(b"\n"):
                size = len(data) + self._skip_rest()
                too_large = TooLarge(what="envelope", size=size, limit=MAX_ENVELOPE)
                self._under_way.append(Line(number, too_large))
                yield data
            elif line:
                self._under_way.append(Line(number, None))
                yield line

    def _skip_rest(self) -> int:
        """Throw away the rest of a line; how many bytes it had."""
        skipped = 0
        while data := self._source.readline(SKIP_BYTES):
            skipped += len(data.rstrip(b"\r\n"))
            self._read += len(data)
            if data.endswith(b"\n"):
                break
        return skipped
