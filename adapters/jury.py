"""The jury of the demo: seven validators of one cluster, each voting by its own cross-check of what the gateway observed.

One meter is staged to be broken, and the demo says so: the first validator that is drawn reads a tenth of the processor time. Observations
rest in files, so that a run that was cut off between commitment and reveal is finished with the same votes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from proofroom.adapters.cast import Cast, make_vote
from proofroom.adapters.files import write_atomically
from proofroom.adapters.ledger import Ledger
from proofroom.domain.crosscheck import Observation, Reason, claim_of, cross_check, tolerances_of
from proofroom.domain.errors import StoreUnavailable
from proofroom.domain.ids import KeyId
from proofroom.domain.rounds import phase_of
from proofroom.domain.state import Round
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import Vote


class Jury:
    """All validators of the cast.

    Args:
        ledger: where they vote.
        cast: whose validators they are.
        observations: the folder with what the gateway hands out, a file a record.
        clock: time in ms UTC.
    """

    def __init__(self, ledger: Ledger, cast: Cast, observations: Path, clock: Callable[[], int]) -> None:
        self.ledger, self.cast, self.observations, self.clock = ledger, cast, observations, clock

    def observe(self, record: bytes, observation: Observation) -> None:
        """The gateway hands out what it saw of a record, given by its statement id.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        try:
            write_atomically(self._path(record), json.dumps(observation._asdict()).encode())
        except OSError as e:
            raise StoreUnavailable(path=str(self.observations), why=e.strerror or "it cannot be written") from None

    def state_due(self) -> None:
        """Have the ledger state what is due by now."""
        agenda = self.ledger.state.agenda
        if agenda and agenda[0].at_ms <= self.clock():
            self.ledger.tick()

    def hold_round(self, number: int) -> None:
        """Have every validator do what is its part now, until the round is final or waits for a deadline."""
        key = (self.cast.cluster, number)
        while (round := self.ledger.state.rounds.get(key)) is not None:
            phase = phase_of(round, self.clock())
            waiting = [i for i, v in enumerate(self.cast.validators) if _is_awaited(round, phase, v.keyid)]
            for i in waiting:
                self._take_part(round, phase, number, i)
            self.state_due()
            if not waiting:
                return

    def _take_part(self, round: Round, phase: str, number: int, i: int) -> None:
        if phase == "beacon":
            self.ledger.append(self.cast.reveal_beacon(number, i))
            return
        vote = self.judge(round, self.cast.validators[i].keyid)
        if phase == "commit":
            self.ledger.append(self.cast.commit(self.ledger.state, number, i, vote))
        else:
            self.ledger.append(self.cast.reveal(number, i, vote))

    def judge(self, round: Round, validator: KeyId) -> Vote:
        """A validator's vote: its cross-check of each record with what it observed."""
        tolerances = tolerances_of(self.ledger.state.eras[self.cast.cluster, round.era].parameters)
        doubts: dict[int, str] = {}
        for position, pending in enumerate(round.records):
            record = self.ledger.entry(pending.log_index).statement
            assert isinstance(record, Activity)
            observation = self._observed(pending.id, broken=validator == round.committee[0])
            reason: Reason | None = cross_check(claim_of(record), observation, tolerances)
            if reason is not None:
                doubts[position] = reason
        return make_vote(len(round.records), doubts)

    def _observed(self, record: bytes, *, broken: bool) -> Observation | None:
        """What the gateway handed out about a record; a broken meter reads a tenth of the processor time."""
        try:
            value = json.loads(self._path(record).read_bytes())
        except (OSError, ValueError):
            return None
        observation = Observation(**value | {"scopes": tuple(value["scopes"])})
        if broken and observation.cpu_ms is not None:
            observation = observation._replace(cpu_ms=observation.cpu_ms // 10)
        return observation

    def _path(self, record: bytes) -> Path:
        return self.observations / f"{record.hex()}.json"


def _is_awaited(round: Round, phase: str, validator: KeyId) -> bool:
    """Whether a validator still has a part in this phase of a round."""
    if phase == "beacon":
        return validator in round.eligible and validator not in round.reveals
    if phase == "commit":
        return validator in round.committee and validator not in round.commits
    return validator in round.commits and validator not in round.votes
