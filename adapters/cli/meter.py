"""A progress bar on stderr, for work that takes longer than two seconds and a person who waits for it."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_SECONDS = 2.0


class Meter:
    """Shows how far the work is; nothing where stderr is not a terminal.

    Args:
        what: what is being done.
        total: how much there is to do; None when nobody knows.
    """

    def __init__(self, what: str, total: int | None) -> None:
        self._what, self._total = what, total
        self._begun = time.monotonic()
        self._wanted = sys.stderr.isatty()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def update(self, done: int) -> None:
        """So much is done."""
        if self._bar is None and self._wanted and time.monotonic() - self._begun > PATIENCE_SECONDS:
            self._show()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        # Where results go to the same terminal, they scroll above the bar.
        both = sys.stdout.isatty()
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=both)
        self._task = self._bar.add_task(self._what, total=self._total)
        self._bar.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
