"""What is refused of consent."""

from __future__ import annotations

from typing import Any

from proofroom.domain import errors
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import SKEW_MS, Digest, record_id
from proofroom.domain.statements.activity import Signers
from proofroom.domain.statements.consent import Limits
from proofroom.testing.histories import START_MS, History, resign
from proofroom.testing.keys import key
from strategies.consenting import delegate
from strategies.refusals.cases import NOWHERE, refused


@refused(errors.FromTheFuture, field="created_at", time="2026-03-01T09:05:02.001Z")
def _vault_from_the_future(h: History) -> Envelope:
    return resign(h.cast.open_vault(), vaultId="v-2", created_at=h.cast.now(SKEW_MS + 1))


@refused(errors.AlreadyRecorded, what="vault", key="v-7c21")
def _vault_of_another(h: History) -> Envelope:
    stranger = key("stranger")
    claim = resign(h.cast.open_vault(), user_pub_key=stranger.keyid, extra=[stranger])
    return resign(claim, without=[h.cast.user.keyid])


@refused(errors.StaleVersion, what="the grant", created_at="2026-03-01T09:00:00.0Z", newest="2026-03-01T09:00:00Z")
def _grant_of_the_same_moment(h: History) -> Envelope:
    return h.cast.grant(created_at="2026-03-01T09:00:00.0Z")


@refused(errors.TimesOutOfOrder, what="expires_at 2026-03-01T09:00:02Z is not after created_at 2026-03-01T09:00:02Z")
def _grant_that_never_is(h: History) -> Envelope:
    return h.cast.grant(expires_at=h.cast.now())


@refused(errors.TimesOutOfOrder, what="expires_at 2026-03-01T09:00:02Z is not after created_at 2026-03-01T09:00:02Z")
def _payer_that_never_pays(h: History) -> Envelope:
    return h.cast.payer(key("sponsor"), 1, expires_at=h.cast.now())


@refused(errors.AlreadyRecorded, what="record", key=record_id(START_MS + 2_000, bytes(10)))
def _record_id_of_a_paid_era(h: History) -> Envelope:
    again = record_id(h.clock, bytes(10))
    h.write(h.cast.activity(h.grant, 0, record_id=again))
    h.attest(h.seal(0))
    h.write(h.cast.close_era(0), h.cast.open_era(1))
    return h.cast.activity(h.grant, 1, record_id=again)


@refused(errors.AlreadyRecorded, what="record", key=record_id(START_MS + 2_000, bytes(10)))
def _record_id_of_a_sealed_era(h: History) -> Envelope:
    again = record_id(h.clock, bytes(10))
    h.write(h.cast.activity(h.grant, 0, record_id=again))
    h.seal(0)
    h.write(h.cast.close_era(0), h.cast.open_era(1))
    return h.cast.activity(h.grant, 1, record_id=again)


@refused(errors.NotOwner, vault="v-b", owner=key("stranger").keyid)
def _grant_on_a_foreign_vault(h: History) -> Envelope:
    stranger = key("stranger")
    claim = resign(h.cast.open_vault(), user_pub_key=stranger.keyid, vaultId="v-b", extra=[stranger])
    h.write(resign(claim, without=[h.cast.user.keyid]))
    return h.cast.grant([("v-7c21", "calendar"), ("v-b", "calendar")], replace=True)


@refused(errors.ScopesInForce, in_force=("v-7c21 / calendar",))
def _grant_of_other_scopes(h: History) -> Envelope:
    return h.cast.grant([("v-7c21", "mail")])


@refused(errors.GrantAbsent, grant=NOWHERE)
def _record_without_a_grant(h: History) -> Envelope:
    other, derived = key("other-service"), key("other-derived")
    certificate = resign(h.cast.certify(), agent=other.keyid, key=derived.keyid, extra=[other, derived])
    h.write(resign(certificate, without=[h.cast.agent.keyid, h.cast.derived.keyid]))
    signers = {"agent-derived-key": derived.keyid, "orchestrator": h.cast.orchestrator.keyid}
    signers["agent-runtime"] = h.cast.runtimes[0].keyid
    statement = h.cast.record(Digest(NOWHERE), 0, agent=other.keyid, signers=Signers.model_validate(signers))
    return sign(statement, derived, h.cast.orchestrator, h.cast.runtimes[0])


