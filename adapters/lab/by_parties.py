"""Attacks through the front door: parties that misuse their own keys, and what others signed. They need the lab's own room."""

from __future__ import annotations

from typing import Any

from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.lab.attack import Attack, Caught, Scene, attack
from proofroom.adapters.lab.stage import stage_key
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.hashing import tagged
from proofroom.domain.ids import Digest
from proofroom.domain.statements.fields import Compute
from proofroom.domain.voting import make_vote

BY_PARTIES: list[Attack] = []


def _cast(scene: Scene) -> Cast:
    assert scene.stage is not None
    return scene.stage.cast


def _grant(scene: Scene) -> Digest:
    cast = _cast(scene)
    with scene.ledger() as ledger:
        return ledger.state.grants[cast.user.keyid, cast.agent.keyid].digest


def _record(scene: Scene, **changes: Any) -> Envelope:
    """A record under the grant in force, in the open era."""
    return _cast(scene).activity(_grant(scene), 1, Work(), **changes)


@attack("revoked-grant-used", "party", "grant-revoked", BY_PARTIES)
def _revoked_grant_used(scene: Scene) -> Caught | None:
    """An agent goes on under a grant that the wallet has revoked."""
    cast = _cast(scene)
    return scene.knock(cast.grant(revoked=True, created_at=cast.now(1)), _record(scene))


@attack("scope-exceeded", "party", "out-of-scope", BY_PARTIES)
def _scope_exceeded(scene: Scene) -> Caught | None:
    """An agent certifies a key for a scope that it was not granted, and records work on it."""
    cast = _cast(scene)
    other = Cast(cast.ledger, cast.clock, stage_key, scope="health", chain=1)
    record = other.record(_grant(scene), 1)
    return scene.knock(other.certify(), sign(record, other.derived, other.orchestrator, other.runtimes[0]))


@attack("limit-exceeded", "party", "over-limit", BY_PARTIES)
def _limit_exceeded(scene: Scene) -> Caught | None:
    """An agent burns more processor time than the grant allows."""
    return scene.knock(_cast(scene).activity(_grant(scene), 1, Work(100_001)))


@attack("grant-by-another-wallet", "party", "not-owner", BY_PARTIES)
def _grant_by_another(scene: Scene) -> Caught | None:
    """A wallet grants a scope of a vault that belongs to somebody else."""
    cast = _cast(scene)
    thief = Cast(cast.ledger, cast.clock, lambda name: stage_key("thief" if name == "wallet" else name), chain=1)
    return scene.knock(thief.grant())


@attack("grant-replayed", "party", "stale-version", BY_PARTIES)
def _grant_replayed(scene: Scene) -> Caught | None:
    """After a revocation, the agent presents a grant that the wallet signed earlier and never sent."""
    cast = _cast(scene)
    early = cast.grant(created_at=cast.now(1), replace=True)
    return scene.knock(cast.grant(revoked=True, created_at=cast.now(2)), early)


@attack("record-twice", "party", "already-recorded", BY_PARTIES)
def _record_twice(scene: Scene) -> Caught | None:
    """The same run is recorded again with more processor time under the same id."""
    cast = _cast(scene)
    record = cast.record(_grant(scene), 1)
    more = record.model_copy(update={"compute": Compute(cpu_ms=9_999, gpu_units=0)})
    signers = (cast.derived, cast.orchestrator, cast.runtimes[0])
    return scene.knock(sign(record, *signers), sign(more, *signers))


@attack("record-in-a-paid-era", "party", "era-not-open", BY_PARTIES)
def _record_in_paid_era(scene: Scene) -> Caught | None:
    """Work is recorded into an era that is paid."""
    return scene.knock(_cast(scene).activity(_grant(scene), 0))


@attack("customer-not-asked", "party", "not-payer", BY_PARTIES)
def _customer_not_asked(scene: Scene) -> Caught | None:
    """Work is charged to somebody who signed nothing."""
    return scene.knock(_record(scene, customer=stage_key("bystander").keyid))


@attack("runtime-impersonated", "party", "key-not-in-force", BY_PARTIES)
def _runtime_impersonated(scene: Scene) -> Caught | None:
    """A node's record is signed by the runtime of another."""
    cast = _cast(scene)
    record = cast.record(_grant(scene), 1, node=0)
    signers = record.signers.model_copy(update={"agent_runtime": cast.runtimes[1].keyid})
    changed = record.model_copy(update={"signers": signers})
    return scene.knock(sign(changed, cast.derived, cast.orchestrator, cast.runtimes[1]))


