"""What the rules refuse: records, batches, rounds, eras and money."""

from __future__ import annotations

from proofroom.domain.errors.base import Conflict, Refused


class TimesOutOfOrder(
    Refused,
    code="times-out-of-order",
    message="times do not fit: {what}",
    advice="check the clocks of the node and of the host",
):
    """Times of a statement contradict each other or lie outside their window."""

    what: str


class EraNotOpen(
    Refused,
    code="era-not-open",
    message="era {era} of {cluster} is {status}",
    advice="use the cluster's open era",
):
    """The era is not open for this statement."""

    cluster: str
    era: int
    status: str


class EraFull(
    Refused,
    code="era-full",
    message="era {era} of {cluster} holds {limit} records, the most an era may",
    advice="close the era and open the next",
):
    """The era holds as many records as an era may."""

    cluster: str
    era: int
    limit: int


class WrongNumber(
    Conflict,
    code="wrong-number",
    message="{what} has number {number}, the next is {expected}",
    advice="sign again with the next number",
):
    """A gapless number is not the next one."""

    what: str
    number: int
    expected: int


class BatchMismatch(
    Refused,
    code="batch-mismatch",
    message="the batch does not match the log: {what}",
    advice="seal the oldest records that are not in a batch, in log order",
):
    """A batch does not seal the oldest unsealed records of its orchestrator."""

    what: str


class UnsealedRecords(
    Refused,
    code="unsealed-records",
    message="era {era} of {cluster} has {records} records in no batch",
    advice="have the orchestrator seal them first, or let the era end by time",
):
    """The era still has records outside any batch, which closing now would leave unpaid."""

    cluster: str
    era: int
    records: int


class WrongPhase(
    Refused,
    code="wrong-phase",
    message="round {round} of {cluster} is in phase {phase}",
    advice="reveal the beacon, then commit, then reveal the vote, each in its phase",
):
    """The attestation round does not accept this now."""

    cluster: str
    round: int
    phase: str


class NotAssigned(
    Refused,
    code="not-assigned",
    message="{validator} has no part in round {round}",
    advice="only eligible validators reveal, and only the drawn committee votes",
):
    """The validator has no part in this round."""

    validator: str
    round: int


class FalseReveal(
    Refused,
    code="false-reveal",
    message="the revealed {what} does not match its commitment",
    advice="reveal exactly what was committed",
):
    """A revealed value does not open what was committed before."""

    what: str


class NoOffence(
    Refused,
    code="no-offence",
    message="this proves no offence: {why}",
    advice="bring two different statements of one kind, by one validator for one round, or a beacon value that is not on its chain",
):
    """Evidence does not prove what it claims."""

    why: str


class BadVote(
    Refused,
    code="bad-vote",
    message="not a vote on this batch: {why}",
    advice="cover each position by agree or by at least one reason, not both",
):
    """A vote does not judge each position of its batch exactly once."""

    why: str


class BadParameters(
    Refused,
    code="bad-parameters",
    message="parameters do not fit: {why}",
    advice="see the ranges in domain/statements/governance.py",
):
    """Cluster parameters contradict each other or are out of range."""

    why: str


class UnderBonded(
    Refused,
    code="under-bonded",
    message="{cluster} has a bond of {bond}, its minimum is {minimum}",
    advice="record a deposit to the cluster's bond",
):
    """The cluster's bond is below its minimum."""

    cluster: str
    bond: str
    minimum: str


class Overflow(
    Refused,
    code="overflow",
    message="{account} would reach 10^36 base units",
    advice="no honest currency holds this much; check the deposit",
):
    """Money would exceed the range of amounts."""

    account: str


class ChainSpent(
    Refused,
    code="chain-spent",
    message="the beacon chain of {length} values has none for this round",
    advice="register a new validator key with a new chain",
):
    """The validator's beacon chain does not reach to the round, or is not the one it registered."""

    length: int


class NotIndependent(
    Refused,
    code="not-independent",
    message="{keyid} observed what it signed itself",
    advice="take observations from a gateway, telemetry or storage with a key of its own",
):
    """An observation comes from a signer of the record that it is about."""

    keyid: str
