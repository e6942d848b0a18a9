"""Late records: what no batch held when its era was sealed (protocol 6).

Where the parameters say ``refused``, they end unattested. Where they say ``next-era``, they wait in their order for the next era of the
cluster: from its opening on they stand before its own records, and are counted, attested and charged there, by its parameters.
"""

from __future__ import annotations

from immutables import Map

from proofroom.domain.marketplace import fee_at_most
from proofroom.domain.state import Cluster, Era, Pending, Queue, State, UsageSum


def get_recorded(era: Era) -> int:
    """The records that an era has: its own, and those that came from the era before."""
    return len(era.ids) + era.carried


def get_left(era: Era) -> int:
    """The late records that a sealed era left to the next: it does not count them."""
    return era.late if era.parameters.carries_late else 0


def leave(cluster: Cluster, era: Era) -> Cluster:
    """The cluster with the unsealed records of an era, for its next one."""
    waiting = {key: queue for key, queue in era.queues.items() if queue.records}
    return cluster._replace(carried=Map(waiting))


def admit(state: State, name: str, number: int) -> State:
    """The era that opens now takes in what the one before left. Caps of payers count it, by the prices of this era."""
    cluster, key = state.clusters[name], (name, number)
    if not cluster.carried:
        return state
    era = state.eras[key]
    records = [record for queue in cluster.carried.values() for record in queue.records.values()]
    for record in records:
        era = _count_capped(era, record) if record.capped else era
    queues = Map({key: _from_zero(queue) for key, queue in cluster.carried.items()})
    return state._replace(
        clusters=state.clusters.set(name, cluster._replace(carried=Map())),
        eras=state.eras.set(key, era._replace(queues=queues, carried=len(records))),
    )


def _count_capped(era: Era, record: Pending) -> Era:
    payer = (record.customer, record.agent)
    fees = era.capped_fees.get(payer, 0) + fee_at_most(record.usage, era.parameters, record.terms)
    return era._replace(
        capped=era.capped.set(payer, era.capped.get(payer, UsageSum()).plus(record.usage)),
        capped_fees=era.capped_fees.set(payer, fees),
    )


def _from_zero(queue: Queue) -> Queue:
    records = [queue.records[i] for i in range(queue.head, queue.tail)]
    return Queue(0, len(records), Map(enumerate(records)))
