"""The vault: what the wallet put is what a reader gets; any other key, scope, name or byte gives one typed error."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.blobs import FolderBlobs
from proofroom.adapters.files import LOCK
from proofroom.adapters.keys import Key
from proofroom.adapters.storage import Meter, Storage
from proofroom.adapters.vault import Vault, seal, unseal
from proofroom.domain import hashing
from proofroom.domain.errors import VaultUnavailable
from proofroom.domain.ids import Digest, KeyId

WALLET, AGENT, STRANGER = (Key(bytes([n]) * 32) for n in (1, 2, 3))
CALENDAR, HEALTH = "v-7 / calendar", "v-7 / health"
SECRET = b"Dentist, Kantstrasse 12"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with one scope that the agent reads and one that it does not."""
    return filled(tmp_path / "vault")


def folder_of(vault: Vault, scope: str = "") -> Path:
    """Where a scope's files lie; without a scope, all of them."""
    assert isinstance(vault.storage.blobs, FolderBlobs)
    return vault.storage.blobs.folder / (vault.storage.scope_folder(scope) if scope else "")


def filled(folder: Path) -> Vault:
    vault = Vault(folder, WALLET.keyid)
    vault.start_epoch(CALENDAR, WALLET, [AGENT.keyid])
    vault.start_epoch(HEALTH, WALLET, [])
    vault.put(CALENDAR, "calendar.ics", SECRET, WALLET)
    vault.put(HEALTH, "calendar.ics", b"blood", WALLET)
    return vault


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from([CALENDAR, HEALTH]), st.text(max_size=8), st.binary(max_size=200)), max_size=5)
)
def test_what_was_put_last_is_got(puts: list[tuple[str, str, bytes]]) -> None:
    """Each name of each scope gives what was last put there, by whichever reader, and the storage counts every byte."""
    with TemporaryDirectory() as folder:
        vault = Vault(Path(folder), WALLET.keyid)
        for scope in (CALENDAR, HEALTH):
            vault.start_epoch(scope, WALLET, [AGENT.keyid])
        for number, (scope, name, data) in enumerate(puts):
            vault.put(scope, name, data, (WALLET, AGENT)[number % 2])
        for scope, name in {(scope, name) for scope, name, _ in puts}:
            last = [data for s, n, data in puts if (s, n) == (scope, name)][-1]
            assert vault.get(scope, name, AGENT) == vault.get(scope, name, WALLET) == last
        meters = vault.storage.meters().values()
        assert Meter(*map(sum, zip(Meter(), *meters, strict=True))) == vault.meter
        assert vault.meter.puts == len(puts)


def test_a_new_object_reads_what_an_old_one_wrote(vault: Vault) -> None:
    """All that a reader needs lies in the folder."""
    assert Vault(folder_of(vault), WALLET.keyid).get(CALENDAR, "calendar.ics", AGENT) == SECRET


def test_other_scope_stays_unreadable(vault: Vault) -> None:
    """An agent that was given calendar reads nothing of health, even when it copies the files of one over the other."""
    with pytest.raises(VaultUnavailable, match="given no key"):
        vault.get(HEALTH, "calendar.ics", AGENT)
    calendar, health = (folder_of(vault, scope) for scope in (CALENDAR, HEALTH))
    shutil.copytree(health / "blobs", calendar / "blobs", dirs_exist_ok=True)
    assert vault.get(CALENDAR, "calendar.ics", AGENT) == SECRET
    shutil.copytree(calendar / "epochs", health / "epochs", dirs_exist_ok=True)
    with pytest.raises(VaultUnavailable, match="altered"):
        vault.get(HEALTH, "calendar.ics", AGENT)


def test_blob_cannot_stand_for_another_name(vault: Vault) -> None:
    """The name is bound into the blob: an address that is copied to another name does not open."""
    vault.put(CALENDAR, "other.ics", b"nothing", WALLET)
    names = sorted((folder_of(vault, CALENDAR) / "names" / "0").iterdir())
    first, second = (path.read_bytes() for path in names)
    names[0].write_bytes(second)
    names[1].write_bytes(first)
    for name in ("calendar.ics", "other.ics"):
        with pytest.raises(VaultUnavailable, match="another blob"):
            vault.get(CALENDAR, name, AGENT)


@pytest.mark.parametrize("key", [STRANGER, Key(bytes(32))], ids=["stranger", "zero"])
def test_wrong_key_reads_nothing(vault: Vault, key: Key) -> None:
    """A key that no wrap was made for is refused by name."""
    with pytest.raises(VaultUnavailable, match=key.keyid):
        vault.get(CALENDAR, "calendar.ics", key)
    with pytest.raises(VaultUnavailable, match=key.keyid):
        vault.put(CALENDAR, "calendar.ics", b"mine", key)


def test_new_epoch_shuts_a_reader_out(vault: Vault) -> None:
    """After a new epoch without it a reader gets neither the new nor the old; the wallet gets both."""
    vault.start_epoch(CALENDAR, WALLET, [])
    for name in ("calendar.ics", "new.ics"):
        with pytest.raises(VaultUnavailable, match="no key of epoch 1"):
            vault.get(CALENDAR, name, AGENT)
    vault.put(CALENDAR, "new.ics", b"later", WALLET)
    assert (vault.get(CALENDAR, "calendar.ics", WALLET), vault.get(CALENDAR, "new.ics", WALLET)) == (SECRET, b"later")


