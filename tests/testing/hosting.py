"""A host application held against the rules: a state machine that sends it what wallets, services, thieves and strangers might send.

Five lines hold an integration against it:

>>> class Mine(HostMachine):                                                    # doctest: +SKIP
...     def make_host(self, folder: Path, clock: Clock) -> Host:
...         return MyHost(folder, clock)
>>> TestMine = Mine.TestCase                                                    # doctest: +SKIP

After each step the host's ledger must say what a plain model says (:mod:`.model`, :mod:`.books`): who may do what, what every statement
was answered, and who owns what. Before each statement that must be recorded the host is sent a neighbour of it that must not be. Now and
then the host is stopped and started again. At the end its whole log is audited. A host adds its own promises as ``@invariant()``.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.cast import Cast
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, verify
from proofroom.domain.state import State
from proofroom.testing.books import Books
from proofroom.testing.clocks import Clock
from proofroom.testing.consent_machine import ERA_MS, PLAIN, SPONSOR, WALLETS
from proofroom.testing.family_machine import FamilyMachine
from proofroom.testing.histories import ORIGIN, START_MS, History
from proofroom.testing.keys import deterministic_randomness, key
from proofroom.testing.neighbours import neighbours

_OWN_KEYS = ("ledger", "ledger-recovery", "checkpoint", "checkpoint-recovery")


def ledger_in(folder: Path, clock: Clock) -> Ledger:
    """The ledger in a folder, with keys that follow from their names; founded there, with the cast's bank, when there is none."""
    if (folder / LOG).exists():
        return Ledger.open(folder, signers=[key("ledger"), key("checkpoint")], clock=clock)
    signers = {name: key(name) for name in _OWN_KEYS}
    return Ledger.create(folder, origin=ORIGIN, bank_keys=[key("bank").keyid], signers=signers, clock=clock)


class Host(Protocol):
    """What a machine must be able to do with a host application."""

    @property
    def ledger(self) -> Ledger:
        """Its ledger, to be read; by :func:`ledger_in`, or with the same bank key and a clock that is given."""
        ...

    def submit(self, envelope: bytes) -> int | str:
        """Send it an envelope by whatever door strangers use: the place in the log that it answers, or the code of its refusal."""
        ...

    def close(self) -> None:
        """Stop it."""
        ...


class _Hosted(History):
    """A history that is written by way of a host."""

    def __init__(self, folder: Path, machine: HostMachine) -> None:
        self.machine, self._ms = machine, Clock(START_MS)
        self.folder = folder
        self.entries = []
        self.host = machine.make_host(folder, self._ms)
        randomness = deterministic_randomness("cast machine")
        self.cast = Cast(self.host.ledger.id, self._ms, key, randomness=randomness, parameters=PLAIN, chain=50)

    @property
    def clock(self) -> int:
        """The time that the host's clock shows."""
        return self._ms.ms

    @clock.setter
    def clock(self, ms: int) -> None:
        self._ms.ms = ms

    @property
    def state(self) -> State:
        """What the host's ledger holds."""
        return self.host.ledger.state

    def record(self, envelope: Envelope) -> Entry:
        """Have the host record this; it must."""
        answer = self.submit(envelope)
        assert isinstance(answer, int), f"refused: {answer}"
        self.entries.append(self.host.ledger.entry(answer))
        return self.entries[-1]

    def submit(self, envelope: Envelope) -> int | str:
        """What the host answers; a place that it names must hold the statement."""
        answer = self.host.submit(envelope.to_json())
        if isinstance(answer, int):
            assert 0 <= answer < self.host.ledger.size, f"it names entry {answer}, which its ledger does not have"
            assert self.host.ledger.entry(answer).verified.digest == verify(envelope).digest, f"{answer} holds another"
        return answer

    def state_due(self) -> None:
        """The host's ledger states what is due."""
        if self.due() is not None:
            self.host.ledger.tick()

    def tick(self, ms: int = 0) -> None:
        """The host's clock runs on, and its ledger says so."""
        self.sleep(ms)
        self.host.ledger.tick()

    def restart(self) -> None:
        """Stop the host, and start it again on what it left."""
        self.host.close()
        self.host = self.machine.make_host(self.folder, self._ms)


