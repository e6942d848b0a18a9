"""Consent: versions, limits and status, by example; ``tests/properties`` has every sequence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.cast import Cast, Work
from proofroom.domain.consent import GrantStatus, grant_status
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, verify
from proofroom.domain.errors import (
    FromTheFuture,
    GrantExpired,
    GrantRevoked,
    GrantSuperseded,
    KeyNotInForce,
    NotPayer,
    OverLimit,
    ProofroomError,
    ScopesInForce,
    TimesOutOfOrder,
)
from proofroom.domain.ids import SKEW_MS, Digest, from_ms
from proofroom.domain.permits import GrantVersion
from proofroom.domain.statements.consent import Limits, Metadata, ScopeContext, ScopeName
from proofroom.domain.transition import transition
from proofroom.testing.histories import START_MS, History, resign, wire_grant
from proofroom.testing.keys import deterministic_randomness, key
from strategies.consenting import started
from strategies.whole import whole_history

VERSION = GrantVersion(Digest(""), 0, 1, "", 0, "", 0, False, (), (), -1, -1, False)


@given(st.integers(0, 100), st.booleans(), st.integers(0, 100))
def test_status_at_a_time(expires: int, revoked: bool, at: int) -> None:
    """Revoked for ever, or expired after its last moment, or active; a grant without an end never expires."""
    version = VERSION._replace(expires_at_ms=expires, revoked=revoked)
    expected: GrantStatus = "revoked" if revoked else "expired" if 0 < expires < at else "active"
    assert grant_status(version, at) == expected
    assert grant_status(None, at) == "absent"


def test_versions_are_kept_as_they_were_signed() -> None:
    """A new version replaces all of the old one: scopes sorted and once each, limits that were not given absent."""
    history = started()
    cast = history.cast
    history.write(
        cast.grant(
            [("v-7c21", "mail"), ("v-7c21", "calendar"), ("v-7c21", "mail")],
            replace=True,
            limits=Limits(operations=("read",), cpu_ms=0, per="era"),
            expires_at="2026-03-02T00:00:00.5Z",
        )
    )
    version = history.state.grants[cast.user.keyid, cast.agent.keyid]
    assert version == GrantVersion(
        digest=history.entries[-1].verified.digest,
        log_index=history.entries[-1].index,
        version=2,
        created_at="2026-03-01T09:00:02Z",
        created_at_ms=START_MS + 2_000,
        expires_at="2026-03-02T00:00:00.5Z",
        expires_at_ms=START_MS + 15 * 3_600_000 + 500,
        revoked=False,
        scopes=("v-7c21 / calendar", "v-7c21 / mail"),
        operations=("read",),
        cpu_ms=0,
        gpu_micro=-1,
        per_era=True,
    )


def test_the_wire_form_of_a_grant_may_hold_a_fraction() -> None:
    """``gpu_units`` has up to six decimals in either form of a grant (protocol 1.1)."""
    history = started()
    scope = ScopeContext(context=ScopeName(vaultId="v-2", scopeId="mail"))
    metadata = Metadata(scopes=(scope,), limits=Limits(gpu_units=0.25))
    history.write(wire_grant(history, key("wallet-2"), "v-2", metadata=metadata))
    version = history.state.grants[key("wallet-2").keyid, history.cast.agent.keyid]
    assert (version.gpu_micro, version.cpu_ms) == (250_000, -1)


def test_a_conflict_names_what_is_in_force() -> None:
    """A create over other scopes is a conflict until it says ``replace``, or until the grant is revoked."""
    history = started()
    other = [("v-7c21", "mail")]
    with pytest.raises(ScopesInForce) as refused:
        history.record(history.cast.grant(other))
    assert refused.value.in_force == ("v-7c21 / calendar",)
    history.write(history.cast.grant(revoked=True))
    history.sleep(1)
    history.write(history.cast.grant(other))
    assert history.state.grants[history.cast.user.keyid, history.cast.agent.keyid].scopes == ("v-7c21 / mail",)


def test_revoking_ends_it_at_once() -> None:
    """No record that was made before but comes after the revocation is accepted, and an older version helps nobody."""
    history = started()
    record, old = history.cast.activity(history.grant, 0), history.grant
    history.write(history.cast.grant(revoked=True))
    with pytest.raises(GrantRevoked):
        history.record(record)
    history.sleep(1)
    history.write(history.cast.grant())
    with pytest.raises(GrantSuperseded) as refused:
        history.record(record)
    assert (refused.value.grant, refused.value.in_force) == (old, history.grant)


def test_revoking_needs_no_earlier_version() -> None:
    """A wallet may forbid what it never allowed."""
    history = History()
    history.write(history.cast.grant(revoked=True))
    assert history.state.grants[history.cast.user.keyid, history.cast.agent.keyid].revoked


@pytest.mark.parametrize(("per", "next_era"), [("grant", False), ("era", True)])
def test_limits_count_over_their_period(per: str, next_era: bool) -> None:
    """Limits per era start anew with the era; limits of the grant with a new version only; exactly the limit is allowed."""
    history = started()
    cast = history.cast
    limits = Limits.model_validate({"cpu_ms": 1_000, "per": per})
    history.write(cast.grant(limits=limits))
    history.work(0, Work(400), Work(600))
    history.seal(0)
    history.write(cast.close_era(0), cast.open_era(1))
    history.tick(60_000)
    if next_era:
        history.work(1, Work(1_000))
    with pytest.raises(OverLimit):
        history.record(cast.activity(history.grant, 1, Work(1)))
    history.write(cast.grant(limits=limits))
    history.work(1, Work(1_000))


def test_a_payer_may_change_its_mind() -> None:
    """A newer payer statement replaces cap and revocation; the cap counts what was recorded under the older one too."""
    history = started()
    cast, sponsor = history.cast, key("sponsor")
    history.write(cast.payer(sponsor, 2_000_000))
    history.work(0, Work(1_000), customer=sponsor.keyid)
    history.sleep(1)
    history.write(cast.payer(sponsor, 2_000_000 + 2_000))
    history.work(0, Work(1), customer=sponsor.keyid)
    with pytest.raises(OverLimit) as refused:
        history.record(cast.activity(history.grant, 0, Work(1), customer=sponsor.keyid))
    assert (refused.value.allowed, refused.value.asked) == ("2002000", "2004000")
    history.work(0, Work(10**6))  # the grant's own user has no cap
    assert from_ms(history.clock) == "2026-03-01T09:00:02.001Z"


def test_the_last_moment_of_each_permission() -> None:
    """Work that ended in the very millisecond in which grant, certificate and payer statement end is covered by all three."""
    history = History()
    cast, sponsor = history.cast, key("sponsor")
    history.write(*cast.founding(), cast.open_era(0), cast.open_vault())
    history.sleep(2_000)
    ends = cast.now(1_000)
    history.write(
        cast.grant(expires_at=ends), cast.certify(expires_at=ends), cast.payer(sponsor, 10**9, expires_at=ends)
    )
    history.sleep(5_000)
    history.record(cast.activity(history.grant, 0, customer=sponsor.keyid, started_at=ends, ended_at=ends))
    history.record(cast.activity(history.grant, 0, started_at=ends, ended_at=ends))


@pytest.mark.parametrize(("what", "error"), [("grant", GrantExpired), ("key", KeyNotInForce), ("payer", NotPayer)])
def test_one_millisecond_after_a_permission(what: str, error: type[ProofroomError]) -> None:
    """Each of the three alone stops the work that ended later."""
    history = History()
    cast, sponsor = history.cast, key("sponsor")
    history.write(*cast.founding(), cast.open_era(0), cast.open_vault())
    history.sleep(2_000)
    ends, late = cast.now(1_000), cast.now(1_001)
    grant = cast.grant(expires_at=ends if what == "grant" else late)
    certificate = cast.certify(expires_at=ends if what == "key" else late)
    history.write(grant, certificate, cast.payer(sponsor, 10**9, expires_at=ends if what == "payer" else late))
    history.sleep(5_000)
    with pytest.raises(error):
        history.record(cast.activity(history.grant, 0, customer=sponsor.keyid, started_at=late, ended_at=late))


def test_an_expired_grant_is_replaced_without_asking() -> None:
    """In its last millisecond a grant still defends its scopes; afterwards other scopes are no conflict."""
    history = started()
    history.write(history.cast.grant(expires_at=history.cast.now(1_000)))
    history.sleep(1_000)
    with pytest.raises(ScopesInForce):
        history.record(history.cast.grant([("v-7c21", "mail")]))
    history.sleep(1)
    history.record(history.cast.grant([("v-7c21", "mail")]))


DATED = [
    "vault-opened",
    "grant",
    "grant-wire",
    "agent-key",
    "payer",
    "delegation",
    "key-rotated",
    "identity",
    "compromise",
    "erased",
    "cluster-founded",
    "validator-registered",
    "deposit",
]


@pytest.mark.parametrize("kind", DATED)
def test_clocks_of_signers_may_run_ahead(kind: str) -> None:
    """Five minutes ahead of the ledger's clock is accepted, one millisecond more is not; whatever the kind."""
    history = whole_history()
    index = next(e.index for e in history.entries if e.statement.kind == kind)
    state, entry = history.states[index], history.entries[index]

    def dated(ahead_ms: int) -> Entry:
        time = from_ms(entry.recorded_at_ms + ahead_ms)
        return Entry(index, entry.recorded_at_ms, verify(resign(entry.verified.envelope, created_at=time)))

    assert transition(state, dated(SKEW_MS)).size == index + 1
    with pytest.raises(FromTheFuture) as refused:
        transition(state, dated(SKEW_MS + 1))
    assert refused.value.field == "created_at"


