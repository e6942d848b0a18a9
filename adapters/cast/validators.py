"""What validators sign: beacon values, commitments and votes."""

from __future__ import annotations

from proofroom.adapters.cast.parties import Parties
from proofroom.domain import hashing
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.state import State
from proofroom.domain.statements.attestation import BeaconRevealed, Vote, VoteCommitted, VoteRevealed
from proofroom.domain.statements.offences import ValidatorLeft
from proofroom.domain.voting import commitment


class Judging(Parties):
    """The validators of the cluster, by number."""

    def reveal_beacon(self, round: int, i: int, *, value: bytes | None = None) -> Envelope:
        """Validator ``i`` reveals its chain value of a round, or passes off another value as that."""
        return sign(
            BeaconRevealed(
                ledger=self.ledger,
                cluster=self.cluster,
                round=round,
                validator=self.validators[i].keyid,
                value=(self.beacon(i, round) if value is None else value).hex(),
            ),
            self.validators[i],
        )

    def leave(self, i: int) -> Envelope:
        """Validator ``i`` leaves the cluster."""
        return sign(
            ValidatorLeft(
                ledger=self.ledger,
                cluster=self.cluster,
                validator=self.validators[i].keyid,
                created_at=self.now(),
            ),
            self.validators[i],
        )

    def members(self, state: State, round: int) -> list[int]:
        """The committee of a round, as numbers of validators."""
        committee = state.rounds[self.cluster, round].committee
        return [i for i, v in enumerate(self.validators) if v.keyid in committee]

    def commit(self, state: State, round: int, i: int, vote: Vote, *, bound_to: int | None = None) -> Envelope:
        """Validator ``i`` commits to a vote; with ``bound_to`` it copies the commitment of another."""
        author = i if bound_to is None else bound_to
        digest = state.rounds[self.cluster, round].digest
        value = commitment(digest, self.validators[author].keyid, self.salt(round, author), vote)
        return sign(
            VoteCommitted(
                ledger=self.ledger,
                cluster=self.cluster,
                round=round,
                validator=self.validators[i].keyid,
                commitment=hashing.tagged(value),
            ),
            self.validators[i],
        )

    def reveal(self, round: int, i: int, vote: Vote, *, salt_of: int | None = None) -> Envelope:
        """Validator ``i`` opens its vote; with ``salt_of`` it shows that of another."""
        return sign(
            VoteRevealed(
                ledger=self.ledger,
                cluster=self.cluster,
                round=round,
                validator=self.validators[i].keyid,
                salt=self.salt(round, i if salt_of is None else salt_of).hex(),
                vote=vote,
            ),
            self.validators[i],
        )

    def salt(self, round: int, i: int) -> bytes:
        """The salt of a commitment: secret until revealed, and the same again after a restart."""
        return hashing.digest(hashing.VOTE, b"salt of", self.validators[i].sign(b"salt %d" % round))
