"""No order of messages decides anything: a network that shuffles, repeats, delays and loses them leaves every outcome as it is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from copy import copy
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.domain.authority import AUTHORITY
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import ProofroomError
from proofroom.domain.statements.attestation import RoundTallied, Vote
from proofroom.domain.statements.ledger import Genesis
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import History
from strategies.disputes import FALSE, UNSEEN, sealed, statements
from strategies.rooms import soak

VALIDATORS, RECORDS = 16, 2
VOTES = [{}, {0: UNSEEN}, {0: FALSE}, {0: FALSE, 1: UNSEEN}, {1: FALSE}]
"""What a validator may doubt."""

Habits = tuple[tuple[str, int], ...]
"""For each validator how it takes part, and which of the votes it casts.

``prompt``: all that it sends arrives. ``withheld``: it reveals no beacon value. ``silent``: nothing comes from it but that. ``late``: its
commitments and votes arrive once it is too late. ``mute``: it commits, and its votes arrive too late.
"""

habits = st.tuples(*[
    st.tuples(
        st.sampled_from(["prompt"] * 12 + ["withheld", "silent", "late", "mute"]),
        st.sampled_from([0, 0, 0, 1, 2, 3, 4]),
    )
] * VALIDATORS)  # fmt: skip
SHOWS = {
    "beacon": {"prompt", "silent", "late", "mute"},
    "commit": {"prompt", "withheld", "mute"},
    "reveal": {"prompt", "withheld"},
}


@cache
def waiting() -> History:
    """A sealed era whose one batch awaits its beacon; to copy. Nothing that validators sign names the time."""
    history = sealed(VALIDATORS, 1, RECORDS)
    history.sleep(1_000)
    history.write(history.cast.close_era(0))
    return history


class Network:
    """Delivers what validators send. With ``chance`` it shuffles and repeats it, among messages that come at the wrong time."""

    def __init__(self, habits: Habits, chance: random.Random | None) -> None:
        self.history, self.habits, self.chance = copy(waiting()), habits, chance
        self.history.entries, self.history.states = waiting().entries.copy(), waiting().states.copy()
        self.stale: list[Envelope] = []
        """What can no longer be taken."""

    def play(self) -> History:
        """All rounds to their end; then everything once more."""
        history = self.history
        while history.state.rounds:
            ((_, number),) = history.state.rounds
            self.play_round(number)
        end = history.state
        for envelope in self.stale:
            assert not self.arrives(envelope)
        assert history.state is end
        return history

    def play_round(self, number: int) -> None:
        history, cast, key = self.history, self.history.cast, (self.history.cast.cluster, number)
        eligible = [i for i, v in enumerate(cast.validators) if v.keyid in history.state.rounds[key].eligible]
        self.deliver("beacon", {i: cast.reveal_beacon(number, i) for i in eligible}, {})
        self.until(60_000, phase_over=lambda: key not in history.state.rounds or bool(history.state.rounds[key].digest))
        if key not in history.state.rounds:
            return
        round, members = history.state.rounds[key], cast.members(history.state, number)
        votes = {i: self.vote_of(i, round.judged) for i in members}
        commits = {i: cast.commit(history.state, number, i, vote) for i, vote in votes.items()}
        reveals = {i: cast.reveal(number, i, vote) for i, vote in votes.items()}
        self.deliver("commit", commits, reveals)
        self.until(round.commit_until - history.clock, phase_over=lambda: self.all_in(key))
        self.deliver("reveal", reveals, {})
        self.until(round.reveal_until - history.clock, phase_over=lambda: key not in history.state.rounds)
        self.stale += [e for i, e in reveals.items() if self.habits[i][0] not in SHOWS["reveal"]]

    def vote_of(self, i: int, judged: int) -> Vote:
        return make_vote(RECORDS, VOTES[self.habits[i][1]], judged=judged)

    def all_in(self, key: tuple[str, int]) -> bool:
        round = self.history.state.rounds.get(key)
        return round is None or len(round.commits) == len(round.committee)

    def deliver(self, phase: str, messages: dict[int, Envelope], early: dict[int, Envelope]) -> None:
        """The messages of a phase from those who show them in time; the others come when it is over."""
        mine = [e for i, e in messages.items() if self.habits[i][0] in SHOWS[phase]]
        if self.chance is None:
            for envelope in mine:
                assert self.arrives(envelope)
        else:
            soon = [e for i, e in early.items() if self.habits[i][0] in SHOWS["reveal"]]
            others = self.chance.sample(self.stale, min(len(self.stale), 6))
            sent = [
                *mine,
                *self.chance.sample(mine, len(mine) // 3),
                *self.chance.sample(soon, len(soon) // 2),
                *others,
            ]
            self.chance.shuffle(sent)
            for envelope in sent:
                self.arrives(envelope)
        self.stale += [e for i, e in messages.items() if phase != "reveal" or self.habits[i][0] in SHOWS[phase]]

    def arrives(self, envelope: Envelope) -> bool:
        """Whether the ledger takes it. What it refuses leaves nothing behind, but what was due anyway."""
        try:
            self.history.write(envelope)
        except ProofroomError:
            return False
        return True

    def until(self, ms: int, *, phase_over: Callable[[], bool]) -> None:
        """Wait for the deadline, where the phase does not end without."""
        if not phase_over():
            self.history.sleep(ms)
            self.history.state_due()


def stated(history: History) -> list[bytes]:
    """All that the ledger decided, byte for byte."""
    return [
        e.verified.envelope.payload
        for e in history.entries
        if not isinstance(e.statement, Genesis) and AUTHORITY[e.statement.kind].derived
    ]


@cache
def in_order(habits: Habits) -> tuple[bytes, ...]:
    """What the ledger decides where everything comes once, and in order."""
    return tuple(stated(Network(habits, None).play()))


@settings(max_examples=soak(3, 1_000))
@given(habits, st.lists(st.integers(0, 2**32), min_size=1, max_size=2))
def test_no_order_of_messages_changes_an_outcome(habits: Habits, seeds: Iterable[int]) -> None:
    """Openings, tallies, escalations, payouts: each byte is the same in whatever order and however often messages come.

    What comes for a phase that is over, or for a round that is final, changes nothing. Each round ends, and so does the era.
    """
    for seed in seeds:
        history = Network(habits, random.Random(seed)).play()
        assert tuple(stated(history)) == in_order(habits)
        assert not history.state.rounds
        assert not history.state.eras
        assert not history.state.agenda


def test_a_dispute_ends_alike_in_any_order() -> None:
    """The same for a world of which it is known that it goes to a second committee, with one of each habit."""
    odd: Habits = tuple((habit, 1) for habit in ("withheld", "silent", "late", "mute"))
    habits = odd + (("prompt", 1),) * (VALIDATORS - len(odd))
    for seed in range(3):
        history = Network(habits, random.Random(seed)).play()
        assert tuple(stated(history)) == in_order(habits)
        assert [s.level for s in statements(history, RoundTallied)] == [None, 1]
