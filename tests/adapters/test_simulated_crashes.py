"""The process under a seed, ended at enumerated points: no answer is lost, nothing is recorded twice, each room opens again."""

from __future__ import annotations

import random
from collections import Counter
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from proofroom.adapters.audit import Verdict
from proofroom.adapters.ledger import LOG
from strategies.rooms import audit_file, soak
from strategies.simulated import Crash, Session, digests_of
from strategies.soaking import Page, Soak

SESSIONS, SLICES = 10, 20
"""Of a soak: a slice is every twentieth point of a session, so that it may be stopped often."""

PAGE = Page(
    "crashes",
    "Crashes of a simulated process",
    "tests/adapters/test_simulated_crashes.py",
    {
        "sessions of forty operations by two copies of a ledger": "sessions",
        "calls of a host in them / entries": "calls, entries",
        "points at which a session was ended": "points",
        "of these between two writes / within a write or without what was not synced": "whole, torn",
        "entries that had been acknowledged, and were looked for": "acknowledged",
        "calls asked again: found recorded / recorded then": "repeated, recorded",
        "acknowledged entries lost": "lost",
        "statements recorded twice": "doubled",
        "ledgers that did not open, go on and audit": "unopenable",
    },
)


def recover(session: Session, crash: Crash, folder: Path) -> Counter[str]:
    """Open what a crash left, ask again for what a host cannot know, and go on. What was seen."""
    session.lay_out(crash, folder)
    seen = Counter(points=1)
    with session.open(folder) as ledger:
        digests = digests_of(ledger)
        answered, asked = session.calls[: crash.answered], session.calls[crash.answered :][:1]
        for call in answered:
            for index, digest in call.places:
                assert digests[index] == digest, "an entry that was acknowledged is lost"
            seen["acknowledged"] += len(call.places)
        for call in [*answered[-1:], *asked]:
            if not call.places:
                continue
            session.clock.ms = max(call.at_ms, ledger.state.recorded_at_ms)
            again = ledger.append_many(call.envelopes)
            there = {done.repeated for done in again}
            assert len(there) == 1, "a call was recorded in part"
            assert call in asked or there == {True}
            assert [done.statement for done in again] == [digest for _, digest in call.places]
            places = [done.entry_index for done in again]
            assert places == [index for index, _ in call.places] if there == {True} else min(places) >= len(digests)
            seen["repeated" if there == {True} else "recorded"] += 1
        session.clock.ms += 60_000
        size = ledger.tick()
        assert Counter(digests_of(ledger)).most_common(1)[0][1] == 1, "a statement was recorded twice"
    report = audit_file(folder / LOG)
    assert (report.verdict, report.entries) == (Verdict.VALID, size), report.sentence()
    return seen


def test_a_process_that_ends_anywhere(pytestconfig: pytest.Config) -> None:
    """Between any two writes, in the middle of one, or with the machine: some points of one session, and in a soak all of ten sessions."""

    @lru_cache(maxsize=1)
    def session(seed: str) -> Session:
        return Session(Path(name) / seed, seed, steps=40)

    def try_one(seed: str, number: int) -> Counter[str]:
        part, of = number % soak(1, SLICES), soak(1, SLICES)
        played = session(f"{seed.partition(' ')[0]} session {number // of}")
        end, crashes = played.clock.ms, list(played.crashes())
        seen = Counter[str]()
        if part == 0:
            seen.update(sessions=1, calls=len(played.calls), entries=played.size)
        for crash in random.Random(seed).sample(crashes, 20) if of == 1 else crashes[part::of]:
            played.clock.ms = end
            seen += recover(played, crash, Path(name) / "again")
            seen["torn" if crash.is_torn else "whole"] += 1
        played.clock.ms = end
        return seen

    with TemporaryDirectory() as name:
        Soak(PAGE, pytestconfig, 1, SESSIONS * SLICES).each(try_one)