def test_only_the_wallet_hands_out_keys(vault: Vault) -> None:
    """Neither asking for an epoch nor writing its file makes a stranger the owner."""
    with pytest.raises(VaultUnavailable, match="only its wallet"):
        vault.start_epoch(CALENDAR, STRANGER, [STRANGER.keyid])
    Vault(folder_of(vault), STRANGER.keyid).start_epoch(CALENDAR, STRANGER, [WALLET.keyid, AGENT.keyid])
    with pytest.raises(VaultUnavailable, match="altered"):
        vault.put(CALENDAR, "calendar.ics", b"for the stranger's eyes", WALLET)


def test_keys_change_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs that begin at once are several; and whoever is admitted while an epoch is erased brings no key back."""

    def start(number: int) -> int:
        return Vault(tmp_path, WALLET.keyid).start_epoch(CALENDAR, WALLET, [])

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(start, range(8))) == list(range(8))
        vault, write, erasing = Vault(tmp_path, WALLET.keyid), Vault._write_wraps, list[Future[None]]()

        def erased_just_then(self: Vault, scope: str, epoch: int, wallet: Key, keys: dict[KeyId, bytes]) -> None:
            if self is vault and not erasing:
                erasing.append(pool.submit(Vault(tmp_path, WALLET.keyid).erase_epoch, CALENDAR, epoch, WALLET))
                wait(erasing, timeout=0.2)
            write(self, scope, epoch, wallet, keys)

        monkeypatch.setattr(Vault, "_write_wraps", erased_just_then)
        vault.admit(CALENDAR, WALLET, [AGENT.keyid])
        erasing[0].result()
    assert [bool(vault._wraps(CALENDAR, epoch)) for epoch in range(8)] == [False] + 7 * [True]


def test_as_many_readers_as_can_be_named(vault: Vault) -> None:
    """One more than can be read again is refused, and who had the keys still has them."""
    many = [Key(i.to_bytes(32, "big")).keyid for i in range(1, 201)]
    vault.admit(CALENDAR, WALLET, many[:125])
    held = vault.readers(CALENDAR)
    for start in (partial(vault.admit, CALENDAR, WALLET), partial(vault.start_epoch, CALENDAR, WALLET)):
        with pytest.raises(VaultUnavailable, match="readers are more than"):
            start(many)
        assert vault.readers(CALENDAR) == held
    assert vault.get(CALENDAR, "calendar.ics", WALLET) == vault.get(CALENDAR, "calendar.ics", AGENT)


def test_an_epoch_of_a_far_number(vault: Vault) -> None:
    """A host that adds one is contradicted, and holds nobody up."""
    before = vault.manifest(CALENDAR)
    (folder_of(vault, CALENDAR) / "epochs" / ("9" * 200)).write_bytes(b"x")
    assert vault.manifest(CALENDAR) != before
    for ask in (
        lambda: vault.get(CALENDAR, "calendar.ics", AGENT),
        lambda: vault.put(CALENDAR, "calendar.ics", b"", WALLET),
        lambda: vault.admit(CALENDAR, WALLET, [STRANGER.keyid]),
        lambda: vault.readers(CALENDAR),
    ):
        with pytest.raises(VaultUnavailable):
            ask()


def test_what_is_not_there(vault: Vault) -> None:
    """No blob, no scope, no file: each says so."""
    with pytest.raises(VaultUnavailable, match="no such blob"):
        vault.get(CALENDAR, "nothing.ics", AGENT)
    with pytest.raises(VaultUnavailable, match="no key yet"):
        vault.get("v-7 / mail", "calendar.ics", AGENT)
    for blob in (folder_of(vault, CALENDAR) / "blobs").iterdir():
        blob.unlink()
    with pytest.raises(VaultUnavailable, match="No such file"):
        vault.get(CALENDAR, "calendar.ics", AGENT)


@cache
def _template() -> tuple[TemporaryDirectory[str], tuple[str, ...]]:
    folder = TemporaryDirectory()
    filled(Path(folder.name) / "vault")
    files = sorted(p.relative_to(folder.name) for p in Path(folder.name).rglob("*") if p.is_file() and p.name != LOCK)
    return folder, tuple(map(str, files))


@settings(max_examples=300)
@given(st.data())
def test_any_changed_byte_is_seen(data: st.DataObject) -> None:
    """One byte of blob, wrap or name changed, cut off or added: the read fails typed, or the file is not of this scope."""
    template, files = _template()
    name = data.draw(st.sampled_from(files))
    before = (Path(template.name) / name).read_bytes()
    at, byte = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(1, 255))
    flipped = before[:at] + bytes([before[at] ^ byte]) + before[at + 1 :]
    after = data.draw(st.sampled_from([flipped, before[:at], before + bytes([byte])]))
    with TemporaryDirectory() as folder:
        shutil.copytree(template.name, folder, dirs_exist_ok=True)
        vault = Vault(Path(folder) / "vault", WALLET.keyid)
        (Path(folder) / name).write_bytes(after)
        scope = CALENDAR if folder_of(vault, CALENDAR).name in name else HEALTH
        with pytest.raises(VaultUnavailable):
            vault.get(scope, "calendar.ics", WALLET)


@pytest.mark.parametrize("change", [lambda d: d + b"\n", lambda d: b" " + d, lambda d: d.replace(b":", b": ", 1)])
def test_wraps_have_one_form(vault: Vault, change: Callable[[bytes], bytes]) -> None:
    """Even what a JSON reader would overlook is seen."""
    path = folder_of(vault, CALENDAR) / "epochs" / "0"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(VaultUnavailable, match="altered"):
        vault.get(CALENDAR, "calendar.ics", AGENT)


def test_nothing_readable_lies_in_the_folder(vault: Vault) -> None:
    """Neither content nor blob name stands in any file or file name, and only the owner may read the files."""
    for path in everything(folder_of(vault)):
        assert b"calendar.ics" not in path.name.encode()
        if path.is_file():
            assert SECRET not in path.read_bytes()
            assert b"calendar.ics" not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0


def everything(folder: Path) -> Iterator[Path]:
    return folder.rglob("*")


def test_result_is_for_the_wallet_alone(vault: Vault) -> None:
    """A sealed result lies at its result hash, and opens with the wallet's key only."""
    sealed = seal(WALLET.keyid, b"busy on Monday")
    address = vault.put_result(CALENDAR, sealed)
    assert address == hashing.tagged(hashing.digest(hashing.RESULT, sealed))
    assert vault.get_result(CALENDAR, address, WALLET) == b"busy on Monday"
    with pytest.raises(VaultUnavailable, match="sealed to another key"):
        vault.get_result(CALENDAR, address, AGENT)