def test_exactly_the_limit_is_allowed() -> None:
    """Both sums may reach their limits; a limit of zero allows only what costs nothing."""
    history = started()
    history.write(history.cast.grant(limits=Limits(cpu_ms=10, gpu_units=0.5)))
    history.work(0, Work(4, 0.4), Work(6, 0.1), Work(0, 0))
    history.sleep(1)
    history.write(history.cast.grant(limits=Limits(cpu_ms=0, gpu_units=0)))
    history.work(0, Work(0, 0))
    for work in (Work(1, 0), Work(0, 0.000001)):
        with pytest.raises(OverLimit):
            history.record(history.cast.activity(history.grant, 0, work))


def test_a_limit_of_the_grant_counts_over_all_clusters() -> None:
    """The sums of a grant are one purse, wherever the agent works; those of an era are one for each cluster."""
    history = started()
    first = history.cast
    second = Cast(
        first.ledger, lambda: history.clock, key, randomness=deterministic_randomness("b"), cluster="dragon-2"
    )
    history.write(*second.founding(), second.open_era(0))
    history.write(first.grant(limits=Limits(cpu_ms=10)))
    history.work(0, Work(6))
    with pytest.raises(OverLimit) as refused:
        history.record(second.activity(history.grant, 0, Work(5)))
    assert (refused.value.allowed, refused.value.asked) == ("10", "11")
    history.record(second.activity(history.grant, 0, Work(4)))
    history.sleep(1)
    history.write(first.grant(limits=Limits(cpu_ms=10, per="era")))
    for cast in (first, second):
        history.record(cast.activity(history.grant, 0, Work(10)))
        with pytest.raises(OverLimit):
            history.record(cast.activity(history.grant, 0, Work(1)))


