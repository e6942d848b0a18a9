"""Blobs in chunks: what goes in comes out, and any other bytes fail; on every kind of store alike."""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters import sealing
from proofroom.adapters.blobs import Blobs, FolderBlobs, FsspecBlobs
from proofroom.adapters.keys import Key
from proofroom.adapters.sealing import CHUNK, OVERHEAD, NotSealed, cut, decrypt, encrypt
from proofroom.adapters.storage import Kept, Storage
from proofroom.adapters.vault import Vault
from proofroom.domain.errors import BadInput, PayloadErased, VaultUnavailable

WALLET, AGENT, OTHER = (Key(bytes([n]) * 32) for n in (1, 2, 3))
SCOPE, HEALTH = "v-7 / calendar", "v-7 / health"
KEY, BOUND = bytes(range(32)), b"v-7 / calendar, epoch 0, name"
LENGTHS = st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])


@given(st.lists(st.binary(max_size=20), max_size=8), st.integers(1, 9), st.integers(0, 5))
def test_cut_loses_nothing(parts: list[bytes], size: int, first: int) -> None:
    """The same bytes in the same order; all pieces but the last have their size."""
    pieces = list(cut(parts, size, first))
    assert b"".join(pieces) == b"".join(parts)
    assert all(len(piece) == (first if first and not i else size) for i, piece in enumerate(pieces[:-1]))
    assert all(pieces)


@cache
def sealed(chunks: int, rest: int = 7, key: bytes = KEY, bound: bytes = BOUND) -> bytes:
    """A blob of whole chunks and some bytes more."""
    return b"".join(encrypt([bytes([n]) * CHUNK for n in range(chunks)] + [b"x" * rest], key, bound))


def opened(blob: bytes, key: bytes = KEY, bound: bytes = BOUND) -> bytes:
    return b"".join(decrypt([blob], key, bound))


