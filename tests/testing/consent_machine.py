"""One ledger and one reference model that are told the same: grants, certificates, payers, work, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proofroom.adapters.cast import PARAMETERS, Work
from proofroom.adapters.keys import Key
from proofroom.domain import errors, ids
from proofroom.domain.consent import grant_status
from proofroom.domain.envelope import Envelope, sign, verify
from proofroom.domain.errors import ProofroomError
from proofroom.domain.ids import KeyId, from_ms
from proofroom.domain.statements.activity import Signers
from proofroom.domain.statements.consent import (
    AgentKey,
    Grant,
    Limits,
    Metadata,
    Payer,
    ScopeContext,
    ScopeName,
    VaultOpened,
    WireGrant,
)
from proofroom.testing.histories import History
from proofroom.testing.keys import deterministic_randomness, key, key_of
from proofroom.testing.model import SKEW, Certificate, Change, Consent, Model, Promise, Run

ERA_MS = 3_600_000
PLAIN = PARAMETERS.model_copy(update={"era_seconds": ERA_MS // 1000})
PRICES = {name: int(price) for name, price in PARAMETERS.prices.to_json().items()}
WALLETS = [key("wallet-a"), key("wallet-b")]
AGENTS = [key("agent-a"), key("agent-b"), key("agent-c"), key("agent-d"), key("agent-e")]
"""The first two are granted; the others get what is passed on."""
SPONSOR = key("sponsor")
SCOPES = ["v-0 / mail", "v-0 / notes", "v-1 / mail", "v-2 / mail"]
OPERATIONS = ["read", "write"]

# Most draws are the plain one, so that long runs of accepted statements happen; the others lie on each side of a limit.
WHO = st.sampled_from([0, 0, 0, 1])
OFFSETS = st.sampled_from([0, 0, 0, 0, -1, 1, -1000, SKEW, SKEW + 1, -SKEW, -SKEW - 1])
LIVES = st.sampled_from([None, None, 1, 0, 1_000, 60_000, ERA_MS])
SPANS = st.sampled_from([1, 999, 60_000, SKEW, ERA_MS // 2, ERA_MS])
WORKS = st.builds(
    Work,
    st.sampled_from([0, 1, 400, 500, 999]),
    st.sampled_from([0, 0, 0.25, 1]),
    st.sampled_from([0, 3599, 10**12]),
    st.just(0),
    st.sampled_from([0, 1]),
    st.just(0),
)

ODD = [
    "",
    "",
    "",
    "edge",
    "edge",
    *["scope", "agent", "key", "grant", "customer", "ended", "id", "era", "took", "operation"],
]
"""What of a run is not plain; mostly at most one rule is at stake, so that a rule that is gone is noticed."""


def keys_for(agent: int, scope: str) -> list[Key]:
    """The derived keys that an agent service may have for a scope."""
    return [key(f"derived {agent} {scope} {i}") for i in range(2)]


def plain_limits(limits: Mapping[str, Any]) -> dict[str, Any]:
    """The limits of a consent as the model holds them: whole numbers, none where there is no limit."""
    gpu = limits.get("gpu_units")
    return {
        "operations": tuple(limits.get("operations", ())),
        "cpu_ms": limits.get("cpu_ms"),
        "gpu_micro": None if gpu is None else int(gpu * 10**6),
        "per_era": limits.get("per") == "era",
    }


class ConsentMachine(RuleBasedStateMachine):
    """One ledger, one model, the same statements."""

    old_pen = False
    """The next to sign uses its first key, whatever is in force."""

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """A cluster with an open era; the first wallet has a vault, a grant and a certified key, so that work may follow at once."""
        self.history = self.make_history()
        self.randomness = deterministic_randomness("machine")
        self.history.write(*self.history.cast.founding())
        self.model = Model(PRICES, ERA_MS)
        self.said: list[tuple[Envelope, Any]] = []
        self.open_next_era()
        self.open_vault(0, 0, 0)
        self.grant(0, 0, {SCOPES[0]}, 0, None, False, False, None, False, True)
        self.certify(0, SCOPES[0], 0, 0, ERA_MS)
        self.more()

    def make_history(self) -> History:
        """The ledger, with nothing but its genesis."""
        return History(seed="machine", parameters=PLAIN)

    def more(self) -> None:
        """What else there is in the beginning."""

    # --- what is said to both

    def say(self, envelope: Envelope, thing: Any) -> None:
        """Give the same to ledger and model; they must agree."""
        self.history.state_due()
        now, before = self.history.clock, self.history.state
        reasons = self.refuses(now, thing)
        reasons |= self.model.refuses_signers(self.parties(thing), {s.keyid for s in envelope.signatures})
        if not reasons:
            self.expect(envelope)
        answer = self.give(envelope)
        if reasons:
            assert answer in {getattr(errors, reason).code for reason in reasons}, (answer, reasons)
            assert self.history.state is before
        else:
            assert answer == before.size, answer
            if type(thing) is tuple:
                self.model.vaults[thing[1]] = thing[0]
            else:
                self.model.record(thing, before.size)
        self.said.append((envelope, thing))

    def expect(self, envelope: Envelope) -> None:
        """What the model lets in is about to be given."""

    def give(self, envelope: Envelope) -> int | str:
        """Its place in the log, or the code of the error that kept it out."""
        try:
            return self.history.record(envelope).index
        except ProofroomError as e:
            return e.code

    def refuses(self, now: int, thing: Any) -> set[str]:
        """The model's reasons."""
        match thing:
            case Consent() if thing.delegator:
                return self.model.refuses_delegation(now, thing)
            case Consent():
                return self.model.refuses_consent(now, thing)
            case Change():
                return self.model.refuses_change(now, self.history.state.size, thing)
            case Certificate():
                return self.model.refuses_certificate(now, thing)
            case Promise():
                return self.model.refuses_promise(now, thing)
            case Run():
                return self.model.refuses_run(now, thing)
            case _:
                return self.model.refuses_vault(now, thing[1], thing[2])

    def parties(self, thing: Any) -> list[str]:
        """Who has to sign, by name; of a key change also the keys that nobody has yet."""
        cast = self.history.cast
        match thing:
            case Consent():
                return [thing.delegator or thing.user]
            case Change():
                signer = self.model.recovery_of(thing.who)
                if thing.kind == "compromise":
                    return [signer or thing.who, thing.key]
                return [thing.who, thing.key, *([signer] if thing.kind == "recovery" and signer else [])]
            case Certificate():
                return [thing.agent, thing.key]
            case Promise():
                return [thing.customer]
            case Run():
                return [thing.key, cast.orchestrator.keyid, cast.runtimes[0].keyid]
            case _:
                return [thing[0]]

    def pen(self, party: Key) -> Key:
        """The key in force of a party, or by mistake its first."""
        old, self.old_pen = self.old_pen, False
        return party if old else key_of(KeyId(self.model.key_of(party.keyid)))

    # --- time

    @rule(ms=SPANS)
    def wait(self, ms: int) -> None:
        """Time passes."""
        self.history.tick(ms)

    @precondition(lambda self: self.history.clock >= self.model.era_starts[-1] + ERA_MS)
    @rule()
    def open_next_era(self) -> None:
        """The era before has ended by itself; the next begins."""
        self.history.write(self.history.cast.open_era(len(self.model.era_starts)))
        self.model.era_starts.append(self.history.clock // 1000 * 1000)

    # --- consent

    @rule(wallet=WHO, vault=st.integers(0, 2), offset=OFFSETS)
    def open_vault(self, wallet: int, vault: int, offset: int) -> None:
        """A wallet claims a vault."""
        user, created = WALLETS[wallet], self.history.clock + offset
        statement = VaultOpened(
            ledger=self.history.state.ledger,
            user_pub_key=user.keyid,
            vaultId=f"v-{vault}",
            created_at=from_ms(created),
        )
        self.say(sign(statement, self.pen(user)), (user.keyid, f"v-{vault}", created))

    @rule(
        wallet=WHO,
        agent=WHO,
        scopes=st.sampled_from([{SCOPES[0]}, {SCOPES[0]}, {SCOPES[0], SCOPES[1]}, {SCOPES[2]}, set()]),
        offset=OFFSETS,
        life=LIVES,
        revoked=st.sampled_from([False, False, False, True]),
        replace=st.booleans(),
        limits=st.none()
        | st.fixed_dictionaries(
            {"per": st.sampled_from(["era", "grant"])},
            optional={
                "operations": st.sampled_from([["read"], ["read", "write"], ["write"]]),
                "cpu_ms": st.sampled_from([0, 500, 1_000, 10**6]),
                "gpu_units": st.sampled_from([0, 0.25, 1]),
            },
        ),
        wire=st.booleans(),
        delegable=st.sampled_from([True, True, False]),
    )
    def grant(
        self,
        wallet: int,
        agent: int,
        scopes: set[str],
        offset: int,
        life: int | None,
        revoked: bool,
        replace: bool,
        limits: dict[str, Any] | None,
        wire: bool,
        delegable: bool,
    ) -> None:
        """A wallet grants, renews, narrows, replaces or revokes; in our form or in the wallets'."""
        user, created = WALLETS[wallet], self.history.clock + offset
        wire = wire and (limits or {}).get("gpu_units") != 0.25  # test_consent has fractions in the wire form
        names = [ScopeName(vaultId=s.split(" / ")[0], scopeId=s.split(" / ")[1]) for s in sorted(scopes, reverse=True)]
        optional: dict[str, Any] = {} if limits is None else {"limits": Limits(**limits)}
        optional |= {"delegable": True} if delegable else {}
        fields: dict[str, Any] = {
            "agent_service_pub_key": AGENTS[agent].keyid,
            "user_pub_key": user.keyid,
            "created_at": from_ms(created),
            "expires_at": None if life is None else from_ms(created + life),
            "revoked": revoked,
            "metadata": Metadata(scopes=tuple(ScopeContext(context=n) for n in names), replace=replace, **optional),
        }
        statement = WireGrant(**fields) if wire else Grant(ledger=self.history.state.ledger, **fields)
        envelope = sign(statement, self.pen(user))
        consent = Consent(
            id=verify(envelope).digest,
            user=user.keyid,
            agent=AGENTS[agent].keyid,
            created=created,
            expires=None if life is None else created + life,
            revoked=revoked,
            scopes=frozenset(scopes),
            replace=replace,
            **plain_limits(limits or {}),
            delegable=delegable,
        )
        self.say(envelope, consent)

    @rule(
        agent=st.sampled_from([0, 0, 1, 2, 2, 3, 4]),
        scope=st.sampled_from([SCOPES[0], SCOPES[0], SCOPES[0], *SCOPES]),
        n=WHO,
        offset=OFFSETS,
        life=st.sampled_from([ERA_MS, 10 * ERA_MS, 60_000, 1, 0]),
    )
    def certify(self, agent: int, scope: str, n: int, offset: int, life: int) -> None:
        """An agent service certifies a derived key for a scope."""
        derived, created = keys_for(agent, scope)[n], self.history.clock + offset
        statement = AgentKey(
            ledger=self.history.state.ledger,
            agent=AGENTS[agent].keyid,
            vault_scope=scope,
            key=derived.keyid,
            created_at=from_ms(created),
            expires_at=from_ms(created + life),
        )
        certificate = Certificate(derived.keyid, AGENTS[agent].keyid, scope, created, created + life)
        self.say(sign(statement, self.pen(AGENTS[agent]), derived), certificate)

    @rule(
        agent=WHO,
        cap=st.sampled_from([0, 800_000, 2_000_000, 10**9]),
        offset=OFFSETS,
        life=LIVES,
        revoked=st.sampled_from([False, False, True]),
        who=st.sampled_from([2, 2, 1]),
    )
    def promise(self, agent: int, cap: int, offset: int, life: int | None, revoked: bool, who: int) -> None:
        """Someone takes on what an agent service burns, or no longer does."""
        customer, created = [*WALLETS, SPONSOR][who], self.history.clock + offset
        expires = None if life is None else created + life
        statement = Payer(
            ledger=self.history.state.ledger,
            customer=customer.keyid,
            agent=AGENTS[agent].keyid,
            cluster=self.history.cast.cluster,
            cap_per_era=str(cap),
            created_at=from_ms(created),
            expires_at=None if expires is None else from_ms(expires),
            revoked=revoked,
        )
        promise = Promise(customer.keyid, AGENTS[agent].keyid, created, expires, revoked, cap)
        self.say(sign(statement, self.pen(customer)), promise)

    # --- work

    @rule(data=st.data(), odd=st.sampled_from(ODD), work=WORKS)
    def run(self, data: st.DataObject, odd: str, work: Work) -> None:
        """An agent works: by the newest certificates and versions and now, but for one thing that is drawn from far and wide."""
        pick = data.draw
        certificate = pick(st.sampled_from(self.model.certificates), "certificate")
        agent, scope, derived = certificate.agent, certificate.scope, certificate.key
        if odd == "scope":
            scope = pick(st.sampled_from(SCOPES), "scope")
        if odd == "agent":
            agent = pick(st.sampled_from([a.keyid for a in AGENTS]), "agent")
        if odd == "key":
            derived = pick(
                st.sampled_from([k.keyid for i in range(len(AGENTS)) for s in SCOPES for k in keys_for(i, s)]), "key"
            )
        owner = self.model.vaults.get(scope.split(" / ", maxsplit=1)[0], WALLETS[0].keyid)
        mine = [c for c in self.model.consents if (c.user, c.agent) == (owner, agent) and c.delegator]
        streams = [self.model.newest(owner, agent, d) for d in sorted({c.delegator for c in mine})]
        direct = self.model.newest(owner, agent)
        version = pick(st.sampled_from([*streams, direct] if direct or not streams else streams), "version")
        grant = version.id if version is not None else "blake3:" + "00" * 32
        if odd == "grant":
            grant = pick(st.sampled_from([c.id for c in self.model.consents]), "grant")
        promised = [p.customer for p in self.model.promises if p.agent == agent]
        customer = pick(st.sampled_from([owner, *promised]), "customer")
        if odd == "customer":
            customer = pick(st.sampled_from([SPONSOR.keyid, *(w.keyid for w in WALLETS)]), "customer")
        now = self.history.clock
        ended = now + (pick(OFFSETS, "offset") if odd == "ended" else 0)
        if odd == "edge":
            ends = [version.expires if version is not None else None, certificate.expires]
            ends += [p.expires for p in self.model.promises if p.customer == customer]
            ends += [self.model.era_starts[-1] - SKEW, now + SKEW]
            ended = pick(st.sampled_from([e for e in ends if e is not None]), "end") + pick(
                st.sampled_from([0, 1, -1]), "by"
            )
        id_ms = now + (pick(OFFSETS, "id") if odd == "id" else 0)
        run = Run(
            id=ids.record_id(id_ms, self.randomness(10)),
            id_ms=id_ms,
            agent=agent,
            scope=scope,
            key=derived,
            customer=customer,
            grant=grant,
            era=max(0, len(self.model.era_starts) - (pick(st.sampled_from([0, 2]), "era") if odd == "era" else 1)),
            started=ended - (pick(st.sampled_from([1, SKEW, SKEW + 1, -1]), "took") if odd == "took" else 0),
            ended=ended,
            operation=pick(st.sampled_from(OPERATIONS), "operation") if odd == "operation" else "read",
            usage={
                "cpu_ms": work.cpu_ms,
                "gpu_micro": int(work.gpu_units * 10**6),
                "byte_seconds": work.byte_seconds,
                "bytes_streamed": 0,
                "puts": work.puts,
                "gets": 0,
            },
        )
        self.say(self.signed(run, work, key_of(KeyId(derived))), run)

    def signed(self, run: Run, work: Work, derived: Key) -> Envelope:
        """The record of a run."""
        cast = self.history.cast
        roles = {"orchestrator": cast.orchestrator.keyid, "agent-runtime": cast.runtimes[0].keyid}
        statement = cast.record(
            ids.Digest(run.grant),
            run.era,
            work,
            record_id=run.id,
            agent=run.agent,
            vault_scope=run.scope,
            operation=run.operation,
            customer=run.customer,
            started_at=from_ms(run.started),
            ended_at=from_ms(run.ended),
            signers=Signers.model_validate({**roles, "agent-derived-key": derived.keyid}),
        )
        return sign(statement, derived, cast.orchestrator, cast.runtimes[0])

    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        """Anything that was said before is said again, whatever became of it."""
        self.say(*data.draw(st.sampled_from(self.said), "again"))

    # --- always

    @invariant()
    def statuses_agree(self) -> None:
        """Each grant has the status that the model gives it, now and around its end."""
        for user in WALLETS:
            for agent in AGENTS[:2]:
                version = self.history.state.grants.get((user.keyid, agent.keyid))
                for at in (self.history.clock, (version.expires_at_ms if version else 0) + 1):
                    assert grant_status(version, at) == self.model.status(user.keyid, agent.keyid, at)
