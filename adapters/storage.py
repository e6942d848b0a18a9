"""The storage node: opaque bytes by vault scope and content, and a meter of what passed.

It holds no key and sees only what is encrypted. Its meter is not the runtime's claim, so an observer may rely on it (protocol 5).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

from proofroom.adapters.files import write_atomically
from proofroom.domain import hashing
from proofroom.domain.errors import VaultUnavailable
from proofroom.domain.ids import Digest
from proofroom.domain.statements.fields import Usage

SCOPE_FOLDER = "proofroom 2026 v1 vault scope folder"
"""Context of the digest that names a scope's folder: scope names are any printable text, file names are not."""


class Meter(NamedTuple):
    """What was stored and served, counted where it happens."""

    puts: int = 0
    gets: int = 0
    bytes_streamed: int = 0

    def plus(self, other: Meter) -> Meter:
        """The sum of both."""
        return Meter(self.puts + other.puts, self.gets + other.gets, self.bytes_streamed + other.bytes_streamed)

    def usage(self) -> Usage:
        """As a record claims it."""
        return Usage(byte_seconds=0, bytes_streamed=self.bytes_streamed, puts=self.puts, gets=self.gets)

    def minus(self, other: Meter) -> Meter:
        """What was counted since ``other``."""
        return Meter(self.puts - other.puts, self.gets - other.gets, self.bytes_streamed - other.bytes_streamed)


class Storage:
    """Content-addressed files, a folder a vault scope.

    Args:
        folder: where they live; made when something is first stored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._meters: dict[str, Meter] = {}
        self._last: dict[str, Digest] = {}

    def scope_folder(self, vault_scope: str) -> Path:
        """Where a scope's files are."""
        return self.folder / hashing.digest(SCOPE_FOLDER, vault_scope.encode()).hex()[:32]

    def put(self, vault_scope: str, data: bytes, context: str = hashing.BLOB) -> Digest:
        """Keep bytes under their digest in a context.

        Raises:
            VaultUnavailable: they cannot be written.
        """
        address = hashing.tagged(hashing.digest(context, data))
        try:
            write_atomically(self._path(vault_scope, address), data)
        except OSError as e:
            raise VaultUnavailable(what=address, why=e.strerror or "it cannot be written") from None
        self._count(vault_scope, Meter(puts=1, bytes_streamed=len(data)))
        with self._lock:
            self._last[vault_scope] = address
        return address

    def get(self, vault_scope: str, address: Digest, context: str = hashing.BLOB) -> bytes:
        """The bytes behind an address.

        Raises:
            VaultUnavailable: they are not there, or were altered.
        """
        try:
            data = self._path(vault_scope, address).read_bytes()
        except OSError as e:
            raise VaultUnavailable(what=address, why=e.strerror or "it cannot be read") from None
        if hashing.tagged(hashing.digest(context, data)) != address:
            raise VaultUnavailable(what=address, why="the blob was altered")
        self._count(vault_scope, Meter(gets=1, bytes_streamed=len(data)))
        return data

    def meters(self) -> dict[str, Meter]:
        """What passed since this object was made, by vault scope."""
        with self._lock:
            return dict(self._meters)

    def last_put(self, vault_scope: str) -> Digest | None:
        """The address of what was last stored in a scope, computed from the bytes that passed."""
        with self._lock:
            return self._last.get(vault_scope)

    def _path(self, vault_scope: str, address: Digest) -> Path:
        return self.scope_folder(vault_scope) / "blobs" / hashing.untagged(address).hex()

    def _count(self, vault_scope: str, passed: Meter) -> None:
        with self._lock:
            self._meters[vault_scope] = self._meters.get(vault_scope, Meter()).plus(passed)
