"""A receipt binds a result to entries: it verifies on any copy of the log, and on nothing else; what cannot be bound is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.audit import Verdict
from proofroom.adapters.determinism import NotDeterministic, check
from proofroom.adapters.query_receipts import (
    OtherProjections,
    QueryReceipt,
    bind,
    parse_query_receipt,
    verify_query_receipt,
)
from proofroom.adapters.stores import Store
from proofroom.adapters.views import Views
from proofroom.domain.errors import BadInput, QueryFailed
from proofroom.testing.histories import History, store_of
from proofroom.testing.keys import key
from proofroom.testing.worlds import histories
from strategies.rooms import entries_of, forge, soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history

QUERIES = [
    "SELECT account, balance FROM balances",
    "FROM balances(40) ORDER BY ALL",
    "SELECT account, balance FROM balances ORDER BY balance DESC, account LIMIT 3",
    "SELECT kind, count(*) AS n FROM log GROUP BY kind ORDER BY 2, 1 LIMIT 2",
    "SELECT sum(amount) FROM journal UNION ALL SELECT max(balance) FROM balances",
    "SELECT DISTINCT ON (kind) kind, entry_index FROM log ORDER BY kind, entry_index",
    "SELECT string_agg(kind, ',' ORDER BY entry_index) FROM log WHERE entry_index < 9",
    "SELECT entry_index, sum(amount) OVER (ORDER BY entry_index) FROM journal",
    "SELECT entry_index, row_number() OVER (ORDER BY entry_index) AS n FROM records",
    "SELECT * FROM grant_status(TIMESTAMP '2026-03-01 10:00:00')",
    "WITH busy AS (SELECT agent, count(*) AS n FROM records GROUP BY agent) SELECT * FROM busy, unnest([1, 2])",
    "SELECT * FROM record_verdicts WHERE verdict <> 'attested'",
    "SELECT CAST(avg(cpu_ms) AS DECIMAL(38,6)) FROM records",
    "SELECT NULL AS nothing, '' AS empty, scopes, agree FROM grants, vote_reveals",
]

REFUSED = {
    "SELECT now()": "now()",
    "SELECT current_date": "current_date",
    "SELECT * FROM grant_status(current_timestamp)": "time",
    "SELECT entry_index + random() FROM log": "random()",
    "SELECT uuid()": "uuid()",
    "SELECT * FROM log USING SAMPLE 3": "sample",
    "SELECT * FROM log TABLESAMPLE 10%": "sample",
    "SELECT * FROM log LIMIT 3": "LIMIT",
    "SELECT * FROM log ORDER BY kind LIMIT 3": "LIMIT",
    "SELECT kind, statement_id FROM log ORDER BY kind LIMIT 3": "LIMIT",
    "SELECT count(*) FROM (SELECT * FROM log LIMIT 3)": "LIMIT",
    "SELECT DISTINCT ON (kind) kind, entry_index FROM log": "DISTINCT ON",
    "SELECT first(kind) FROM log": "first()",
    "SELECT list(kind) FROM log": "list()",
    "SELECT arg_max(kind, recorded_at) FROM log": "arg_max()",
    "SELECT row_number() OVER () FROM log": "window",
    "SELECT sum(entry_index) OVER (ROWS 2 PRECEDING) FROM log": "window",
    "SELECT avg(cpu_ms) FROM records": "DOUBLE",
    "SELECT [1.5::DOUBLE] AS x": "DOUBLE",
    "SELECT {'x': 1::FLOAT} AS x": "FLOAT",
    "SELECT approx_count_distinct(kind) FROM log": "approx_count_distinct",
    "FROM read_models": "read_models",
    "FROM duckdb_settings()": "duckdb_settings",
    "FROM projections": "projections",
    "PIVOT log ON kind USING count(*)": "PIVOT",
    "EXPLAIN SELECT 1": "SELECT",
    "SELECT getvariable('x')": "getvariable()",
}


def receipt_of(store: Store, sql: str, *, page: int = 5_000) -> QueryReceipt:
    """A receipt by read models that took the log in by such pages; as it comes back from its file."""
    views = fresh_views(page=page)
    views.project(store)
    receipt, _ = bind(views, store, sql)
    views.close()
    return parse_query_receipt(receipt.to_json())


@pytest.fixture(scope="module")
def store() -> Store:
    """The whole history."""
    return store_of(whole_history())


@pytest.fixture(scope="module")
def receipts(store: Store) -> list[QueryReceipt]:
    """Of all the queries, at one size."""
    views = fresh_views(page=11)
    views.project(store)
    made = [bind(views, store, sql)[0] for sql in QUERIES]
    views.close()
    return made


@pytest.mark.parametrize("number", range(0, len(QUERIES), 3))
def test_a_result_is_computed_again(store: Store, receipts: list[QueryReceipt], number: int) -> None:
    """By other read models, from the log; also after it grew."""
    found = verify_query_receipt(parse_query_receipt(receipts[number].to_json()), store)
    assert (found.verdict, found.sentence().partition(":")[0]) == (Verdict.VALID, "VALID")


def test_cautions_are_told(receipts: list[QueryReceipt]) -> None:
    """What the text of a query leaves open is in its receipt."""
    told = {r.sql: " ".join(r.cautions) for r in receipts if r.cautions}
    assert {sql.split("(")[0].split()[-1] for sql in told} == {"string_agg", "CAST", "row_number"}
    assert any("avg()" in caution for caution in told.values())
    assert [r.ordered for r in receipts][:6] == [False, True, True, True, False, True]


@pytest.mark.parametrize(("sql", "why"), REFUSED.items())
def test_what_may_differ_is_refused(store: Store, views: Views, sql: str, why: str) -> None:
    """And told why."""
    with pytest.raises(NotDeterministic) as refused:
        bind(views, store, sql)
    assert why in str(refused.value)


@pytest.fixture(scope="module")
def views(store: Store) -> Any:
    """Read models of the whole history."""
    views = fresh_views()
    views.project(store)
    yield views
    views.close()


@pytest.mark.parametrize(
    "deep",
    [
        "SELECT " + "(SELECT " * 250 + "1" + ")" * 250,
        "SELECT {0} FROM log ORDER BY {0}".format("abs(" * 330 + "entry_index" + ")" * 330),
    ],
)
def test_a_query_as_deep_as_duckdb_looks_into(views: Views, deep: str) -> None:
    """Python's own limit, which is lower, does not come into it."""
    with views.held() as connection:
        assert check(connection, deep).ordered == ("ORDER BY" in deep)


