"""The authority table: for each kind, who must sign it and which rule applies it.

Everything that a statement must fulfil besides (its precondition and unique key) is the rule's own first lines. Derived kinds have no
rule of their own for validity: they must equal what :mod:`proofroom.domain.transition` derives.

===================== ======================================= ==========================================================
kind                  signed by                               unique by
===================== ======================================= ==========================================================
genesis               ledger, checkpoint                      being entry 0
key-rotated           the identity, its new key               every key
identity              the identity, recovery keys new and old every key
compromise            recovery key, new key                   every key
vault-opened          wallet                                  vault id
grant, grant-wire     wallet                                  user, agent service; strictly newer ``created_at``
delegation            delegator                               user, agent service, delegator; strictly newer
agent-key             agent service, derived key              derived key
payer                 customer                                customer, agent service, cluster; strictly newer
erased                wallet                                  vault scope, epoch or payload
cluster-founded       manager, every founding provider        cluster
validator-registered  validator, controller                   cluster, validator
deposit               bank                                    bank, reference
marketplace           owner                                   marketplace; strictly newer ``created_at``
listing               agent service                           agent service, listing; strictly newer ``created_at``
withdrawal            owner                                   account; strictly newer ``created_at``
era-opened            manager in that era                     cluster, era
era-close             manager                                 cluster, era
proposal              proposer, whom the change binds         cluster, number
proposal-vote         voter                                   cluster, number, voter; strictly newer ``created_at``
node-left             provider                                cluster, node
activity              derived key, orchestrator, runtime      record id, in its era
batch-sealed          orchestrator                            cluster, era, number
beacon-revealed       validator                               cluster, round, validator
vote-committed        validator                               cluster, round, validator
vote-revealed         validator                               cluster, round, validator
round-opened          ledger (derived)                        cluster, round
round-tallied         ledger (derived)                        cluster, round
equivocation          reporter (and the accused, inside)      cluster, validator
false-beacon          reporter (and the accused, inside)      cluster, validator
validator-left        validator                               cluster, validator
slashed               ledger (derived)                        node and era, or evidence
node-removed          ledger (derived)                        cluster, node
validator-suspended   ledger (derived)                        cluster, validator, era
era-sealed, era-paid  ledger (derived)                        cluster, era
payout                ledger (derived)                        cluster, era, line
repayment             ledger (derived)                        cluster, deposit, line
proposal-decided      ledger (derived)                        cluster, number
proposal-enacted      ledger (derived)                        cluster, number
withdrawal-paid       ledger (derived)                        index of the withdrawal
tick                  ledger                                  index
===================== ======================================= ==========================================================

Statements name parties by their first keys; who must sign is the key that is in force for each at the entry's index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from proofroom.domain import (
    activity,
    consent,
    debts,
    delegation,
    deposits,
    eras,
    erasure,
    evidence,
    governance,
    marketplace,
    penalties,
    proposals,
    rotation,
    rounds,
    validators,
    verdicts,
    withdrawals,
)
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Verified
from proofroom.domain.errors import ExtraSignature, KeyNotInForce, MissingRole, SharedKey, Unregistered, WrongIndex
from proofroom.domain.identity import key_in_force, keyring, recovery_key
from proofroom.domain.ids import KeyId
from proofroom.domain.state import State
from proofroom.domain.statements import activity as ac
from proofroom.domain.statements import attestation as at
from proofroom.domain.statements import consent as co
from proofroom.domain.statements import governance as go
from proofroom.domain.statements import identity as idn
from proofroom.domain.statements import ledger as le
from proofroom.domain.statements import marketplace as ma
from proofroom.domain.statements import offences as of
from proofroom.domain.statements import proposals as pr
from proofroom.domain.statements import settlement as se
from proofroom.domain.statements import withdrawals as wi


class Rule(NamedTuple):
    """How a kind is authorised and applied."""

    roles: Callable[[State, Any], dict[str, KeyId]]
    """Role -> the identity whose key in force must sign in it."""
    apply: Callable[[State, Entry, Any], State]
    derived: bool = False


def check_authority(state: State, rule: Rule, verified: Verified) -> None:
    """Exactly the required keys signed, one for each role.

    Raises:
        NamedByLaterKey: it names a party by another key than its first.
        SharedKey: two roles name one key.
        MissingRole: a required signature is not there.
        ExtraSignature: a key signed that has no role.
    """
    identities = rule.roles(state, verified.statement)
    keys = [key_in_force(state, identity) for identity in identities.values()]
    required = set(keys)
    if len(required) < len(keys):
        raise SharedKey(kind=verified.kind, keyid=next(k for k in keys if keys.count(k) > 1))
    if required == verified.keys:
        return
    for role, key in zip(identities, keys, strict=True):
        if key not in verified.keys:
            raise MissingRole(kind=verified.kind, role=role, keyid=key)
    raise ExtraSignature(kind=verified.kind, keyid=min(verified.keys - required))


def _recovering(state: State, s: idn.Identity) -> dict[str, KeyId]:
    former = keyring(state, s.identity).recovery
    return {"identity": s.identity, "recovery key": s.recovery_key} | (
        {} if former is None else {"former recovery key": former}
    )


def _recovered(state: State, s: idn.Compromise) -> dict[str, KeyId]:
    return {"recovery key": recovery_key(state, s.identity), "new key": s.new_key}


def _ledger(state: State, s: object) -> dict[str, KeyId]:
    assert state.founding is not None
    return {"ledger": state.founding.ledger_key}


def _validator(
    state: State, s: at.BeaconRevealed | at.VoteCommitted | at.VoteRevealed | of.ValidatorLeft
) -> dict[str, KeyId]:
    return {"validator": s.validator}


def _reporter(state: State, s: of.Equivocation | of.FalseBeacon) -> dict[str, KeyId]:
    return {"reporter": s.reporter}


def _wallet(state: State, s: co.GrantFields | co.VaultOpened | co.Erased) -> dict[str, KeyId]:
    return {"wallet": s.user_pub_key}


def _manager(state: State, s: go.EraOpened | go.EraClose) -> dict[str, KeyId]:
    cluster = state.clusters.get(s.cluster)
    if cluster is None:
        raise Unregistered(what="cluster", key=s.cluster)
    return {"manager": cluster.manager}


def _proposing(state: State, s: pr.Proposal) -> dict[str, KeyId]:
    """The proposer, and whoever else the change binds: nobody gets a node or an office without their signature."""
    roles = {"proposer": s.proposer}
    if isinstance(s.change, pr.Admission):
        roles |= {"runtime": s.change.node.runtime_key}
        others = {"provider": s.change.node.provider}
    else:
        others = {"new manager": s.change.manager} if isinstance(s.change, pr.NewManager) else {}
    return roles | {role: key for role, key in others.items() if key != s.proposer}


def _provider(state: State, s: pr.NodeLeft) -> dict[str, KeyId]:
    cluster = state.clusters.get(s.cluster)
    node = cluster.nodes.get(s.node) if cluster else None
    if node is None:
        raise Unregistered(what="node", key=f"{s.node} of {s.cluster}")
    return {"provider": node.provider}


def _opener(state: State, s: go.EraOpened) -> dict[str, KeyId]:
    """Who manages the cluster in the era that opens: an incumbent cannot hold back its successor."""
    _manager(state, s)
    state = proposals.enact(state, s.cluster, governance.whole_seconds("start", s.start) * 1000)
    return {"manager": state.clusters[s.cluster].manager}


def _bank(state: State, s: se.Deposit) -> dict[str, KeyId]:
    assert state.founding is not None
    if s.bank not in state.founding.bank_keys:
        raise KeyNotInForce(keyid=s.bank, role="bank")
    return {"bank": s.bank}


def _founders(state: State, s: go.ClusterFounded) -> dict[str, KeyId]:
    return {"manager": s.manager, **{f"provider {i}": key for i, key in enumerate(s.providers)}}


def _source(state: State, s: ac.Activity) -> dict[str, KeyId]:
    return {
        "agent-derived-key": s.signers.agent_derived_key,
        "orchestrator": s.signers.orchestrator,
        "agent-runtime": s.signers.agent_runtime,
    }


def _apply_era_opened(state: State, entry: Entry, s: go.EraOpened) -> State:
    """The era opens with the changes that passed since the last one."""
    state = proposals.enact(state, s.cluster, governance.whole_seconds("start", s.start) * 1000)
    return governance.apply_era_opened(state, entry, s)


def _apply_batch(state: State, entry: Entry, s: ac.BatchSealed) -> State:
    state, records = activity.seal_batch(state, s)
    return rounds.start_round(state, entry, s, records)


def _apply_tick(state: State, entry: Entry, s: le.Tick) -> State:
    if s.index != entry.index:
        raise WrongIndex(index=s.index, expected=entry.index)
    return state


AUTHORITY: dict[str, Rule] = {
    idn.KeyRotated.kind: Rule(lambda _, s: {"identity": s.identity, "new key": s.new_key}, rotation.apply_key_rotated),
    idn.Identity.kind: Rule(_recovering, rotation.apply_identity),
    idn.Compromise.kind: Rule(_recovered, rotation.apply_compromise),
    co.VaultOpened.kind: Rule(_wallet, consent.apply_vault_opened),
    co.Grant.kind: Rule(_wallet, consent.apply_grant),
    co.WireGrant.kind: Rule(_wallet, consent.apply_grant),
    co.Delegation.kind: Rule(lambda _, s: {"delegator": s.delegator}, delegation.apply_delegation),
    co.AgentKey.kind: Rule(lambda _, s: {"agent service": s.agent, "derived key": s.key}, consent.apply_agent_key),
    co.Payer.kind: Rule(lambda _, s: {"customer": s.customer}, consent.apply_payer),
    co.Erased.kind: Rule(_wallet, erasure.apply_erased),
    go.ClusterFounded.kind: Rule(_founders, governance.apply_cluster_founded),
    go.EraOpened.kind: Rule(_opener, _apply_era_opened),
    go.EraClose.kind: Rule(_manager, governance.apply_era_close),
    pr.Proposal.kind: Rule(_proposing, proposals.apply_proposal),
    pr.ProposalVote.kind: Rule(lambda _, s: {"voter": s.voter}, proposals.apply_vote),
    pr.ProposalDecided.kind: Rule(_ledger, proposals.apply_decided, derived=True),
    pr.ProposalEnacted.kind: Rule(_ledger, proposals.apply_enacted, derived=True),
    pr.NodeLeft.kind: Rule(_provider, proposals.apply_node_left),
    ac.Activity.kind: Rule(_source, activity.apply_activity),
    ac.BatchSealed.kind: Rule(lambda _, s: {"orchestrator": s.orchestrator}, _apply_batch),
    at.ValidatorRegistered.kind: Rule(
        lambda _, s: {"validator": s.validator, "controller": s.controller}, validators.apply_validator_registered
    ),
    at.BeaconRevealed.kind: Rule(_validator, rounds.apply_beacon_revealed),
    at.VoteCommitted.kind: Rule(_validator, rounds.apply_vote_committed),
    at.VoteRevealed.kind: Rule(_validator, rounds.apply_vote_revealed),
    at.RoundOpened.kind: Rule(_ledger, rounds.apply_round_opened, derived=True),
    at.RoundTallied.kind: Rule(_ledger, verdicts.apply_round_tallied, derived=True),
    of.Equivocation.kind: Rule(_reporter, evidence.apply_equivocation),
    of.FalseBeacon.kind: Rule(_reporter, evidence.apply_false_beacon),
    of.ValidatorLeft.kind: Rule(_validator, validators.apply_validator_left),
    of.Slashed.kind: Rule(_ledger, penalties.apply_slashed, derived=True),
    of.NodeRemoved.kind: Rule(_ledger, penalties.apply_node_removed, derived=True),
    of.ValidatorSuspended.kind: Rule(_ledger, penalties.apply_validator_suspended, derived=True),
    se.Deposit.kind: Rule(_bank, deposits.apply_deposit),
    ma.Marketplace.kind: Rule(lambda _, s: {"owner": s.owner}, marketplace.apply_marketplace),
    ma.Listing.kind: Rule(lambda _, s: {"agent service": s.agent}, marketplace.apply_listing),
    wi.Withdrawal.kind: Rule(lambda _, s: {"owner": s.owner}, withdrawals.apply_withdrawal),
    wi.WithdrawalPaid.kind: Rule(_ledger, withdrawals.apply_withdrawal_paid, derived=True),
    se.EraSealed.kind: Rule(_ledger, eras.apply_era_sealed, derived=True),
    se.Payout.kind: Rule(_ledger, eras.apply_payout, derived=True),
    se.EraPaid.kind: Rule(_ledger, eras.apply_era_paid, derived=True),
    se.Repayment.kind: Rule(_ledger, debts.apply_repayment, derived=True),
    le.Tick.kind: Rule(_ledger, _apply_tick),
}
"""Kind -> rule, for every kind but genesis."""
