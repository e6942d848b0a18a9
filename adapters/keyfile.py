"""Key files that a password protects: Argon2id and a secret box, both of libsodium.

A file is one JSON object; nothing in it but ``box`` depends on the secret::

    {"format": "proofroom-key-1", "keyid": "ed25519:...",
     "kdf": {"name": "argon2id13", "operations": 3, "memory": 268435456, "salt": "<32 hex>"},
     "box": "<hex of nonce | tag | encrypted seed>"}

The parameters are read from the file, within bounds: a file that somebody else wrote must not make the reader use all its memory or
accept a key that costs nothing to guess.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from proofroom.adapters.files import read_at_most, write_atomically, write_new
from proofroom.adapters.keys import MAX_KEY_FILE, Key
from proofroom.domain.errors import BadInput, LedgerExists, WrongPassword
from proofroom.domain.ids import KeyId

FORMAT = "proofroom-key-1"
KDF = "argon2id13"
SEED = 32

OPERATIONS = (1, 16)
MEMORY = (8 * 2**20, 2**30)
"""Bytes: what a reader is ready to spend on one file, at least and at most."""


class Cost(NamedTuple):
    """What one guess at the password costs."""

    operations: int = argon2id.OPSLIMIT_MODERATE
    memory: int = argon2id.MEMLIMIT_MODERATE


MODERATE = Cost()
"""libsodium's own middle: 3 passes over 256 MiB, about a second."""


def save_encrypted(path: Path, seed: bytes, password: bytes, cost: Cost | None = None, *, replace: bool = False) -> Key:
    """Write a seed to a file of mode 0600, encrypted under a password; whole or not at all. The cost is :data:`MODERATE` unless given.

    Raises:
        BadInput: the password is empty, or the cost is outside of what a reader accepts.
        LedgerExists: the file is there already, and ``replace`` does not say that this is meant.
    """
    if not password:
        raise BadInput(path=str(path), why="an empty password protects nothing")
    key, salt, cost = Key(seed), os.urandom(argon2id.SALTBYTES), cost or MODERATE
    kdf = {"name": KDF, "operations": cost.operations, "memory": cost.memory, "salt": salt.hex()}
    _check_cost(path, cost)
    box = SecretBox(_stretch(password, salt, cost)).encrypt(seed)
    content = json.dumps({"format": FORMAT, "keyid": key.keyid, "kdf": kdf, "box": box.hex()}).encode()
    try:
        (write_atomically if replace else write_new)(path, content)
    except FileExistsError:
        raise LedgerExists(path=str(path)) from None
    return key


def load_encrypted(path: Path, password: bytes) -> Key:
    """The key in a file that :func:`save_encrypted` wrote.

    Raises:
        BadInput: not such a file, or its parameters are out of bounds; the message never shows its content.
        WrongPassword: the password does not open it, or it was altered.
    """
    keyid, cost, salt, box = _read(path)
    try:
        key = Key(SecretBox(_stretch(password, salt, cost)).decrypt(box))
    except (CryptoError, ValueError, TypeError):
        raise WrongPassword(path=str(path)) from None
    if key.keyid != keyid:
        raise BadInput(path=str(path), why="the key file names another public key")
    return key


def is_encrypted(path: Path) -> bool:
    """Whether a file says of itself that it is a password-encrypted key."""
    try:
        value = orjson.loads(read_at_most(path, MAX_KEY_FILE))
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and value.get("format") == FORMAT


def _read(path: Path) -> tuple[KeyId, Cost, bytes, bytes]:
    try:
        value: dict[str, Any] = orjson.loads(read_at_most(path, MAX_KEY_FILE))
        kdf = value["kdf"]
        known = (value["format"], kdf["name"]) == (FORMAT, KDF)
        cost, salt = Cost(kdf["operations"], kdf["memory"]), bytes.fromhex(kdf["salt"])
        keyid, box = KeyId(value["keyid"]), bytes.fromhex(value["box"])
    except (OSError, ValueError, KeyError, TypeError):
        known, cost, salt, keyid, box = False, MODERATE, b"", KeyId(""), b""
    if not known or len(salt) != argon2id.SALTBYTES or len(box) != SEED + SecretBox.NONCE_SIZE + SecretBox.MACBYTES:
        raise BadInput(path=str(path), why="not a password-encrypted key file")
    _check_cost(path, cost)
    return keyid, cost, salt, box


def _check_cost(path: Path, cost: Cost) -> None:
    for name, value, (least, most) in (
        ("operations", cost.operations, OPERATIONS),
        ("memory", cost.memory, MEMORY),
    ):
        if type(value) is not int or not least <= value <= most:
            raise BadInput(path=str(path), why=f"its {name} of key derivation are not within {least} to {most}")


def _stretch(password: bytes, salt: bytes, cost: Cost) -> bytes:
    return argon2id.kdf(SecretBox.KEY_SIZE, password, salt, opslimit=cost.operations, memlimit=cost.memory)
