"""Amounts come out as they went in, by every door."""

from __future__ import annotations

import csv
import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from proofroom.adapters.cli import main
from proofroom.adapters.cli.shell import Shell, history_path, is_whole
from proofroom.adapters.ledger import LOG, Ledger
from proofroom.adapters.relation import Relation
from proofroom.domain.errors import MissingExtra
from proofroom.testing.histories import History
from strategies.rooms import write_history

LARGEST = 10**36 - 1
QUERY = "SELECT amount, -amount AS owed, sum(amount) OVER () AS total FROM deposits"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A room with one deposit of the largest amount."""
    history = History(seed="large")
    history.write(history.cast.found_cluster(), history.cast.deposit(history.cast.user.keyid, LARGEST))
    folder = tmp_path_factory.mktemp("largest")
    write_history(history, folder / LOG)
    return folder


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    """What a verb prints."""
    assert main([*map(str, args)]) == 0
    return capsys.readouterr().out


def test_on_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As a table, CSV, JSON and Parquet."""
    digits, out = str(LARGEST), tmp_path / "out.parquet"
    table = run(capsys, "sql", QUERY, "--room", folder)
    assert table.split().count(digits) == 2
    assert f"-{digits}" in table
    ((amount, owed, total),) = list(csv.reader(io.StringIO(run(capsys, "sql", QUERY, "--csv", "--room", folder))))[1:]
    assert (amount, owed, total) == (digits, f"-{digits}", digits)
    (row,) = json.loads(run(capsys, "sql", QUERY, "--json", "--room", folder))
    assert row == {"amount": digits, "owed": f"-{digits}", "total": digits}
    assert run(capsys, "sql", QUERY, "--parquet", out, "--room", folder) == f"1 rows in {out}\n"
    assert pq.read_table(out).to_pylist() == [{"amount": LARGEST, "owed": -LARGEST, "total": LARGEST}]


def test_in_python(folder: Path) -> None:
    """As rows, Arrow, polars, and pandas, also of what is derived from the relation; nothing is of floating point."""
    with Ledger.open(folder) as ledger:
        relation = ledger.sql(QUERY)
        assert relation.fetchall() == [(Decimal(LARGEST), Decimal(-LARGEST), Decimal(LARGEST))]
        assert relation.to_arrow_table().to_pylist()[0]["amount"] == LARGEST
        frame = relation.pl()
        assert frame.row(0) == (LARGEST, -LARGEST, LARGEST)
        assert frame.schema["amount"] == pl.Decimal(38, 0)
        derived = relation.filter("amount > 0").project("amount, owed + 1 - 1 AS owed, total").order("amount").limit(5)
        for source in (
            relation,
            derived,
            ledger.sql("SELECT hugeint '170141183460469231731687303715884105727' AS amount"),
        ):
            for pandas in (source.df(), source.fetchdf(), source.to_df()):
                assert {str(kind) for kind in pandas.dtypes} == {"decimal128(38, 0)[pyarrow]"}
        pandas = relation.df()
        assert (int(pandas.amount[0]), int(pandas.owed.sum())) == (LARGEST, -LARGEST)
        mixed = ledger.sql("SELECT entry_index, kind, recorded_at FROM log").df()
        assert [str(kind).split("[")[0] for kind in mixed.dtypes[:3]] == [
            "int64",
            *[str(k).split("[")[0] for k in mixed.dtypes[1:3]],
        ]


def test_without_pandas_a_frame_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pandas comes with an extra; all other forms need nothing more."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with duckdb.connect() as connection:
        relation = Relation.of(connection.from_query("SELECT 1 AS one"))
        with pytest.raises(MissingExtra, match="it comes with the extra pandas"):
            relation.df()
        assert relation.fetchall() == [(1,)]


