"""Governance against a plain model: who has a seat, what passes, when it holds, what lapses; nothing that founding would refuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proofroom.domain.canonical import decode
from proofroom.domain.errors import ProofroomError
from proofroom.domain.governance import read_parameters
from proofroom.domain.proposals import seats_of
from proofroom.domain.statements.governance import Parameters
from proofroom.domain.statements.proposals import ProposalDecided, ProposalEnacted
from proofroom.testing.histories import HOUR_MS, History
from proofroom.testing.keys import key
from strategies.governing import (
    admission,
    leave,
    new_manager,
    orchestrators,
    propose,
    settings,
    validation,
    vote,
)
from strategies.rooms import soak

DAY = 24 * HOUR_MS
WHOLE = 10**18
SHARES = ("treasury", "reserve", "validators")
FOUNDERS = ("manager", "provider-0", "provider-1", "provider-2")
PEOPLE = (*FOUNDERS, "provider-9", "manager-2", "stranger")

Change = tuple[Any, ...]
"""What is proposed, in the model's words."""


@dataclass
class Motion:
    """A proposal, as a plain record."""

    proposer: str
    change: Change
    majority: str
    deadline: int
    ayes: dict[str, bool] = field(default_factory=dict)
    voted_at: dict[str, int] = field(default_factory=dict)
    passed_at: int | None = None


@dataclass
class Model:
    """The cluster in plain words. Written from protocol 6, not from the domain."""

    manager: str = "manager"
    nodes: dict[str, tuple[str, str, str]] = field(
        default_factory=lambda: {f"node-{i}": (f"provider-{i}", f"runtime-{i}", "validated") for i in range(3)}
    )
    orchestrators: frozenset[str] = frozenset({"orchestrator"})
    values: dict[str, Any] = field(
        default_factory=lambda: {
            "treasury": 5 * 10**16,
            "reserve": 10**16,
            "validators": 4 * 10**16,
            "put": 1_000,
            "get": 500,
            "majority": "unanimous",
        }
    )
    motions: dict[int, Motion] = field(default_factory=dict)
    made: int = 0
    bonded: set[str] = field(default_factory=lambda: {"manager"})

    def seats(self) -> set[str]:
        """The manager, and everyone who provides a validated node."""
        return {self.manager} | {provider for provider, _, status in self.nodes.values() if status == "validated"}

    def misfits(self, change: Change) -> set[str]:
        """Why a change does not fit the cluster as it stands."""
        what, *rest = change
        if what == "set":
            values = self.values | rest[0]
            return {"BadParameters"} if sum(values[s] for s in SHARES) > WHOLE else set()
        if what == "admit":
            name, _, runtime = rest
            taken = name in self.nodes or runtime in {r for _, r, _ in self.nodes.values()}
            return {"AlreadyRecorded"} if taken else set()
        if what == "validate":
            if rest[0] not in self.nodes:
                return {"Unregistered"}
            return set() if self.nodes[rest[0]][2] == "admitted" else {"NodeStatus"}
        return set()

    def changes_nothing(self, change: Change) -> bool:
        """Whether the cluster would be as it is."""
        what, *rest = change
        if what == "set":
            return bool(self.values | rest[0] == self.values)
        same = {"manager": self.manager, "orchestrators": self.orchestrators}
        return what in same and bool(rest[0] == same[what])

    def make(self, change: Change) -> None:
        """Change the cluster."""
        what, *rest = change
        if what == "set":
            self.values |= rest[0]
        elif what == "admit":
            self.nodes[rest[0]] = (rest[1], rest[2], "admitted")
        elif what == "validate":
            provider, runtime, _ = self.nodes[rest[0]]
            self.nodes[rest[0]] = (provider, runtime, "validated")
        elif what == "manager":
            self.manager = rest[0]
        else:
            self.orchestrators = rest[0]

    def decide(self, now: int) -> dict[int, tuple[int, int, bool]]:
        """Count what has reached its deadline."""
        counted = {}
        for number, motion in sorted(self.motions.items()):
            if motion.passed_at is None and motion.deadline <= now:
                seats = self.seats()
                ayes = sum(aye for voter, aye in motion.ayes.items() if voter in seats)
                needed = len(seats) if motion.majority == "unanimous" else -(-2 * len(seats) // 3)
                passed = ayes >= needed and len(seats) > 1
                counted[number] = (len(seats), ayes, passed)
                if passed:
                    motion.passed_at = now
                else:
                    del self.motions[number]
        return counted

    def enact(self, start: int) -> dict[int, str | None]:
        """Open an era: number -> why it lapsed, of all that are taken up."""
        taken: dict[int, str | None] = {}
        for number, motion in sorted(self.motions.items()):
            if motion.passed_at is None:
                continue
            what, *rest = motion.change
            if misfits := self.misfits(motion.change):
                taken[number] = min(misfits)
                continue
            raised = what == "set" and any(self.values[p] < rest[0].get(p, 0) for p in ("put", "get"))
            if raised and start < motion.passed_at + 7 * DAY:
                continue
            if what == "manager" and rest[0] not in self.bonded:
                continue
            self.make(motion.change)
            taken[number] = None
        for number in taken:
            del self.motions[number]
        return taken


CODES = {"BadParameters": "bad-parameters", "AlreadyRecorded": "already-recorded", "NodeStatus": "node-status"}
NAMES = {"treasury": "shares.treasury", "reserve": "shares.reserve", "validators": "shares.validators"} | {
    "put": "prices.put",
    "get": "prices.get",
    "majority": "majority",
}


def written(change: Change) -> tuple[dict[str, Any], list[Any]]:
    """A change as a statement writes it, and who signs it besides the proposer."""
    what, *rest = change
    if what == "set":
        return settings(**{NAMES[n]: v if n == "majority" else str(v) for n, v in rest[0].items()}), []
    if what == "admit":
        provider, runtime = key(rest[1]), key(rest[2])
        return admission(rest[0], provider, runtime), [provider, runtime]
    if what == "validate":
        return validation(rest[0]), []
    if what == "manager":
        return new_manager(key(rest[0])), [key(rest[0])]
    return orchestrators(*map(key, sorted(rest[0]))), []


SHARE = st.sampled_from([0, 10**16, 4 * 10**17, 6 * 10**17, 9 * 10**17, WHOLE])
VALUES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(SHARES, SHARE)
    | {"put": st.sampled_from([0, 999, 1_000, 1_001]), "get": st.sampled_from([500, 501])},
).filter(bool)
NODES = st.sampled_from(["node-0", "node-7", "node-8"])
CHANGES: st.SearchStrategy[Change] = (
    st.tuples(st.just("set"), VALUES)
    | st.tuples(st.just("set"), VALUES)
    | st.sampled_from(["unanimous", "two-thirds"]).map(lambda m: ("set", {"majority": m}))
    | st.tuples(
        st.just("admit"),
        NODES,
        st.sampled_from(["provider-9", "provider-0"]),
        st.sampled_from(["runtime-0", "r-7", "r-8"]),
    )
    | st.tuples(st.just("validate"), NODES)
    | st.tuples(st.just("validate"), NODES)
    | st.tuples(st.just("manager"), st.sampled_from(["manager", "manager-2", "provider-1"]))
    | st.tuples(st.just("orchestrators"), st.sets(st.sampled_from(["orchestrator", "o-2"]), min_size=1).map(frozenset))
)


