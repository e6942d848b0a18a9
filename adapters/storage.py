"""The storage node: opaque bytes by vault scope and content, and a meter of what passed and of what lies there.

It holds no key and sees only what is encrypted. Its meter is not the runtime's claim, so an observer may rely on it (protocol 5).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from proofroom.adapters.blobs import PART, Blobs, FolderBlobs
from proofroom.adapters.stores import now_ms
from proofroom.domain import hashing
from proofroom.domain.errors import VaultUnavailable
from proofroom.domain.ids import Digest
from proofroom.domain.statements.fields import Usage

SCOPE_FOLDER = "proofroom 2026 v1 vault scope folder"
"""Context of the digest that names a scope's folder: scope names are any printable text, file names are not."""

BLOBS = "blobs"


class Meter(NamedTuple):
    """What was stored and served, counted where it happens."""

    puts: int = 0
    gets: int = 0
    bytes_streamed: int = 0

    def plus(self, other: Meter) -> Meter:
        """The sum of both."""
        return Meter(self.puts + other.puts, self.gets + other.gets, self.bytes_streamed + other.bytes_streamed)

    def minus(self, other: Meter) -> Meter:
        """What was counted since ``other``."""
        return Meter(self.puts - other.puts, self.gets - other.gets, self.bytes_streamed - other.bytes_streamed)

    def usage(self, byte_seconds: int = 0) -> Usage:
        """As a record claims it."""
        return Usage(byte_seconds=byte_seconds, bytes_streamed=self.bytes_streamed, puts=self.puts, gets=self.gets)


class Kept:
    """How many bytes lie somewhere, times how long.

    Args:
        size: bytes that lie there now.
        clock: time in ms.
    """

    def __init__(self, size: int, clock: Callable[[], int]) -> None:
        self._size, self._clock, self._sum, self._at = size, clock, 0, clock()

    def add(self, size: int) -> None:
        """So many bytes more from now on, or less."""
        self._sum, self._size = self.byte_ms(), self._size + size

    def byte_ms(self) -> int:
        """Bytes times milliseconds since this was made."""
        now = max(self._at, self._clock())
        self._sum, self._at = self._sum + self._size * (now - self._at), now
        return self._sum