class HostMachine(FamilyMachine):
    """One host, one model, the same statements. Override :meth:`make_host`; ``TestCase`` is then the test."""

    history: _Hosted

    def make_host(self, folder: Path, clock: Clock) -> Host:
        """The host application on a folder of its own, for the first time or again, by this clock and no other."""
        raise NotImplementedError(
            "a HostMachine needs make_host"
        )  # not abstract: Hypothesis makes machines of every base class

    def make_history(self) -> History:
        """An empty folder, and the host on it."""
        self.folder = TemporaryDirectory(prefix="proofroom-host-")
        self.places: dict[str, int] = {}
        self.books, self.booked = Books({"dragon-1": (0, 0)}), 0
        return _Hosted(Path(self.folder.name), self)

    def more(self) -> None:
        """What was said first is said again at once, in every run."""
        super().more()
        self.say(*self.said[0])

    @property
    def host(self) -> Host:
        """The host as it runs now."""
        return self.history.host

    def expect(self, envelope: Envelope) -> None:
        """First the host is sent something that is nearly that."""
        before = self.history.state
        near = neighbours(self.history.clock, envelope)
        neighbour = Random(verify(envelope).id).choice(near)
        answer = self.host.submit(neighbour.envelope)
        assert answer == neighbour.error.code, f"{neighbour.rule} It answered {answer}."
        assert self.history.state is before, f"{neighbour.rule} It was refused, and left a trace."

    def say(self, envelope: Envelope, thing: Any) -> None:
        """Say it to host and model; what is recorded already, to the host alone."""
        if verify(envelope).digest in self.places:
            self.history.state_due()
            self.give(envelope)
        else:
            super().say(envelope, thing)

    def give(self, envelope: Envelope) -> int | str:
        """Through the host's door; what it has recorded already must be answered with its first place, and recorded once."""
        digest, before = verify(envelope).digest, self.history.state
        answer = self.history.submit(envelope)
        if digest in self.places:
            assert answer == self.places[digest], (
                f"it was recorded at {self.places[digest]}, and is now said to be at {answer}"
            )
            assert self.history.state is before, "it was recorded twice"
        elif isinstance(answer, int):
            self.places[digest] = answer
        return answer

    # --- what the model of consent does not see

    @rule(dissent=st.sampled_from([0, 0, 1, 2, 5]))
    def judge(self, dissent: int) -> None:
        """The orchestrator seals what there is, and a committee agrees, but for some."""
        self.history.state_due()
        era = len(self.model.era_starts) - 1
        facts = self.history.state.eras.get((self.history.cast.cluster, era))
        queue = facts.queues.get(self.history.cast.orchestrator.keyid) if facts else None
        if queue and queue.tail > queue.head and self.history.clock < self.model.era_starts[-1] + ERA_MS:
            self.history.attest(self.history.seal(era), *[{0: "result-mismatch"}] * dissent)

    @rule(owner=st.sampled_from([WALLETS[0], SPONSOR]), amount=st.sampled_from([0, 1, 10**6, 10**13]))
    def deposit(self, owner: object, amount: int) -> None:
        """Money comes in."""
        assert isinstance(owner, type(SPONSOR))
        self.history.write(self.history.cast.deposit(owner.keyid, amount))

    @rule()
    def restart(self) -> None:
        """The host goes down and comes back; its ledger is as it was."""
        before = self.history.state
        self.history.restart()
        after = self.history.state
        assert after == before, (
            f"it came back with another ledger: {after.size} entries, and {before.size} before it was stopped"
        )

    @invariant()
    def money_is_where_it_was_said_to_go(self) -> None:
        """The ledger's balances are those of books that read only what was stated."""
        ledger = self.host.ledger
        while entries := ledger.read(self.booked):
            for entry in entries:
                self.books.read(entry.index, entry.statement)
            self.booked = entries[-1].index + 1
        assert {a: b for a, b in self.books.balances.items() if b} == dict(ledger.state.balances)

    def teardown(self) -> None:
        """The whole log is audited."""
        if not hasattr(self, "history"):
            return
        try:
            report = audit(self.host.ledger.store)
            assert report.verdict is Verdict.VALID, report.sentence()
        finally:
            self.host.close()
            self.folder.cleanup()
