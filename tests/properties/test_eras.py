"""Whole eras on a ledger, drawn at random, against a plain recount of votes, counts and money."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.cast import PARAMETERS, Work
from proofroom.domain import merkle
from proofroom.domain.entry import Entry
from proofroom.domain.errors import OverLimit
from proofroom.domain.governance import read_parameters
from proofroom.domain.ids import from_ms, to_ms
from proofroom.domain.state import State
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import RoundTallied, Vote
from proofroom.domain.statements.governance import Parameters
from proofroom.domain.statements.settlement import EraPaid, Payout
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import HOUR_MS, START_MS, History
from proofroom.testing.keys import key
from proofroom.testing.naive_settlement import USAGE, Settlement, add, naive_charge_at_most
from strategies.whole import whole_history

ONE = 10**18
REASONS = ["overclaimed-cpu", "result-mismatch", "unobserved", "observation-conflict"]
REJECTS = REASONS[:2]

Behaviour = dict[int, str] | None
"""Of a committee member: the records it doubts and why; None is silence after the commitment."""


class Plan(NamedTuple):
    """An era to be played."""

    works: list[tuple[int, int, Work]]
    """Customer, node, work."""
    behaviours: list[Behaviour]
    """Of the committee, in order of validators."""
    shares: tuple[int, int, int]
    deposits: tuple[int, int]
    seconds: int


def shares() -> st.SearchStrategy[tuple[int, int, int]]:
    """Nothing, one part, ordinary, exactly the whole."""
    cut = st.sampled_from([0, 1, ONE // 3, ONE - 1, ONE]) | st.integers(0, ONE)
    cuts = st.tuples(cut, cut, cut).map(sorted)
    return cuts.map(lambda c: (c[0], c[1] - c[0], c[2] - c[1])) | st.just((5 * ONE // 100, ONE // 100, 4 * ONE // 100))


WORKS = st.builds(
    Work,
    st.sampled_from([0, 1, 999, 10**12]) | st.integers(0, 10**6),
    st.sampled_from([0, 0.000001, 0.83, 10**9]),
    st.sampled_from([0, 2**40, 2**53 - 1]),
    st.sampled_from([0, 1, 2**20, 2**53 - 1]),
    st.integers(0, 10**9),
    st.integers(0, 3),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Eras of a few records."""
    works = draw(st.lists(st.tuples(st.sampled_from([0, 0, 1]), st.integers(0, 2), WORKS), min_size=1, max_size=6))
    doubts = st.dictionaries(st.integers(0, len(works) - 1), st.sampled_from(REASONS), max_size=2)
    crowd = draw(doubts)  # what most see, so that records are rejected too
    behaviour: st.SearchStrategy[Behaviour] = st.just(crowd) | st.just(crowd) | doubts | st.none()
    deposit = st.sampled_from([0, 1, 10**9, 10**18, 10**35]) | st.integers(0, 10**12)
    return Plan(
        works,
        draw(st.lists(behaviour, min_size=5, max_size=5)),
        draw(shares()),
        (draw(deposit), draw(deposit)),
        draw(st.sampled_from([1, 59, 3_600])),
    )


def parameters_with(shares: tuple[int, int, int]) -> Parameters:
    """The cast's parameters with other shares."""
    names = ("treasury", "reserve", "validators")
    changed = PARAMETERS.shares.model_copy(update=dict(zip(names, map(str, shares), strict=True)))
    return PARAMETERS.model_copy(update={"shares": changed})


def play(plan: Plan) -> tuple[History, list[Entry], list[Vote | None]]:
    """The era on a ledger: the history, the records, the committee's votes."""
    history = History(parameters=parameters_with(plan.shares))
    cast, sponsor = history.cast, key("sponsor")
    history.found(deposit=plan.deposits[0])
    history.write(cast.payer(sponsor, 10**36 - 1), cast.deposit(sponsor.keyid, plan.deposits[1]))
    history.write(cast.open_era(0))
    customers = [cast.user.keyid, sponsor.keyid]
    records = [
        history.write(cast.activity(history.grant, 0, work, node=node, customer=customers[customer]))
        for customer, node, work in plan.works
    ]
    round = history.seal(0)
    members = history.reveal_beacons(round)
    votes = [None if b is None else make_vote(len(records), b) for b in plan.behaviours]
    history.vote(round, dict(zip(members, votes, strict=True)))
    history.sleep(plan.seconds * 1000)
    history.write(cast.close_era(0))
    history.tick(120_000)
    assert (cast.cluster, 0) not in history.state.eras
    return history, records, votes


