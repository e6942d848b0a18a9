"""Simulated worlds: replayed from their seed, and in agreement with what the formulas say."""

from __future__ import annotations

import json
import secrets
from contextlib import closing
from math import comb
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.ledger import LOG
from proofroom.adapters.simulation.report import Report, interval
from proofroom.adapters.simulation.rooms import store_in
from proofroom.adapters.simulation.scenario import Scenario, check_scenario
from proofroom.adapters.simulation.world import simulate
from proofroom.adapters.sqlite import SqliteStore
from proofroom.domain.errors import BadScenario, LedgerExists
from strategies.rooms import soak
from strategies.shell import proofroom


def test_a_world_is_replayed_from_its_seed() -> None:
    """The same scenario gives the same ledger to the last byte, another seed another one."""
    scenario = Scenario(seed=3, batches=4, records=3, validators=7, colluding=2)
    assert simulate(scenario) == simulate(scenario)
    assert simulate(scenario).root != simulate(scenario._replace(seed=4)).root


@pytest.mark.parametrize("world", range(3))
def test_rates_are_those_computed(world: int) -> None:
    """Captured and caught rounds lie within the 99.99 % interval of the formulas, for a seed drawn now."""
    scenario = Scenario(
        seed=secrets.randbits(32),
        batches=soak(40, 10_000),
        records=4,
        unobserved=1,
        validators=9,
        colluding=3 + world,
        batches_per_era=1_000,
    )
    print(scenario)  # noqa: T201 - the seed, for whoever has to replay a failure
    report = simulate(scenario)
    assert report.drawn == scenario.batches
    least, most = interval(report.expected_capture, report.drawn)
    assert least <= report.captured <= most, scenario
    least, most = interval(report.expected_catch, report.drawn)
    assert least <= report.caught <= most, scenario


@settings(max_examples=5)
@given(st.integers(0, 2**32), st.data())
def test_the_honest_are_safe(seed: int, data: st.DataObject) -> None:
    """Where nobody colludes, no honest record is rejected and no misreport attested, whoever copies, is absent or signs twice."""
    scenario = Scenario(
        seed=seed,
        batches=3,
        records=5,
        misreported=data.draw(st.integers(0, 5)),
        unobserved=data.draw(st.integers(0, 2)),
        validators=12,
        copying=data.draw(st.integers(0, 3)),
        absent=data.draw(st.integers(0, 4)),
        equivocating=data.draw(st.integers(0, 2)),
        escalations=data.draw(st.integers(0, 1)),
        batches_per_era=2,
    )
    report = simulate(scenario)
    assert report.honest["rejected"] == 0
    assert report.misreported["attested"] == 0
    assert sum(report.honest.values()) + sum(report.misreported.values()) == 15
    assert report.stated["era-paid"] == 2


def test_a_copied_vote_is_worth_nothing() -> None:
    """A commitment is bound to its author: who signs another's as its own can never open it."""
    report = simulate(Scenario(seed=1, batches=5, validators=9, copying=4, committee=9))
    assert report.refused["false-reveal"] == 4 * 5
    assert report.stated["round-tallied"] == 5


def test_who_signs_twice_or_falsely_is_convicted_by_it() -> None:
    """One commitment a round, one beacon value: the second is refused, and with the first it is evidence that costs bond and place."""
    report = simulate(Scenario(seed=1, batches=5, validators=9, equivocating=2, misrevealing=1))
    assert report.slashed == {"equivocating": 2, "misrevealing": 1}
    assert report.stated["slashed"] == 3
    assert report.refused == {"false-reveal": 1, "already-recorded": 2, "key-not-in-force": 2}
    assert report.honest == {
        "attested": 36,
        "rejected": 0,
        "unattested": 9,
    }  # both sat on one committee of five, in which three remain


def test_a_node_that_misreports_is_slashed_and_removed() -> None:
    """Once in each of three eras; then it is out, and the batches have no misreport any more."""
    report = simulate(Scenario(seed=1, batches=5, records=3, validators=7, batches_per_era=1, slash_multiple=2))
    assert report.slashed == {"misreporting-node": 3}
    assert report.stated["node-removed"] == 1
    assert (report.suspect, report.caught, report.misreported["rejected"]) == (3, 3, 3)


