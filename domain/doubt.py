"""What a compromise does to records that are not paid yet (protocol 2).

A signature is in doubt when a compromise that was declared since reaches back to its index. A record that carries such a signature, or
relies on one, ends unattested; so does one that was attested, or rejected, by votes of which too few remain; and a vote in doubt earns
nothing. All is counted once more when the era is settled, so that it does not matter when, before that, the theft was noticed. Paid
eras stand.
"""

from __future__ import annotations

from collections.abc import Mapping

from immutables import Map

from proofroom.domain.counting import count_inspected, count_rejected, leave_out
from proofroom.domain.identity import is_trusted
from proofroom.domain.ids import KeyId
from proofroom.domain.state import Ballot, Era, Judged, Pending, State
from proofroom.domain.voting import at_least, count_votes, pick, set_of


def is_suspect(state: State, record: Pending) -> bool:
    """Whether a signature that a record carries or relies on is in doubt."""
    own = ((signer, record.log_index) for signer in record.signers)
    return any(not is_trusted(state, who, index) for who, index in (*own, *record.relied))


def suspects(state: State, records: tuple[Pending, ...]) -> int:
    """The positions of suspect records. Nothing is looked at while nobody ever declared a compromise."""
    if state.last_compromise < 0:
        return 0
    return set_of(position for position, record in enumerate(records) if is_suspect(state, record))


def trusted_votes(state: State, votes: Mapping[KeyId, Ballot]) -> Mapping[KeyId, Ballot]:
    """The votes that are not in doubt; a validator whose vote is counts as absent."""
    if state.last_compromise < 0:
        return votes
    return {v: ballot for v, ballot in votes.items() if is_trusted(state, v, ballot.log_index)}


def take_back(state: State, era: Era) -> Era:
    """The era as its rounds would have left it, had what is in doubt by now been so then."""
    if state.last_compromise < era.first_index:
        return era
    era = era._replace(attested=0, rejected=0, inspected=Map(), misreported=Map())
    for judged in era.judged.values():
        attested, rejected = _upheld(state, judged)
        era = leave_out(era, pick(judged.records, judged.attested & ~attested))
        era = count_rejected(era, pick(judged.records, rejected))
        for votes in (judged.heard, judged.votes):
            era = count_inspected(era, trusted_votes(state, votes).items(), attested, rejected)
        counts = era.attested + attested.bit_count(), era.rejected + rejected.bit_count()
        era = era._replace(attested=counts[0], rejected=counts[1])
    return era


def taken_back(state: State, judged: Judged) -> list[Pending]:
    """The records that a round attested and would not have attested, had what is in doubt by now been so then."""
    attested, _ = _upheld(state, judged)
    return pick(judged.records, judged.attested & ~attested)


def _upheld(state: State, judged: Judged) -> tuple[int, int]:
    """The positions that a round would still have attested and rejected, had what is in doubt by now been so then."""
    votes, sound = trusted_votes(state, judged.votes).values(), ~suspects(state, judged.records)
    agree = at_least(count_votes(b.agree for b in votes), judged.least, len(judged.records))
    reject = at_least(count_votes(b.reject for b in votes), judged.least, len(judged.records))
    return judged.attested & agree & sound, judged.rejected & reject & sound
