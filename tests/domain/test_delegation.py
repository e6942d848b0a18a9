"""Delegation: what a sub-agent may do, and when it may no longer; ``tests/properties`` has every sequence."""

from __future__ import annotations

from typing import Any

import pytest

from proofroom.adapters.cast import Work
from proofroom.adapters.keys import Key
from proofroom.domain import authorisation
from proofroom.domain.authorisation import authorise, chain_status
from proofroom.domain.delegation import first_wider
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.errors import (
    GrantAbsent,
    GrantExpired,
    GrantRevoked,
    GrantSuperseded,
    NotNarrower,
    OutOfScope,
    OverLimit,
    ProofroomError,
    TimesOutOfOrder,
)
from proofroom.domain.ids import SKEW_MS, Digest
from proofroom.domain.permits import GrantVersion
from proofroom.domain.statements.activity import Signers
from proofroom.domain.statements.consent import AgentKey, Limits
from proofroom.testing.histories import History
from proofroom.testing.keys import key
from strategies.consenting import delegate

CALENDAR = "v-7c21 / calendar"
SUBS = [key("sub-1"), key("sub-2"), key("sub-3")]


class Family(History):
    """A delegable grant, and sub-agents that can work as soon as somebody delegates to them."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__()
        self.found()
        self.write(self.cast.open_era(0))
        self.sleep(2_000)
        scopes = [("v-7c21", "calendar"), ("v-7c21", "mail")]
        self.write(self.cast.grant(scopes, limits=limits, delegable=True, replace=True))
        for sub in SUBS:
            self.write(self.certify(sub))

    def certify(self, service: Key) -> Envelope:
        """A sub-agent certifies its derived key."""
        derived = derived_of(service)
        certificate = AgentKey(
            ledger=self.state.ledger,
            agent=service.keyid,
            vault_scope=CALENDAR,
            key=derived.keyid,
            created_at=self.cast.now(),
            expires_at=self.cast.now(10**9),
        )
        return sign(certificate, service, derived)

    def pass_on(self, delegator: Key, agent: Key, parent: Digest, **fields: Any) -> Digest:
        """A delegation is recorded; its statement id."""
        return self.write(delegate(self.cast, delegator, agent.keyid, parent, **fields)).verified.digest

    def chain(self, **fields: Any) -> list[Digest]:
        """The grant, passed on three times."""
        links = [self.grant]
        for delegator, agent in zip([self.cast.agent, *SUBS], SUBS, strict=False):
            links.append(self.pass_on(delegator, agent, links[-1], metadata={"delegable": True}, **fields))
        return links

    def run(self, service: Key, grant: Digest, work: Work = Work(1), **changes: Any) -> Entry:  # noqa: B008 -- immutable
        """A sub-agent's work is recorded."""
        cast, derived = self.cast, derived_of(service)
        roles = {"orchestrator": cast.orchestrator.keyid, "agent-runtime": cast.runtimes[0].keyid}
        signers = Signers.model_validate({**roles, "agent-derived-key": derived.keyid})
        statement = cast.record(grant, 0, work, agent=service.keyid, signers=signers, **changes)
        return self.record(sign(statement, derived, cast.orchestrator, cast.runtimes[0]))


def derived_of(service: Key) -> Key:
    """The derived key of a sub-agent."""
    return key(f"derived of {service.keyid}")


def test_a_sub_agent_works_under_its_delegation() -> None:
    """The record names the delegation; the chain up to the wallet's grant is a function of the state."""
    family = Family()
    links = family.chain()
    for sub, link in zip(SUBS, links[1:], strict=True):
        family.run(sub, link)
    chain = authorise(family.state, SUBS[2].keyid, CALENDAR, "read", family.clock)
    assert [version.digest for version in chain] == links[::-1]
    assert [version.delegator for version in chain] == [SUBS[1].keyid, SUBS[0].keyid, family.cast.agent.keyid, ""]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("how", ["revoked", "superseded", "expired"])
