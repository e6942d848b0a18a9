"""The end of an era: sealed, settled line by line, paid (protocol 6).

An era is open, sealed, attested once its last round is final, and paid. The last two fall into one append: nothing comes between.
Each transfer of the settlement is one ``payout`` statement, and ``era-paid`` closes the era; all are derived, in one atomic append.
"""

from __future__ import annotations

from collections.abc import Mapping

from immutables import Map

from proofroom.domain import hashing, merkle, penalties
from proofroom.domain.accounts import customer_account
from proofroom.domain.activity import unsealed
from proofroom.domain.canonical import encode
from proofroom.domain.carry import get_left, get_recorded, leave
from proofroom.domain.counting import Tally, attested_of, by_listing, by_node, count, judges_of, leave_out, tallies_of
from proofroom.domain.debts import arise
from proofroom.domain.doubt import take_back
from proofroom.domain.entry import Entry
from proofroom.domain.ids import SKEW_MS, KeyId, from_ms
from proofroom.domain.lines import basis_of, totals_of
from proofroom.domain.money import parse_amount
from proofroom.domain.settlement import Work, compute_lines
from proofroom.domain.state import Due, Era, State, schedule, unschedule
from proofroom.domain.statements.settlement import (
    EraPaid,
    EraSealed,
    Payout,
    RecordCounts,
)
from proofroom.domain.unlocking import move


def settle_if_final(state: State, cluster: str, number: int) -> State:
    """Once an era is sealed and its last round is final, compute its lines, and establish its offences.

    They come before anything else that is due, so that no other era is settled from deposits that these lines have yet to charge.
    """
    era = state.eras[cluster, number]
    if not era.sealed or era.open_rounds:
        return state
    era = take_back(state, era)
    era = era._replace(lines=compute_lines(cluster, number, _work_of(state, cluster, era)))
    agenda = schedule(state.agenda, Due(0, "era", cluster, number))
    state = state._replace(eras=state.eras.set((cluster, number), era), agenda=agenda)
    return penalties.enqueue(state, *penalties.misreports_of(cluster, number, era))


def _work_of(state: State, cluster: str, era: Era) -> Work:
    """What an era's settlement depends on, once its last round is final."""
    attested = attested_of(era)
    customers = {customer for _, customer, _, _ in attested}
    return Work(
        parameters=era.parameters,
        seconds=era.end - era.start,
        served=by_node(attested),
        inspected=judges_of(era),
        deposits={c: state.balances.get(customer_account(cluster, c), 0) for c in customers},
        providers={name: node.provider for name, node in state.clusters[cluster].nodes.items()},
        sold=by_listing(attested),
        terms=era.terms,
    )


def derive_era(state: State, due: Due, now_ms: int) -> EraSealed | Payout | EraPaid:
    """What the ledger must state about an era: its seal, then its lines one by one, then that it is paid."""
    era = state.eras[due.cluster, due.number]
    if not era.sealed:
        return _seal(state, due, era)
    if era.stated.size < len(era.lines):
        return _payout(state, due, era)
    return _paid(state, due, era)


def _seal(state: State, due: Due, era: Era) -> EraSealed:
    late = len(unsealed(era))
    return EraSealed(
        ledger=state.ledger,
        cluster=due.cluster,
        era=due.number,
        start=from_ms(era.start * 1000),
        end=from_ms(era.end * 1000),
        batches=era.batches,
        recorded=get_recorded(era),
        late=late,
        **({"carried": late} if late and era.parameters.carries_late else {}),
    )


def apply_era_sealed(state: State, entry: Entry, s: EraSealed) -> State:
    """The era takes no more records; those in no batch are late. They never pay, or go to the next era, as the parameters say."""
    key = (s.cluster, s.era)
    era = state.eras[key]
    cluster = state.clusters[s.cluster]._replace(open=False, last_end=era.end)
    if era.parameters.carries_late:
        cluster = leave(cluster, era)
    else:
        late = unsealed(era)
        era = leave_out(count(era, late), late)
    era = era._replace(sealed=True, late=s.late, queues=Map())
    state = state._replace(
        clusters=state.clusters.set(s.cluster, cluster),
        eras=state.eras.set(key, era),
        agenda=unschedule(state.agenda, Due(0, "era", *key)),
    )
    return settle_if_final(state, s.cluster, s.era)


def _payout(state: State, due: Due, era: Era) -> Payout:
    number = era.stated.size
    line = era.lines[number]
    return Payout(
        ledger=state.ledger,
        cluster=due.cluster,
        era=due.number,
        line=number,
        role=line.role,
        debit=line.debit,
        credit=line.credit,
        amount=str(line.amount),
        basis=basis_of(line),
    )


def apply_payout(state: State, entry: Entry, s: Payout) -> State:
    """One line takes effect."""
    key = (s.cluster, s.era)
    era = state.eras[key]
    stated, _ = merkle.append(era.stated, merkle.INNER.leaf(entry.verified.id), merkle.INNER)
    state = state._replace(eras=state.eras.set(key, era._replace(stated=stated)))
    return move(state, s.debit, s.credit, parse_amount(s.amount))


def _paid(state: State, due: Due, era: Era) -> EraPaid:
    left = get_left(era)
    recorded = get_recorded(era) - left
    return EraPaid(
        ledger=state.ledger,
        cluster=due.cluster,
        era=due.number,
        start=from_ms(era.start * 1000),
        end=from_ms(era.end * 1000),
        first_index=era.first_index,
        last_index=state.size - 1,
        batches=era.batches,
        lines=len(era.lines),
        records=RecordCounts(
            recorded=recorded,
            attested=era.attested,
            rejected=era.rejected,
            unattested=recorded - era.attested - era.rejected,
        ),
        **({"carried": left} if left else {}),
        totals=totals_of(era.lines),
        lines_root=hashing.tagged(merkle.root(era.stated, merkle.INNER)),
        completeness_root=hashing.tagged(merkle.root_of(completeness_leaves(tallies_of(era)))),
        note=None if era.attested else "no attested work",
    )


def completeness_leaves(tallies: Mapping[tuple[str, KeyId], Tally]) -> list[bytes]:
    """One canonical object for each agent and each customer, in key order: how many records, how many attested, and their sums."""
    return [
        encode(
            {
                "party": party,
                "key": key,
                "recorded": tally.recorded,
                "attested": tally.attested,
                **{name: str(amount) for name, amount in tally.usage._asdict().items()},
            }
        )
        for (party, key), tally in sorted(tallies.items())
    ]


def apply_era_paid(state: State, entry: Entry, s: EraPaid) -> State:
    """The window closes: nothing of this era can change any more. What was not collected is owed from now on."""
    state = arise(state, s.cluster, s.era)
    key = (s.cluster, s.era)
    cluster = state.clusters[s.cluster]
    cluster = cluster._replace(
        unpaid=tuple(n for n in cluster.unpaid if n != s.era), recent=_recent_ids(cluster.recent, state.eras[key])
    )
    return state._replace(
        clusters=state.clusters.set(s.cluster, cluster),
        eras=state.eras.delete(key),
        agenda=unschedule(state.agenda, Due(0, "era", *key)),
    )


def _recent_ids(recent: Map[bytes, int], era: Era) -> Map[bytes, int]:
    """The ids that a later era, which begins no earlier than this one ended, would still admit by their time."""
    floor = max(0, era.end * 1000 - SKEW_MS).to_bytes(6, "big")
    return Map({id: index for ids in (recent, era.ids) for id, index in ids.items() if id[:6] >= floor})
