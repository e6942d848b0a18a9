"""What all verbs share: where the room is, and JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofroom.adapters.files import read_at_most
from proofroom.domain.errors import BadInput, NoSuchEntry, StoreLocked, StoreReadOnly

if TYPE_CHECKING:
    from proofroom.adapters.ledger import Ledger
    from proofroom.domain.state import Founding
    from proofroom.domain.verifier.note import Checkpoint

MAX_NUMBER = 2**53 - 1
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

Verb = Callable[..., Any]


class Finite(click.FloatRange):
    """A number within bounds; ``nan`` and ``inf`` are numbers to Python, and none to wait for."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number to count with", param, ctx)
        return number


def room_option(verb: Verb) -> Verb:
    """``--room DIR``."""
    return click.option(
        "--room",
        type=click.Path(path_type=Path),
        envvar="PROOFROOM_ROOM",
        default="room",
        show_default=True,
        show_envvar=True,
        metavar="DIR",
        help="The folder that holds the ledger.",
    )(verb)


def json_option(verb: Verb) -> Verb:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(verb)


def open_to_read(room: Path) -> Ledger:
    """The ledger of a room, for reading: nothing is written, no key is loaded."""
    from proofroom.adapters.ledger import Ledger

    return Ledger.open(room, read_only=True)


def open_to_write(room: Path, *, workers: int = 0) -> Ledger:
    """The ledger of a room, with its keys; ``workers`` processes check the signatures of streams."""
    from proofroom.adapters.ledger import Ledger

    return Ledger.open(room, workers=workers)


def founding_of(ledger: Ledger) -> Founding:
    """What genesis fixed.

    Raises:
        NoSuchEntry: the log is empty.
    """
    founding = ledger.state.founding
    if founding is None:
        raise NoSuchEntry(what="genesis")
    return founding


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a file that a person named.

    Raises:
        BadInput: it is not there, cannot be read, or is longer than ``limit`` bytes.
    """
    try:
        return read_at_most(path, limit)
    except OSError as e:
        raise BadInput(path=str(path), why=e.strerror or "cannot be read") from None
    except ValueError as e:
        raise BadInput(path=str(path), why=str(e)) from None


def read_text(path: Path, limit: int) -> str:
    """The same, as text.

    Raises:
        BadInput: also when it is not UTF-8.
    """
    try:
        return read_bytes(path, limit).decode()
    except UnicodeDecodeError:
        raise BadInput(path=str(path), why="not text in UTF-8") from None


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file: a note, or a proof file of any kind.

    Raises:
        BadInput: there is none.
    """
    from proofroom.domain.policy import checkpoint_of
    from proofroom.domain.verifier import BadTrust
    from proofroom.domain.verifier.proof import MAX_FILE

    try:
        return checkpoint_of(read_bytes(path, MAX_FILE))
    except BadTrust as e:
        raise BadInput(path=str(path), why=str(e)) from None


def open_views(room: Path) -> Ledger:
    """The ledger of a room, for questions to its read models.

    They are kept in the room. Where that cannot be written, or another process has them open, they are made in memory for this once.
    """
    from proofroom.adapters.ledger import Ledger

    if os.access(room, os.W_OK):
        ledger = Ledger.open(room, signers=())
        try:
            ledger.sql("SELECT 1")
            return ledger
        except (StoreLocked, StoreReadOnly):
            ledger.close()
        except BaseException:
            ledger.close()
            raise
    return open_to_read(room)