@refused(errors.GrantRevoked, lambda h: {"grant": h.states[-2].grants[h.cast.user.keyid, h.cast.agent.keyid].digest})
def _record_after_revocation(h: History) -> Envelope:
    record = h.cast.activity(h.grant, 0)
    h.write(h.cast.grant(revoked=True))
    return record


@refused(errors.GrantSuperseded, lambda h: {"grant": NOWHERE, "in_force": h.grant})
def _record_under_another_version(h: History) -> Envelope:
    return h.cast.activity(Digest(NOWHERE), 0)


@refused(errors.GrantExpired, lambda h: {"grant": h.grant, "expires_at": "2026-03-01T09:00:03Z"})
def _record_that_ended_after_the_grant(h: History) -> Envelope:
    h.write(h.cast.grant(expires_at=h.cast.now(1_000)))
    h.sleep(2_000)
    return h.cast.activity(h.grant, 0, started_at=h.cast.now(-999), ended_at=h.cast.now(-999))


@refused(errors.OutOfScope, vault_scope="v-7c21 / calendar", granted=("v-7c21 / mail",))
def _record_out_of_scope(h: History) -> Envelope:
    h.write(h.cast.grant([("v-7c21", "mail")], replace=True))
    return h.cast.activity(h.grant, 0)


@refused(errors.OutOfScope, vault_scope="nobodys / calendar", granted=())
def _record_on_a_vault_nobody_opened(h: History) -> Envelope:
    return h.cast.activity(h.grant, 0, vault_scope="nobodys / calendar")


def passed_on(h: History, **changes: Any) -> Envelope:
    """The agent service passes on a delegable grant with every limit, but for these changes."""
    limits = Limits(operations=("read", "read + inference"), cpu_ms=1_000, gpu_units=1)
    h.write(h.cast.grant(limits=limits, delegable=True))
    fields: dict[str, Any] = {"limits": limits, **changes}
    return delegate(h.cast, h.cast.agent, key("sub-agent").keyid, h.grant, **fields)


@refused(errors.StaleVersion, what="the delegation", created_at="2026-03-01T09:00:02Z", newest="2026-03-01T09:00:02Z")
def _delegation_of_the_same_moment(h: History) -> Envelope:
    h.write(passed_on(h))
    return delegate(h.cast, h.cast.agent, key("sub-agent").keyid, h.grant, revoked=True)


@refused(errors.ScopesInForce, in_force=("v-7c21 / calendar",))
def _delegation_of_other_scopes(h: History) -> Envelope:
    h.write(passed_on(h))
    h.sleep(1)
    return delegate(h.cast, h.cast.agent, key("sub-agent").keyid, h.grant, [])


@refused(errors.GrantAbsent, grant=NOWHERE)
def _delegation_of_nothing(h: History) -> Envelope:
    return delegate(h.cast, key("sub-agent"), key("other").keyid, NOWHERE)


@refused(errors.GrantAbsent, lambda h: {"grant": h.entries[-1].verified.digest})
def _delegation_of_what_another_has(h: History) -> Envelope:
    h.write(passed_on(h))
    return delegate(h.cast, key("stranger"), key("other").keyid, h.entries[-1].verified.digest)


@refused(errors.NotDelegable, lambda h: {"grant": h.grant})
def _delegation_of_a_plain_grant(h: History) -> Envelope:
    return delegate(h.cast, h.cast.agent, key("sub-agent").keyid, h.grant)


@refused(errors.ChainTooLong, lambda h: {"grant": h.entries[-1].verified.digest, "limit": 3})
def _fourth_delegation_in_a_row(h: History) -> Envelope:
    limits, metadata = Limits(operations=("read",), cpu_ms=1, gpu_units=0), {"delegable": True}
    h.write(passed_on(h, metadata=metadata))

    def further(delegator: str, agent: str) -> Envelope:
        parent = h.entries[-1].verified.digest
        return delegate(h.cast, key(delegator), key(agent).keyid, parent, limits=limits, metadata=metadata)

    h.write(further("sub-agent", "sub-2"))
    h.write(further("sub-2", "sub-3"))
    return further("sub-3", "sub-4")


@refused(errors.NotNarrower, lambda h: {"what": "scopes", "grant": h.grant})
def _delegation_of_another_scope(h: History) -> Envelope:
    return passed_on(h, scopes=["v-7c21 / calendar", "v-7c21 / mail"])
