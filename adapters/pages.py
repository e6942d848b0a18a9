"""The four receipts as a person reads them: grant, record, round, era, in the shapes of the page.

Each receipt has two functions: ``*_facts`` gives plain values for ``--json``, ``*_page`` the text. Both say only what entries of the log
say. With ``short`` keys and digests are cut to ``ed25519:8f3c…a1d2``; a text without it is complete.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from proofroom.adapters.finding import statements
from proofroom.adapters.mapper import to_entry
from proofroom.domain.canonical import number_text
from proofroom.domain.entry import Entry
from proofroom.domain.errors import NoSuchEntry
from proofroom.domain.ids import from_ms
from proofroom.domain.statements import Statement
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import REJECT_REASONS, RoundOpened, RoundTallied, VoteRevealed
from proofroom.domain.statements.consent import GrantFields
from proofroom.domain.statements.fields import Model
from proofroom.domain.statements.settlement import EraPaid, Payout
from proofroom.domain.voting import all_positions, at_least, count_votes, read_bitmap, read_vote

if TYPE_CHECKING:
    from proofroom.adapters.ledger import Ledger

S = TypeVar("S", bound=Statement)
M = TypeVar("M", bound=Model)
Facts = dict[str, Any]

CERE_DECIMALS = 10
"""1 CERE is 10^10 base units (protocol 1.9)."""

_LONG = re.compile(r"\b(ed25519:|blake[23]:|0x|)([0-9a-f]{4})[0-9a-f]{56,120}([0-9a-f]{4})\b")


# --- finding


def find_entries(
    ledger: Ledger, statement: type[S], predicate: Callable[[S], bool] = lambda _: True, *, start: int = 0
) -> Iterator[tuple[Entry, S]]:
    """The entries of a kind that satisfy a predicate, oldest first, each verified as it is read."""
    suffix = f".{statement.kind}.v1+json"
    for stored in ledger.store.read_from(start):
        if stored.topic.endswith(suffix):
            entry = to_entry(stored)
            if isinstance(entry.statement, statement) and predicate(entry.statement):
                yield entry, entry.statement


# --- the grant


def grant_facts(entry: Entry) -> Facts:
    """A grant as its wallet signed it, with where it is recorded."""
    s = _expect(entry, GrantFields)
    (signature,) = entry.verified.envelope.signatures
    signed = {"algorithm": "ed25519", "signer": signature.keyid[8:], "value": "0x" + signature.value.hex()}
    return _place(entry) | {"grant": s.to_json() | {"signature": signed}}


def grant_page(entry: Entry, *, status: str | None = None, short: bool = False) -> str:
    """The grant in the page's shape.

    Args:
        entry: of kind ``grant`` or ``grant-wire``.
        status: what the registry derives for it now, to be told beside it.
        short: cut keys and digests.
    """
    facts = grant_facts(entry)["grant"]
    fields = {k: facts[k] for k in ("agent_service_pub_key", "user_pub_key", "created_at", "expires_at", "revoked")}
    rest = {k: facts[k] for k in ("metadata", "signature")}
    derived = "status derived at read" + (f": {status}" if status is not None else "")
    lines = [
        "{",
        *_aligned(fields),
        f'  "metadata": {_inline(rest["metadata"])},',
        f'  "signature": {_inline(rest["signature"])}',
        "}",
        f"// signed by the wallet · verified on every write · {derived}",
        f"// {_recorded(entry)}",
    ]
    return _finish(lines, short)


# --- the activity record


def record_facts(entry: Entry) -> Facts:
    """An activity record as its three roles signed it, with where it is recorded."""
    s = _expect(entry, Activity)
    signatures = [
        {"role": role, "signer": keyid, "value": "0x" + _signature_of(entry, keyid)}
        for role, keyid in s.signers.model_dump(by_alias=True).items()
    ]
    return _place(entry) | {"record": s.to_json() | {"signatures": signatures}}


def record_page(entry: Entry, *, erased: Mapping[str, int] = MappingProxyType({}), short: bool = False) -> str:
    """The activity record in the page's shape; what the page leaves out stands below it.

    Args:
        entry: of kind ``activity``.
        erased: payloads that its owner had destroyed, and the entries that say so.
        short: cut keys and digests.
    """
    s = _expect(entry, Activity)
    fields = {
        "record_id": s.record_id,
        "agent": s.agent,
        "vault_scope": s.vault_scope,
        "operation": s.operation,
        "compute": _Verbatim(f'{{ "cpu_ms": {s.compute.cpu_ms}, "gpu_units": {number_text(s.compute.gpu_micro)} }}'),
        "result_hash": s.result_hash,
        "signatures": list(s.signers.model_dump(by_alias=True)),
    }
    d = s.data
    traffic = f"{_counted(d.gets, 'get')}, {_counted(d.puts, 'put')}, {_counted(d.bytes_streamed, 'byte')} streamed"
    lines = [
        "{",
        *_aligned(fields, last=True),
        "}",
        "// multi-signed at source · batched under one root · payload off the ledger, hash on it",
        f"// under grant {s.grant} · on {s.node} of {s.cluster} in era {s.era} · paid by {s.customer}",
        f"// ran {s.started_at} to {s.ended_at} · {traffic}",
        *(f"// ERASED: its {part}, by the owner's statement in entry {index}" for part, index in erased.items()),
        f"// {_recorded(entry)}",
    ]
    return _finish(lines, short)


# --- the attestation round


def round_facts(ledger: Ledger, cluster: str, round: int) -> Facts:
    """A round as the ledger opened and tallied it, with its votes.

    Raises:
        NoSuchEntry: the ledger neither opened nor tallied such a round.
    """
    where = {"cluster": cluster, "round": round}
    opened = next(statements(ledger, RoundOpened, "round_openings", **where), None)
    tallied = next(statements(ledger, RoundTallied, "tallies", **where), None)
    if opened is None and tallied is None:
        raise NoSuchEntry(what=f"round {round} of {cluster}")
    votes = list(statements(ledger, VoteRevealed, "vote_reveals", **where))
    statement = (opened or tallied)[1]  # type: ignore[index]
    facts: Facts = {
        "cluster": cluster,
        "era": statement.era,
        "batch": statement.batch,
        "round": round,
        "assigned": 0 if opened is None else len(opened[1].committee),
        "eligible": None if opened is None else opened[1].assurance.eligible,
        "opened": None if opened is None else _place(opened[0]) | {"statement": opened[1].to_json()},
        "votes": [_place(entry) | {"statement": vote.to_json()} for entry, vote in votes],
        "tallied": None if tallied is None else _place(tallied[0]) | {"statement": tallied[1].to_json()},
    }
    if tallied is not None:
        facts |= _verdict(tallied[1], [vote for _, vote in votes])
    return facts


def _verdict(tally: RoundTallied, votes: list[VoteRevealed]) -> Facts:
    """How many agreed: for the attested record with the fewest; where none is attested, for the record with the most."""
    count = tally.records
    judged = all_positions(count) if tally.judged is None else read_bitmap(tally.judged, count)
    planes = count_votes(read_vote(vote.vote, count, judged).agree for vote in votes)
    most = max((n for n in range(1, tally.assigned + 1) if at_least(planes, n, count)), default=0)
    reasons: Counter[str] = Counter()
    for vote in votes:
        reasons.update(reason for reason, bitmap in vote.vote.reasons.items() if read_bitmap(bitmap, count))
    return {
        "agree": tally.agree if tally.records_attested else most,
        "records": judged.bit_count(),
        "attested": tally.records_attested,
        "rejected": tally.records_rejected,
        "escalated": tally.next_round,
        "passed": tally.records_attested == judged.bit_count(),
        "doubts": dict(sorted(reasons.items())),
    }


def round_page(ledger: Ledger, cluster: str, round: int, *, short: bool = False) -> str:
    """The round in the page's shape.

    Raises:
        NoSuchEntry: as for :func:`round_facts`.
    """
    facts = round_facts(ledger, cluster, round)
    assigned = facts["assigned"]
    drawn = f"random subset of {facts['eligible']} eligible, drawn anew each round" if assigned else "none was drawn"
    lines = [
        f"attestation round · cluster {cluster} · era {facts['era']}",
        "",
        f"  assigned validators : {assigned}  ({drawn})",
        "  cross-checked vs    : independently observed activity",
        f"  agree               : {_outcome(facts)}",
    ]
    if facts["tallied"] is not None:
        lines += [f"// {doubt}" for doubt in _doubts(facts)]
        if facts["escalated"] is not None:
            lines.append(f"// what is disputed went to a larger committee, in round {facts['escalated']}")
        lines.append(
            f"// round {round}, batch {facts['batch']}, tallied in entry {facts['tallied']['entry_index']} · "
            "unattested records never reach payout"
        )
    return _finish(lines, short)


def _outcome(facts: Facts) -> str:
    assigned = facts["assigned"]
    if facts["tallied"] is None:
        return f"{len(facts['votes'])} / {assigned} votes revealed  →  not tallied yet"
    records, attested = facts["records"], facts["attested"]
    mark = "✓ PASS" if facts["passed"] else "✗ FAIL"
    if attested and not facts["passed"]:
        mark = f"✓ PASS for {attested} of {records} records"
    return f"{facts['agree']} / {assigned}  →  ⅔ supermajority  {mark}"


def _doubts(facts: Facts) -> list[str]:
    silent = facts["assigned"] - len(facts["votes"])
    lines = [
        f"{_counted(number, 'validator')} {'rejected' if reason in REJECT_REASONS else 'abstained'}: {reason}"
        for reason, number in facts["doubts"].items()
    ]
    return lines + ([f"{_counted(silent, 'validator')} did not vote"] if silent else [])


# --- the settled era


def era_facts(ledger: Ledger, cluster: str, era: int) -> Facts:
    """``ClusterEraPaid`` and the payout lines that it closes.

    Raises:
        NoSuchEntry: the era is not paid (yet).
    """
    where = {"cluster": cluster, "era": era}
    paid = next(statements(ledger, EraPaid, "era_payments", **where), None)
    if paid is None:
        raise NoSuchEntry(what=f"paid era {era} of {cluster}")
    entry, statement = paid
    lines = statements(ledger, Payout, "payouts", **where)
    founding = ledger.state.founding
    return _place(entry) | {
        "event": "ClusterEraPaid",
        "unit": "" if founding is None else founding.unit,
        "statement": statement.to_json(),
        "lines": [_place(line) | {"statement": payout.to_json()} for line, payout in lines],
    }


def era_page(ledger: Ledger, cluster: str, era: int, *, short: bool = False) -> str:
    """The settled era in the page's shape, with its sums.

    Raises:
        NoSuchEntry: as for :func:`era_facts`.
    """
    facts = era_facts(ledger, cluster, era)
    s, unit = facts["statement"], facts["unit"]
    receivers = Counter(line["statement"]["role"] for line in facts["lines"])
    totals = {k: money_text(int(v), unit) for k, v in s["totals"].items()}
    width = max(map(len, totals.values()))
    rows = [
        ("customer deposits", "debited ", "collected", f"from {_counted(receivers['charge'], 'customer')}"),
        (
            "node providers",
            "credited",
            "providers",
            f"per validated activity, to {_counted(receivers['provider'], 'node')}",
        ),
        ("validators", "paid    ", "validators", f"for inspection, to {_counted(receivers['validator'], 'validator')}"),
        ("protocol treasury", "share   ", "treasury", "accrued"),
        ("protocol reserve", "share   ", "reserve", "accrued"),
    ]
    attested, recorded = s["records"]["attested"], _counted(s["records"]["recorded"], "record")
    lines = [
        f"event ClusterEraPaid {{ cluster: {cluster}, era: {era} }}",
        "",
        *(f"  {name:<18}  →  {verb}  {totals[key]:>{width}}  {why}" for name, verb, key, why in rows),
        f"// closes the window {s['start']} to {s['end']} · split set by the cluster's parameters",
        "// debits equal credits, to the base unit",
        f"// {attested} of {recorded} attested · {_counted(s['lines'], 'line')} before entry {facts['entry_index']}",
    ]
    if "carried" in s:
        lines.insert(-1, f"// {_counted(s['carried'], 'late record')} went to the next era, and counted there")
    if int(s["totals"]["debt"]):
        lines.insert(-2, f"// not covered by deposits: {totals['debt']}")
    return _finish(lines, short)


def money_text(amount: int, unit: str) -> str:
    """An amount for a person, exactly: whole CERE with ten decimals, other units in their base units."""
    if unit != "CERE":
        return f"{amount} base units of {unit}"
    sign, (whole, rest) = "-" if amount < 0 else "", divmod(abs(amount), 10**CERE_DECIMALS)
    return f"{sign}{whole}.{rest:0{CERE_DECIMALS}d} {unit}"


# --- writing


def shorten(text: str) -> str:
    """The text with long keys, digests and signatures cut to their first and last four digits."""
    return _LONG.sub(r"\1\2…\3", text)


class _Verbatim(str):
    """A value that is JSON already."""

    __slots__ = ()


def _aligned(fields: Facts, *, last: bool = False) -> list[str]:
    """Object members, one a line, values below each other; ``last`` when nothing follows."""
    width = max(len(key) for key in fields) + 4
    lines = [f"  {json.dumps(key) + ':':<{width}}{_inline(value)}," for key, value in fields.items()]
    return [*lines[:-1], lines[-1].removesuffix(",")] if last else lines


def _inline(value: object) -> str:
    """JSON in one line, spaced as on the page."""
    if isinstance(value, _Verbatim):
        return str(value)
    if isinstance(value, dict) and value:
        return "{ " + ", ".join(f"{json.dumps(k)}: {_inline(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        return "[ " + ", ".join(map(_inline, value)) + " ]"
    return json.dumps(value, ensure_ascii=False)


def _finish(lines: list[str], short: bool) -> str:
    text = "\n".join(lines)
    return shorten(text) if short else text


def _expect(entry: Entry, kind: type[M]) -> M:
    if not isinstance(entry.statement, kind):
        raise NoSuchEntry(what=f"{kind.__name__} at entry {entry.index}, which is {entry.statement.kind}")
    return entry.statement


def _place(entry: Entry) -> Facts:
    return {
        "entry_index": entry.index,
        "recorded_at": from_ms(entry.recorded_at_ms),
        "id": entry.verified.digest,
        "kind": entry.verified.kind,
    }


def _recorded(entry: Entry) -> str:
    return f"entry {entry.index} · recorded {from_ms(entry.recorded_at_ms)} · id {entry.verified.digest}"


def _signature_of(entry: Entry, keyid: str) -> str:
    return next(s.value.hex() for s in entry.verified.envelope.signatures if s.keyid == keyid)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
