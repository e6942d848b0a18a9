"""The tally as the ledger states it: exactly two thirds, of all that were assigned, for every size."""

from __future__ import annotations

from functools import cache

import pytest
from immutables import Map

from proofroom.domain.state import Ballot, Due, Round, State
from proofroom.domain.verdicts import compute_tally
from proofroom.domain.voting import all_positions, read_bitmap, set_of
from proofroom.testing.keys import key
from strategies.disputes import sealed

CLUSTER = "dragon-1"


@cache
def world() -> tuple[State, Round]:
    """A state with a round whose batch has one record."""
    state = sealed(7, 2).state
    return state, state.rounds[CLUSTER, 0]


@pytest.mark.parametrize("assigned", range(1, 61))
def test_every_way_to_vote_in_a_committee_of_every_size(assigned: int) -> None:
    """For every number of agreeing and of rejecting votes, the others abstaining: attested if and only if two thirds agreed.

    Each pair of numbers is one position of the batch: the first members agree to it, the next reject it, the others abstain.
    """
    state, round = world()
    ways = [(agree, reject) for agree in range(assigned + 1) for reject in range(assigned + 1 - agree)]
    members = tuple(sorted(key(f"member {i}").keyid for i in range(assigned)))
    votes = {
        member: Ballot(
            set_of(at for at, (agree, _) in enumerate(ways) if i < agree),
            set_of(at for at, (agree, reject) in enumerate(ways) if agree <= i < agree + reject),
        )
        for i, member in enumerate(members)
    }
    round = round._replace(
        records=round.records * len(ways),
        judged=all_positions(len(ways)),
        digest=bytes(32),
        eligible=members,
        colluding=assigned // 3,
        committee=members,
        votes=Map(votes),
        size=assigned,
    )
    tally = compute_tally(state._replace(rounds=Map({(CLUSTER, 0): round})), Due(0, "round", CLUSTER, 0), round)
    attested, rejected = read_bitmap(tally.attested, len(ways)), read_bitmap(tally.rejected, len(ways))
    for at, (agree, reject) in enumerate(ways):
        assert bool(attested >> at & 1) == (3 * agree >= 2 * assigned)
        assert bool(rejected >> at & 1) == (3 * reject >= 2 * assigned)
    assert not attested & rejected
    assert tally.agree == min(agree for agree, _ in ways if 3 * agree >= 2 * assigned)


def test_where_nobody_was_assigned_nothing_is_attested() -> None:
    """Two thirds of nobody are nobody: an empty committee passes nothing."""
    state, round = world()
    tally = compute_tally(state, Due(0, "round", CLUSTER, 0), round._replace(committee=(), votes=Map()))
    assert (tally.records_attested, tally.records_rejected, tally.catch) == (0, 0, "0")
