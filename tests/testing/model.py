"""A reference model of consent and activity: protocol 2 and 3 as lists of reasons, written without looking at how the domain decides.

Each ``refuses_...`` names *all* rules that a statement breaks, by the class of their error; the empty set means that it must be
recorded. The domain stops at the first fault it meets, so its error has to be one of the set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proofroom.testing.naive_settlement import add, naive_charge_at_most

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
    delegable: bool = False
    delegator: str = ""
    """Who passed it on; nobody, when the user granted it."""
    parent: str = ""
    place: int = -1
    """Its place in the log."""


class Change(NamedTuple):
    """A party's new key, its recovery key, or the declaration that its keys were in other hands."""

    who: str
    kind: str
    key: str
    created: int
    since: int = 0
    place: int = -1


class Certificate(NamedTuple):
    """A derived key's certificate."""

    key: str
    agent: str
    scope: str
    created: int
    expires: int
    place: int = -1


class Promise(NamedTuple):
    """A payer statement."""

    customer: str
    agent: str
    created: int
    expires: int | None
    revoked: bool
    cap: int
    place: int = -1


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
    chain: tuple[str, ...] = ()
    """What it relied on when it was recorded, up to the user's grant."""
    place: int = -1


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
    changes: list[Change] = field(default_factory=list)
    era_starts: list[int] = field(default_factory=list)

    # --- keys

    def key_of(self, who: str) -> str:
        """The key that signs for a party now."""
        keys = [c.key for c in self.changes if c.who == who and c.kind != "recovery"]
        return keys[-1] if keys else who

    def recovery_of(self, who: str) -> str | None:
        """The key that may declare a compromise."""
        keys = [c.key for c in self.changes if c.who == who and c.kind == "recovery"]
        return keys[-1] if keys else None

    def doubted(self, who: str, index: int) -> bool:
        """Whether what a party signed at an index was declared to be somebody else's."""
        return any(c.who == who and c.kind == "compromise" and c.since <= index < c.place for c in self.changes)

    def refuses_signers(self, parties: list[str], signers: set[str]) -> set[str]:
        """Exactly the keys in force of the parties signed."""
        return set() if {self.key_of(who) for who in parties} == signers else {"MissingRole", "ExtraSignature"}

    def refuses_change(self, now: int, size: int, c: Change) -> set[str]:
        """A party changes a key."""
        used = {c.who} | {k for d in self.changes for k in (d.who, d.key)}
        return (
            _if(c.created > now + SKEW, "FromTheFuture")
            | _if(c.key in used, "AlreadyRecorded", "NamedByLaterKey", "MissingRole", "SharedKey")
            | _if(c.kind == "compromise" and self.recovery_of(c.who) is None, "NoRecoveryKey")
            | _if(c.kind == "compromise" and c.since > size, "BeyondTheLog")
        )

    # --- consent

    def newest(self, user: str, agent: str, delegator: str = "") -> Consent | None:
        """The version that counts, of what a user granted or a delegator passed on."""
        versions = [c for c in self.consents if (c.user, c.agent, c.delegator) == (user, agent, delegator)]
        return max(versions, key=lambda c: c.created) if versions else None

    def links(self, user: str, agent: str, grant: str) -> list[tuple[str, Consent | None]]:
        """From what an agent relies on to the user's grant: each id, and the version that counts in its place."""
        found: list[tuple[str, Consent | None]] = []
        while True:
            meant = next((c for c in self.consents if c.id == grant and c.delegator), None)
            if meant is None:
                return [*found, (grant, self.newest(user, agent))]
            if (meant.user, meant.agent) != (user, agent):
                return [*found, (grant, None)]
            newest = self.newest(user, agent, meant.delegator)
            found.append((grant, newest))
            agent, grant = meant.delegator, meant.parent

    def ended(self, user: str, agent: str, grant: str, at: int) -> set[str]:
        """Why an agent cannot rely on a grant at a time: of every link, every reason."""
        reasons: set[str] = set()
        for id, version in self.links(user, agent, grant):
            if version is None:
                reasons |= {"GrantAbsent"}
                continue
            reasons |= (
                _if(version.revoked, "GrantRevoked")
                | _if(version.id != id, "GrantSuperseded")
                | _if(version.expires is not None and version.expires < at, "GrantExpired")
                | _if(self.doubted(version.delegator or user, version.place), "Distrusted")
            )
        return reasons

    def status(self, user: str, agent: str, at: int) -> str:
        """The grant's status at a time."""
        version = self.newest(user, agent)
        if version is None:
            return "absent"
        if version.revoked:
            return "revoked"
        return "expired" if version.expires is not None and version.expires < at else "active"

    def refuses_delegation(self, now: int, d: Consent) -> set[str]:
        """An agent service passes on what it has, or ends that."""
        before = self.newest(d.user, d.agent, d.delegator)
        in_force = before is not None and not self.ended(d.user, d.agent, before.id, now)
        reasons = (
            _if(d.created > now + SKEW, "FromTheFuture")
            | _if(before is not None and d.created <= before.created, "StaleVersion")
            | _if(not d.revoked and d.expires is not None and d.expires <= d.created, "TimesOutOfOrder")
        )
        if d.revoked:
            return reasons
        if before is not None and in_force and before.scopes != d.scopes and not d.replace:
            reasons |= {"ScopesInForce"}
        reasons |= self.ended(d.user, d.delegator, d.parent, now)
        above = self.links(d.user, d.delegator, d.parent)
        parent = above[0][1]
        if parent is not None:
            reasons |= _if(not parent.delegable, "NotDelegable") | _if(len(above) > 3, "ChainTooLong")
            reasons |= _if(_is_wider(d, parent), "NotNarrower")
        return reasons

    def refuses_vault(self, now: int, vault: str, created: int) -> set[str]:
        """A wallet claims a vault."""
        return _if(created > now + SKEW, "FromTheFuture") | _if(vault in self.vaults, "AlreadyRecorded")

    def refuses_consent(self, now: int, c: Consent) -> set[str]:
        """A wallet grants or revokes."""
        before = self.newest(c.user, c.agent)
        narrowed = (
            before is not None
            and self.status(c.user, c.agent, now) == "active"
            and not self.doubted(c.user, before.place)
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
            (c.key, c.agent, c.scope) == (r.key, r.agent, r.scope)
            and r.ended <= c.expires
            and not self.doubted(c.agent, c.place)
            for c in self.certificates
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
        reasons = self.ended(user, r.agent, r.grant, r.ended)
        for _, version in self.links(user, r.agent, r.grant):
            if version is None:
                continue
            counted = [q for q in self.runs if version.id in q.chain]
            if version.per_era:
                counted = [q for q in counted if q.era == r.era]
            cpu = r.usage["cpu_ms"] + sum(q.usage["cpu_ms"] for q in counted)
            gpu = r.usage["gpu_micro"] + sum(q.usage["gpu_micro"] for q in counted)
            reasons |= (
                _if(r.scope not in version.scopes, "OutOfScope")
                | _if(r.started < version.created - SKEW, "TimesOutOfOrder")
                | _if(bool(version.operations) and r.operation not in version.operations, "OverLimit")
                | _if(version.cpu_ms is not None and cpu > version.cpu_ms, "OverLimit")
                | _if(version.gpu_micro is not None and gpu > version.gpu_micro, "OverLimit")
            )
        return reasons

    def _payment(self, r: Run, user: str) -> set[str]:
        if r.customer == user:
            return set()
        promises = [p for p in self.promises if (p.customer, p.agent) == (r.customer, r.agent)]
        if not promises:
            return {"NotPayer"}
        promise = max(promises, key=lambda p: p.created)
        if promise.revoked or (promise.expires is not None and promise.expires < r.ended):
            return {"NotPayer"}
        if self.doubted(promise.customer, promise.place):
            return {"NotPayer"}
        paid = [
            q.usage
            for q in self.runs
            if (q.customer, q.agent, q.era) == (r.customer, r.agent, r.era)
            and self.vaults[q.scope.split(" / ")[0]] != q.customer
        ]
        cost = naive_charge_at_most(add(r.usage, *paid), self.prices)
        return _if(cost > promise.cap, "OverLimit")

    def record(self, thing: Any, index: int) -> None:
        """Keep what was accepted, at its place in the log."""
        if isinstance(thing, Run):
            user = self.vaults[thing.scope.split(" / ")[0]]
            thing = thing._replace(chain=tuple(id for id, _ in self.links(user, thing.agent, thing.grant)))
        lists: dict[type, list[Any]] = {
            Consent: self.consents,
            Certificate: self.certificates,
            Promise: self.promises,
            Run: self.runs,
            Change: self.changes,
        }
        lists[type(thing)].append(thing._replace(place=index))


def _is_wider(d: Consent, parent: Consent) -> bool:
    """Whether a delegation says more than what it passes on, in anything."""

    def more(value: int | None, limit: int | None) -> bool:
        return limit is not None and (value is None or value > limit)

    limited = parent.cpu_ms is not None or parent.gpu_micro is not None
    return (
        not d.scopes <= parent.scopes
        or more(d.expires, parent.expires)
        or (bool(parent.operations) and not (d.operations and set(d.operations) <= set(parent.operations)))
        or more(d.cpu_ms, parent.cpu_ms)
        or more(d.gpu_micro, parent.gpu_micro)
        or (limited and d.per_era and not parent.per_era)
    )


def _if(broken: bool, *reasons: str) -> set[str]:
    return set(reasons) if broken else set()
