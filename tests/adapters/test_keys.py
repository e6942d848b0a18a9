"""Keys in memory and in files."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_scalarmult_base, crypto_sign_ed25519_pk_to_curve25519

from proofroom.adapters.keys import Key, load_key, load_or_create_key, save_key
from proofroom.domain.errors import BadInput, LedgerExists
from proofroom.domain.ids import public_key_of
from proofroom.domain.signing import verify_signature

SEED = bytes(range(32))


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=100))
def test_a_key_signs_what_its_id_verifies(seed: bytes, message: bytes) -> None:
    """The same seed gives the same key, which signs as Ed25519 does."""
    key = Key(seed)
    assert key.keyid == Key(seed).keyid
    verify_signature(key.keyid, message, key.sign(message))


def test_generated_keys_differ() -> None:
    """They come from the system's randomness."""
    assert len({Key.generate().keyid for _ in range(10)}) == 10


def test_the_exchange_key_belongs_to_the_pair() -> None:
    """What is sealed to the public key, converted, opens with it."""
    key = Key(SEED)
    public = crypto_sign_ed25519_pk_to_curve25519(public_key_of(key.keyid))
    assert crypto_scalarmult_base(key.exchange_key()) == public


def test_a_secret_is_not_shown_copied_or_pickled() -> None:
    """Not by repr, and not by what would carry it elsewhere."""
    key = Key(SEED)
    assert SEED.hex() not in repr(key) + str(key)
    assert repr(key) == f"Key({key.keyid})"
    for carry in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            carry(key)


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Mode 0600 from its first moment, whatever the umask; loaded it is the same key."""
    before = os.umask(0)
    try:
        key = save_key(tmp_path / "keys" / "a.json", SEED)
    finally:
        os.umask(before)
    path = tmp_path / "keys" / "a.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path).keyid == key.keyid == Key(SEED).keyid


def test_a_key_file_is_never_written_over(tmp_path: Path) -> None:
    """A second key for the same name is refused, and the first stays."""
    path = tmp_path / "a.json"
    save_key(path, SEED)
    with pytest.raises(LedgerExists):
        save_key(path, bytes(32))
    assert load_key(path).keyid == Key(SEED).keyid


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """The first time it is made, then it is loaded."""
    first = load_or_create_key(tmp_path / "a.json")
    assert load_or_create_key(tmp_path / "a.json").keyid == first.keyid


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        "5",
        '"text"',
        "{}",
        '{"seed": 5}',
        '{"seed": "zz"}',
        json.dumps({"seed": SEED.hex()[:-2]}),
        json.dumps({"seed": SEED.hex()}),
        json.dumps({"seed": SEED.hex(), "keyid": Key(bytes(32)).keyid}),
    ],
)
def test_a_file_that_holds_no_key_is_named_and_not_shown(tmp_path: Path, content: str) -> None:
    """The error says which file, and nothing that stands in it."""
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(BadInput) as refused:
        load_key(path)
    assert str(path) in str(refused.value)
    assert SEED.hex()[:-2] not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, or no text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing.json", tmp_path, tmp_path / "binary"):
        with pytest.raises(BadInput):
            load_key(path)
