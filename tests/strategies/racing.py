"""A grant and a delegation of it, renewed and revoked again and again, and records under both: for races."""

from __future__ import annotations

from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.stores import now_ms
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope
from proofroom.domain.ids import Digest, from_ms
from proofroom.domain.statements.activity import Activity
from proofroom.testing.keys import deterministic_randomness, key
from strategies.consenting import delegate

SUB = key("sub-agent")


class Family:
    """A wallet, the agent service that it grants, and the sub-agent to which that one passes on.

    Args:
        ledger: with a cluster, an open era, and the cast's consent.
        seed: of record ids; another one for each process and thread of them.
    """

    def __init__(self, ledger: Ledger, seed: str) -> None:
        self.ledger = ledger
        self._last_ms = 0
        self.first = Cast(ledger.id, now_ms, key, randomness=deterministic_randomness(f"first {seed}"))
        self.second = Cast(ledger.id, now_ms, key, randomness=deterministic_randomness(f"second {seed}"))
        self.second.agent, self.second.derived = SUB, key("derived of the sub-agent")

    def begin(self) -> None:
        """The sub-agent certifies its derived key."""
        self.ledger.append(self.second.certify())

    def _moment(self) -> str:
        """Later than the last one: versions must be strictly newer."""
        self._last_ms = max(now_ms(), self._last_ms + 1)
        return from_ms(self._last_ms)

    def grant(self) -> tuple[Digest, Digest]:
        """A new version of the grant, and of the delegation below it."""
        scopes = [(self.first.vault, self.first.scope)]
        moment = self._moment()
        grant = self.ledger.append(self.first.grant(scopes, created_at=moment, delegable=True)).statement
        passed_on = self.ledger.append(self._delegate(grant, revoked=False)).statement
        return grant, passed_on

    def _delegate(self, grant: Digest, *, revoked: bool) -> Envelope:
        return delegate(self.first, self.first.agent, SUB.keyid, grant, created_at=self._moment(), revoked=revoked)

    def revoke(self, *, root: bool) -> Envelope:
        """The wallet ends the grant, or the agent service the delegation."""
        if root:
            return self.first.grant(created_at=self._moment(), revoked=True)
        grant = self.ledger.state.grants[self.first.user.keyid, self.first.agent.keyid].digest
        return self._delegate(grant, revoked=True)

    def records(self, grant: Digest, delegation: Digest, count: int) -> list[Envelope]:
        """Records under the grant and under the delegation, by turns."""
        casts = ((self.first, grant), (self.second, delegation))
        return [casts[i % 2][0].activity(casts[i % 2][1], 0, Work(1)) for i in range(count)]

    def is_root_record(self, entry: Entry, root: bool) -> bool:
        """Whether a record may stand behind a revocation: only one under the grant, where just the delegation ended."""
        assert isinstance(entry.statement, Activity)
        return not root and entry.statement.agent == self.first.agent.keyid
