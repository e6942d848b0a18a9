"""How the command line writes: plain text that cannot steer a terminal, JSON that stays JSON, tables that fit."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import IO, Any

import click

from proofroom.domain.errors import ProofroomError

_STEERING = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
"""Characters beyond ASCII control that move the cursor or turn the reading direction. What is recorded may hold them."""

_UNSAFE_TEXT = re.compile(f"[\x00-\x09\x0b-\x1f{_STEERING}]")
_UNSAFE_JSON = re.compile(f"[{_STEERING}]")


def plain(text: object) -> str:
    """Text for a terminal: what would steer it is written out."""
    return _UNSAFE_TEXT.sub(_escape, str(text))


def one_line(text: object) -> str:
    """As :func:`plain`, with line breaks written out too."""
    return plain(text).replace("\n", "\\n")


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def json_text(value: object, *, indent: int | None = 2) -> str:
    """JSON that is the same on every terminal: steering characters are escaped, all beyond ASCII where the output is not UTF-8."""
    text = json.dumps(value, ensure_ascii=not _is_utf8(sys.stdout), indent=indent, default=str)
    return _UNSAFE_JSON.sub(_escape, text)


def print_json(value: object) -> None:
    """One JSON value on stdout."""
    click.echo(json_text(value))


def print_error(error: ProofroomError, as_json: bool) -> None:
    """An error for a person on stderr, or for a program on stdout."""
    if as_json:
        print_json({"error": error.to_json()})
        return
    to_stderr(f"error: {error}", *([f"hint: {error.advice}"] if error.advice else []))


def to_stderr(*lines: str) -> None:
    """Lines on stderr; the word before the colon is coloured on a terminal."""
    for line in lines:
        head, colon, rest = plain(line).partition(":")
        colour = {"error": "red", "hint": "cyan"}.get(head)
        click.echo(style(head, sys.stderr, fg=colour, bold=True) + colon + rest if colour else plain(line), err=True)


def has_colours(stream: IO[str]) -> bool:
    """Whether a stream is a terminal on which colours are welcome (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, stream: IO[str] | None = None, **how: Any) -> str:
    """Coloured text where the stream (stdout) takes colours."""
    return click.style(text, **how) if has_colours(stream or sys.stdout) else text


def print_pairs(pairs: Sequence[tuple[str, object]]) -> None:
    """Names and values, one pair a line, the values aligned."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        click.echo(f"{style(name.ljust(width), dim=True)}  {one_line(value)}")


def screen_width() -> int | None:
    """Columns of the terminal on stdout; None where it is none and lines may be of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_sentence(text: str, *, fg: str) -> None:
    """Prose, broken between words where the terminal ends; what stands before its first colon is coloured."""
    if width := screen_width():
        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    head, colon, rest = text.partition(":")
    click.echo(style(head, fg=fg, bold=True) + colon + rest)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Callable[[int], bool]) -> None:
    """A table; where it is wider than the terminal, each row as a block of ``column  value`` lines.

    Args:
        columns: names.
        rows: cells, which are written with ``str``.
        right: whether a column, by its number, is aligned to the right.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    names = [one_line(name) for name in columns]
    text, width = _render(names, cells, right)
    limit = screen_width()
    if limit is None or width <= limit:
        click.echo(text)
        return
    for number, row in enumerate(cells):
        click.echo(style(f"row {number + 1}", bold=True))
        print_pairs([(f"  {name}", cell) for name, cell in zip(names, row, strict=True)])


def _render(names: list[str], cells: list[list[str]], right: Callable[[int], bool]) -> tuple[str, int]:
    """The table as text, and its width."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = box.SIMPLE_HEAD if _is_utf8(sys.stdout) else box.ASCII2
    table = Table(box=lines, show_edge=False, pad_edge=False, header_style="bold")
    for number, name in enumerate(names):
        table.add_column(Text(name), no_wrap=True, justify="right" if right(number) else "left")
    for row in cells:
        table.add_row(*map(Text, row))
    colours = has_colours(sys.stdout)
    console = Console(file=io.StringIO(), force_terminal=colours, no_color=not colours, width=100_000, highlight=False)
    with console.capture() as capture:
        console.print(table)
    width = console.measure(table).maximum
    return "\n".join(line.rstrip() for line in capture.get().splitlines()), width


def _is_utf8(stream: IO[str]) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
