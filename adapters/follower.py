"""Read models that follow the log by themselves, in a thread of their own.

>>> with ledger.following() as follower:                        # doctest: +SKIP
...     recorded = ledger.append(envelope)
...     follower.wait_for(recorded.entry_index + 1)             # read what you wrote
...     for batch in batches:
...         ledger.append_many(batch)
...         follower.hold(max_lag=50_000)                       # a writer that lets the read models keep up
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from types import TracebackType
from typing import Self

from proofroom.adapters.stores import POLL_SECONDS, Store
from proofroom.adapters.views import Views
from proofroom.domain.errors import Closed, ProofroomError

RETRY_SECONDS = 1.0
"""After the store failed; it may be busy, or come back."""


class Follower:
    """Brings read models up to date as the log grows. Use it as a context manager.

    Nothing queues up between log and read models: the log is the queue, and at most one page is read ahead.

    Args:
        views: the read models.
        store: the log.
        poll_seconds: how often to look for what was appended.
    """

    def __init__(self, views: Views, store: Store, *, poll_seconds: float = POLL_SECONDS) -> None:
        self.views = views
        self._store = store
        self._poll_seconds = poll_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proofroom-follower", daemon=True)
        self.error: ProofroomError | None = None
        """What keeps it from going on, while it lasts."""

    @property
    def lag(self) -> int:
        """Entries of the log that some projection has not taken in, but for those that stopped."""
        return max(0, self._store.size() - self.views.position)

    def wait_for(self, position: int, *, names: Collection[str] = (), timeout: float = 10.0) -> None:
        """Wait until these projections (all, when empty) have taken in the first ``position`` entries.

        Raises:
            ProjectionStopped: one of them waits before an entry it cannot take in.
            ProjectionBehind: they were not there in time.
            Unavailable: what keeps the follower from going on.
        """
        try:
            self.views.wait_for(position, names=names, timeout=timeout)
        except ProofroomError:
            if self.error is not None:
                raise self.error from None
            raise

    def hold(self, max_lag: int, *, timeout: float = 60.0) -> None:
        """Hold the caller back until the read models are no further than this behind the log. Stopped projections hold nobody back.

        Raises:
            ProjectionBehind: they did not get there in time.
            Unavailable: what keeps the follower from going on.
        """
        stopped = {letter.projection for letter in self.views.stopped}
        names = [name for name in self.views.positions if name not in stopped]
        if names:
            self.wait_for(self._store.size() - max_lag, names=names, timeout=timeout)

    def close(self) -> None:
        """Stop after the page in hand. The read models stay open."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        wait = self._poll_seconds
        while not self._stop.wait(wait):
            try:
                self.views.project(self._store, self._check_stop)
                self.error, wait = None, self._poll_seconds
            except _Stop:
                return
            except Closed:
                return
            except ProofroomError as e:
                self.error, wait = e, RETRY_SECONDS

    def _check_stop(self, _: int) -> None:
        if self._stop.is_set():
            raise _Stop

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


class _Stop(Exception):
    """Leaves a catch-up between two pages."""
