"""Checkpoints: signed tree heads as C2SP ``tlog-checkpoint`` in C2SP ``signed-note``.

A checkpoint of one key reads::

    example.org/room                                     origin
    42                                                   tree size
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=         root hash
                                                         (empty line)
    — example.org/room Az3grlgtzPICa5OS8npVmf1Myq/5…     name, then base64(key id | signature)

The parser accepts exactly what the printer prints, plus further signature lines by other keys (cosignatures).
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from typing import NamedTuple

from proofroom.domain.errors import BadNote, BadSignature
from proofroom.domain.ids import KeyId, public_key_of
from proofroom.domain.signing import Signer, verify_signature

MAX_NOTE = 64 * 1024
ORIGIN_PATTERN = r"^[!-*,-~]{1,200}$"
"""An origin is a schema-less URL such as ``example.org/room``: printable ASCII, no blank, no plus sign (signed-note)."""

_ORIGIN = re.compile(ORIGIN_PATTERN)
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ED25519 = b"\x01"


class Checkpoint(NamedTuple):
    """The head of a log: its origin, size and root."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """The text that is signed: three lines, each with its line break."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def note_key_id(name: str, keyid: KeyId) -> bytes:
    """The four bytes by which a signature line names its key (signed-note, algorithm 0x01)."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key_of(keyid)).digest()[:4]


def verifier_key(origin: str, keyid: KeyId) -> str:
    """The key as other people's note tools take it: ``name+hash+base64(type | key)``."""
    blob = base64.b64encode(_ED25519 + public_key_of(keyid)).decode()
    return f"{origin}+{note_key_id(origin, keyid).hex()}+{blob}"


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> str:
    """The signed note of a checkpoint."""
    body = checkpoint.body()
    blob = note_key_id(checkpoint.origin, signer.keyid) + signer.sign(body.encode())
    return f"{body}\n— {checkpoint.origin} {base64.b64encode(blob).decode()}\n"


def verify_checkpoint(note: str, origin: str, keyid: KeyId) -> Checkpoint:
    """The checkpoint in a note that the log's own key signed.

    Raises:
        BadNote: not a checkpoint of this origin, or not signed by this key.
    """
    checkpoint, signatures = parse_note(note)
    if checkpoint.origin != origin:
        raise BadNote(why=f"it is of {checkpoint.origin}, not of {origin}")
    wanted = note_key_id(origin, keyid)
    for name, blob in signatures:
        if name == origin and blob[:4] == wanted:
            try:
                verify_signature(keyid, checkpoint.body().encode(), blob[4:])
            except BadSignature:
                raise BadNote(why="the log's signature does not verify") from None
            return checkpoint
    raise BadNote(why=f"no signature by {keyid}")


def parse_note(note: str) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    """The checkpoint and its signature lines ``(name, key id | signature)``, none of them verified.

    Raises:
        BadNote: not of the form above.
    """
    if len(note) > MAX_NOTE:
        raise BadNote(why="longer than 64 KiB")
    body, separator, signatures = note.partition("\n\n")
    lines = body.split("\n")
    if not separator or not signatures.endswith("\n") or len(lines) != 3:
        raise BadNote(why="not three lines, an empty line and signature lines")
    origin, size, root = lines
    if not _ORIGIN.fullmatch(origin) or not _SIZE.fullmatch(size):
        raise BadNote(why="the origin or the size is not of its form")
    checkpoint = Checkpoint(origin, int(size), _base64(root))
    if len(checkpoint.root) != 32:
        raise BadNote(why="the root has not 32 bytes")
    return checkpoint, [_signature_line(line) for line in signatures[:-1].split("\n")]


def _signature_line(line: str) -> tuple[str, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, blob = rest.partition(" ")
    if dash != "—" or not name or "+" in name or name.split() != [name] or not name.isprintable():
        raise BadNote(why="a signature line does not begin with an em dash and a key name")
    raw = _base64(blob)
    if len(raw) < 5:
        raise BadNote(why="a signature is too short")
    return name, raw


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote(why="not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise BadNote(why="not canonical base64")
    return raw