def usage_of(record: Activity) -> dict[str, int]:
    """The usage of a record, read anew from what was signed."""
    fields = {"cpu_ms": record.compute.cpu_ms, "gpu_micro": round(record.compute.gpu_units * 10**6)}
    data = record.data
    return fields | {n: getattr(data, n) for n in ("byte_seconds", "bytes_streamed", "puts", "gets")}


def verdicts(plan: Plan) -> list[str]:
    """What becomes of each record: two thirds of five are four."""
    found = []
    for i in range(len(plan.works)):
        agree = sum(b is not None and i not in b for b in plan.behaviours)
        reject = sum(b is not None and b.get(i) in REJECTS for b in plan.behaviours)
        found.append("attested" if agree >= 4 else "rejected" if reject >= 4 else "unattested")
    return found


def with_outcome(behaviour: Behaviour, found: list[str]) -> int:
    """On how many records a member judged as the round did."""
    if behaviour is None:
        return 0
    judged = [
        "attested" if i not in behaviour else "rejected" if behaviour[i] in REJECTS else "" for i in range(len(found))
    ]
    return sum(a == b for a, b in zip(judged, found, strict=True))


def settle_naively(plan: Plan, history: History, records: list[Entry]) -> Settlement:
    """The second implementation's view of the era."""
    found, cast = verdicts(plan), history.cast
    statements = [r.statement for r in records if isinstance(r.statement, Activity)]
    usage: dict[tuple[str, str], dict[str, int]] = {}
    for verdict, s in zip(found, statements, strict=True):
        if verdict == "attested":
            place = (s.customer, s.node)
            usage[place] = add(usage.get(place, dict.fromkeys(USAGE, 0)), usage_of(s))
    committee = next(e.statement for e in history.entries if e.statement.kind == "round-opened")
    members = [v.keyid for v in cast.validators if v.keyid in getattr(committee, "committee")]  # noqa: B009
    inspected: dict[str, int] = {m: with_outcome(b, found) for m, b in zip(members, plan.behaviours, strict=True)}
    return Settlement(
        prices={name: int(price) for name, price in PARAMETERS.prices.to_json().items()},
        shares=plan.shares,
        seconds=plan.seconds,
        usage=usage,
        inspected=inspected,
        deposits={cast.user.keyid: plan.deposits[0], key("sponsor").keyid: plan.deposits[1]},
        providers={f"node-{i}": p.keyid for i, p in enumerate(cast.providers)},
        cluster=cast.cluster,
        era=0,
    )


