"""Witnesses: cosignatures on checkpoints (C2SP tlog-cosignature), and what a witness must see before it gives one (C2SP tlog-witness).

A cosignature says: at this time, this was the largest head of the log that I had seen, and it extends every head that I cosigned before.
So two readers who trust one witness cannot be shown two histories.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from typing import NamedTuple

from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, parse_note
from proofroom.domain.errors import BadNote, BadRequest, HeadMoved
from proofroom.domain.ids import KeyId, public_key_of
from proofroom.domain.merkle import SHA256
from proofroom.domain.signing import Signer

MAX_PROOF = 63
"""Hashes of a consistency proof that a request may hold (tlog-witness)."""

MAX_REQUEST = 64 * 1024 + 64 * 64
"""Bytes of a request."""

_COSIGNATURE = b"\x04"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)


class Request(NamedTuple):
    """What a log asks of a witness."""

    old: int
    """Size of the head that the witness is believed to know; 0 is none."""
    proof: tuple[bytes, ...]
    note: str


def cosignature_key_id(name: str, keyid: KeyId) -> bytes:
    """The four bytes by which a signature line names a witness (tlog-cosignature, algorithm 0x04)."""
    return sha256(name.encode() + b"\n" + _COSIGNATURE + public_key_of(keyid)).digest()[:4]


def witness_key(name: str, keyid: KeyId) -> str:
    """A witness as other people's tools and policies take it: ``name+hash+base64(type | key)``."""
    blob = base64.b64encode(_COSIGNATURE + public_key_of(keyid)).decode()
    return f"{name}+{cosignature_key_id(name, keyid).hex()}+{blob}"


def cosign(checkpoint: Checkpoint, name: str, signer: Signer, at_seconds: int) -> str:
    """The signature line of a witness under a checkpoint: ``— name base64(key id | u64be time | signature)``."""
    message = f"cosignature/v1\ntime {at_seconds}\n{checkpoint.body()}".encode()
    blob = cosignature_key_id(name, signer.keyid) + at_seconds.to_bytes(8, "big") + signer.sign(message)
    return f"— {name} {base64.b64encode(blob).decode()}\n"


def write_request(request: Request) -> bytes:
    """The body of ``add-checkpoint``: the old size, the proof, an empty line, the note."""
    lines = [f"old {request.old}", *(base64.b64encode(node).decode() for node in request.proof), "", request.note]
    return "\n".join(lines).encode()


def parse_request(body: bytes) -> Request:
    """What :func:`write_request` writes, and nothing else.

    Raises:
        BadRequest: not of that form.
    """
    try:
        head, blank, note = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise BadRequest(why="not text in UTF-8") from None
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if old is None or not blank or len(body) > MAX_REQUEST or len(lines) > MAX_PROOF:
        raise BadRequest(why="not an old size, a proof of at most 63 lines, an empty line and a checkpoint")
    return Request(int(old[1]), tuple(_node(line) for line in lines), note)


def _node(line: str) -> bytes:
    try:
        raw = base64.b64decode(line, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 32 or base64.b64encode(raw).decode() != line:
        raise BadRequest(why="a line of the proof is not base64 of 32 bytes")
    return raw


def check_extends(last: Checkpoint | None, request: Request, head: Checkpoint) -> None:
    """A witness may cosign ``head``: it extends the last head of this log that it cosigned.

    Raises:
        BadRequest: the old size is larger than the new one.
        HeadMoved: the witness knows another size than the request says, or another root at this size.
        BadProof: the consistency proof does not hold.
    """
    known, root = (0, SHA256.empty) if last is None else (last.size, last.root)
    if request.old > head.size:
        raise BadRequest(why=f"the old size {request.old} is larger than that of the checkpoint, {head.size}")
    if request.old != known or (known == head.size and root != head.root):
        raise HeadMoved(size=known)
    merkle.verify_consistency(known, head.size, request.proof, root, head.root)


def add_cosignatures(note: str, lines: str) -> str:
    """The note with further signature lines.

    Raises:
        BadNote: they are no signature lines.
    """
    joined = note + lines
    if parse_note(joined)[0] != parse_note(note)[0]:
        raise BadNote(why="not signature lines")
    return joined
