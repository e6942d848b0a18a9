"""Attacks that once worked, each with the least that shows it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.mapper import originator_id
from proofroom.domain.errors import AlreadyRecorded, ProofroomError, QueryFailed
from proofroom.testing.histories import History
from proofroom.testing.keys import key


def test_a_query_reads_no_file_and_writes_none(tmp_path: Path) -> None:
    """SQL sees the read models: not the keys beside them, and it cannot overwrite the log."""
    with Ledger.create(tmp_path) as ledger:
        assert ledger.sql("SELECT count(*) FROM log").fetchall() == [(1,)]  # the connection itself works
        for query in (
            f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{tmp_path / LOG}'",
            f"SELECT content FROM read_text('{tmp_path / 'keys' / 'ledger.json'}')",
            "SET enable_external_access = true",
        ):
            with pytest.raises((QueryFailed, duckdb.Error)) as refused:  # at once, or while fetching
                ledger.sql(query).fetchall()
            assert "seed" not in str(refused.value)
    with Ledger.open(tmp_path) as ledger:
        assert ledger.size == 1


def test_the_key_of_a_statement_holds_its_whole_id() -> None:
    """A shortened key would let anyone find two statements with one key, and freeze the ledger."""
    history = History()
    history.found()
    for entry in history.entries:
        assert originator_id(entry.verified).endswith(entry.verified.id.hex())


def test_nobody_can_block_a_revocation() -> None:
    """Somebody else opens a vault that the grant names too; the wallet can end the grant all the same."""
    history = History()
    history.found()
    cast = history.cast
    scopes = [(cast.vault, cast.scope), ("v-other", "calendar")]
    history.sleep(1_000)
    history.write(cast.grant(scopes, replace=True))
    thief = key("thief")
    user, cast.user, vault = cast.user, thief, cast.vault
    cast.vault = "v-other"
    history.write(cast.open_vault())
    cast.user, cast.vault = user, vault
    history.sleep(1_000)
    history.write(cast.grant(scopes, revoked=True))
    assert history.state.grants[cast.user.keyid, cast.agent.keyid].revoked


def test_a_record_id_is_taken_in_the_next_era_too() -> None:
    """The same id under the next era is the same record sold twice, whether or not the first era is paid."""
    history = History()
    history.found()
    cast = history.cast
    history.write(cast.open_era(0))
    history.sleep(2_000)
    first = cast.record(history.grant, 0)
    history.write(cast.activity(history.grant, 0, record_id=first.record_id))
    history.attest(history.seal(0))
    history.write(cast.close_era(0), cast.open_era(1))
    assert ("dragon-1", 0) not in history.state.eras
    with pytest.raises(AlreadyRecorded):
        history.write(cast.activity(history.grant, 1, record_id=first.record_id))


def test_a_snapshot_that_the_checkpoint_key_did_not_sign_is_not_used(tmp_path: Path) -> None:
    """The signature of a snapshot, changed in one byte, makes it a cache that does not fit."""
    Ledger.create(tmp_path).close()
    with Ledger.open(tmp_path) as ledger:
        ((size, data),) = ledger.store.snapshots()
        ledger.store.save_snapshot(size, bytes([data[0] ^ 1]) + data[1:])
    from proofroom.adapters.head import _from_snapshot
    from proofroom.adapters.sqlite import SqliteStore

    store = SqliteStore(tmp_path / LOG)
    try:
        assert store.snapshots()
        assert _from_snapshot(store) is None
    finally:
        store.close()
    with Ledger.open(tmp_path) as ledger:
        assert ledger.size == size


def test_what_may_change_after_it_was_checked_is_refused() -> None:
    """A payload in a buffer that its owner can write is no payload."""
    from proofroom.domain.envelope import verify

    history = History()
    envelope = history.cast.open_vault()
    with pytest.raises(ProofroomError):
        verify(envelope._replace(payload=bytearray(envelope.payload)))  # type: ignore[arg-type]  # the wrong type is the attack
