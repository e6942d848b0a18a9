"""Settlement: who pays whom for an era, exactly (protocol 6).

An era's money takes one way. Each customer's charge moves from its deposit to the era's clearing account; from there the treasury, the
reserve and the validators get their shares of what was collected, and what remains of each customer's money goes to the nodes that served
that customer, by the value of what they did. Debits equal credits to the unit. Each transfer is one ``payout`` statement, and ``era-paid``
closes the era.

Rules 1: a short deposit is charged in part, over all parts in proportion; the debt is stated on the line and not collected later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from immutables import Map

from proofroom.domain import hashing, merkle
from proofroom.domain.accounts import (
    RESERVE,
    TREASURY,
    bank_account,
    bond_account,
    clearing_account,
    customer_account,
    provider_account,
    transfer,
    validator_account,
)
from proofroom.domain.activity import count_recorded, unsealed
from proofroom.domain.canonical import encode
from proofroom.domain.charging import Parts, charge
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.entry import Entry
from proofroom.domain.errors import AlreadyRecorded, Overflow, Unregistered
from proofroom.domain.ids import SKEW_MS, KeyId, from_ms
from proofroom.domain.money import AMOUNT_LIMIT, parse_amount, share, split
from proofroom.domain.state import Due, Era, Line, Parameters, State, UsageSum, schedule, unschedule
from proofroom.domain.statements.settlement import (
    Basis,
    ChargeParts,
    Deposit,
    EraPaid,
    EraSealed,
    Payout,
    RecordCounts,
    Totals,
)


class Work(NamedTuple):
    """All that the settlement of an era depends on."""

    parameters: Parameters
    seconds: int
    usage: Mapping[tuple[KeyId, str], UsageSum]
    """Attested usage by (customer, node)."""
    served: Mapping[tuple[KeyId, str], int]
    """Attested records by (customer, node)."""
    inspected: Mapping[KeyId, int]
    """Records that a validator judged as the round did."""
    deposits: Mapping[KeyId, int]
    """Balance by customer."""
    providers: Mapping[str, KeyId]
    """Provider by node."""


class Charge(NamedTuple):
    """What one customer owes and pays."""

    customer: KeyId
    records: int
    charged: Parts
    collected: Parts


def apply_deposit(state: State, entry: Entry, s: Deposit) -> State:
    """Money comes in, once for each reference.

    Raises:
        Unregistered: no such cluster, or the owner is not the manager whose bond it names.
        AlreadyRecorded: the bank's reference is taken.
        Overflow: all money together would leave the range of amounts, so that one account could in the end.
    """
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    cluster = state.clusters.get(s.cluster)
    if cluster is None:
        raise Unregistered(what="cluster", key=s.cluster)
    if s.account == "cluster-bond" and s.owner != cluster.manager:
        raise Unregistered(what="manager", key=s.owner)
    if (s.bank, s.reference) in state.deposits:
        raise AlreadyRecorded(what="deposit", key=s.reference)
    amount = parse_amount(s.amount)
    banks = state.founding.bank_keys if state.founding is not None else ()
    if amount - sum(state.balances.get(bank_account(bank), 0) for bank in banks) >= AMOUNT_LIMIT:
        raise Overflow(account="all accounts together")
    account = (customer_account if s.account == "customer" else bond_account)(s.cluster, s.owner)
    return state._replace(
        balances=transfer(state.balances, bank_account(s.bank), account, amount),
        deposits=state.deposits.set((s.bank, s.reference), entry.index),
    )


def compute_charge(customer: KeyId, work: Work) -> Charge:
    """What a customer's usage costs, and how much of it the deposit covers: all, or all that is there, in proportion over the parts."""
    nodes = [key for key in work.usage if key[0] == customer]
    usage = UsageSum()
    for key in nodes:
        usage = usage.plus(work.usage[key])
    charged = charge(usage, work.parameters, work.seconds)
    paid = min(sum(charged), work.deposits.get(customer, 0))
    collected = Parts(*split(paid, charged)) if paid else Parts()
    return Charge(customer, sum(work.served[key] for key in nodes), charged, collected)


