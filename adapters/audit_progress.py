"""How far an audit has come, as a file of the auditor's own: killed at any point it goes on, and a later audit begins where it ended.

The file is believed, so it belongs where whoever keeps the log cannot write. It holds the tree over what was verified: a log that does
not continue it is found out, but entries before its size are not read again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import NonNegativeInt, TypeAdapter

from proofroom.adapters.files import write_atomically
from proofroom.adapters.findings import Finding, Report
from proofroom.adapters.replay import Replay
from proofroom.domain import hashing, merkle
from proofroom.domain.errors import BadInput, ProofroomError
from proofroom.domain.snapshot import decode_state, encode_state

FORMAT = "proofroom.audit-progress.v1"

_FINDINGS, _COUNT = TypeAdapter(list[Finding]), TypeAdapter(NonNegativeInt)


@dataclass
class Progress:
    """What an audit knows between two entries."""

    replay: Replay = field(default_factory=Replay)
    findings: list[Finding] = field(default_factory=list)
    left_off: int = 0
    """Findings that are not kept."""
    first: Report | None = None
    """The report as it stood at the first finding."""
    in_doubt: bool = False
    """The state may lack what an entry did."""
    tree_lost: bool = False
    """An index is missing, so leaves behind it cannot be put together any more."""

    @property
    def size(self) -> int:
        """The index that has to come next."""
        return self.replay.state.size


def save_progress(path: Path, progress: Progress) -> None:
    """Replace the file.

    Raises:
        StoreUnavailable: it cannot be written; the old one stays.
    """
    tree = progress.replay.tree
    head: dict[str, Any] = {
        "format": FORMAT,
        "tree": [tree.size, [peak.hex() for peak in tree.peaks]],
        "findings": [finding._asdict() for finding in progress.findings],
        "left_off": progress.left_off,
        "first": None if progress.first is None else progress.first.to_json(),
        "in_doubt": progress.in_doubt,
        "tree_lost": progress.tree_lost,
    }
    body = orjson.dumps(head) + b"\n" + encode_state(progress.replay.state, merkle.root(tree))
    write_atomically(path, hashing.digest(hashing.AUDIT_PROGRESS, body) + body)


def load_progress(path: Path) -> Progress:
    """What a file holds; where there is none, the beginning.

    Raises:
        BadInput: it is not the file of an audit, or one by another version of proofroom.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Progress()
    except OSError as e:
        raise BadInput(path=str(path), why=e.strerror or "cannot be read") from None
    digest, body = data[:32], data[32:]
    head, _, state = body.partition(b"\n")
    if hashing.digest(hashing.AUDIT_PROGRESS, body) != digest:
        raise BadInput(path=str(path), why="not the progress of an audit; remove it to begin anew")
    try:
        return _read(orjson.loads(head), state)
    except (ProofroomError, ValueError, LookupError, TypeError, AttributeError):
        raise BadInput(path=str(path), why="by another version of proofroom; remove it to begin anew") from None


def _read(value: dict[str, Any], state: bytes) -> Progress:
    """What :func:`save_progress` wrote; of anything else, any of the errors of reading it."""
    if value["format"] != FORMAT:
        raise ValueError(value["format"])
    size, peaks = value["tree"]
    tree = merkle.Tree(size, tuple(map(bytes.fromhex, peaks)))
    replay = Replay(decode_state(state, merkle.root(tree)), tree)
    findings, left_off = _FINDINGS.validate_python(value["findings"]), _COUNT.validate_python(value["left_off"])
    first = None if value["first"] is None else Report.from_json(value["first"])
    return Progress(replay, findings, left_off, first, bool(value["in_doubt"]), bool(value["tree_lost"]))
