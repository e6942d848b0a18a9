"""Escalation: what a committee could not decide goes to a fresh and larger one (protocol 5).

A record that is neither attested nor rejected is *disputed*. The next committee has ``2m + 1`` members, drawn with new reveals from those
who were eligible at the seal, are so still, and sat on no earlier committee. There are as many as the parameter ``escalations`` says, at
most two. Where too few are left, the record ends unattested. Nobody can join once there is a dispute, so it cannot be packed.
"""

from __future__ import annotations

from typing import Any

from immutables import Map

from proofroom.domain.state import Round, State
from proofroom.domain.validators import may_judge
from proofroom.domain.voting import write_bitmap


def next_size(size: int) -> int:
    """Members of the committee after one of ``size``."""
    return 2 * size + 1


def next_round(state: State, cluster: str, round: Round, disputed: int) -> Round | None:
    """The round that decides what ``round`` could not; None when there is nothing to decide or nobody to decide it."""
    parameters = state.eras[cluster, round.era].parameters
    eligible = tuple(
        v
        for v in round.eligible
        if v not in round.committee and may_judge(state, cluster, v, round.era, parameters.validator_bond)
    )
    size = next_size(round.size)
    if not disputed or not round.committee or round.level >= parameters.escalations or len(eligible) < size:
        return None
    return Round(
        round.era,
        round.batch,
        round.root,
        round.records,
        judged=disputed,
        eligible=eligible,
        size=size,
        colluding=min(round.colluding, len(eligible)),
        level=round.level + 1,
        heard=Map({**round.heard, **round.votes}),
    )


def fields_of(round: Round) -> dict[str, Any]:
    """What the statements about an escalated round say more than those about a first one."""
    if not round.level:
        return {}
    return {"level": round.level, "judged": write_bitmap(round.judged, len(round.records))}
