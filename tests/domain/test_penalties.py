"""Penalties: exactly what the protocol says, once, in a statement that recomputes; and nothing for what is no offence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from proofroom.adapters.cast import PARAMETERS, Work
from proofroom.domain.envelope import sign
from proofroom.domain.errors import AlreadyRecorded, DueFirst, NodeStatus, NotAssigned, UnderBonded
from proofroom.domain.penalties import compute_slash, recent
from proofroom.domain.statements.offences import NodeRemoved, Slashed, ValidatorSuspended
from proofroom.domain.statements.settlement import Payout
from proofroom.testing.histories import History, with_parameters
from proofroom.testing.keys import key
from strategies.disputes import FALSE, UNSEEN, sealed, statements
from strategies.spending import withdraw

CLUSTER = "dragon-1"
PRICE = int(PARAMETERS.prices.cpu_second)


def founded(validators: int = 7, **groups: Any) -> History:
    """A cluster that slashes."""
    bonds = {"slash_floor": "1000", "slash_multiple": 3} | groups.pop("bonds", {})
    history = History(validators=validators, parameters=with_parameters(bonds=bonds, **groups))
    history.found()
    return history


def hold_era(history: History, era: int, cpu_ms: Mapping[int, int], doubts: dict[int, str]) -> None:
    """A whole era: one record for each node in ``cpu_ms``; the committee has these doubts, by position."""
    history.write(history.cast.open_era(era))
    for node, burnt in cpu_ms.items():
        history.write(history.cast.activity(history.grant, era, Work(burnt), node=node))
    history.sleep(1_000)
    if cpu_ms:
        history.attest(history.seal(era), *[doubts] * 5)
    history.write(history.cast.close_era(era))


def bond_of(history: History) -> int:
    """What is on the cluster's bond."""
    return history.state.balances.get(f"bond:{CLUSTER}:{history.cast.manager.keyid}", 0)


@settings(max_examples=max(6, settings().max_examples // 16), phases=[Phase.reuse, Phase.generate])
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 10**7), st.sampled_from([FALSE, UNSEEN, ""])),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 10**12),
    st.integers(0, 50),
)
def test_a_slash_is_what_a_recount_gives(work: list[tuple[int, int, str]], floor: int, multiple: int) -> None:
    """For each node with rejected records: ``max(floor, multiple * charge)`` of what is left of the bond, before the payouts."""
    history = founded(bonds={"slash_floor": str(floor), "slash_multiple": multiple})
    history.write(history.cast.open_era(0))
    for node, burnt, _ in work:
        history.write(history.cast.activity(history.grant, 0, Work(burnt), node=node))
    history.sleep(1_000)
    history.attest(history.seal(0), *[{i: word for i, (_, _, word) in enumerate(work) if word}] * 5)
    left, treasury = bond_of(history), history.state.balances.get("treasury", 0)
    history.write(history.cast.close_era(0))
    expected, total = [], 0
    for node in range(3):
        false = [burnt for n, burnt, word in work if (n, word) == (node, FALSE)]
        if not false or not (floor or multiple):
            continue
        charge = sum(false) * PRICE // 1000
        amount = min(max(floor, multiple * charge), left - total)
        total += amount
        expected.append((f"node-{node}", len(false), str(charge), str(amount)))
    slashed = statements(history, Slashed)
    assert [(s.basis.node, s.basis.records, s.basis.charge, s.amount) for s in slashed] == expected
    assert {(s.debit, s.credit) for s in slashed} <= {(f"bond:{CLUSTER}:{history.cast.manager.keyid}", "treasury")}
    assert bond_of(history) == left - total
    kinds = [e.statement.kind for e in history.entries]
    assert "payout" not in kinds[: len(kinds) - kinds[::-1].index("slashed")] if expected else True
    fees = [s for s in statements(history, Payout) if s.role == "treasury"]
    assert history.state.balances.get("treasury", 0) == treasury + total + sum(int(s.amount) for s in fees)


@pytest.mark.parametrize(
    ("floor", "multiple", "charged", "bond", "slash"),
    [(10, 3, 5, 100, 15), (10, 1, 5, 100, 10), (10, 3, 5, 14, 14), (10, 3, 5, 0, 0), (0, 0, 5, 100, 0)],
)
def test_compute_slash(floor: int, multiple: int, charged: int, bond: int, slash: int) -> None:
    """The larger of floor and multiple, never more than the bond."""
    parameters = founded().state.clusters[CLUSTER].parameters._replace(slash_floor=floor, slash_multiple=multiple)
    assert compute_slash(parameters, charged, bond) == slash


def test_nothing_comes_before_a_penalty() -> None:
    """A host that would rather not write the slash can write nothing at all."""
    history = founded()
    history.write(history.cast.open_era(0))
    history.work(0, Work())
    history.sleep(1_000)
    history.attest(history.seal(0), *[{0: FALSE}] * 5)
    history.record(history.cast.close_era(0))
    while (due := history.due()) is not None and due.kind != "slashed":
        history.record(sign(due, key("ledger")))
    with pytest.raises(DueFirst) as refused:
        history.record(history.cast.open_era(1))
    assert refused.value.due == "slashed"


