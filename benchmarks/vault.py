"""64 MiB into a vault on the disk and out again (A), against libsodium alone, encrypting and decrypting the same blocks in memory (B)."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt, crypto_aead_xchacha20poly1305_ietf_encrypt

from benchmarks.compare import compare, measure
from proofroom.adapters.keys import Key
from proofroom.adapters.sealing import CHUNK
from proofroom.adapters.vault import Vault

SIZE = 64 * 2**20
SCOPE = "v-7 / calendar"


def blocks() -> list[bytes]:
    """What both sides encrypt."""
    block = os.urandom(CHUNK)
    return [block] * (SIZE // CHUNK)


def through_the_vault(folder: Path) -> None:
    """Side A: encrypt, hash, write durably; read, hash, decrypt."""
    wallet, plaintext = Key.generate(), blocks()
    vault = Vault(folder, wallet.keyid)
    vault.start_epoch(SCOPE, wallet, [])

    def work() -> None:
        vault.put(SCOPE, "a", plaintext, wallet)
        assert sum(map(len, vault.get_parts(SCOPE, "a", wallet))) == SIZE

    measure(work)


def through_libsodium() -> None:
    """Side B: the cipher and nothing else."""
    key, nonce, plaintext = os.urandom(32), os.urandom(24), blocks()

    def work() -> None:
        for block in plaintext:
            sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(block, b"", nonce, key)
            crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, b"", nonce, key)

    measure(work)


def main(runs: int = 5) -> None:
    """Print the figure."""
    with tempfile.TemporaryDirectory() as name:
        figure = compare(
            "64 MiB into a vault and out, against libsodium alone (per MiB)",
            __spec__.name,
            ("vault", name),
            ("libsodium",),
            goal=0.6,
            per=SIZE // 2**20,
            runs=runs,
        )
        print(figure)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["vault", folder]:
            through_the_vault(Path(tempfile.mkdtemp(dir=folder)))
        case ["libsodium"]:
            through_libsodium()
        case rest:
            main(*map(int, rest))