@attack("batch-with-a-record-left-out", "party", "batch-mismatch", BY_PARTIES)
def _batch_left_out(scene: Scene) -> Caught | None:
    """The orchestrator seals a batch over something else than its oldest records."""
    with scene.ledger() as ledger:
        batches = ledger.state.eras[_cast(scene).cluster, 1].batches
    return scene.knock(_cast(scene).seal(1, batches, [bytes(32)]))


@attack("deposit-replayed", "party", "already-recorded", BY_PARTIES)
def _deposit_replayed(scene: Scene) -> Caught | None:
    """A transfer is credited a second time under the same reference."""
    cast = _cast(scene)
    return scene.knock(cast.deposit(cast.user.keyid, 10**12 + 1, reference="wire-1"))


@attack("statement-of-another-ledger", "party", "other-ledger", BY_PARTIES)
def _other_ledger(scene: Scene) -> Caught | None:
    """What was signed for one ledger is presented to another."""
    cast = _cast(scene)
    elsewhere = Cast(Digest(tagged(bytes(32))), cast.clock, stage_key, chain=1)
    return scene.knock(elsewhere.deposit(cast.user.keyid, 10**12))


@attack("vote-copied", "party", "false-reveal", BY_PARTIES)
def _vote_copied(scene: Scene) -> Caught | None:
    """A validator signs the commitment of another as its own, and shows the vote of the other when that is known."""
    cast, vote = _cast(scene), make_vote(2)
    with scene.ledger() as ledger:
        state = ledger.state
        author, copier, *others = cast.members(state, 1)
        ledger.append_many([cast.commit(state, 1, i, vote) for i in (author, *others)])
        ledger.append(cast.commit(state, 1, copier, vote, bound_to=author))
        ledger.append(cast.reveal(1, author, vote))
    return scene.knock(cast.reveal(1, copier, vote, salt_of=author))


@attack("vote-changed", "party", "false-reveal", BY_PARTIES)
def _vote_changed(scene: Scene) -> Caught | None:
    """A validator shows another vote than it committed to."""
    cast = _cast(scene)
    with scene.ledger() as ledger:
        members = cast.members(ledger.state, 1)
        ledger.append_many([cast.commit(ledger.state, 1, i, make_vote(2)) for i in members])
    return scene.knock(cast.reveal(1, members[0], make_vote(2, {0: "overclaimed-cpu"})))


@attack("vote-counted-twice", "party", "already-recorded", BY_PARTIES)
def _vote_twice(scene: Scene) -> Caught | None:
    """A validator commits to two votes in one round."""
    cast = _cast(scene)
    with scene.ledger() as ledger:
        state = ledger.state
        first = cast.members(state, 1)[0]
    return scene.knock(
        cast.commit(state, 1, first, make_vote(2)), cast.commit(state, 1, first, make_vote(2, {0: "unobserved"}))
    )


@attack("vote-by-an-outsider", "party", "not-assigned", BY_PARTIES)
def _vote_by_outsider(scene: Scene) -> Caught | None:
    """A validator that was not drawn votes."""
    cast = _cast(scene)
    with scene.ledger() as ledger:
        state = ledger.state
    outsider = next(i for i in range(len(cast.validators)) if i not in cast.members(state, 1))
    return scene.knock(cast.commit(state, 1, outsider, make_vote(2)))


@attack("vote-too-early", "party", "wrong-phase", BY_PARTIES)
def _vote_too_early(scene: Scene) -> Caught | None:
    """A vote is shown while others can still commit."""
    cast = _cast(scene)
    with scene.ledger() as ledger:
        state = ledger.state
        first = cast.members(state, 1)[0]
    return scene.knock(cast.commit(state, 1, first, make_vote(2)), cast.reveal(1, first, make_vote(2)))


@attack("beacon-invented", "party", "false-reveal", BY_PARTIES)
def _beacon_invented(scene: Scene) -> Caught | None:
    """A validator reveals a value that it chose now, to steer the draw."""
    cast = _cast(scene)
    with scene.ledger() as ledger:
        ledger.append(cast.seal_all(ledger.state, 1))
    strange = Cast(cast.ledger, cast.clock, stage_key, chain=51)
    return scene.knock(strange.reveal_beacon(2, 0))


@attack("derived-statement-by-a-party", "party", "not-due", BY_PARTIES)
def _derived_by_party(scene: Scene) -> Caught | None:
    """A party submits a payout of its own."""
    index = scene.find("payout", last=True)
    envelope = scene.entries()[index][1]
    return scene.knock(scene.by_ledger(envelope, lambda v: v.update(line=99)))
