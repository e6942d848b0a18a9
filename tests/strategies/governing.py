"""What seats sign, for tests: proposals, votes, departures; and a course of them with every kind of change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from proofroom.adapters.cast import Cast
from proofroom.adapters.keys import Key
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.signing import Signer
from proofroom.domain.statements.proposals import NodeLeft, Proposal, ProposalVote

if TYPE_CHECKING:
    from proofroom.testing.histories import History

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def propose(
    cast: Cast,
    number: int,
    change: dict[str, Any],
    *others: Signer,
    by: Signer | None = None,
    ahead_ms: int = HOUR_MS,
    **changes: Any,
) -> Envelope:
    """The manager, or somebody else, proposes a change; others are bound by it and sign too."""
    proposer = by or cast.manager
    fields: dict[str, Any] = {
        "ledger": cast.ledger,
        "cluster": cast.cluster,
        "proposal": number,
        "proposer": proposer.keyid,
        "change": change,
        "deadline": cast.now(ahead_ms),
    }
    return sign(Proposal.model_validate(fields | changes), proposer, *others)


def vote(cast: Cast, number: int, voter: Signer, aye: bool = True, **changes: Any) -> Envelope:
    """A seat votes."""
    fields: dict[str, Any] = {
        "ledger": cast.ledger,
        "cluster": cast.cluster,
        "proposal": number,
        "voter": voter.keyid,
        "aye": aye,
        "created_at": cast.now(),
    }
    return sign(ProposalVote(**fields | changes), voter)


def leave(cast: Cast, node: str, provider: Signer, **changes: Any) -> Envelope:
    """A provider takes a node out."""
    fields: dict[str, Any] = {"ledger": cast.ledger, "cluster": cast.cluster, "node": node, "created_at": cast.now()}
    return sign(NodeLeft(**fields | changes), provider)


def settings(**values: str | int) -> dict[str, Any]:
    """A change of parameters; ``prices__put`` stands for ``prices.put``."""
    return {"what": "parameters", "set": {name.replace("__", "."): value for name, value in values.items()}}


def admission(node: str, provider: Signer, runtime: Signer) -> dict[str, Any]:
    """A change that admits a node."""
    return {
        "what": "admit-node",
        "node": {"node": node, "provider": provider.keyid, "runtime_key": runtime.keyid},
    }


def validation(node: str) -> dict[str, Any]:
    """A change that validates a node."""
    return {"what": "validate-node", "node": node}


def orchestrators(*keys: Signer) -> dict[str, Any]:
    """A change of the orchestrators."""
    return {"what": "orchestrators", "orchestrators": [k.keyid for k in keys]}


def new_manager(manager: Signer) -> dict[str, Any]:
    """A change of the manager."""
    return {"what": "manager", "manager": manager.keyid}


def seated(cast: Cast) -> list[Signer]:
    """The founders, who have all seats at first."""
    return [cast.manager, *cast.providers]


def pass_all(history: History, *changes: tuple[Any, ...], voters: Iterable[Signer] | None = None) -> list[int]:
    """Propose changes (each with who else signs), have all founders vote for them, and let the deadline come. Their numbers."""
    cast = history.cast
    first = history.state.clusters[cast.cluster].proposed
    numbers = list(range(first, first + len(changes)))
    for number, (change, *others) in zip(numbers, changes, strict=True):
        history.write(propose(cast, number, change, *others))
        for voter in seated(cast) if voters is None else voters:
            history.write(vote(cast, number, voter))
    history.tick(HOUR_MS)
    return numbers


def next_era(history: History, opener: Key | None = None) -> None:
    """Close the open era, if there is one, and open the next a second later; a new manager opens it, and goes on as the cast's."""
    cluster = history.state.clusters[history.cast.cluster]
    history.sleep(1_000)
    if cluster.open:
        history.write(history.cast.close_era(cluster.opened))
    history.cast.manager = opener or history.cast.manager
    history.write(history.cast.open_era(cluster.opened + 1))


def govern(history: History) -> None:
    """A short course with each kind of statement: changes that fit alone and not together; a node comes and goes; a new manager."""
    from proofroom.testing.keys import key

    cast, provider, runtime, manager = history.cast, key("provider-9"), key("runtime-9"), key("manager-2")
    pass_all(
        history,
        (admission("node-9", provider, runtime), provider, runtime),
        (settings(majority="two-thirds", shares__treasury=str(6 * 10**17)),),
        (settings(shares__reserve=str(6 * 10**17)),),
    )
    next_era(history)
    pass_all(history, (new_manager(manager), manager), voters=cast.providers)
    history.write(cast.deposit(manager.keyid, 10**12, account="cluster-bond"), leave(cast, "node-9", provider))
    next_era(history, manager)
