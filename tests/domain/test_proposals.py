"""How a cluster changes: who decides, when it holds, and what no longer fits by then."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from proofroom.adapters.cast import Work
from proofroom.domain import canonical
from proofroom.domain.errors import MissingRole, UnderBonded
from proofroom.domain.governance import read_parameters
from proofroom.domain.proposals import PRICE_NOTICE_MS, is_passed, seats_of
from proofroom.domain.state import Cluster
from proofroom.domain.statements.governance import Parameters
from proofroom.domain.statements.proposals import ProposalDecided, ProposalEnacted
from proofroom.testing.histories import HOUR_MS, START_MS, History
from proofroom.testing.keys import key
from strategies.governing import (
    DAY_MS,
    admission,
    leave,
    new_manager,
    next_era,
    orchestrators,
    pass_all,
    propose,
    seated,
    settings,
    validation,
    vote,
)


def running() -> History:
    """A founded cluster in its era 0."""
    history = History()
    history.found()
    history.write(history.cast.open_era(0))
    return history


def cluster_of(history: History) -> Cluster:
    """The cluster as it is now."""
    return history.state.clusters["dragon-1"]


def decisions(history: History) -> list[tuple[int, int, int, bool]]:
    """Number, seats, ayes, passed."""
    found = [e.statement for e in history.entries if isinstance(e.statement, ProposalDecided)]
    return [(s.proposal, s.seats, s.ayes, s.passed) for s in found]


def enactments(history: History) -> list[tuple[int, int, str | None]]:
    """Number, era, why it lapsed."""
    found = [e.statement for e in history.entries if isinstance(e.statement, ProposalEnacted)]
    return [(s.proposal, s.era, s.lapsed) for s in found]


@pytest.mark.parametrize("seats", [2, 3, 4, 5, 6, 30, 31, 32])
def test_two_thirds_of_all_seats(seats: int) -> None:
    """The least ayes that pass are two thirds, rounded up, or all; a manager alone decides nothing."""
    least = math.ceil(Fraction(2 * seats, 3))
    assert [is_passed("two-thirds", ayes, seats) for ayes in (least - 1, least)] == [False, True]
    assert [is_passed("unanimous", ayes, seats) for ayes in (seats - 1, seats)] == [False, True]
    assert not is_passed("two-thirds", 1, 1)
    assert not is_passed("unanimous", 1, 1)


def test_an_abstention_is_a_nay() -> None:
    """Three of four ayes do not pass where all are needed; votes may change until the deadline, and the last counts."""
    history = running()
    cast = history.cast
    for number in range(2):
        history.write(propose(cast, number, settings(era_seconds=7)))
        history.write(*(vote(cast, number, voter) for voter in seated(cast)[number:]))
        history.write(*(vote(cast, number, voter, aye=True, created_at=cast.now(1)) for voter in cast.providers))
    history.write(vote(cast, 0, cast.manager, aye=False, created_at=cast.now(1)))
    history.write(vote(cast, 0, cast.manager, created_at=cast.now(2)))
    history.tick(HOUR_MS)
    assert decisions(history) == [(0, 4, 4, True), (1, 4, 3, False)]


def test_a_change_holds_from_the_next_era_on() -> None:
    """The era that is open keeps its parameters; the next one has the new, and its opening says so."""
    history = running()
    before = cluster_of(history).parameters
    pass_all(history, (settings(era_seconds=7_200, shares__treasury="0"),))
    assert cluster_of(history).parameters == before
    next_era(history)
    after = before._replace(era_seconds=7_200, treasury_share=0)
    assert cluster_of(history).parameters == history.state.eras["dragon-1", 1].parameters == after
    era = history.state.eras["dragon-1", 1]
    assert era.end - era.start == 7_200
    assert enactments(history) == [(0, 1, None)]
    (stated,) = [e.statement for e in history.entries if isinstance(e.statement, ProposalEnacted)]
    assert isinstance(stated.parameters, Parameters)
    assert read_parameters(stated.parameters) == after
    assert canonical.encode(stated.parameters.to_json()) == cluster_of(history).terms
    assert not cluster_of(history).proposals


def test_changes_that_fit_alone_need_not_fit_together() -> None:
    """The second of two that would give away more than all lapses; what comes after it is made."""
    history = running()
    half = str(6 * 10**17)
    pass_all(history, (settings(shares__treasury=half),), (settings(shares__reserve=half),), (settings(era_seconds=9),))
    next_era(history)
    assert enactments(history) == [(0, 1, None), (1, 1, "bad-parameters"), (2, 1, None)]
    parameters = cluster_of(history).parameters
    assert (parameters.treasury_share, parameters.reserve_share) == (6 * 10**17, 10**16)
    assert parameters.era_seconds == 9


@pytest.mark.parametrize(("early_ms", "price"), [(1_000, 1_000), (0, 1_001)])
def test_a_price_rise_gives_notice(early_ms: int, price: int) -> None:
    """It waits for the first era that begins seven days after the vote; a lower price need not."""
    history = running()
    cast = history.cast
    pass_all(history, (settings(prices__put="1001"),), (settings(prices__get="499"),))
    decided = next(e.recorded_at_ms for e in history.entries if isinstance(e.statement, ProposalDecided))
    assert (decided, PRICE_NOTICE_MS) == (START_MS + HOUR_MS, 7 * DAY_MS)
    next_era(history)
    assert enactments(history) == [(1, 1, None)]
    history.tick(2 * DAY_MS)
    history.clock = decided + PRICE_NOTICE_MS - early_ms
    history.write(cast.open_era(2))
    assert history.state.eras["dragon-1", 2].parameters.put == price
    assert (0 in cluster_of(history).proposals) == (early_ms > 0)


def test_a_node_is_admitted_then_validated_then_leaves() -> None:
    """It has a seat and may work only between validation and departure; what it did is still paid."""
    history = running()
    cast, provider, runtime = history.cast, key("provider-9"), key("runtime-9")
    founders = frozenset(k.keyid for k in seated(cast))
    pass_all(history, (admission("node-3", provider, runtime), provider, runtime))
    next_era(history)
    assert seats_of(cluster_of(history)) == founders
    pass_all(history, (validation("node-3"),))
    next_era(history)
    assert seats_of(cluster_of(history)) == founders | {provider.keyid}
    cast.runtimes.append(runtime)
    history.write(cast.activity(history.grant, 2, Work(), node=3))
    history.write(propose(cast, 2, settings(era_seconds=7)), vote(cast, 2, provider))
    history.write(leave(cast, "node-3", provider))
    assert seats_of(cluster_of(history)) == founders
    history.attest(history.seal(2))
    next_era(history)
    assert history.state.balances[f"provider:{provider.keyid}"] > 0
    history.write(*(vote(cast, 2, voter) for voter in seated(cast)))
    history.tick(HOUR_MS)
    assert decisions(history)[-1] == (2, 4, 4, True)


def test_a_new_manager_pays_its_bond_first() -> None:
    """Elected, it may pay the cluster's bond; then it opens the next era itself, so that the old manager cannot hold it back."""
    history = running()
    cast, elect = history.cast, key("manager-2")
    pass_all(history, (new_manager(elect), elect))
    next_era(history)
    assert enactments(history) == []
    assert cluster_of(history).manager == cast.manager.keyid
    history.write(cast.deposit(elect.keyid, 10**12, account="cluster-bond"))
    with pytest.raises(MissingRole):
        next_era(history)
    next_era(history, elect)
    assert enactments(history) == [(0, 2, None)]
    assert cluster_of(history).manager == elect.keyid
    next_era(history)


