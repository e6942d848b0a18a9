"""The four receipts: the page's shapes, complete JSON inside, and true of every outcome."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters import pages
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.stores import MemoryStore
from proofroom.domain.errors import NoSuchEntry
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.consent import Grant, WireGrant
from proofroom.domain.voting import make_vote
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS, store_of
from strategies.rooms import Room, make_room
from strategies.whole import whole_history


@pytest.fixture
def room() -> Room:
    """A room by a clock that stands still, with an open era."""
    return make_room(MemoryStore(CLOCK), CLOCK)


CLOCK = Clock(START_MS)


@pytest.fixture(autouse=True)
def _start() -> None:
    CLOCK.ms = START_MS


def attest(room: Room, votes: list[dict[int, str] | None], records: int = 1) -> None:
    """Record, seal, and have the committee vote: doubts by member, None for one that stays away."""
    ledger, cast = room.ledger, room.cast
    ledger.append_many([room.record(412 + i) for i in range(records)])
    ledger.append(cast.seal_all(ledger.state, 0))
    for i in range(7):
        ledger.append(cast.reveal_beacon(0, i))
    voting = [(i, v) for i, v in zip(cast.members(ledger.state, 0), votes, strict=True) if v is not None]
    for i, doubts in voting:
        ledger.append(cast.commit(ledger.state, 0, i, make_vote(records, doubts)))
    if len(voting) < len(votes):
        CLOCK.ms += 61_000
    for i, doubts in voting:
        ledger.append(cast.reveal(0, i, make_vote(records, doubts)))


def json_of(page: str) -> dict[str, Any]:
    """The JSON of a page, without its comment lines."""
    found: dict[str, Any] = json.loads("\n".join(line for line in page.splitlines() if not line.startswith("//")))
    return found


CPU: dict[int, str] = {0: "overclaimed-cpu"}


def test_grant_page(room: Room) -> None:
    """The grant, as on the page: its six fields and the wallet's signature."""
    entry, grant = next(pages.find_entries(room.ledger, Grant))
    page = pages.grant_page(entry, status="active", short=True)
    user, agent = grant.user_pub_key, grant.agent_service_pub_key
    value = json_of(pages.grant_page(entry))["signature"]["value"]
    assert page.splitlines()[:-1] == dedent(f"""\
        {{
          "agent_service_pub_key": "{agent[:12]}…{agent[-4:]}",
          "user_pub_key":          "{user[:12]}…{user[-4:]}",
          "created_at":            "2026-03-01T09:00:00Z",
          "expires_at":            "2026-05-30T09:00:00Z",
          "revoked":               false,
          "metadata": {{ "scopes": [ {{ "context": {{ "vaultId": "v-7c21", "scopeId": "calendar" }} }} ] }},
          "signature": {{ "algorithm": "ed25519", "signer": "{user[8:12]}…{user[-4:]}", "value": "{value[:6]}…{value[-4:]}" }}
        }}
        // signed by the wallet · verified on every write · status derived at read: active""").splitlines()  # fmt: skip
    assert page.splitlines()[-1].startswith(f"// entry {entry.index} · recorded 2026-03-01T09:00:00Z · id blake3:")


def test_record_page(room: Room) -> None:
    """The record, as on the page: what ran, where, what it cost, who signed."""
    room.ledger.append(room.record(412))
    entry, record = next(pages.find_entries(room.ledger, Activity))
    page = pages.record_page(entry, short=True)
    assert (
        page.splitlines()[:10]
        == dedent(f"""\
        {{
          "record_id":   "{record.record_id}",
          "agent":       "{record.agent[:12]}…{record.agent[-4:]}",
          "vault_scope": "v-7c21 / calendar",
          "operation":   "read + inference",
          "compute":     {{ "cpu_ms": 412, "gpu_units": 0 }},
          "result_hash": "{record.result_hash[:11]}…{record.result_hash[-4:]}",
          "signatures":  ["agent-derived-key", "orchestrator", "agent-runtime"]
        }}
        // multi-signed at source · batched under one root · payload off the ledger, hash on it""").splitlines()
    )


