"""Proof of Compute: records and the batches that seal them (protocol 3)."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from operator import attrgetter
from typing import TypeVar

from proofroom.domain import charging, hashing, merkle
from proofroom.domain.authorisation import Chain, chain_in_force, check_covered, spend, vault_owner
from proofroom.domain.carry import get_recorded
from proofroom.domain.claims import Terms
from proofroom.domain.consent import check_agent_key, payer_cap
from proofroom.domain.counting import count
from proofroom.domain.entry import Entry
from proofroom.domain.errors import (
    AlreadyRecorded,
    BatchMismatch,
    EraFull,
    EraNotOpen,
    FromTheFuture,
    KeyNotInForce,
    NodeStatus,
    OverLimit,
    TimesOutOfOrder,
    Unregistered,
    WrongNumber,
)
from proofroom.domain.ids import SKEW_MS, KeyId, record_id_bytes, to_ms
from proofroom.domain.marketplace import fee_at_most, terms_in_force
from proofroom.domain.state import Cluster, Era, Pending, Queue, State, UsageSum
from proofroom.domain.statements.activity import Activity, BatchSealed

T = TypeVar("T", bound=Hashable)

MAX_ERA_RECORDS = 10**7
"""Records of one era; with the bounds of the schema and of prices, no sum leaves the range of amounts."""


_EMPTY = Queue()


def open_era(state: State, cluster: str, number: int) -> tuple[Cluster, Era]:
    """The cluster and its era, when that is open.

    Raises:
        Unregistered: no such cluster.
        EraNotOpen: the era is not open, sealed or paid.
    """
    facts = state.clusters.get(cluster)
    if facts is None:
        raise Unregistered(what="cluster", key=cluster)
    if number > facts.opened:
        raise EraNotOpen(cluster=cluster, era=number, status="not opened yet")
    era = state.eras.get((cluster, number))
    if era is None:
        raise EraNotOpen(cluster=cluster, era=number, status="paid")
    if era.sealed:
        raise EraNotOpen(cluster=cluster, era=number, status="sealed")
    return facts, era


def usage_of(s: Activity) -> UsageSum:
    """The usage that a record states, as integers."""
    compute, data = s.compute, s.data
    return UsageSum(compute.cpu_ms, compute.gpu_micro, data.byte_seconds, data.bytes_streamed, data.puts, data.gets)


def apply_activity(state: State, entry: Entry, s: Activity) -> State:
    """Record one operation, if everything it relies on is in force.

    Raises:
        Unregistered, EraNotOpen: no such cluster, node or open era.
        NodeStatus: the seats have not validated the node, or it has left.
        AlreadyRecorded: the record id is taken.
        TimesOutOfOrder, FromTheFuture: its times contradict each other or lie outside the era.
        KeyNotInForce: a role is signed by a key that does not hold it.
        NotListed: the listing that it names is not in force for it.
        GrantAbsent, GrantRevoked, GrantSuperseded, GrantExpired, OutOfScope, OverLimit, NotPayer: consent or payment fails.
    """
    cluster, era = open_era(state, s.cluster, s.era)
    terms = terms_in_force(state, s)
    record_id = record_id_bytes(s.record_id)
    if get_recorded(era) >= MAX_ERA_RECORDS:
        raise EraFull(cluster=s.cluster, era=s.era, limit=MAX_ERA_RECORDS)
    _check_new(state, cluster, s, record_id)
    ended_at_ms = _check_times(s, record_id, era, entry.recorded_at_ms)
    node = cluster.nodes.get(s.node)
    if node is None:
        raise Unregistered(what="node", key=s.node)
    if node.status != "validated":
        raise NodeStatus(cluster=s.cluster, node=s.node, status=node.status)
    if node.runtime_key != s.signers.agent_runtime:
        raise KeyNotInForce(keyid=s.signers.agent_runtime, role=f"runtime of {s.node}")
    if s.signers.orchestrator not in cluster.orchestrators:
        raise KeyNotInForce(keyid=s.signers.orchestrator, role=f"orchestrator of {s.cluster}")
    user = vault_owner(state, s.vault_scope)
    check_agent_key(state, s, ended_at_ms)
    chain = chain_in_force(state, user, s.agent, s.grant, ended_at_ms)
    check_covered(chain, s.vault_scope, s.operation)
    newest = max(chain, key=_created)
    if to_ms(s.started_at) + SKEW_MS < newest.created_at_ms:
        raise TimesOutOfOrder(what=f"the work started at {s.started_at}, before the grant of {newest.created_at}")
    usage, before = usage_of(s), era
    era = _check_cap(state, era, s, user, ended_at_ms, usage, terms)
    state = spend(state, s, user, chain)
    signers, relied = _signatures(state, s, user, chain, terms)
    record = Pending(
        log_index=entry.index,
        id=entry.verified.id,
        agent=_same(s.agent),
        customer=_same(s.customer),
        node=_same(s.node),
        usage=usage,
        terms=terms,
        signers=_same(signers),
        relied=_same(relied),
        capped=era is not before,
    )
    queue = era.queues.get(s.signers.orchestrator, _EMPTY)
    queue = Queue(queue.head, queue.tail + 1, queue.records.set(queue.tail, record))
    era = era._replace(ids=era.ids.set(record_id, entry.index), queues=era.queues.set(s.signers.orchestrator, queue))
    return state._replace(eras=state.eras.set((s.cluster, s.era), era))


_created = attrgetter("created_at_ms")


def _signatures(
    state: State, s: Activity, user: KeyId, chain: Chain, terms: Terms | None
) -> tuple[tuple[KeyId, ...], tuple[tuple[KeyId, int], ...]]:
    """Who signed the record, and who signed, and where, all that it relies on."""
    relied = [(version.delegator or user, version.log_index) for version in chain]
    relied.append((s.agent, state.agent_keys[s.signers.agent_derived_key].log_index))
    if s.customer != user or terms is not None:
        relied.append((s.customer, state.payers[s.customer, s.agent, s.cluster].log_index))
    if terms is not None:
        relied.append((terms.agent, terms.log_index))
    return (s.signers.agent_derived_key, s.signers.orchestrator, s.signers.agent_runtime), tuple(relied)


def _check_new(state: State, cluster: Cluster, s: Activity, record_id: bytes) -> None:
    """No record of an era that is not paid has the id, nor one of a paid era that is young enough to be tried again."""
    taken = record_id in cluster.recent
    for number in cluster.unpaid:
        taken = taken or record_id in state.eras[s.cluster, number].ids
    if taken:
        raise AlreadyRecorded(what="record", key=s.record_id)


@lru_cache(maxsize=4_096)
def _same(value: T) -> T:
    """One value in memory for all that are equal: records of one agent mostly rely on the same."""
    return value


def _check_times(s: Activity, record_id: bytes, era: Era, now_ms: int) -> int:
    """The id's time lies in the era, the work ended not before it started, neither is ahead of the clock."""
    started_at_ms, ended_at_ms = to_ms(s.started_at), to_ms(s.ended_at)
    if ended_at_ms < started_at_ms:
        raise TimesOutOfOrder(what=f"the work ended at {s.ended_at}, before it started at {s.started_at}")
    if ended_at_ms > now_ms + SKEW_MS:
        raise FromTheFuture(field="ended_at", time=s.ended_at)
    if ended_at_ms + SKEW_MS < era.start * 1000:
        raise TimesOutOfOrder(what=f"the work ended at {s.ended_at}, before era {s.era} opened")
    id_ms = int.from_bytes(record_id[:6], "big")
    if not era.start * 1000 - SKEW_MS <= id_ms <= now_ms + SKEW_MS:
        raise TimesOutOfOrder(what=f"the record id was made at {id_ms} ms, outside era {s.era}")
    return ended_at_ms