def test_orchestrators_change_between_eras() -> None:
    """The new ones seal what they co-signed."""
    history = running()
    pass_all(history, (orchestrators(key("orchestrator-2"), key("orchestrator-2")),))
    next_era(history)
    assert cluster_of(history).orchestrators == (key("orchestrator-2").keyid,)
    history.cast.orchestrator = key("orchestrator-2")
    history.work(1, Work())
    history.seal(1)


def test_a_higher_bond_must_be_there_when_the_era_opens() -> None:
    """The opening is refused, with all changes, until the bond is paid."""
    history = running()
    cast = history.cast
    pass_all(history, (settings(bonds__cluster_minimum=str(2 * 10**12)),))
    before = history.state
    with pytest.raises(UnderBonded):
        next_era(history)
    assert cluster_of(history).proposals == before.clusters["dragon-1"].proposals
    history.write(cast.deposit(cast.manager.keyid, 10**12, account="cluster-bond"))
    next_era(history)
    assert enactments(history) == [(0, 1, None)]


def test_the_majority_of_a_proposal_is_that_of_its_beginning() -> None:
    """Who stayed away because all were needed is not outvoted by a rule that came later."""
    history = running()
    cast = history.cast
    pass_all(history, (settings(majority="two-thirds"),))
    history.write(propose(cast, 1, settings(era_seconds=7), ahead_ms=2 * DAY_MS))
    next_era(history)
    history.write(propose(cast, 2, settings(era_seconds=8)))
    for number in (1, 2):
        history.write(*(vote(cast, number, voter) for voter in cast.providers))
    history.tick(HOUR_MS)
    history.tick(2 * DAY_MS)
    assert decisions(history) == [(0, 4, 4, True), (2, 4, 3, True), (1, 4, 3, False)]


def test_a_deserted_manager_decides_nothing() -> None:
    """When all nodes have left, no proposal passes: nodes are not validated by the manager alone."""
    history = running()
    cast = history.cast
    history.write(*(leave(cast, f"node-{i}", provider) for i, provider in enumerate(cast.providers)))
    pass_all(history, (settings(era_seconds=7),), voters=[cast.manager])
    assert decisions(history) == [(0, 1, 1, False)]
