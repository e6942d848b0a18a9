"""Once a revocation is acknowledged, nothing more is appended under that grant, nor under what was passed on of it.

Threads and processes append under a grant and under a delegation of it, while another revokes the one or the other; many times over. The
log is then read as a stranger would: from the revocation's index on there is no record under it or below it.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from proofroom.adapters.audit import Verdict
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import Refused
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.consent import Delegation, Grant
from strategies.racing import Family
from strategies.rooms import Worker, audit_file, make_folder, run_together, soak


def check_log(entries: Iterable[Entry]) -> tuple[int, int]:
    """No record stands behind the end of what it relies on. How many revocations there are, and how many had records before them."""
    parent: dict[str, str] = {}
    newest: dict[tuple[str, ...], str] = {}
    ended: set[str] = set()
    revocations = contested = 0
    used: Counter[str] = Counter()
    for entry in entries:
        s, digest = entry.statement, entry.verified.digest
        if isinstance(s, Grant | Delegation):
            stream = (s.user_pub_key, s.agent_service_pub_key, s.delegator if isinstance(s, Delegation) else "")
            before = newest.get(stream, "")
            ended.add(before)
            newest[stream] = digest
            if isinstance(s, Delegation):
                parent[digest] = s.parent
            if s.revoked:
                revocations += 1
                contested += used[before] > 0
        elif isinstance(s, Activity):
            link = str(s.grant)
            while link:
                assert link not in ended, f"entry {entry.index} relies on {link}, which had ended"
                used[link] += 1
                link = parent.get(link, "")
    return revocations, contested


def read_all(folder: Path) -> list[Entry]:
    with Ledger.open(folder, read_only=True) as ledger:
        return [entry for start in range(0, ledger.size, 1_000) for entry in ledger.read(start)]


@pytest.mark.parametrize("root", [True, False], ids=["the grant is revoked", "the delegation is revoked"])
def test_threads_that_race_a_revocation(tmp_path: Path, root: bool) -> None:
    """Three threads work while a fourth revokes; whoever was told that the revocation is recorded finds nothing behind it."""
    races, chance = soak(30, 3_000), random.Random(root)
    make_folder(tmp_path).ledger.close()
    with Ledger.open(tmp_path) as ledger:
        family = Family(ledger, "threads")
        family.begin()
        for _ in range(races):
            grant, delegation = family.grant()
            batches = [family.records(grant, delegation, 4) for _ in range(3)]
            acknowledged = threading.Event()
            late: list[int] = []

            def work(batch: list[Envelope]) -> None:
                for envelope in batch:
                    told = acknowledged.is_set()  # noqa: B023
                    try:
                        place = ledger.append(envelope)
                    except Refused:
                        continue
                    if told:
                        late.append(place.entry_index)  # noqa: B023

            threads = [threading.Thread(target=work, args=(batch,)) for batch in batches]
            for thread in threads:
                thread.start()
            threading.Event().wait(chance.random() * 0.008)
            ledger.append(family.revoke(root=root))
            acknowledged.set()
            for thread in threads:
                thread.join()
            assert [i for i in late if not family.is_root_record(ledger.entry(i), root)] == []
    revocations, contested = check_log(read_all(tmp_path))
    assert revocations == races
    assert contested, "no race had a record in it"
    assert audit_file(tmp_path / LOG).verdict is Verdict.VALID


@pytest.mark.parametrize("room", range(soak(1, 20)))
def test_processes_that_race_a_revocation(tmp_path: Path, room: int) -> None:
    """Two processes work under whatever is in force while a third grants, passes on and revokes, one or the other by turns."""
    races = soak(30, 200)
    make_folder(tmp_path).ledger.close()
    with Ledger.open(tmp_path) as ledger:
        Family(ledger, "begin").begin()
    workers = [Worker("work_while_granted", tmp_path, f"worker {i}") for i in range(2)]
    *worked, revoked = run_together(*workers, Worker("grant_and_revoke", tmp_path, races, room))
    revocations, contested = check_log(read_all(tmp_path))
    assert revocations == len(revoked) == races
    assert contested, "no race had a record in it"
    assert any(int(lines[-1].split()[1]) for lines in worked), "nobody was ever refused"
    assert audit_file(tmp_path / LOG).verdict is Verdict.VALID