def compute_lines(cluster: str, number: int, work: Work) -> tuple[Line, ...]:
    """The payout lines of an era, in order: charges by customer, treasury, reserve, validators, providers by node.

    Shares are ``floor(share * collected)``. What shares took is split over customers by what they paid; what remains of a customer's money
    is split over its nodes by charge value. Splits are by largest remainder, ties by key order. A part with no entitled receiver goes to
    the reserve. Lines of zero are left out, except charges.
    """
    charges = _charges(work)
    collected = [sum(c.collected) for c in charges]
    total, parameters = sum(collected), work.parameters
    treasury = share(total, parameters.treasury_share)
    reserve = share(total, parameters.reserve_share)
    jury = share(total, parameters.validators_share)
    taken = split(treasury + reserve + jury, collected) if total else [0] * len(charges)
    validators = _pay_validators(work, jury)
    nodes, orphaned = _pay_nodes(
        work, {c.customer: paid - fee for c, paid, fee in zip(charges, collected, taken, strict=True)}
    )
    reserve += orphaned + jury - sum(validators.values())

    pot = clearing_account(cluster, number)
    lines = [
        Line(
            "charge",
            customer_account(cluster, c.customer),
            pot,
            sum(c.collected),
            c.customer,
            c.records,
            c.charged,
            c.collected,
        )
        for c in charges
    ]
    lines += [
        Line("treasury", pot, TREASURY, treasury, "", 0, (), ()),
        Line("reserve", pot, RESERVE, reserve, "", 0, (), ()),
    ]
    lines += [
        Line("validator", pot, validator_account(v), a, v, work.inspected[v], (), ()) for v, a in validators.items()
    ]
    records = _records_by_node(work)
    lines += [
        Line("provider", pot, provider_account(work.providers[n]), a, n, records[n], (), ()) for n, a in nodes.items()
    ]
    return tuple(line for line in lines if line.amount or line.role == "charge")


def _charges(work: Work) -> list[Charge]:
    """All charges in key order, in one pass over the usage."""
    by_customer: dict[KeyId, dict[tuple[KeyId, str], UsageSum]] = {}
    for key, usage in work.usage.items():
        by_customer.setdefault(key[0], {})[key] = usage
    return [compute_charge(customer, work._replace(usage=by_customer[customer])) for customer in sorted(by_customer)]


def _records_by_node(work: Work) -> dict[str, int]:
    records: dict[str, int] = {}
    for (_, node), count in work.served.items():
        records[node] = records.get(node, 0) + count
    return records


def _pay_validators(work: Work, amount: int) -> dict[KeyId, int]:
    """Those who judged as the rounds did, by the records they inspected."""
    entitled = sorted(v for v, records in work.inspected.items() if records)
    if not entitled or not amount:
        return {}
    return dict(zip(entitled, split(amount, [work.inspected[v] for v in entitled]), strict=True))


def _pay_nodes(work: Work, remaining: Mapping[KeyId, int]) -> tuple[dict[str, int], int]:
    """What each node gets, and what found no receiver: each customer's money goes only to the nodes that served it."""
    by_customer: dict[KeyId, dict[str, int]] = {customer: {} for customer in remaining}
    for (customer, node), usage in work.usage.items():
        by_customer[customer][node] = sum(charge(usage, work.parameters, work.seconds))
    paid: dict[str, int] = {}
    orphaned = 0
    for customer, amount in remaining.items():
        values = dict(sorted(by_customer[customer].items()))
        if not any(values.values()):
            orphaned += amount
            continue
        for node, part in zip(values, split(amount, list(values.values())), strict=True):
            paid[node] = paid.get(node, 0) + part
    return dict(sorted(paid.items())), orphaned


