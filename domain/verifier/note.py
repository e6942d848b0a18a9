"""Signed notes (C2SP signed-note), checkpoints (tlog-checkpoint) and cosignatures (tlog-cosignature).

A parser takes exactly what a printer prints: base64 has one form, numbers have no leading zero, nothing follows the last line break.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError

from proofroom.domain.verifier.verdict import Fault

MAX_NOTE = 64 * 1024
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_NAME, _ORIGIN = re.compile(r"[^\s+]{1,200}"), re.compile(r"[!-*,-~]{1,200}")


class BadTrust(ValueError):
    """What the reader said to trust (a key, a policy, a checkpoint) is not of its form: no verdict on the file."""


class Key(NamedTuple):
    """A verifier key: ``name+hash+base64(type | public key)``. Type 1 signs checkpoints, type 4 cosigns them."""

    name: str
    id: bytes
    type: int
    public: bytes


class Checkpoint(NamedTuple):
    """A tree head and its signature lines ``(name, key id, signature)``."""

    origin: str
    size: int
    root: bytes
    text: bytes
    """What is signed."""
    signatures: tuple[tuple[str, bytes, bytes], ...]
    note: str
    """The whole note."""


class Trust(NamedTuple):
    """What the reader knows from elsewhere."""

    keys: tuple[Key, ...] = ()
    """Keys of logs that may have made the file; without any, the file's own word is taken for it, and the report says so."""
    witnesses: tuple[tuple[str, Key], ...] = ()
    """Witnesses, by their name in the quorum."""
    groups: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    """Group, how many of its members it needs, and their names."""
    quorum: str = "none"
    known: Checkpoint | None = None
    """A checkpoint of the same log that was kept elsewhere."""
    strict: bool = False
    """What qualifies a VALID becomes the verdict."""


def unbase64(text: object, what: str, length: int | None = None) -> bytes:
    """The bytes that canonical base64 writes."""
    try:
        raw = a2b_base64(text, strict_mode=True) if isinstance(text, str) else b""
    except ValueError:
        raw = b""
    if b2a_base64(raw, newline=False).decode() != text or (length is not None and len(raw) != length):
        raise Fault(f"{what} is not base64 of its length")
    return raw


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Ed25519 as libsodium has it: no small-order key, no second form of a signature."""
    try:
        crypto_sign_open(signature + message, public)
    except (BadSignatureError, NaclValueError):
        return False
    return len(signature) == 64


@lru_cache(maxsize=64)  # all files of a log name the same one
def parse_key(text: str) -> Key:
    """A verifier key of an Ed25519 log or witness."""
    name, _, rest = text.partition("+")
    id, _, blob = rest.partition("+")
    raw = unbase64(blob, "the verifier key", 33)
    if not _NAME.fullmatch(name) or raw[0] not in (1, 4) or key_id(name, raw[0], raw[1:]).hex() != id:
        raise Fault("the verifier key is not name+hash+base64 of an Ed25519 key, or its hash is another")
    return Key(name, bytes.fromhex(id), raw[0], raw[1:])


def key_id(name: str, type: int, public: bytes) -> bytes:
    """Four bytes by which a signature line names its key."""
    return sha256(name.encode() + b"\n" + bytes([type]) + public).digest()[:4]


def parse_note(note: str) -> Checkpoint:
    """A checkpoint with its signatures, none of them verified."""
    text, blank, tail = note.rpartition("\n\n")
    lines, signatures = text.split("\n"), tail.split("\n")
    rest = signatures.pop()
    if not blank or len(lines) != 3 or rest or not signatures or len(note) > MAX_NOTE:
        raise Fault("the checkpoint is not three lines, an empty line and signature lines")
    if not _ORIGIN.fullmatch(lines[0]) or not NUMBER.fullmatch(lines[1]):
        raise Fault("the checkpoint's origin or size is not of its form")
    found = []
    for line in signatures:
        match = _SIGNATURE.fullmatch(line)
        raw = unbase64(match[2], "a signature on the checkpoint") if match else b""
        if match is None or not match[1].isprintable() or len(raw) < 5:
            raise Fault("a signature line of the checkpoint is not of its form")
        found.append((match[1], raw[:4], raw[4:]))
    root = unbase64(lines[2], "the checkpoint's root", 32)
    return Checkpoint(lines[0], int(lines[1]), root, f"{text}\n".encode(), tuple(found), note)


def check_signed(checkpoint: Checkpoint, key: Key) -> None:
    """The log's own key signed the checkpoint."""
    lines = [s for name, id, s in checkpoint.signatures if (name, id) == (key.name, key.id)]
    if checkpoint.origin != key.name or key.type != 1 or not lines:
        raise Fault(f"the checkpoint of {checkpoint.origin} is not signed by {key.name}+{key.id.hex()}")
    if not all(is_signed(key.public, checkpoint.text, signature) for signature in lines):
        raise Fault("the log's signature on the checkpoint does not verify")


def is_cosigned(checkpoint: Checkpoint, key: Key) -> bool:
    """The witness signed that, at some time, this was the newest head it had seen, and that it extends all before."""
    for name, id, blob in checkpoint.signatures:
        if (name, id) == (key.name, key.id) and key.type == 4:
            time = int.from_bytes(blob[:8], "big")
            message = b"cosignature/v1\ntime %d\n%b" % (time, checkpoint.text)
            if time < 2**63 and is_signed(key.public, message, blob[8:]):
                return True
    return False


def witnessed_by(checkpoint: Checkpoint, trust: Trust) -> tuple[set[str], bool]:
    """Names of the trusted witnesses that cosigned, and whether they are a quorum."""
    cosigned = {name for name, key in trust.witnesses if is_cosigned(checkpoint, key)}
    names = set(cosigned)
    for group, least, members in trust.groups:  # a group names only what stands before it
        if sum(member in names for member in members) >= least:
            names.add(group)
    return cosigned, trust.quorum == "none" or trust.quorum in names
