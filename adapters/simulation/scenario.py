"""What a simulated world is made of."""

from __future__ import annotations

from typing import NamedTuple

from proofroom.domain.errors import BadScenario

MISBEHAVIOURS = ("colluding", "copying", "absent", "equivocating", "misrevealing", "framing")
"""What validators may do instead of their part."""


class Scenario(NamedTuple):
    """A world of one cluster. The same scenario gives the same ledger, byte for byte."""

    seed: int = 0
    batches: int = 100
    """Each begins a round."""
    records: int = 10
    """Of each batch."""
    misreported: int = 1
    """Records of each batch that claim twice the processor time that was used; always by the same node."""
    unobserved: int = 0
    """Records of each batch of which the gateway saw nothing."""
    batches_per_era: int = 50
    validators: int = 21
    committee: int = 5
    escalations: int = 0
    colluding: int = 0
    """Validators that agree to whatever is claimed."""
    copying: int = 0
    """Validators that look at nothing, and pass off another's commitment as theirs."""
    absent: int = 0
    """Validators that neither reveal their beacon value nor vote."""
    equivocating: int = 0
    """Validators that sign two commitments for one round."""
    misrevealing: int = 0
    """Validators that sign a false beacon value."""
    framing: int = 0
    """Validators that reject whatever is claimed; they collude too."""
    slash_multiple: int = 0
    """How many times what its rejected records would have cost a node is slashed; 0 for not at all."""

    def behaviour(self, i: int) -> str:
        """What validator ``i`` does: ``honest``, or one of the others."""
        for name in MISBEHAVIOURS:
            if i < getattr(self, name):
                return name
            i -= getattr(self, name)
        return "honest"


_RANGES = {
    "seed": (0, 2**63 - 1),
    "batches": (1, 100_000),
    "records": (1, 1_000),
    "batches_per_era": (1, 100_000),
    "validators": (5, 500),
    "committee": (5, 61),
    "escalations": (0, 2),
}


def check_scenario(s: Scenario) -> None:
    """See that a world can be made.

    Raises:
        BadScenario: a number is out of its range, or two do not fit together.
    """
    for name, value in s._asdict().items():
        least, most = _RANGES.get(name, (0, 1_000))
        if not least <= value <= most:
            raise BadScenario(field=name, why=f"{value} is not from {least} to {most}")
    if sum(getattr(s, name) for name in MISBEHAVIOURS) > s.validators:
        raise BadScenario(field="validators", why="more misbehave than there are")
    if max(s.misreported, s.unobserved) > s.records:
        raise BadScenario(field="records", why="a batch has fewer than are misreported or unobserved")
    if s.committee > s.validators:
        raise BadScenario(field="committee", why="larger than the number of validators")