def test_an_ancestor_ends_all_below_it(place: int, how: str) -> None:
    """Whichever link ends, the last sub-agent is refused from that entry on, and the refusal names the link."""
    family = Family()
    links = family.chain()
    family.run(SUBS[2], links[3])
    family.sleep(1)
    ends = family.cast.now(1 if how == "expired" else 10**6)
    changes: dict[str, Any] = {"revoked": how == "revoked", "expires_at": ends}
    if place == 0:
        family.write(family.cast.grant([("v-7c21", "calendar"), ("v-7c21", "mail")], delegable=True, **changes))
    else:
        delegator, agent = [family.cast.agent, *SUBS][place - 1], SUBS[place - 1]
        family.pass_on(delegator, agent, links[place - 1], metadata={"delegable": True}, **changes)
    if how == "expired":
        # The new version is what expires, so the family is built again below it.
        links[place] = family.entries[-1].verified.digest
        for at in range(place, 3):
            again = {"metadata": {"delegable": True}, "expires_at": ends}
            links[at + 1] = family.pass_on([family.cast.agent, *SUBS][at], SUBS[at], links[at], **again)
        family.run(SUBS[2], links[3])
        family.sleep(2)
    error: dict[str, type[ProofroomError]] = {
        "revoked": GrantRevoked,
        "superseded": GrantSuperseded,
        "expired": GrantExpired,
    }
    with pytest.raises(error[how]) as refused:
        family.run(SUBS[2], links[3])
    named = links[3] if how == "expired" else links[place]  # of several that ended, the one nearest to the agent
    assert refused.value.fields()["grant"] == named


def test_use_counts_against_every_ancestor() -> None:
    """Work of the sub-agents and of the service itself empties one purse; a refusal leaves all purses as they were."""
    family = Family(Limits(cpu_ms=10))
    first = family.pass_on(family.cast.agent, SUBS[0], family.grant, limits=Limits(cpu_ms=6))
    second = family.pass_on(family.cast.agent, SUBS[1], family.grant, limits=Limits(cpu_ms=6))
    family.run(SUBS[0], first, Work(6))
    with pytest.raises(OverLimit) as refused:
        family.run(SUBS[1], second, Work(5))
    assert refused.value.limit == f"cpu_ms of {family.grant}"
    assert (refused.value.allowed, refused.value.asked) == ("10", "11")
    family.run(SUBS[1], second, Work(4))
    with pytest.raises(OverLimit) as refused:
        family.run(SUBS[0], first, Work(1))
    assert (refused.value.limit, refused.value.asked) == ("cpu_ms", "7")
    with pytest.raises(OverLimit):
        family.work(0, Work(1))


WIDER: list[tuple[str, dict[str, Any]]] = [
    ("scopes", {"scopes": [CALENDAR, "v-7c21 / health"]}),
    ("expires_at", {"expires_at": None}),
    ("expires_at", {"expires_at": "2026-05-30T09:00:02.001Z"}),
    ("operations", {"limits": Limits(cpu_ms=10, gpu_units=0.5)}),
    ("operations", {"limits": Limits(operations=("read", "write"), cpu_ms=10, gpu_units=0.5)}),
    ("cpu_ms", {"limits": Limits(operations=("read",), gpu_units=0.5)}),
    ("cpu_ms", {"limits": Limits(operations=("read",), cpu_ms=11, gpu_units=0.5)}),
    ("gpu_units", {"limits": Limits(operations=("read",), cpu_ms=10)}),
    ("gpu_units", {"limits": Limits(operations=("read",), cpu_ms=10, gpu_units=0.500001)}),
    ("per", {"limits": Limits(operations=("read",), cpu_ms=10, gpu_units=0.5, per="era")}),
]


