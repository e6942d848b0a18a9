"""Attestation: validators, the unpredictable round, commit and reveal, the two-thirds tally (protocol 5).

A round lives through three phases. *Beacon*: each eligible validator reveals the chain value that belongs to this round.
*Commit*: the drawn committee commits to votes. *Reveal*: it opens them. The ledger opens and tallies the round by statements
of its own when all are in or the deadline has passed, so a round always ends. Rules 1 has no escalation: what is neither
attested nor rejected ends unattested.
"""

from __future__ import annotations

from proofroom.domain import eras, hashing
from proofroom.domain.accounts import bond_account
from proofroom.domain.assurance import capture, catch, threshold
from proofroom.domain.committee import compute_committee, compute_seed
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.entry import Entry
from proofroom.domain.errors import AlreadyRecorded, FalseReveal, NotAssigned, Unregistered, WrongPhase
from proofroom.domain.ids import KeyId, from_ms
from proofroom.domain.state import (
    Ballot,
    Due,
    Era,
    Parameters,
    Pending,
    Round,
    State,
    Tally,
    UsageSum,
    ValidatorFacts,
    schedule,
    unschedule,
)
from proofroom.domain.statements.activity import BatchSealed
from proofroom.domain.statements.attestation import (
    Assurance,
    BeaconRevealed,
    RoundOpened,
    RoundTallied,
    ValidatorRegistered,
    VoteCommitted,
    VoteRevealed,
)
from proofroom.domain.voting import at_least, commitment, count_votes, read_bitmap, read_vote, write_bitmap

MAX_BEACON_STEPS = 65_536
"""Rounds that a validator may have sat out before it must register a new key."""

MISSING_LISTED = 128


def apply_validator_registered(state: State, entry: Entry, s: ValidatorRegistered) -> State:
    """A validator joins; its first preimage belongs to the cluster's next round. It is eligible once its bond is paid in."""
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    cluster = state.clusters.get(s.cluster)
    if cluster is None:
        raise Unregistered(what="cluster", key=s.cluster)
    members = state.validators[s.cluster]
    if s.validator in members:
        raise AlreadyRecorded(what="validator", key=s.validator)
    facts = ValidatorFacts(s.controller, hashing.untagged(s.beacon), cluster.rounds)
    return state._replace(validators=state.validators.set(s.cluster, members.set(s.validator, facts)))


def eligible_validators(state: State, name: str, records: tuple[Pending, ...], minimum: int) -> tuple[KeyId, ...]:
    """Who may judge a batch, in key order: bonded, and answering for no party to it."""
    cluster = state.clusters[name]
    parties: set[KeyId] = {cluster.manager, *cluster.orchestrators}
    for record in records:
        parties |= {record.customer, record.agent, cluster.nodes[record.node].provider}
    return tuple(
        sorted(
            key
            for key, facts in state.validators[name].items()
            if state.balances.get(bond_account(name, key), 0) >= minimum and not {key, facts.controller} & parties
        )
    )


def start_round(state: State, entry: Entry, s: BatchSealed, records: tuple[Pending, ...]) -> State:
    """The batch awaits the beacon; the eligible set is fixed now. With too few eligible, it ends at once."""
    cluster, key = state.clusters[s.cluster], (s.cluster, state.clusters[s.cluster].rounds)
    era = state.eras[s.cluster, s.era]
    eligible = eligible_validators(state, s.cluster, records, era.parameters.validator_bond)
    round = Round(s.era, s.batch, hashing.untagged(s.root), records, eligible)
    wait = era.parameters.beacon_ms if len(eligible) >= era.parameters.committee else 0
    return state._replace(
        clusters=state.clusters.set(s.cluster, cluster._replace(rounds=cluster.rounds + 1)),
        eras=state.eras.set((s.cluster, s.era), era._replace(open_rounds=era.open_rounds + 1)),
        rounds=state.rounds.set(key, round),
        agenda=schedule(state.agenda, Due(entry.recorded_at_ms + wait, "round", *key)),
    )


def open_round(state: State, cluster: str, number: int) -> Round:
    """A round that is not final.

    Raises:
        WrongPhase: it is final, or not begun.
    """
    round = state.rounds.get((cluster, number))
    if round is None:
        raise WrongPhase(cluster=cluster, round=number, phase="final or not begun")
    return round


def phase_of(round: Round, now_ms: int) -> str:
    """``beacon``, ``commit`` or ``reveal``."""
    if not round.digest:
        return "beacon"
    waiting = now_ms < round.commit_until and len(round.commits) < len(round.committee)
    return "commit" if waiting else "reveal"


