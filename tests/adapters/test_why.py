"""Why a line is what it is: every line of every era leads to exactly the work that the settlement counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proofroom.adapters.cast import Work
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.pages import era_page
from proofroom.adapters.why import explain, tree_of
from proofroom.domain.errors import NoSuchEntry
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.consent import GrantFields
from proofroom.domain.statements.settlement import Payout
from proofroom.testing.histories import HOUR_MS, History, store_of
from strategies.carrying import carried_history, records
from strategies.consenting import compromise
from strategies.doubting import NEW, RECOVERY, prepared
from strategies.rooms import make_folder
from strategies.shell import proofroom, settle
from strategies.whole import whole_history
from strategies.worlds import eras_of


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with Ledger(store_of(whole_history())) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def carried() -> Iterator[Ledger]:
    """A ledger with late records that went to later eras."""
    with Ledger(store_of(carried_history())) as ledger:
        yield ledger


def payouts(history: History) -> list[tuple[int, Payout]]:
    """Every line, with its entry."""
    return [(e.index, e.statement) for e in history.entries if isinstance(e.statement, Payout)]


def test_every_line_leads_to_its_work(ledger: Ledger) -> None:
    """A charge to the customer's attested records, a node's line to those it served, a validator's to the rounds it voted in."""
    roles = check_lines(ledger, whole_history(), payouts(whole_history()))
    assert {"charge", "treasury", "reserve", "validator", "provider"} <= roles


def test_lines_lead_to_late_records(carried: Ledger) -> None:
    """To the records that the era counts, though they name the era that they were late in; the era's page says who went on."""
    lines = payouts(carried_history())
    (charge,) = [(i, p) for i, p in lines if (p.role, p.era) == ("charge", 2)]
    paid = next((i, p) for i, p in lines if (p.role, p.era) == ("validator", 2))
    assert check_lines(carried, carried_history(), [charge, paid]) == {"charge", "validator"}
    (named,) = explain(carried, charge[1].cluster, 2, charge[1].line)["records"]
    assert named["entry_index"] == records()[2]
    pages = [era_page(carried, carried_history().cast.cluster, era) for era in range(4)]
    told = "went to the next era, and counted there"
    assert [page.count(told) for page in pages] == [1, 1, 0, 1]
    assert f"// 2 late records {told}" in pages[0]
    assert "1 of 3 records attested" in pages[2]


def check_lines(ledger: Ledger, history: History, lines: list[tuple[int, Payout]]) -> set[str]:
    """These lines of a history; their roles."""
    eras, roles = eras_of(history), set[str]()
    for index, payout in lines:
        facts = explain(ledger, payout.cluster, payout.era, payout.line)
        line, basis = facts["line"], payout.basis
        roles.add(payout.role)
        assert (line["entry_index"], line["amount"], line["debit"]) == (index, payout.amount, payout.debit)
        assert facts["era"]["paid_index"] > index
        if payout.role in ("treasury", "reserve"):
            charged = [n for n, p in payouts(history) if p.era == payout.era and p.role in ("charge", "fee")]
            assert [charge["entry_index"] for charge in facts["share_of"]] == charged
            continue
        for named in facts["records"]:
            record, grant = (history.entries[i].statement for i in (named["entry_index"], grant_of(facts, named)))
            assert isinstance(record, Activity)
            assert isinstance(grant, GrantFields)
            assert grant.agent_service_pub_key == record.agent
            assert (record.record_id, eras[named["entry_index"]]) == (named["record_id"], payout.era)
            assert basis.customer in (None, record.customer)
            assert basis.node in (None, record.node)
        judged = {r["batch"]: r for r in facts["rounds"]}
        assert {named["batch"] for named in facts["records"]} == set(judged)
        if payout.role == "validator":
            assert facts["records_count"] >= basis.records > 0
            assert all(payout.basis.validator in {v["validator"] for v in r["votes"]} for r in judged.values())
        else:
            assert facts["records_count"] == len(facts["records"]) == basis.records
            assert {named["verdict"] for named in facts["records"]} <= {"attested"}
    return roles


def grant_of(facts: dict[str, list[dict[str, int]]], named: dict[str, int]) -> int:
    """The entry of the grant that a record names."""
    return next(grant["entry_index"] for grant in facts["grants"] if grant["id"] == named["grant_id"])


def test_few_of_many(ledger: Ledger) -> None:
    """No more records are named than asked for; all are counted, and the tree says so."""
    payout = next(p for _, p in payouts(whole_history()) if p.role == "charge" and p.basis.records > 1)
    facts = explain(ledger, payout.cluster, payout.era, payout.line, limit=1)
    assert (len(facts["records"]), facts["records_count"]) == (1, payout.basis.records)
    labels = [str(child.label) for child in tree_of(facts).children]
    assert f"for {payout.basis.records} records, of which 1 here" in labels


def test_no_such_line(ledger: Ledger) -> None:
    """A line that is not there is named."""
    with pytest.raises(NoSuchEntry):
        explain(ledger, "dragon-1", 0, 10_000)


def test_as_a_command(tmp_path: Path) -> None:
    """A tree for a person and JSON for a program say the same."""
    room = make_folder(tmp_path)
    with room.ledger:
        room.ledger.append_many(room.records(2))
        settle(room)
    ran = proofroom("why", "dragon-1", "0", "0", "--room", tmp_path, "--json")
    facts = ran.json()
    assert (facts["line"]["role"], facts["records_count"], len(facts["rounds"][0]["votes"])) == ("charge", 2, 5)
    tree = proofroom("why", "dragon-1", "0", "0", "--room", tmp_path).out
    for record in facts["records"]:
        assert record["record_id"] in tree
    assert facts["grants"][0]["id"] in tree
    assert "…" in proofroom("why", "dragon-1", "0", "0", "--short", "--room", tmp_path).out
    assert proofroom("why", "dragon-1", "0", "99", "--room", tmp_path).status == NoSuchEntry.exit_status


def test_what_a_theft_took_back_is_told() -> None:
    """The rounds attested four records of the customer, and the era pays for two: the agent service's key was stolen in between."""
    history, since = prepared(lambda cast: cast.agent)
    history.work(0, Work(1_000), Work(1_000))
    history.attest(history.seal(0))
    history.write(compromise(history.cast, history.cast.agent, since, NEW, RECOVERY))
    history.tick(25 * HOUR_MS)
    with Ledger(store_of(history)) as ledger:
        lines = {s.line: s for _, s in payouts(history) if s.role in ("charge", "provider")}
        assert lines
        for line, s in lines.items():
            facts = explain(ledger, s.cluster, 0, line)
            assert facts["records_count"] == facts["taken_back"] + s.basis.records
            if s.role == "charge" and s.basis.customer == history.cast.user.keyid:
                assert (facts["records_count"], facts["taken_back"]) == (4, 2)
                assert "took back 2 of them" in str(tree_of(facts).children[2].label)
