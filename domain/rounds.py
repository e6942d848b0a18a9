"""The round of a batch: an unpredictable committee, votes that are committed before they are shown (protocol 5).

A round lives through three phases. *Beacon*: each eligible validator reveals the chain value that belongs to this round.
*Commit*: the drawn committee commits to votes. *Reveal*: it opens them. Each phase ends when all are in or its deadline, in ledger
time, has passed, so a round ends with nobody's help; :mod:`proofroom.domain.verdicts` says how.
"""

from __future__ import annotations

from proofroom.domain import escalation, hashing, penalties
from proofroom.domain.assurance import capture, threshold
from proofroom.domain.beacon import beacon_step
from proofroom.domain.committee import compute_committee, compute_seed
from proofroom.domain.entry import Entry
from proofroom.domain.errors import AlreadyRecorded, FalseReveal, NotAssigned, WrongPhase
from proofroom.domain.ids import from_ms
from proofroom.domain.state import Due, Parameters, Pending, Round, State, schedule
from proofroom.domain.statements.activity import BatchSealed
from proofroom.domain.statements.attestation import (
    Assurance,
    BeaconRevealed,
    RoundOpened,
    VoteCommitted,
    VoteRevealed,
)
from proofroom.domain.validators import check_not_removed, eligible_validators
from proofroom.domain.voting import all_positions, commitment, read_vote

MAX_BEACON_STEPS = 65_536
"""Rounds that a validator may have sat out before it must register a new key."""

MISSING_LISTED = 128


def start_round(state: State, entry: Entry, s: BatchSealed, records: tuple[Pending, ...]) -> State:
    """The batch awaits the beacon; the eligible set is fixed now."""
    parameters = state.eras[s.cluster, s.era].parameters
    eligible = eligible_validators(state, s.cluster, s.era, records, parameters.validator_bond)
    round = Round(
        s.era,
        s.batch,
        hashing.untagged(s.root),
        records,
        judged=all_positions(len(records)),
        eligible=eligible,
        size=parameters.committee,
        colluding=len(eligible) // 3,
    )
    return await_beacon(state, entry, s.cluster, round)


def await_beacon(state: State, entry: Entry, name: str, round: Round) -> State:
    """A round begins, under the cluster's next number. With too few eligible, it ends at once."""
    cluster, era = state.clusters[name], state.eras[name, round.era]
    wait = era.parameters.beacon_ms if len(round.eligible) >= round.size else 0
    return state._replace(
        clusters=state.clusters.set(name, cluster._replace(rounds=cluster.rounds + 1)),
        eras=state.eras.set((name, round.era), era._replace(open_rounds=era.open_rounds + 1)),
        rounds=state.rounds.set((name, cluster.rounds), round),
        agenda=schedule(state.agenda, Due(entry.recorded_at_ms + wait, "round", name, cluster.rounds)),
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
        KeyNotInForce: the validator was removed.
    """
    key = (s.cluster, s.round)
    round = open_round(state, *key)
    if round.digest:
        raise WrongPhase(cluster=s.cluster, round=s.round, phase=phase_of(round, entry.recorded_at_ms))
    if s.validator not in round.eligible:
        raise NotAssigned(validator=s.validator, round=s.round)
    facts = state.validators[s.cluster][s.validator]
    check_not_removed(facts, s.validator)
    if s.round < facts.next_round:
        raise AlreadyRecorded(what="beacon value for round", key=str(s.round))
    steps = s.round - facts.next_round + 1
    value = chained = bytes.fromhex(s.value)
    for _ in range(min(steps, MAX_BEACON_STEPS)):
        chained = beacon_step(chained)
    if chained != facts.beacon or steps > MAX_BEACON_STEPS:
        raise FalseReveal(what="beacon value")
    facts = facts._replace(beacon=value, next_round=s.round + 1)
    members = state.validators[s.cluster].set(s.validator, facts)
    round = round._replace(reveals=round.reveals.set(s.validator, value))
    state = state._replace(validators=state.validators.set(s.cluster, members), rounds=state.rounds.set(key, round))
    return _due_now(state, entry, key) if len(round.reveals) == len(round.eligible) else state


def _due_now(state: State, entry: Entry, key: tuple[str, int]) -> State:
    return state._replace(agenda=schedule(state.agenda, Due(entry.recorded_at_ms, "round", *key)))


def compute_opening(state: State, due: Due, parameters: Parameters, round: Round, now_ms: int) -> RoundOpened:
    """The draw, from all that was revealed, with what it proves."""
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
        committee=compute_committee(seed, round.eligible, round.size),
        missing=tuple(missing[:MISSING_LISTED]),
        commit_until=from_ms(now_ms + parameters.commit_ms),
        reveal_until=from_ms(now_ms + parameters.commit_ms + parameters.reveal_ms),
        assurance=Assurance(
            eligible=n,
            colluding=round.colluding,
            committee=round.size,
            threshold=threshold(round.size),
            missing=len(missing),
            capture=str(capture(n, round.colluding, round.size, len(missing))),
        ),
        **escalation.fields_of(round),
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
    missing = [v for v in round.eligible if v not in round.reveals]
    forfeited = era.forfeited.update(dict.fromkeys(missing, s.round))
    state = state._replace(
        eras=state.eras.set(era_key, era._replace(forfeited=forfeited)),
        rounds=state.rounds.set(key, round),
        agenda=schedule(state.agenda, Due(round.reveal_until, "round", *key)),
    )
    return penalties.count_withheld(state, s.cluster, s.era, missing)


def _seat(state: State, entry: Entry, s: VoteCommitted | VoteRevealed, phase: str) -> Round:
    round = open_round(state, s.cluster, s.round)
    now = phase_of(round, entry.recorded_at_ms)
    if now != phase:
        raise WrongPhase(cluster=s.cluster, round=s.round, phase=now)
    if s.validator not in round.committee:
        raise NotAssigned(validator=s.validator, round=s.round)
    check_not_removed(state.validators[s.cluster][s.validator], s.validator)
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
        BadVote: the vote does not judge each record of the round once.
    """
    key = (s.cluster, s.round)
    round = _seat(state, entry, s, "reveal")
    if s.validator in round.votes:
        raise AlreadyRecorded(what="vote by", key=s.validator)
    if commitment(round.digest, s.validator, bytes.fromhex(s.salt), s.vote) != round.commits.get(s.validator):
        raise FalseReveal(what="vote")
    ballot = read_vote(s.vote, len(round.records), round.judged)._replace(log_index=entry.index)
    round = round._replace(votes=round.votes.set(s.validator, ballot))
    state = state._replace(rounds=state.rounds.set(key, round))
    return _due_now(state, entry, key) if len(round.votes) == len(round.commits) else state
