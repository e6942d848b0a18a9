"""Penalties: what the ledger itself states when an offence is established, and nobody can hold back (protocol 5).

Each offence waits in a queue until its penalty is stated, before anything else. *Misreport*: a node's records that were finally rejected
in an era, at most one offence for each node and era; the cluster's bond pays. *Repetition*: three of those within ten eras remove the node.
*Equivocation* and *false beacon*, proven by evidence (:mod:`proofroom.domain.evidence`), take the validator's bond and its place.
*Withholding* in too many of ten eras suspends a validator for the next ten. Absence, and votes against the outcome, earn nothing and are
no offence.
"""

from __future__ import annotations

from collections.abc import Iterable

from proofroom.domain import hashing
from proofroom.domain.accounts import TREASURY, bond_account
from proofroom.domain.charging import charge
from proofroom.domain.entry import Entry
from proofroom.domain.ids import KeyId
from proofroom.domain.money import parse_amount
from proofroom.domain.standing import Penalty
from proofroom.domain.state import Due, Era, Parameters, State, schedule, unschedule
from proofroom.domain.statements.offences import NodeRemoved, SlashBasis, Slashed, ValidatorSuspended
from proofroom.domain.unlocking import move

WINDOW = 10
"""Eras over which offences and withholding are counted."""

STRIKES = 3
"""Offences of a node within the window that remove it."""

_DUE = Due(-1, "penalty", "", 0)
"""Before anything else: also before the lines of the era in which it was established."""


def recent(eras: Iterable[int]) -> tuple[int, ...]:
    """Those of the eras that lie within one window with the newest of them, in order, each once."""
    found = sorted(set(eras))
    return tuple(era for era in found if era > found[-1] - WINDOW)


def enqueue(state: State, *penalties: Penalty) -> State:
    """These must be stated, before anything else, in this order."""
    if not penalties:
        return state
    return state._replace(penalties=(*state.penalties, *penalties), agenda=schedule(state.agenda, _DUE))


def misreports_of(cluster: str, number: int, era: Era) -> list[Penalty]:
    """The offences of an era whose verdicts are all final: one for each node with a rejected record, in key order.

    What the records would have cost is the formulas applied once to their sum. A cluster with neither a floor nor a multiple has none.
    """
    if not (era.parameters.slash_floor or era.parameters.slash_multiple):
        return []
    return [
        Penalty("misreport", cluster, node, number, records, sum(charge(usage, era.parameters, era.end - era.start)))
        for node, (records, usage) in sorted(era.misreported.items())
    ]


def compute_slash(parameters: Parameters, charged: int, bond: int) -> int:
    """``max(floor, multiple * charge)``, at most the bond."""
    return min(bond, max(parameters.slash_floor, parameters.slash_multiple * charged))


def derive_penalty(state: State, due: Due, now_ms: int) -> Slashed | NodeRemoved | ValidatorSuspended:
    """The statement about the offence that waits longest."""
    penalty = state.penalties[0]
    if penalty.offence == "misreport":
        return _slash_cluster(state, penalty)
    if penalty.offence == "repetition":
        return _remove(state, penalty)
    if penalty.offence == "withholding":
        return _suspend(state, penalty)
    return _slash_validator(state, penalty)


def _slash_cluster(state: State, p: Penalty) -> Slashed:
    debit = bond_account(p.cluster, state.clusters[p.cluster].manager)
    parameters = state.eras[p.cluster, p.era].parameters
    return Slashed(
        ledger=state.ledger,
        cluster=p.cluster,
        offence="misreport",
        debit=debit,
        credit=TREASURY,
        amount=str(compute_slash(parameters, p.charge, state.balances.get(debit, 0))),
        basis=SlashBasis(era=p.era, node=p.party, records=p.records, charge=str(p.charge)),
    )


def _slash_validator(state: State, p: Penalty) -> Slashed:
    assert p.offence in ("equivocation", "false-beacon")
    debit = bond_account(p.cluster, KeyId(p.party))
    return Slashed(
        ledger=state.ledger,
        cluster=p.cluster,
        offence=p.offence,
        debit=debit,
        credit=TREASURY,
        amount=str(state.balances.get(debit, 0)),
        basis=SlashBasis(validator=KeyId(p.party), evidence=hashing.tagged(p.evidence)),
    )