class Storage:
    """Content-addressed blobs, a folder a vault scope.

    Args:
        place: where they live; a folder is made when something is first stored.
        clock: time in ms.
    """

    def __init__(self, place: Blobs | Path, clock: Callable[[], int] = now_ms) -> None:
        self.blobs: Blobs = FolderBlobs(place) if isinstance(place, Path) else place
        self.clock = clock
        self._lock = threading.Lock()
        self._meters: dict[str, Meter] = {}
        self._kept: dict[str, Kept] = {}
        self._last: dict[str, Digest] = {}

    def scope_folder(self, vault_scope: str) -> str:
        """The name of the folder with a scope's blobs."""
        return hashing.digest(SCOPE_FOLDER, vault_scope.encode()).hex()[:32]

    def put(self, vault_scope: str, parts: Iterable[bytes], context: str = hashing.BLOB) -> tuple[Digest, int]:
        """Keep bytes under their digest in a context: the address, and how many there were.

        Raises:
            VaultUnavailable: they cannot be written. Nothing is kept.
        """
        hasher, size = blake3(derive_key_context=context), 0

        def passing() -> Iterator[bytes]:
            nonlocal size
            for part in parts:
                hasher.update(part)
                size += len(part)
                yield part

        kept = self._kept_in(vault_scope)
        try:
            self.blobs.write(passing(), lambda: self._name(vault_scope, hashing.tagged(hasher.digest())))
        except OSError as e:
            raise VaultUnavailable(what=vault_scope, why=e.strerror or "it cannot be written") from None
        address = hashing.tagged(hasher.digest())
        with self._lock:
            kept.add(size)
            self._last[vault_scope] = address
        self._count(vault_scope, Meter(puts=1, bytes_streamed=size))
        return address, size

    def get(
        self,
        vault_scope: str,
        address: Digest,
        context: str = hashing.BLOB,
        *,
        sizes: tuple[int, int] = (PART, PART),
        check: bool = True,
    ) -> Iterator[bytes]:
        """The bytes behind an address, in parts; that they are its bytes is known when this ends without error.

        Args:
            vault_scope: the scope.
            address: what :meth:`put` gave.
            context: of the address.
            sizes: of the first part and of the others.
            check: compare with the address; a reader who cannot know that the address is the right one need not.

        Raises:
            VaultUnavailable: they are not there (at the call), or were altered (at the end).
        """
        try:
            parts = self.blobs.read(self._name(vault_scope, address), *sizes)
        except OSError as e:
            raise VaultUnavailable(what=address, why=e.strerror or "it cannot be read") from None
        return self._passed(vault_scope, address, parts, blake3(derive_key_context=context) if check else None)

    def _passed(
        self, vault_scope: str, address: Digest, parts: Iterator[bytes], hasher: blake3 | None
    ) -> Iterator[bytes]:
        size = 0
        try:
            for part in parts:
                if hasher is not None:
                    hasher.update(part)
                size += len(part)
                yield part
        except OSError as e:
            raise VaultUnavailable(what=address, why=e.strerror or "it cannot be read") from None
        if hasher is not None and hashing.tagged(hasher.digest()) != address:
            raise VaultUnavailable(what=address, why="the blob was altered")
        self._count(vault_scope, Meter(gets=1, bytes_streamed=size))

    def remove(self, vault_scope: str, address: Digest) -> None:
        """Let a blob go, if it is there.

        Raises:
            VaultUnavailable: it cannot be removed.
        """
        name, kept = self._name(vault_scope, address), self._kept_in(vault_scope)
        size = self.sizes(vault_scope, BLOBS).get(name.rpartition("/")[2])
        if size is not None:
            try:
                self.blobs.remove(name)
            except OSError as e:
                raise VaultUnavailable(what=address, why=e.strerror or "it cannot be removed") from None
            with self._lock:
                kept.add(-size)

    def sizes(self, vault_scope: str, folder: str) -> dict[str, int]:
        """What lies in a folder of a scope: names, without the folder, and their bytes.

        Raises:
            VaultUnavailable: it cannot be looked at.
        """
        try:
            return self.blobs.sizes(f"{self.scope_folder(vault_scope)}/{folder}")
        except OSError as e:
            raise VaultUnavailable(what=vault_scope, why=e.strerror or "it cannot be read") from None

    # --- meters

    def meters(self) -> dict[str, Meter]:
        """What passed since this object was made, by vault scope."""
        with self._lock:
            return dict(self._meters)

    def byte_ms(self, vault_scope: str) -> int:
        """Bytes of a scope times the milliseconds that they lay here, since this object was first asked about the scope."""
        kept = self._kept_in(vault_scope)
        with self._lock:
            return kept.byte_ms()

    def stored(self, vault_scope: str) -> int:
        """Bytes that lie here of a scope, counted now."""
        return sum(self.sizes(vault_scope, BLOBS).values())

    def last_put(self, vault_scope: str) -> Digest | None:
        """The address of what was last stored in a scope, computed from the bytes that passed."""
        with self._lock:
            return self._last.get(vault_scope)

    def _kept_in(self, vault_scope: str) -> Kept:
        with self._lock:
            if vault_scope not in self._kept:
                self._kept[vault_scope] = Kept(self.stored(vault_scope), self.clock)
            return self._kept[vault_scope]

    def _name(self, vault_scope: str, address: Digest) -> str:
        return f"{self.scope_folder(vault_scope)}/{BLOBS}/{hashing.untagged(address).hex()}"

    def _count(self, vault_scope: str, passed: Meter) -> None:
        with self._lock:
            self._meters[vault_scope] = self._meters.get(vault_scope, Meter()).plus(passed)
