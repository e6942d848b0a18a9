"""Build the golden ledger of rules 1: ``cd tests && python -m golden.make [FOLDER]``.

It holds every kind of statement and everything that the ledger derives, with keys that follow from words, a clock that follows a
script, and no chance. Once released it is never built again: the file must audit for ever.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from proofroom.adapters.sqlite import SqliteStore
from strategies.rooms import write_history
from strategies.whole import whole_history

GOLDEN = Path(__file__).parent
NAME = "rules-1"


def make(folder: Path) -> bytes:
    """Write ``rules-1.db`` and its newest checkpoint into a folder. The root of its tree."""
    path = folder / f"{NAME}.db"
    path.unlink(missing_ok=True)
    root = write_history(whole_history(), path)
    with closing(SqliteStore(path)) as store:
        last = store.last_checkpoint()
    assert last is not None
    (folder / f"{NAME}.checkpoint").write_text(last[1])
    return root


if __name__ == "__main__":
    sys.stdout.write(make(Path(sys.argv[1]) if sys.argv[1:] else GOLDEN).hex() + "\n")
