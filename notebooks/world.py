"""A seeded world on a real ledger: twelve weeks of one cluster, as ``story`` tells them.

Every statement is signed and verified, and the ledger states what is due. Clock, keys and chance follow from the seed, so the same seed
and size give the same ledger, byte for byte. Runs of one agent on one node are signed by the root of their hour, as a busy host would.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from notebooks.parties import CERE, START_MS, Parties
from notebooks.story import (
    AGENTS,
    CHEAT,
    CONSENTS,
    DAYS,
    ERA_DAYS,
    LAZY,
    MORE,
    OUTAGE,
    OVERSTATES,
    PASSED_ON,
    SILENT,
    SPONSOR,
    VALIDATORS,
    WITHHOLDS,
    Consent,
    busy,
)
from proofroom import sign, sign_rooted
from proofroom.adapters.cast import DAY_MS, PARAMETERS, Cast, Work
from proofroom.domain.crosscheck import Claim, Observation, claim_of, cross_check, tolerances_of
from proofroom.domain.envelope import Envelope
from proofroom.domain.ids import Digest, from_ms
from proofroom.domain.state import Round
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import BeaconRevealed, Vote
from proofroom.domain.statements.consent import Delegation, Metadata, ScopeContext, ScopeName
from proofroom.domain.statements.marketplace import Creator, Listing, Marketplace
from proofroom.domain.voting import make_vote

ENTRIES = 100_000
SEED = 7
HOURS = ((7, 0.2), (11, 0.35), (16, 0.3), (21, 0.15))
"""When records reach the ledger, and which part of the day's."""
OTHERS = 3_000
"""Entries of a world, about, that are no records."""


class Ran(NamedTuple):
    """A run as its record claims it, and as the gateway saw it."""

    claim: Claim
    seen: Observation | None


def make(
    room: Path, entries: int = ENTRIES, seed: int = SEED, progress: Callable[[int], object] = lambda _: None
) -> None:
    """A world of about so many entries, in a new room; ``names.json`` says which key is whose.

    Args:
        room: the folder, made here.
        entries: how many, roughly.
        seed: what everything follows from.
        progress: called with the number of days done.
    """
    world = World(room, entries, seed)
    with world.ledger:
        for day in range(DAYS):
            world.live(day)
            progress(day + 1)
        world.pay_last_era()
    (room / "names.json").write_text(json.dumps(world.names, indent=1, sort_keys=True) + "\n")


