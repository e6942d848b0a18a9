"""Debts: what a deposit did not cover, and how the next one repays it (protocol 6).

A debt is kept with its parts, and with those who are entitled to it: both are fixed when the era is paid. As soon as the customer deposits
again, the ledger itself must state the repayment, line by line: the oldest era first, split over the parts that are owed, and shared out by
the rules and weights of that era.
"""

from __future__ import annotations

from proofroom.domain.accounts import clearing_account, customer_account, market_account
from proofroom.domain.charging import charge
from proofroom.domain.claims import Claim, Debt, Line, Repaying
from proofroom.domain.counting import attested_of, by_node, judges_of
from proofroom.domain.entry import Entry
from proofroom.domain.ids import KeyId
from proofroom.domain.lines import basis_of
from proofroom.domain.money import parse_amount, split
from proofroom.domain.payouts import Collected, Shares, compute_payouts
from proofroom.domain.settlement import shares_of
from proofroom.domain.state import Due, Era, State, schedule, unschedule
from proofroom.domain.statements.settlement import Repayment
from proofroom.domain.unlocking import move


def get_debt(state: State, cluster: str, customer: KeyId) -> int:
    """All that a customer owes in a cluster."""
    return sum(debt.total for debt in state.debts.get((cluster, customer), ()))


def arise(state: State, cluster: str, number: int) -> State:
    """What an era charged and did not collect is owed from now on, each customer's to those who are entitled to it."""
    era = state.eras[cluster, number]
    owed = _owed(state, cluster, number)
    if not owed:
        return state
    listings = {listing for debt in owed.values() for listing, _ in debt.fees}
    claim = Claim(
        shares_of(era.parameters),
        tuple(sorted(judges_of(era).items())),
        tuple(terms for listing, terms in sorted(era.terms.items()) if listing in listings),
        len(owed),
    )
    debts = state.debts.mutate()
    for customer, debt in owed.items():
        debts[cluster, customer] = tuple(sorted((*debts.get((cluster, customer), ()), debt)))
    return state._replace(debts=debts.finish(), claims=state.claims.set((cluster, number), claim))


def _owed(state: State, cluster: str, number: int) -> dict[KeyId, Debt]:
    """The debts of an era's customers, from its lines."""
    era, owed = state.eras[cluster, number], dict[KeyId, Debt]()
    short = [line for line in era.lines if line.role in ("charge", "fee") and sum(line.charged) > line.amount]
    nodes = _nodes(state, cluster, era, {KeyId(line.party) for line in short})
    for line in short:
        customer = KeyId(line.party)
        debt = owed.get(customer, Debt(number, (), (), nodes[customer]))
        if line.role == "charge":
            parts = tuple(c - p for c, p in zip(line.charged, line.collected, strict=True))
            owed[customer] = debt._replace(parts=parts)
        else:
            owed[customer] = debt._replace(fees=(*debt.fees, (line.listing, line.charged[0] - line.amount)))
    return owed


def _nodes(
    state: State, cluster: str, era: Era, customers: set[KeyId]
) -> dict[KeyId, tuple[tuple[str, KeyId, int], ...]]:
    """The nodes that served each of these customers, their providers, and what their work costs."""
    found: dict[KeyId, list[tuple[str, KeyId, int]]] = {customer: [] for customer in customers}
    served = by_node(attested_of(era)) if customers else {}
    for (customer, node), lot in served.items():
        if customer in found:
            value = sum(charge(lot.usage, era.parameters, era.end - era.start))
            found[customer].append((node, state.clusters[cluster].nodes[node].provider, value))
    return {customer: tuple(sorted(nodes)) for customer, nodes in found.items()}


