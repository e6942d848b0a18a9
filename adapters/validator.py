"""A validator as a host runs it: it follows the log, looks at observations of others, and takes its part in each round.

It may be killed at any point. What could differ after a restart is its judgement, since an observation may come late; so the vote is
written down before it is committed to, and what is written down is what is revealed. All else follows from the ledger and from a secret:
the beacon value, the salt, and so every signature. A validator therefore never signs two votes for one round.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from proofroom.adapters.files import read_at_most, typed, write_new
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.observations import ObservationPort
from proofroom.domain import hashing
from proofroom.domain.beacon import compute_chain, value_of_round
from proofroom.domain.canonical import decode, encode
from proofroom.domain.crosscheck import Observation, Tolerances, claim_of, cross_check_all, tolerances_of
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.errors import (
    BadInput,
    Conflict,
    Malformed,
    ProofroomError,
    Refused,
    StoreUnavailable,
    TimeWentBack,
    Unavailable,
    Unregistered,
)
from proofroom.domain.ids import KeyId
from proofroom.domain.observing import verify_observation
from proofroom.domain.rounds import phase_of
from proofroom.domain.signing import Signer
from proofroom.domain.state import Pending, Round
from proofroom.domain.statements import Statement
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import (
    BeaconRevealed,
    Reason,
    ValidatorRegistered,
    Vote,
    VoteCommitted,
    VoteRevealed,
)
from proofroom.domain.voting import commitment, make_vote

CHAIN = 10_000
"""Rounds that a beacon chain lasts for, unless it is made longer."""

log = logging.getLogger(__name__)

Submit = Callable[[Envelope], object]
"""Takes a signed statement to the ledger: ``ledger.append``, or a message to whoever may write there."""


class Act(NamedTuple):
    """Something the validator did."""

    round: int
    did: str
    """``beacon-revealed``, ``vote-committed`` or ``vote-revealed``."""


class Validator:
    """One validator of one cluster.

    Args:
        ledger: the log to follow; open to read is enough.
        cluster: its name.
        signer: the validator's key.
        secret: 32 random bytes that only this validator has; its beacon chain and its salts come from them.
        observations: where to ask what others saw of a record.
        sources: the keys of those whom this validator believes.
        journal: its own folder, where it writes down each vote before it commits to it.
        submit: takes what it signs to the ledger; the ledger's own ``append`` by default.
        chain: rounds that the beacon chain lasts for.

    Raises:
        BadInput: the secret has another length: one that can be guessed gives away what is to be revealed later.
    """

    def __init__(
        self,
        ledger: Ledger,
        cluster: str,
        signer: Signer,
        secret: bytes,
        *,
        observations: ObservationPort,
        sources: Collection[KeyId],
        journal: Path,
        submit: Submit | None = None,
        chain: int = CHAIN,
    ) -> None:
        if len(secret) != 32:
            raise BadInput(path="secret", why="it has 32 bytes")
        self.ledger, self.cluster, self.signer = ledger, cluster, signer
        self.observations, self.sources = observations, frozenset(sources)
        self._secret, self._journal = secret, journal
        self._submit = submit or ledger.append
        self._chain = compute_chain(hashing.digest(hashing.BEACON_SECRET, secret), chain)

    @property
    def keyid(self) -> KeyId:
        """The validator's key."""
        return self.signer.keyid

    def registration(self, controller: Signer, created_at: str) -> Envelope:
        """The statement with which it joins the cluster, signed by itself and by who answers for it."""
        statement = ValidatorRegistered(
            ledger=self.ledger.id,
            cluster=self.cluster,
            validator=self.keyid,
            controller=controller.keyid,
            beacon=hashing.tagged(self._chain[0]),
            created_at=created_at,
        )
        return sign(statement, self.signer, controller)

    def run(
        self, stop: threading.Event, *, poll_seconds: float = 1.0, tell: Callable[[Act], object] = lambda _: None
    ) -> None:
        """Take part until ``stop`` is set, and tell what was done. What fails for now is logged and tried again."""
        while not stop.is_set():
            try:
                for act in self.step():
                    tell(act)
            except (Unavailable, TimeWentBack) as e:
                log.warning("validator %s waits: %s", self.keyid, e)
            stop.wait(poll_seconds)

    def step(self) -> list[Act]:
        """Do what is this validator's part now, in every round that is not final.

        Raises:
            Unregistered: the ledger knows no such cluster.
            Unavailable, TimeWentBack: the store or the observations cannot be had now, or the clock is wrong.
        """
        self.ledger.refresh()
        if self.cluster not in self.ledger.state.clusters:
            raise Unregistered(what="cluster", key=self.cluster)
        acts = []
        for name, number in sorted(self.ledger.state.rounds):
            if name != self.cluster:
                continue
            try:
                act = self._take_part(number)
            except TimeWentBack:  # which the next look will see as well, until somebody sets the clock
                raise
            except (Refused, Conflict) as e:  # the round went on meanwhile, or ends without this validator
                log.info("validator %s, round %d: %s", self.keyid, number, e)
                continue
            if act is not None:
                log.info("validator %s, round %d: %s", self.keyid, number, act.did)
                acts.append(act)
        return acts

    def _take_part(self, number: int) -> Act | None:
        round = self.ledger.state.rounds.get((self.cluster, number))
        if round is None:
            return None
        phase = phase_of(round, self.ledger.store.clock())
        if not is_awaited(round, phase, self.keyid):
            return None
        statement = self._statement(round, phase, number)
        if statement is None:
            return None
        self._submit(sign(statement, self.signer))
        return Act(number, statement.kind)

    def _statement(self, round: Round, phase: str, number: int) -> Statement | None:
        """What this validator has to say in this phase."""
        ledger, cluster, validator = self.ledger.id, self.cluster, self.keyid
        if phase == "beacon":
            value = self._beacon(number)
            return BeaconRevealed(ledger=ledger, cluster=cluster, round=number, validator=validator, value=value.hex())
        salt = hashing.digest(hashing.SALT, self._secret, round.digest)
        if phase == "commit":
            if not self._claim(number, round):
                log.error("validator %s, round %d: another history has a round of this number", validator, number)
                return None
            vote = self._written(round) or self._write_down(round, self.judge(round))
            bound = hashing.tagged(commitment(round.digest, validator, salt, vote))
            return VoteCommitted(ledger=ledger, cluster=cluster, round=number, validator=validator, commitment=bound)
        committed = self._written(round)
        if committed is None:
            log.error("validator %s, round %d: the vote it committed to is lost", validator, number)
            return None
        return VoteRevealed(
            ledger=ledger, cluster=cluster, round=number, validator=validator, salt=salt.hex(), vote=committed
        )

    def _beacon(self, number: int) -> bytes:
        facts = self.ledger.state.validators[self.cluster][self.keyid]
        return value_of_round(self._chain, facts.beacon, facts.next_round, number)

    # --- the judgement

    def judge(self, round: Round) -> Vote:
        """The vote on a round: each record that it judges, held against what the sources saw of it.

        Raises:
            Unavailable: the observations cannot be had now.
        """
        tolerances = tolerances_of(self.ledger.state.eras[self.cluster, round.era].parameters)
        doubts = {}
        for position, pending in enumerate(round.records):
            reason = self._doubt(pending, tolerances) if round.judged >> position & 1 else None
            if reason is not None:
                doubts[position] = reason
        return make_vote(len(round.records), doubts, judged=round.judged)

    def _doubt(self, pending: Pending, tolerances: Tolerances) -> Reason | None:
        record = self.ledger.entry(pending.log_index).statement
        assert isinstance(record, Activity)
        return cross_check_all(claim_of(record), self._seen(record, pending.id), tolerances)

    def _seen(self, record: Activity, record_id: bytes) -> list[Observation]:
        """What believed sources saw; whatever does not verify counts as not seen."""
        seen = []
        for envelope in self.observations.fetch(record_id):
            with contextlib.suppress(Malformed, Refused):
                name = hashing.tagged(record_id)
                seen.append(verify_observation(envelope, record=record, record_id=name, sources=self.sources))
        return seen

    # --- the vote, written down

    def _claim(self, number: int, round: Round) -> bool:
        """Bind a round's number to the first opening seen under it.

        Two commitments for one number are equivocation, whoever shows the validator two histories of the ledger.
        """
        path = self._journal / f"round-{number}.txt"
        digest = round.digest.hex().encode()
        with typed(path):
            with contextlib.suppress(FileExistsError):
                write_new(path, digest)
            return path.read_bytes() == digest

    def _path(self, round: Round) -> Path:
        return self._journal / f"{round.digest.hex()}.json"

    def _written(self, round: Round) -> Vote | None:
        """The vote that was written down for a round."""
        try:
            return Vote.model_validate(decode(self._path(round).read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ProofroomError, ValueError) as e:
            raise StoreUnavailable(path=str(self._path(round)), why=f"the vote cannot be read: {e}") from None

    def _write_down(self, round: Round, vote: Vote) -> Vote:
        """Fix the vote on a round: the first one written down, should this validator run twice by mistake."""
        try:
            write_new(self._path(round), encode(vote.to_json()))
        except FileExistsError:
            return self._written(round) or vote
        return vote


def is_awaited(round: Round, phase: str, validator: KeyId) -> bool:
    """Whether a validator still has a part in this phase of a round."""
    if phase == "beacon":
        return validator in round.eligible and validator not in round.reveals
    if phase == "commit":
        return validator in round.committee and validator not in round.commits
    return validator in round.commits and validator not in round.votes


def load_or_create_secret(path: Path) -> bytes:
    """The secret of a validator in its file, which is made once, for its owner alone.

    Raises:
        BadInput: the file holds something else.
        StoreUnavailable: it cannot be read or made.
    """
    try:
        with typed(path):
            with contextlib.suppress(FileExistsError):
                write_new(path, os.urandom(32).hex().encode())
            secret = bytes.fromhex(read_at_most(path, 256).decode())
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise BadInput(path=str(path), why="not the secret of a validator")
    return secret