class World(Parties):
    """What everybody does, day by day."""

    def __init__(self, room: Path, entries: int, seed: int) -> None:
        self.records = max(DAYS * 8, entries - OTHERS)
        super().__init__(room, seed, self.records / ENTRIES)
        self.grants = dict[Consent, Digest]()
        self.ran = list[Ran]()
        self.certified = set[str]()
        self.joined = dict[int, int]()
        self.listing: Digest | None = None

    # --- a day

    def live(self, day: int) -> None:
        """Consent in the morning, work until night, then the day's batch and its round."""
        era, first = divmod(day, ERA_DAYS)
        self.at(day, 0.5)
        if first == 0:
            self._open(era)
        self._join(day)
        self._consent(day)
        self.ran.clear()
        for hour, part in HOURS:
            self.at(day, hour)
            self._work(day, era, part)
        self.at(day, 23)
        if self.ran:
            self._attest(era)

    def _open(self, era: int) -> None:
        if era:
            self._close(era - 1)
        self.write([self.cluster.open_era(era)])

    def _close(self, era: int) -> None:
        self.write([self.cluster.close_era(era)])
        self.now += 1_000
        self.ledger.tick()

    def pay_last_era(self) -> None:
        """The end of the story."""
        self.at(DAYS, 0.5)
        self._close(DAYS // ERA_DAYS - 1)

    def _join(self, day: int) -> None:
        cast, first = self.cluster, 0
        for joins, count in VALIDATORS:
            if joins == day:
                for i in range(first, first + count):
                    bond = cast.deposit(cast.validators[i].keyid, 100 * CERE, account="validator-bond")
                    self.write([cast.register_validator(i), bond])
                    self.joined[i] = self.ledger.state.clusters[cast.cluster].rounds
            first += count

    # --- consent

    def _consent(self, day: int) -> None:
        for consent in CONSENTS:
            cast = self._cast(consent.person, consent.agent)
            scopes = [(cast.vault, scope) for scope in consent.scopes]
            if consent.given == day:
                until = from_ms(START_MS + consent.expires * DAY_MS)
                more: dict[str, Any] = {"delegable": True} if consent.delegable else {}
                self._begin(cast.grant(scopes, expires_at=until, **more), consent)
            if consent.revoked == day:
                self.write([cast.grant(scopes, revoked=True)])
        if day == PASSED_ON.given:
            self._pass_on()
        person, later, amount = MORE
        if day == later:
            self.write([self._deposit(person, amount)])

    def _begin(self, envelope: Envelope, consent: Consent) -> None:
        """A grant or delegation, and the certificates of the keys that the agent has for its scopes."""
        self.grants[consent] = self._id(envelope)
        for scope in consent.scopes:
            cast = self._cast(consent.person, consent.agent, scope)
            if cast.derived.keyid not in self.certified:
                self.certified.add(cast.derived.keyid)
                self.write([cast.certify(expires_at=cast.now(DAYS * DAY_MS))])

    def _pass_on(self) -> None:
        above = next(c for c in CONSENTS if c.delegable)
        by, to = self._cast(above.person, above.agent), self._cast(PASSED_ON.person, PASSED_ON.agent)
        scopes = (ScopeContext(context=ScopeName(vaultId=to.vault, scopeId=s)) for s in PASSED_ON.scopes)
        delegation = Delegation(
            ledger=self.ledger.id,
            agent_service_pub_key=to.agent.keyid,
            user_pub_key=to.user.keyid,
            created_at=to.now(),
            expires_at=from_ms(START_MS + PASSED_ON.expires * DAY_MS),
            revoked=False,
            metadata=Metadata(scopes=tuple(scopes)),
            delegator=by.agent.keyid,
            parent=self.grants[above],
        )
        self._begin(sign(delegation, by.agent), PASSED_ON)
        self.write([to.payer(to.user, 10_000 * CERE), self._market()])
        self.listing = self._id(self._listing(to))

    def _market(self) -> Envelope:
        owner = self.key("Bazaar")
        fifth, now = str(2 * 10**17), self.cluster.now()
        return sign(
            Marketplace(ledger=self.ledger.id, marketplace="bazaar", owner=owner.keyid, share=fifth, created_at=now),
            owner,
        )

    def _listing(self, seller: Cast) -> Envelope:
        creators = (Creator(creator=self.key(name).keyid, weight=w) for name, w in (("Nora", 3), ("Otto", 2)))
        listing = Listing(
            ledger=self.ledger.id,
            agent=seller.agent.keyid,
            listing="bookings",
            cluster=None,
            price_per_record=str(CERE // 5),
            ratio=str(10**17),
            creators=tuple(creators),
            marketplace="bazaar",
            marketplace_share=str(2 * 10**17),
            withdrawn=False,
            created_at=seller.now(),
        )
        return sign(listing, seller.agent)

    # --- work

    def _in_force(self, day: int) -> list[Consent]:
        above = next(c for c in CONSENTS if c.delegable)
        passed_on = PASSED_ON._replace(revoked=above.ends)
        return [c for c in (*CONSENTS, passed_on) if c.given <= day < c.ends]

    def _work(self, day: int, era: int, part: float) -> None:
        consents = self._in_force(day)
        total = sum(map(busy, range(DAYS)))
        count = max(1, round(self.records * busy(day) / total * part))
        groups: dict[tuple[Consent, str, int], int] = {}
        for consent in self.random.choices(consents, [c.weight for c in consents], k=count):
            group = (consent, self.random.choice(consent.scopes), self.random.choices((0, 1, 2), (5, 3, 2))[0])
            groups[group] = groups.get(group, 0) + 1
        signed = list[Envelope]()
        for (consent, scope, node), number in sorted(groups.items(), key=str):
            cast = self._cast(consent.person, consent.agent, scope)
            records = [self._run(cast, consent, era, day, node) for _ in range(number)]
            signed += sign_rooted(records, cast.derived, cast.orchestrator, cast.runtimes[node])
        self.write(signed)

    def _run(self, cast: Cast, consent: Consent, era: int, day: int, node: int) -> Activity:
        """The record of one run; the gateway's view of it is kept for the validators."""
        profile, much = AGENTS[consent.agent], 0.1 + 0.9 * self.random.random() ** 2
        cpu_ms = max(1, round(profile.cpu_ms * much))
        used = Work(
            cpu_ms,
            round(profile.gpu_units * much, 4),
            0,
            round(profile.bytes_streamed * much),
            self.random.randint(0, profile.puts),
            self.random.randint(1, profile.gets),
        )
        overstated = node == CHEAT and self.random.random() < OVERSTATES.get(era, 0)
        lost = self.random.random() < (0.5 if day in OUTAGE else 0.004)
        passed_on = consent.agent == PASSED_ON.agent
        grant = self.grants[PASSED_ON if passed_on else consent]
        record = cast.record(
            grant,
            era,
            used._replace(cpu_ms=3 * cpu_ms) if overstated else used,
            node=node,
            operation=profile.operation,
            customer=self.key(SPONSOR[0]).keyid if consent.agent == SPONSOR[1] else cast.user.keyid,
            listing=self.listing if passed_on else None,
            started_at=cast.now(-cpu_ms),
        )
        claim = claim_of(record)
        self.ran.append(Ran(claim, None if lost else _seen(claim, cpu_ms)))
        return record

    # --- attestation

    def _attest(self, era: int) -> None:
        cast, number = self.cluster, self.ledger.state.clusters[self.cluster.cluster].rounds
        self.write([cast.seal_all(self.ledger.state, era)])
        eligible = self._round(number).eligible
        present = [i for i, v in enumerate(cast.validators) if v.keyid in eligible]
        self.write(self._beacon(number, i) for i in present if self.random.random() >= WITHHOLDS.get(i, 0))
        if not self._round(number).digest:
            self._wait(PARAMETERS.attestation.beacon_ms)
        votes, state = self._votes(number, era), self.ledger.state
        self.write(cast.commit(state, number, i, vote) for i, vote in votes.items())
        self.write(cast.reveal(number, i, v) for i, v in votes.items() if self.random.random() >= SILENT.get(i, 0))
        if (cast.cluster, number) in self.ledger.state.rounds:
            self._wait(PARAMETERS.attestation.commit_ms + PARAMETERS.attestation.reveal_ms)

    def _beacon(self, number: int, i: int) -> Envelope:
        """Chains begin with the round before which their validators joined."""
        cast = self.cluster
        value = cast.beacon(i, number - self.joined[i]).hex()
        key = cast.validators[i]
        reveal = BeaconRevealed(
            ledger=self.ledger.id, cluster=cast.cluster, round=number, validator=key.keyid, value=value
        )
        return sign(reveal, key)

    def _round(self, number: int) -> Round:
        return self.ledger.state.rounds[self.cluster.cluster, number]

    def _votes(self, number: int, era: int) -> dict[int, Vote]:
        """All who compare come to the same, since the gateway tells each the same; the lazy agree to everything."""
        tolerances = tolerances_of(self.ledger.state.eras[self.cluster.cluster, era].parameters)
        reasons = ((place, cross_check(ran.claim, ran.seen, tolerances)) for place, ran in enumerate(self.ran))
        compared = make_vote(len(self.ran), {place: reason for place, reason in reasons if reason})
        lazy = make_vote(len(self.ran))
        return {i: lazy if i in LAZY else compared for i in self.cluster.members(self.ledger.state, number)}


def _seen(claim: Claim, cpu_ms: int) -> Observation:
    """What the gateway saw: all that is claimed, but for the processor time."""
    usage = claim.usage
    return Observation(
        cpu_ms,
        usage.gpu_micro,
        usage.byte_seconds,
        usage.bytes_streamed,
        usage.puts,
        usage.gets,
        (claim.vault_scope,),
        claim.result_hash,
    )
