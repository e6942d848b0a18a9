"""The parties of one cluster: their keys, and what happens to the cluster itself: founding, money, eras."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from proofroom.adapters.keys import Key
from proofroom.domain import hashing
from proofroom.domain.beacon import compute_chain
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import Digest, KeyId, from_ms
from proofroom.domain.statements.attestation import ValidatorRegistered
from proofroom.domain.statements.governance import (
    Attestation,
    Bonds,
    ClusterFounded,
    EraClose,
    EraOpened,
    Node,
    Parameters,
    Prices,
    Shares,
)
from proofroom.domain.statements.settlement import Deposit

CHAIN = 10_000
"""Rounds that a beacon chain of the cast lasts for."""

_chain = lru_cache(maxsize=64)(compute_chain)
"""A chain is ten thousand hashes, and the same for each cast whose parties have the same keys: there may be thousands of those."""

PARAMETERS = Parameters(
    prices=Prices(
        cpu_second="2000000",
        gpu_unit="50000000",
        mib_streamed="1000000",
        mib_stored_month="4000000",
        put="1000",
        get="500",
    ),
    shares=Shares(treasury="50000000000000000", reserve="10000000000000000", validators="40000000000000000"),
    attestation=Attestation(
        committee=5,
        beacon_ms=60_000,
        commit_ms=60_000,
        reveal_ms=60_000,
        escalations=0,
        cpu_tolerance="100000000000000000",
        gpu_tolerance="100000000000000000",
        bytes_tolerance="0",
    ),
    bonds=Bonds(cluster_minimum="1000000000000", validator_minimum="100000000000", slash_floor="0", slash_multiple=0),
    era_seconds=86_400,
    late_records="refused",
)
"""The parameters of cluster dragon-1: 5 % treasury, 1 % reserve, 4 % validators, a committee of 5 as on the page."""


class Parties:
    """All parties of one cluster.

    Args:
        ledger: digest of the ledger that they sign for.
        clock: time in ms.
        key: the key of a party, by name; always the same for the same name.
        randomness: as many random bytes as asked for.
        cluster, vault, scope: names.
        validators: how many validators there are.
        chain: rounds that their beacon chains last for.
    """

    def __init__(
        self,
        ledger: Digest,
        clock: Callable[[], int],
        key: Callable[[str], Key],
        *,
        randomness: Callable[[int], bytes] = os.urandom,
        cluster: str = "dragon-1",
        vault: str = "v-7c21",
        scope: str = "calendar",
        validators: int = 7,
        parameters: Parameters = PARAMETERS,
        chain: int = CHAIN,
    ) -> None:
        self.ledger, self.clock, self.key, self.randomness = ledger, clock, key, randomness
        self.cluster, self.vault, self.scope, self.parameters = cluster, vault, scope, parameters
        self.user, self.agent, self.derived = key("wallet"), key("agent-service"), key(f"derived {vault} / {scope}")
        self.bank, self.manager, self.orchestrator = key("bank"), key("manager"), key("orchestrator")
        self.providers = [key(f"provider-{i}") for i in range(3)]
        self.runtimes = [key(f"runtime-{i}") for i in range(3)]
        self.validators = [key(f"validator-{i}") for i in range(validators)]
        self._chains: dict[int, tuple[bytes, ...]] = {}
        self._chain = chain
        self.controllers = [key(f"controller-{i}") for i in range(validators)]

    @property
    def vault_scope(self) -> str:
        """The scope that the agent works on, as records write it."""
        return f"{self.vault} / {self.scope}"

    def now(self, ahead_ms: int = 0) -> str:
        """The cast's time."""
        return from_ms(self.clock() + ahead_ms)

    def founding(self) -> list[Envelope]:
        """The cluster, its bond, its validators and their bonds: what happens once."""
        bonds = self.parameters.bonds
        paid = [(self.manager.keyid, "cluster-bond", bonds.cluster_minimum)]
        paid += [(v.keyid, "validator-bond", bonds.validator_minimum) for v in self.validators]
        return [
            self.found_cluster(),
            *(self.register_validator(i) for i in range(len(self.validators))),
            *(self.deposit(owner, int(amount), account=account) for owner, account, amount in paid),
        ]

    def found_cluster(self, **changes: Any) -> Envelope:
        """The cluster's founding statement."""
        nodes = [
            Node(node=f"node-{i}", provider=p.keyid, runtime_key=r.keyid)
            for i, (p, r) in enumerate(zip(self.providers, self.runtimes, strict=True))
        ]
        fields: dict[str, Any] = {
            "ledger": self.ledger,
            "cluster": self.cluster,
            "manager": self.manager.keyid,
            "providers": tuple(p.keyid for p in self.providers),
            "nodes": tuple(nodes),
            "orchestrators": (self.orchestrator.keyid,),
            "parameters": self.parameters,
            "created_at": self.now(),
        }
        return sign(ClusterFounded(**fields | changes), self.manager, *self.providers)

    def register_validator(self, i: int) -> Envelope:
        """Validator ``i`` joins with the end of its beacon chain."""
        return sign(
            ValidatorRegistered(
                ledger=self.ledger,
                cluster=self.cluster,
                validator=self.validators[i].keyid,
                controller=self.controllers[i].keyid,
                beacon=hashing.tagged(self.beacon(i, -1)),
                created_at=self.now(),
            ),
            self.validators[i],
            self.controllers[i],
        )

    def deposit(
        self, owner: KeyId, amount: int, *, account: str = "customer", reference: str | None = None
    ) -> Envelope:
        """The bank states that money came in."""
        fields: dict[str, Any] = {"account": account}
        return sign(
            Deposit(
                ledger=self.ledger,
                bank=self.bank.keyid,
                reference=reference or f"wire-{self.randomness(8).hex()}",
                cluster=self.cluster,
                owner=owner,
                amount=str(amount),
                created_at=self.now(),
                **fields,
            ),
            self.bank,
        )

    def open_era(self, era: int, *, start: str | None = None) -> Envelope:
        """The manager opens an era, from the current second on."""
        start = start or from_ms(self.clock() // 1000 * 1000)
        return sign(EraOpened(ledger=self.ledger, cluster=self.cluster, era=era, start=start), self.manager)

    def close_era(self, era: int, *, end: str | None = None) -> Envelope:
        """The manager closes an era with the current second."""
        end = end or from_ms(self.clock() // 1000 * 1000)
        return sign(EraClose(ledger=self.ledger, cluster=self.cluster, era=era, end=end), self.manager)

    def beacon(self, i: int, round: int) -> bytes:
        """Value ``round`` of validator ``i``'s chain; -1 is its end."""
        if i not in self._chains:
            self._chains[i] = _chain(hashing.digest(hashing.BEACON_SECRET, self.validator_secret(i)), self._chain)
        return self._chains[i][1 + round]

    def validator_secret(self, i: int) -> bytes:
        """What validator ``i`` alone knows: the same again after a restart."""
        return hashing.digest(hashing.BEACON, b"secret of", self.validators[i].sign(b"beacon"))
