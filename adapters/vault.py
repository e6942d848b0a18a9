"""The vault: a person's data, encrypted by scope under keys that only their wallet hands out (protocol 4).

Each scope has a random key per epoch, sealed to the wallet and to whoever may read; the seals lie beside the blobs, signed by the
wallet, and never in the ledger. Blobs are XChaCha20-Poly1305 with the vault scope, the epoch and the name as associated data, so that
none can be passed off as another. A folder of a scope looks like this::

    epochs/0        a DSSE envelope by the wallet: {"vault_scope", "epoch", "wraps": {keyid: sealed scope key}}
    names/<digest>  the address of the blob with this name; the digest is keyed, so that it tells nothing of the name
    blobs/<digest>  24 bytes nonce | ciphertext | 16 bytes tag

What it does not do: a host that keeps an older copy of a name's file can serve the older blob of the same epoch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    crypto_box_seal,
    crypto_box_seal_open,
    crypto_scalarmult_base,
    crypto_sign_ed25519_pk_to_curve25519,
)
from nacl.exceptions import CryptoError

from proofroom.adapters.files import write_atomically
from proofroom.adapters.keys import Key
from proofroom.adapters.storage import Meter, Storage
from proofroom.domain import hashing
from proofroom.domain.canonical import decode, encode
from proofroom.domain.envelope import Envelope, Signature, parse_envelope, verify_signatures
from proofroom.domain.errors import Malformed, VaultUnavailable
from proofroom.domain.ids import Digest, KeyId, public_key_of
from proofroom.domain.signing import pae

WRAPS = "application/vnd.proofroom.scope-key.v1+json"
"""Payload type of an epoch's wraps."""

NAME = "proofroom 2026 v1 vault blob name"
"""Context of the keyed digest that stands for a name."""

_NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_KEY = crypto_aead_xchacha20poly1305_ietf_KEYBYTES


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

    # --- keys of scopes

    def start_epoch(self, vault_scope: str, wallet: Key, readers: Iterable[KeyId]) -> int:
        """A new random key for a scope, sealed to the wallet and to the readers; from now on nobody else reads what is put.

        Raises:
            VaultUnavailable: not the owner's key, or the vault cannot be written.
        """
        if wallet.keyid != self.owner:
            raise VaultUnavailable(what=vault_scope, why="only its wallet hands out keys")
        epoch, scope_key = self.epochs(vault_scope), os.urandom(_KEY)
        wraps = {keyid: seal(keyid, scope_key).hex() for keyid in {wallet.keyid, *readers}}
        payload = encode({"vault_scope": vault_scope, "epoch": epoch, "wraps": wraps})
        signature = Signature(wallet.keyid, wallet.sign(pae(WRAPS, payload)))
        self._write(self._epoch_path(vault_scope, epoch), Envelope(WRAPS, payload, (signature,)).to_json())
        return epoch

    def epochs(self, vault_scope: str) -> int:
        """How many epochs a scope has had; the newest has this number less one."""
        epoch = 0
        while self._epoch_path(vault_scope, epoch).exists():
            epoch += 1
        return epoch

    def readers(self, vault_scope: str) -> frozenset[KeyId]:
        """Who holds a wrap of the newest epoch's key.

        Raises:
            VaultUnavailable: the wraps were altered.
        """
        epochs = self.epochs(vault_scope)
        return frozenset(self._wraps(vault_scope, epochs - 1)) if epochs else frozenset()

    # --- blobs

    def put(self, vault_scope: str, name: str, plaintext: bytes, key: Key) -> Digest:
        """Encrypt under the newest epoch's key; the address of the blob.

        Raises:
            VaultUnavailable: the key opens no wrap, or the vault cannot be written.
        """
        epoch = self._newest(vault_scope)
        scope_key, nonce = self._scope_key(vault_scope, epoch, key), os.urandom(_NONCE)
        bound = _bound(vault_scope, epoch, name)
        blob = nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, bound, nonce, scope_key)
        address = self.storage.put(vault_scope, blob)
        self._write(self._name_path(vault_scope, scope_key, name), address.encode())
        self.meter = self.meter.plus(Meter(puts=1, bytes_streamed=len(blob)))
        return address

    def get(self, vault_scope: str, name: str, key: Key) -> bytes:
        """What was last put under a name. A key without a wrap of the newest epoch reads nothing, not even older epochs.

        Raises:
            VaultUnavailable: nothing of that name, no wrap for the key, or something was altered.
        """
        for epoch in range(self._newest(vault_scope), -1, -1):
            scope_key = self._scope_key(vault_scope, epoch, key)
            address = self._address(vault_scope, scope_key, name)
            if address is not None:
                blob = self.storage.get(vault_scope, address)
                self.meter = self.meter.plus(Meter(gets=1, bytes_streamed=len(blob)))
                return _decrypt(blob, _bound(vault_scope, epoch, name), scope_key, f"{vault_scope}, {name}")
        raise VaultUnavailable(what=f"{vault_scope}, {name}", why="there is no such blob")

    def put_result(self, vault_scope: str, sealed: bytes) -> Digest:
        """Keep a result that is sealed to the wallet; its address is the record's ``result_hash``."""
        address = self.storage.put(vault_scope, sealed, hashing.RESULT)
        self.meter = self.meter.plus(Meter(puts=1, bytes_streamed=len(sealed)))
        return address

    def get_result(self, vault_scope: str, result_hash: Digest, wallet: Key) -> bytes:
        """The result behind a record's ``result_hash``, opened by the wallet.

        Raises:
            VaultUnavailable: it is not there, was altered, or is not sealed to this key.
        """
        sealed = self.storage.get(vault_scope, result_hash, hashing.RESULT)
        self.meter = self.meter.plus(Meter(gets=1, bytes_streamed=len(sealed)))
        return unseal(wallet, sealed, result_hash)

    # --- inside

    def _newest(self, vault_scope: str) -> int:
        epochs = self.epochs(vault_scope)
        if not epochs:
            raise VaultUnavailable(what=vault_scope, why="the scope has no key yet")
        return epochs - 1

    def _scope_key(self, vault_scope: str, epoch: int, key: Key) -> bytes:
        wrap = self._wraps(vault_scope, epoch).get(key.keyid)
        if wrap is None:
            raise VaultUnavailable(what=vault_scope, why=f"{key.keyid} was given no key of epoch {epoch}")
        scope_key = unseal(key, wrap, vault_scope)
        if len(scope_key) != _KEY:
            raise VaultUnavailable(what=vault_scope, why="a wrap holds no key")
        return scope_key

    def _wraps(self, vault_scope: str, epoch: int) -> dict[KeyId, bytes]:
        """The wraps of an epoch, when the wallet signed exactly these bytes for this scope and epoch."""
        try:
            data = self._epoch_path(vault_scope, epoch).read_bytes()
            envelope = parse_envelope(data)
            verify_signatures(envelope)
            value: dict[str, Any] = decode(envelope.payload)
            (signer,) = (s.keyid for s in envelope.signatures)
        except OSError as e:
            raise VaultUnavailable(what=vault_scope, why=e.strerror or "its keys cannot be read") from None
        except (Malformed, ValueError):
            raise VaultUnavailable(what=vault_scope, why="its wrapped keys were altered") from None
        about = (envelope.payload_type, envelope.to_json(), signer, value.get("vault_scope"), value.get("epoch"))
        if about != (WRAPS, data, self.owner, vault_scope, epoch):
            raise VaultUnavailable(what=vault_scope, why="its wrapped keys were altered")
        return {keyid: bytes.fromhex(wrap) for keyid, wrap in value["wraps"].items()}

    def _address(self, vault_scope: str, scope_key: bytes, name: str) -> Digest | None:
        try:
            text = self._name_path(vault_scope, scope_key, name).read_text("ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            text = ""
        if len(text) != len("blake3:") + 64 or not text.startswith("blake3:") or not _is_hex(text[7:]):
            raise VaultUnavailable(what=f"{vault_scope}, {name}", why="its address was altered")
        return Digest(text)

    def _epoch_path(self, vault_scope: str, epoch: int) -> Path:
        return self.storage.scope_folder(vault_scope) / "epochs" / str(epoch)

    def _name_path(self, vault_scope: str, scope_key: bytes, name: str) -> Path:
        return self.storage.scope_folder(vault_scope) / "names" / hashing.digest(NAME, scope_key, name.encode()).hex()

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_atomically(path, data)
        except OSError as e:
            raise VaultUnavailable(what=str(path), why=e.strerror or "it cannot be written") from None


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


def _decrypt(blob: bytes, bound: bytes, scope_key: bytes, what: str) -> bytes:
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(blob[_NONCE:], bound, blob[:_NONCE], scope_key)
    except (CryptoError, TypeError, ValueError):
        raise VaultUnavailable(what=what, why="it was altered, or is another blob") from None


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text)
