"""Histories of clusters that escalate and punish."""

from __future__ import annotations

from functools import cache
from typing import Any

from proofroom.adapters.cast import Work
from proofroom.domain.voting import make_vote
from strategies.histories import History, with_parameters

UNSEEN, FALSE = "unobserved", "out-of-scope"
"""A reason to abstain, and one to reject."""


def sealed(validators: int, escalations: int, works: int = 1, **bonds: Any) -> History:
    """A cluster that escalates, with one sealed batch: round 0 awaits its beacon."""
    parameters = with_parameters(attestation={"escalations": escalations}, bonds=bonds)
    history = History(validators=validators, parameters=parameters)
    history.found()
    history.write(history.cast.open_era(0))
    history.work(0, *[Work(i) for i in range(works)])
    history.seal(0)
    return history


def doubt(history: History, round: int, *positions: int) -> None:
    """The whole committee cannot tell about these positions, and agrees to the rest."""
    doubts = dict.fromkeys(positions, UNSEEN)
    history.attest(round, *[doubts] * len(history.cast.validators))


@cache
def disputed_history() -> History:
    """One era with every way that a record can go through two committees, and one more batch in dispute; to read, not to write.

    Of the first batch the first committee attests 0, rejects 1 and disputes 2, 3 and 4; the second attests 2, rejects 3 and cannot tell
    about 4. The second batch is with its second committee.
    """
    history = sealed(18, 1, 5)
    members = history.reveal_beacons(0, range(17))
    history.tick(60_000)
    members = history.cast.members(history.state, 0)
    split = {2: UNSEEN, 3: FALSE, 4: UNSEEN}
    votes = [{1: FALSE, **split}, {1: FALSE, **split}, {1: FALSE, **split}, {1: FALSE}, {}]
    history.vote(0, {i: make_vote(5, v) for i, v in zip(members, votes, strict=True)})
    history.attest(1, *[{3: FALSE, 4: UNSEEN}] * 9, {2: UNSEEN})
    history.work(0, Work(7))
    doubt(history, history.seal(0), 0)
    history.reveal_beacons(3)
    return history