@settings(max_examples=settings().max_examples // 4)
@given(plans())
def test_an_era_pays_what_the_protocol_says(plan: Plan) -> None:
    """Tally, every payout line, the totals and the completeness root are those of a recount that shares no code with the domain."""
    history, records, _ = play(plan)
    found = verdicts(plan)
    expected = settle_naively(plan, history, records)
    statements = [e.statement for e in history.entries]
    (tally,) = (s for s in statements if isinstance(s, RoundTallied))
    assert (tally.records_attested, tally.records_rejected) == (found.count("attested"), found.count("rejected"))
    lines = [s for s in statements if isinstance(s, Payout)]
    written = [
        (s.role, s.basis.customer or s.basis.validator or s.basis.node or "", s.debit, s.credit, int(s.amount))
        for s in lines
    ]
    assert written == expected.lines
    for line in lines:
        if line.role == "charge":
            assert line.basis.charged is not None
            assert line.basis.collected is not None
            customer = str(line.basis.customer)
            assert _integers(line.basis.charged) == expected.charged[customer]
            assert _integers(line.basis.collected) == expected.collected[customer]
    _check_paid(history, records, lines, expected, found, plan.seconds)
    for state in history.states:
        conserved(state)
    assert not any(account.startswith("clearing:") for account in history.state.balances)


def _integers(parts: Any) -> dict[str, int]:
    return {name: int(amount) for name, amount in parts.to_json().items()}


def _check_paid(
    history: History,
    records: list[Entry],
    lines: list[Payout],
    expected: Settlement,
    found: list[str],
    plan_seconds: int,
) -> None:
    ((entry, paid),) = ((e, e.statement) for e in history.entries if isinstance(e.statement, EraPaid))
    opened = next(e.index for e in history.entries if e.statement.kind == "era-opened")
    assert (paid.first_index, paid.last_index, paid.batches) == (opened, entry.index - 1, 1)
    assert (to_ms(paid.start), to_ms(paid.end) - to_ms(paid.start)) == (START_MS, plan_seconds * 1000)
    charged = sum(sum(parts.values()) for parts in expected.charged.values())
    collected = sum(sum(parts.values()) for parts in expected.collected.values())
    totals = {name: int(amount) for name, amount in paid.totals.to_json().items()}
    assert totals == {
        "charged": charged,
        "collected": collected,
        "debt": charged - collected,
        "providers": sum(expected.nodes.values()),
        "validators": sum(expected.judges.values()),
        "treasury": expected.treasury,
        "reserve": expected.reserve,
    }
    assert collected == totals["providers"] + totals["validators"] + totals["treasury"] + totals["reserve"]
    counts = paid.records
    assert (counts.attested, counts.rejected, counts.unattested) == tuple(
        found.count(v) for v in ("attested", "rejected", "unattested")
    )
    assert (counts.recorded, paid.lines) == (len(records), len(lines))
    ids = [e.verified.id for e in history.entries if isinstance(e.statement, Payout)]
    assert paid.lines_root == "blake3:" + merkle.root_of(ids).hex()
    assert paid.completeness_root == "blake3:" + merkle.root_of(_leaves(records, found)).hex()


def _leaves(records: list[Entry], found: list[str]) -> list[bytes]:
    leaves = []
    statements = [r.statement for r in records if isinstance(r.statement, Activity)]
    for party in ("agent", "customer"):
        for keyid in sorted({getattr(s, party) for s in statements}):
            own = [(s, v) for s, v in zip(statements, found, strict=True) if getattr(s, party) == keyid]
            leaf = {
                "party": party,
                "key": keyid,
                "recorded": len(own),
                "attested": sum(v == "attested" for _, v in own),
                **{name: str(total) for name, total in add(*(usage_of(s) for s, _ in own)).items()},
            }
            leaves.append(json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode())
    return leaves


def conserved(state: State) -> None:
    """Double entry: all balances sum to zero, none is kept at zero, only banks owe."""
    assert sum(state.balances.values()) == 0
    for account, balance in state.balances.items():
        assert balance != 0
        assert abs(balance) < 10**36
        assert balance > 0 or account.startswith("bank:")


def test_a_whole_history_conserves_money() -> None:
    """After each entry of the whole history the journal sums to zero."""
    for state in whole_history().states:
        conserved(state)


def test_who_withholds_a_beacon_value_earns_nothing_in_this_era() -> None:
    """A validator that let one round open without it is drawn and judges with the outcome in the next: unpaid, until the next era."""
    history = History(validators=6)
    history.found()
    withholder = history.cast.validators[5].keyid
    for era, revealed in enumerate([5, 6]):
        history.write(history.cast.open_era(era))
        for missing in (6 - revealed, 0, 0, 0):  # five of six sit in each committee
            history.work(era, Work(1_000))
            round = history.seal(era)
            history.reveal_beacons(round, range(6 - missing))
            if missing:
                history.tick(60_000)
            members = history.cast.members(history.state, round)
            history.vote(round, dict.fromkeys(members, make_vote(1)))
        history.tick(1_000)
        judged = history.state.eras[history.cast.cluster, era].inspected
        assert judged[withholder] > 0
        history.write(history.cast.close_era(era))
        lines = [e.statement for e in history.entries if isinstance(e.statement, Payout) and e.statement.era == era]
        paid = {line.basis.validator: line.basis.records for line in lines if line.role == "validator"}
        assert paid == {v: n for v, n in judged.items() if era == 1 or v != withholder}


def test_late_records_count_as_recorded() -> None:
    """What is in no batch when the era ends is in the completeness root: recorded, not attested, with its usage."""
    history = History()
    history.found()
    history.write(history.cast.open_era(0))
    records = history.work(0, Work(3), Work(5, 0.5), Work(7))
    history.attest(history.seal(0, 1))
    history.tick(24 * HOUR_MS)
    (paid,) = (e.statement for e in history.entries if isinstance(e.statement, EraPaid))
    leaves = _leaves(records, ["attested", "late", "late"])
    assert paid.completeness_root == "blake3:" + merkle.root_of(leaves).hex()
    assert (paid.records.recorded, paid.records.attested, paid.records.unattested) == (3, 1, 2)


@settings(max_examples=settings().max_examples // 10)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=4), st.data())
def test_splitting_a_record_changes_no_charge(halves: list[tuple[int, int]], data: st.DataObject) -> None:
    """The same work in one record or in two costs the same: usage is summed before anything is rounded."""
    whole = [(0, i % 3, Work(a + b, 0, a * 2**20, a + b, b, 1)) for i, (a, b) in enumerate(halves)]
    parts = [
        (0, i % 3, work)
        for i, (a, b) in enumerate(halves)
        for work in (Work(a, 0, a * 2**20, b, 0, 1), Work(b, 0, 0, a, b, 0))
    ]
    deposit = data.draw(st.sampled_from([0, 10**6, 10**15]))
    lines = []
    for works in (whole, parts):
        history, _, _ = play(Plan(works, [{}] * 5, (0, 0, 0), (deposit, 0), 60))
        payouts = [e.statement for e in history.entries if isinstance(e.statement, Payout)]
        lines.append([(s.role, s.amount, s.basis.charged, s.basis.collected) for s in payouts])
    assert lines[0] == lines[1]


@pytest.mark.parametrize("seconds", [1, 2, 60, 86_399])
def test_a_payer_never_pays_more_than_its_cap(seconds: int) -> None:
    """The cap holds for what is charged, also when the manager ends the era long before its time.

    86,399 byte-seconds are no whole byte over a planned day, and many bytes over the first seconds: what may be recorded under a cap is
    bounded by the most that it can cost.
    """
    prices = PARAMETERS.prices.model_copy(update={"mib_stored_month": str(10**17)})
    named = {name: int(price) for name, price in prices.to_json().items()}
    work, sponsor = Work(1, byte_seconds=86_399), key("sponsor")
    cap = naive_charge_at_most({**dict.fromkeys(USAGE, 0), "cpu_ms": 1, "byte_seconds": 86_399}, named)
    history = History(parameters=PARAMETERS.model_copy(update={"prices": prices}))
    history.found()
    cast = history.cast
    history.write(cast.payer(sponsor, cap - 1), cast.deposit(sponsor.keyid, 10**15), cast.open_era(0))
    with pytest.raises(OverLimit):
        history.record(cast.activity(history.grant, 0, work, customer=sponsor.keyid))
    history.sleep(1)
    history.write(cast.payer(sponsor, cap))
    history.work(0, work, customer=sponsor.keyid)
    history.attest(history.seal(0))
    history.sleep(seconds * 1000)
    history.write(cast.close_era(0, end=from_ms(START_MS + seconds * 1000)))
    charge = next(e.statement for e in history.entries if isinstance(e.statement, Payout))
    assert charge.basis.debt == "0"
    assert 2_000 <= int(charge.amount) <= cap


def test_parameters_are_read_as_they_were_signed() -> None:
    """The integers that the rules use are the decimal strings of the founding statement."""
    read = read_parameters(parameters_with((1, 2, 3)))
    assert (read.treasury_share, read.reserve_share, read.validators_share) == (1, 2, 3)
    assert {n: getattr(read, n) for n in PARAMETERS.prices.to_json()} == {
        n: int(p) for n, p in PARAMETERS.prices.to_json().items()
    }


@pytest.mark.parametrize("sizes", [(1,), (3, 2), (1, 1, 4)])
def test_batches_are_gapless_and_hold_each_record_once(sizes: tuple[int, ...]) -> None:
    """Batches of an era take the records in log order, each exactly once, whatever their sizes."""
    history = History()
    history.found()
    history.write(history.cast.open_era(0))
    records = history.work(0, *[Work(i) for i in range(sum(sizes))])
    seen: list[int] = []
    for number, size in enumerate(sizes):
        round = history.seal(0, size)
        batch = history.state.rounds[history.cast.cluster, round]
        assert batch.batch == number
        assert batch.root == merkle.root_of([r.id for r in batch.records])
        seen += [r.log_index for r in batch.records]
    assert seen == [entry.index for entry in records]
