"""A cluster as its operators see it: who decides, its nodes and parameters, the proposals in hand."""

from __future__ import annotations

from typing import Any

from proofroom.adapters.pages import shorten
from proofroom.domain.canonical import decode
from proofroom.domain.errors import Unregistered
from proofroom.domain.ids import from_ms
from proofroom.domain.proposals import seats_of
from proofroom.domain.state import Proposal, State

Facts = dict[str, Any]


def cluster_facts(state: State, name: str) -> Facts:
    """The cluster as plain values.

    Raises:
        Unregistered: there is none of this name.
    """
    cluster = state.clusters.get(name)
    if cluster is None:
        raise Unregistered(what="cluster", key=name)
    return {
        "cluster": name,
        "manager": cluster.manager,
        "majority": cluster.majority,
        "seats": sorted(seats_of(cluster)),
        "nodes": [
            {"node": node, "status": facts.status, "provider": facts.provider, "runtime_key": facts.runtime_key}
            for node, facts in sorted(cluster.nodes.items())
        ],
        "orchestrators": list(cluster.orchestrators),
        "era": cluster.opened if cluster.open else None,
        "unpaid_eras": list(cluster.unpaid),
        "parameters": decode(cluster.terms),
        "next_proposal": cluster.proposed,
        "proposals": [_proposal(number, proposal) for number, proposal in sorted(cluster.proposals.items())],
    }


def _proposal(number: int, proposal: Proposal) -> Facts:
    return {
        "proposal": number,
        "status": "open" if proposal.passed_ms < 0 else "passed",
        "change": decode(proposal.change),
        "deadline": from_ms(proposal.deadline_ms),
        "majority": proposal.majority,
        "votes": {voter: "aye" if aye else "nay" for voter, (aye, _) in sorted(proposal.votes.items())},
    }


def cluster_page(facts: Facts, *, short: bool = False) -> str:
    """The same for a person."""
    era = "no era is open" if facts["era"] is None else f"era {facts['era']} is open"
    lines = [
        f"cluster {facts['cluster']} · {era} · decides by {facts['majority']}",
        "",
        f"  manager       {facts['manager']}",
        *(f"  orchestrator  {key}" for key in facts["orchestrators"]),
        *(f"  node          {n['node']}  {n['status']:<9}  {n['provider']}" for n in facts["nodes"]),
        f"  seats         {len(facts['seats'])}: the manager and the providers of validated nodes",
        "",
        *(f"  {name:<28}  {value}" for name, value in _flat(facts["parameters"])),
    ]
    for proposal in facts["proposals"]:
        ayes = sum(said == "aye" for said in proposal["votes"].values())
        votes = (
            f"votes until {proposal['deadline']}, {ayes} ayes so far"
            if proposal["status"] == "open"
            else "waits for an era"
        )
        lines += ["", f"  proposal {proposal['proposal']}, {proposal['status']}: {votes}"]
        lines += [f"    {name}: {value}" for name, value in _flat(proposal["change"])]
    text = "\n".join(lines)
    return shorten(text) if short else text


def _flat(values: Facts, prefix: str = "") -> list[tuple[str, Any]]:
    """Values by their whole names: ``prices.put``."""
    flat: list[tuple[str, Any]] = []
    for name, value in values.items():
        flat += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return flat
