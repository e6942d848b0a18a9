"""How a log obtains cosignatures: it proves to each witness that its newest head extends the one that the witness knows."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from proofroom.adapters.stores import Store, from_nodes
from proofroom.adapters.web import NO_ANSWER
from proofroom.domain import merkle
from proofroom.domain.checkpoint import MAX_NOTE, parse_note
from proofroom.domain.cosigning import Request, add_cosignatures, write_request
from proofroom.domain.errors import BadNote, NoSuchEntry, NoWitness
from proofroom.domain.verifier import note as notes
from proofroom.domain.verifier.verdict import Fault

TIMEOUT_SECONDS = 30.0


class WitnessAddress(NamedTuple):
    """Where a witness answers, and the key by which its cosignatures are known."""

    url: str
    """Its submission prefix."""
    key: notes.Key


def collect(store: Store, witnesses: Iterable[WitnessAddress]) -> tuple[str, list[NoWitness]]:
    """The newest checkpoint of a store with the cosignatures of all witnesses that gave one, and what the others said.

    Raises:
        NoSuchEntry: the log has no checkpoint.
    """
    last = store.last_checkpoint()
    if last is None:
        raise NoSuchEntry(what="checkpoint")
    note, failed = last[1], []
    for witness in witnesses:
        try:
            note = add_cosignatures(note, ask(store, last[1], witness))
        except NoWitness as e:
            failed.append(e)
    return note, failed


def ask(store: Store, note: str, witness: WitnessAddress) -> str:
    """The cosignature lines of one witness under a checkpoint of the store.

    Raises:
        NoWitness: it cannot be reached, refuses, knows another history, or its answer does not verify.
    """
    size = parse_note(note)[0].size
    status, text = _post(witness.url, write_request(Request(0, (), note)))
    if status == HTTPStatus.CONFLICT:  # it names the newest head that it knows
        old = int(text) if text.strip().isdecimal() and len(text) < 24 else size + 1
        if old > size:
            why = f"it knows a head of size {text.strip()[:40]}, and this log has {size} entries"
            raise NoWitness(url=witness.url, why=why)
        proof = from_nodes(store, lambda node: merkle.consistency_path(old, size, node)) if 0 < old < size else ()
        status, text = _post(witness.url, write_request(Request(old, tuple(proof), note)))
    if status != HTTPStatus.OK:
        raise NoWitness(url=witness.url, why=f"HTTP {status}: {text.strip()[:200]}")
    return _verified(note, text, witness)


def _verified(note: str, lines: str, witness: WitnessAddress) -> str:
    """Only the line that verifies is taken over."""
    try:
        cosigned = notes.parse_note(add_cosignatures(note, lines))
    except (BadNote, Fault) as e:
        raise NoWitness(url=witness.url, why=f"its answer is no cosignature: {e}") from None
    if not notes.is_cosigned(cosigned, witness.key):
        raise NoWitness(url=witness.url, why=f"its answer is not signed by {witness.key.name}")
    return "".join(line + "\n" for line in lines.splitlines() if line.split(" ")[1:2] == [witness.key.name])


def _post(url: str, body: bytes) -> tuple[int, str]:
    if not url.startswith(("http://", "https://")):
        raise NoWitness(url=url, why="not an address of http or https")
    request = urllib.request.Request(f"{url.rstrip('/')}/add-checkpoint", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return response.status, response.read(MAX_NOTE).decode(errors="replace")
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.read(MAX_NOTE).decode(errors="replace")
    except NO_ANSWER as e:
        raise NoWitness(url=url, why=str(e)) from None
