"""Histories of clusters that escalate and punish."""

from __future__ import annotations

from functools import cache
from typing import Any

from immutables import Map

from proofroom.adapters.cast import Work
from proofroom.domain.state import Round
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import History, resign, with_parameters
from strategies.accusing import accuse, accuse_beacon

NO_ROUND = Round(0, 0, bytes(32), (), 0, (), 0, 0)
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


def statements(history: History, kind: type[Any]) -> list[Any]:
    """All statements of a kind."""
    return [e.statement for e in history.entries if isinstance(e.statement, kind)]


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


@cache
def punished_history() -> History:
    """A cluster in which everything is punished: a node that misreports in three eras, and who withholds, equivocates and reveals falsely.

    One validator leaves. To read, not to write.
    """
    parameters = with_parameters(
        attestation={"suspend_after": 1}, bonds={"slash_floor": "1000", "slash_multiple": 3, "cluster_minimum": "1000"}
    )
    history = History(seed="punished", cluster="strict-1", validators=6, parameters=parameters)
    cast = history.cast
    history.write(*cast.founding(), *cast.consent(), cast.deposit(cast.user.keyid, 10**10))
    for era in range(3):
        history.write(cast.open_era(era), cast.activity(history.grant, era, Work(100 + era)))
        history.sleep(1_000)
        round = history.seal(era)
        history.reveal_beacons(round, range(5))  # the sixth withholds, and is suspended
        if era == 0:
            history.tick(60_000)
        history.vote(round, dict.fromkeys(cast.members(history.state, round), make_vote(1, {0: FALSE})))
        history.write(cast.close_era(era))
        history.write(cast.deposit(cast.manager.keyid, 10**6, account="cluster-bond"))
    committed = cast.commit(history.state._replace(rounds=Map({(cast.cluster, 3): NO_ROUND})), 3, 0, make_vote(1))
    history.write(accuse(history, committed, resign(committed, commitment="blake3:" + "0" * 64), 0))
    history.write(accuse_beacon(history, resign(cast.reveal_beacon(3, 1), value="00" * 32), 1))
    history.write(cast.leave(2))
    return history
