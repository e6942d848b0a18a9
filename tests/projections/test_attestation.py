"""Verdicts by SQL are those that the tallies state, record by record."""

from __future__ import annotations

import base64

from hypothesis import given, settings

from proofroom.domain.statements.activity import Activity, BatchSealed
from proofroom.domain.statements.attestation import RoundOpened, RoundTallied, VoteCommitted, VoteRevealed
from proofroom.domain.statements.settlement import EraPaid, EraSealed
from proofroom.testing.histories import History, store_of
from proofroom.testing.worlds import histories
from strategies.carrying import carried_history
from strategies.disputes import disputed_history
from strategies.rooms import soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history
from strategies.worlds import eras_of, places_of


def verdicts_of(history: History) -> dict[int, str]:
    """What became of each record, from the statements alone."""
    tallies: dict[tuple[int, int], list[RoundTallied]] = {}
    counted = eras_of(history)
    refusing: set[tuple[str, int]] = set()
    for entry in history.entries:
        if isinstance(s := entry.statement, RoundTallied):
            tallies.setdefault((s.era, s.batch), []).append(s)
        elif isinstance(s, EraSealed) and s.carried is None:
            refusing.add((s.cluster, s.era))
    verdicts = {}
    for index, (batch, position, sealed_by) in places_of(history).items():
        record = history.entries[index].statement
        assert isinstance(record, Activity)
        if batch is None or position is None or sealed_by is None:
            verdicts[index] = "unattested" if (record.cluster, counted[index]) in refusing else "pending"
            continue
        seal = history.entries[sealed_by].statement
        assert isinstance(seal, BatchSealed)
        verdicts[index] = verdict_at(tallies.get((seal.era, batch), []), position)
    return verdicts


def verdict_at(tallies: list[RoundTallied], position: int) -> str:
    """Bit ``i`` is bit ``i % 8`` of byte ``i // 8``. The last tally that has something to say about a position decides."""
    found = "pending"
    for tally in tallies:
        for verdict, bitmap in (
            ("unattested", tally.judged or "/w=="),
            ("pending", tally.escalated),
            ("attested", tally.attested),
            ("rejected", tally.rejected),
        ):
            if bitmap == "/w==" or (bitmap and base64.b64decode(bitmap)[position // 8] >> position % 8 & 1):
                found = verdict
    return found


def check_attestation(history: History) -> None:
    """Verdicts, votes and rounds against the statements."""
    views = fresh_views(page=11)
    views.project(store_of(history))
    rows = views.sql("SELECT entry_index, verdict FROM record_verdicts").fetchall()
    assert dict(rows) == verdicts_of(history)
    assert len(rows) == len(dict(rows))
    assert dict(views.sql("SELECT entry_index, era FROM record_verdicts").fetchall()) == eras_of(history)
    counts = "count(*), count(*) FILTER (verdict = 'attested'), count(*) FILTER (verdict = 'rejected')"
    for entry in history.entries:
        s = entry.statement
        if isinstance(s, EraPaid):
            where = f"cluster = '{s.cluster}' AND era = {s.era}"
            (row,) = views.sql(f"SELECT {counts} FROM record_verdicts WHERE {where}").fetchall()
            assert row == (s.records.recorded, s.records.attested, s.records.rejected)
    seats = {(s.round, v) for e in history.entries if isinstance(s := e.statement, RoundOpened) for v in s.committee}
    commits = {(s.round, s.validator): e.index for e in history.entries if isinstance(s := e.statement, VoteCommitted)}
    reveals = {(s.round, s.validator): e.index for e in history.entries if isinstance(s := e.statement, VoteRevealed)}
    rows = views.sql("SELECT round, validator, commit_index, reveal_index FROM votes").fetchall()
    assert sorted(rows, key=str) == sorted(((*seat, commits.get(seat), reveals.get(seat)) for seat in seats), key=str)
    views.close()


@settings(max_examples=soak(2, 200))
@given(histories())
def test_verdicts_are_those_of_the_tallies(history: History) -> None:
    """For random histories, taken in by elevens."""
    check_attestation(history)


def test_verdicts_of_the_whole_history() -> None:
    """With dissent, silence, a rejected record, a round without beacons and a late record."""
    history = whole_history()
    check_attestation(history)
    assert set(verdicts_of(history).values()) == {"attested", "rejected", "unattested"}


def test_verdicts_through_two_committees() -> None:
    """A record that is escalated is pending until the larger committee has spoken; each round is a row."""
    history = disputed_history()
    check_attestation(history)
    verdicts = ["attested", "rejected", "attested", "rejected", "unattested", "pending"]
    assert list(verdicts_of(history).values()) == verdicts
    views = fresh_views()
    views.project(store_of(history))
    query = "SELECT batch, level, round, status, records, len(committee), next_round FROM rounds ORDER BY 1, 2"
    assert views.sql(query).fetchall() == [
        (0, 0, 0, "final", 5, 5, 1),
        (0, 1, 1, "final", 3, 11, None),
        (1, 0, 2, "final", 1, 5, 3),
        (1, 1, 3, "voting", 1, 11, None),
    ]
    doubted = "SELECT level, max(doubted) FROM votes JOIN round_openings USING (cluster, round) WHERE round < 2 GROUP BY 1 ORDER BY 1"
    assert views.sql(doubted).fetchall() == [(0, 4), (1, 2)]
    views.close()


def test_a_late_record_is_listed_under_the_era_that_counts_it() -> None:
    """Sealed in time, one era late, two eras late, refused at the end of era 2 (two of them), and waiting for an era 4."""
    check_attestation(carried_history())
    views = fresh_views()
    views.project(store_of(carried_history()))
    rows = views.sql("SELECT era, verdict FROM record_verdicts ORDER BY entry_index").fetchall()
    judged, refused = "attested", "unattested"
    assert rows == [(0, judged), (1, judged), (2, judged), (2, refused), (2, refused), (4, "pending")]
    query = "SELECT era, sum(records)::BIGINT FROM verdicts_per_node GROUP BY era ORDER BY era"
    assert views.sql(query).fetchall() == [(0, 1), (1, 1), (2, 3), (4, 1)]
    views.close()


def test_rounds_and_reasons() -> None:
    """Every round is one row from its seal on; each reason of a vote is one row."""
    views = fresh_views()
    views.project(store_of(whole_history()))
    rounds = views.sql("SELECT batch, round, status, committee IS NULL FROM rounds WHERE era = 0 ORDER BY 1").fetchall()
    assert rounds == [(0, 0, "final", False), (1, 1, "final", False), (2, 2, "final", True)]
    reasons = views.sql("SELECT reason, sum(doubted)::BIGINT FROM vote_doubts GROUP BY 1 ORDER BY 1").fetchall()
    expected = [("observation-conflict", 1), ("overclaimed-cpu", 1), ("result-mismatch", 13), ("unobserved", 1)]
    assert reasons == expected
    assert views.sql("SELECT DISTINCT octet_length(agree) FROM vote_reveals WHERE round = 1").fetchall() == [(2,)]
    views.close()


def test_a_batch_in_progress_is_pending() -> None:
    """Until the tally is in the log nothing is said about a record."""
    whole, views = whole_history(), fresh_views()
    for size in range(0, len(whole.entries), 17):
        history = History(seed="prefix")
        history.entries, history.states = whole.entries[:size], whole.states[: size + 1]
        views.project(store_of(history))
        assert dict(views.sql("SELECT entry_index, verdict FROM record_verdicts").fetchall()) == verdicts_of(history)
    views.close()
