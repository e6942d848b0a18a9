"""What a compromise does to records that are not paid yet (protocol 2).

A signature is in doubt when a compromise that was declared since reaches back to its index. A record that carries such a signature, or
relies on one, ends unattested; so does one that was attested by votes of which too few remain. All is counted once more when the era is
settled, so that it does not matter when, before that, the theft was noticed. Paid eras stand.
"""

from __future__ import annotations

from collections.abc import Mapping

from proofroom.domain.counting import leave_out
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
    for judged in era.judged.values():
        taken = taken_back(state, judged)
        era = leave_out(era, taken)._replace(attested=era.attested - len(taken))
    return era


def taken_back(state: State, judged: Judged) -> list[Pending]:
    """The records that a round attested and would not have attested, had what is in doubt by now been so then."""
    agree = count_votes(ballot.agree for ballot in trusted_votes(state, judged.votes).values())
    still = at_least(agree, judged.least, len(judged.records)) & ~suspects(state, judged.records)
    return pick(judged.records, judged.attested & ~still)
