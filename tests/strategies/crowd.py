"""Threads that do everything at once on one ledger, and note what they were told and when: to check that it was told in some order.

Each of :data:`ROLES` is a loop on a handle of its own or a shared one. What it did is a list of :class:`Told`, by a clock that all
processes of a machine share, so that what several processes noted can be held together.
"""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from proofroom.adapters.cast import PARAMETERS, Cast, Work
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.publishing import publish
from proofroom.adapters.stores import now_ms
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import Conflict, ProofroomError, Refused
from proofroom.domain.ids import Digest, from_ms
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import deterministic_randomness, key

LEAST = 3
"""Turns that each role has before any of them ends, however short the time."""

CARRYING = PARAMETERS.model_copy(update={"late_records": "next-era"})


class Told(NamedTuple):
    """One operation: when it was called and returned, in ns of the machine's clock, and its answer."""

    called: int
    returned: int
    what: str
    """``append``, ``size``, ``status`` or ``authorise``."""
    grant: str
    """The version of the grant that records relied on."""
    places: Sequence[tuple[int, str, bool]] = ()
    """Of what was appended: index, digest, whether it was there before."""
    answer: str | int = ""
    """A size, a status, or the code of a refusal."""


def found_in(folder: Path) -> None:
    """A ledger with a cluster whose eras may end at any time, consent, money and an open era."""
    with Ledger.create(folder, origin=ORIGIN, bank_keys=[key("bank").keyid]) as ledger:
        cast = Cast(ledger.id, now_ms, key, parameters=CARRYING)
        ledger.append_many([*cast.founding(), *cast.consent(), cast.deposit(cast.user.keyid, 10**13)])
        ledger.append(cast.open_era(0))


class Member:
    """One thread of the crowd.

    Args:
        ledger: the handle that it works on.
        name: of no other thread.
        stop: set when it is time to end.
        tiles: where the log is published.
    """

    def __init__(self, ledger: Ledger, name: str, stop: threading.Event, tiles: Path) -> None:
        self.ledger, self.stop, self.tiles = ledger, stop, tiles
        self.cast = Cast(ledger.id, now_ms, key, randomness=deterministic_randomness(name), parameters=CARRYING)
        self.told: list[Told] = []
        self.had_enough = threading.Event()
        self._last_ms = 0

    def turns(self) -> Iterator[int]:
        """Until it is time."""
        for turn in itertools.count():
            if self.stop.is_set():
                return
            if turn == LEAST:
                self.had_enough.set()
            yield turn

    @property
    def grant(self) -> Digest:
        """The newest version of the grant that this handle has seen."""
        return self.ledger.state.grants[self.cast.user.keyid, self.cast.agent.keyid].digest

    @property
    def era(self) -> int:
        """The newest era that this handle has seen."""
        return self.ledger.state.clusters[self.cast.cluster].opened

    # --- what is noted

    def append(self, envelopes: Sequence[Envelope], grant: str = "") -> bool:
        """One call; whether it was recorded."""
        called = time.monotonic_ns()
        try:
            done = self.ledger.append_many(envelopes)
        except (Refused, Conflict) as e:
            self.told.append(Told(called, time.monotonic_ns(), "append", grant, answer=e.code))
            return False
        places = [(d.entry_index, d.statement, d.repeated) for d in done]
        self.told.append(Told(called, time.monotonic_ns(), "append", grant, places))
        return True

    def ask(self, what: str, question: Callable[[], str | int]) -> None:
        """One question."""
        called = time.monotonic_ns()
        answer = question()
        self.told.append(Told(called, time.monotonic_ns(), what, "", answer=answer))

    # --- what is done

    def work(self) -> None:
        """Records, one, two or five in a call; now and then the same call again."""
        for turn in self.turns():
            grant = self.grant
            records = [self.cast.activity(grant, self.era, Work(i)) for i in range((1, 2, 5)[turn % 3])]
            if self.append(records, grant) and turn % 4 == 0:
                self.append(records)
            elif turn % 8 == 7:
                self.ledger.refresh()
            self.stop.wait(0.003)

    def consent(self) -> None:
        """Grant and revoke, again and again."""
        for turn in self.turns():
            self._last_ms = max(now_ms(), self._last_ms + 1)
            self.append([self.cast.grant(created_at=from_ms(self._last_ms), revoked=turn % 2 == 1)])
            self.stop.wait(0.02)
        self.append([self.cast.grant(created_at=from_ms(max(now_ms(), self._last_ms + 1)))])

    def ask_consent(self) -> None:
        """May the agent, and what is the status of its grant."""
        cast = self.cast
        for _ in self.turns():
            self.ask(
                "authorise",
                lambda: _code(lambda: self.ledger.authorise(cast.agent.keyid, cast.vault, cast.scope, "read")),
            )
            self.ask("status", lambda: self.ledger.grant_status(cast.user.keyid, cast.agent.keyid))
            self.stop.wait(0.003)

    def judge(self) -> None:
        """Seal, attest, end the era so that it is settled, and open the next."""
        cast = self.cast
        for _ in self.turns():
            self.ledger.refresh()
            state, era = self.ledger.state, self.era
            facts, cluster = state.eras.get((cast.cluster, era)), state.clusters[cast.cluster]
            queue = facts.queues.get(cast.orchestrator.keyid) if facts else None
            if cluster.open and queue is not None and queue.tail > queue.head:
                self._round(cluster.rounds, era)
            self.append([cast.close_era(era), cast.open_era(era + 1)] if cluster.open else [cast.open_era(era + 1)])
            self.stop.wait(0.05)

    def _round(self, number: int, era: int) -> None:
        cast, everybody = self.cast, range(len(self.cast.validators))
        if self.append([cast.seal_all(self.ledger.state, era)]) and self.append(
            [cast.reveal_beacon(number, i) for i in everybody]
        ):
            state = self.ledger.state
            vote, members = make_vote(len(state.rounds[cast.cluster, number].records)), cast.members(state, number)
            self.append([cast.commit(state, number, i, vote) for i in members])
            self.append([cast.reveal(number, i, vote) for i in members])

    def tell_time(self) -> None:
        """Ticks, and how long the log is."""
        for turn in self.turns():
            if turn % 8 == 0:
                self.ledger.tick()
            self.ask("size", self.ledger.refresh)
            self.stop.wait(0.005)

    def project(self) -> None:
        """Read models, of which somebody asks how far they are."""
        for _ in self.turns():
            self.ask("size", lambda: int(self.ledger.sql("SELECT count(*) FROM log").fetchall()[0][0]))
            self.stop.wait(0.05)

    def publish(self) -> None:
        """The log as files."""
        for _ in self.turns():
            self.ask("size", lambda: publish(self.ledger.store, self.tiles).size)
            self.stop.wait(0.05)