def test_a_query_from_a_pipe(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument, where nobody sits at a terminal."""
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT count(*) AS n FROM deposits;\n"))
    assert json.loads(run(capsys, "sql", "--json", "--room", folder)) == [{"n": 1}]
    assert main(["sql", "SELECT 1", "--csv", "--json", "--room", str(folder)]) == 2
    capsys.readouterr()


@pytest.fixture
def keyboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A terminal to type at, and a home for the history."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


def test_the_prompt(folder: Path, capsys: pytest.CaptureFixture[str], keyboard: PipeInput) -> None:
    """Queries over lines, errors that do not end it, explanations, completion, a history that stays."""
    typed = "SELECT amount\rFROM deposits;\rSELECT nothing;\r.explain deposits\r.explain nobody\r.tables\rSHOW TABLES;\r.quit\r"
    keyboard.send_text(typed)
    with Ledger.open(folder) as ledger:
        shell = Shell(ledger)
        shell.run()
        completer = shell._session.completer
        assert completer is not None
        words = {c.text for c in completer.get_completions(Document("SELECT bala"), CompleteEvent())}
    out, err = capsys.readouterr()
    assert str(LARGEST) in out
    assert "the bank's own reference" in out
    assert out.count("Tab completes") == 2
    assert "rows)" in out
    assert "nothing" in err
    assert "nobody" in err
    assert {"balance", "balances", "balances("} <= words
    path = history_path()
    assert path is not None
    assert "FROM deposits;" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "whole"), [("SELECT 1", False), ("SELECT 1;", True), (".help", True), ("", True), (" ;\n", True)]
)
def test_what_enter_sends(text: str, whole: bool) -> None:
    """A line goes on until its semicolon."""
    assert is_whole(text) is whole


def test_a_receipt_on_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Written with the result, verified from the log; a changed one is found; what cannot be bound writes nothing."""
    receipt = tmp_path / "r.json"
    query = "SELECT account, balance FROM balances"
    out = run(capsys, "query", query, "--receipt", receipt, "--room", folder)
    assert str(LARGEST) in out
    assert run(capsys, "verify", receipt, "--room", folder).startswith("VALID: 2 rows follow from")
    assert main(["verify", str(receipt), "--room", str(folder), "--strict"]) == 2
    assert "against the log in --room" in capsys.readouterr().err
    receipt.write_text(receipt.read_text().replace("balance FROM", "balance + 1 FROM"))
    assert main(["verify", str(receipt), "--room", str(folder), "--json"]) == 10
    assert json.loads(capsys.readouterr().out)["verdict"] == "INVALID"
    other = tmp_path / "other.json"
    assert main(["query", "SELECT now()", "--receipt", str(other), "--room", str(folder)]) == 4
    assert "depends on time" in capsys.readouterr().err
    assert not other.exists()
    assert main(["query", query, "--room", str(folder)]) == 2
    other.write_text('{"type": "proofroom/query-receipt/v2"}')
    assert main(["verify", str(other), "--room", str(folder)]) == 4
    assert "no query receipt" in capsys.readouterr().err
    other.write_text("{}")
    assert main(["verify", str(other), "--room", str(folder)]) == 2
    assert "by itself" in capsys.readouterr().err


def test_models_on_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Projecting, rebuilding and publishing say what they found."""
    rows = json.loads(run(capsys, "project", "--json", "--room", folder))
    assert {row["status"] for row in rows} == {"current"}
    found = json.loads(run(capsys, "rebuild", "money", "--json", "--room", folder))
    assert found["equal"] is True
    assert {table["projection"] for table in found["tables"]} == {"money"}
    assert "all tables are as the log makes them" in run(capsys, "rebuild", "--room", folder)
    made = json.loads(run(capsys, "snapshot", tmp_path / "out", "--json", "--room", folder))
    assert (made["made"], made["removed"]) == (True, [])
    assert "was there already" in run(capsys, "snapshot", tmp_path / "out", "--room", folder)
    assert main(["rebuild", "nobody", "--room", str(folder)]) == 4
    capsys.readouterr()
