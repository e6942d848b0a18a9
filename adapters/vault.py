"""The vault: a person's data, encrypted by scope under keys that only their wallet hands out (protocol 4).

Each scope has a random key per epoch, sealed to the wallet and to whoever may read; the seals lie beside the blobs, signed by the wallet,
and never in the ledger. Blobs are encrypted in chunks (:mod:`proofroom.adapters.sealing`), bound to vault scope, epoch and name. A folder
of a scope looks like this::

    epochs/0          a DSSE envelope by the wallet: {"vault_scope", "epoch", "wraps": {keyid: sealed scope key}}; without wraps once erased
    names/0/<digest>  the address of the blob with this name in epoch 0; the digest is keyed, so that it tells nothing of the name
    blobs/<digest>    encrypted

What it does not do by itself: a host that keeps an older copy of all files can serve the older blob of a name, or hide an epoch. Whoever
keeps the address that a put gave, or the scope's :meth:`Vault.manifest`, sees it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nacl.bindings import (
    crypto_box_seal,
    crypto_box_seal_open,
    crypto_scalarmult_base,
    crypto_sign_ed25519_pk_to_curve25519,
)
from nacl.exceptions import CryptoError

from proofroom.adapters import sealing
from proofroom.adapters.ahead import ahead
from proofroom.adapters.blobs import PART
from proofroom.adapters.keys import Key
from proofroom.adapters.storage import Kept, Meter, Storage
from proofroom.domain import hashing
from proofroom.domain.canonical import MAX_PAYLOAD, decode, encode
from proofroom.domain.envelope import Envelope, parse_envelope, verify_signatures
from proofroom.domain.errors import Malformed, PayloadErased, VaultUnavailable
from proofroom.domain.ids import Digest, KeyId, public_key_of
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import Signer, pae

WRAPS = "application/vnd.proofroom.scope-key.v1+json"
"""Payload type of an epoch's wraps."""

NAME = "proofroom 2026 v1 vault blob name"
"""Context of the keyed digest that stands for a name."""

MANIFEST = "proofroom 2026 v1 vault manifest"
"""Context of the digest over all that a scope holds."""