def settle_if_final(state: State, cluster: str, number: int) -> State:
    """Once an era is sealed and its last round is final, compute its lines.

    They come before anything else that is due, so that no other era is settled from deposits that these lines have yet to charge.
    """
    era = state.eras[cluster, number]
    if not era.sealed or era.open_rounds:
        return state
    customers = {customer for customer, _ in era.usage}
    work = Work(
        parameters=era.parameters,
        seconds=era.end - era.start,
        usage=era.usage,
        served=era.served,
        inspected={v: records for v, records in era.inspected.items() if v not in era.forfeited},
        deposits={c: state.balances.get(customer_account(cluster, c), 0) for c in customers},
        providers={name: node.provider for name, node in state.clusters[cluster].nodes.items()},
    )
    era = era._replace(lines=compute_lines(cluster, number, work))
    agenda = schedule(state.agenda, Due(0, "era", cluster, number))
    return state._replace(eras=state.eras.set((cluster, number), era), agenda=agenda)


def derive_era(state: State, due: Due, now_ms: int) -> EraSealed | Payout | EraPaid:
    """What the ledger must state about an era: its seal, then its lines one by one, then that it is paid."""
    era = state.eras[due.cluster, due.number]
    if not era.sealed:
        return _seal(state, due, era)
    if era.stated.size < len(era.lines):
        return _payout(state, due, era)
    return _paid(state, due, era)


def _seal(state: State, due: Due, era: Era) -> EraSealed:
    return EraSealed(
        ledger=state.ledger,
        cluster=due.cluster,
        era=due.number,
        start=from_ms(era.start * 1000),
        end=from_ms(era.end * 1000),
        batches=era.batches,
        recorded=len(era.ids),
        late=len(unsealed(era)),
    )


def apply_era_sealed(state: State, entry: Entry, s: EraSealed) -> State:
    """The era takes no more records; those in no batch are late and never pay."""
    key = (s.cluster, s.era)
    era = state.eras[key]
    era = era._replace(sealed=True, late=s.late, queues=Map(), tallies=count_recorded(era, unsealed(era)))
    cluster = state.clusters[s.cluster]._replace(open=False, last_end=era.end)
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
        basis=_basis(line),
    )


def _basis(line: Line) -> Basis:
    if line.role == "charge":
        return Basis(
            customer=KeyId(line.party),
            records=line.records,
            charged=_parts(line.charged),
            collected=_parts(line.collected),
            debt=str(sum(line.charged) - sum(line.collected)),
        )
    if line.role == "validator":
        return Basis(validator=KeyId(line.party), records=line.records)
    if line.role == "provider":
        return Basis(node=line.party, records=line.records)
    return Basis()


def _parts(amounts: tuple[int, ...]) -> ChargeParts:
    return ChargeParts(**{name: str(amount) for name, amount in zip(Parts._fields, amounts, strict=True)})


def apply_payout(state: State, entry: Entry, s: Payout) -> State:
    """One line takes effect."""
    key = (s.cluster, s.era)
    era = state.eras[key]
    stated, _ = merkle.append(era.stated, merkle.INNER.leaf(entry.verified.id), merkle.INNER)
    return state._replace(
        balances=transfer(state.balances, s.debit, s.credit, parse_amount(s.amount)),
        eras=state.eras.set(key, era._replace(stated=stated)),
    )


def _paid(state: State, due: Due, era: Era) -> EraPaid:
    recorded = len(era.ids)
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
        totals=_totals(era.lines),
        lines_root=hashing.tagged(merkle.root(era.stated, merkle.INNER)),
        completeness_root=hashing.tagged(merkle.root_of(completeness_leaves(era))),
        note=None if era.attested else "no attested work",
    )


def _totals(lines: tuple[Line, ...]) -> Totals:
    def total(role: str) -> int:
        return sum(line.amount for line in lines if line.role == role)

    charged = sum(sum(line.charged) for line in lines)
    return Totals(
        charged=str(charged),
        collected=str(total("charge")),
        debt=str(charged - total("charge")),
        providers=str(total("provider")),
        validators=str(total("validator")),
        treasury=str(total("treasury")),
        reserve=str(total("reserve")),
    )


def completeness_leaves(era: Era) -> list[bytes]:
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
        for (party, key), tally in sorted(era.tallies.items())
    ]


def apply_era_paid(state: State, entry: Entry, s: EraPaid) -> State:
    """The window closes: nothing of this era can change any more."""
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