def test_a_query_that_is_nested_deep_is_told_as_such(store: Store, views: Views, receipts: list[QueryReceipt]) -> None:
    """DuckDB takes more levels than its tree can be read with; also from a receipt that somebody brings."""
    deep = "SELECT " + "abs(" * 600 + "1" + ")" * 600
    with pytest.raises(QueryFailed, match="nested too deep"):
        bind(views, store, deep)
    with pytest.raises(QueryFailed, match="nested too deep"):
        verify_query_receipt(dataclasses.replace(receipts[0], sql=deep), store)


def test_a_query_that_fails_fails(store: Store, views: Views) -> None:
    """As it does without a receipt."""
    for sql in ("SELECT nothing FROM log", "SELECT error('x') FROM log", "SELECT 1 // 0, CAST('x' AS INT) FROM log"):
        with pytest.raises((QueryFailed, NotDeterministic)):
            bind(views, store, sql)


@settings(max_examples=soak(3, 100))
@given(histories(), st.data())
def test_a_receipt_holds_for_its_size_alone(history: History, data: st.DataObject) -> None:
    """Made at any size it verifies against the whole log; against a shorter one it cannot; another log is told apart."""
    entries = entries_of(history)
    size = data.draw(st.integers(5, len(entries)))
    sql = data.draw(st.sampled_from(QUERIES))
    receipt = receipt_of(forge(entries[:size]), sql, page=data.draw(st.integers(1, 50)))
    assert receipt.size == size
    assert verify_query_receipt(receipt, forge(entries)).verdict == Verdict.VALID
    assert verify_query_receipt(receipt, forge(entries[: size - 1])).verdict == Verdict.INCOMPLETE
    other = [*entries[: size - 2], entries[size - 1], entries[size - 2], *entries[size:]]
    assert verify_query_receipt(receipt, forge(other)).verdict == Verdict.FORKED


def test_no_word_of_a_receipt_can_be_changed(store: Store, receipts: list[QueryReceipt]) -> None:
    """Query, digest, count, columns, order, size and checkpoint are all bound."""
    receipt = receipts[2]
    changes: list[dict[str, Any]] = [
        {"sql": receipt.sql.replace("LIMIT 3", "LIMIT 4")},
        {"sql": receipt.sql.replace("DESC", "ASC")},
        {"digest": receipt.digest[:-1] + ("0" if receipt.digest[-1] != "0" else "1")},
        {"rows": receipt.rows + 1},
        {"columns": [("account", "VARCHAR")]},
        {"ordered": False},
        {"checkpoint": receipt.checkpoint.replace("room\n", "hall\n", 1)},
        {"checkpoint": receipt.checkpoint[:-9] + "AAAAAAA=\n"},
    ]
    for change in changes:
        found = verify_query_receipt(dataclasses.replace(receipt, **change), store)
        assert found.verdict == Verdict.INVALID, change
    assert verify_query_receipt(dataclasses.replace(receipt, size=receipt.size - 1), store).verdict == Verdict.FORKED
    before = receipt.size - 1
    note = receipt.checkpoint.replace(f"\n{receipt.size}\n", f"\n{before}\n")
    forged = dataclasses.replace(receipt, checkpoint=note, size=before)
    assert verify_query_receipt(forged, store).verdict == Verdict.INVALID


def test_a_key_that_came_later(store: Store, receipts: list[QueryReceipt]) -> None:
    """Keys besides that of genesis may have signed the checkpoint; a strange one has not."""
    assert verify_query_receipt(receipts[0], store, keys=(key("other").keyid,)).verdict == Verdict.VALID


def test_other_tables_are_no_lie(store: Store, receipts: list[QueryReceipt]) -> None:
    """A receipt of another release that cannot be computed here is neither valid nor invalid; the same result is valid."""
    other = dataclasses.replace(receipts[0], projections={"money": "00" * 32}, duckdb="1.0.0")
    found = verify_query_receipt(other, store)
    assert found.verdict == Verdict.VALID
    assert "other tables of money" in found.sentence()
    assert "DuckDB 1.0.0" in found.sentence()
    with pytest.raises(OtherProjections, match="money"):
        verify_query_receipt(dataclasses.replace(other, digest="blake3:" + "0" * 64), store)


@pytest.mark.parametrize(
    "change",
    [{"type": "other"}, {"rows": "many"}, {"more": 1}, {"sql": None}, {"columns": [["a"]]}, {"projections": []}],
)
def test_invalid_file_is_no_receipt(receipts: list[QueryReceipt], change: dict[str, Any]) -> None:
    """The field that is not of its form is named."""
    data = orjson.loads(receipts[0].to_json()) | change
    with pytest.raises(BadInput):
        parse_query_receipt(orjson.dumps(data))
    for text in (b"", b"{}", b"[]", b"\xff"):
        with pytest.raises(BadInput):
            parse_query_receipt(text)