@pytest.mark.parametrize(("what", "fields"), WIDER)
def test_a_delegation_never_says_more_than_its_parent(what: str, fields: dict[str, Any]) -> None:
    """Not in one thing, by the least amount; exactly as much is allowed."""
    limits = Limits(operations=("read", "read + inference"), cpu_ms=10, gpu_units=0.5)
    family = Family(limits)
    with pytest.raises(NotNarrower) as refused:
        family.pass_on(family.cast.agent, SUBS[0], family.grant, **{"limits": limits, **fields})
    assert (refused.value.what, refused.value.grant) == (what, family.grant)
    both = [CALENDAR, "v-7c21 / mail"]
    family.pass_on(
        family.cast.agent,
        SUBS[0],
        family.grant,
        scopes=both,
        limits=limits,
        expires_at=family.cast.now(90 * 86_400_000),
    )


def test_a_limit_over_the_life_is_narrower_than_one_per_era() -> None:
    """Whatever is used in all eras together is no more than that in one."""
    family = Family(Limits(cpu_ms=10, per="era"))
    family.pass_on(family.cast.agent, SUBS[0], family.grant, limits=Limits(cpu_ms=10, per="grant"))


def test_a_delegator_revokes_and_nobody_else() -> None:
    """A revocation signed by another service begins a stream of its own, and ends nothing."""
    family = Family()
    links = family.chain()
    family.sleep(1)
    family.pass_on(key("stranger"), SUBS[0], links[0], revoked=True)
    family.pass_on(SUBS[2], SUBS[0], links[0], revoked=True)
    family.run(SUBS[0], links[1])
    family.pass_on(family.cast.agent, SUBS[0], Digest("blake3:" + "00" * 32), revoked=True)  # whatever parent it names
    for sub, link in zip(SUBS, links[1:], strict=True):
        with pytest.raises(GrantRevoked):
            family.run(sub, link)
    family.work(0, Work(1))


def test_what_is_granted_to_one_serves_no_other() -> None:
    """A sub-agent cannot name its parent's grant, nor a sibling's delegation."""
    family = Family()
    links = family.chain()
    for sub, link in [(SUBS[0], links[0]), (SUBS[0], links[2]), (SUBS[2], links[1])]:
        with pytest.raises(GrantAbsent):
            family.run(sub, link)
    with pytest.raises(OutOfScope):
        family.run(SUBS[0], links[1], vault_scope="v-9 / calendar")


def test_work_that_began_before_the_chain_was_complete() -> None:
    """A delegation does not cover what was done before it, but for the difference of clocks."""
    family = Family()
    family.sleep(SKEW_MS + 1)
    link = family.pass_on(family.cast.agent, SUBS[0], family.grant)
    family.run(SUBS[0], link, started_at=family.cast.now(-SKEW_MS))
    with pytest.raises(TimesOutOfOrder):
        family.run(SUBS[0], link, started_at=family.cast.now(-SKEW_MS - 1))


def test_the_newest_chain_that_holds_authorises() -> None:
    """Where a service has a grant and a delegation, either will do; when neither does, the newest says why."""
    family = Family()
    link = family.pass_on(family.cast.agent, SUBS[0], family.grant)
    family.sleep(1)
    wallets = family.cast
    wallets.agent, service = SUBS[0], wallets.agent
    direct = family.write(wallets.grant([("v-7c21", "calendar")])).verified.digest
    assert ask(family) == [direct]
    family.sleep(1)
    family.write(wallets.grant(revoked=True))
    wallets.agent = service
    assert ask(family) == [link, family.grant]
    family.pass_on(service, SUBS[0], family.grant, revoked=True)
    with pytest.raises(GrantRevoked) as refused:
        ask(family)
    assert refused.value.grant == family.entries[-1].verified.digest
    with pytest.raises(GrantAbsent):
        authorise(family.state, SUBS[1].keyid, CALENDAR, "read", family.clock)
    with pytest.raises(OutOfScope):
        authorise(family.state, SUBS[1].keyid, "nobodys / calendar", "read", family.clock)


def ask(family: Family) -> list[Digest]:
    """The chain for the first sub-agent."""
    chain = authorisation.authorise(family.state, SUBS[0].keyid, CALENDAR, "read", family.clock)
    return [version.digest for version in chain]


