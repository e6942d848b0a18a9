"""One record, from its grant to its tally: who allowed it, what ran, who vouched for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from proofroom.domain.verifier.entry import Entry, canonical, digest, one, untag
from proofroom.domain.verifier.note import unbase64
from proofroom.domain.verifier.tree import check_inclusion, inner_leaf, inner_node
from proofroom.domain.verifier.verdict import Fault, Verdict

MAX_BATCH = 10_000
MAX_LINKS = 4
"""A grant, and at most three delegations below it."""
SKEW_MS = 300_000
"""By how much the clocks of parties may differ from the ledger's."""
Path = Sequence[bytes]
ROLES = ("agent-derived-key", "orchestrator", "agent-runtime")
REJECTS = ("overclaimed-cpu", "overclaimed-gpu", "overclaimed-bytes", "out-of-scope", "result-mismatch")


class Vote(NamedTuple):
    """A vote that was shown: positions of its batch, as bits."""

    validator: str
    at: int
    agree: int
    reject: int


class Outcome(NamedTuple):
    """What became of a batch: positions, as bits."""

    attested: int
    rejected: int
    left_out: int
    """What the votes decide and no tally says."""
    open: int
    """What was passed on to a committee of which there is no tally."""
    rounds: list[tuple[int, int, int, list[Vote]]]
    """Of each tally: what it attested and rejected, how many were assigned, and their votes."""


def check_record(
    entries: Sequence[Entry], position: int, path: Path, paid: Entry | None = None
) -> tuple[str, list[str]]:
    """The record was allowed, signed at its source, sealed in a batch at this position, and attested by two thirds.

    ``paid`` is the payment of its era, for whoever checks that as well.
    """
    work, batch = one(entries, "activity"), one(entries, "batch-sealed")
    relied, user, notes = _check_grant(entries, work)
    notes += _erased(entries, work, user)
    check_source(work)
    batch.signed_by(work.get("signers.orchestrator", str))
    _check_batch(entries, work, batch)
    leaf = inner_leaf(b"\x00", untag(work.id))
    check_inclusion(leaf, position, batch.get("count", int), path, untag(batch.get("root", str)), inner_node)
    outcome = check_round(entries, batch, entries[0].get("ledger_key", str))
    check_independent(outcome, batch, [work, *relied])
    check_sizes(outcome, batch)
    if not outcome.attested >> position & 1:
        raise Fault("the record was not attested: it does not pay", work.index, Verdict.SUSPECT)
    notes += doubts(entries, [work, *relied], paid)
    return f"record {work.get('record_id', str)} was granted, and attested by two thirds", notes


def check_source(work: Entry) -> None:
    """The record is signed in its three roles, by a key each, and by nobody else; its work had ended when it was recorded."""
    work.signed_by(*(work.get(f"signers.{role}", str) for role in ROLES))
    in_order = work.time("started_at") <= work.time("ended_at") <= work.time_ms + SKEW_MS
    work.need(in_order, "its times contradict each other, or it was recorded before it ended")


def check_in_era(work: Entry, paid: Entry) -> None:
    """The work ended in its era and not before: so nobody makes it older than the end of what it relies on."""
    within = place(work) != place(paid) or work.time("ended_at") + SKEW_MS >= paid.time("start")
    work.need(within, "it ended before its era began")


def _check_batch(entries: Sequence[Entry], work: Entry, batch: Entry) -> None:
    """The batch is of the record's era, or of a later one to which that and each one between left their late records."""
    cluster, era = work.get("cluster", str), work.get("era", int)
    seals = {(e.get("cluster", str), e.get("era", int)): e for e in entries if e.kind == "era-sealed"}
    for number in range(era, max(era, batch.get("era", int))):
        seal = seals.get((cluster, number))
        if seal is None:
            break
        seal.signed_by(entries[0].get("ledger_key", str))
        left = seal.get("carried", int) > 0 and work.index < seal.index < batch.index
        seal.need(left, "it left no such record to the next")
        era += 1
    batch.need(place(batch) == (cluster, era) and batch.index > work.index, "it is not the batch of the record")