ROLES: dict[str, Callable[[Member], None]] = {
    f.__name__: f
    for f in (
        Member.work,
        Member.consent,
        Member.ask_consent,
        Member.judge,
        Member.tell_time,
        Member.project,
        Member.publish,
    )
}


def _code(question: Callable[[], object]) -> str:
    try:
        question()
    except ProofroomError as e:
        return e.code
    return "yes"


def at_once(members: Sequence[tuple[Member, str]], stop: threading.Event, seconds: float) -> list[Told]:
    """Let all play their roles for so long, each in a thread. What they were told; the first failure of one is raised here."""
    failed: list[Exception] = []

    def play(member: Member, role: str) -> None:
        try:
            ROLES[role](member)
        except Exception as e:  # noqa: BLE001 - told to whoever started them
            failed.append(e)
            stop.set()
        finally:
            member.had_enough.set()

    threads = [threading.Thread(target=play, args=pair) for pair in members]
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    for member, _ in members:
        member.had_enough.wait()
    stop.set()
    for thread in threads:
        thread.join()
    for failure in failed:
        raise failure
    return [told for member, _ in members for told in member.told]


# --- the check


class Order:
    """The log as the one order in which all happened; whatever was told must fit into it.

    The prefix of the log that an answer speaks of holds at least what had been acknowledged before it was asked for, and nothing that was
    asked for after it was given.

    Args:
        digests: of the statements in the log, by index.
        told: by everybody.
        versions: ``(index, digest, status)`` of the grant, rising.
    """

    def __init__(self, digests: Sequence[str], told: Sequence[Told], versions: Sequence[tuple[int, str, str]]) -> None:
        self.digests, self.told, self.versions = digests, told, versions

    def check(self) -> None:
        """Each answer in turn, with the least and the largest prefix that it may speak of."""
        acknowledged = sorted((t.returned, max([_seen(t), *(i + 1 for i, _, _ in t.places)])) for t in self.told)
        asked = sorted(
            (t.called, min([len(self.digests), *(i for i, _, again in t.places if not again)])) for t in self.told
        )
        least = list(accumulate((size for _, size in acknowledged), max, initial=0))
        most = list(accumulate((size for _, size in reversed(asked)), min, initial=len(self.digests)))[::-1]
        for told in self.told:
            before = bisect_left(acknowledged, (told.called, 0))
            after = bisect_right(asked, (told.returned, len(self.digests)))
            self._check(told, least[before], most[after])

    def _check(self, told: Told, least: int, most: int) -> None:
        for index, digest, repeated in told.places:
            assert self.digests[index] == digest, f"{told}: another statement stands there"
            assert repeated or least <= index, f"{told}: recorded before {least - 1}, which had been acknowledged"
            assert index < most, f"{told}: recorded behind {most}, which was asked for later"
        match told.what:
            case "size":
                assert least <= int(told.answer) <= most, f"{told}: between {least} and {most}"
            case "status":
                assert told.answer in self._of(least, most, status=True), f"{told}: between {least} and {most}"
            case "authorise":
                expected = {_AUTHORISED[status] for status in self._of(least, most, status=True)}
                assert told.answer in expected, f"{told}: between {least} and {most} only {expected}"
            case _ if told.answer == "grant-revoked":
                assert "revoked" in self._of(least, most, status=True), (
                    f"{told}: it was in force from {least} to {most}"
                )
            case _ if told.answer == "grant-superseded":
                assert self._of(least, most, status=False) - {told.grant}, (
                    f"{told}: it was the newest from {least} to {most}"
                )

    def _of(self, least: int, most: int, *, status: bool) -> set[str]:
        """The grant's status, or its newest version, in the prefixes of these lengths."""
        found: set[str] = set()
        for place, (index, digest, state) in enumerate(self.versions):
            end = self.versions[place + 1][0] if place + 1 < len(self.versions) else len(self.digests)
            if index < most and end >= least:
                found.add(state if status else digest)
        return found


def _seen(told: Told) -> int:
    """A prefix that whoever asks later must see too."""
    return int(told.answer) if told.what == "size" else 0


_AUTHORISED = {"active": "yes", "revoked": "grant-revoked"}
