"""A settler as a host runs it: it keeps one cluster's eras going, from opening to payment.

It seals records into batches, ends eras, opens the next and lets time pass, so that rounds and settlements proceed: each of these as far as
it was given the keys for. It keeps nothing of its own. What there is to do follows from the ledger, so it may be killed at any point and
started again, and two of them at once do what one would: whoever comes second is refused, or repeats what is recorded.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from proofroom.adapters.ledger import Ledger
from proofroom.domain.activity import batch_root, unsealed
from proofroom.domain.canonical import decode
from proofroom.domain.envelope import sign
from proofroom.domain.errors import BadInput, Conflict, Refused, TimeWentBack, Unavailable, Unregistered
from proofroom.domain.identity import key_in_force
from proofroom.domain.ids import Digest, KeyId, from_ms
from proofroom.domain.proposals import enact
from proofroom.domain.signing import Signer
from proofroom.domain.state import Cluster, Era, Queue
from proofroom.domain.statements import LedgerStatement, payload_type_of
from proofroom.domain.statements.activity import MAX_BATCH, BatchSealed
from proofroom.domain.statements.attestation import RoundOpened, RoundTallied
from proofroom.domain.statements.governance import EraClose, EraOpened
from proofroom.domain.statements.proposals import ProposalDecided, ProposalEnacted
from proofroom.domain.statements.settlement import EraPaid, EraSealed

log = logging.getLogger(__name__)

_TOLD = {
    payload_type_of(kind.kind): kind.kind
    for kind in (
        *(BatchSealed, EraClose, EraOpened),
        *(RoundOpened, RoundTallied, EraSealed, EraPaid, ProposalDecided, ProposalEnacted),
    )
}
"""Payload types of what a settler states, and of what the ledger states through it."""


class Settled(NamedTuple):
    """A statement that came into the log while the settler was at work, in the course of an era."""

    entry_index: int
    did: str
    """Its kind."""
    era: int | None
    """None for what belongs to no era."""


class Pace(NamedTuple):
    """When a settler does what it may do at any time."""

    seal_after_ms: int = 60_000
    """A record waits no longer than this for its batch, as long as the settler looks often enough."""
    seal_at: int = MAX_BATCH
    """So many records are sealed without waiting."""
    margin_ms: int = 10_000
    """So long before an era ends by itself, all is sealed at once: what misses the seal is late. More than the time between two looks."""
    era_seconds: int | None = None
    """The manager ends an era when it has run this long; None leaves it to end by itself."""
    opens: bool = False
    """The manager opens the next era as soon as there is none open."""


class Settler:
    """Whoever keeps the eras of one cluster.

    Args:
        ledger: with its ledger key and checkpoint key, so that it can state what is due.
        cluster: its name.
        signers: keys of the manager and of orchestrators, whichever the host has; who holds an office is looked up on the ledger each time.
        pace: when it does what it may do at any time.
    """

    def __init__(
        self, ledger: Ledger, cluster: str, signers: Iterable[Signer] = (), *, pace: Pace | None = None
    ) -> None:
        self.ledger, self.cluster, self.pace = ledger, cluster, pace or Pace()
        self._signers = {signer.keyid: signer for signer in signers}
        if not 1 <= self.pace.seal_at <= MAX_BATCH:
            raise BadInput(path="seal_at", why=f"a batch has 1 to {MAX_BATCH} records")

    def run(
        self, stop: threading.Event, *, poll_seconds: float = 1.0, tell: Callable[[Settled], object] = lambda _: None
    ) -> None:
        """Go on until ``stop`` is set, and tell what was done. What fails for now is logged and tried again."""
        while not stop.is_set():
            try:
                for settled in self.step():
                    tell(settled)
            except (Unavailable, TimeWentBack) as e:
                log.warning("settler of %s waits: %s", self.cluster, e)
            stop.wait(poll_seconds)

    def step(self) -> list[Settled]:
        """Do all that is to be done now. What came of it, in log order.

        Raises:
            Unregistered: the ledger knows no such cluster.
            Unavailable, TimeWentBack: the store, or a key, cannot be had now, or the clock is wrong. What was done until then is recorded.
        """
        before = self.ledger.refresh()
        if self.cluster not in self.ledger.state.clusters:
            raise Unregistered(what="cluster", key=self.cluster)
        self._state_due()
        self._seal()
        self._close()
        self._open()
        settled = self._since(before)
        for what in settled:
            log.info("settler of %s, entry %d: %s of era %s", self.cluster, what.entry_index, what.did, what.era)
        return settled

    # --- one thing each

    def _state_due(self) -> None:
        agenda = self.ledger.state.agenda
        if agenda and agenda[0].at_ms <= self._now():
            self.ledger.tick()

    def _seal(self) -> None:
        """Seal what has waited long enough, for each orchestrator whose key is here, and for one whose late records came from before."""
        now_open = self._open_era()
        for keyid in sorted({*self._cluster().orchestrators, *(now_open.queues if now_open is not None else ())}):
            while (signer := self._signer(keyid)) and (era := self._open_era()) is not None:
                queue = era.queues.get(keyid, Queue())
                if not self._is_ripe(era, queue) or not self._submit(self._batch(era, keyid, queue), signer):
                    break

    def _is_ripe(self, era: Era, queue: Queue) -> bool:
        """Whether records are to be sealed now."""
        waiting = queue.tail - queue.head
        if waiting == 0 or waiting >= self.pace.seal_at:
            return waiting > 0
        now = self._now()
        if now >= era.end * 1000 - self.pace.margin_ms or self._is_over(era):
            return True
        oldest = self.ledger.entry(queue.records[queue.head].log_index)
        return now >= oldest.recorded_at_ms + self.pace.seal_after_ms

    def _batch(self, era: Era, orchestrator: KeyId, queue: Queue) -> BatchSealed:
        last = min(queue.tail, queue.head + self.pace.seal_at)
        records = [queue.records[i].id for i in range(queue.head, last)]
        return BatchSealed(
            ledger=self.ledger.id,
            cluster=self.cluster,
            era=self._cluster().opened,
            orchestrator=orchestrator,
            batch=era.batches,
            count=len(records),
            root=Digest(batch_root(records)),
        )

    def _is_over(self, era: Era) -> bool:
        """Whether the manager is to end the era."""
        seconds = self.pace.era_seconds
        return seconds is not None and self._now() >= (era.start + seconds) * 1000

    def _close(self) -> None:
        cluster, era = self._cluster(), self._open_era()
        manager = self._signer(cluster.manager)
        if era is None or manager is None or not self._is_over(era) or unsealed(era):
            return
        end = from_ms(min(self._now() // 1000, era.end) * 1000)
        self._submit(EraClose(ledger=self.ledger.id, cluster=self.cluster, era=cluster.opened, end=end), manager)

    def _open(self) -> None:
        cluster = self._cluster()
        if not self.pace.opens or cluster.open:
            return
        start_ms = max(cluster.last_end, self._now() // 1000) * 1000
        manager = self._signer(enact(self.ledger.state, self.cluster, start_ms).clusters[self.cluster].manager)
        if manager is None:
            return
        era, start = cluster.opened + 1, from_ms(start_ms)
        self._submit(EraOpened(ledger=self.ledger.id, cluster=self.cluster, era=era, start=start), manager)

    # --- what all of them need

    def _submit(self, statement: LedgerStatement, signer: Signer) -> bool:
        """Record a statement; False when a rule or another process has it otherwise, which the next look will see."""
        try:
            self.ledger.append(sign(statement, signer))
        except TimeWentBack:  # which the next look will see as well, until somebody sets the clock
            raise
        except (Refused, Conflict) as e:
            log.info("settler of %s, %s: %s", self.cluster, statement.kind, e)
            return False
        return True

    def _since(self, before: int) -> list[Settled]:
        settled = []
        for stored in self.ledger.store.read_from(before):
            kind = _TOLD.get(stored.topic)
            if kind is None:
                continue
            value = decode(stored.state)
            if value["cluster"] == self.cluster:
                settled.append(Settled(stored.index, kind, value.get("era")))
        return settled

    def _signer(self, identity: KeyId) -> Signer | None:
        """Whoever signs for an identity now, when that key is here."""
        return self._signers.get(key_in_force(self.ledger.state, identity))

    def _now(self) -> int:
        return self.ledger.store.clock()

    def _cluster(self) -> Cluster:
        return self.ledger.state.clusters[self.cluster]

    def _open_era(self) -> Era | None:
        cluster = self._cluster()
        return self.ledger.state.eras[self.cluster, cluster.opened] if cluster.open else None