def doubts(entries: Iterable[Entry], relied: Sequence[Entry], paid: Entry | None) -> list[str]:
    """A compromise that reaches back to a signature on the record, or on what it relies on: what is not paid by then is in doubt.

    A certificate is the agent service's word; that the derived key signed it too shows only that it was there.
    """
    signed = [
        (who, e.index) for e in relied for who in e.signers if who == e.body.get("agent") or e.kind != "agent-key"
    ]
    for e in (e for e in entries if e.kind == "compromise"):
        identity, since = e.get("identity", str), e.get("since_index", int)
        if any(who == identity and since <= index < e.index for who, index in signed):
            why = f"a party to it declared at entry {e.index} that its key was compromised"
            if paid is None or paid.index > e.index:
                raise Fault(why, relied[0].index, Verdict.SUSPECT)
            return [f"after it was paid, {why}"]
    return []


class Grants(NamedTuple):
    """What a file holds of grants and delegations."""

    by_id: dict[str, Entry]
    versions: dict[tuple[str, ...], list[Entry]]
    """By who grants to whom."""


def grants_of(entries: Iterable[Entry]) -> Grants:
    """All of them, as recorded first."""
    grants = Grants({}, {})
    for e in (e for e in entries if e.kind in ("grant", "grant-wire", "delegation")):
        grants.by_id.setdefault(e.id, e)
        grants.versions.setdefault(_parties(e), []).append(e)
    return grants


def _check_grant(entries: Sequence[Entry], work: Entry) -> tuple[list[Entry], str, list[str]]:
    """What the record relies on is there and holds: all of it, the wallet, and what happened later."""
    links, notes = check_links(grants_of(entries), work)
    user = links[-1].get("user_pub_key", str)
    return [*links, *_check_certificate(entries, work, user)], user, notes


def _erased(entries: Iterable[Entry], work: Entry, user: str) -> list[str]:
    """What the wallet says, of the record's own input or result, that it had destroyed."""
    payloads = [
        f"{work.get(name, str)} of {work.get('record_id', str)}" for name in ("input_commitment", "result_hash")
    ]
    said = [e for e in entries if e.kind == "erased" and e.signers == {user} and e.get("what", str) in payloads]
    said = [e for e in said if e.body.get("vault_scope") == work.get("vault_scope", str)]
    return [f"ERASED at entry {e.index}: {e.body['what']}" for e in said]


def check_links(grants: Grants, work: Entry, *, whole: bool = True) -> tuple[list[Entry], list[str]]:
    """Every link from the grant that the record names up to the wallet's covers its scope, and was in force at the record's index.

    Unless the file is to hold the ``whole`` of it, it ends at the first that is not there. Gives the links, and what happened later.
    """
    links, notes, below = list[Entry](), list[str](), work
    agent, link_id, scope = work.get("agent", str), work.get("grant", str), work.get("vault_scope", str)
    for _ in range(MAX_LINKS):
        link = grants.by_id.get(link_id)
        if link is None and not whole:
            return links, notes
        if link is None:
            raise Fault("the file does not hold the grant that the record names, or one above it", work.index)
        user = link.get("user_pub_key", str)
        giver = link.get("delegator", str) if link.kind == "delegation" else user
        versions = grants.versions[_parties(link)]
        for version in versions:
            version.signed_by(giver)
        passed_on = below is work or (user == below.get("user_pub_key", str) and link.get("metadata.delegable", bool))
        covers = link.get("agent_service_pub_key", str) == agent and scope in _scopes(link) and _allows(link, work)
        link.need(covers and passed_on, "the grant is for another agent, scope or operation, or may not be passed on")
        work.need(not _exceeds(link, work), f"it used more than the grant at entry {link.index} allows")
        made = link.time("created_at")
        between = [
            e.index for e in versions if e.index < work.index and (e.index > link.index or e.time("created_at") > made)
        ]
        expired = link.body.get("expires_at") is not None and link.time("expires_at") < work.time("ended_at")
        early = link.index > below.index or made > work.time("started_at") + SKEW_MS
        if between or expired or early or link.get("revoked", bool):
            why = f"replaced or revoked at entry {between[-1]}" if between else "expired, revoked, or not yet made"
            raise Fault(f"the grant at entry {link.index} was {why}", work.index, Verdict.REVOKED_GRANT)
        later = [e.index for e in versions if e.index > work.index and e.get("revoked", bool)]
        notes += [f"the grant was revoked later, at entry {later[0]}"] if later else []
        links.append(link)
        if link.kind != "delegation":
            return links, notes
        below, agent, link_id = link, giver, link.get("parent", str)
    raise Fault("more delegations in a row than are allowed", work.index)


