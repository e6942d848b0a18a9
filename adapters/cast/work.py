"""What the agent's side signs: records, and the batches that seal them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from proofroom.adapters.cast.parties import Parties
from proofroom.domain import hashing, ids
from proofroom.domain.activity import batch_root
from proofroom.domain.envelope import Envelope, sign, statement_id
from proofroom.domain.ids import Digest
from proofroom.domain.state import State
from proofroom.domain.statements.activity import Activity, BatchSealed, Signers
from proofroom.domain.statements.fields import Compute, Usage


class Work(NamedTuple):
    """What one run burned."""

    cpu_ms: int = 412
    gpu_units: float | int = 0
    byte_seconds: int = 0
    bytes_streamed: int = 0
    puts: int = 0
    gets: int = 0


ONE_RUN = Work()


class Working(Parties):
    """Runs of the agent, on the nodes of the cluster."""

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


def ids_of(envelopes: Iterable[Envelope]) -> list[bytes]:
    """Their statement ids."""
    return [statement_id(e.payload_type, e.payload) for e in envelopes]
