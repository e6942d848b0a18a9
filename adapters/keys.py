"""Keys that this process holds, and the files they rest in.

A key file of this module is plain: only its owner may read it, and nothing else protects it. :mod:`proofroom.adapters.keyfile` adds a
password, :mod:`proofroom.adapters.signers` leads to keys that live elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import orjson
from nacl.bindings import crypto_sign_ed25519_sk_to_curve25519, crypto_sign_seed_keypair
from nacl.signing import SigningKey

from proofroom.adapters.files import read_at_most, write_new
from proofroom.domain import hashing
from proofroom.domain.errors import BadInput, LedgerExists
from proofroom.domain.ids import KeyId, keyid_of

MAX_KEY_FILE = 4_096


class Key:
    """An Ed25519 key pair in memory. Its secret is in no repr, error or pickle."""

    __slots__ = ("_signing", "keyid")

    def __init__(self, seed: bytes) -> None:
        self._signing = SigningKey(seed)
        self.keyid: KeyId = keyid_of(bytes(self._signing.verify_key))

    @classmethod
    def generate(cls) -> Key:
        """A new key from the system's randomness."""
        return cls(os.urandom(32))

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of ``message``."""
        return self._signing.sign(message).signature

    def derive(self, vault_scope: str, generation: int = 0) -> Key:
        """The agent service's own key for one vault scope; a later generation replaces one whose certificate ran out (protocol 3)."""
        number = generation.to_bytes(8, "big")
        return Key(hashing.digest(hashing.AGENT_KEY, bytes(self._signing), number, vault_scope.encode()))

    def exchange_key(self) -> bytes:
        """The secret X25519 key of this pair, for opening what was sealed to it."""
        _, secret = crypto_sign_seed_keypair(bytes(self._signing))
        return crypto_sign_ed25519_sk_to_curve25519(secret)

    def seed_for_saving(self) -> bytes:
        """The secret itself, for writing it to a protected file and for nothing else."""
        return bytes(self._signing)

    def __repr__(self) -> str:
        return f"Key({self.keyid})"

    def __reduce__(self) -> str:
        raise TypeError("a secret key does not leave its process")


def save_key(path: Path, seed: bytes) -> Key:
    """Write a seed to a new file of mode 0600.

    Raises:
        LedgerExists: the file is there already.
    """
    key = Key(seed)
    content = json.dumps({"keyid": key.keyid, "seed": seed.hex()}).encode()
    try:
        write_new(path, content)
    except FileExistsError:
        raise LedgerExists(path=str(path)) from None
    return key


def load_key(path: Path) -> Key:
    """The key in a file that :func:`save_key` wrote.

    Raises:
        BadInput: not such a file; the message never shows its content.
    """
    value: Any = None
    try:
        value = orjson.loads(read_at_most(path, MAX_KEY_FILE))
        key = Key(bytes.fromhex(value["seed"]))
    except OSError as e:
        raise BadInput(path=str(path), why=e.strerror or "it cannot be read") from None
    except (ValueError, KeyError, TypeError):
        is_protected = isinstance(value, dict) and "box" in value
        why = "this key file needs a password: name it as encrypted-file:" if is_protected else "not a key file"
        raise BadInput(path=str(path), why=why) from None
    if value.get("keyid") != key.keyid:
        raise BadInput(path=str(path), why="the key file names another public key")
    return key


def load_or_create_key(path: Path) -> Key:
    """The key in a file, which is made when it is not there."""
    if not path.exists():
        with contextlib.suppress(LedgerExists):  # another process was first
            return save_key(path, os.urandom(32))
    return load_key(path)