def apply_beacon_revealed(state: State, entry: Entry, s: BeaconRevealed) -> State:
    """A validator reveals the preimage that belongs to this round: hashed once for each round since its last reveal, it gives that one.

    Raises:
        WrongPhase: the round no longer awaits the beacon.
        NotAssigned: the validator is not eligible.
        AlreadyRecorded: it revealed already, for this or a later round.
        FalseReveal: the value does not lie on its chain at this place.
    """
    key = (s.cluster, s.round)
    round = open_round(state, *key)
    if round.digest:
        raise WrongPhase(cluster=s.cluster, round=s.round, phase=phase_of(round, entry.recorded_at_ms))
    if s.validator not in round.eligible:
        raise NotAssigned(validator=s.validator, round=s.round)
    facts = state.validators[s.cluster][s.validator]
    if s.round < facts.next_round:
        raise AlreadyRecorded(what="beacon value for round", key=str(s.round))
    steps = s.round - facts.next_round + 1
    value = chained = bytes.fromhex(s.value)
    for _ in range(min(steps, MAX_BEACON_STEPS)):
        chained = beacon_step(chained)
    if chained != facts.beacon or steps > MAX_BEACON_STEPS:
        raise FalseReveal(what="beacon value")
    members = state.validators[s.cluster].set(s.validator, ValidatorFacts(facts.controller, value, s.round + 1))
    round = round._replace(reveals=round.reveals.set(s.validator, value))
    state = state._replace(validators=state.validators.set(s.cluster, members), rounds=state.rounds.set(key, round))
    return _due_now(state, entry, key) if len(round.reveals) == len(round.eligible) else state


def beacon_step(value: bytes) -> bytes:
    """The chain value before ``value``: values are revealed against the direction in which they were computed."""
    return hashing.digest(hashing.BEACON, value)


def _due_now(state: State, entry: Entry, key: tuple[str, int]) -> State:
    return state._replace(agenda=schedule(state.agenda, Due(entry.recorded_at_ms, "round", *key)))


def derive_round(state: State, due: Due, now_ms: int) -> RoundOpened | RoundTallied:
    """What the ledger must state about a round: its opening, when two thirds of the eligible revealed; else its end."""
    round = state.rounds[due.cluster, due.number]
    parameters = state.eras[due.cluster, round.era].parameters
    enough = len(round.eligible) >= parameters.committee and 3 * len(round.reveals) >= 2 * len(round.eligible)
    if round.digest or not enough:
        return _tally(state, due, round)
    return _opening(state, due, parameters, round, now_ms)


