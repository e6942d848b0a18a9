"""Entries made by hand, that say just what a rule reads: grants, rounds, and what the verifier's parts say of them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from proofroom.domain.verifier import Verdict, record
from proofroom.domain.verifier.entry import Entry, canonical, digest, untag
from proofroom.domain.verifier.verdict import Fault

LEDGER = "ed25519:1ed9e4"
ENDED = "2026-03-01T10:00:00.500Z"
DONE = {"started_at": "1970-01-01T00:00:00Z", "ended_at": "1970-01-01T00:00:00Z", "grant": "G", "vault_scope": "v / s"}
"""Work of long ago, under a grant of before."""
BEGAN = {"cluster": "c", "era": 0, "start": "1970-01-01T00:00:00Z"}
"""An era of that time."""


def entry(index: int, kind: str, body: dict[str, Any], *signers: str, id: str = "") -> Entry:
    """An entry that says this, signed by these."""
    return Entry(index, index, kind, id or f"blake3:{index:064x}", frozenset(signers), body)


GENESIS = entry(0, "genesis", {"ledger_key": LEDGER}, LEDGER)


def why(call: Callable[..., object], *arguments: Any) -> str:
    """What a check says; nothing, if it holds."""
    try:
        call(*arguments)
    except Fault as fault:
        return fault.why
    return ""


def made_at(index: int) -> str:
    """When the statement at an index was signed: a millisecond after the one before."""
    return f"2026-03-01T09:00:00.{index:03d}Z"


def grant(index: int, id: str = "G", by: str = "user", **fields: Any) -> Entry:
    scopes = [{"context": {"vaultId": "v", "scopeId": "s"}}]
    body: dict[str, Any] = {
        "user_pub_key": "user",
        "agent_service_pub_key": "agent",
        "expires_at": None,
        "revoked": False,
    }
    body |= {"created_at": made_at(index), "metadata": {"scopes": scopes, "delegable": True}}
    return entry(index, "grant", body | fields, by, id=id)


def link(index: int, id: str, giver: str, agent: str, parent: str, **fields: Any) -> Entry:
    more = {"delegator": giver, "parent": parent, "agent_service_pub_key": agent}
    made = grant(index, id, giver, **more | fields)
    return entry(index, "delegation", made.body, giver, id=id)


def certificate(index: int = 4, expires_at: str = ENDED, agent: str = "agent") -> Entry:
    return entry(index, "agent-key", {"key": "k", "vault_scope": "v / s", "expires_at": expires_at}, agent, "k")


def granted(
    *entries: Entry, work: int = 300, relies: str = "G", agent: str = "agent", customer: str = "user", **more: Any
) -> Any:
    """What is said of a record's grant: notes, or the fault."""
    body = {"agent": agent, "grant": relies, "vault_scope": "v / s", "customer": customer}
    body |= {"started_at": ENDED, "ended_at": ENDED} | more
    worked = entry(work, "activity", body | {"cluster": "c", "signers": {"agent-derived-key": "k"}})
    return record._check_grant([GENESIS, *entries], worked)[2]


def refused(*entries: Entry, **given: Any) -> tuple[str, Verdict]:
    """The fault."""
    with pytest.raises(Fault) as raised:
        granted(*entries, **given)
    return raised.value.why, raised.value.verdict


VOTERS = [f"ed25519:{i:064x}" for i in range(1, 9)]


def b64(bits: int, count: int) -> str:
    """A set of positions."""
    return base64.b64encode(bits.to_bytes((count + 7) // 8, "little")).decode()


def batch(count: int, index: int = 10) -> Entry:
    return entry(index, "batch-sealed", {"cluster": "c", "era": 0, "batch": 0, "count": count})


def round_of(
    count: int,
    votes: Sequence[tuple[int, dict[str, int]]],
    attested: int,
    rejected: int = 0,
    *,
    start: int = 20,
    **more: Any,
) -> list[Entry]:
    """A round opened at ``start`` and tallied 50 later, in which each votes this agreement and these reasons."""
    number, seats = more.pop("round", 0), more.pop("seats", len(votes))
    ids = {"cluster": "c", "era": 0, "batch": 0, "round": number}
    told = {"committee": VOTERS[:seats], "missing": [], "assurance": {"missing": 0}}
    opened = entry(start, "round-opened", ids | told, LEDGER)
    entries = [opened]
    for i, (agree, reasons) in enumerate(votes):
        vote = {"agree": b64(agree, count), "reasons": {name: b64(bits, count) for name, bits in reasons.items()}}
        parts = untag(opened.id), untag(VOTERS[i]), b"\5", canonical(vote)
        cast = {"cluster": "c", "round": number, "validator": VOTERS[i]}
        made = {"commitment": digest("vote commitment", *parts)}
        entries.append(entry(start + 1 + i, "vote-committed", cast | made, VOTERS[i]))
        entries.append(entry(start + 20 + i, "vote-revealed", cast | {"salt": "05", "vote": vote}, VOTERS[i]))
    stated = {"attested": b64(attested, count), "rejected": b64(rejected, count), "records": count, "assigned": seats}
    entries.append(entry(start + 50, "round-tallied", ids | stated | more, LEDGER))
    return sorted(entries, key=lambda e: e.index)


def judged(count: int, *entries: Entry) -> tuple[int, int, int]:
    """The outcome of a batch."""
    held = batch(count)
    return record.check_round([GENESIS, held, *entries], held, LEDGER)[:3]


def unfounded(count: int, *entries: Entry) -> str:
    """The fault."""
    with pytest.raises(Fault) as raised:
        judged(count, *entries)
    return raised.value.why


def stolen(index: int, since: int, identity: str = "x") -> Entry:
    return entry(index, "compromise", {"identity": identity, "since_index": since})