@settings(max_examples=15, deadline=None)
@given(LENGTHS, st.integers(5_000, 2 * CHUNK))
def test_what_is_sealed_opens(length: int, part: int) -> None:
    """Whatever its length, and however its parts are cut on either side."""
    plaintext = bytes(length)
    blob = b"".join(encrypt([plaintext[i : i + part] for i in range(0, length, part)], KEY, BOUND))
    assert len(blob) == 24 + length + OVERHEAD * max(1, -(-length // CHUNK))
    assert b"".join(decrypt((blob[i : i + part] for i in range(0, len(blob), part)), KEY, BOUND)) == plaintext


def chunks_of(blob: bytes) -> list[bytes]:
    return list(cut([blob], CHUNK + OVERHEAD, first=24))


@cache
def _other() -> bytes:
    return b"".join(encrypt([bytes([n]) * CHUNK for n in range(3)] + [b"x" * 7], KEY, BOUND))


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "two chunks in the other order": lambda c: [c[0], c[2], c[1], *c[3:]],
    "a chunk left out": lambda c: [*c[:2], *c[3:]],
    "a chunk twice": lambda c: [*c[:2], c[1], *c[2:]],
    "the last chunk cut off": lambda c: c[:-1],
    "all but the header cut off": lambda c: c[:1],
    "nothing left": lambda c: [],
    "a byte cut off": lambda c: [*c[:-1], c[-1][:-1]],
    "a byte added": lambda c: [*c, b"\0"],
    "a chunk added": lambda c: [*c, c[1]],
    "the blob twice": lambda c: [*c, *c],
    "a chunk of another blob of the same key and name": lambda c: [c[0], chunks_of(_other())[1], *c[2:]],
    "the header of another blob": lambda c: [chunks_of(_other())[0], *c[1:]],
    "the end of another blob": lambda c: [*c[:-1], chunks_of(_other())[-1]],
    "the last chunk first": lambda c: [c[0], c[-1], *c[1:]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_chunks_stand_where_they_stood(change: str) -> None:
    """Reordering, truncation, repetition, splicing and appending fail."""
    with pytest.raises(NotSealed):
        opened(b"".join(CHANGES[change](chunks_of(sealed(3)))))


@pytest.mark.parametrize("tag", [1, 2, 3])
def test_only_the_end_may_say_that_it_is_the_end(tag: int) -> None:
    """Even of whoever holds the key: libsodium's other tags, and an end before the end, make no blob."""
    from nacl.bindings import crypto_secretstream_xchacha20poly1305_init_push as init_push
    from nacl.bindings import crypto_secretstream_xchacha20poly1305_push as push
    from nacl.bindings import crypto_secretstream_xchacha20poly1305_state as new_state

    state = new_state()
    blob = init_push(state, KEY) + push(state, bytes(CHUNK), BOUND, tag) + push(state, b"end", BOUND, 3)
    with pytest.raises(NotSealed):
        opened(blob)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_changed_bit_fails(data: st.DataObject) -> None:
    """Wherever it is; and what was yielded before is the plaintext's beginning."""
    blob = sealed(1)
    at, bit = data.draw(st.integers(0, len(blob) - 1)), data.draw(st.integers(0, 7))
    changed = blob[:at] + bytes([blob[at] ^ (1 << bit)]) + blob[at + 1 :]
    got: list[bytes] = []
    with pytest.raises(NotSealed):
        got.extend(decrypt([changed], KEY, BOUND))
    assert (bytes(CHUNK) + b"x" * 7).startswith(b"".join(got))


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=20))
def test_only_its_key_and_what_it_is_bound_to(key: bytes, bound: bytes) -> None:
    """Another key, another scope, epoch or name: nothing."""
    for k, b in ((key, BOUND), (KEY, bound)):
        if (k, b) != (KEY, BOUND):
            with pytest.raises(NotSealed):
                opened(sealed(0), k, b)


# --- stores


@pytest.fixture(params=["folder", "fsspec-memory", "fsspec-local"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Each kind of store, empty."""
    if request.param == "folder":
        return FolderBlobs(tmp_path / "vault")
    if request.param == "fsspec-local":
        return FsspecBlobs(f"file://{tmp_path}/vault")
    return FsspecBlobs(f"memory://{tmp_path.name}")


def test_a_store_keeps_its_contract(blobs: Blobs) -> None:
    """Whole or not at all, replaced as a whole, listed by folder, gone when removed; a missing blob is a missing file."""
    blobs.write([b"a", b"", b"b" * 3_000_000], lambda: "s/blobs/1")
    blobs.write([], lambda: "s/blobs/2")
    assert b"".join(blobs.read("s/blobs/1")) == b"a" + b"b" * 3_000_000
    assert blobs.sizes("s/blobs") == {"1": 3_000_001, "2": 0}
    assert blobs.sizes("s") == blobs.sizes("nothing") == {}
    blobs.write([b"new"], lambda: "s/blobs/1")
    assert b"".join(blobs.read("s/blobs/1")) == b"new"

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        blobs.write(broken(), lambda: "s/blobs/1")
    assert b"".join(blobs.read("s/blobs/1")) == b"new"
    blobs.remove("s/blobs/1")
    blobs.remove("s/blobs/1")
    assert blobs.sizes("s/blobs") == {"2": 0}
    with pytest.raises(FileNotFoundError):
        blobs.read("s/blobs/1")


def test_a_vault_on_every_store(blobs: Blobs) -> None:
    """Put, get, epochs, admission and erasure are the same everywhere."""
    vault = Vault(Storage(blobs), WALLET.keyid)
    vault.start_epoch(SCOPE, WALLET, [AGENT.keyid])
    big = bytes(range(256)) * 4096
    vault.put(SCOPE, "big", (big[i : i + 100_000] for i in range(0, len(big), 100_000)), WALLET)
    assert vault.get(SCOPE, "big", AGENT) == b"".join(vault.get_parts(SCOPE, "big", WALLET)) == big
    with pytest.raises(VaultUnavailable, match="given no key"):
        vault.get(SCOPE, "big", OTHER)
    vault.admit(SCOPE, WALLET, [OTHER.keyid])
    assert Vault(Storage(blobs), WALLET.keyid).get(SCOPE, "big", OTHER) == big
    vault.start_epoch(SCOPE, WALLET, [OTHER.keyid])
    vault.put(SCOPE, "new", b"new", WALLET)
    vault.erase_epoch(SCOPE, 0, WALLET)
    vault.erase_epoch(SCOPE, 0, WALLET)
    assert vault.get(SCOPE, "new", OTHER) == b"new"
    for key in (WALLET, OTHER):
        with pytest.raises(PayloadErased, match=r"epochs \[0\] were erased"):
            vault.get(SCOPE, "big", key)
    assert vault.storage.stored(SCOPE) == len(b"new") + 24 + OVERHEAD
    vault.erase_epoch(SCOPE, 1, WALLET)
    with pytest.raises(PayloadErased, match="start an epoch"):
        vault.put(SCOPE, "new", b"new", WALLET)
    assert vault.start_epoch(SCOPE, WALLET, []) == 2
    vault.put(SCOPE, "again", b"again", WALLET)
    assert vault.get(SCOPE, "again", WALLET) == b"again"


# --- what a host could serve instead


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with one scope."""
    vault = Vault(tmp_path / "vault", WALLET.keyid)
    vault.start_epoch(SCOPE, WALLET, [AGENT.keyid])
    return vault


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_older_blob_is_seen_by_whoever_kept_address_or_manifest(vault: Vault, tmp_path: Path) -> None:
    """A host that puts all files back as they were serves the old blob; the address of the put, or the manifest, tells."""
    first = vault.put(SCOPE, "a", b"old", WALLET)
    older, manifest = files_of(tmp_path), vault.manifest(SCOPE)
    second = vault.put(SCOPE, "a", b"new", WALLET)
    newer = vault.manifest(SCOPE)
    assert (vault.get(SCOPE, "a", AGENT, expected=second), newer == manifest) == (b"new", False)
    for path, content in older.items():
        path.write_bytes(content)
    assert vault.get(SCOPE, "a", AGENT) == b"old"  # by itself nothing tells
    assert vault.manifest(SCOPE) == manifest != newer
    with pytest.raises(VaultUnavailable, match="another blob is served"):
        vault.get(SCOPE, "a", AGENT, expected=second)
    assert vault.get(SCOPE, "a", AGENT, expected=first) == b"old"


def test_a_hidden_epoch_changes_the_manifest(vault: Vault, tmp_path: Path) -> None:
    """Taking the newest epoch away would have the wallet write under a key that a revoked agent holds."""
    vault.put(SCOPE, "a", b"1", WALLET)
    before = vault.manifest(SCOPE)
    vault.start_epoch(SCOPE, WALLET, [])
    assert vault.manifest(SCOPE) != before


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_cut_or_changed_file_of_a_large_blob(data: st.DataObject) -> None:
    """Through the vault: a typed error, never other bytes, whatever happens to the stored file."""
    with TemporaryDirectory() as folder:
        vault = Vault(Path(folder), WALLET.keyid)
        vault.start_epoch(SCOPE, WALLET, [])
        vault.put(SCOPE, "a", bytes(2 * CHUNK), WALLET)
        (path,) = (Path(folder) / vault.storage.scope_folder(SCOPE) / "blobs").iterdir()
        blob = path.read_bytes()
        at = data.draw(st.integers(0, len(blob) - 1))
        path.write_bytes(data.draw(st.sampled_from([blob[:at], blob + b"\0", blob[:at] + b"\xff" + blob[at:]])))
        with pytest.raises(VaultUnavailable):
            vault.get(SCOPE, "a", WALLET)


def test_memory_does_not_grow_with_the_blob(vault: Vault) -> None:
    """40 MiB pass through a few chunks' worth of memory, in both directions."""
    size = 40 * 2**20
    tracemalloc.start()
    try:
        vault.put(SCOPE, "a", (bytes(2**20) for _ in range(size // 2**20)), WALLET)
        assert sum(map(len, vault.get_parts(SCOPE, "a", WALLET))) == size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


def test_byte_seconds_are_the_integral_of_what_lies_there(tmp_path: Path) -> None:
    """Counted by both sides apart, from the first question on; what was there before counts, and so does what goes."""
    now = 0
    storage = Storage(tmp_path, clock=lambda: now)
    address, size = storage.put(SCOPE, [bytes(1000)])
    vault = Vault(Storage(tmp_path, clock=lambda: now), WALLET.keyid)
    assert vault.byte_ms(SCOPE) == 0
    now = 5_000
    assert storage.byte_ms(SCOPE) == vault.byte_ms(SCOPE) == 1000 * 5_000
    storage.put(SCOPE, [bytes(500)])
    now = 7_000
    assert storage.byte_ms(SCOPE) == 1000 * 5_000 + 1500 * 2_000
    assert vault.byte_ms(SCOPE) == 1000 * 7_000
    storage.remove(SCOPE, address)
    storage.remove(SCOPE, address)
    now = 6_000  # a clock that steps back takes nothing away
    assert storage.byte_ms(SCOPE) == 1000 * 5_000 + 1500 * 2_000
    now = 8_000
    assert storage.byte_ms(SCOPE) == 1000 * 5_000 + 1500 * 2_000 + 500 * 1_000
    assert size == 1000


@given(st.lists(st.tuples(st.integers(-50, 100), st.integers(0, 1000)), max_size=10))
def test_kept_sums_exactly(steps: list[tuple[int, int]]) -> None:
    """The sum over all steps of what lay there times how long."""
    now, lies, total = 0, 100, 0
    kept = Kept(100, lambda: now)
    for size, passed in steps:
        total += lies * passed
        now += passed
        kept.add(size)
        lies += size
    assert kept.byte_ms() == total


def test_chunks_are_what_the_format_says() -> None:
    """The size is part of the format: another one would not open what is stored."""
    assert (sealing.CHUNK, sealing.KEY, OVERHEAD) == (262_144, 32, 17)


class OfALibrary(Exception):
    """What a library for a store raises: no OSError."""


def _fail(*_: object, **__: object) -> None:
    raise OfALibrary("the token ran out")


class Failing(MemoryFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """An object store of which one call fails."""

    protocol, cachable, fails = "failing", False, ""

    def __getattribute__(self, name: str) -> Any:
        return _fail if name == Failing.fails else super().__getattribute__(name)


@pytest.mark.parametrize("call", ["makedirs", "open", "mv", "ls"])
def test_errors_of_a_stores_library_are_typed(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each library has its own; what had the name still has it."""
    fsspec.register_implementation("failing", Failing, clobber=True)
    vault = Vault(Storage(FsspecBlobs(f"failing://{tmp_path.name}")), WALLET.keyid)
    vault.start_epoch(SCOPE, WALLET, [])
    vault.put(SCOPE, "name", b"old", WALLET)
    with monkeypatch.context() as failing:
        failing.setattr(Failing, "fails", call)
        with pytest.raises(VaultUnavailable, match="OfALibrary: the token ran out"):
            vault.put(SCOPE, "name", b"new", WALLET)
    assert vault.get(SCOPE, "name", WALLET) == b"old"


@pytest.mark.parametrize("url", ["nosuch://bucket/vault", "s3://bucket/vault"])
def test_a_store_that_cannot_be_reached(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no such protocol, or its library is not installed."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(BadInput, match=r"known|s3fs"):
        FsspecBlobs(url)


def test_keys_without_end_are_not_read_to_it(tmp_path: Path) -> None:
    """Whoever keeps the files may make them as long as they like; and a pipe of them is not waited for."""
    vault = Vault(tmp_path, WALLET.keyid)
    vault.start_epoch(SCOPE, WALLET, [])
    address = vault.put(SCOPE, "name", b"x", WALLET)
    folder = tmp_path / vault.storage.scope_folder(SCOPE)
    blob = folder / "blobs" / address.rpartition(":")[2]
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(VaultUnavailable, match="it is no file"):
        vault.get(SCOPE, "name", WALLET)
    os.truncate(folder / "epochs" / "0", 2**40)
    with pytest.raises(VaultUnavailable, match="its keys are longer"):
        vault.get(SCOPE, "name", WALLET)
