"""The read models of a large ledger: how long catching up takes, per entry, at half of it and at all of it; memory and disk; ten questions.

The ledger is that of the ``opening`` benchmark, made once and kept in ``build/bench``: ``make bench ARGS="questions 10000000"``.
Its records are not signed anew, which no projection looks at.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from pathlib import Path

from benchmarks.compare import measure, run_side
from benchmarks.opening import ENTRIES, prepare
from proofroom.adapters.ledger import LOG
from proofroom.adapters.sqlite import SqliteStore
from proofroom.adapters.views import Views

LIMIT_MS = 100
REPEATS = 7

QUESTIONS = Path(__file__).parents[1] / "docs" / "questions.md"


def project(folder: Path, file: Path, until: int) -> None:
    """The side that is measured: catching up from nothing."""
    file.unlink(missing_ok=True)
    store, views = SqliteStore(folder / LOG, read_only=True), Views(file)
    measure(lambda: views.project(store, until=until))
    views.close()
    store.close()


def main(entries: int = ENTRIES) -> None:
    """Print the figures."""
    folder = Path("build/bench") / f"opening-{entries}"
    prepare(folder, entries)
    file = folder / "questions.duckdb"
    half = run_side(__spec__.name, "project", folder, file, entries // 2)
    whole = run_side(__spec__.name, "project", folder, file, 2**53)
    views = Views(file)
    ((size,),) = views.sql("SELECT count(*) FROM log").fetchall()
    ((records,),) = views.sql("SELECT count(*) FROM records").fetchall()
    print(f"read models of {size:,} entries, {records:,} of them records")
    print(
        f"  catching up: {half.seconds / (entries // 2) * 1e6:.1f} us an entry at half, {whole.seconds / size * 1e6:.1f} at all"
    )
    print(f"  peak memory {whole.peak_mib:.0f} MiB; {file.stat().st_size / records:.0f} bytes of the file a record")
    ((newest,),) = views.sql("SELECT max(recorded_at) FROM log").fetchall()
    for text, sql in re.findall(
        r"\n([^\n]+)\n\n```sql\n(.*?)```", QUESTIONS.read_text().partition("\n## ")[0], re.DOTALL
    ):
        sql = re.sub("TIMESTAMP '[^']*'", f"TIMESTAMP '{newest}'", sql)  # a moment at which this ledger had grants
        taken, rows = [], 0
        for _ in range(REPEATS):
            start = time.perf_counter()
            rows = len(views.sql(sql).fetchall())
            taken.append((time.perf_counter() - start) * 1e3)
        middle = statistics.median(taken)
        verdict = "met" if middle < LIMIT_MS else f"MISSED ({LIMIT_MS} ms)"
        print(f"  {middle:7.1f} ms ({min(taken):.1f} to {max(taken):.1f}), {rows:,} rows: {verdict}: {text}")
    views.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["project", folder, file, until]:
            project(Path(folder), Path(file), int(until))
        case rest:
            main(*map(int, rest))
