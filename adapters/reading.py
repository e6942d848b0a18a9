"""What a ledger answers: entries, receipts, status at any moment, SQL. All of it works without keys."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from proofroom.adapters.head import advance, open_head
from proofroom.adapters.mapper import StoredEntry, to_entry
from proofroom.adapters.past import consent_at
from proofroom.adapters.stores import Store, from_nodes
from proofroom.domain import merkle
from proofroom.domain.authorisation import Chain, ChainStatus, authorise, chain_status
from proofroom.domain.consent import GrantStatus, grant_status
from proofroom.domain.entry import Entry
from proofroom.domain.errors import Closed, NoSuchEntry
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.receipt import Receipt
from proofroom.domain.state import Founding, State

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from proofroom.adapters.follower import Follower
    from proofroom.adapters.views import Views


class Reader:
    """The reading side of a ledger; :class:`~proofroom.adapters.ledger.Ledger` adds the writing side.

    Args:
        store: where the log lives.
        views: path of the read models' file; None keeps them in memory.
    """

    def __init__(self, store: Store, views: Path | None) -> None:
        self.store = store
        self._views_path = views
        self._views: Views | None = None
        self._making_views = threading.Lock()
        self._lock = threading.RLock()
        self._closed, self._process = False, os.getpid()
        self._head = open_head(store)

    @property
    def state(self) -> State:
        """The state after all entries this process has seen; an immutable value."""
        return self._head.state

    @property
    def size(self) -> int:
        """The number of entries this process has seen."""
        return self._head.state.size

    @property
    def id(self) -> Digest:
        """The digest that statements for this ledger name."""
        return self._founded().ledger

    def refresh(self) -> int:
        """Take in what other processes wrote. The new size."""
        self._catch_up()
        return self.size

    def read(self, start: int = 0, limit: int = 1_000) -> list[Entry]:
        """Entries from index ``start`` on, verified as they are read."""
        self._check_open()
        return [to_entry(stored) for stored in self.store.read(start, limit)]

    def follow(self, start: int = 0, wait_seconds: float = 0.0) -> Iterator[Entry]:
        """Entries from ``start`` on, waiting this long for each next one."""
        self._check_open()
        return map(to_entry, self.store.read_from(start, wait_seconds))

    def entry(self, index: int) -> Entry:
        """One entry.

        Raises:
            NoSuchEntry: the log is shorter.
        """
        self._check_open()
        return to_entry(self._stored(index))

    def _stored(self, index: int) -> StoredEntry:
        stored = self.store.read(index, 1) if 0 <= index < 2**63 else []
        if not stored or stored[0].index != index:
            raise NoSuchEntry(what=f"entry {index}")
        return stored[0]

    def grant_status(
        self, user: KeyId, agent: KeyId, *, at_ms: int | None = None, index: int | None = None
    ) -> GrantStatus:
        """The status of what a user granted to an agent service.

        Without arguments: now. ``at_ms`` asks for a moment of ``recorded_at`` time, ``index`` for the state after that entry at its own
        time; both replay the two parties' versions from the log.
        """
        if at_ms is None and index is None:
            return grant_status(self._fresh_state().grants.get((user, agent)), self.store.clock())
        return self.read_models().grant_status(user, agent, at_ms=at_ms, index=index)

    def authorise(
        self,
        agent: KeyId,
        vault: str,
        scope: str,
        operation: str,
        *,
        at_ms: int | None = None,
        index: int | None = None,
    ) -> Chain:
        """The chain of grants by which an agent service may do this, by the very rule that lets its record in; no answer is no.

        Without ``at_ms`` and ``index``: now, with all that any process has recorded. ``at_ms`` asks for a moment, ``index`` for the place
        behind an entry; for the past, the statements of consent up to there are replayed. Sums (cpu, gpu) are counted when the
        record is written. Ask before work begins and once more before it is shown: consent may end in between.

        Raises:
            OutOfScope, GrantAbsent, GrantRevoked, GrantSuperseded, GrantExpired, Distrusted, OverLimit: which link fails, and why.
            NoSuchEntry: the log is shorter than ``index``.
        """
        state, now_ms = self._consent_at(at_ms, index)
        return authorise(state, agent, f"{vault} / {scope}", operation, now_ms)

    def grant_chain_status(
        self, user: KeyId, agent: KeyId, grant: Digest, *, at_ms: int | None = None, index: int | None = None
    ) -> ChainStatus:
        """The status of a version of a grant or of a delegation, with all that it rests on; times as for :meth:`authorise`."""
        state, now_ms = self._consent_at(at_ms, index)
        return chain_status(state, user, agent, grant, now_ms)

    def _consent_at(self, at_ms: int | None, index: int | None) -> tuple[State, int]:
        state = self._fresh_state()
        if index is not None:
            recorded_at_ms = self._stored(index).recorded_at_ms
            return consent_at(self.store, index), recorded_at_ms if at_ms is None else at_ms
        if at_ms is None:
            return state, self.store.clock()
        past = at_ms < state.recorded_at_ms
        return consent_at(self.store, state.size - 1, until_ms=at_ms) if past else state, at_ms

    def receipt(self, index: int) -> Receipt:
        """The proof that an entry is in the log, under the newest checkpoint.

        Raises:
            NoSuchEntry: the log is shorter.
        """
        self._check_open()
        checkpoint = self.store.last_checkpoint()
        stored = self._stored(index)
        if checkpoint is None or index >= checkpoint[0]:
            raise NoSuchEntry(what=f"entry {index}")
        size, note = checkpoint
        path = from_nodes(self.store, lambda node: merkle.inclusion_path(index, size, node))
        return Receipt(stored.entry_bytes(), tuple(path), note)

    def checkpoint(self) -> str:
        """The newest signed checkpoint: keep a copy where the host cannot reach it."""
        self._check_open()
        last = self.store.last_checkpoint()
        if last is None:
            raise NoSuchEntry(what="checkpoint")
        return last[1]

    def sql(self, query: str) -> DuckDBPyRelation:
        """A query over the read models, brought up to date first; the result is a DuckDB relation.

        It is computed when it is fetched, by the connection of this ledger: fetch it before :meth:`close`. Behind that, and for faults
        that show only while rows are fetched, the errors are DuckDB's own.

        Raises:
            QueryFailed: DuckDB refused it.
        """
        return self.read_models().sql(query)

    def read_models(self) -> Views:
        """The read models, brought up to date first: positions, what stopped them, waiting for them."""
        from proofroom.adapters.views import Views  # DuckDB is loaded when it is first needed

        self._check_open()
        with self._making_views:
            # To make tables takes long, and nobody who appends waits for it.
            views = self._views or Views(self._views_path)
            with self._lock:
                if self._closed:
                    views.close()
                self._check_open()
                self._views = views
        views.project(self.store)
        return views

    def following(self) -> Follower:
        """Read models that follow the log in a thread of their own, as a context manager; end it before the ledger."""
        from proofroom.adapters.follower import Follower

        return Follower(self.read_models(), self.store)

    def _fresh_state(self) -> State:
        if self.store.size() != self.size:
            self._catch_up()
        return self.state

    def _founded(self) -> Founding:
        founding = self.state.founding
        if founding is None:
            raise NoSuchEntry(what="genesis")
        return founding

    def _catch_up(self) -> None:
        """Take in what other processes wrote, by the same transition."""
        self._check_open()  # before a lock that a fork may have copied as it was held
        with self._lock:
            self._check_open()
            self._head = advance(self.store, self._head)

    def _check_open(self) -> None:
        if self._closed or os.getpid() != self._process:
            raise Closed()