class Governance(RuleBasedStateMachine):
    """Random courses of a cluster."""

    @initialize()
    def found(self) -> None:
        """A cluster in its first era."""
        self.model, self.history = Model(), History()
        self.history.found()
        self.history.write(self.history.cast.open_era(0))

    def attempt(self, envelope: Any, reasons: set[str]) -> bool:
        """Record something; refused for one of the reasons, or not at all."""
        try:
            self.history.write(envelope)
            given = ""
        except ProofroomError as e:
            given = type(e).__name__
        assert given in (reasons or {""})
        return not given

    @rule(by=st.sampled_from(PEOPLE), change=CHANGES, hours=st.sampled_from([0, 1, 1, 30, 28 * 24, 28 * 24 + 1]))
    def propose(self, by: str, change: Change, hours: int) -> None:
        """Anybody tries to propose anything."""
        model, (what, others) = self.model, written(change)
        signers = {k.keyid: k for k in others if k.keyid != key(by).keyid}
        reasons = model.misfits(change) or ({"BadParameters"} if model.changes_nothing(change) else set())
        reasons |= set() if by in model.seats() else {"NoSeat"}
        mine = [m for m in model.motions.values() if m.proposer == by]
        reasons |= {"TooManyProposals"} if len(mine) >= 4 else set()
        reasons |= set() if 0 < hours <= 28 * 24 else {"TimesOutOfOrder"}
        statement = propose(
            self.history.cast, model.made, what, *signers.values(), by=key(by), ahead_ms=hours * HOUR_MS
        )
        if self.attempt(statement, reasons):
            deadline = self.history.clock + hours * HOUR_MS
            model.motions[model.made] = Motion(by, change, model.values["majority"], deadline)
            model.made += 1

    def open_motions(self) -> list[int]:
        """Numbers of what may be voted on."""
        return [n for n, motion in self.model.motions.items() if motion.passed_at is None]

    @precondition(lambda self: self.model.made)
    @rule(data=st.data(), voter=st.sampled_from(PEOPLE), aye=st.booleans(), ms=st.sampled_from([-1, 0, 1, 10**6]))
    def vote(self, data: st.DataObject, voter: str, aye: bool, ms: int) -> None:
        """Anybody tries to vote, sometimes on what is decided, sometimes with an old vote."""
        model, number = self.model, data.draw(st.integers(0, self.model.made - 1))
        at, motion = self.history.clock + ms, self.model.motions.get(number)
        reasons = set() if number in self.open_motions() else {"ProposalClosed"}
        reasons |= set() if voter in model.seats() else {"NoSeat"}
        reasons |= {"FromTheFuture"} if ms > 300_000 else set()
        reasons |= {"StaleVersion"} if motion is not None and at <= motion.voted_at.get(voter, 0) else set()
        statement = vote(self.history.cast, number, key(voter), aye, created_at=self.history.cast.now(ms))
        if self.attempt(statement, reasons):
            assert motion is not None
            motion.ayes[voter], motion.voted_at[voter] = aye, at

    @precondition(lambda self: self.open_motions())
    @rule(data=st.data(), without=st.sampled_from([None, None, *FOUNDERS]))
    def agree(self, data: st.DataObject, without: str | None) -> None:
        """All seats, or all but one, vote for something."""
        self.wait(1)
        if not self.open_motions():
            return
        number = data.draw(st.sampled_from(self.open_motions()))
        motion = self.model.motions[number]
        for voter in sorted(self.model.seats() - {without}):
            if motion.voted_at.get(voter, 0) < self.history.clock:
                self.history.write(vote(self.history.cast, number, key(voter)))
                motion.ayes[voter], motion.voted_at[voter] = True, self.history.clock

    @rule(ms=st.sampled_from([1, HOUR_MS - 1, HOUR_MS, 3 * DAY, 7 * DAY]))
    def wait(self, ms: int) -> None:
        """Time passes; the ledger counts what is due."""
        before = len(self.history.entries)
        self.history.tick(ms)
        counted = self.model.decide(self.history.clock)
        stated = [e.statement for e in self.history.entries[before:] if isinstance(e.statement, ProposalDecided)]
        assert {s.proposal: (s.seats, s.ayes, s.passed) for s in stated} == counted

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A provider takes a node out, or tries to once more."""
        name = data.draw(st.sampled_from(sorted(self.model.nodes)))
        provider, runtime, status = self.model.nodes[name]
        self.history.sleep(1)
        self.model.decide(self.history.clock)
        if self.attempt(leave(self.history.cast, name, key(provider)), {"NodeStatus"} if status == "left" else set()):
            self.model.nodes[name] = (provider, runtime, "left")

    @rule()
    def pay_bond(self) -> None:
        """Whoever is elected manager pays its bond; others may not."""
        elected = {
            m.change[1] for m in self.model.motions.values() if m.passed_at is not None and m.change[0] == "manager"
        }
        for name in ("manager-2", "provider-1"):
            deposit = self.history.cast.deposit(key(name).keyid, 10**12, account="cluster-bond")
            if self.attempt(deposit, set() if name in elected | {self.model.manager} else {"Unregistered"}):
                self.model.bonded.add(name)

    @rule()
    def next_era(self) -> None:
        """The era is closed and the next opened: what passed is made, as far as it fits and may be made now."""
        history, model = self.history, self.model
        self.wait(1_000)
        history.cast.manager = key(model.manager)
        cluster = history.state.clusters["dragon-1"]
        if cluster.open:
            history.write(history.cast.close_era(cluster.opened))
        before = len(history.entries)
        taken = model.enact(history.clock // 1000 * 1000)
        history.cast.manager = key(model.manager)
        history.write(history.cast.open_era(cluster.opened + 1))
        stated = [e.statement for e in history.entries[before:] if isinstance(e.statement, ProposalEnacted)]
        assert [s.era for s in stated] == [cluster.opened + 1] * len(taken)
        assert {s.proposal: s.lapsed for s in stated} == {n: why and CODES[why] for n, why in taken.items()}

    @invariant()
    def the_cluster_is_the_models(self) -> None:
        """Manager, seats, nodes, orchestrators, parameters, and what is in hand."""
        model, cluster = self.model, self.history.state.clusters["dragon-1"]
        assert cluster.manager == key(model.manager).keyid
        assert seats_of(cluster) == {key(name).keyid for name in model.seats()}
        assert {n: f.status for n, f in cluster.nodes.items()} == {n: s for n, (_, _, s) in model.nodes.items()}
        assert set(cluster.orchestrators) == {key(name).keyid for name in model.orchestrators}
        parameters = cluster.parameters
        assert [getattr(parameters, f"{s}_share") for s in SHARES] == [model.values[s] for s in SHARES]
        assert [parameters.put, parameters.get, cluster.majority] == [
            model.values[n] for n in ("put", "get", "majority")
        ]
        assert set(cluster.proposals) == set(model.motions)

    @invariant()
    def founding_would_not_refuse_it(self) -> None:
        """The parameters in force are such that a cluster could be founded with them."""
        cluster = self.history.state.clusters["dragon-1"]
        assert read_parameters(Parameters.model_validate(decode(cluster.terms))) == cluster.parameters


TestGovernance = Governance.TestCase
TestGovernance.settings = examples(max_examples=soak(10, 2_000), stateful_step_count=30, deadline=None)
