"""Round trips with an implementation that is not ours (proofbundle): C2SP notes, cosignatures, tlog-proofs, and RFC 6962 proofs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from proofroom.adapters.keys import Key
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, parse_note, sign_checkpoint, verifier_key, verify_checkpoint
from proofroom.domain.errors import BadProof
from proofroom.domain.merkle import SHA256, Tree
from proofroom.domain.policy import parse_policy
from proofroom.domain.recount import verify
from proofroom.domain.verifier import Trust, Verdict
from proofroom.domain.verifier.note import parse_key, witnessed_by
from proofroom.domain.verifier.note import parse_note as read_note
from proofroom.domain.verifier.tree import check_consistency, check_inclusion
from proofroom.testing.histories import ORIGIN
from proofroom.testing.keys import key
from strategies.forging import forge

theirs: Any = import_module("proofbundle.checkpoint")
their_tree: Any = import_module("proofbundle.merkle")
their_proofs: Any = import_module("proofbundle.tlogproof")
ed25519: Any = import_module("cryptography.hazmat.primitives.asymmetric.ed25519")

LEAVES = [b"%d" % i for i in range(70)]
HASHES = [SHA256.leaf(leaf) for leaf in LEAVES]
SEED = bytes(range(32))


def their_signer(seed: bytes = SEED) -> Any:
    """A key as they take it."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def node(height: int, k: int) -> bytes:
    """A node of the tree over the leaves."""
    return merkle.root(merkle.extend(Tree(), HASHES[k << height : k + 1 << height]))


def test_they_read_our_notes() -> None:
    """A checkpoint of ours verifies there, under the verifier key that we print; one with a changed size does not."""
    note, vkey = forge().note, verifier_key(ORIGIN, key("checkpoint").keyid)
    result = theirs.verify_checkpoint(note, vkey)
    assert result["ok"], result
    broken = theirs.verify_checkpoint(note.replace("\n1", "\n2", 1), vkey)
    assert not broken["ok"]
    assert theirs.vkey(ORIGIN, bytes.fromhex(key("checkpoint").keyid[8:])) == vkey


def test_we_read_their_notes() -> None:
    """A checkpoint of theirs verifies here, in both of our readers."""
    ours = Key(SEED)
    note = theirs.sign_checkpoint(ORIGIN, 70, bytes(32), their_signer(), ORIGIN)
    assert verify_checkpoint(note, ORIGIN, ours.keyid) == Checkpoint(ORIGIN, 70, bytes(32))
    assert note == sign_checkpoint(Checkpoint(ORIGIN, 70, bytes(32)), ours)
    assert read_note(note).size == parse_note(note)[0].size == 70


def test_we_read_their_cosignatures() -> None:
    """A witness of theirs cosigns our checkpoint; our quorum counts it, once for that time and note."""
    witness = SigningKey(SEED)
    name, public = "witness.example/w1", bytes(witness.verify_key)
    cosigned = theirs.cosign_checkpoint(forge().note, their_signer(), name, 1_700_000_000)
    note = cosigned if cosigned.startswith(ORIGIN) else forge().note + cosigned
    vkey = theirs.cosign_vkey(name, public)
    trust = Trust(witnesses=(("w1", parse_key(vkey)),), quorum="w1")
    assert witnessed_by(read_note(note), trust) == ({"w1"}, True)
    assert witnessed_by(read_note(forge().note), trust) == (set(), False)
    assert witnessed_by(read_note(note.replace("\n1", "\n2", 1)), trust) == (set(), False)
    policy = parse_policy(f"log {verifier_key(ORIGIN, key('checkpoint').keyid)}\nwitness w1 {vkey}\nquorum w1\n")
    value = forge().receipt(5)._replace(note=note).to_tlog_proof()
    report = verify(value.encode(), policy)
    assert report.verdict is Verdict.VALID, report.sentence()
    assert "cosigned by w1" in report.notes
    assert verify(forge().receipt(5).to_tlog_proof().encode(), policy).verdict is Verdict.UNWITNESSED


def test_tlog_proofs() -> None:
    """A ``.tlog-proof`` of ours verifies there against the entry's bytes; theirs parses as ours prints."""
    receipt = forge().receipt(5)
    vkey = verifier_key(ORIGIN, key("checkpoint").keyid)
    result = their_proofs.verify_tlog_proof(receipt.to_tlog_proof(), receipt.entry, vkey)
    assert result["ok"], result
    assert not their_proofs.verify_tlog_proof(receipt.to_tlog_proof(), receipt.entry + b"x", vkey)["ok"]
    assert (
        their_proofs.format_tlog_proof(5, list(receipt.path), receipt.note, extra=receipt.entry)
        == receipt.to_tlog_proof()
    )


@given(st.integers(1, 70), st.integers(1, 70))
def test_proofs(first: int, second: int) -> None:
    """Inclusion and consistency proofs are the same bytes, and each side verifies the other's."""
    first, second = sorted((first, second))
    roots = [their_tree.merkle_tree_hash(LEAVES[:n]) for n in (first, second)]
    assert roots == [merkle.root(merkle.extend(Tree(), HASHES[:n])) for n in (first, second)]
    path = their_tree.inclusion_proof(LEAVES[:second], first - 1)
    assert path == merkle.inclusion_path(first - 1, second, node)
    merkle.verify_inclusion(HASHES[first - 1], first - 1, second, path, roots[1])
    check_inclusion(HASHES[first - 1], first - 1, second, path, roots[1])
    assert their_tree.verify_inclusion(LEAVES[first - 1], first - 1, second, path, roots[1])
    path = their_tree.consistency_proof(LEAVES[:second], first)
    assert path == merkle.consistency_path(first, second, node)
    merkle.verify_consistency(first, second, path, *roots)
    if first < second:
        check_consistency(first, second, path, *roots)
        with pytest.raises(BadProof):
            merkle.verify_consistency(first, second, path[:-1], *roots)
    assert their_tree.verify_consistency(first, second, path, *roots)
