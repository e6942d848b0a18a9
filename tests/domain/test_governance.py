"""Clusters and eras: opening, closing, ending by time, and the parameters that bind them."""

from __future__ import annotations

import pytest

from proofroom.adapters.cast import PARAMETERS, Work
from proofroom.domain.governance import read_parameters
from proofroom.domain.money import RATIO_ONE
from proofroom.domain.statements.settlement import EraPaid, EraSealed
from proofroom.testing.histories import HOUR_MS, START_MS, History, resign
from proofroom.testing.keys import key


def founded() -> History:
    """A cluster with nothing open."""
    history = History()
    history.found()
    return history


def test_a_cluster_is_what_its_founders_signed() -> None:
    """Manager, nodes, orchestrators once each and in order, parameters as integers; no era yet."""
    history = History()
    cast = history.cast
    orchestrators = [key("o-2").keyid, key("o-1").keyid, key("o-2").keyid]
    history.record(cast.found_cluster(orchestrators=orchestrators))
    cluster = history.state.clusters["dragon-1"]
    assert cluster.manager == cast.manager.keyid
    assert cluster.orchestrators == tuple(sorted({key("o-1").keyid, key("o-2").keyid}))
    assert {n: (f.provider, f.runtime_key) for n, f in cluster.nodes.items()} == {
        f"node-{i}": (p.keyid, r.keyid) for i, (p, r) in enumerate(zip(cast.providers, cast.runtimes, strict=True))
    }
    assert (cluster.opened, cluster.open, cluster.last_end, cluster.rounds) == (-1, False, 0, 0)
    assert cluster.parameters == read_parameters(PARAMETERS)


def test_parameters_are_read_field_by_field() -> None:
    """No two fields are mixed up: each gets a value of its own."""
    p = PARAMETERS
    prices = p.prices.model_copy(update={name: str(100 + i) for i, name in enumerate(p.prices.to_json())})
    shares = p.shares.model_copy(update={"treasury": "1", "reserve": "2", "validators": str(RATIO_ONE - 3)})
    times = {"committee": 61, "beacon_ms": 2, "commit_ms": 3, "reveal_ms": 4, "escalations": 11, "suspend_after": 14}
    tolerances = {"cpu_tolerance": "5", "gpu_tolerance": "6", "bytes_tolerance": "7"}
    attestation = p.attestation.model_copy(update=times | tolerances)
    bonds = p.bonds.model_copy(
        update={"cluster_minimum": "8", "validator_minimum": "9", "slash_floor": "12", "slash_multiple": 13}
    )
    groups = {"prices": prices, "shares": shares, "attestation": attestation, "bonds": bonds, "era_seconds": 10}
    groups["late_records"] = "next-era"
    read = read_parameters(p.model_copy(update=groups))
    assert tuple(read) == (
        100,
        101,
        102,
        103,
        104,
        105,
        1,
        2,
        RATIO_ONE - 3,
        61,
        11,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        12,
        13,
        14,
        10,
        True,
    )


def test_an_era_ends_by_itself() -> None:
    """At its planned end the seal is due; what is in no batch is late, counted, and never pays."""
    history = founded()
    history.write(history.cast.open_era(0))
    history.work(0, Work(), Work())
    history.tick(24 * HOUR_MS - 1)
    assert history.state.clusters["dragon-1"].open
    history.tick(1)
    sealed, paid = (e.statement for e in history.entries[-3:-1])
    assert isinstance(sealed, EraSealed)
    assert isinstance(paid, EraPaid)
    assert (sealed.recorded, sealed.late, sealed.batches) == (2, 2, 0)
    assert (paid.records.recorded, paid.records.unattested, paid.lines, paid.note) == (2, 2, 0, "no attested work")
    assert not history.state.eras
    assert not history.state.agenda


def test_an_era_closes_when_the_manager_asks() -> None:
    """The seal follows in the same moment, with the end that was asked for; the next era may begin there."""
    history = founded()
    history.write(history.cast.open_era(0))
    history.sleep(10_500)
    history.write(history.cast.close_era(0, end="2026-03-01T09:00:10Z"))
    sealed = next(e.statement for e in history.entries if isinstance(e.statement, EraSealed))
    assert (sealed.start, sealed.end) == ("2026-03-01T09:00:00Z", "2026-03-01T09:00:10Z")
    assert history.state.clusters["dragon-1"].last_end == START_MS // 1000 + 10
    history.write(history.cast.open_era(1, start="2026-03-01T09:00:10Z"))


def test_a_close_cannot_lengthen_an_era() -> None:
    """An era that is closed in its last second ends where it was planned to."""
    history = founded()
    history.write(history.cast.open_era(0, start="2026-03-01T09:04:59Z"))
    history.clock = START_MS + 299_000 + 24 * HOUR_MS - 1
    history.write(history.cast.close_era(0))
    assert history.state.clusters["dragon-1"].last_end == START_MS // 1000 + 298 + 86_400


def test_an_era_may_open_ahead_of_the_clock() -> None:
    """By as much as clocks may differ, and into the past as long as it is not over and touches no other."""
    history = founded()
    history.record(history.cast.open_era(0, start="2026-03-01T09:05:00Z"))
    other = founded()
    other.record(other.cast.open_era(0, start="2026-02-28T09:00:01Z"))


def test_a_bond_of_exactly_the_minimum() -> None:
    """What the minimum says is enough."""
    history = History()
    cast = history.cast
    bond = cast.deposit(cast.manager.keyid, int(PARAMETERS.bonds.cluster_minimum), account="cluster-bond")
    history.write(cast.found_cluster(), bond)
    history.record(cast.open_era(0))


@pytest.mark.parametrize("rounds", [1, 2])
def test_an_era_waits_for_its_rounds(rounds: int) -> None:
    """Sealed, it is settled when the last of its rounds is final; meanwhile the next era is open."""
    history = founded()
    history.write(history.cast.open_era(0))
    for _ in range(rounds):
        history.work(0, Work())
        history.seal(0)
    history.sleep(1_000)
    history.write(history.cast.close_era(0), history.cast.open_era(1))
    for number in range(rounds):
        assert history.state.eras["dragon-1", 0].open_rounds == rounds - number
        history.attest(number)
    assert ("dragon-1", 0) not in history.state.eras
    assert history.state.clusters["dragon-1"].opened == 1


def test_two_clusters_do_not_touch() -> None:
    """Eras, rounds and deposits of one cluster say nothing about another."""
    history = founded()
    cast = history.cast
    history.write(cast.open_era(0), cast.found_cluster(cluster="dragon-2"))
    bond = resign(cast.deposit(cast.manager.keyid, 10**12, account="cluster-bond"), cluster="dragon-2")
    history.write(bond, resign(cast.open_era(0), cluster="dragon-2"))
    history.sleep(1_000)
    history.write(resign(cast.close_era(0), cluster="dragon-2"))
    assert set(history.state.eras) == {("dragon-1", 0)}
    history.work(0, Work())