class Vault:
    """The scopes of one wallet.

    Args:
        storage: where the encrypted bytes are; a folder is one too.
        owner: the wallet whose signature the wraps must carry.
    """

    def __init__(self, storage: Storage | Path, owner: KeyId) -> None:
        self.storage = storage if isinstance(storage, Storage) else Storage(storage)
        self.owner = owner
        self.meter = Meter()
        """What this side put and got: the user's own count, apart from the storage's."""
        self._kept: dict[str, Kept] = {}

    # --- keys of scopes

    def start_epoch(self, vault_scope: str, wallet: Signer, readers: Iterable[KeyId]) -> int:
        """A new random key for a scope, sealed to the wallet and to the readers; from now on nobody else reads what is put.

        Raises:
            VaultUnavailable: not the owner's key, more readers than a statement can name (some 130), or the vault cannot be written.
        """
        with self._alone(vault_scope):
            epoch, scope_key = self.epochs(vault_scope), os.urandom(sealing.KEY)
            self._write_wraps(vault_scope, epoch, wallet, dict.fromkeys({wallet.keyid, *readers}, scope_key))
            return epoch

    def admit(self, vault_scope: str, wallet: Key, readers: Iterable[KeyId]) -> None:
        """Give more readers the keys of all epochs that are not erased, so that they read what was put before.

        Raises:
            VaultUnavailable: not the owner's key, more readers than a statement can name (some 130), or the vault cannot be written.
        """
        with self._alone(vault_scope):
            for epoch in range(self.epochs(vault_scope)):
                if held := self._wraps(vault_scope, epoch):
                    scope_key = self._scope_key(vault_scope, epoch, wallet)
                    self._write_wraps(vault_scope, epoch, wallet, dict.fromkeys({*held, *readers}, scope_key))

    def erase_epoch(self, vault_scope: str, epoch: int, wallet: Signer) -> None:
        """Destroy every wrap of an epoch's key, and the blobs that nobody can open any more. Doing it again changes nothing.

        Whoever opened a wrap before may have kept the key; that is outside of what a vault can do.

        Raises:
            VaultUnavailable: there is no such epoch, not the owner's key, or the vault cannot be written.
        """
        self._check_owner(vault_scope, wallet)
        if not 0 <= epoch < self.epochs(vault_scope):
            raise VaultUnavailable(what=vault_scope, why=f"it has no epoch {epoch}")
        names = f"{self.storage.scope_folder(vault_scope)}/names/{epoch}"
        with self._alone(vault_scope):
            # The name stays: without it, whoever has to do this again would find no such epoch.
            self.storage.blobs.blank(self._epoch_path(vault_scope, epoch))
            self._write_wraps(vault_scope, epoch, wallet, {})
            for name in self.storage.sizes(vault_scope, f"names/{epoch}"):
                if (address := _address_in(self._read(vault_scope, f"{names}/{name}"))) is not None:
                    self.storage.remove(vault_scope, address)
                self.storage.blobs.remove(f"{names}/{name}")

    def epochs(self, vault_scope: str) -> int:
        """How many epochs a scope has had; the newest has this number less one."""
        return max(self._epochs_there(vault_scope), default=-1) + 1

    def readers(self, vault_scope: str) -> frozenset[KeyId]:
        """Who holds a wrap of the newest epoch's key.

        Raises:
            VaultUnavailable: the wraps were altered.
        """
        epochs = self.epochs(vault_scope)
        return frozenset(self._wraps(vault_scope, epochs - 1)) if epochs else frozenset()

    # --- blobs

    def put(self, vault_scope: str, name: str, plaintext: bytes | Iterable[bytes], key: Key) -> Digest:
        """Encrypt under the newest epoch's key; the address of the blob. Memory does not grow with what is given in parts.

        Raises:
            VaultUnavailable: the key opens no wrap, or the vault cannot be written. What had the name still has it.
        """
        epoch = self._newest(vault_scope)
        scope_key = self._scope_key(vault_scope, epoch, key)
        parts = [plaintext] if isinstance(plaintext, bytes) else plaintext
        blob = sealing.encrypt(parts, scope_key, _bound(vault_scope, epoch, name))
        address = self._put(vault_scope, ahead(blob), hashing.BLOB)
        self._write(self._name_path(vault_scope, epoch, scope_key, name), address.encode())
        return address

    def get(self, vault_scope: str, name: str, key: Key, *, expected: Digest | None = None) -> bytes:
        """What was last put under a name; ``expected`` is the address that this put gave, where the reader knows it.

        A key without a wrap of the newest epoch reads nothing, not even older epochs.

        Raises:
            VaultUnavailable: nothing of that name, no wrap for the key, something was altered, or another blob than the expected is served.
            PayloadErased: as before, and an epoch of the scope was erased.
        """
        return b"".join(self.get_parts(vault_scope, name, key, expected=expected))

    def get_parts(self, vault_scope: str, name: str, key: Key, *, expected: Digest | None = None) -> Iterator[bytes]:
        """The same in parts: each is genuine and in its place; that it was all is known when this ends without error.

        Raises:
            VaultUnavailable, PayloadErased: as for :meth:`get`.
        """
        erased: list[int] = []
        for epoch in range(self._newest(vault_scope, or_erased=True), -1, -1):
            if not self._wraps(vault_scope, epoch):
                erased.append(epoch)
                continue
            scope_key = self._scope_key(vault_scope, epoch, key)
            path = self._name_path(vault_scope, epoch, scope_key, name)
            if path.rpartition("/")[2] in self.storage.sizes(vault_scope, f"names/{epoch}"):
                return self._opened(vault_scope, epoch, name, self._address(vault_scope, path), scope_key, expected)
        what = f"{vault_scope}, {name}"
        if erased:
            raise PayloadErased(what=what, why=f"there is no such blob; epochs {sorted(erased)} were erased")
        raise VaultUnavailable(what=what, why="there is no such blob")

    def _opened(
        self, vault_scope: str, epoch: int, name: str, address: Digest, scope_key: bytes, expected: Digest | None
    ) -> Iterator[bytes]:
        if expected is not None and address != expected:
            raise VaultUnavailable(what=f"{vault_scope}, {name}", why="another blob is served than the one expected")
        # The name's file says the address and nobody signed it: only an address from elsewhere makes its check worth something.
        sizes, check = (sealing.HEADER, sealing.CHUNK + sealing.OVERHEAD), expected is not None
        passing = self._counted(self.storage.get(vault_scope, address, sizes=sizes, check=check))
        passing = ahead(passing) if check else passing
        try:
            yield from sealing.decrypt(passing, scope_key, _bound(vault_scope, epoch, name))
        except sealing.NotSealed:
            raise VaultUnavailable(what=f"{vault_scope}, {name}", why="it was altered, or is another blob") from None

    def put_result(self, vault_scope: str, sealed: bytes) -> Digest:
        """Keep a result that is sealed to the wallet; its address is the record's ``result_hash``."""
        return self._put(vault_scope, [sealed], hashing.RESULT)

    def get_result(self, vault_scope: str, result_hash: Digest, wallet: Key) -> bytes:
        """The result behind a record's ``result_hash``, opened by the wallet.

        Raises:
            VaultUnavailable: it is not there, was altered, or is not sealed to this key.
        """
        sealed = b"".join(self._counted(self.storage.get(vault_scope, result_hash, hashing.RESULT)))
        return unseal(wallet, sealed, result_hash)

    def manifest(self, vault_scope: str) -> Digest:
        """The digest of all that a scope holds: epochs with their wraps, names, addresses. Kept elsewhere, it shows an older copy."""
        folder, lines = self.storage.scope_folder(vault_scope), []
        for sub in ("epochs", *(f"names/{epoch}" for epoch in sorted(self._epochs_there(vault_scope)))):
            for name in sorted(self.storage.sizes(vault_scope, sub)):
                content = hashing.digest(MANIFEST, self._read(vault_scope, f"{folder}/{sub}/{name}"))
                lines.append(f"{sub}/{name} {content.hex()}\n")
        return hashing.tagged(hashing.digest(MANIFEST, "".join(lines).encode()))

    def byte_ms(self, vault_scope: str) -> int:
        """Bytes of a scope times milliseconds, by this side's own count since it was first asked about the scope."""
        return self._kept_of(vault_scope).byte_ms()

    # --- inside

    def _epochs_there(self, vault_scope: str) -> set[int]:
        """The epochs whose wraps lie there. A host can leave some out, and add one of any number."""
        return {int(name) for name in self.storage.sizes(vault_scope, "epochs") if name.isdecimal()}

    def _put(self, vault_scope: str, parts: Iterable[bytes], context: str) -> Digest:
        kept = self._kept_of(vault_scope)
        address, size = self.storage.put(vault_scope, parts, context)
        kept.add(size)
        self.meter = self.meter.plus(Meter(puts=1, bytes_streamed=size))
        return address

    def _counted(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for part in parts:
            size += len(part)
            yield part
        self.meter = self.meter.plus(Meter(gets=1, bytes_streamed=size))

    def _kept_of(self, vault_scope: str) -> Kept:
        if vault_scope not in self._kept:
            self._kept[vault_scope] = Kept(self.storage.stored(vault_scope), self.storage.clock)
        return self._kept[vault_scope]

    def _newest(self, vault_scope: str, *, or_erased: bool = False) -> int:
        epochs = self.epochs(vault_scope)
        if not epochs:
            raise VaultUnavailable(what=vault_scope, why="the scope has no key yet")
        if not or_erased and not self._wraps(vault_scope, epochs - 1):
            raise PayloadErased(what=vault_scope, why="its newest key was erased; the wallet has to start an epoch")
        return epochs - 1

    def _scope_key(self, vault_scope: str, epoch: int, key: Key) -> bytes:
        wrap = self._wraps(vault_scope, epoch).get(key.keyid)
        if wrap is None:
            raise VaultUnavailable(what=vault_scope, why=f"{key.keyid} was given no key of epoch {epoch}")
        scope_key = unseal(key, wrap, vault_scope)
        if len(scope_key) != sealing.KEY:
            raise VaultUnavailable(what=vault_scope, why="a wrap holds no key")
        return scope_key

    @contextmanager
    def _alone(self, vault_scope: str) -> Iterator[None]:
        """Keys change one after the other: else two new epochs could be one, and an erased key come back by who was admitted just then."""
        try:
            with self.storage.blobs.alone():
                yield
        except OSError as e:
            raise VaultUnavailable(what=vault_scope, why=e.strerror or "it cannot be written") from None

    def _check_owner(self, vault_scope: str, wallet: Signer) -> None:
        if wallet.keyid != self.owner:
            raise VaultUnavailable(what=vault_scope, why="only its wallet hands out keys")

    def _write_wraps(self, vault_scope: str, epoch: int, wallet: Signer, keys: dict[KeyId, bytes]) -> None:
        self._check_owner(vault_scope, wallet)
        wraps = {keyid: seal(keyid, scope_key).hex() for keyid, scope_key in keys.items()}
        payload = encode({"vault_scope": vault_scope, "epoch": epoch, "wraps": wraps})
        if len(payload) > MAX_PAYLOAD:  # nobody could read it, the wallet neither
            raise VaultUnavailable(what=vault_scope, why=f"{len(keys)} readers are more than a statement can name")
        signature = Signature(wallet.keyid, wallet.sign(pae(WRAPS, payload)))
        self._write(self._epoch_path(vault_scope, epoch), Envelope(WRAPS, payload, (signature,)).to_json())

    def _wraps(self, vault_scope: str, epoch: int) -> dict[KeyId, bytes]:
        """The wraps of an epoch, when the wallet signed exactly these bytes for this scope and epoch."""
        data = self._read(vault_scope, self._epoch_path(vault_scope, epoch))
        try:
            envelope = parse_envelope(data)
            verify_signatures(envelope)
            value: dict[str, Any] = decode(envelope.payload)
            (signer,) = (s.keyid for s in envelope.signatures)
        except (Malformed, ValueError):
            raise VaultUnavailable(what=vault_scope, why="its wrapped keys were altered") from None
        about = (envelope.payload_type, envelope.to_json(), signer, value.get("vault_scope"), value.get("epoch"))
        if about != (WRAPS, data, self.owner, vault_scope, epoch):
            raise VaultUnavailable(what=vault_scope, why="its wrapped keys were altered")
        return {keyid: bytes.fromhex(wrap) for keyid, wrap in value["wraps"].items()}

    def _address(self, vault_scope: str, path: str) -> Digest:
        if (address := _address_in(self._read(vault_scope, path))) is None:
            raise VaultUnavailable(what=vault_scope, why="the address of a name was altered")
        return address

    def _epoch_path(self, vault_scope: str, epoch: int) -> str:
        return f"{self.storage.scope_folder(vault_scope)}/epochs/{epoch}"

    def _name_path(self, vault_scope: str, epoch: int, scope_key: bytes, name: str) -> str:
        digest = hashing.digest(NAME, scope_key, name.encode()).hex()
        return f"{self.storage.scope_folder(vault_scope)}/names/{epoch}/{digest}"

    def _read(self, vault_scope: str, path: str) -> bytes:
        data = b""
        try:
            for part in self.storage.blobs.read(path):
                data += part
                if len(data) > PART:  # a host may put anything there; what was blanked has so many
                    raise VaultUnavailable(what=vault_scope, why=f"its keys are longer than {PART} bytes")
        except OSError as e:
            raise VaultUnavailable(what=vault_scope, why=e.strerror or "its keys cannot be read") from None
        return data

    def _write(self, path: str, data: bytes) -> None:
        try:
            self.storage.blobs.write([data], lambda: path)
        except OSError as e:
            raise VaultUnavailable(what=path, why=e.strerror or "it cannot be written") from None


def seal(keyid: KeyId, plaintext: bytes) -> bytes:
    """Encrypt to the holder of an Ed25519 key: a libsodium sealed box to its X25519 form. It does not say who sealed it."""
    try:
        return crypto_box_seal(plaintext, crypto_sign_ed25519_pk_to_curve25519(public_key_of(keyid)))
    except (CryptoError, RuntimeError):
        raise VaultUnavailable(what=keyid, why="nothing can be sealed to this key") from None


def unseal(key: Key, sealed: bytes, what: str = "a sealed box") -> bytes:
    """What was sealed to a key.

    Raises:
        VaultUnavailable: it was sealed to another, or altered.
    """
    secret = key.exchange_key()
    try:
        return crypto_box_seal_open(sealed, crypto_scalarmult_base(secret), secret)
    except (CryptoError, TypeError, ValueError):
        raise VaultUnavailable(what=what, why="it was altered, or is sealed to another key") from None


def _bound(vault_scope: str, epoch: int, name: str) -> bytes:
    """Associated data: what a blob is, so that it can be nothing else."""
    return encode({"vault_scope": vault_scope, "epoch": epoch, "name": name})


def _address_in(data: bytes) -> Digest | None:
    """The address that a name's file holds; none where it was altered, or blanked when its blob had gone."""
    return Digest(data.decode()) if _ADDRESS.fullmatch(data) else None


_ADDRESS = re.compile(rb"blake3:[0-9a-f]{64}")