def _parties(grant: Entry) -> tuple[str, ...]:
    """Who grants to whom: versions of one grant share it."""
    return tuple(str(grant.body.get(name)) for name in ("user_pub_key", "agent_service_pub_key", "delegator"))


def _scopes(grant: Entry) -> list[str]:
    scopes = [scope.get("context") for scope in grant.get("metadata.scopes", list) if type(scope) is dict]
    return [f"{scope.get('vaultId')} / {scope.get('scopeId')}" for scope in scopes if type(scope) is dict]


def _allows(grant: Entry, work: Entry) -> bool:
    """Whether the operation is one of those that a grant names; one that names none allows any."""
    limits = grant.get("metadata", dict).get("limits")
    named = limits.get("operations") if type(limits) is dict else None
    return not named or (type(named) is list and work.get("operation", str) in named)


def _exceeds(grant: Entry, work: Entry) -> bool:
    """Whether the record alone used more than a grant allows in sum."""
    limits = grant.get("metadata", dict).get("limits")
    asked: dict[str, Any] = limits if type(limits) is dict else {}
    more_cpu = "cpu_ms" in asked and work.get("compute.cpu_ms", int) > grant.get("metadata.limits.cpu_ms", int)
    return more_cpu or ("gpu_units" in asked and gpu_micro(work, "compute") > gpu_micro(grant, "metadata.limits"))


def gpu_micro(entry: Entry, path: str) -> int:
    """The GPU units that stand there, in millionths."""
    units = entry.get(path, dict).get("gpu_units")
    return int(units * 10**6) if isinstance(units, Decimal) else entry.get(f"{path}.gpu_units", int) * 10**6


def _check_certificate(entries: Sequence[Entry], work: Entry, user: str) -> list[Entry]:
    """The derived key is certified by the agent service for this scope; the customer is the user, or said that it pays."""
    agent, certificate, customer = work.get("agent", str), one(entries, "agent-key"), work.get("customer", str)
    relied = [certificate]
    certificate.signed_by(agent, certificate.get("key", str))
    certified = (certificate.body["key"], certificate.get("vault_scope", str))
    fits = certified == (work.get("signers.agent-derived-key", str), work.body["vault_scope"])
    certificate.need(fits, "it certifies another key, or for another scope")
    in_force = certificate.index < work.index and certificate.time("expires_at") >= work.time("ended_at")
    certificate.need(in_force, "the certificate was not in force")
    if customer != user or work.body.get("listing") is not None:
        payer = one(entries, "payer")
        payer.signed_by(customer)
        for_this = (payer.body.get("agent"), payer.body.get("cluster")) == (agent, work.get("cluster", str))
        expired = payer.body.get("expires_at") is not None and payer.time("expires_at") < work.time("ended_at")
        in_force = payer.index < work.index and not payer.get("revoked", bool) and not expired
        payer.need(for_this and in_force, "it pays for something else")
        relied.append(payer)
    if work.body.get("listing") is not None:
        listing = one(entries, "listing")
        listing.signed_by(agent)
        sold = (listing.id, listing.get("agent", str)) == (work.get("listing", str), agent)
        here = listing.body.get("cluster") in (None, work.body["cluster"]) and not listing.get("withdrawn", bool)
        listing.need(sold and here and listing.index < work.index, "the record was sold under another listing")
        relied.append(listing)
    return relied


