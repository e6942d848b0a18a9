"""One fault a file, by what it is about: proofs of a record and its payment, made by a host that holds every key."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from proofroom.adapters.proving import Prover, _inner_path
from proofroom.domain import merkle
from proofroom.domain.hashing import tagged
from proofroom.domain.recount import verify
from proofroom.domain.signing import Signer
from proofroom.domain.verifier import Report, Verdict
from proofroom.domain.voting import write_bitmap
from proofroom.testing.keys import key, key_of
from strategies.forging import Body, Change, become, body_at, forge, id_at, indexes, set_to

ACTIVITIES, SEALS, OPENINGS, TALLIES = map(indexes, ("activity", "batch-sealed", "round-opened", "round-tallied"))
GRANT, RENEWED, REVOKED_AT = indexes("grant")
(CERTIFICATE,), (PAYER,), (ERASED,) = map(indexes, ("agent-key", "payer", "erased"))
PAID = indexes("era-paid")[0]
LINES = [index for index in indexes("payout") if index < PAID]
SPONSORED, WORK, REJECTED, UNJUDGED, UNSEALED = (ACTIVITIES[i] for i in (2, 3, 5, 12, 13))
BATCHES = {SPONSORED: ACTIVITIES[:3], WORK: ACTIVITIES[3:12]}
"""Two records that were paid, and the records of their batches."""
BATCH, ROUND, TALLY = SEALS[1], OPENINGS[1], TALLIES[1]
LATELY = "2026-03-01T09:00:00Z"
COMMITS = {SPONSORED: indexes("vote-committed")[:5], WORK: indexes("vote-committed")[5:10]}
REVEALS = {SPONSORED: indexes("vote-revealed")[:5], WORK: indexes("vote-revealed")[5:10]}
(COMMIT_1, *_, COMMIT_5), (SHOWN_1, *_, SHOWN_5) = COMMITS[WORK], REVEALS[WORK]
EARLY, LATE, AFTER = [i for i in indexes("tick") if i < ROUND][-1], *[i for i in indexes("tick") if i > TALLY][:2]
"""Entries that say only that time passed, before and after the round of ``WORK``, and after the era."""
CHARGE = next(i for i in LINES if body_at(i)["basis"].get("customer") == body_at(WORK)["customer"])
NODE_LINE = next(i for i in LINES if body_at(i)["basis"].get("node") == body_at(WORK)["node"])
VOTER = body_at(REVEALS[SPONSORED][0])["validator"]
STRANGER = key("stranger")


@cache
def honest() -> Prover:
    """Proofs of the history as it was."""
    return forge()


@cache
def honest_file(record: int) -> Any:
    """The payout proof of a record."""
    return orjson.loads(honest().payout(body_at(record)["record_id"]))


def indexes_of(record: int) -> set[int]:
    """Which entries it holds."""
    return {int(_index(item["entry"])) for item in honest_file(record)["entries"]}


def _index(entry: str) -> int:
    return int.from_bytes(base64.b64decode(entry)[:8], "big")


def payout_file(prover: Prover, record: int, *, without: Iterable[int] = (), more: Iterable[int] = ()) -> Any:
    """The payout proof of a record over another history, with the same entries but for some."""
    ids = [id_at(prover, index) for index in BATCHES[record]]
    position = BATCHES[record].index(record)
    lines = [index for index in sorted(indexes_of(record)) if index in LINES]
    parts = {
        "batch": {"position": position, "path": _inner_path(position, ids)},
        "lines": [_inner_path(LINES.index(line), [id_at(prover, index) for index in LINES]) for line in lines],
        "counted": honest_file(record)["counted"],
    }
    return orjson.loads(prover._write("payout", (indexes_of(record) - set(without)) | set(more), parts))


def check(value: Any) -> Report:
    """The report on a file."""
    return verify(orjson.dumps(value))


def member(record: int, n: int) -> Signer:
    """The n-th voter of a record's round."""
    return key_of(body_at(COMMITS[record][n])["validator"])


class Forged(NamedTuple):
    """A file with one fault."""

    why: str
    """What the verifier must say of it."""
    changes: Mapping[int, Change] = MappingProxyType({})
    signers: Mapping[int, Sequence[Signer]] = MappingProxyType({})
    kinds: Mapping[int, str] = MappingProxyType({})
    without: Sequence[int] = ()
    more: Sequence[int] = ()
    file: Callable[[Any], object] = lambda value: None
    verdict: Verdict = Verdict.INVALID
    record: int = WORK


def swap_committee(body: Body) -> None:
    body["committee"][body["committee"].index(member(WORK, 4).keyid)] = member(WORK, 0).keyid