def test_pages_hold_complete_json() -> None:
    """Without shortening the JSON of a page is what was signed, for every grant and record of a whole history."""
    history = whole_history()
    for entry in history.entries:
        if isinstance(entry.statement, Activity):
            told, signed = json_of(pages.record_page(entry)), pages.record_facts(entry)["record"]
            assert told | {"signatures": 0} == {k: signed[k] for k in told} | {"signatures": 0}
            assert [s["role"] for s in signed["signatures"]] == told["signatures"]
            assert {s["signer"] for s in signed["signatures"]} == set(entry.verified.keys)
        elif isinstance(entry.statement, Grant | WireGrant):
            assert json_of(pages.grant_page(entry)) == json.loads(
                json.dumps({k: v for k, v in pages.grant_facts(entry)["grant"].items() if k != "ledger"})
            )


def test_round_page(room: Room) -> None:
    """The round, as on the page: four of five."""
    attest(room, [CPU, {}, {}, {}, {}])
    assert pages.round_page(room.ledger, "dragon-1", 0) == dedent("""\
        attestation round · cluster dragon-1 · era 0

          assigned validators : 5  (random subset of 7 eligible, drawn anew each round)
          cross-checked vs    : independently observed activity
          agree               : 4 / 5  →  ⅔ supermajority  ✓ PASS
        // 1 validator rejected: overclaimed-cpu
        // round 0, batch 0, tallied in entry 42 · unattested records never reach payout""")


@pytest.mark.parametrize(
    ("votes", "records", "agree", "lines"),
    [
        ([{}, {}, {}, {}, {}], 1, "5 / 5  →  ⅔ supermajority  ✓ PASS", []),
        ([CPU, CPU, {}, {}, {}], 1, "3 / 5  →  ⅔ supermajority  ✗ FAIL", ["2 validators rejected: overclaimed-cpu"]),
        ([CPU] * 5, 1, "0 / 5  →  ⅔ supermajority  ✗ FAIL", ["5 validators rejected: overclaimed-cpu"]),
        ([{}, {}, {}, {}, None], 1, "4 / 5  →  ⅔ supermajority  ✓ PASS", ["1 validator did not vote"]),
        (
            [CPU, CPU, {0: "unobserved"}, {}, {}], 3, "5 / 5  →  ⅔ supermajority  ✓ PASS for 2 of 3 records",
            ["2 validators rejected: overclaimed-cpu", "1 validator abstained: unobserved"],
        ),
    ],
)  # fmt: skip
def test_round_page_of_other_outcomes(
    room: Room, votes: list[dict[int, str] | None], records: int, agree: str, lines: list[str]
) -> None:
    """Other outcomes say what they are, and who did not agree and why."""
    attest(room, votes, records)
    page = pages.round_page(room.ledger, "dragon-1", 0).splitlines()
    assert page[4] == f"  agree               : {agree}"
    assert page[5:-1] == [f"// {line}" for line in lines]


def test_round_page_while_it_is_open(room: Room) -> None:
    """A round that is not tallied is not said to have passed."""
    ledger, cast = room.ledger, room.cast
    ledger.append(room.record())
    ledger.append(cast.seal_all(ledger.state, 0))
    with pytest.raises(NoSuchEntry, match="round 0 of dragon-1"):
        pages.round_page(ledger, "dragon-1", 0)
    for i in range(7):
        ledger.append(cast.reveal_beacon(0, i))
    page = pages.round_page(ledger, "dragon-1", 0)
    assert page.splitlines()[-1] == "  agree               : 0 / 5 votes revealed  →  not tallied yet"
    assert "PASS" not in page