def _opening(state: State, due: Due, parameters: Parameters, round: Round, now_ms: int) -> RoundOpened:
    n = len(round.eligible)
    seed = compute_seed(round.root, round.reveals)
    missing = [key for key in round.eligible if key not in round.reveals]
    return RoundOpened(
        ledger=state.ledger,
        cluster=due.cluster,
        era=round.era,
        batch=round.batch,
        round=due.number,
        seed=hashing.tagged(seed),
        committee=compute_committee(seed, round.eligible, parameters.committee),
        missing=tuple(missing[:MISSING_LISTED]),
        commit_until=from_ms(now_ms + parameters.commit_ms),
        reveal_until=from_ms(now_ms + parameters.commit_ms + parameters.reveal_ms),
        assurance=Assurance(
            eligible=n,
            colluding=n // 3,
            committee=parameters.committee,
            threshold=threshold(parameters.committee),
            missing=len(missing),
            capture=str(capture(n, n // 3, parameters.committee, len(missing))),
        ),
    )


def apply_round_opened(state: State, entry: Entry, s: RoundOpened) -> State:
    """The committee may commit until its deadline, and reveal after. Who withheld its beacon value earns nothing in this era."""
    key, parameters = (s.cluster, s.round), state.eras[s.cluster, s.era].parameters
    commit_until = entry.recorded_at_ms + parameters.commit_ms
    round = state.rounds[key]._replace(
        digest=entry.verified.id,
        committee=s.committee,
        missing=s.assurance.missing,
        commit_until=commit_until,
        reveal_until=commit_until + parameters.reveal_ms,
    )
    era_key = (s.cluster, s.era)
    era = state.eras[era_key]
    forfeited = era.forfeited.update({v: s.round for v in round.eligible if v not in round.reveals})
    return state._replace(
        eras=state.eras.set(era_key, era._replace(forfeited=forfeited)),
        rounds=state.rounds.set(key, round),
        agenda=schedule(state.agenda, Due(round.reveal_until, "round", *key)),
    )


def _seat(state: State, entry: Entry, s: VoteCommitted | VoteRevealed, phase: str) -> Round:
    round = open_round(state, s.cluster, s.round)
    now = phase_of(round, entry.recorded_at_ms)
    if now != phase:
        raise WrongPhase(cluster=s.cluster, round=s.round, phase=now)
    if s.validator not in round.committee:
        raise NotAssigned(validator=s.validator, round=s.round)
    return round


def apply_vote_committed(state: State, entry: Entry, s: VoteCommitted) -> State:
    """One commitment for each committee member.

    Raises:
        WrongPhase, NotAssigned: not now, or not this validator.
        AlreadyRecorded: it committed already.
    """
    if s.validator in open_round(state, s.cluster, s.round).commits:
        raise AlreadyRecorded(what="commitment by", key=s.validator)
    round = _seat(state, entry, s, "commit")
    round = round._replace(commits=round.commits.set(s.validator, hashing.untagged(s.commitment)))
    return state._replace(rounds=state.rounds.set((s.cluster, s.round), round))


def apply_vote_revealed(state: State, entry: Entry, s: VoteRevealed) -> State:
    """A member opens its commitment, once nobody can commit any more. When all have, the tally is due.

    Raises:
        WrongPhase, NotAssigned: not now, or not this validator.
        FalseReveal: it committed to something else, or not at all.
        BadVote: the vote does not judge each record once.
    """
    key = (s.cluster, s.round)
    round = _seat(state, entry, s, "reveal")
    if s.validator in round.votes:
        raise AlreadyRecorded(what="vote by", key=s.validator)
    if commitment(round.digest, s.validator, bytes.fromhex(s.salt), s.vote) != round.commits.get(s.validator):
        raise FalseReveal(what="vote")
    round = round._replace(votes=round.votes.set(s.validator, read_vote(s.vote, len(round.records))))
    state = state._replace(rounds=state.rounds.set(key, round))
    return _due_now(state, entry, key) if len(round.votes) == len(round.commits) else state


def _tally(state: State, due: Due, round: Round) -> RoundTallied:
    count, assigned = len(round.records), len(round.committee)
    agree = count_votes(ballot.agree for ballot in round.votes.values())
    reject = count_votes(ballot.reject for ballot in round.votes.values())
    least = threshold(assigned)
    attested = at_least(agree, least, count) if assigned else 0
    rejected = at_least(reject, least, count) if assigned else 0
    observed = (at_least(agree, 1, count) | at_least(reject, 1, count)).bit_count()
    captured = capture(len(round.eligible), len(round.eligible) // 3, assigned, round.missing)
    fewest = max((n for n in range(least, assigned + 1) if not attested & ~at_least(agree, n, count)), default=0)
    return RoundTallied(
        ledger=state.ledger,
        cluster=due.cluster,
        era=round.era,
        batch=round.batch,
        round=due.number,
        assigned=assigned,
        committed=len(round.commits),
        revealed=len(round.votes),
        agree=fewest if attested else 0,
        attested=write_bitmap(attested, count),
        rejected=write_bitmap(rejected, count),
        records=count,
        records_attested=attested.bit_count(),
        records_rejected=rejected.bit_count(),
        records_observed=observed,
        catch=str(catch(captured, count, observed) if assigned else 0),
    )


def apply_round_tallied(state: State, entry: Entry, s: RoundTallied) -> State:
    """The verdict is final. Attested usage is summed for settlement; the records themselves leave the state."""
    key, era_key = (s.cluster, s.round), (s.cluster, s.era)
    round, era = state.rounds[key], state.eras[era_key]
    attested, rejected = read_bitmap(s.attested, s.records), read_bitmap(s.rejected, s.records)
    era = _count_attested(era, round.records, attested)
    inspected = era.inspected
    for validator, ballot in sorted(round.votes.items()):
        with_outcome = _with_outcome(ballot, attested, rejected)
        if with_outcome:
            inspected = inspected.set(validator, inspected.get(validator, 0) + with_outcome)
    era = era._replace(
        attested=era.attested + s.records_attested,
        rejected=era.rejected + s.records_rejected,
        open_rounds=era.open_rounds - 1,
        inspected=inspected,
    )
    state = state._replace(
        rounds=state.rounds.delete(key),
        eras=state.eras.set(era_key, era),
        agenda=unschedule(state.agenda, Due(0, "round", *key)),
    )
    return eras.settle_if_final(state, s.cluster, s.era)


def _with_outcome(ballot: Ballot, attested: int, rejected: int) -> int:
    """On how many records a ballot judged as the round did."""
    return (ballot.agree & attested | ballot.reject & rejected).bit_count()


def _count_attested(era: Era, records: tuple[Pending, ...], attested: int) -> Era:
    usage, served, tallies = era.usage.mutate(), era.served.mutate(), era.tallies.mutate()
    for position, record in enumerate(records):
        if not attested >> position & 1:
            continue
        share = (record.customer, record.node)
        usage[share] = usage.get(share, UsageSum()).plus(record.usage)
        served[share] = served.get(share, 0) + 1
        for party in (("agent", record.agent), ("customer", record.customer)):
            tally: Tally = tallies[party]
            tallies[party] = tally._replace(attested=tally.attested + 1)
    return era._replace(usage=usage.finish(), served=served.finish(), tallies=tallies.finish())
