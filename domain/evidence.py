"""Evidence: a validator is convicted by its own signatures, whoever brings them (protocol 5).

What is inside verifies without the ledger. An honest validator cannot be convicted: it signs one vote and one beacon value for a round,
whatever host asks it to, and however often.
"""

from __future__ import annotations

from proofroom.domain.beacon import beacon_step
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, Verified, verify
from proofroom.domain.errors import KeyNotInForce, NoOffence, OtherLedger, Unregistered
from proofroom.domain.identity import keyring
from proofroom.domain.ids import KeyId
from proofroom.domain.keyring import Keyring
from proofroom.domain.penalties import enqueue
from proofroom.domain.rooted import RootedPath
from proofroom.domain.rounds import MAX_BEACON_STEPS
from proofroom.domain.signatures import Signature
from proofroom.domain.standing import Penalty, ValidatorFacts
from proofroom.domain.state import State
from proofroom.domain.statements import payload_type_of
from proofroom.domain.statements.attestation import BeaconRevealed, VoteCommitted, VoteRevealed
from proofroom.domain.statements.offences import Equivocation, FalseBeacon, Place, Signed


def signed_of(envelope: Envelope) -> Signed:
    """What a validator signed, as evidence carries it.

    Raises:
        NoOffence: it has another number of signatures than one.
    """
    if len(envelope.signatures) != 1:
        raise NoOffence(why="what the accused signs has one signature")
    (signature,) = envelope.signatures
    keyid, payload, value = signature.keyid, envelope.payload.decode(), signature.value.hex()
    if signature.rooted is None:
        return Signed(payload=payload, keyid=keyid, signature=value)
    size, position, path = signature.rooted
    place = Place(size=size, position=position, path=path.hex())
    return Signed(payload=payload, keyid=keyid, signature=value, rooted=place)


def verify_signed(state: State, signed: Signed, kind: str, s: Equivocation | FalseBeacon) -> Verified:
    """The accused's statement of this kind, its signature checked.

    Raises:
        Malformed: it is not one, or the signature does not verify.
        KeyNotInForce: the key is none of the accused, or in doubt.
        OtherLedger, NoOffence: it was made for another ledger, cluster or validator.
    """
    if not is_own_key(keyring(state, s.validator), signed.keyid):
        raise KeyNotInForce(keyid=signed.keyid, role="validator")
    place = signed.rooted
    rooted = None if place is None else RootedPath(place.size, place.position, bytes.fromhex(place.path))
    signature = Signature(signed.keyid, bytes.fromhex(signed.signature), rooted)
    verified = verify(Envelope(payload_type_of(kind), signed.payload.encode(), (signature,)))
    statement = verified.statement
    assert isinstance(statement, VoteCommitted | VoteRevealed | BeaconRevealed)
    if statement.ledger != s.ledger:
        raise OtherLedger(ledger=statement.ledger, expected=s.ledger)
    if (statement.cluster, statement.validator) != (s.cluster, s.validator):
        raise NoOffence(why="it is about another cluster or validator")
    return verified


def is_own_key(ring: Keyring, key: KeyId) -> bool:
    """Whether a party has had this key, and no compromise was declared of any time at which the key was in force."""
    ends = (*(index for index, _ in ring.keys[1:]), None)
    for (start, own), end in zip(ring.keys, ends, strict=True):
        doubted = any(to > start and (end is None or since < end) for since, to in ring.compromised)
        if own == key and not doubted:
            return True
    return False


def accused(state: State, s: Equivocation | FalseBeacon) -> ValidatorFacts:
    """The validator that evidence is about.

    Raises:
        Unregistered: it is none of the cluster.
        NoOffence: it was removed already.
    """
    facts = state.validators[s.cluster].get(s.validator) if s.cluster in state.validators else None
    if facts is None:
        raise Unregistered(what="validator", key=s.validator)
    if facts.status == "removed":
        raise NoOffence(why="the validator was removed already")
    return facts


def apply_equivocation(state: State, entry: Entry, s: Equivocation) -> State:
    """Two statements of one kind for one round, by one validator, that are not the same.

    Raises:
        Unregistered, NoOffence, OtherLedger, KeyNotInForce, Malformed: it does not prove that.
    """
    accused(state, s)
    first, second = (verify_signed(state, signed, s.of, s) for signed in (s.first, s.second))
    if first.id == second.id:
        raise NoOffence(why="both are the same statement")
    if round_of(first) != round_of(second):
        raise NoOffence(why="they are for two rounds")
    return enqueue(state, Penalty("equivocation", s.cluster, s.validator, evidence=entry.verified.id))


def round_of(verified: Verified) -> int:
    """The round that a validator's statement is for."""
    assert isinstance(verified.statement, VoteCommitted | VoteRevealed | BeaconRevealed)
    return verified.statement.round


def apply_false_beacon(state: State, entry: Entry, s: FalseBeacon) -> State:
    """A signed beacon value that does not lie on the validator's chain at the place of its round.

    Raises:
        Unregistered, NoOffence, OtherLedger, KeyNotInForce, Malformed: it does not prove that.
    """
    facts = accused(state, s)
    revealed = verify_signed(state, s.revealed, BeaconRevealed.kind, s).statement
    assert isinstance(revealed, BeaconRevealed)
    if lies_on_chain(facts, revealed.round, bytes.fromhex(revealed.value)):
        raise NoOffence(why="the value is the true one")
    return enqueue(state, Penalty("false-beacon", s.cluster, s.validator, evidence=entry.verified.id))


def lies_on_chain(facts: ValidatorFacts, round: int, value: bytes) -> bool:
    """Whether a value is the one of this round: it leads to the last known value, or that one leads to it.

    Raises:
        NoOffence: the round is so far away that no reveal would be accepted for it.
    """
    steps = round - facts.next_round + 1
    if abs(steps) > MAX_BEACON_STEPS:
        raise NoOffence(why="the round is too far away to tell")
    from_, to = (value, facts.beacon) if steps > 0 else (facts.beacon, value)
    for _ in range(abs(steps)):
        from_ = beacon_step(from_)
    return from_ == to
