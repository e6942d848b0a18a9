"""``proofroom sql`` without a query: a prompt with completion of tables, columns and words of SQL, and a history."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proofroom.adapters.cli.output import print_error
from proofroom.adapters.cli.rows import Rows, print_rows_table
from proofroom.domain.errors import ProofroomError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from proofroom.adapters.ledger import Ledger

_WELCOME = """\
Queries end with a semicolon. Tab completes, arrow up is the history, Ctrl-C clears, Ctrl-D leaves.
  SHOW TABLES;                what there is           .help     this
  .explain NAME               what a table or view means, column by column
"""


class Shell:
    """Reads queries until its input ends. Amounts and cut tables are as in ``proofroom sql QUERY``."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._session = self._make_session()

    def run(self) -> None:
        """Until Ctrl-D or ``.quit``."""
        click.echo(_WELCOME)
        while True:
            try:
                text = self._session.prompt("proofroom> ").strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if text in {".quit", ".exit"}:
                return
            if text:
                self._answer(text)

    def _answer(self, text: str) -> None:
        try:
            if text.startswith(".explain"):
                self._explain(text.removeprefix(".explain").strip(" ;"))
            elif text.startswith("."):  # .help, and what other programs have
                click.echo(_WELCOME)
            else:
                print_rows_table(Rows(self._ledger.sql(text)), advice="proofroom sql QUERY --csv prints all")
        except ProofroomError as e:
            print_error(e, as_json=False)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)

    def _explain(self, name: str) -> None:
        from proofroom.adapters.dictionary import describe

        click.echo(describe(name))

    def _make_session(self) -> PromptSession[str]:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.filters import Condition
        from prompt_toolkit.history import FileHistory, InMemoryHistory

        path = history_path()
        session: PromptSession[str] = PromptSession(
            history=InMemoryHistory() if path is None else FileHistory(path),
            completer=WordCompleter(self._words(), ignore_case=True),
            auto_suggest=AutoSuggestFromHistory(),
            complete_while_typing=False,
            multiline=Condition(lambda: not is_whole(session.default_buffer.text)),
            prompt_continuation="       ... ",
        )
        return session

    def _words(self) -> list[str]:
        names = self._ledger.sql(
            """
            SELECT DISTINCT name FROM (
                SELECT column_name AS name FROM duckdb_columns() WHERE NOT internal
                UNION ALL SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal
                UNION ALL SELECT function_name || '(' FROM duckdb_functions() WHERE NOT internal
                UNION ALL SELECT upper(keyword_name) FROM duckdb_keywords() WHERE keyword_category = 'reserved')
            ORDER BY 1
            """
        )
        return [*(name for (name,) in names.fetchall()), ".explain", ".help", ".quit"]


def is_whole(text: str) -> bool:
    """Whether Enter sends the text: it ends with a semicolon, begins with a point, or is empty."""
    text = text.strip()
    return not text or text.startswith(".") or text.endswith(";")


def history_path() -> Path | None:
    """Where queries are kept (XDG base directories); None where nothing can be written."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    path = home / "proofroom" / "sql_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return None
    return path