@settings(max_examples=soak(4, 200))
@given(st.integers(0, 2**32), st.data())
def test_the_honest_are_never_slashed(seed: int, data: st.DataObject) -> None:
    """Whatever colluders that hold less than a third of each committee do, and whatever is lost: who keeps the rules keeps its bond.

    At most four of sixteen collude, so none of the committees of thirteen is a third theirs; those who are convicted leave others behind.
    """
    framing = data.draw(st.integers(0, 4), "framing")
    colluding = data.draw(st.integers(0, 4 - framing), "colluding")
    scenario = Scenario(
        seed=seed,
        batches=3,
        records=3,
        misreported=data.draw(st.integers(0, 3), "misreported"),
        unobserved=data.draw(st.integers(0, 3), "unobserved"),
        validators=16,
        committee=13,
        copying=data.draw(st.integers(0, 3), "copying"),
        absent=data.draw(st.integers(0, 3), "absent"),
        equivocating=data.draw(st.integers(0, 2), "equivocating"),
        misrevealing=data.draw(st.integers(0, 1), "misrevealing"),
        framing=framing,
        colluding=colluding,
        batches_per_era=1,
        slash_multiple=2,
    )
    report = simulate(scenario)
    assert report.blockable == 0
    assert report.slashed.keys() <= {"equivocating", "misrevealing", "misreporting-node"}
    assert report.honest["rejected"] == report.misreported["attested"] == 0


def test_who_is_slashed_is_honest_only_where_a_third_colludes() -> None:
    """Small committees drawn from many: honest nodes lose their bond only in worlds in which framers held a third of a committee.

    Escalation takes most disputes from them. With two thirds of a committee, they do have an honest node slashed, as the page says.
    """
    world = Scenario(batches=4, records=2, validators=24, escalations=1, batches_per_era=2, slash_multiple=1)
    reports = [simulate(world._replace(seed=seed, framing=n)) for seed, n in ((1, 1), (2, 2), (3, 5), (4, 20))]
    safe = [report for report in reports if not report.blockable]
    assert safe
    assert not any("honest-node" in report.slashed for report in safe)
    assert reports[-1].slashed["honest-node"] > 0


def test_too_many_absent_end_a_round_unattested() -> None:
    """More than a third who withhold their beacon value: no committee is drawn, and nothing pays."""
    report = simulate(Scenario(seed=1, batches=2, validators=9, absent=4))
    assert report.drawn == 0
    assert report.honest == {"attested": 0, "rejected": 0, "unattested": 18}


def test_a_world_may_be_kept(tmp_path: Path) -> None:
    """What is left behind is an ordinary ledger; a folder that holds one is not written to."""
    report = simulate(Scenario(seed=1, batches=2, records=3, validators=7), store=store_in(tmp_path / "room"))
    with closing(SqliteStore(tmp_path / "room" / LOG, read_only=True)) as store:
        audited = audit(store)
    assert (audited.verdict, audited.root.hex()) == (Verdict.VALID, report.root)
    with pytest.raises(LedgerExists):
        simulate(Scenario(), store=store_in(tmp_path / "room"))


@given(st.integers(0, 10), st.integers(1, 60), st.sampled_from([0.5, 0.01, 1e-4]))
def test_interval_holds_what_it_says(tenths: int, trials: int, outside: float) -> None:
    """At most half of what may lie outside lies below, and as much above; one more on either side would be too much."""
    chance = tenths / 10
    least, most = interval(chance, trials, outside=outside)
    mass = [comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(trials + 1)]
    assert sum(mass[:least]) <= outside / 2 + 1e-9
    assert sum(mass[most + 1 :]) <= outside / 2 + 1e-9
    assert sum(mass[: least + 1]) > outside / 2 - 1e-9
    assert sum(mass[most:]) > outside / 2 - 1e-9


@pytest.mark.parametrize(
    ("scenario", "field"),
    [
        (Scenario(batches=0), "batches"),
        (Scenario(colluding=20, absent=2), "validators"),
        (Scenario(records=2, misreported=3), "records"),
        (Scenario(committee=11, validators=10), "committee"),
        (Scenario(copying=-1), "copying"),
    ],
)
def test_a_world_that_cannot_be_is_named(scenario: Scenario, field: str) -> None:
    """Which number does not fit."""
    with pytest.raises(BadScenario) as e:
        check_scenario(scenario)
    assert e.value.field == field


def test_as_a_command(tmp_path: Path) -> None:
    """For a person and for a program; a picture where one is asked for; without a seed, one is drawn and told."""
    numbers = ("--batches", "3", "--records", "2", "--validators", "6", "--colluding", "1")
    ran = proofroom("simulate", *numbers, "--seed", "5", "--json", "--plot", tmp_path / "run.png")
    report = json.loads(ran.out)
    assert ran.status == 0
    assert report["scenario"]["seed"] == 5
    assert report.keys() == set(Report._fields)
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    assert ran.err.endswith(f"{tmp_path}/run.png: the run, drawn\n")
    told = proofroom("simulate", *numbers).out
    assert told.startswith("seed")
    assert "99.99 % of such worlds" in told
    assert proofroom("simulate", "--committee", "4").status == BadScenario.exit_status
