"""The jury of the demo: seven validators of one cluster, each a :class:`~proofroom.adapters.validator.Validator` as a host runs it.

They believe the gateway, whose observations are signed and rest in files. One meter is staged to be broken, and the demo says so: the first
validator that is drawn believes a telemetry of its own, which reads a tenth of the processor time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from proofroom.adapters.cast import Cast
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.observations import ObservationFolder, sign_observation
from proofroom.adapters.validator import Validator
from proofroom.domain.crosscheck import Observation
from proofroom.domain.envelope import Envelope


class Jury:
    """All validators of the cast.

    Args:
        ledger: where they vote.
        cast: whose validators they are.
        folder: where the gateway's observations and the validators' votes rest.
        clock: time in ms UTC.
    """

    def __init__(self, ledger: Ledger, cast: Cast, folder: Path, clock: Callable[[], int]) -> None:
        self.ledger, self.cast, self.clock = ledger, cast, clock
        self.observations, self.broken = (
            ObservationFolder(folder / "observations"),
            ObservationFolder(folder / "broken"),
        )
        self.validators = [self._validator(i, folder) for i in range(len(cast.validators))]

    def _validator(self, i: int, folder: Path) -> Validator:
        return Validator(
            self.ledger,
            self.cast.cluster,
            self.cast.validators[i],
            self.cast.validator_secret(i),
            observations=self.observations,
            sources={self.cast.key(source).keyid for source in ("gateway", "broken-meter")},
            journal=folder / "votes" / f"validator-{i}",
        )

    def observe(self, record: bytes, seen: Observation) -> None:
        """The gateway hands out what it saw of a record, given by its statement id; the broken meter a tenth of it.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        self.observations.put(record, self._signed(record, seen, "gateway"))
        tenth = None if seen.cpu_ms is None else seen.cpu_ms // 10
        self.broken.put(record, self._signed(record, seen._replace(cpu_ms=tenth), "broken-meter"))

    def _signed(self, record: bytes, seen: Observation, source: str) -> Envelope:
        return sign_observation(self.ledger.id, record, seen, self.cast.key(source), at_ms=self.clock())

    def state_due(self) -> None:
        """Have the ledger state what is due by now."""
        agenda = self.ledger.state.agenda
        if agenda and agenda[0].at_ms <= self.clock():
            self.ledger.tick()

    def hold_round(self, number: int) -> None:
        """Have every validator do what is its part now, until the round is final or waits for a deadline."""
        while (round := self.ledger.state.rounds.get((self.cast.cluster, number))) is not None:
            acted = False
            for validator in self.validators:
                first = round.committee[:1] == (validator.keyid,)
                validator.observations = self.broken if first else self.observations
                acted = bool(validator.step()) or acted
            self.state_due()
            if not acted:
                return