def stranger_in_committee(body: Body) -> None:
    body["committee"][body["committee"].index(member(WORK, 4).keyid)] = STRANGER.keyid


def revocation(**fields: Any) -> Change:
    return become(body_at(GRANT), created_at=body_at(RENEWED)["created_at"], **{"revoked": True} | fields)


def late_root(body: Body) -> None:
    """A batch that foresaw a later record."""
    body.update(count=1, root=tagged(merkle.root_of([id_at(honest(), UNJUDGED)])))


def another(text: str) -> str:
    return text[:-1] + ("1" if text[-1] == "0" else "0")


REVOKED = Verdict.REVOKED_GRANT
ORCHESTRATOR = body_at(WORK)["signers"]["orchestrator"]
USER, AGENT = key_of(body_at(GRANT)["user_pub_key"]), key_of(body_at(GRANT)["agent_service_pub_key"])
DERIVED = body_at(WORK)["signers"]["agent-derived-key"]

FORGED = {
    # the record and its batch
    "record signed by a stranger too": Forged(
        "the activity is not signed", signers={WORK: [*map(key_of, body_at(WORK)["signers"].values()), STRANGER]}
    ),
    "record with two roles for one key": Forged(
        "the activity is not signed",
        {WORK: set_to("signers.agent-runtime", ORCHESTRATOR)},
        {WORK: [key_of(ORCHESTRATOR), key_of(DERIVED)]},
    ),
    "batch by another": Forged("the batch-sealed is not signed", signers={BATCH: [STRANGER]}),
    "batch of another era": Forged("it is not the batch", {i: set_to("era", 1) for i in (BATCH, ROUND, TALLY)}),
    "batch that holds another record": Forged(
        "the path leads to another root", file=lambda f: f["batch"].update(position=1)
    ),
    "record in two": Forged("2 entries of the kind activity", more=[WORK + 1]),
    # consent
    "no grant": Forged("the file does not hold the grant", without=[GRANT]),
    "grant by a stranger": Forged("the grant is not signed", signers={GRANT: [STRANGER]}),
    "revocation by a stranger": Forged("the grant is not signed", signers={REVOKED_AT: [STRANGER]}),
    "grant of another scope": Forged(
        "for another agent, scope or operation",
        {GRANT: set_to("metadata.scopes", [{"context": {"vaultId": "v-7c21", "scopeId": "mail"}}])},
    ),
    "grant for another agent": Forged("for another agent", {GRANT: set_to("agent_service_pub_key", STRANGER.keyid)}),
    "revoked in between": Forged(
        f"revoked at entry {EARLY}",
        {EARLY: revocation()},
        {EARLY: [USER]},
        {EARLY: "grant"},
        more=[EARLY],
        verdict=REVOKED,
    ),
    "replaced in between": Forged(
        f"revoked at entry {EARLY}",
        {EARLY: revocation(revoked=False)},
        {EARLY: [USER]},
        {EARLY: "grant"},
        more=[EARLY],
        verdict=REVOKED,
    ),
    "expired before the work ended": Forged("expired", {GRANT: set_to("expires_at", LATELY)}, verdict=REVOKED),
    "the revocation itself": Forged("revoked", {GRANT: set_to("revoked", True)}, verdict=REVOKED),
    "a grant of later": Forged(
        "not yet made", {WORK: lambda b: b.update(grant=tagged(id_at(honest(), RENEWED)))}, verdict=REVOKED
    ),
    "a grant that is recorded again after its end": Forged(
        f"revoked at entry {GRANT}",
        {
            GRANT: revocation(),
            EARLY: become(body_at(GRANT)),
            WORK: lambda b: b.update(grant=tagged(id_at(honest(), GRANT))),
        },
        {EARLY: [USER]},
        {EARLY: "grant"},
        more=[EARLY],
        verdict=REVOKED,
    ),
    "work of before the grant": Forged(
        "not yet made", {WORK: set_to("started_at", "2026-03-01T08:54:59.999Z")}, verdict=REVOKED
    ),
    "work that had not ended": Forged("before it ended", {WORK: set_to("ended_at", "2026-03-01T10:00:00Z")}),
    "more than the grant allows": Forged(
        "used more than the grant", {GRANT: set_to("metadata.limits", {"cpu_ms": 99, "per": "era"})}
    ),
    "certificate by a stranger": Forged(
        "the agent-key is not signed", signers={CERTIFICATE: [key_of(DERIVED), STRANGER]}
    ),
    "certificate without the derived key": Forged("the agent-key is not signed", signers={CERTIFICATE: [AGENT]}),
    "certificate of another key": Forged(
        "it certifies another key, or", {CERTIFICATE: set_to("key", STRANGER.keyid)}, {CERTIFICATE: [STRANGER, AGENT]}
    ),
    "certificate for another scope": Forged(
        "it certifies another key, or for another scope", {CERTIFICATE: set_to("vault_scope", "v-7c21 / mail")}
    ),
    "certificate run out": Forged("not in force", {CERTIFICATE: set_to("expires_at", LATELY)}),
    "certificate of later": Forged(
        "not in force",
        {LATE: become(body_at(CERTIFICATE))},
        {LATE: [key_of(DERIVED), AGENT]},
        {LATE: "agent-key"},
        [CERTIFICATE],
        [LATE],
    ),
    # whose deposit pays
    "payer by a stranger": Forged("the payer is not signed", signers={PAYER: [STRANGER]}, record=SPONSORED),
    "payer for another agent": Forged(
        "it pays for something else", {PAYER: set_to("agent", STRANGER.keyid)}, record=SPONSORED
    ),
    "payer in another cluster": Forged(
        "it pays for something else", {PAYER: set_to("cluster", "dragon-2")}, record=SPONSORED
    ),
    "payer withdrawn": Forged("it pays for something else", {PAYER: set_to("revoked", True)}, record=SPONSORED),
    "payer of later": Forged(
        "it pays for something else",
        {EARLY: become(body_at(PAYER))},
        {EARLY: [key("sponsor")]},
        {EARLY: "payer"},
        [PAYER],
        [EARLY],
        record=SPONSORED,
    ),
    "no payer": Forged("0 entries of the kind payer", without=[PAYER], record=SPONSORED),
    "a voter who pays": Forged(
        "a party to it votes on it",
        {SPONSORED: set_to("customer", VOTER), PAYER: set_to("customer", VOTER)},
        {PAYER: [key_of(VOTER)]},
        record=SPONSORED,
    ),
    # the round
    "tally by a stranger": Forged("the round-tallied is not signed", signers={TALLY: [STRANGER]}),
    "round by a stranger": Forged("the round-opened is not signed", signers={ROUND: [STRANGER]}),
    "round before its batch": Forged(
        "the round comes before its batch",
        {EARLY: become(body_at(ROUND))},
        {EARLY: [key("ledger")]},
        {EARLY: "round-opened"},
        [ROUND],
        [EARLY],
    ),
    "vote by a stranger": Forged("the vote-revealed is not signed", signers={SHOWN_1: [STRANGER]}),
    "commitment by a stranger": Forged("the vote-committed is not signed", signers={COMMIT_1: [STRANGER]}),
    "vote by no member": Forged("no member votes here", {ROUND: stranger_in_committee}),
    "vote after the tally": Forged(
        "no member votes here",
        {LATE: become(body_at(SHOWN_1))},
        {LATE: [member(WORK, 0)]},
        {LATE: "vote-revealed"},
        [SHOWN_1],
        [LATE],
    ),
    "commitment before the round": Forged(
        "no member votes here",
        {EARLY: become(body_at(COMMIT_1))},
        {EARLY: [member(WORK, 0)]},
        {EARLY: "vote-committed"},
        [COMMIT_1],
        [EARLY],
    ),
    "commitment twice": Forged(
        "a commitment comes late",
        {COMMIT_5: become(body_at(COMMIT_1)), SHOWN_5: set_to("round", 99)},
        {COMMIT_5: [member(WORK, 0)]},
        without=[SHOWN_5],
    ),
    "commitment after a vote was shown": Forged(
        "a commitment comes late",
        {COMMIT_5: become(body_at(SHOWN_1)), SHOWN_1: become(body_at(COMMIT_5))},
        {COMMIT_5: [member(WORK, 0)], SHOWN_1: [member(WORK, 4)]},
        {COMMIT_5: "vote-revealed", SHOWN_1: "vote-committed"},
    ),
    "vote twice": Forged(
        "not what was committed to",
        {SHOWN_5: become(body_at(SHOWN_1))},
        {SHOWN_5: [member(WORK, 0)]},
    ),
    "vote without commitment": Forged("not what was committed to", without=[COMMIT_1]),
    "vote that differs from its commitment": Forged(
        "not what was committed to", {COMMIT_1: set_to("commitment", another)}
    ),
    "vote on a position beyond": Forged("beyond the batch", {SHOWN_1: set_to("vote.agree", write_bitmap(1 << 9, 10))}),
    "vote of another length": Forged(
        "is not base64 of its length", {SHOWN_1: set_to("vote.agree", write_bitmap(0, 17))}
    ),
    "committee with one member twice": Forged(
        "another committee", {ROUND: swap_committee}, without=[COMMIT_5, SHOWN_5]
    ),
    "tally of another committee": Forged("another committee", {TALLY: set_to("assigned", 6)}),
    "tally of more records": Forged("the votes give another tally", {TALLY: set_to("records", 10)}),
    "tally that rejects another": Forged(
        "the votes give another tally", {TALLY: set_to("rejected", write_bitmap(0, 9))}
    ),
    "tally that attests another": Forged(
        "the votes give another tally", {TALLY: set_to("attested", write_bitmap(511, 9))}
    ),
    "no tally": Forged("the file holds no tally of the batch", without=[TALLY]),
    # what a statement says is not of its form
    "a time that is none": Forged("is no time in UTC", {CERTIFICATE: set_to("expires_at", "soon")}),
    "a time without a zone": Forged("is no time in UTC", {CERTIFICATE: set_to("expires_at", "2027-03-01T09:00:00")}),
    "a digest that is none": Forged("not in hex digits", {BATCH: set_to("root", "blake3:" + "z" * 64)}),
    "a text that is a number": Forged("has no str cluster", {BATCH: set_to("cluster", 5), WORK: set_to("cluster", 5)}),
    "a number that is a truth": Forged("has no int count", {BATCH: set_to("count", True)}),
    "a field that is missing": Forged("has no str commitment", {COMMIT_1: lambda b: b.pop("commitment")}),
    # payment
    "era paid by a stranger": Forged("the era-paid is not signed", signers={PAID: [STRANGER]}),
    "payment of another era": Forged(
        "does not pay the era", {PAID: set_to("era", 1), **{i: set_to("era", 1) for i in LINES}}
    ),
    "record before the era": Forged("does not pay the era", {PAID: set_to("first_index", WORK)}),
    "payment with a gap": Forged("does not pay the era", {PAID: set_to("last_index", 106)}),
    "other completeness": Forged("the path leads to another root", {PAID: set_to("completeness_root", another)}),
    "customer counted otherwise": Forged(
        "the path leads to another root", file=lambda f: f["counted"]["leaf"].update(attested=11)
    ),
    "line by a stranger": Forged("the payout is not signed", signers={CHARGE: [STRANGER]}),
    "line of another era": Forged("the line is of another era", {CHARGE: set_to("era", 1)}),
    "line that was changed": Forged("the path leads to another root", {PAID: set_to("lines_root", another)}),
    "line of another number": Forged("", {CHARGE: set_to("line", 2)}),
    "line with another count": Forged("counts other records", {CHARGE: set_to("basis.records", 11)}),
    "line of another customer": Forged("not the customer's charge", {CHARGE: set_to("basis.customer", STRANGER.keyid)}),
    "line of a customer before": Forged("not the customer's charge", {CHARGE: set_to("basis.customer", "a")}),
    "line of a customer behind": Forged("not the customer's charge", {CHARGE: set_to("basis.customer", "z")}),
    "line of another node": Forged("not what its node got", {NODE_LINE: set_to("basis.node", "node-9")}),
    "line of a node before": Forged("not what its node got", {NODE_LINE: set_to("basis.node", "a")}),
    "line of a marketplace in it": Forged(
        "not what its node got",
        {NODE_LINE: lambda b: b.update(role="marketplace", debit=f"market:{b['debit'][9:]}", credit="marketplace:m")},
    ),
    "line of nobody in it": Forged(
        "not what its node got",
        {NODE_LINE: lambda b: b.update(role="reserve", credit="reserve", basis={})},
    ),
    "line that is no charge": Forged("not the customer's charge", {CHARGE: set_to("role", "provider")}),
    "line of no known role": Forged("not the customer's charge", {CHARGE: set_to("role", "a gift")}),
    "line without a path": Forged("do not match", file=lambda f: f["lines"].pop()),
    "no line": Forged("do not match", without=LINES, file=lambda f: f.update(lines=[])),
}


@cache
def forged_file(name: str) -> bytes:
    """The file with this fault."""
    forged = FORGED[name]
    changes = dict(forged.changes)
    if name == "line of another era":  # the era's root holds it all the same
        ids = [id_at(forge({CHARGE: changes[CHARGE]}), i) for i in LINES]
        changes[PAID] = set_to("lines_root", tagged(merkle.root_of(ids)))
    value = payout_file(
        forge(changes, signers=forged.signers, kinds=forged.kinds),
        forged.record,
        without=forged.without,
        more=forged.more,
    )
    forged.file(value)
    return orjson.dumps(value)