@given(st.binary(max_size=100), st.data())
def test_seal_opens_for_one_key_and_unaltered(plaintext: bytes, data: st.DataObject) -> None:
    """What is sealed opens for its key; no other key and no other byte will do."""
    sealed = seal(AGENT.keyid, plaintext)
    assert unseal(AGENT, sealed) == plaintext
    at = data.draw(st.integers(0, len(sealed) - 1))
    for key, box in (
        (WALLET, sealed),
        (AGENT, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]),
        (AGENT, sealed[:at]),
    ):
        with pytest.raises(VaultUnavailable):
            unseal(key, box)


def test_nothing_is_sealed_to_a_key_that_is_none() -> None:
    """A point of small order would let everyone read."""
    with pytest.raises(VaultUnavailable, match="nothing can be sealed"):
        seal(KeyId("ed25519:01" + "00" * 31), b"secret")


def test_storage_meters_what_passes(tmp_path: Path) -> None:
    """By scope: operations and bytes; what failed is not counted."""
    storage = Storage(tmp_path)
    address, _ = storage.put(CALENDAR, [b"12345"])
    assert b"".join(storage.get(CALENDAR, address)) == b"12345"
    with pytest.raises(VaultUnavailable):
        storage.get(HEALTH, address)
    assert storage.meters() == {CALENDAR: Meter(1, 1, 10)}
    assert (storage.last_put(CALENDAR), storage.last_put(HEALTH)) == (address, None)
    assert storage.meters()[CALENDAR].minus(Meter(1, 0, 5)) == Meter(0, 1, 5)
    with pytest.raises(VaultUnavailable):
        storage.get(CALENDAR, Digest("blake3:" + "00" * 32))


def test_write_that_fails_is_typed_and_leaves_the_old(vault: Vault) -> None:
    """A folder that is in the way: the error is ours, and what was there is still there."""
    names = folder_of(vault, CALENDAR) / "names" / "0"
    (name,) = names.iterdir()
    content = name.read_bytes()
    name.unlink()
    (name / "in the way").mkdir(parents=True)
    with pytest.raises(VaultUnavailable):
        vault.put(CALENDAR, "calendar.ics", b"new", WALLET)
    assert [path.name for path in names.iterdir()] == [name.name]
    shutil.rmtree(name)
    name.write_bytes(content)
    assert vault.get(CALENDAR, "calendar.ics", AGENT) == SECRET


def test_what_a_host_links_to_is_not_overwritten(vault: Vault, tmp_path: Path) -> None:
    """Erasing overwrites what lies in the vault, and not what a link there leads to: that may be the wallet's own key file."""
    victim = tmp_path / "victim"
    victim.write_bytes(SECRET)
    blob, epoch = (next((folder_of(vault, CALENDAR) / name).rglob("*")) for name in ("blobs", "epochs"))
    for path in (blob, epoch):
        path.rename(path.with_name("aside"))
        path.symlink_to(victim)
    vault.storage.remove(CALENDAR, Digest(f"blake3:{blob.name}"))
    assert not blob.is_symlink()
    vault.erase_epoch(CALENDAR, 0, WALLET)
    assert not epoch.is_symlink()
    assert victim.read_bytes() == SECRET
