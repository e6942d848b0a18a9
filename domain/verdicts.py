"""How a round ends: the two-thirds tally, and what it means for the era (protocol 5).

The ledger opens and tallies a round by statements of its own. What is neither attested nor rejected is escalated where the parameters
and the number of validators allow it, and ends unattested otherwise.
"""

from __future__ import annotations

from typing import Any

from proofroom.domain import doubt, eras, escalation
from proofroom.domain.assurance import capture, catch, threshold
from proofroom.domain.counting import count_inspected, count_rejected, leave_out
from proofroom.domain.entry import Entry
from proofroom.domain.rounds import await_beacon, compute_opening
from proofroom.domain.state import Due, Judged, Round, State, unschedule
from proofroom.domain.statements.attestation import RoundOpened, RoundTallied
from proofroom.domain.voting import at_least, count_votes, pick, read_bitmap, write_bitmap


def derive_round(state: State, due: Due, now_ms: int) -> RoundOpened | RoundTallied:
    """What the ledger must state about a round: its opening, when two thirds of the eligible revealed; else its end."""
    round = state.rounds[due.cluster, due.number]
    enough = len(round.eligible) >= round.size and 3 * len(round.reveals) >= 2 * len(round.eligible)
    if round.digest or not enough:
        return compute_tally(state, due, round)
    return compute_opening(state, due, state.eras[due.cluster, round.era].parameters, round, now_ms)


def compute_tally(state: State, due: Due, round: Round) -> RoundTallied:
    """The count of the votes, record by record; nothing is attested where nobody was assigned."""
    count, assigned = len(round.records), len(round.committee)
    sound = ~doubt.suspects(state, round.records)
    votes = doubt.trusted_votes(state, round.votes)
    agree = count_votes(ballot.agree for ballot in votes.values())
    reject = count_votes(ballot.reject for ballot in votes.values())
    least = threshold(assigned)
    attested = at_least(agree, least, count) & sound if assigned else 0
    rejected = at_least(reject, least, count) & sound if assigned else 0
    observed = (at_least(agree, 1, count) | at_least(reject, 1, count)).bit_count()
    captured = capture(len(round.eligible), round.colluding, assigned, round.missing)
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
        catch=str(catch(captured, round.judged.bit_count(), observed) if assigned else 0),
        **escalation.fields_of(round),
        **_escalated(state, due.cluster, round, round.judged & sound & ~attested & ~rejected),
    )


def _escalated(state: State, cluster: str, round: Round, disputed: int) -> dict[str, Any]:
    if escalation.next_round(state, cluster, round, disputed) is None:
        return {}
    return {
        "escalated": write_bitmap(disputed, len(round.records)),
        "next_round": state.clusters[cluster].rounds,
    }


def apply_round_tallied(state: State, entry: Entry, s: RoundTallied) -> State:
    """The verdicts are final, but for what is escalated. What is neither is left out of the settlement.

    Whoever judged a record as its verdict does, on this committee or an earlier one, has inspected it.
    """
    key, era_key = (s.cluster, s.round), (s.cluster, s.era)
    round, era = state.rounds[key], state.eras[era_key]
    attested, rejected = read_bitmap(s.attested, s.records), read_bitmap(s.rejected, s.records)
    escalated = 0 if s.escalated is None else read_bitmap(s.escalated, s.records)
    era = leave_out(era, pick(round.records, round.judged & ~attested & ~escalated))
    era = count_rejected(era, pick(round.records, rejected))
    for votes in (round.heard, round.votes):
        era = count_inspected(era, doubt.trusted_votes(state, votes).items(), attested, rejected)
    era = era._replace(
        attested=era.attested + s.records_attested,
        rejected=era.rejected + s.records_rejected,
        open_rounds=era.open_rounds - 1,
    )
    if attested or rejected:
        judged = Judged(round.records, attested, rejected, threshold(s.assigned), round.votes, round.heard)
        era = era._replace(judged=era.judged.set(s.round, judged))
    state = state._replace(
        rounds=state.rounds.delete(key),
        eras=state.eras.set(era_key, era),
        agenda=unschedule(state.agenda, Due(0, "round", *key)),
    )
    if escalated:
        following = escalation.next_round(state, s.cluster, round, escalated)
        assert following is not None
        return await_beacon(state, entry, s.cluster, following)
    return eras.settle_if_final(state, s.cluster, s.era)
