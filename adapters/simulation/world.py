"""A simulated world: parties that keep the rules and parties that do not, on one real ledger.

Everything goes through :class:`~proofroom.adapters.ledger.Ledger`: signatures are verified, the transition decides, the ledger states what
is due. Only the clock, the randomness and the parties are made up, and all of them come from the seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

import orjson
from blake3 import blake3

from proofroom.adapters.accusing import accuse_of_equivocation, accuse_of_false_beacon
from proofroom.adapters.cast import PARAMETERS, Cast, Work
from proofroom.adapters.keys import Key
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.simulation.forgetful import ForgetfulStore
from proofroom.adapters.simulation.report import Report
from proofroom.adapters.simulation.scenario import Scenario
from proofroom.adapters.stores import Store
from proofroom.domain.accounts import bond_account
from proofroom.domain.assurance import capture, catch, threshold
from proofroom.domain.authority import AUTHORITY
from proofroom.domain.checkpoint import parse_note
from proofroom.domain.crosscheck import Claim, Observation, claim_of, cross_check, tolerances_of
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.errors import ProofroomError
from proofroom.domain.ids import KeyId, from_ms, to_ms
from proofroom.domain.money import RATIO_ONE
from proofroom.domain.state import RULES, Round
from proofroom.domain.statements import KINDS
from proofroom.domain.statements.attestation import RoundTallied, Vote
from proofroom.domain.statements.ledger import Genesis
from proofroom.domain.statements.offences import SlashBasis, Slashed
from proofroom.domain.voting import all_positions, make_vote, read_bitmap

START_MS = to_ms("2026-01-01T00:00:00Z")
MISREPORTER = "node-2"
CURVE = 100
"""Points of the curve in a report."""

MakeStore = Callable[[Callable[[], int]], Store]
"""Makes an empty store, given its clock."""


class Run(NamedTuple):
    """One record of the batch that is being played."""

    claim: Claim
    seen: Observation | None
    """What the gateway saw; it may have seen nothing."""
    is_false: bool


def simulate(
    scenario: Scenario, *, store: MakeStore = ForgetfulStore, progress: Callable[[int], object] = lambda _: None
) -> Report:
    """Run a scenario to its end.

    Args:
        scenario: the world.
        store: makes the store that the ledger is written to; by default one that forgets.
        progress: called with the number of batches done.
    """
    world = World(scenario, store)
    with world.ledger:
        for batch in range(scenario.batches):
            world.play_batch(batch)
            progress(batch + 1)
        world.end_era()
        return world.report()


class World:
    """One cluster and all its parties. See :func:`simulate`."""

    def __init__(self, scenario: Scenario, store: MakeStore = ForgetfulStore) -> None:
        self.scenario, self.now = scenario, START_MS
        self.random, key = random.Random(scenario.seed), _keys(scenario.seed)
        self.counts, self.honest, self.misreported = Counter[str](), Counter[str](), Counter[str]()
        self.refused, self.stated, self.slashed = Counter[str](), Counter[str](), Counter[str]()
        self.curve: list[int] = []
        self.runs: list[Run] = []
        self.noticed = False
        """A member of the newest committee rejected a misreport."""
        self.ledger = Ledger(store(lambda: self.now), [key("ledger"), key("checkpoint")])
        self.ledger.append(sign(_genesis(key), key("ledger"), key("checkpoint")))
        self.cast = self._cast(key)
        self.number = {v.keyid: i for i, v in enumerate(self.cast.validators)}
        cast = self.cast
        self.write([*cast.founding(), *cast.consent(), cast.deposit(cast.user.keyid, 10**30)])
        self.grant = self.ledger.state.grants[cast.user.keyid, cast.agent.keyid].digest

    def _cast(self, key: Callable[[str], Key]) -> Cast:
        scenario, attestation = self.scenario, PARAMETERS.attestation
        changes = {"committee": scenario.committee, "escalations": scenario.escalations}
        parameters = PARAMETERS.model_copy(
            update={
                "attestation": attestation.model_copy(update=changes),
                "bonds": PARAMETERS.bonds.model_copy(update={"slash_multiple": scenario.slash_multiple}),
                "era_seconds": 366 * 86_400,
            }
        )
        return Cast(
            self.ledger.id,
            lambda: self.now,
            key,
            randomness=self.random.randbytes,
            validators=scenario.validators,
            parameters=parameters,
            chain=(scenario.escalations + 1) * scenario.batches,
        )

    # --- the ledger

    def write(self, envelopes: Iterable[Envelope]) -> None:
        """Take statements to the ledger; count what it refuses, and hear what it states itself."""
        start = self.ledger.size
        for outcome in self.ledger.append_stream(envelopes):
            if isinstance(outcome, ProofroomError):
                self.refused[outcome.code] += 1
        self._hear(start)

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.now += ms
        start = self.ledger.size
        self.ledger.tick()
        self._hear(start)

    def _hear(self, start: int) -> None:
        while page := self.ledger.store.scan(start):
            for _, _, topic, payload in page:
                kind = KINDS[topic]
                if kind is not Genesis and AUTHORITY[kind.kind].derived:
                    self.stated[kind.kind] += 1
                if kind is RoundTallied:
                    self._count_tally(RoundTallied.model_validate(orjson.loads(payload)))
                if kind is Slashed:
                    self.slashed[self._whose(Slashed.model_validate(orjson.loads(payload)).basis)] += 1
            start = page[-1][0] + 1

    def _whose(self, basis: SlashBasis) -> str:
        """Whom a slash hits, by what it did."""
        if basis.validator is not None:
            return self._does(self.number[basis.validator])
        return "misreporting-node" if basis.node == MISREPORTER else "honest-node"

    # --- work

    def play_batch(self, batch: int) -> None:
        """Some runs, sealed into a batch, and its rounds to their end."""
        scenario, cast = self.scenario, self.cast
        era = batch // scenario.batches_per_era
        if batch % scenario.batches_per_era == 0:
            self._next_era(era)
        self.now += 60_000
        removed = self.ledger.state.clusters[cast.cluster].nodes[MISREPORTER].status == "removed"
        false = set(self.random.sample(range(scenario.records), 0 if removed else scenario.misreported))
        lost = set(self.random.sample(range(scenario.records), scenario.unobserved))
        self.runs.clear()
        self.write([self._run(era, i in false, i in lost) for i in range(scenario.records)])
        self.write([cast.seal_all(self.ledger.state, era)])
        while self.ledger.state.rounds:
            (key,) = self.ledger.state.rounds
            self.play_round(*key)
        if (batch + 1) * CURVE // scenario.batches > batch * CURVE // scenario.batches:
            self.curve.append(self.counts["captured"])

    def _next_era(self, era: int) -> None:
        if era:
            self.end_era()
        cast = self.cast
        bond = self.ledger.state.balances.get(bond_account(cast.cluster, cast.manager.keyid), 0)
        missing = int(cast.parameters.bonds.cluster_minimum) - bond
        if missing > 0:
            self.write([cast.deposit(cast.manager.keyid, missing, account="cluster-bond")])
        self.write([cast.open_era(era)])

    def end_era(self) -> None:
        """Seal the era that is open; all its rounds are final, so it is settled, and its offences are established."""
        self.now += 1_000
        self.write([self.cast.close_era(self.ledger.state.clusters[self.cast.cluster].opened)])
        self.wait(1_000)

    def _run(self, era: int, is_false: bool, is_lost: bool) -> Envelope:
        """One run: what it burned, what its record claims, and what the gateway saw of it."""
        used = self.random.randint(100, 1_000)
        node = 2 if is_false else self.random.randrange(2)
        record = self.cast.record(self.grant, era, Work(2 * used if is_false else used), node=node)
        seen = Observation(used, 0, 0, 0, 0, 0, (record.vault_scope,), record.result_hash)
        self.runs.append(Run(claim_of(record), None if is_lost else seen, is_false))
        return sign(record, self.cast.derived, self.cast.orchestrator, self.cast.runtimes[node])

    # --- attestation

    def play_round(self, cluster: str, number: int) -> None:
        """Beacon, commitments, reveals: each validator as it behaves; then the deadline, where somebody is missing."""
        cast, attestation = self.cast, PARAMETERS.attestation
        eligible = self._numbers(self._round(number).eligible)
        false = [cast.reveal_beacon(number, i, value=bytes(32)) for i in eligible if self._does(i) == "misrevealing"]
        self.write(false)
        self.write([accuse_of_false_beacon(envelope, cast.key("watcher")) for envelope in false])
        present = [i for i in eligible if self._does(i) not in ("absent", "misrevealing")]
        self.write([cast.reveal_beacon(number, i) for i in present])
        if not self._is_final(number) and not self._round(number).digest:
            self.wait(attestation.beacon_ms)
        if self._is_final(number):
            return
        round = self._round(number)
        members = self._numbers(round.committee)
        votes = {i: self._vote(round, i) for i in members if self._does(i) not in ("absent", "copying", "misrevealing")}
        copiers = [i for i in members if votes and self._does(i) == "copying"]
        self._count_drawn(round, members, votes)
        self._commit(number, votes, copiers)
        if not self._is_final(number):
            self.wait(attestation.commit_ms)
        if not self._is_final(number):
            self._reveal(number, votes, copiers)
        if not self._is_final(number):
            self.wait(attestation.reveal_ms)

    def _commit(self, number: int, votes: dict[int, Vote], copiers: list[int]) -> None:
        """Copiers sign the first commitment that they see as theirs; equivocators sign a second one, and are accused of it."""
        cast, state = self.cast, self.ledger.state
        round = self._round(number)
        nothing = make_vote(
            len(round.records), dict.fromkeys(range(len(round.records)), "unobserved"), judged=round.judged
        )
        first = {i: cast.commit(state, number, i, vote) for i, vote in votes.items()}
        second = {i: cast.commit(state, number, i, nothing) for i in votes if self._does(i) == "equivocating"}
        self.write(first.values())
        self.write(second.values())
        self.write([cast.commit(state, number, i, votes[min(votes)], bound_to=min(votes)) for i in copiers])
        self.write([accuse_of_equivocation(first[i], second[i], cast.key("watcher")) for i in second])

    def _reveal(self, number: int, votes: dict[int, Vote], copiers: list[int]) -> None:
        """Copiers show the vote that they copied, with its salt: the commitment is not bound to them."""
        cast = self.cast
        self.write([cast.reveal(number, i, votes[min(votes)], salt_of=min(votes)) for i in copiers])
        self.write([cast.reveal(number, i, vote) for i, vote in votes.items()])

    def _vote(self, round: Round, i: int) -> Vote:
        """The colluding agree to everything, or reject everything; all others compare."""
        count = len(round.records)
        if self._does(i) == "colluding":
            return make_vote(count, judged=round.judged)
        if self._does(i) == "framing":
            return make_vote(count, dict.fromkeys(range(count), "out-of-scope"), judged=round.judged)
        tolerances = tolerances_of(self.ledger.state.eras[self.cast.cluster, round.era].parameters)
        reasons = ((place, cross_check(run.claim, run.seen, tolerances)) for place, run in enumerate(self.runs))
        return make_vote(count, {place: reason for place, reason in reasons if reason}, judged=round.judged)

    def _does(self, i: int) -> str:
        return self.scenario.behaviour(i)

    def _round(self, number: int) -> Round:
        return self.ledger.state.rounds[self.cast.cluster, number]

    def _is_final(self, number: int) -> bool:
        return (self.cast.cluster, number) not in self.ledger.state.rounds

    def _numbers(self, validators: Iterable[KeyId]) -> list[int]:
        return sorted(self.number[v] for v in validators)

    # --- the count

    def _count_drawn(self, round: Round, members: list[int], votes: dict[int, Vote]) -> None:
        """Whether the colluding hold the threshold of a first committee, and whether anybody else sees a misreport."""
        against = [i for i in members if self._does(i) in ("colluding", "framing")]
        self.counts["blockable"] += 3 * len(against) >= len(members)
        if round.level:
            return
        colluding = [i for i in members if self._does(i) == "colluding"]
        self.counts["drawn"] += 1
        self.counts["captured"] += len(colluding) >= threshold(len(members))
        self.counts["suspect"] += any(run.is_false for run in self.runs)
        self.noticed = any(run.is_false and run.seen for run in self.runs) and len(votes) > len(colluding)

    def _count_tally(self, s: RoundTallied) -> None:
        """What became of each record that is final now, and whether a misreport was caught."""
        false = sum(1 << place for place, run in enumerate(self.runs) if run.is_false)
        asked = all_positions(s.records) if s.judged is None else read_bitmap(s.judged, s.records)
        attested, rejected = read_bitmap(s.attested, s.records), read_bitmap(s.rejected, s.records)
        escalated = 0 if s.escalated is None else read_bitmap(s.escalated, s.records)
        verdicts = {
            "attested": attested,
            "rejected": rejected,
            "unattested": asked & ~(attested | rejected | escalated),
        }
        for verdict, places in verdicts.items():
            self.misreported[verdict] += (places & false).bit_count()
            self.honest[verdict] += (places & ~false).bit_count()
        self.counts["rounds" if s.level is None else "escalated"] += 1
        if s.level is None:
            self.counts["caught"] += self.noticed and not attested & false
            self.noticed = False

    def report(self) -> Report:
        """What was seen so far."""
        s = self.scenario
        captured = capture(s.validators, s.colluding, s.committee)
        caught = catch(captured, s.records, s.records - s.unobserved)
        (checkpoint, _) = parse_note(self.ledger.checkpoint())
        return Report(
            scenario=s,
            entries=self.ledger.size,
            rounds=self.counts["rounds"],
            drawn=self.counts["drawn"],
            suspect=self.counts["suspect"],
            blockable=self.counts["blockable"],
            captured=self.counts["captured"],
            expected_capture=captured / RATIO_ONE,
            caught=self.counts["caught"],
            expected_catch=caught / RATIO_ONE,
            escalated=self.counts["escalated"],
            honest=dict(sorted(self.honest.items())),
            misreported=dict(sorted(self.misreported.items())),
            slashed=dict(sorted(self.slashed.items())),
            refused=dict(sorted(self.refused.items())),
            stated=dict(sorted(self.stated.items())),
            root=checkpoint.root.hex(),
            capture_curve=tuple(self.curve),
        )


def _keys(seed: int) -> Callable[[str], Key]:
    """Keys that follow from the seed and a name."""

    @cache
    def key(name: str) -> Key:
        return Key(blake3(b"proofroom simulation %d %b" % (seed, name.encode())).digest())

    return key


def _genesis(key: Callable[[str], Key]) -> Genesis:
    return Genesis(
        origin="simulation.invalid/room",
        created_at=from_ms(START_MS),
        rules=RULES,
        ledger_key=key("ledger").keyid,
        ledger_recovery_key=key("ledger-recovery").keyid,
        checkpoint_key=key("checkpoint").keyid,
        checkpoint_recovery_key=key("checkpoint-recovery").keyid,
        bank_keys=(key("bank").keyid,),
        unit="CERE",
    )