def test_a_cluster_that_does_not_slash_has_no_offences() -> None:
    """With neither floor nor multiple a rejected record does not pay, and that is all."""
    history = founded(bonds={"slash_floor": "0", "slash_multiple": 0})
    for era in range(3):
        hold_era(history, era, {0: 100}, {0: FALSE})
    assert statements(history, Slashed) == statements(history, NodeRemoved) == []


def test_below_its_minimum_bond_a_cluster_opens_no_era() -> None:
    """Until somebody tops it up."""
    history = founded()
    hold_era(history, 0, {0: 100}, {0: FALSE})
    with pytest.raises(UnderBonded):
        history.write(history.cast.open_era(1))
    slash = statements(history, Slashed)[0].amount
    history.write(history.cast.deposit(history.cast.manager.keyid, int(slash), account="cluster-bond"))
    history.write(history.cast.open_era(1))


def test_a_bond_that_is_being_unlocked_is_slashed() -> None:
    """Asking for the money does not save it."""
    history = founded(bonds={"slash_floor": str(10**12)})
    history.write(history.cast.open_era(0))
    history.work(0, Work())
    history.write(withdraw(history.cast, history.cast.manager, 10**12 - 7, account="cluster-bond"))
    history.sleep(1_000)
    history.attest(history.seal(0), *[{0: FALSE}] * 5)
    history.write(history.cast.close_era(0))
    assert bond_of(history) == 0
    assert statements(history, Slashed)[0].amount == str(10**12)


def topped_up(history: History) -> None:
    """Bring the cluster's bond back to its minimum."""
    missing = 10**12 - bond_of(history)
    if missing > 0:
        history.write(history.cast.deposit(history.cast.manager.keyid, missing, account="cluster-bond"))


def test_three_strikes_remove_a_node() -> None:
    """The third era with an offence is the last for this node, and for no other; one with two nodes at fault is one strike each."""
    history = founded()
    for era, doubts in enumerate([{0: FALSE, 1: FALSE}, {0: UNSEEN, 1: FALSE}, {0: FALSE}, {0: FALSE}]):
        topped_up(history)
        hold_era(history, era, {0: 100, 1: 100}, doubts)
    (removed,) = statements(history, NodeRemoved)
    assert (removed.node, removed.offences) == ("node-0", (0, 2, 3))
    topped_up(history)
    history.write(history.cast.open_era(4))
    with pytest.raises(NodeStatus):
        history.work(4, Work())
    history.write(history.cast.activity(history.grant, 4, Work(), node=1))


def test_the_window_is_ten_eras() -> None:
    """The first and the tenth era lie in one window, the first and the eleventh do not."""
    assert recent((0, 5, 9)) == (0, 5, 9)
    assert recent((0, 5, 10)) == (5, 10)
    assert recent((9, 0, 9)) == (0, 9)
    assert recent(()) == ()


def test_withholding_in_three_eras_suspends_for_ten() -> None:
    """Whatever the number of rounds in an era; the statement names the eras; after ten eras it is eligible again, with a clean slate."""
    history = founded(validators=8, attestation={"suspend_after": 3})
    cast = history.cast
    absent = cast.validators[7].keyid
    for era in range(14):
        history.write(cast.open_era(era))
        history.work(era, Work())
        history.sleep(1_000)
        rounds = [history.seal(era)]
        if era == 0:
            history.work(era, Work())
            rounds.append(history.seal(era))
        for round in rounds:
            eligible = history.state.rounds[CLUSTER, round].eligible
            assert (absent in eligible) == (era <= 2 or era == 13)
            history.reveal_beacons(round, range(7))
        history.tick(60_000)
        history.tick(120_000)
        history.write(cast.close_era(era))
    (suspended,) = statements(history, ValidatorSuspended)
    assert (suspended.validator, suspended.withheld, suspended.until_era) == (absent, (0, 1, 2), 12)
    assert history.state.validators[CLUSTER][absent].withheld == (13,)


def test_without_the_parameter_nobody_is_suspended() -> None:
    """A cluster founded without ``suspend_after`` goes on as before."""
    history = founded(validators=8)
    for era in range(4):
        history.write(history.cast.open_era(era))
        history.work(era, Work())
        history.sleep(1_000)
        history.reveal_beacons(history.seal(era), range(7))
        history.tick(60_000)
        history.tick(120_000)
        history.write(history.cast.close_era(era))
    assert statements(history, ValidatorSuspended) == []


def test_who_left_is_not_drawn() -> None:
    """It sits out the rounds that begin after it left, and finishes those it was drawn for; its key never comes back."""
    history = sealed(8, 0)
    cast = history.cast
    history.write(cast.leave(7))
    assert cast.validators[7].keyid in history.state.rounds[CLUSTER, 0].eligible
    history.write(cast.reveal_beacon(0, 7))
    history.work(0, Work())
    round = history.seal(0)
    assert cast.validators[7].keyid not in history.state.rounds[CLUSTER, round].eligible
    with pytest.raises(NotAssigned):
        history.record(cast.reveal_beacon(round, 7))
    for again in (cast.leave(7), cast.register_validator(7)):
        with pytest.raises(AlreadyRecorded):
            history.record(again)
