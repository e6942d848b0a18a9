"""All at once on one ledger: work, consent and its end, questions, rounds, eras that settle, read models, tiles; in the end all of it fits.

The log itself is the order in which things happened. Each answer was noted with the moments of its call and its return, and must be that of
some prefix of the log between what had been acknowledged before the call and what was asked for after the return: so a call that began
after another had returned stands behind it, a question sees all that was acknowledged before it, and nobody may do what had ended by then.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

import pytest

from proofroom.adapters.audit import Verdict
from proofroom.adapters.audited_tiles import audit_published
from proofroom.adapters.ledger import LOG, VIEWS, Ledger
from proofroom.adapters.published import PublishedLog
from proofroom.adapters.publishing import publish
from proofroom.adapters.rebuild import compare
from proofroom.domain.statements.consent import Grant
from strategies.crowd import ROLES, Member, Order, Told, at_once, found_in
from strategies.rooms import Worker, audit_file, run_together
from strategies.simulated import digests_of
from strategies.soaking import Page, Soak

PROCESSES = (
    ("work", "work", "consent", "project", "publish"),
    ("work", "judge", "ask_consent", "publish"),
    ("work", "tell_time", "ask_consent"),
)
SECONDS, ROUNDS = 150, 2
"""Of a soak: so long, so many times, each in a room of its own."""

PAGE = Page(
    "concurrency",
    "All at once",
    "tests/adapters/test_concurrency.py",
    {
        "rooms, each with three processes of two to five threads, for two and a half minutes": "rooms",
        "entries / eras that were paid in them": "entries, eras",
        "calls that recorded something / found it recorded": "recorded, repeated",
        "calls that a rule refused / of these because the grant had ended": "refused, ended",
        "questions for the size, to handles, read models and published files": "size",
        "questions for the status of a grant": "status",
        "questions whether the agent may": "authorise",
        "answers that fit into no order": "misfits",
    },
)


def check(folder: Path, tiles: Path, told: list[Told]) -> Counter[str]:
    """Hold what everybody was told against the log, and all that was made of it. What was seen."""
    with Ledger.open(folder) as ledger:
        entries = list(ledger.follow())
        digests = digests_of(ledger)
        publish(ledger.store, tiles)
        if (folder / VIEWS).exists():
            assert all(one.equal for one in compare(folder / VIEWS, ledger.store))
    grants = [(e.index, e.verified.digest, e.statement) for e in entries]
    versions = [(i, digest, "revoked" if s.revoked else "active") for i, digest, s in grants if isinstance(s, Grant)]
    Order(digests, told, versions).check()
    report, published = audit_file(folder / LOG), audit_published(PublishedLog(str(tiles)))
    assert report.verdict is published.verdict is Verdict.VALID, (report.sentence(), published.sentence())
    assert (report.entries, report.root) == (published.entries, published.root)
    seen = Counter(one.what for one in told if one.what != "append")
    for one in told:
        if one.what == "append":
            seen["refused" if one.answer else "repeated" if all(again for *_, again in one.places) else "recorded"] += 1
            seen["ended"] += one.answer in ("grant-revoked", "grant-superseded")
    paid = sum(e.statement.kind == "era-paid" for e in entries)
    return seen + Counter(rooms=1, entries=len(entries), eras=paid)


def test_threads_do_everything_at_once(tmp_path: Path) -> None:
    """On three handles, for a moment and without read models: all that anybody was told fits into the order of the log."""
    folder, tiles, stop = tmp_path / "room", tmp_path / "tiles", threading.Event()
    found_in(folder)
    with Ledger.open(folder) as first, Ledger.open(folder) as second, Ledger.open(folder) as third:
        handles = {"ask_consent": third, "judge": second, "tell_time": second, "publish": second}
        members = [(Member(handles.get(role, first), role, stop, tiles), role) for role in ROLES if role != "project"]
        told = at_once(members, stop, 0.2)
    seen = check(folder, tiles, told)
    assert min(seen[what] for what in ("recorded", "size", "status", "authorise")) > 0


def test_processes_do_everything_at_once(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """In a soak: for minutes."""

    def try_one(seed: str, number: int) -> Counter[str]:
        folder, tiles = tmp_path / seed / "room", tmp_path / seed / "tiles"
        found_in(folder)
        workers = [Worker("crowd", folder, f"{seed} {i}", SECONDS, tiles, *roles) for i, roles in enumerate(PROCESSES)]
        lines = [line for lines in run_together(*workers, within_seconds=3 * SECONDS) for line in lines]
        return check(folder, tiles, [Told(*json.loads(line)) for line in lines])

    Soak(PAGE, pytestconfig, 0, ROUNDS).each(try_one)
