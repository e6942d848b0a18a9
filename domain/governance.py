"""Founding a cluster, opening and closing its eras (protocol 6). How a cluster changes later: :mod:`proofroom.domain.proposals`."""

from __future__ import annotations

from immutables import Map

from proofroom.domain import activity
from proofroom.domain.accounts import bond_account
from proofroom.domain.canonical import encode
from proofroom.domain.carry import admit
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.entry import Entry
from proofroom.domain.errors import (
    AlreadyRecorded,
    BadParameters,
    EraNotOpen,
    TimesOutOfOrder,
    UnderBonded,
    Unregistered,
    UnsealedRecords,
    WrongNumber,
)
from proofroom.domain.ids import to_ms
from proofroom.domain.money import RATIO_ONE, parse_amount, parse_ratio
from proofroom.domain.state import Cluster, Due, Era, NodeFacts, Parameters, State, schedule
from proofroom.domain.statements import governance as g
from proofroom.domain.unlocking import get_free

PRICE_LIMIT = 10**18
"""Prices lie below this, so that no era's charges leave the range of amounts."""


def apply_cluster_founded(state: State, entry: Entry, s: g.ClusterFounded) -> State:
    """A cluster begins with its first parameters and nodes, which all founders vouch for: these are validated.

    Raises:
        AlreadyRecorded: the name is taken.
        BadParameters: nodes or parameters contradict each other.
    """
    check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    if s.cluster in state.clusters:
        raise AlreadyRecorded(what="cluster", key=s.cluster)
    nodes = {n.node: NodeFacts(n.provider, n.runtime_key) for n in s.nodes}
    if len(nodes) < len(s.nodes) or len({n.runtime_key for n in s.nodes}) < len(s.nodes):
        raise BadParameters(why="two nodes share a name or a runtime key")
    strangers = {n.provider for n in s.nodes} - set(s.providers)
    if strangers:
        raise BadParameters(why=f"a node belongs to {min(strangers)}, who is not a founding provider")
    cluster = Cluster(
        s.manager,
        Map(nodes),
        tuple(sorted(set(s.orchestrators))),
        read_parameters(s.parameters),
        encode(s.parameters.to_json()),
        s.parameters.majority,
    )
    return state._replace(
        clusters=state.clusters.set(s.cluster, cluster),
        validators=state.validators.set(s.cluster, Map()),
    )


def read_parameters(p: g.Parameters) -> Parameters:
    """The parameters as integers.

    Raises:
        BadParameters: shares above the whole, or a price out of range.
    """
    prices = {name: parse_amount(text) for name, text in p.prices.to_json().items()}
    shares = {f"{name}_share": parse_ratio(text) for name, text in p.shares.to_json().items()}
    if max(prices.values()) >= PRICE_LIMIT:
        raise BadParameters(why="a price is 10^18 base units or more")
    if sum(shares.values()) > RATIO_ONE:
        raise BadParameters(why="the shares sum to more than the whole")
    return Parameters(
        **prices,
        **shares,
        committee=p.attestation.committee,
        escalations=p.attestation.escalations,
        beacon_ms=p.attestation.beacon_ms,
        commit_ms=p.attestation.commit_ms,
        reveal_ms=p.attestation.reveal_ms,
        cpu_tolerance=parse_ratio(p.attestation.cpu_tolerance),
        gpu_tolerance=parse_ratio(p.attestation.gpu_tolerance),
        bytes_tolerance=parse_ratio(p.attestation.bytes_tolerance),
        cluster_bond=parse_amount(p.bonds.cluster_minimum),
        validator_bond=parse_amount(p.bonds.validator_minimum),
        slash_floor=parse_amount(p.bonds.slash_floor),
        slash_multiple=p.bonds.slash_multiple,
        suspend_after=p.attestation.suspend_after or 0,
        era_seconds=p.era_seconds,
        carries_late=p.late_records == "next-era",
    )


def whole_seconds(what: str, time: str) -> int:
    """The time in seconds.

    Raises:
        TimesOutOfOrder: it has a fraction.
    """
    ms = to_ms(time)
    if ms % 1000:
        raise TimesOutOfOrder(what=f"{what} {time} is not in whole seconds")
    return ms // 1000


def apply_era_opened(state: State, entry: Entry, s: g.EraOpened) -> State:
    """The next era opens, bound to the parameters now in force. It ends by itself after ``era_seconds``.

    Late records that the era before left to it stand before its own.

    Raises:
        Unregistered, WrongNumber, EraNotOpen: no such cluster, not the next number, or the era before is still open.
        UnderBonded: the cluster's bond is below its minimum.
        TimesOutOfOrder, FromTheFuture: it would start before the last one ended, be over already, or start too far ahead.
    """
    cluster = state.clusters.get(s.cluster)
    if cluster is None:
        raise Unregistered(what="cluster", key=s.cluster)
    if s.era != cluster.opened + 1:
        raise WrongNumber(what="the era", number=s.era, expected=cluster.opened + 1)
    if cluster.open:
        raise EraNotOpen(cluster=s.cluster, era=cluster.opened, status="open still")
    bond = get_free(state, bond_account(s.cluster, cluster.manager))
    if bond < cluster.parameters.cluster_bond:
        raise UnderBonded(cluster=s.cluster, bond=str(bond), minimum=str(cluster.parameters.cluster_bond))
    check_not_ahead("start", s.start, entry.recorded_at_ms)
    start = whole_seconds("start", s.start)
    end = start + cluster.parameters.era_seconds
    if start < cluster.last_end or end * 1000 <= entry.recorded_at_ms:
        raise TimesOutOfOrder(
            what=f"era {s.era} would start at {s.start}, before the last one ended, or be over already"
        )
    key = (s.cluster, s.era)
    state = state._replace(
        clusters=state.clusters.set(
            s.cluster, cluster._replace(opened=s.era, open=True, unpaid=(*cluster.unpaid, s.era))
        ),
        eras=state.eras.set(key, Era(cluster.parameters, entry.index, start, end)),
        agenda=schedule(state.agenda, Due(end * 1000, "era", *key)),
    )
    return admit(state, s.cluster, s.era)


def apply_era_close(state: State, entry: Entry, s: g.EraClose) -> State:
    """The manager ends the era before its time; ``era-sealed`` is due at once.

    Raises:
        UnsealedRecords: records are in no batch, and closing would leave them unpaid, unless they go to the next era.
        TimesOutOfOrder: the end is not after the start, or not yet reached.
    """
    _, era = activity.open_era(state, s.cluster, s.era)
    late = len(activity.unsealed(era))
    if late and not era.parameters.carries_late:
        raise UnsealedRecords(cluster=s.cluster, era=s.era, records=late)
    end = whole_seconds("end", s.end)
    if not era.start < end <= entry.recorded_at_ms // 1000 or end > era.end:
        raise TimesOutOfOrder(what=f"the era cannot end at {s.end}")
    key = (s.cluster, s.era)
    return state._replace(
        eras=state.eras.set(key, era._replace(end=end)),
        agenda=schedule(state.agenda, Due(entry.recorded_at_ms, "era", *key)),
    )
