"""The verifier on keys that change, work passed on, a second committee: for each check a file in which only that check fails."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import orjson
import pytest

from proofroom.adapters.proving import Prover, _inner_path
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.hashing import tagged
from proofroom.domain.recount import verify
from proofroom.domain.verifier import Verdict
from proofroom.domain.voting import write_bitmap
from proofroom.testing.histories import ORIGIN, History, store_of
from proofroom.testing.keys import key
from strategies.changing import DERIVED, SUBS, changed_history
from strategies.consenting import rotate
from strategies.forged_records import Forged
from strategies.forging import Body, Change, forge, id_at, set_to

HISTORY = changed_history()
CAST = HISTORY.cast


def indexes(kind: str) -> list[int]:
    """Where the statements of a kind stand."""
    return [e.index for e in HISTORY.entries if e.statement.kind == kind]


def body_at(index: int) -> Body:
    """A statement of the honest history."""
    body: Body = orjson.loads(HISTORY.entries[index].verified.envelope.payload)
    return body


def become(other: int, **fields: Any) -> Change:
    """A change into another statement, references made anew."""

    def change(body: Body) -> None:
        ledger = body["ledger"]
        body.clear()
        body.update(body_at(other) | {"ledger": ledger} | fields)

    return change


RECOVERY, SECOND, _ = indexes("identity")
ROTATED, ROTATED_ORCHESTRATOR = indexes("key-rotated")
FIRST_GRANT, GRANT = indexes("grant")
LINK_1, LINK_2, LINK_3 = indexes("delegation")
_, CERTIFICATE = indexes("agent-key")
FIRST_TICK, EARLY, LATE, END = indexes("tick")
"""Entries that say only that time passed: before the grant that counts is made, before and after the records, at the end."""
WORK = indexes("activity")[0]
RECORDS, (BATCH,) = indexes("activity"), indexes("batch-sealed")
ROUND_1, ROUND_2 = indexes("round-opened")
TALLY_1, TALLY_2 = indexes("round-tallied")
STOLEN, STOLEN_LATE = indexes("compromise")
(PAID,) = indexes("era-paid")
WALLET, WALLET_B, STRANGER = CAST.user, key("wallet-b"), key("stranger")
REVOKED, SUSPECT = Verdict.REVOKED_GRANT, Verdict.SUSPECT


@cache
def honest() -> tuple[set[int], bytes]:
    """Which entries the payout proof of the second record, which the second committee attested, holds; and the proof."""
    data = forge(history=HISTORY).payout(body_at(RECORDS[1])["record_id"])
    return {int.from_bytes(base64.b64decode(e["entry"])[:8], "big") for e in orjson.loads(data)["entries"]}, data


def record_file(forged: Forged) -> bytes:
    """The proof of the second record over another history."""
    prover = forge(forged.changes, signers=forged.signers, kinds=forged.kinds, history=HISTORY)
    place = {"position": 1, "path": _inner_path(1, [id_at(prover, index) for index in RECORDS])}
    # Without the theft that is declared in the end: it is a matter of the payment, which a record's file does not show.
    left = honest()[0] - {*RECORDS[:1], *RECORDS[2:], PAID, *indexes("payout")} | set(forged.more)
    value = orjson.loads(prover._write("record", left, {"batch": place}))
    gone = {*forged.without, *({STOLEN_LATE} - set(forged.more))}
    value["entries"] = [
        e for e in value["entries"] if int.from_bytes(base64.b64decode(e["entry"])[:8], "big") not in gone
    ]
    return orjson.dumps(value)


def chained(body: Body) -> None:
    """The wallet's grant as one more delegation, below an earlier one."""
    body.update(delegator=SUBS[0].keyid, parent=HISTORY.entries[FIRST_GRANT].verified.digest)


def other_parent(body: Body) -> None:
    body["parent"] = tagged(bytes(32))


def revocation(of: int) -> Change:
    return become(of, revoked=True)