def compute_repayment(cluster: str, customer: KeyId, debt: Debt, claim: Claim, amount: int) -> tuple[list[Line], Debt]:
    """The lines that repay ``amount`` of a debt, at most all of it, and what is still owed.

    The amount is split once, in proportion over the parts and fees that are owed; then it is shared out as if it had been collected in
    its era.
    """
    owed = [*debt.parts, *(fee for _, fee in debt.fees)]
    paid = split(amount, owed)
    parts, fees = tuple(paid[: len(debt.parts)]), paid[len(debt.parts) :]
    account = customer_account(cluster, customer)
    lines = []
    if debt.parts:
        pot = clearing_account(cluster, debt.era)
        lines.append(Line("charge", account, pot, sum(parts), customer, 0, debt.parts, parts))
    for (listing, fee), part in zip(debt.fees, fees, strict=True):
        pot = market_account(cluster, debt.era)
        lines.append(Line("fee", account, pot, part, customer, 0, (fee,), (part,), listing))
    collected = Collected(
        paid={customer: sum(parts)},
        fees={listing: part for (listing, _), part in zip(debt.fees, fees, strict=True)},
        shares=Shares(*claim.shares),
        judges=dict(claim.judges),
        values={customer: {node: value for node, _, value in debt.nodes}},
        providers={node: provider for node, provider, _ in debt.nodes},
        records={},
        terms={terms.digest: terms for terms in claim.terms},
    )
    lines += compute_payouts(cluster, debt.era, collected)
    rest = debt._replace(
        parts=tuple(o - p for o, p in zip(debt.parts, parts, strict=True)),
        fees=tuple((listing, fee - part) for (listing, fee), part in zip(debt.fees, fees, strict=True)),
    )
    return [line for line in lines if line.amount], rest


def begin_repayment(state: State, index: int, cluster: str, customer: KeyId) -> State:
    """A deposit came in: whoever owes repays with all that is there, the oldest era first. The lines are due at once."""
    debts = state.debts.get((cluster, customer), ())
    money = state.balances.get(customer_account(cluster, customer), 0)
    if not debts or not money:
        return state
    lines: list[tuple[int, Line]] = []
    while debts and money:
        amount = min(money, debts[0].total)
        paid, rest = compute_repayment(cluster, customer, debts[0], state.claims[cluster, debts[0].era], amount)
        lines += [(rest.era, line) for line in paid]
        money -= amount
        if rest.total:
            debts = (rest, *debts[1:])
        else:
            debts = debts[1:]
            state = _settled(state, cluster, rest.era)
    key = (cluster, customer)
    return state._replace(
        debts=state.debts.set(key, debts) if debts else state.debts.delete(key),
        repaying=state.repaying.set((cluster, index), Repaying(customer, tuple(lines))),
        agenda=schedule(state.agenda, Due(0, "repayment", cluster, index)),
    )


def _settled(state: State, cluster: str, era: int) -> State:
    """One customer less owes for an era."""
    claim = state.claims[cluster, era]
    if claim.debts == 1:
        return state._replace(claims=state.claims.delete((cluster, era)))
    return state._replace(claims=state.claims.set((cluster, era), claim._replace(debts=claim.debts - 1)))


def derive_repayment(state: State, due: Due, now_ms: int) -> Repayment:
    """The next line of what a deposit repays."""
    facts = state.repaying[due.cluster, due.number]
    era, line = facts.lines[facts.stated]
    return Repayment(
        ledger=state.ledger,
        cluster=due.cluster,
        customer=facts.customer,
        deposit=due.number,
        line=facts.stated,
        era=era,
        role=line.role,
        debit=line.debit,
        credit=line.credit,
        amount=str(line.amount),
        basis=basis_of(line),
    )


def apply_repayment(state: State, entry: Entry, s: Repayment) -> State:
    """One line takes effect."""
    key = (s.cluster, s.deposit)
    facts = state.repaying[key]
    state = move(state, s.debit, s.credit, parse_amount(s.amount))
    if facts.stated + 1 < len(facts.lines):
        return state._replace(repaying=state.repaying.set(key, facts._replace(stated=facts.stated + 1)))
    return state._replace(
        repaying=state.repaying.delete(key), agenda=unschedule(state.agenda, Due(0, "repayment", *key))
    )
