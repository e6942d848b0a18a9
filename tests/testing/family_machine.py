"""The same machine with delegations, and with keys that change and are stolen."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from proofroom.adapters.keys import Key
from proofroom.domain.authorisation import chain_in_force
from proofroom.domain.envelope import sign, verify
from proofroom.domain.errors import Refused
from proofroom.domain.ids import Digest, KeyId, from_ms
from proofroom.domain.statements.consent import Delegation, Limits, Metadata, ScopeContext, ScopeName
from proofroom.domain.statements.identity import Compromise, Identity, KeyRotated
from proofroom.testing.consent_machine import (
    AGENTS,
    ERA_MS,
    LIVES,
    OFFSETS,
    SCOPES,
    WALLETS,
    ConsentMachine,
    plain_limits,
)
from proofroom.testing.keys import key
from proofroom.testing.model import Change, Consent

PARTIES = [WALLETS[0], AGENTS[0], AGENTS[2]]
CHAIN = [0, 2, 3, 4, 1]
"""The order in which services like to pass on: the granted one first, deeper than is allowed."""


class FamilyMachine(ConsentMachine):
    """The same, with delegations and with keys that change."""

    fresh = 0

    def more(self) -> None:
        """The grant has limits, and was passed on to a service that can work at once."""
        self.wait(1)
        limits = {"per": "grant", "cpu_ms": 1_000}
        self.grant(0, 0, {SCOPES[0]}, 0, None, False, False, limits, False, True)
        above = self.model.consents[-1]
        self.pass_on(AGENTS[0], AGENTS[2], above, {SCOPES[0]}, 0, None, False, False, limits, True)
        self.certify(2, SCOPES[0], 0, 0, ERA_MS)

    @rule(
        place=st.sampled_from([0, 0, 0, 1, 1, 2, 3]),
        agent=st.sampled_from([None, None, None, 0, 2, 3]),
        parent=st.sampled_from(["newest", "newest", "newest", "newest", "any"]),
        scopes=st.sampled_from([{SCOPES[0]}, {SCOPES[0]}, {SCOPES[0]}, {SCOPES[0], SCOPES[1]}, set()]),
        offset=OFFSETS,
        life=LIVES | st.just(10 * ERA_MS),
        revoked=st.sampled_from([False, False, False, False, True]),
        replace=st.booleans(),
        limits=st.sampled_from(["same", "same", "same", "none", "cpu", "era", "read"]),
        delegable=st.sampled_from([True, True, True, False]),
        data=st.data(),
    )
    def delegate(
        self,
        place: int,
        agent: int | None,
        parent: str,
        scopes: set[str],
        offset: int,
        life: int | None,
        revoked: bool,
        replace: bool,
        limits: str,
        delegable: bool,
        data: st.DataObject,
    ) -> None:
        """A service passes on the newest of what it has, mostly to the next one and within its limits."""
        delegator, receiver = AGENTS[CHAIN[place]], AGENTS[CHAIN[place + 1] if agent is None else agent]
        mine = [c for c in self.model.consents if (c.user, c.agent) == (WALLETS[0].keyid, delegator.keyid)]
        pool = mine if parent == "newest" and mine else self.model.consents
        above = max(pool, key=lambda c: c.place) if parent == "newest" else data.draw(st.sampled_from(pool), "parent")
        given = self.limits_of(above, limits)
        self.pass_on(delegator, receiver, above, scopes, offset, life, revoked, replace, given, delegable)

    def pass_on(
        self,
        delegator: Key,
        receiver: Key,
        above: Consent,
        scopes: set[str],
        offset: int,
        life: int | None,
        revoked: bool,
        replace: bool,
        given: dict[str, Any],
        delegable: bool,
    ) -> None:
        """The delegation is said to ledger and model."""
        user, created = WALLETS[0], self.history.clock + offset
        expires = above.expires if life is None else created + life
        optional: dict[str, Any] = {"limits": Limits(**given)} if given else {}
        names = [ScopeName(vaultId=s.split(" / ")[0], scopeId=s.split(" / ")[1]) for s in sorted(scopes)]
        statement = Delegation(
            ledger=self.history.state.ledger,
            user_pub_key=user.keyid,
            delegator=delegator.keyid,
            agent_service_pub_key=receiver.keyid,
            parent=Digest(above.id),
            created_at=from_ms(created),
            expires_at=None if expires is None else from_ms(expires),
            revoked=revoked,
            metadata=Metadata(
                scopes=tuple(ScopeContext(context=n) for n in names), delegable=delegable, replace=replace, **optional
            ),
        )
        envelope = sign(statement, self.pen(delegator))
        consent = Consent(
            id=verify(envelope).digest,
            user=user.keyid,
            agent=receiver.keyid,
            created=created,
            expires=expires,
            revoked=revoked,
            scopes=frozenset(scopes),
            replace=replace,
            **plain_limits(given),
            delegable=delegable,
            delegator=delegator.keyid,
            parent=above.id,
        )
        self.say(envelope, consent)

    def limits_of(self, above: Consent, choice: str) -> dict[str, Any]:
        """The limits of what is passed on, or others."""
        same: dict[str, Any] = {"per": "era" if above.per_era else "grant"}
        if above.operations:
            same["operations"] = list(above.operations)
        if above.cpu_ms is not None:
            same["cpu_ms"] = above.cpu_ms
        if above.gpu_micro is not None:
            same["gpu_units"] = above.gpu_micro // 10**6 if above.gpu_micro % 10**6 == 0 else above.gpu_micro / 10**6
        changes: dict[str, dict[str, Any]] = {
            "same": {},
            "cpu": {"cpu_ms": 500},
            "era": {"per": "era"},
            "read": {"operations": ["read"]},
        }
        return {} if choice == "none" else same | changes[choice]

    @rule(
        party=st.sampled_from(PARTIES),
        kind=st.sampled_from(["rotated", "recovery", "recovery", "compromise", "compromise"]),
        offset=OFFSETS,
        used=st.sampled_from([False, False, False, True]),
        back=st.sampled_from([0, 1, 2, 4, 8, 10**6, -1]),
    )
    def change_keys(self, party: Any, kind: str, offset: int, used: bool, back: int) -> None:
        """A party rotates, sets a recovery key, or has a thief thrown out, with effect some entries back."""
        self.fresh += not used
        new, who = key(f"fresh {self.fresh}"), party.keyid
        created, size = self.history.clock + offset, self.history.state.size
        since = max(0, size - back)
        fields: dict[str, Any] = {
            "ledger": self.history.state.ledger,
            "identity": who,
            "created_at": from_ms(created),
        }
        recovery = self.model.recovery_of(who)
        former = [] if recovery is None else [self.named(recovery)]
        pens = [self.pen(party)] if kind != "compromise" else former or [party]
        if new.keyid in {k.keyid for k in (*pens, *former)}:
            return  # nobody can sign twice
        if kind == "rotated":
            envelope = sign(KeyRotated(**fields, new_key=new.keyid), *pens, new)
        elif kind == "recovery":
            envelope = sign(Identity(**fields, recovery_key=new.keyid), *pens, new, *former)
        else:
            declared = Compromise(**fields, new_key=new.keyid, since_index=since)
            envelope = sign(declared, *pens, new)
        self.say(envelope, Change(who, kind, new.keyid, created, since if kind == "compromise" else 0))

    def named(self, keyid: str) -> Any:
        """The fresh key with this id."""
        return next(k for k in (key(f"fresh {i}") for i in range(self.fresh + 1)) if k.keyid == keyid)

    @precondition(lambda self: self.model.changes)
    @rule()
    def forget_the_new_key(self) -> None:
        """The next to sign takes its first key."""
        self.old_pen = True

    @invariant()
    def chains_agree(self) -> None:
        """Whatever was ever granted or passed on is in force in the ledger exactly when the model says so."""
        now = self.history.clock
        for c in self.model.consents:
            try:
                chain_in_force(self.history.state, KeyId(c.user), KeyId(c.agent), Digest(c.id), now)
                in_force = True
            except Refused:
                in_force = False
            assert in_force == (not self.model.ended(c.user, c.agent, c.id, now)), c