PARENT = GrantVersion(Digest(""), 0, 1, "", 0, "", 0, False, ("a", "b"), (), -1, -1, False)


@pytest.mark.parametrize(
    ("parent", "version", "wider"),
    [
        ({}, {}, ""),
        ({}, {"scopes": ("b",)}, ""),
        ({}, {"scopes": ("a", "c")}, "scopes"),
        ({}, {"expires_at_ms": 5}, ""),
        ({"expires_at_ms": 5}, {"expires_at_ms": 5}, ""),
        ({"expires_at_ms": 5}, {"expires_at_ms": 4}, ""),
        ({"expires_at_ms": 5}, {"expires_at_ms": 6}, "expires_at"),
        ({"expires_at_ms": 5}, {}, "expires_at"),
        ({}, {"operations": ("x",)}, ""),
        ({"operations": ("x", "y")}, {"operations": ("x",)}, ""),
        ({"operations": ("x", "y")}, {"operations": ("y", "x")}, ""),
        ({"operations": ("x",)}, {"operations": ("x", "y")}, "operations"),
        ({"operations": ("x",)}, {"operations": ("y",)}, "operations"),
        ({"operations": ("x",)}, {}, "operations"),
        *(({name: 0}, {name: 0}, "") for name in ("cpu_ms", "gpu_micro")),
        *(({name: 5}, {name: 0}, "") for name in ("cpu_ms", "gpu_micro")),
        *(({name: -1}, {name: 9}, "") for name in ("cpu_ms", "gpu_micro")),
        *(({name: 0}, {name: 1}, field) for name, field in (("cpu_ms", "cpu_ms"), ("gpu_micro", "gpu_units"))),
        *(({name: 0}, {name: -1}, field) for name, field in (("cpu_ms", "cpu_ms"), ("gpu_micro", "gpu_units"))),
        *(({name: n}, {name: n, "per_era": True}, "per") for name in ("cpu_ms", "gpu_micro") for n in (0, 1)),
        *(({name: 5, "per_era": True}, {name: 5, "per_era": True}, "") for name in ("cpu_ms", "gpu_micro")),
        ({}, {"cpu_ms": 5, "per_era": True}, ""),
    ],
)
def test_what_is_wider(parent: dict[str, Any], version: dict[str, Any], wider: str) -> None:
    """Nothing that is equal or less; a limit of zero is a limit, and none is not."""
    assert first_wider(PARENT._replace(**version), PARENT._replace(**parent)) == wider


def test_other_scopes_after_the_first_have_ended() -> None:
    """Conflict with nothing: an expired delegation is not active."""
    family = Family()
    family.pass_on(family.cast.agent, SUBS[0], family.grant, expires_at=family.cast.now(1))
    family.sleep(2)
    again = family.pass_on(family.cast.agent, SUBS[0], family.grant, scopes=["v-7c21 / mail"])
    chain = authorise(family.state, SUBS[0].keyid, "v-7c21 / mail", "read", family.clock)
    assert [version.digest for version in chain] == [again, family.grant]


@pytest.mark.parametrize(("limits", "work"), [({"cpu_ms": 0}, Work(1)), ({"gpu_units": 0}, Work(0, 0.5))])
def test_a_limit_of_zero(limits: dict[str, Any], work: Work) -> None:
    """Is one: whoever may use nothing of it is refused, and what is unlimited is not even counted."""
    family = Family(Limits.model_validate(limits))
    with pytest.raises(OverLimit):
        family.work(0, work)
    unlimited = Family()
    unlimited.work(0, work)
    assert not unlimited.state.spent


def test_how_a_chain_stands() -> None:
    """Active, or absent where there is no such grant."""
    family = Family()
    user, agent, nothing = family.cast.user.keyid, family.cast.agent.keyid, Digest("blake3:" + "0" * 64)
    assert chain_status(family.state, user, agent, family.grant, family.clock) == "active"
    assert chain_status(family.state, user, SUBS[0].keyid, nothing, family.clock) == "absent"
