"""How a log obtains cosignatures: it proves to each witness that its newest head extends the one that the witness knows."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from http.client import HTTPResponse
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest

from proofroom.adapters.stores import Store, from_nodes
from proofroom.adapters.web import NO_ANSWER, urlopen, why_none
from proofroom.domain import merkle
from proofroom.domain.checkpoint import MAX_NOTE, parse_note
from proofroom.domain.cosigning import Request, add_cosignatures, write_request
from proofroom.domain.errors import BadNote, NoSuchEntry, NoWitness
from proofroom.domain.verifier import note as notes
from proofroom.domain.verifier.verdict import Fault

ANSWER_SECONDS = 30.0
"""For one answer."""


class WitnessAddress(NamedTuple):
    """Where a witness answers, and the key by which its cosignatures are known."""

    url: str
    """Its submission prefix."""
    key: notes.Key


def collect(
    store: Store, witnesses: Iterable[WitnessAddress], *, seconds: float = ANSWER_SECONDS
) -> tuple[str, list[NoWitness]]:
    """The newest checkpoint of a store with the cosignatures of all witnesses that gave one, and what the others said.

    Args:
        store: the log.
        witnesses: asked one after the other.
        seconds: for each answer of one, from asking to its last byte.

    Raises:
        NoSuchEntry: the log has no checkpoint.
    """
    last = store.last_checkpoint()
    if last is None:
        raise NoSuchEntry(what="checkpoint")
    note, failed = last[1], []
    for witness in witnesses:
        try:
            note = add_cosignatures(note, ask(store, last[1], witness, seconds=seconds))
        except NoWitness as e:
            failed.append(e)
    return note, failed


def ask(store: Store, note: str, witness: WitnessAddress, *, seconds: float = ANSWER_SECONDS) -> str:
    """The cosignature lines of one witness under a checkpoint of the store.

    Raises:
        NoWitness: it cannot be reached, refuses, knows another history, or its answer does not verify.
    """
    size = parse_note(note)[0].size
    status, text = _post(witness.url, write_request(Request(0, (), note)), seconds)
    if status == HTTPStatus.CONFLICT:  # it names the newest head that it knows
        old = int(text) if text.strip().isdecimal() and len(text) < 24 else size + 1
        if old > size:
            why = f"it knows a head of size {text.strip()[:40]}, and this log has {size} entries"
            raise NoWitness(url=witness.url, why=why)
        proof = from_nodes(store, lambda node: merkle.consistency_path(old, size, node)) if 0 < old < size else ()
        status, text = _post(witness.url, write_request(Request(old, tuple(proof), note)), seconds)
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


def _post(url: str, body: bytes, seconds: float) -> tuple[int, str]:
    if not url.startswith(("http://", "https://")):
        raise NoWitness(url=url, why="not an address of http or https")
    try:
        request = HttpRequest(f"{url.rstrip('/')}/add-checkpoint", data=body, method="POST")
        try:
            response: HTTPResponse | HTTPError = urlopen(request, seconds)
        except HTTPError as e:
            response = e
        with response:
            return response.status or 0, response.read(MAX_NOTE).decode(errors="replace")
    except NO_ANSWER as e:
        raise NoWitness(url=url, why=why_none(e)) from None