RECOVERED = [key("wallet-c"), key("user-recovery-2")]
FORGED = {
    # keys: who may change them, and to what
    "recovery key without its own signature": Forged("the identity is not signed", signers={RECOVERY: [WALLET]}),
    "recovery key by a stranger": Forged(
        "the identity is not signed", signers={RECOVERY: [STRANGER, key("user-recovery")]}
    ),
    "second recovery key without the first": Forged(
        "the identity is not signed", signers={SECOND: [WALLET_B, key("user-recovery-2")]}
    ),
    "rotation without the key before": Forged("the key-rotated is not signed", signers={ROTATED: [STRANGER, WALLET_B]}),
    "rotation without the new key": Forged("the key-rotated is not signed", signers={ROTATED: [WALLET]}),
    "rotation to a key that another has": Forged(
        "one that was used before",
        {ROTATED_ORCHESTRATOR: set_to("new_key", WALLET_B.keyid)},
        {ROTATED_ORCHESTRATOR: [CAST.orchestrator, WALLET_B]},
    ),
    "rotation to the first key": Forged(
        "one that was used before", {ROTATED: set_to("new_key", WALLET.keyid)}, {ROTATED: [WALLET]}
    ),
    "the old key after a rotation": Forged("the grant is not signed", signers={GRANT: [WALLET]}),
    "the new key before its rotation": Forged("the grant is not signed", signers={FIRST_GRANT: [WALLET_B]}),
    "the second key after a second rotation": Forged(
        "the grant is not signed",
        {FIRST_TICK: become(ROTATED, new_key=STRANGER.keyid)},
        {FIRST_TICK: [WALLET_B, STRANGER]},
        {FIRST_TICK: "key-rotated"},
        more=[FIRST_TICK],
    ),
    "a rotation left out": Forged("is not signed", without=[ROTATED]),
    "theft declared by the stolen key": Forged(
        "the compromise is not signed", signers={STOLEN: [key("orchestrator-b"), key("orchestrator-c")]}
    ),
    "theft declared without the new key": Forged(
        "the compromise is not signed", signers={STOLEN: [key("orchestrator-recovery")]}
    ),
    "theft declared by a recovery key that was replaced": Forged(
        "the compromise is not signed", signers={STOLEN_LATE: [RECOVERED[0], key("user-recovery")]}, more=[STOLEN_LATE]
    ),
    "theft without a recovery key": Forged(
        "the compromise is not signed",
        {STOLEN: set_to("identity", CAST.agent.keyid)},
        {STOLEN: [CAST.agent, key("orchestrator-c")]},
    ),
    # doubts
    "theft that reaches back to the record": Forged(
        f"at entry {STOLEN} that its key", {STOLEN: set_to("since_index", RECORDS[1])}, verdict=SUSPECT
    ),
    "theft of the agent's or customer's key": Forged(
        f"at entry {STOLEN_LATE} that its key", more=[STOLEN_LATE], verdict=SUSPECT
    ),
    "theft after the payment of any era, in a file that claims none": Forged(
        f"at entry {STOLEN_LATE} that its key", more=[STOLEN_LATE, PAID], verdict=SUSPECT
    ),
    # work that was passed on
    "no link above": Forged("or one above it", without=[LINK_1]),
    "no grant above": Forged("or one above it", without=[GRANT]),
    "a link below another": Forged("or one above it", {LINK_2: other_parent}),
    "link by a stranger": Forged("the delegation is not signed", signers={LINK_2: [STRANGER]}),
    "link by the wallet": Forged("the delegation is not signed", signers={LINK_1: [WALLET_B]}),
    "grant that may not be passed on": Forged("may not be passed on", {GRANT: set_to("metadata.delegable", False)}),
    "link that may not be passed on": Forged("may not be passed on", {LINK_2: set_to("metadata.delegable", False)}),
    "link for another wallet": Forged("may not be passed on", {LINK_2: set_to("user_pub_key", STRANGER.keyid)}),
    "link for another agent": Forged("for another agent", {LINK_3: set_to("agent_service_pub_key", STRANGER.keyid)}),
    "grant for another agent": Forged("for another agent", {GRANT: set_to("agent_service_pub_key", STRANGER.keyid)}),
    "link of another scope": Forged(
        "another agent, scope or operation",
        {LINK_2: set_to("metadata.scopes", [{"context": {"vaultId": "v-7c21", "scopeId": "mail"}}])},
    ),
    "link that ran out": Forged("expired", {LINK_1: set_to("expires_at", "2026-03-01T09:00:00Z")}, verdict=REVOKED),
    "grant above that ran out": Forged(
        "expired", {GRANT: set_to("expires_at", "2026-03-01T09:00:00Z")}, verdict=REVOKED
    ),
    "link revoked in between": Forged(
        f"revoked at entry {EARLY}",
        {EARLY: revocation(LINK_2)},
        {EARLY: [SUBS[0]]},
        {EARLY: "delegation"},
        more=[EARLY],
        verdict=REVOKED,
    ),
    "grant above revoked in between": Forged(
        f"revoked at entry {EARLY}",
        {EARLY: revocation(GRANT)},
        {EARLY: [WALLET_B]},
        {EARLY: "grant"},
        more=[EARLY],
        verdict=REVOKED,
    ),
    "one more link than are allowed": Forged(
        "more delegations in a row",
        {GRANT: chained, LINK_1: set_to("delegator", CAST.agent.keyid)},
        {GRANT: [SUBS[0]]},
        {GRANT: "delegation"},
    ),
    "certificate of the agent above": Forged(
        "the agent-key is not signed", signers={CERTIFICATE: [CAST.agent, DERIVED]}
    ),
    # a second committee
    "no second tally": Forged("was not attested", without=[TALLY_2], verdict=SUSPECT),
    "second tally by a stranger": Forged("the round-tallied is not signed", signers={TALLY_2: [STRANGER]}),
    "second round by a stranger": Forged("the round-opened is not signed", signers={ROUND_2: [STRANGER]}),
    "second committee that judges more": Forged(
        "than were left open", {TALLY_2: set_to("judged", write_bitmap(0b111, 3))}
    ),
    "second committee to which nothing was left": Forged(
        "than were left open", {TALLY_1: set_to("escalated", write_bitmap(0, 3))}
    ),
    "second tally of the first level": Forged("than were left open", {TALLY_2: set_to("level", 0)}),
    "first tally of the second level": Forged("than were left open", {TALLY_1: set_to("level", 1)}),
    "second tally that attests less": Forged(
        "the votes give another tally", {TALLY_2: set_to("attested", write_bitmap(0b010, 3))}
    ),
    "first tally that attests all": Forged(
        "the votes give another tally", {TALLY_1: set_to("attested", write_bitmap(0b111, 3))}
    ),
    "the first round opened twice": Forged(
        "before its batch, or twice", {END: become(ROUND_1)}, {END: [key("ledger")]}, {END: "round-opened"}, more=[END]
    ),
    "second tally of another committee": Forged("another committee", {TALLY_2: set_to("assigned", 5)}),
}


