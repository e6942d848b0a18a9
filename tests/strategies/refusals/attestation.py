"""What is refused of rounds and votes."""

from __future__ import annotations

from proofroom.adapters.cast import Work
from proofroom.domain import errors
from proofroom.domain.envelope import Envelope
from proofroom.domain.ids import KeyId
from proofroom.domain.statements.attestation import Vote, VoteCommitted, VoteRevealed
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import History, resign
from proofroom.testing.keys import key
from strategies.accusing import accuse_beacon
from strategies.refusals.cases import refused


@refused(errors.Unregistered, what="cluster", key="nowhere")
def _validator_of_no_cluster(h: History) -> Envelope:
    return resign(h.cast.register_validator(0), cluster="nowhere")


@refused(errors.AlreadyRecorded, lambda h: {"what": "validator", "key": h.cast.validators[0].keyid})
def _validator_twice(h: History) -> Envelope:
    return h.cast.register_validator(0)


@refused(errors.WrongPhase, cluster="dragon-1", round=0, phase="final or not begun")
def _beacon_before_its_round(h: History) -> Envelope:
    return h.cast.reveal_beacon(0, 0)


def sealed(h: History, *works: Work) -> int:
    """Records of one batch, sealed; its round."""
    h.work(0, *works or (Work(),))
    return h.seal(0)


@refused(errors.WrongPhase, cluster="dragon-1", round=0, phase="commit")
def _beacon_after_the_draw(h: History) -> Envelope:
    h.reveal_beacons(sealed(h), range(6))
    h.tick(60_000)
    return h.cast.reveal_beacon(0, 6)


@refused(errors.NotAssigned, validator=key("validator-7").keyid, round=0)
def _beacon_of_who_came_after_the_seal(h: History) -> Envelope:
    sealed(h)
    h.cast.validators.append(key("validator-7"))
    h.cast.controllers.append(key("controller-7"))
    h.write(h.cast.register_validator(7))
    return h.cast.reveal_beacon(0, 7)


@refused(errors.AlreadyRecorded, what="beacon value for round", key="0")
def _beacon_twice(h: History) -> Envelope:
    h.reveal_beacons(sealed(h), [0])
    return h.cast.reveal_beacon(0, 0)


@refused(errors.FalseReveal, what="beacon value")
def _beacon_of_another_round(h: History) -> Envelope:
    sealed(h)
    return resign(h.cast.reveal_beacon(0, 0), value=h.cast.beacon(0, 1).hex())


@refused(errors.WrongPhase, cluster="dragon-1", round=0, phase="commit")
def _vote_while_others_may_commit(h: History) -> Envelope:
    first, *_ = h.reveal_beacons(sealed(h))
    h.write(h.cast.commit(h.state, 0, first, make_vote(1)))
    return h.cast.reveal(0, first, make_vote(1))


@refused(errors.WrongPhase, cluster="dragon-1", round=0, phase="reveal")
def _commitment_after_the_deadline(h: History) -> Envelope:
    first, *_ = h.reveal_beacons(sealed(h))
    h.sleep(60_000)
    return h.cast.commit(h.state, 0, first, make_vote(1))


@refused(errors.NotAssigned, lambda h: {"validator": h.cast.validators[outsider(h)].keyid, "round": 0})
def _commitment_of_who_was_not_drawn(h: History) -> Envelope:
    h.reveal_beacons(sealed(h))
    return h.cast.commit(h.state, 0, outsider(h), make_vote(1))


def last_voter(h: History) -> KeyId:
    """Who committed or voted last."""
    statement = h.entries[-1].statement
    assert isinstance(statement, VoteCommitted | VoteRevealed)
    return statement.validator


def outsider(h: History) -> int:
    """A validator who was not drawn for round 0."""
    return next(i for i in range(7) if i not in h.cast.members(h.state, 0))


@refused(errors.AlreadyRecorded, lambda h: {"what": "commitment by", "key": last_voter(h)})
def _commitment_twice(h: History) -> Envelope:
    first, *_ = h.reveal_beacons(sealed(h))
    h.write(h.cast.commit(h.state, 0, first, make_vote(1)))
    return h.cast.commit(h.state, 0, first, make_vote(1, {0: "unobserved"}))


def committed(h: History, vote: Vote) -> int:
    """All drawn commit to this vote; one of them."""
    members = h.reveal_beacons(sealed(h))
    for i in members:
        h.write(h.cast.commit(h.state, 0, i, vote))
    return members[0]


@refused(errors.AlreadyRecorded, lambda h: {"what": "vote by", "key": last_voter(h)})
def _vote_twice(h: History) -> Envelope:
    voter = committed(h, make_vote(1))
    h.write(h.cast.reveal(0, voter, make_vote(1)))
    return h.cast.reveal(0, voter, make_vote(1))


@refused(errors.FalseReveal, what="vote")
def _vote_that_was_not_committed(h: History) -> Envelope:
    return h.cast.reveal(0, committed(h, make_vote(1)), make_vote(1, {0: "unobserved"}))


@refused(errors.BadVote, why="a bitmap does not fit 1 records")
def _vote_on_a_record_that_is_not_there(h: History) -> Envelope:
    vote = Vote(agree="Aw==", reasons={})
    return h.cast.reveal(0, committed(h, vote), vote)


@refused(errors.BadVote, why="a record is both agreed and doubted")
def _vote_both_ways(h: History) -> Envelope:
    vote = Vote(agree="AQ==", reasons={"unobserved": "AQ=="})
    return h.cast.reveal(0, committed(h, vote), vote)


@refused(errors.BadVote, why="a record is neither agreed nor doubted")
def _vote_neither_way(h: History) -> Envelope:
    vote = Vote(agree="AA==", reasons={})
    return h.cast.reveal(0, committed(h, vote), vote)


@refused(errors.Unregistered, lambda h: {"what": "validator", "key": key("validator-7").keyid})
def _departure_of_a_stranger(h: History) -> Envelope:
    h.cast.validators.append(key("validator-7"))
    return h.cast.leave(7)


@refused(errors.AlreadyRecorded, lambda h: {"what": "departure of", "key": h.cast.validators[0].keyid})
def _departure_twice(h: History) -> Envelope:
    h.write(h.cast.leave(0))
    return h.cast.leave(0)


@refused(errors.KeyNotInForce, lambda h: {"keyid": h.cast.validators[0].keyid, "role": "validator"})
def _beacon_of_the_removed(h: History) -> Envelope:
    round = sealed(h)
    first = resign(h.cast.reveal_beacon(round, 0), value="00" * 32)
    h.write(accuse_beacon(h, first, 0))
    return h.cast.reveal_beacon(round, 0)
