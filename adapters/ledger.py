"""The ledger as a host embeds it: verify -> transition -> append -> receipt.

>>> with Ledger.create(folder) as ledger:                     # doctest: +SKIP
...     recorded = ledger.append(envelope)
...     ledger.receipt(recorded.index)
...     ledger.sql("SELECT * FROM grant_status(now())").show()
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from proofroom.adapters.head import advance, open_head, save_snapshot
from proofroom.adapters.keys import load_key, load_or_create_key
from proofroom.adapters.mapper import StoredEntry, to_entry
from proofroom.adapters.stores import SqliteStore, Store, now_ms
from proofroom.adapters.verifying import AnyEnvelope, VerifyingPool, collector_paused, verify_each, verify_one
from proofroom.adapters.writer import Recorded, Writer
from proofroom.domain import merkle
from proofroom.domain.consent import GrantStatus, grant_status
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Verified, sign
from proofroom.domain.errors import (
    Closed,
    LedgerExists,
    LogMoved,
    NoSigner,
    NoSuchEntry,
    NotALedger,
    NotGenesis,
    ProofroomError,
    StoreUnavailable,
    WrongIndex,
)
from proofroom.domain.ids import Digest, KeyId, from_ms
from proofroom.domain.receipt import Receipt
from proofroom.domain.signing import Signer
from proofroom.domain.state import RULES, Founding, State
from proofroom.domain.statements import first_fault
from proofroom.domain.statements.ledger import Genesis, Tick

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from proofroom.adapters.views import Views

STREAM = 2_000
"""Statements that a stream commits together."""

SNAPSHOT_EVERY = 50_000
"""Entries after which the state is saved, so that opening replays few."""

LOG, VIEWS, KEYS = "log.db", "views.duckdb", "keys"

_KEY_NAMES = ("ledger", "ledger-recovery", "checkpoint", "checkpoint-recovery")


class Ledger:
    """An append-only ledger of verified statements. Use it as a context manager; it is safe to use from several threads.

    Open one with :meth:`open` or :meth:`create`. The constructor takes any :class:`~proofroom.adapters.stores.Store`.

    Args:
        store: where the log lives.
        signers: the ledger key and the checkpoint key; without them the ledger is for reading.
        views: path of the read models' file; None keeps them in memory.
        workers: processes that check the signatures of streams; 0 checks them in the calling thread.
    """

    def __init__(
        self, store: Store, signers: Iterable[Signer] = (), *, views: Path | None = None, workers: int = 0
    ) -> None:
        self.store = store
        self._signers = {signer.keyid: signer for signer in signers}
        self._views_path = views
        self._views: Views | None = None
        self._lock = threading.RLock()
        self._workers = workers
        self._pool: VerifyingPool | None = None
        self._closed = False
        self._head = open_head(store)
        self._saved = self._head.state.size

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        *,
        origin: str = "proofroom.local/room",
        bank_keys: Sequence[KeyId] = (),
        unit: str = "CERE",
        clock: Callable[[], int] = now_ms,
    ) -> Ledger:
        """A new ledger in a folder, with new keys in ``keys/`` and ``genesis`` as its first entry.

        Without ``bank_keys`` a bank key is made as well.

        Raises:
            LedgerExists: the folder holds a ledger.
            BadField: ``origin``, ``unit`` or a bank key is not of its form.
            StoreUnavailable: the folder cannot be written.
        """
        path = Path(folder)
        store = _new_store(path, clock)
        try:
            keys = {name: load_or_create_key(path / KEYS / f"{name}.json") for name in _KEY_NAMES}
            genesis = Genesis(
                origin=origin,
                created_at=from_ms(clock()),
                rules=RULES,
                ledger_key=keys["ledger"].keyid,
                ledger_recovery_key=keys["ledger-recovery"].keyid,
                checkpoint_key=keys["checkpoint"].keyid,
                checkpoint_recovery_key=keys["checkpoint-recovery"].keyid,
                bank_keys=tuple(bank_keys) or (load_or_create_key(path / KEYS / "bank.json").keyid,),
                unit=unit,
            )
            ledger = cls(store, (keys["ledger"], keys["checkpoint"]), views=path / VIEWS)
            if ledger.append(sign(genesis, keys["ledger"], keys["checkpoint"])).repeated:
                raise LedgerExists(path=str(path))
        except ValidationError as e:
            store.close()
            raise first_fault(Genesis.kind, e) from None
        except NotGenesis:
            store.close()
            raise LedgerExists(path=str(path)) from None
        except OSError as e:
            store.close()
            raise NotALedger(path=str(path), why=str(e)) from None
        except BaseException:
            store.close()
            raise
        return ledger

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        signers: Iterable[Signer] | None = None,
        read_only: bool = False,
        workers: int = 0,
        clock: Callable[[], int] = now_ms,
    ) -> Ledger:
        """The ledger in a folder. Signers default to the key files in ``keys/``, where there are any.

        Raises:
            NotALedger: the folder holds none.
            HistoryChanged: its tail is not what its last checkpoint signed.
            StoreUnavailable: it cannot be read.
        """
        path = Path(folder)
        store = SqliteStore(path / LOG, read_only=read_only, clock=clock)
        try:
            if signers is None:
                files = [path / KEYS / f"{name}.json" for name in ("ledger", "checkpoint")]
                signers = [load_key(file) for file in files if file.exists() and not read_only]
            return cls(store, signers, views=None if read_only else path / VIEWS, workers=workers)
        except BaseException:
            store.close()
            raise

    # --- writing

    def append(self, envelope: AnyEnvelope) -> Recorded:
        """Record one statement, durably. The same statement again gives its first place.

        Raises:
            Malformed: the envelope does not verify.
            Refused, Conflict: a rule said no. Nothing was recorded.
            Unavailable: the store failed. Nothing was recorded.
        """
        return self.append_many([envelope])[0]

    def append_many(self, envelopes: Iterable[AnyEnvelope]) -> list[Recorded]:
        """Record all of them in one atomic append, or none.

        Raises:
            Malformed, Refused, Conflict, Unavailable: the first fault. Nothing was recorded.
        """
        outcomes = self._record([verify_one(envelope) for envelope in envelopes], atomic=True)
        return [outcome for outcome in outcomes if isinstance(outcome, Recorded)]

    def append_stream(self, envelopes: Iterable[AnyEnvelope]) -> Iterator[Recorded | ProofroomError]:
        """Record a stream of any length: for each envelope its place, or the error that kept it out.

        Commits in groups of :data:`STREAM`; a group is in the log before its outcomes are given. Memory does not
        grow with the stream, but with the records that no round has judged yet.

        Raises:
            Unavailable: the store failed; what was given before is recorded, the current group is not.
        """
        outcomes = self._verifying().verify_each(envelopes) if self._workers else verify_each(envelopes)
        while True:
            with collector_paused():
                results = self._record_group(list(itertools.islice(outcomes, STREAM)))
            if not results:
                return
            yield from results

    def _record_group(self, group: list[Verified | ProofroomError]) -> list[Recorded | ProofroomError]:
        recorded = iter(self._record([o for o in group if isinstance(o, Verified)], atomic=False))
        return [next(recorded) if isinstance(o, Verified) else o for o in group]

    def tick(self) -> int:
        """Let time pass: state what is due; when nothing is, say only that time passed. The new size of the log."""
        before = self.size
        self._record([], atomic=True)
        if self.size == before:
            signer = self._signer(self._founded().ledger_key)
            with contextlib.suppress(WrongIndex):  # somebody appended meanwhile, so time has passed
                self.append(sign(Tick(ledger=self.id, index=self.size), signer))
        return self.size

    def _record(self, batch: Sequence[Verified], *, atomic: bool) -> list[Recorded | ProofroomError]:
        with self._lock:
            while True:
                self._check_open()
                writer = Writer(self.store, self._head, batch, self._signer, atomic=atomic)
                try:
                    self.store.append(self._head.state.size, writer.make)
                except LogMoved:
                    self._catch_up()
                    continue
                self._head = writer.head
                if self._head.state.size - self._saved >= SNAPSHOT_EVERY:
                    self._save_snapshot()
                return writer.outcomes

    def _catch_up(self) -> None:
        """Take in what other processes wrote, by the same transition."""
        with self._lock:
            self._check_open()
            self._head = advance(self.store, self._head)

    def _save_snapshot(self) -> None:
        """A snapshot is a cache: when it cannot be written now, opening takes longer, and that is all."""
        with contextlib.suppress(StoreUnavailable, NoSigner):
            save_snapshot(self.store, self._head, self._signer(self._founded().checkpoint_key))
        self._saved = self.size

    def _signer(self, keyid: KeyId) -> Signer:
        signer = self._signers.get(keyid)
        if signer is None:
            raise NoSigner(keyid=keyid)
        return signer

    def _verifying(self) -> VerifyingPool:
        with self._lock:
            self._check_open()
            if self._pool is None:
                self._pool = VerifyingPool(self._workers)
            return self._pool

    # --- reading

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
        stored = self.store.read(index, 1) if index >= 0 else []
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
        return self._views_at().grant_status(user, agent, at_ms=at_ms, index=index)

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
        path = merkle.inclusion_path(index, size, self.store.node)
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

        Raises:
            QueryFailed: DuckDB refused it.
        """
        return self._views_at().sql(query)

    def _views_at(self) -> Views:
        from proofroom.adapters.views import Views  # DuckDB is loaded when it is first needed

        with self._lock:
            self._check_open()
            if self._views is None:
                self._views = Views(self._views_path)
            self._views.project(self.store)
            return self._views

    def _fresh_state(self) -> State:
        if self.store.size() != self.size:
            self._catch_up()
        return self.state

    def _founded(self) -> Founding:
        founding = self.state.founding
        if founding is None:
            raise NoSuchEntry(what="genesis")
        return founding

    # --- closing

    def _check_open(self) -> None:
        if self._closed:
            raise Closed()

    def close(self) -> None:
        """Save a snapshot, stop all threads, let go of all files. Closing twice does nothing."""
        with self._lock:
            if self._closed:
                return
            if self._signers and self.state.size != self._saved:
                self._save_snapshot()
            self._closed = True
            if self._pool is not None:
                self._pool.close()
            if self._views is not None:
                self._views.close()
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({self.state.founding.origin if self.state.founding else 'empty'}, {self.size} entries)"


def _new_store(path: Path, clock: Callable[[], int]) -> SqliteStore:
    """The store of a ledger to be; an empty log, as a crash before genesis leaves one, is as good as none.

    Raises:
        LedgerExists: there are entries.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise NotALedger(path=str(path), why=e.strerror or str(e)) from None
    store = SqliteStore(path / LOG, create=True, clock=clock)
    if store.size():
        store.close()
        raise LedgerExists(path=str(path))
    return store