def _remove(state: State, p: Penalty) -> NodeRemoved:
    node = state.clusters[p.cluster].nodes[p.party]
    return NodeRemoved(
        ledger=state.ledger, cluster=p.cluster, node=p.party, provider=node.provider, offences=node.offences
    )


def _suspend(state: State, p: Penalty) -> ValidatorSuspended:
    facts = state.validators[p.cluster][KeyId(p.party)]
    return ValidatorSuspended(
        ledger=state.ledger,
        cluster=p.cluster,
        validator=KeyId(p.party),
        withheld=facts.withheld,
        until_era=p.era + WINDOW,
    )


def _stated(state: State) -> State:
    rest = state.penalties[1:]
    return state._replace(penalties=rest, agenda=state.agenda if rest else unschedule(state.agenda, _DUE))


def apply_slashed(state: State, entry: Entry, s: Slashed) -> State:
    """The money moves, also what is being unlocked; the node's strike counts, or the validator is out and earns nothing any more."""
    state = move(_stated(state), s.debit, s.credit, parse_amount(s.amount))
    if s.basis.node is not None and s.basis.era is not None:
        return _strike(state, s.cluster, s.basis.node, s.basis.era)
    assert s.basis.validator is not None
    members = state.validators[s.cluster]
    facts = members[s.basis.validator]._replace(status="removed")
    eras = state.eras
    for number in state.clusters[s.cluster].unpaid:
        era = eras[s.cluster, number]
        eras = eras.set((s.cluster, number), era._replace(forfeited=era.forfeited.set(s.basis.validator, -1)))
    return state._replace(eras=eras, validators=state.validators.set(s.cluster, members.set(s.basis.validator, facts)))


def _strike(state: State, name: str, node: str, era: int) -> State:
    """One more offence of a node; it is removed when that makes three within ten eras."""
    cluster = state.clusters[name]
    facts = cluster.nodes[node]
    facts = facts._replace(offences=recent((*facts.offences, era)))
    state = state._replace(clusters=state.clusters.set(name, cluster._replace(nodes=cluster.nodes.set(node, facts))))
    if len(facts.offences) < STRIKES or facts.status == "removed":
        return state
    return enqueue(state, Penalty("repetition", name, node, era))


def apply_node_removed(state: State, entry: Entry, s: NodeRemoved) -> State:
    """The node records no more. What it recorded before goes its way."""
    state = _stated(state)
    cluster = state.clusters[s.cluster]
    nodes = cluster.nodes.set(s.node, cluster.nodes[s.node]._replace(status="removed"))
    return state._replace(clusters=state.clusters.set(s.cluster, cluster._replace(nodes=nodes)))


def count_withheld(state: State, cluster: str, number: int, missing: Iterable[KeyId]) -> State:
    """Note who withheld its beacon value in an era, and whom that suspends. Nothing is counted where the cluster does not suspend."""
    limit = state.eras[cluster, number].parameters.suspend_after
    if not limit:
        return state
    members, due = state.validators[cluster], []
    for validator in missing:
        facts = members[validator]
        if facts.status == "removed" or number in facts.withheld or number <= facts.suspended_until:
            continue
        facts = facts._replace(withheld=recent((*facts.withheld, number)))
        members = members.set(validator, facts)
        if len(facts.withheld) >= limit:
            due.append(Penalty("withholding", cluster, validator, number))
    return enqueue(state._replace(validators=state.validators.set(cluster, members)), *due)


def apply_validator_suspended(state: State, entry: Entry, s: ValidatorSuspended) -> State:
    """It is eligible for no batch of the next ten eras, nor for what is left of this one; then it begins anew."""
    state = _stated(state)
    members = state.validators[s.cluster]
    facts = members[s.validator]._replace(withheld=(), suspended_until=s.until_era)
    return state._replace(validators=state.validators.set(s.cluster, members.set(s.validator, facts)))