def test_round_page_without_a_committee(room: Room) -> None:
    """Where too few revealed, nobody was drawn and nothing passed."""
    ledger = room.ledger
    ledger.append(room.record())
    ledger.append(room.cast.seal_all(ledger.state, 0))
    CLOCK.ms += 61_000
    ledger.tick()
    page = pages.round_page(ledger, "dragon-1", 0).splitlines()
    assert page[2] == "  assigned validators : 0  (none was drawn)"
    assert page[4].endswith("✗ FAIL")


def test_era_page(room: Room) -> None:
    """The settled era, as on the page, with its sums; what came in is what went out."""
    attest(room, [CPU, {}, {}, {}, {}])
    with pytest.raises(NoSuchEntry, match="paid era 0"):
        pages.era_page(room.ledger, "dragon-1", 0)
    CLOCK.ms += 2_000
    room.ledger.append(room.cast.close_era(0))
    assert pages.era_page(room.ledger, "dragon-1", 0) == dedent("""\
        event ClusterEraPaid { cluster: dragon-1, era: 0 }

          customer deposits   →  debited   0.0000824000 CERE  from 1 customer
          node providers      →  credited  0.0000741600 CERE  per validated activity, to 1 node
          validators          →  paid      0.0000032960 CERE  for inspection, to 4 validators
          protocol treasury   →  share     0.0000041200 CERE  accrued
          protocol reserve    →  share     0.0000008240 CERE  accrued
        // closes the window 2026-03-01T09:00:00Z to 2026-03-01T09:00:02Z · split set by the cluster's parameters
        // debits equal credits, to the base unit
        // 1 of 1 record attested · 8 lines before entry 53""")


@pytest.fixture(scope="module")
def whole() -> Ledger:
    """A ledger over a whole history."""
    return Ledger(store_of(whole_history()))


def test_era_facts_balance(whole: Ledger) -> None:
    """For every paid era the receivers' lines sum to the charges, and the page tells the same totals."""
    paid = [e.statement for e in whole_history().entries if e.statement.kind == "era-paid"]
    assert paid
    for statement in paid:
        facts = pages.era_facts(whole, statement.cluster, statement.era)  # type: ignore[attr-defined]  # of a kind that has it
        lines = [line["statement"] for line in facts["lines"]]
        assert len(lines) == facts["statement"]["lines"]
        sums = {c: sum(int(x["amount"]) for x in lines if (x["role"] == "charge") == c) for c in (True, False)}
        assert sums[True] == sums[False] == int(facts["statement"]["totals"]["collected"])
        page = pages.era_page(whole, statement.cluster, statement.era)  # type: ignore[attr-defined]  # of a kind that has it
        assert pages.money_text(sums[True], "CERE") in page
        json.dumps(facts)


@given(st.integers(-(10**36) + 1, 10**36 - 1))
def test_money_text_is_exact(amount: int) -> None:
    """The text of an amount gives the amount back."""
    text = pages.money_text(amount, "CERE").removesuffix(" CERE")
    assert int(text.replace(".", "")) == amount
    assert len(text.partition(".")[2]) == 10
    assert pages.money_text(amount, "EUR") == f"{amount} base units of EUR"


def test_shorten_cuts_only_what_is_long() -> None:
    """Keys, digests and signatures are cut; ids, times, amounts and short hex are not."""
    long = "ab" * 32
    assert pages.shorten(f"ed25519:{long} blake2:{long} {long} 0x{long}{long}") == (
        "ed25519:abab…abab blake2:abab…abab abab…abab 0xabab…abab"
    )
    kept = "dac-01928374-aaaa-7bbb-8ccc-0123456789ab 2026-03-01T09:00:00Z v-7c21 123456789012345678901234567890"
    assert pages.shorten(kept) == kept


def test_wrong_kind_is_refused(room: Room) -> None:
    """A page of something else names what is there."""
    genesis = room.ledger.entry(0)
    for page in (pages.grant_page, pages.record_page):
        with pytest.raises(NoSuchEntry, match="which is genesis"):
            page(genesis)