def check_round(entries: Sequence[Entry], batch: Entry, ledger_key: str) -> Outcome:
    """The tallies of a batch, counted again from the votes.

    What a committee could not decide may go to a next one, which judges all of that and nothing else. A compromise that was declared before
    a tally may leave positions out that the votes decide: it may reach back to records of which this file does not show on what they rest.
    """
    of_batch = [e for e in entries if place(e) == place(batch) and e.body.get("batch") == batch.get("batch", int)]
    count, attested, rejected, left_out = batch.get("count", int), 0, 0, 0
    rounds = list[tuple[int, int, int, list[Vote]]]()
    batch.need(0 < count <= MAX_BATCH, "a batch has 1 to 10,000 records")
    left, tallies = (1 << count) - 1, [e for e in of_batch if e.kind == "round-tallied"]
    batch.need(len(tallies) > 0, "the file holds no tally of the batch")
    for level, tally in enumerate(tallies):
        tally.signed_by(ledger_key)
        asked = bits(tally, "judged", count) if level else left
        follows = not level or tally.body.get("round") == tallies[level - 1].body.get("next_round")
        same = asked == left and tally.body.get("level", 0) == level and follows
        tally.need(same, "it judges other records than were left open")
        seats, votes = _count(entries, of_batch, batch, tally, ledger_key)
        thefts = thefts_before(entries, tally)
        trusted = [v for v in votes if not in_doubt(thefts, v.validator, v.at)]
        given = [_two_thirds([getattr(v, said) for v in trusted], seats, count) & left for said in ("agree", "reject")]
        yes, no = stated = [bits(tally, verdict, count) for verdict in ("attested", "rejected")]
        holds = stated == given or (thefts and not (yes & ~given[0] or no & ~given[1]))
        tally.need(bool(holds) and tally.get("records", int) == count, "the votes give another tally")
        disputed, passed = left & ~yes & ~no, bits(tally, "escalated", count) if "escalated" in tally.body else 0
        whole = passed in (0, disputed) or (thefts and not passed & ~disputed)
        tally.need(bool(whole), "it passes on other records than it left open")
        attested, rejected, left = attested | yes, rejected | no, passed
        left_out |= given[0] & ~yes | given[1] & ~no
        rounds.append((yes, no, seats, votes))
    counted = [tally.body["round"] for tally in tallies]
    waiting = [e for e in of_batch if e.kind == "round-opened" and e.body.get("round") not in counted]
    batch.need(not waiting or left > 0, "a committee was drawn for it whose votes nobody counted")
    return Outcome(attested, rejected, left_out & ~attested & ~rejected, left, rounds)


def check_sizes(outcome: Outcome, batch: Entry) -> None:
    """The first committee has 5 to 61 members, each later one twice as many and one more; or there was none."""
    sizes = [seats for *_, seats, _ in outcome.rounds]
    allowed = [range(5, 62), *(range(2 * before + 1, 2 * before + 2) for before in sizes)]
    fits = all(seats == 0 or seats in sizes for seats, sizes in zip(sizes, allowed, strict=False))
    batch.need(fits, "a committee of its is of no size that there is")


def check_independent(outcome: Outcome, batch: Entry, works: Sequence[Entry], *others: str) -> None:
    """Nobody votes on what it signed, or has a part in."""
    parties = {str(who) for e in works for who in (*e.signers, e.body.get("customer"), e.body.get("agent"))}
    creators = [c for e in works if e.kind == "listing" for c in e.get("creators", list) if type(c) is dict]
    parties |= {*others, *(str(c.get("creator")) for c in creators)}
    voters = {vote.validator for *_, votes in outcome.rounds for vote in votes}
    batch.need(not voters & parties, "a party to it votes on it")