def test_a_key_of_another_service() -> None:
    """A certificate by one agent service serves no other, although the scope is the same."""
    history = started()
    cast, service, derived = history.cast, key("service-b"), key("derived-b")
    certificate = resign(cast.certify(), agent=service.keyid, key=derived.keyid, extra=[service, derived])
    history.write(resign(certificate, without=[cast.agent.keyid, cast.derived.keyid]))
    cast.derived = derived
    with pytest.raises(KeyNotInForce) as refused:
        history.record(cast.activity(history.grant, 0))
    assert refused.value.keyid == derived.keyid


def test_a_payer_may_stop() -> None:
    """After a revocation nothing more is charged to the payer."""
    history = started()
    cast, sponsor = history.cast, key("sponsor")
    history.write(cast.payer(sponsor, 10**9))
    history.work(0, Work(1), customer=sponsor.keyid)
    history.sleep(1)
    history.write(cast.payer(sponsor, 10**9, revoked=True))
    with pytest.raises(NotPayer) as refused:
        history.record(cast.activity(history.grant, 0, Work(1), customer=sponsor.keyid))
    assert refused.value.customer == sponsor.keyid


def test_nothing_stands_in_the_way_of_a_revocation() -> None:
    """Neither an expiry in the past, nor scopes of a vault that another opened since, nor a field for later rules."""
    history = started()
    cast, stranger = history.cast, key("stranger")
    history.write(cast.grant([("v-7c21", "calendar"), ("unclaimed", "mail")], replace=True))
    claim = resign(cast.open_vault(), user_pub_key=stranger.keyid, vaultId="unclaimed", extra=[stranger])
    history.write(resign(claim, without=[cast.user.keyid]))
    history.sleep(1)
    past = cast.now(-1_000)
    history.write(cast.grant([("unclaimed", "mail")], revoked=True, expires_at=past, delegable=True))
    assert grant_status(history.state.grants[cast.user.keyid, cast.agent.keyid], history.clock) == "revoked"
    sponsor = key("sponsor")
    history.write(cast.payer(sponsor, 1, revoked=True, expires_at=past))


@pytest.mark.parametrize("ms", [-60_000, -1, 0])
def test_what_ends_before_it_begins(ms: int) -> None:
    """A grant, a certificate and a payer statement end after they were made, by a millisecond at least."""
    history = started()
    cast, sponsor = history.cast, key("sponsor")
    ends = cast.now(ms)
    for envelope in (cast.grant(expires_at=ends), _second(cast, ends), cast.payer(sponsor, 1, expires_at=ends)):
        with pytest.raises(TimesOutOfOrder):
            history.write(envelope)
    ends = cast.now(1)
    history.write(cast.grant(expires_at=ends), _second(cast, ends), cast.payer(sponsor, 1, expires_at=ends))


def _second(cast: Cast, expires_at: str) -> Envelope:
    """The certificate of another derived key."""
    other = key("another derived key")
    return resign(cast.certify(expires_at=expires_at), key=other.keyid, extra=[other], without=[cast.derived.keyid])
