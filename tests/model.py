"""A reference model of consent and activity: protocol 2 and 3 as lists of reasons, written without looking at how the domain decides.

Each ``refuses_...`` names *all* rules that a statement breaks, by the class of their error; the empty set means that it must be
recorded. The domain stops at the first fault it meets, so its error has to be one of the set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from naive_settlement import add, naive_charge_at_most

SKEW = 5 * 60 * 1000


class Consent(NamedTuple):
    """One version of a grant."""

    id: str
    user: str
    agent: str
    created: int
    expires: int | None
    revoked: bool
    scopes: frozenset[str]
    replace: bool
    operations: tuple[str, ...] = ()
    cpu_ms: int | None = None
    gpu_micro: int | None = None
    per_era: bool = False


class Certificate(NamedTuple):
    """A derived key's certificate."""

    key: str
    agent: str
    scope: str
    created: int
    expires: int


class Promise(NamedTuple):
    """A payer statement."""

    customer: str
    agent: str
    created: int
    expires: int | None
    revoked: bool
    cap: int


class Run(NamedTuple):
    """An activity record."""

    id: str
    id_ms: int
    agent: str
    scope: str
    key: str
    customer: str
    grant: str
    era: int
    started: int
    ended: int
    operation: str
    usage: dict[str, int]


@dataclass
class Model:
    """What is recorded, in plain lists, oldest first."""

    prices: dict[str, int]
    era_ms: int
    vaults: dict[str, str] = field(default_factory=dict)
    consents: list[Consent] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    era_starts: list[int] = field(default_factory=list)

    def newest(self, user: str, agent: str) -> Consent | None:
        """The version that counts."""
        versions = [c for c in self.consents if (c.user, c.agent) == (user, agent)]
        return max(versions, key=lambda c: c.created) if versions else None

    def status(self, user: str, agent: str, at: int) -> str:
        """The grant's status at a time."""
        version = self.newest(user, agent)
        if version is None:
            return "absent"
        if version.revoked:
            return "revoked"
        return "expired" if version.expires is not None and version.expires < at else "active"

    def refuses_vault(self, now: int, vault: str, created: int) -> set[str]:
        """A wallet claims a vault."""
        return _if(created > now + SKEW, "FromTheFuture") | _if(vault in self.vaults, "AlreadyRecorded")

    def refuses_consent(self, now: int, c: Consent) -> set[str]:
        """A wallet grants or revokes."""
        before = self.newest(c.user, c.agent)
        narrowed = (
            before is not None
            and self.status(c.user, c.agent, now) == "active"
            and not c.revoked
            and not c.replace
            and before.scopes != c.scopes
        )
        foreign = any(self.vaults.get(scope.split(" / ")[0], c.user) != c.user for scope in c.scopes)
        return (
            _if(c.created > now + SKEW, "FromTheFuture")
            | _if(before is not None and c.created <= before.created, "StaleVersion")
            | _if(not c.revoked and c.expires is not None and c.expires <= c.created, "TimesOutOfOrder")
            | _if(not c.revoked and foreign, "NotOwner")
            | _if(narrowed, "ScopesInForce")
        )

    def refuses_certificate(self, now: int, c: Certificate) -> set[str]:
        """An agent service certifies a derived key."""
        return (
            _if(c.created > now + SKEW, "FromTheFuture")
            | _if(c.expires <= c.created, "TimesOutOfOrder")
            | _if(any(c.key == known.key for known in self.certificates), "AlreadyRecorded")
        )

    def refuses_promise(self, now: int, p: Promise) -> set[str]:
        """A customer takes on costs."""
        earlier = [q for q in self.promises if (q.customer, q.agent) == (p.customer, p.agent)]
        return (
            _if(p.created > now + SKEW, "FromTheFuture")
            | _if(any(p.created <= q.created for q in earlier), "StaleVersion")
            | _if(not p.revoked and p.expires is not None and p.expires <= p.created, "TimesOutOfOrder")
        )

    def refuses_run(self, now: int, r: Run) -> set[str]:
        """Work is recorded."""
        reasons = self._era(now, r)
        if r.era < len(self.era_starts):
            start = self.era_starts[r.era]
            reasons |= _if(r.ended < start - SKEW, "TimesOutOfOrder")
            reasons |= _if(not start - SKEW <= r.id_ms <= now + SKEW, "TimesOutOfOrder")
        reasons |= _if(r.ended < r.started, "TimesOutOfOrder") | _if(r.ended > now + SKEW, "FromTheFuture")
        reasons |= _if(any(q.id == r.id for q in self.runs), "AlreadyRecorded")
        certified = any(
            (c.key, c.agent, c.scope) == (r.key, r.agent, r.scope) and r.ended <= c.expires for c in self.certificates
        )
        reasons |= _if(not certified, "KeyNotInForce")
        user = self.vaults.get(r.scope.split(" / ")[0])
        if user is None:
            return reasons | {"OutOfScope"}
        return reasons | self._consent(r, user) | self._payment(r, user)

    def _era(self, now: int, r: Run) -> set[str]:
        is_open = r.era == len(self.era_starts) - 1 and now < self.era_starts[r.era] + self.era_ms
        return _if(not is_open, "EraNotOpen")

    def _consent(self, r: Run, user: str) -> set[str]:
        version = self.newest(user, r.agent)
        if version is None:
            return {"GrantAbsent"}
        counted = [q for q in self.runs if q.grant == version.id and q.scope.split(" / ")[0] in self._vaults_of(user)]
        if version.per_era:
            counted = [q for q in counted if q.era == r.era]
        cpu = r.usage["cpu_ms"] + sum(q.usage["cpu_ms"] for q in counted)
        gpu = r.usage["gpu_micro"] + sum(q.usage["gpu_micro"] for q in counted)
        return (
            _if(version.revoked, "GrantRevoked")
            | _if(version.id != r.grant, "GrantSuperseded")
            | _if(version.expires is not None and version.expires < r.ended, "GrantExpired")
            | _if(r.scope not in version.scopes, "OutOfScope")
            | _if(r.started < version.created - SKEW, "TimesOutOfOrder")
            | _if(bool(version.operations) and r.operation not in version.operations, "OverLimit")
            | _if(version.cpu_ms is not None and cpu > version.cpu_ms, "OverLimit")
            | _if(version.gpu_micro is not None and gpu > version.gpu_micro, "OverLimit")
        )

    def _vaults_of(self, user: str) -> set[str]:
        return {vault for vault, owner in self.vaults.items() if owner == user}

    def _payment(self, r: Run, user: str) -> set[str]:
        if r.customer == user:
            return set()
        promises = [p for p in self.promises if (p.customer, p.agent) == (r.customer, r.agent)]
        if not promises:
            return {"NotPayer"}
        promise = max(promises, key=lambda p: p.created)
        if promise.revoked or (promise.expires is not None and promise.expires < r.ended):
            return {"NotPayer"}
        paid = [
            q.usage
            for q in self.runs
            if (q.customer, q.agent, q.era) == (r.customer, r.agent, r.era)
            and self.vaults[q.scope.split(" / ")[0]] != q.customer
        ]
        cost = naive_charge_at_most(add(r.usage, *paid), self.prices)
        return _if(cost > promise.cap, "OverLimit")

    def record(self, thing: Any) -> None:
        """Keep what was accepted."""
        lists: dict[type, list[Any]] = {
            Consent: self.consents,
            Certificate: self.certificates,
            Promise: self.promises,
            Run: self.runs,
        }
        lists[type(thing)].append(thing)


def _if(broken: bool, reason: str) -> set[str]:
    return {reason} if broken else set()
