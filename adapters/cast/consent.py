"""What wallets, agent services and payers sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proofroom.adapters.cast.parties import Parties
from proofroom.adapters.keys import Key
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.statements.consent import (
    AgentKey,
    Grant,
    Limits,
    Metadata,
    Payer,
    ScopeContext,
    ScopeName,
    VaultOpened,
)

DAY_MS = 86_400_000


class Consenting(Parties):
    """The vault, its grants, and who may work and pay under them."""

    def consent(self) -> list[Envelope]:
        """The vault, the grant and the derived key's certificate: all that the agent needs to begin."""
        return [self.open_vault(), self.grant(), self.certify()]

    def open_vault(self) -> Envelope:
        """The wallet claims its vault."""
        return sign(
            VaultOpened(ledger=self.ledger, user_pub_key=self.user.keyid, vaultId=self.vault, created_at=self.now()),
            self.user,
        )

    def grant(
        self,
        scopes: Sequence[tuple[str, str]] | None = None,
        *,
        created_at: str | None = None,
        expires_at: str | None = None,
        revoked: bool = False,
        limits: Limits | None = None,
        **metadata: bool,
    ) -> Envelope:
        """The wallet grants scopes to the agent service; with ``revoked`` it ends the grant."""
        named = [(self.vault, self.scope)] if scopes is None else scopes
        contexts = [ScopeContext(context=ScopeName(vaultId=v, scopeId=s)) for v, s in named]
        optional: dict[str, Any] = metadata | ({} if limits is None else {"limits": limits})
        return sign(
            Grant(
                ledger=self.ledger,
                agent_service_pub_key=self.agent.keyid,
                user_pub_key=self.user.keyid,
                created_at=created_at or self.now(),
                expires_at=expires_at or self.now(90 * DAY_MS),
                revoked=revoked,
                metadata=Metadata(scopes=tuple(contexts), **optional),
            ),
            self.user,
        )

    def certify(self, *, expires_at: str | None = None) -> Envelope:
        """The agent service certifies its derived key for the vault scope."""
        return sign(
            AgentKey(
                ledger=self.ledger,
                agent=self.agent.keyid,
                vault_scope=self.vault_scope,
                key=self.derived.keyid,
                created_at=self.now(),
                expires_at=expires_at or self.now(30 * DAY_MS),
            ),
            self.agent,
            self.derived,
        )

    def payer(self, customer: Key, cap: int, *, revoked: bool = False, expires_at: str | None = None) -> Envelope:
        """A customer takes on what the agent service burns."""
        return sign(
            Payer(
                ledger=self.ledger,
                customer=customer.keyid,
                agent=self.agent.keyid,
                cluster=self.cluster,
                cap_per_era=str(cap),
                created_at=self.now(),
                expires_at=expires_at,
                revoked=revoked,
            ),
            customer,
        )
