"""Offences, for tests: who reports them, and a course in which all penalties fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proofroom.adapters.cast import Work
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.evidence import signed_of
from proofroom.domain.ids import KeyId
from proofroom.domain.statements.attestation import VoteCommitted
from proofroom.domain.statements.offences import Equivocation, FalseBeacon
from proofroom.domain.voting import make_vote

if TYPE_CHECKING:
    from proofroom.testing.histories import History


def accuse(history: History, first: Envelope, second: Envelope, i: int, *, of: str = "vote-committed") -> Envelope:
    """Anybody reports that validator ``i`` of the cast signed both."""
    anybody = history.cast.key("anybody")
    fields = {
        "ledger": history.state.ledger,
        "cluster": history.cast.cluster,
        "validator": history.cast.validators[i].keyid,
        "reporter": anybody.keyid,
        "of": of,
        "first": signed_of(first).to_json(),
        "second": signed_of(second).to_json(),
    }
    return sign(Equivocation.model_validate(fields), anybody)


def accuse_beacon(history: History, revealed: Envelope, i: int) -> Envelope:
    """Anybody reports that validator ``i`` of the cast signed a false value."""
    anybody = history.cast.key("anybody")
    statement = FalseBeacon(
        ledger=history.state.ledger,
        cluster=history.cast.cluster,
        validator=history.cast.validators[i].keyid,
        reporter=anybody.keyid,
        revealed=signed_of(revealed),
    )
    return sign(statement, anybody)


def _is_commit(entry: Entry, validator: KeyId) -> bool:
    return isinstance(entry.statement, VoteCommitted) and entry.statement.validator == validator


def punish(history: History, node: int, absent: int) -> None:
    """A last era in which a node misreports once more, a validator withholds once more, others equivocate, lie and leave.

    The node's two offences and the validator's absence before are the caller's.
    """
    from proofroom.testing.histories import resign

    cast, era = history.cast, history.state.clusters[history.cast.cluster].opened
    history.write(cast.grant())
    history.write(cast.activity(history.grant, era, Work(9), node=node))
    round = history.seal(era)
    numbers = range(len(cast.validators))
    eligible = [i for i in numbers if cast.validators[i].keyid in history.state.rounds[cast.cluster, round].eligible]
    history.reveal_beacons(round, [i for i in eligible if i != absent])
    history.tick(60_000)
    first, second, third, *_ = members = cast.members(history.state, round)
    other = cast.commit(history.state, round, first, make_vote(1))
    history.vote(round, dict.fromkeys(members, make_vote(1, {0: "result-mismatch"})))
    committed = next(e for e in reversed(history.entries) if _is_commit(e, cast.validators[first].keyid))
    false = resign(cast.reveal_beacon(round + 1, second), value="00" * 32)
    history.write(accuse(history, committed.verified.envelope, other, first), accuse_beacon(history, false, second))
    history.write(cast.leave(third), cast.close_era(era))
