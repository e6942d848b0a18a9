"""Evidence against a validator, made from what it signed itself: whoever holds two envelopes of it, or one false value, can accuse it.

The ledger checks everything again (:mod:`proofroom.domain.evidence`); what proves nothing is refused there.
"""

from __future__ import annotations

from proofroom.domain.envelope import Envelope, sign, verify
from proofroom.domain.errors import NoOffence
from proofroom.domain.evidence import signed_of
from proofroom.domain.signing import Signer
from proofroom.domain.statements.attestation import BeaconRevealed, VoteCommitted, VoteRevealed
from proofroom.domain.statements.offences import Equivocation, FalseBeacon


def accuse_of_equivocation(first: Envelope, second: Envelope, reporter: Signer) -> Envelope:
    """The accusation that a validator signed two things for one round.

    Raises:
        Malformed: one of them does not verify.
        NoOffence: they are of two kinds, or of a kind that nobody is accused of.
    """
    accused = verify(first).statement
    if not isinstance(accused, VoteCommitted | VoteRevealed):
        raise NoOffence(why=f"a {accused.kind} is neither a commitment nor a vote")
    if verify(second).kind != accused.kind:
        raise NoOffence(why="the two are not of one kind")
    fields = {
        "ledger": accused.ledger,
        "cluster": accused.cluster,
        "validator": accused.validator,
        "reporter": reporter.keyid,
        "of": accused.kind,
        "first": signed_of(first).to_json(),
        "second": signed_of(second).to_json(),
    }
    return sign(Equivocation.model_validate(fields), reporter)


def accuse_of_false_beacon(revealed: Envelope, reporter: Signer) -> Envelope:
    """The accusation that a beacon value does not lie on its validator's chain.

    Raises:
        Malformed: it does not verify.
        NoOffence: it is no beacon value.
    """
    accused = verify(revealed).statement
    if not isinstance(accused, BeaconRevealed):
        raise NoOffence(why=f"a {accused.kind} is no beacon value")
    statement = FalseBeacon(
        ledger=accused.ledger,
        cluster=accused.cluster,
        validator=accused.validator,
        reporter=reporter.keyid,
        revealed=signed_of(revealed),
    )
    return sign(statement, reporter)
