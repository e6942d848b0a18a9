"""The ledger as a host embeds it: verify -> transition -> append -> receipt.

>>> with Ledger.create(folder) as ledger:                     # doctest: +SKIP
...     recorded = ledger.append(envelope)
...     ledger.receipt(recorded.entry_index)
...     ledger.sql("SELECT * FROM grant_status(now())").show()
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Self

from pydantic import ValidationError

from proofroom.adapters.creating import make_place, making, new_store
from proofroom.adapters.files import sync_folder
from proofroom.adapters.head import save_snapshot
from proofroom.adapters.keys import load_or_create_key
from proofroom.adapters.reading import Reader
from proofroom.adapters.signed_head import SIGNED_HEAD, SignedHead
from proofroom.adapters.signers import as_signer, signer_of_room, take_signer
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.stores import Store, now_ms
from proofroom.adapters.verifying import (
    CHUNK,
    AnyEnvelope,
    Outcomes,
    VerifyingPool,
    collector_paused,
    verify_chunks,
    verify_one,
)
from proofroom.adapters.writer import Recorded, Writer
from proofroom.domain import merkle
from proofroom.domain.envelope import sign
from proofroom.domain.errors import (
    BadInput,
    LedgerExists,
    LogMoved,
    NoSigner,
    NotALedger,
    NotGenesis,
    ProofroomError,
    StoreUnavailable,
    WrongIndex,
)
from proofroom.domain.identity import checkpoint_key, key_in_force, ledger_key
from proofroom.domain.ids import KeyId, from_ms
from proofroom.domain.signing import Signer
from proofroom.domain.state import RULES
from proofroom.domain.statements import first_fault
from proofroom.domain.statements.identity import KeyRotated
from proofroom.domain.statements.ledger import Genesis, Tick

GROUP = 16
"""Chunks that a stream commits together: 1,024 statements."""

SNAPSHOT_EVERY = 50_000
"""Entries after which the state is saved, so that opening replays few."""

LOG, VIEWS, KEYS = "log.db", "views.duckdb", "keys"

_OWN_KEY = re.compile(r"(ledger|checkpoint)(-[0-9]+)?")

_KEY_NAMES = ("ledger", "ledger-recovery", "checkpoint", "checkpoint-recovery")


class Ledger(Reader):
    """An append-only ledger of verified statements. Use it as a context manager; it is safe to use from several threads.

    Open one with :meth:`open` or :meth:`create`. The constructor takes any :class:`~proofroom.adapters.stores.Store`.

    Args:
        store: where the log lives.
        signers: the ledger key and the checkpoint key; without them the ledger is for reading.
        views: path of the read models' file; None keeps them in memory.
        workers: processes that check the signatures of streams; 0 checks them in the calling thread.
        signed_head: what the checkpoint key signed last; without it only the store keeps two histories apart.
    """

    def __init__(
        self,
        store: Store,
        signers: Iterable[Signer] = (),
        *,
        views: Path | None = None,
        workers: int = 0,
        signed_head: SignedHead | None = None,
    ) -> None:
        signed = signed_head.last() if signed_head is not None else None
        super().__init__(store, views)
        self._signed_head = signed_head
        if signed_head is not None and signed is not None:
            signed_head.check(self._head.tree, store.node, signed)
        self._signers = {signer.keyid: signer for signer in signers}
        self._workers = workers
        self._pool: VerifyingPool | None = None
        self._saved = self._head.state.size

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        *,
        origin: str = "proofroom.local/room",
        bank_keys: Sequence[KeyId] = (),
        unit: str = "CERE",
        signers: Mapping[str, Signer | str] = MappingProxyType({}),
        clock: Callable[[], int] = now_ms,
    ) -> Ledger:
        """A new ledger in a folder, with ``genesis`` as its first entry.

        ``signers`` gives some or all of the keys ``ledger``, ``ledger-recovery``, ``checkpoint`` and ``checkpoint-recovery``, each as an
        object or as a URI (:mod:`proofroom.adapters.signers`), whose relative paths start from ``keys/``. A URI is kept, so that
        :meth:`open` finds it. The others are made, as plain files in ``keys/``; without ``bank_keys`` a bank key as well.

        Raises:
            BadInput, WrongPassword, SignerFailed: a signer cannot be had, or there is no key of its name.
            LedgerExists: the folder holds a ledger.
            BadField: ``origin``, ``unit`` or a bank key is not of its form.
            StoreUnavailable: the folder cannot be written.
        """
        if unknown := sorted(set(signers) - set(_KEY_NAMES)):
            raise BadInput(path=unknown[0], why=f"no key of a ledger has this name; there are {', '.join(_KEY_NAMES)}")
        path = Path(folder)
        with making(path), contextlib.ExitStack() as undo:
            store = new_store(path / LOG, clock)
            undo.callback(store.close)
            try:
                make_place(path / LOG, path / KEYS)
                keys = {name: take_signer(path / KEYS, name, signers.get(name)) for name in _KEY_NAMES}
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
                head = SignedHead(path / KEYS / SIGNED_HEAD)
                undo.callback(head.close)
                ledger = cls(store, (keys["ledger"], keys["checkpoint"]), views=path / VIEWS, signed_head=head)
                for made in (path / KEYS, path):  # by name too, before genesis names them
                    sync_folder(made)
                if ledger.append(sign(genesis, keys["ledger"], keys["checkpoint"])).repeated:
                    raise LedgerExists(path=str(path))
            except ValidationError as e:
                raise first_fault(Genesis.kind, e) from None
            except NotGenesis:
                raise LedgerExists(path=str(path)) from None
            except OSError as e:
                raise NotALedger(path=str(path), why=str(e)) from None
            undo.pop_all()  # the ledger lets go of them
            return ledger

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        signers: Iterable[Signer | str] | None = None,
        read_only: bool = False,
        workers: int = 0,
        clock: Callable[[], int] = now_ms,
    ) -> Ledger:
        """The ledger in a folder. Signers, objects or URIs, default to what ``keys/`` names: ``NAME.uri`` or ``NAME.json``.

        Raises:
            NotALedger: the folder holds none.
            HistoryChanged: its tail is not what its last checkpoint signed.
            WouldFork: it is to be written, and does not extend the last tree that its checkpoint key signed.
            StoreUnavailable: it cannot be read.
        """
        path = Path(folder)
        store = SqliteStore(path / LOG, read_only=read_only, clock=clock)
        try:
            if signers is None:
                names = () if read_only else _signer_names(path / KEYS)
                signers = [s for name in names if (s := signer_of_room(path / KEYS, name)) is not None]
            held = [as_signer(signer, path / KEYS) for signer in signers]
            signed_head = SignedHead(path / KEYS / SIGNED_HEAD) if held and not read_only else None
            views = None if read_only else path / VIEWS
            try:
                return cls(store, held, views=views, workers=workers, signed_head=signed_head)
            except BaseException:
                if signed_head is not None:
                    signed_head.close()
                raise
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
        with collector_paused():
            outcomes = self._record([[verify_one(envelope) for envelope in envelopes]], atomic=True)
        return [outcome for outcome in outcomes if isinstance(outcome, Recorded)]

    def append_stream(self, envelopes: Iterable[AnyEnvelope]) -> Iterator[Recorded | ProofroomError]:
        """Record a stream of any length: for each envelope its place, or the error that kept it out.

        Commits in groups of :data:`GROUP` chunks; a group is in the log before its outcomes are given. Memory does not
        grow with the stream, but with the records that no round has judged yet.

        Raises:
            Unavailable: the store failed; what was given before is recorded, the current group is not.
        """
        source = iter(envelopes)
        first = list(itertools.islice(source, CHUNK + 1)) if self._workers else []
        # To start processes takes longer than to check a chunk.
        check = self._verifying().verify_chunks if len(first) > CHUNK else verify_chunks
        chunks = check(itertools.chain(first, source))
        while True:
            with collector_paused():
                group = list(itertools.islice(chunks, GROUP))
                results = self._record(group, atomic=False)
            if not group:
                return
            yield from results

    def tick(self) -> int:
        """Let time pass: state what is due; when nothing is, say only that time passed. The new size of the log."""
        before = self.size
        self._record([], atomic=True)
        if self.size == before:
            self._founded()
            signer = self._signer(ledger_key(self.state))
            with contextlib.suppress(WrongIndex):  # somebody appended meanwhile, so time has passed
                self.append(sign(Tick(ledger=self.id, index=self.size), signer))
        return self.size

    def _record(self, chunks: Sequence[Outcomes], *, atomic: bool) -> list[Recorded | ProofroomError]:
        self._check_open()  # before a lock that a fork may have copied as it was held
        with self._lock:
            while True:
                self._check_open()
                writer = Writer(self.store, self._head, chunks, self._signer, atomic=atomic, turn=self._turn)
                given = False
                try:
                    self.store.append(self._head.state.size, writer.make)
                    given = True
                except LogMoved:
                    self._catch_up()
                    continue
                finally:
                    if self._signed_head is not None:
                        self._signed_head.end(given=given)
                self._head = writer.head
                if self._head.state.size - self._saved >= SNAPSHOT_EVERY:
                    self._save_snapshot()
                return writer.outcomes

    def _turn(self, before: merkle.Tree, after: merkle.Tree) -> None:
        if self._signed_head is not None:
            self._signed_head.begin(before, after, self.store.node)

    def _save_snapshot(self) -> None:
        """A snapshot is a cache: when it cannot be written now, opening takes longer, and that is all."""
        with contextlib.suppress(StoreUnavailable, NoSigner):
            save_snapshot(self.store, self._head, self._signer(checkpoint_key(self.state)))
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

    def rotate(self, which: Literal["ledger", "checkpoint"], successor: Signer) -> Recorded:
        """Put a new key in the place of the ledger's or the checkpoint's, from the next entry on. Its holder has to be given at each open.

        Raises:
            BadInput: ``which`` is neither.
            NoSigner: the key in force is not at hand.
            AlreadyRecorded: the new key is or was a key of somebody.
        """
        founding = self._founded()
        identities = {"ledger": founding.ledger_key, "checkpoint": founding.checkpoint_key}
        if which not in identities:
            raise BadInput(path=which, why="it is the ledger or the checkpoint key that changes")
        identity = identities[which]
        rotated = KeyRotated(
            ledger=self.id, identity=identity, new_key=successor.keyid, created_at=from_ms(self.store.clock())
        )
        signer = self._signer(key_in_force(self._fresh_state(), identity))
        self._signers[successor.keyid] = successor
        return self.append(sign(rotated, signer, successor))

    # --- closing

    def close(self) -> None:
        """Save a snapshot, stop all threads, let go of all files. Closing twice does nothing.

        Relations that :meth:`sql` gave end with it: whoever uses one later gets DuckDB's own error. In a process that was forked it does
        nothing either: all of it is the parent's.
        """
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._closed:
                return
            if self._signers and self.state.size != self._saved:
                self._save_snapshot()
            self._closed = True
            with contextlib.ExitStack() as parts:  # the last first, each of them whatever becomes of the others
                for part in (self.store, self._signed_head, self._views, self._pool):
                    if part is not None:
                        parts.callback(part.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({self.state.founding.origin if self.state.founding else 'empty'}, {self.size} entries)"


def _signer_names(keys: Path) -> list[str]:
    """The names in a room's ``keys/`` under which the ledger's own keys are, those of rotations too: ``ledger``, ``ledger-2``, .."""
    return sorted({file.stem for file in keys.glob("*") if _OWN_KEY.fullmatch(file.stem)})
