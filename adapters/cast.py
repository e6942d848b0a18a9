"""A cast of signers that plays every part on a ledger: the demo, the benchmarks and the tests share it.

A host has its own wallets, services and validators; this is what each of them would sign, in a few lines each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from proofroom.adapters.keys import Key
from proofroom.domain import hashing, ids
from proofroom.domain.activity import batch_root
from proofroom.domain.attestation import beacon_step
from proofroom.domain.envelope import Envelope, sign, statement_id
from proofroom.domain.ids import Digest, KeyId, from_ms
from proofroom.domain.state import State
from proofroom.domain.statements.activity import Activity, BatchSealed, Signers
from proofroom.domain.statements.attestation import (
    BeaconRevealed,
    ValidatorRegistered,
    Vote,
    VoteCommitted,
    VoteRevealed,
)
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
from proofroom.domain.statements.fields import Compute, Usage
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
from proofroom.domain.voting import commitment, write_bitmap

DAY_MS = 86_400_000
CHAIN = 10_000
"""Rounds that a beacon chain of the cast lasts for."""

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


class Work(NamedTuple):
    """What one run burned."""

    cpu_ms: int = 412
    gpu_units: float | int = 0
    byte_seconds: int = 0
    bytes_streamed: int = 0
    puts: int = 0
    gets: int = 0


ONE_RUN = Work()


class Cast:
    """All parties of one cluster.

    Args:
        ledger: digest of the ledger that they sign for.
        clock: time in ms.
        key: the key of a party, by name; always the same for the same name.
        randomness: as many random bytes as asked for.
        cluster, vault, scope: names.
        validators: how many validators there are.
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
    ) -> None:
        self.ledger, self.clock, self.key, self.randomness = ledger, clock, key, randomness
        self.cluster, self.vault, self.scope, self.parameters = cluster, vault, scope, parameters
        self.user, self.agent, self.derived = key("wallet"), key("agent-service"), key(f"derived {vault} / {scope}")
        self.bank, self.manager, self.orchestrator = key("bank"), key("manager"), key("orchestrator")
        self.providers = [key(f"provider-{i}") for i in range(3)]
        self.runtimes = [key(f"runtime-{i}") for i in range(3)]
        self.validators = [key(f"validator-{i}") for i in range(validators)]
        self._chains: dict[int, list[bytes]] = {}
        self.controllers = [key(f"controller-{i}") for i in range(validators)]

    @property
    def vault_scope(self) -> str:
        """The scope that the agent works on, as records write it."""
        return f"{self.vault} / {self.scope}"

    def now(self, ahead_ms: int = 0) -> str:
        """The cast's time."""
        return from_ms(self.clock() + ahead_ms)

    # --- the cluster

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

    # --- consent

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

    # --- work

    def activity(self, grant: Digest, era: int, work: Work = ONE_RUN, *, node: int = 0, **changes: Any) -> Envelope:
        """A record of one run, signed in its three roles."""
        return sign(
            self.record(grant, era, work, node=node, **changes), self.derived, self.orchestrator, self.runtimes[node]
        )

    def record(self, grant: Digest, era: int, work: Work = ONE_RUN, *, node: int = 0, **changes: Any) -> Activity:
        """The statement of :meth:`activity`, unsigned."""
        signers = {
            "agent-derived-key": self.derived.keyid,
            "orchestrator": self.orchestrator.keyid,
            "agent-runtime": self.runtimes[node].keyid,
        }
        fields: dict[str, Any] = {
            "ledger": self.ledger,
            "record_id": ids.record_id(self.clock(), self.randomness(10)),
            "agent": self.agent.keyid,
            "vault_scope": self.vault_scope,
            "operation": "read + inference",
            "compute": Compute(cpu_ms=work.cpu_ms, gpu_units=work.gpu_units),
            "data": Usage(
                byte_seconds=work.byte_seconds, bytes_streamed=work.bytes_streamed, puts=work.puts, gets=work.gets
            ),
            "result_hash": hashing.tagged(hashing.digest(hashing.RESULT, self.randomness(32))),
            "input_commitment": hashing.tagged(hashing.digest(hashing.INPUT, self.randomness(32))),
            "grant": grant,
            "cluster": self.cluster,
            "era": era,
            "node": f"node-{node}",
            "customer": self.user.keyid,
            "listing": None,
            "started_at": self.now(),
            "ended_at": self.now(),
            "signers": Signers.model_validate(signers),
        }
        return Activity(**fields | changes)

    def seal(self, era: int, batch: int, statement_ids: list[bytes]) -> Envelope:
        """The orchestrator seals records, given by their statement ids in log order."""
        return sign(
            BatchSealed(
                ledger=self.ledger,
                cluster=self.cluster,
                era=era,
                orchestrator=self.orchestrator.keyid,
                batch=batch,
                count=len(statement_ids),
                root=Digest(batch_root(statement_ids)),
            ),
            self.orchestrator,
        )

    def seal_all(self, state: State, era: int) -> Envelope:
        """The orchestrator seals all its unsealed records, at most as many as a batch holds."""
        facts = state.eras[self.cluster, era]
        queue = facts.queues[self.orchestrator.keyid]
        last = min(queue.tail, queue.head + 10_000)
        return self.seal(era, facts.batches, [queue.records[i].id for i in range(queue.head, last)])

    # --- the jury

    def beacon(self, i: int, round: int) -> bytes:
        """Value ``round`` of validator ``i``'s chain; -1 is its end."""
        if i not in self._chains:
            chain = [hashing.digest(hashing.BEACON, b"secret of", self.validators[i].sign(b"beacon"))]
            for _ in range(CHAIN):
                chain.append(beacon_step(chain[-1]))
            self._chains[i] = chain
        return self._chains[i][CHAIN - 1 - round]

    def reveal_beacon(self, round: int, i: int) -> Envelope:
        """Validator ``i`` reveals its chain value of a round."""
        return sign(
            BeaconRevealed(
                ledger=self.ledger,
                cluster=self.cluster,
                round=round,
                validator=self.validators[i].keyid,
                value=self.beacon(i, round).hex(),
            ),
            self.validators[i],
        )

    def members(self, state: State, round: int) -> list[int]:
        """The committee of a round, as numbers of validators."""
        committee = state.rounds[self.cluster, round].committee
        return [i for i, v in enumerate(self.validators) if v.keyid in committee]

    def commit(self, state: State, round: int, i: int, vote: Vote) -> Envelope:
        """Validator ``i`` commits to a vote."""
        digest = state.rounds[self.cluster, round].digest
        value = commitment(digest, self.validators[i].keyid, self.salt(round, i), vote)
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

    def reveal(self, round: int, i: int, vote: Vote) -> Envelope:
        """Validator ``i`` opens its vote."""
        return sign(
            VoteRevealed(
                ledger=self.ledger,
                cluster=self.cluster,
                round=round,
                validator=self.validators[i].keyid,
                salt=self.salt(round, i).hex(),
                vote=vote,
            ),
            self.validators[i],
        )

    def salt(self, round: int, i: int) -> bytes:
        """The salt of a commitment: secret until revealed, and the same again after a restart."""
        return hashing.digest(hashing.VOTE, b"salt of", self.validators[i].sign(b"salt %d" % round))


def make_vote(count: int, doubts: dict[int, str] | None = None) -> Vote:
    """A vote on ``count`` records: agreed but for the positions in ``doubts``, each with its reason."""
    doubts = doubts or {}
    agree = sum(1 << i for i in range(count) if i not in doubts)
    reasons: dict[Any, str] = {}
    for reason in sorted(set(doubts.values())):
        positions = sum(1 << i for i, r in doubts.items() if r == reason)
        reasons[reason] = write_bitmap(positions, count)
    return Vote(agree=write_bitmap(agree, count), reasons=reasons)


def ids_of(envelopes: Iterable[Envelope]) -> list[bytes]:
    """Their statement ids."""
    return [statement_id(e.payload_type, e.payload) for e in envelopes]
