"""The process under a seed, ended at enumerated points: no answer is lost, nothing is recorded twice, each room opens again."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from proofroom.adapters.audit import Verdict
from proofroom.adapters.ledger import LOG
from strategies.rooms import audit_file, soak
from strategies.simulated import Crash, Session

ONCE = settings(
    max_examples=soak(1, 10),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""A seed is one session; one that fails is played again first, and is not made smaller."""


def recover(session: Session, crash: Crash, folder: Path) -> None:
    """Open what a crash left, ask again for what a host cannot know, and go on."""
    session.lay_out(crash, folder)
    with session.open(folder) as ledger:
        entries = list(ledger.follow(0))
        digests = [entry.verified.digest for entry in entries]
        answered, asked = session.calls[: crash.answered], session.calls[crash.answered :][:1]
        for call in answered:
            for index, digest in call.places:
                assert digests[index] == digest, "an entry that was acknowledged is lost"
        for call in [*answered[-1:], *asked]:
            if not call.places:
                continue
            session.clock.ms = max(call.at_ms, entries[-1].recorded_at_ms)
            again = ledger.append_many(call.envelopes)
            there = {done.repeated for done in again}
            assert len(there) == 1, "a call was recorded in part"
            assert call in asked or there == {True}
            assert [done.statement for done in again] == [digest for _, digest in call.places]
            places = [done.entry_index for done in again]
            assert places == [index for index, _ in call.places] if there == {True} else min(places) >= len(digests)
        session.clock.ms += 60_000
        size = ledger.tick()
        digests = [entry.verified.digest for entry in ledger.follow(0)]
        assert Counter(digests).most_common(1)[0][1] == 1, "a statement was recorded twice"
    report = audit_file(folder / LOG)
    assert (report.verdict, report.entries) == (Verdict.VALID, size), report.sentence()


@given(st.integers(0, 2**32 - 1))
@ONCE
def test_a_process_that_ends_anywhere(seed: int) -> None:
    """Between any two writes, in the middle of one, or with the machine: a fresh seed each run, of which a share of the points is tried."""
    with TemporaryDirectory() as name:
        session = Session(Path(name) / "room", seed, steps=40)
        crashes = list(session.crashes())
        note(f"seed {seed}: {len(session.calls)} calls, {session.size} entries, {len(crashes)} points")
        end = session.clock.ms
        chosen = random.Random(seed).sample(crashes, min(len(crashes), soak(12, 10**6)))
        for number, crash in enumerate(chosen):
            session.clock.ms = end
            note(f"point {number}: {len(crash.wal)} bytes of the log, {crash.answered} calls answered")
            recover(session, crash, Path(name) / "again")