def uphold(outcome: Outcome, thefts: Sequence[Entry], count: int) -> tuple[int, int, Counter[str]]:
    """What of it is still attested and rejected without the votes that one of these thefts reaches back to, and of how many of
    these records each validator said so, on the last committee or an earlier one.
    """
    attested, rejected, judged, cast = 0, 0, Counter[str](), list[Vote]()
    for yes, no, seats, votes in outcome.rounds:
        sound = [v for v in votes if not in_doubt(thefts, v.validator, v.at)]
        cast += sound
        if thefts:
            yes &= _two_thirds([v.agree for v in sound], seats, count)
            no &= _two_thirds([v.reject for v in sound], seats, count)
        attested, rejected = attested | yes, rejected | no
        for v in cast:
            judged[v.validator] += (v.agree & yes | v.reject & no).bit_count()
    return attested, rejected, judged


def thefts_before(entries: Iterable[Entry], end: Entry) -> list[Entry]:
    """The compromises that were declared before an entry."""
    return [e for e in entries if e.kind == "compromise" and e.index < end.index]


def in_doubt(thefts: Iterable[Entry], who: str, index: int) -> bool:
    """Whether one of these was declared by a party, after it signed something at this index, and reaches back to that."""
    mine = (e for e in thefts if e.get("identity", str) == who)
    return any(e.get("since_index", int) <= index < e.index for e in mine)


def _count(
    entries: Iterable[Entry], of_batch: Sequence[Entry], batch: Entry, tally: Entry, ledger_key: str
) -> tuple[int, list[Vote]]:
    """How many were assigned to a round, and their votes."""
    found, committee, count = list[Vote](), list[str](), batch.get("count", int)
    for opened in (e for e in of_batch if e.kind == "round-opened" and e.body.get("round") == tally.get("round", int)):
        opened.signed_by(ledger_key)
        opened.need(batch.index < opened.index and not committee, "the round comes before its batch, or twice")
        committee = opened.get("committee", list)
        for vote in _votes(entries, opened, tally):
            reasons = [bits(vote, f"vote.reasons.{r}", count) for r in REJECTS if r in vote.get("vote.reasons", dict)]
            agree, reject = bits(vote, "vote.agree", count), reduce(or_, reasons, 0)
            found.append(Vote(vote.get("validator", str), vote.index, agree, reject))
    exact = tally.get("assigned", int) == len(committee) == len(set(map(str, committee)))
    tally.need(exact, "it counts another committee")
    return len(committee), found


def _votes(entries: Iterable[Entry], opened: Entry, tally: Entry) -> list[Entry]:
    """The votes of a round: each by a member, once, and what it had committed to before any was shown."""
    committed: dict[str, str] = {}
    shown: dict[str, Entry] = {}
    for e in (e for e in entries if e.kind in ("vote-committed", "vote-revealed")):
        if (e.body.get("cluster"), e.body.get("round")) != (opened.get("cluster", str), opened.get("round", int)):
            continue
        validator = e.get("validator", str)
        e.signed_by(validator)
        e.need(validator in opened.body["committee"] and opened.index < e.index < tally.index, "no member votes here")
        if e.kind == "vote-committed":
            e.need(validator not in committed and not shown, "a commitment comes late")
            committed[validator] = e.get("commitment", str)
        else:
            parts = untag(opened.id), untag(validator), untag(":" + e.get("salt", str)), canonical(e.get("vote", dict))
            opens = validator not in shown and committed.get(validator) == digest("vote commitment", *parts)
            e.need(opens, "not what was committed to")
            shown[validator] = e
    return list(shown.values())


def _two_thirds(votes: Sequence[int], assigned: int, count: int) -> int:
    return sum(1 << i for i in range(count) if assigned and 3 * sum(v >> i & 1 for v in votes) >= 2 * assigned)


def bits(entry: Entry, path: str, count: int) -> int:
    """A set of batch positions, as the bits of an integer."""
    raw = unbase64(entry.get(path, str), path, (count + 7) // 8)
    value = int.from_bytes(raw, "little")
    entry.need(value >> count == 0, "a position is beyond the batch")
    return value


def place(entry: Entry) -> tuple[Any, Any]:
    """Cluster and era of an entry."""
    return entry.body.get("cluster"), entry.body.get("era")