@cache
def forged_file(name: str) -> bytes:
    """The file with this fault."""
    return record_file(FORGED[name])


@pytest.mark.parametrize("name", FORGED)
def test_one_check_fails(name: str) -> None:
    """The verdict is that of the one check."""
    forged = FORGED[name]
    report = verify(forged_file(name))
    assert (report.verdict, forged.why in report.why) == (forged.verdict, True), report.sentence()


def test_the_honest_file_holds() -> None:
    """Without a change the same way gives VALID; paid, a theft that is declared later is told and changes nothing."""
    report = verify(record_file(Forged("")))
    assert report.verdict is Verdict.VALID, report.sentence()
    paid = verify(honest()[1])
    assert paid.verdict is Verdict.VALID, paid.sentence()
    assert (
        f"after it was paid, a party to it declared at entry {STOLEN_LATE} that its key was compromised" in paid.notes
    )
    for number in range(3):
        name = body_at(RECORDS[number])["record_id"]
        assert verify(forge(history=HISTORY).payout(name)).verdict is Verdict.VALID


def test_a_theft_before_the_payment() -> None:
    """Declared before the era was paid, it leaves the payment's file SUSPECT as well."""
    prover = forge({STOLEN: set_to("since_index", 1)}, history=HISTORY)
    report = verify(prover.payout(body_at(WORK)["record_id"]))
    assert (report.verdict, report.at) == (SUSPECT, WORK), report.sentence()


def test_the_log_under_a_new_checkpoint_key() -> None:
    """A rotation in the file joins the key of genesis to the one that signs now; without it genesis names another key."""
    history, new = History(seed="new key"), key("checkpoint-b")
    history.write(rotate(history.cast, key("checkpoint"), new))
    history.tick()
    store = store_of(history)
    size, note = store.last_checkpoint() or (0, "")
    root = base64.b64decode(note.split("\n")[2])
    store._checkpoints[size] = sign_checkpoint(Checkpoint(ORIGIN, size, root), new)
    value = orjson.loads(Prover(store, new.keyid)._write("record", {0}, {"batch": {"position": 0, "path": []}}))
    assert len(value["entries"]) == 2
    assert "0 entries of the kind activity" in verify(orjson.dumps(value)).why
    value["entries"].pop()
    assert "genesis names another log, or another key" in verify(orjson.dumps(value)).why