def _check_cap(
    state: State, era: Era, s: Activity, user: KeyId, ended_at_ms: int, usage: UsageSum, terms: Terms | None
) -> Era:
    """A payer's cap counts the most that the recorded usage for this agent service can cost, with the fees of listings."""
    cap = payer_cap(state, s, user, ended_at_ms)
    if cap is None:
        return era
    key = (s.customer, s.agent)
    total = era.capped.get(key, UsageSum()).plus(usage)
    fees = era.capped_fees.get(key, 0) + fee_at_most(usage, era.parameters, terms)
    cost = charging.charge_at_most(total, era.parameters) + fees
    if cost > cap:
        raise OverLimit(limit="the payer's cap per era", allowed=str(cap), asked=str(cost))
    return era._replace(capped=era.capped.set(key, total), capped_fees=era.capped_fees.set(key, fees))


def seal_batch(state: State, s: BatchSealed) -> tuple[State, tuple[Pending, ...]]:
    """Take the oldest unsealed records of the orchestrator out of its queue, when the batch matches them, and count them.

    Who recorded them seals them, also after another took its office: else whoever replaces it could keep late work from ever being paid.

    Raises:
        KeyNotInForce: the signer is no orchestrator of the cluster, and recorded nothing that is unsealed.
        WrongNumber: the batch number is not the next.
        BatchMismatch: there are fewer records, or they give another root.
    """
    cluster, era = open_era(state, s.cluster, s.era)
    if s.orchestrator not in cluster.orchestrators and s.orchestrator not in era.queues:
        raise KeyNotInForce(keyid=s.orchestrator, role=f"orchestrator of {s.cluster}")
    if s.batch != era.batches:
        raise WrongNumber(what="the batch", number=s.batch, expected=era.batches)
    queue = era.queues.get(s.orchestrator, _EMPTY)
    if s.count > queue.tail - queue.head:
        raise BatchMismatch(what=f"it counts {s.count} records, {queue.tail - queue.head} are unsealed")
    records = tuple(queue.records[i] for i in range(queue.head, queue.head + s.count))
    root = batch_root([record.id for record in records])
    if root != s.root:
        raise BatchMismatch(what=f"its root is {s.root}, the records give {root}")
    with queue.records.mutate() as rest:
        for i in range(queue.head, queue.head + s.count):
            del rest[i]
        queue = Queue(queue.head + s.count, queue.tail, rest.finish())
    era = count(era, records)._replace(queues=era.queues.set(s.orchestrator, queue), batches=era.batches + 1)
    return state._replace(eras=state.eras.set((s.cluster, s.era), era)), records


def batch_root(statement_ids: list[bytes]) -> str:
    """The root a batch commits to: the inner tree over the statement ids of its records, in log order."""
    return hashing.tagged(merkle.root_of(statement_ids))


def unsealed(era: Era) -> list[Pending]:
    """The records of an era that are in no batch, in log order."""
    return sorted(record for queue in era.queues.values() for record in queue.records.values())
