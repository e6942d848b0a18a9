"""One signature for many statements: every altered path, place or root is refused, and nothing signed serves for anything else.

``PYTHONPATH=tests python tests/domain/test_rooted.py`` writes the vectors anew; their format is in ``tests/vectors/rooted.md``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import rooted
from proofroom.domain.canonical import MAX_PAYLOAD
from proofroom.domain.entry import entry_bytes, parse_entry
from proofroom.domain.envelope import Envelope, check_form, join, parse_envelope, sign, sign_rooted, verify
from proofroom.domain.errors import (
    BadBase64,
    BadEnvelope,
    BadRooted,
    BadSignature,
    DuplicateSignature,
    Malformed,
    TooLarge,
    UnknownKind,
)
from proofroom.domain.rooted import MAX_ROOTED, SIGNED_ROOT, RootedPath, check_place, root_message
from proofroom.domain.signatures import Signature, decode_signatures, encode_signatures
from proofroom.domain.signing import pae
from proofroom.domain.statements import GRANT_WIRE, KINDS
from proofroom.domain.statements.ledger import Tick
from proofroom.testing.keys import signer
from strategies.statements import example

VECTORS = Path(__file__).parents[1] / "vectors" / "rooted.json"

SIZES = st.integers(1, 40)


def ticks(count: int) -> list[Tick]:
    """Statements that differ."""
    return [Tick.model_validate(example("tick") | {"index": i}) for i in range(count)]


def tree(count: int, signers: int = 1, size: int = 1_024) -> list[Envelope]:
    """As many statements under roots that the first signers signed."""
    return sign_rooted(ticks(count), *(signer(n) for n in range(signers)), tree=size)


def place_of(envelope: Envelope) -> RootedPath:
    """The place of the first signature."""
    place = envelope.signatures[0].rooted
    assert place is not None
    return place


def replaced(envelope: Envelope, place: RootedPath) -> Envelope:
    """The envelope with its first signature at another place."""
    first, *rest = envelope.signatures
    return envelope._replace(signatures=(first._replace(rooted=place), *rest))


@given(SIZES, st.integers(1, 3), st.integers(1, 50))
def test_what_was_signed_at_once_verifies_one_by_one(count: int, signers: int, size: int) -> None:
    """In order, with every signer, as JSON and as an entry; each signer signed once for a tree."""
    envelopes = tree(count, signers, size)
    assert [verify(e).statement for e in envelopes] == ticks(count)
    assert len({s.value for e in envelopes for s in e.signatures}) == signers * -(-count // size)
    for envelope in envelopes:
        assert parse_envelope(envelope.to_json()) == envelope
        encoded = encode_signatures(envelope.signatures)
        assert decode_signatures(encoded) == envelope.signatures
        assert parse_entry(entry_bytes(1, 2, *envelope[:2], encoded))[2] == envelope


@given(SIZES.flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))), st.data())
def test_no_other_place_is_accepted(at: tuple[int, int], data: st.DataObject) -> None:
    """Any one bit of the path, any other position, any other size, a hash more or less: never a verified statement."""
    count, position = at
    envelope = tree(count)[position]
    size, _, path = place_of(envelope)
    others = [
        RootedPath(size, data.draw(st.integers(-1, MAX_ROOTED).filter(lambda p: p != position)), path),
        RootedPath(data.draw(st.integers(-1, MAX_ROOTED + 1).filter(lambda s: s != size)), position, path),
        RootedPath(size, position, path + data.draw(st.binary(min_size=1, max_size=64))),
    ]
    if path:
        bit = data.draw(st.integers(0, 8 * len(path) - 1))
        flipped = int.from_bytes(path, "big") ^ 1 << bit
        others.append(RootedPath(size, position, flipped.to_bytes(len(path), "big")))
        others.append(RootedPath(size, position, path[:-32]))
    for other in others:
        with pytest.raises((BadRooted, BadSignature)):
            verify(replaced(envelope, other))


@given(st.integers(2, 40), st.data())
def test_a_statement_has_no_use_for_the_path_of_another(count: int, data: st.DataObject) -> None:
    """Neither with the other's position nor with its own."""
    envelopes = tree(count)
    one, other = data.draw(st.permutations(range(count)))[:2]
    theirs, own = place_of(envelopes[other]), place_of(envelopes[one])
    for place in (theirs, RootedPath(own.size, own.position, theirs.path)):
        with pytest.raises((BadRooted, BadSignature)):
            verify(replaced(envelopes[one], place))


@given(SIZES, SIZES)
def test_the_signature_of_another_root_does_not_hold(count: int, more: int) -> None:
    """Nor that of a smaller or larger tree with the same beginning."""
    one, other = tree(count)[0], tree(count + more)[0]
    value = other.signatures[0].value
    with pytest.raises(BadSignature):
        verify(one._replace(signatures=(one.signatures[0]._replace(value=value),)))


def test_what_held_once_does_not_hold_for_another_key_or_root() -> None:
    """What is remembered of a checked signature is key, root and value together."""
    one, two = (sign_rooted(ticks(3), signer(n))[0] for n in (1, 2))
    verify(one)
    verify(two)
    for key, value in ((signer(1).keyid, two.signatures[0].value), (signer(2).keyid, one.signatures[0].value)):
        with pytest.raises(BadSignature):
            verify(one._replace(signatures=(Signature(key, value, place_of(one)),)))


def test_a_tree_costs_one_check_a_signer() -> None:
    """However many statements carry its root; what failed is checked again each time, and what is remembered is bounded."""
    rooted.verify_root_signature.cache_clear()
    for envelope in tree(30, 3):
        verify(envelope)
    assert rooted.verify_root_signature.cache_info()[:2] == (3 * 29, 3)
    bad = replaced(tree(30)[0], place_of(tree(31)[0]))
    for _ in range(2):
        with pytest.raises(BadSignature):
            verify(bad)
    info = rooted.verify_root_signature.cache_info()
    assert (info.misses, info.currsize) == (5, 3)
    assert info.maxsize == 1024


def test_roots_and_leaves_serve_for_nothing_else() -> None:
    """A root's signature is none of a statement, a statement's none of a root, and no statement is a signed root."""
    (alone,) = tree(1)
    (direct,) = sign(ticks(1)[0], signer(0)).signatures
    place = place_of(alone)
    assert place == RootedPath(1, 0, b"")
    for signature in (alone.signatures[0]._replace(rooted=None), direct._replace(rooted=place)):
        with pytest.raises(BadSignature):
            verify(alone._replace(signatures=(signature,)))
    assert SIGNED_ROOT not in KINDS
    key = signer(0)
    payload = root_message(1, bytes(32)).partition(b"{")[2]
    with pytest.raises(UnknownKind):
        verify(Envelope(SIGNED_ROOT, b"{" + payload, (Signature(key.keyid, key.sign(root_message(1, bytes(32)))),)))


def test_direct_and_rooted_signatures_stand_in_one_envelope() -> None:
    """Each signer sends its own, in either form; together they are one envelope."""
    statements = ticks(5)
    by_tree = sign_rooted(statements, signer(1))
    by_other_tree = sign_rooted(statements[2:], signer(2))
    for i, statement in enumerate(statements[2:]):
        parts = [by_tree[i + 2], by_other_tree[i], sign(statement, signer(3))]
        for order in (parts, parts[::-1]):
            envelope = join(*order)
            assert verify(envelope).keys == {signer(n).keyid for n in (1, 2, 3)}
            assert parse_envelope(envelope.to_json()) == envelope
    with pytest.raises(BadEnvelope, match="different statements"):
        join(by_tree[0], by_tree[1])
    with pytest.raises(DuplicateSignature):
        join(by_tree[0], sign(statements[0], signer(1)))


def test_a_key_that_signed_in_both_forms_is_refused() -> None:
    """One signature for a key, whichever comes first."""
    (alone,) = tree(1)
    direct = sign(ticks(1)[0], signer(0))
    for pair in ((alone, direct), (direct, alone)):
        both = alone._replace(signatures=tuple(e.signatures[0] for e in pair))
        for envelope in (lambda e: e, lambda e: parse_envelope(e.to_json())):
            with pytest.raises(DuplicateSignature):
                verify(envelope(both))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"size": None}, BadRooted),
        ({"size": True}, BadRooted),
        ({"size": 1.0}, BadRooted),
        ({"position": "0"}, BadRooted),
        ({"position": False}, BadRooted),
        ({"extra": 1}, BadRooted),
        ({"path": None}, BadEnvelope),
        ({"path": "A"}, BadBase64),
        ({"path": "AB=="}, BadBase64),
    ],
)
def test_invalid_place_in_json(changes: dict[str, Any], error: type[Malformed]) -> None:
    """Three fields, of their types, and nothing else."""
    value = json.loads(tree(2)[0].to_json())
    value["signatures"][0]["rooted"] |= changes
    with pytest.raises(error):
        parse_envelope(json.dumps(value, separators=(",", ":")).encode())


def test_limits() -> None:
    """A path is as long as the largest tree is high, and refused above that before anything is hashed."""
    assert 2 ** (rooted.MAX_PATH // 32) == MAX_ROOTED
    envelope = tree(1)[0]
    high = RootedPath(MAX_ROOTED, MAX_ROOTED - 1, bytes(rooted.MAX_PATH))
    with pytest.raises(BadSignature):
        verify(replaced(envelope, high))
    for place in (
        RootedPath(MAX_ROOTED + 1, 0, bytes(rooted.MAX_PATH + 32)),
        RootedPath(MAX_ROOTED, 0, bytes(rooted.MAX_PATH + 32)),
        RootedPath(2, 0, bytes(31)),
        RootedPath(2, 0, bytes(64)),
        RootedPath(2, 0, b""),
        RootedPath(2, 0, cast(bytes, bytearray(32))),
        RootedPath(True, False, b""),
    ):
        with pytest.raises(BadRooted):
            verify(replaced(envelope, place))


def test_the_wallets_wire_form_is_signed_directly() -> None:
    """It has no place for a path, so none is made and none is accepted."""
    wire = {k: v for k, v in example("grant").items() if k != "ledger"}
    grant = KINDS[GRANT_WIRE].model_validate(wire)
    with pytest.raises(BadEnvelope, match="wire form"):
        sign_rooted([grant], signer(0))
    envelope = sign(grant, signer(0))
    verify(envelope)
    with pytest.raises(BadEnvelope, match="wire form"):
        verify(replaced(envelope, RootedPath(1, 0, b"")))


def test_nothing_to_sign() -> None:
    """No statements, no envelopes."""
    assert sign_rooted([], signer(0)) == []


def vectors() -> list[dict[str, Any]]:
    """Trees of several shapes."""
    return [
        {
            "payload_type": envelopes[0].payload_type,
            "payloads": [e.payload.decode() for e in envelopes],
            "signed": root_message(place_of(envelopes[0]).size, naive_root(envelopes)).decode(),
            "signer": envelopes[0].signatures[0].keyid,
            "signature": envelopes[0].signatures[0].value.hex(),
            "paths": [place_of(e).path.hex() for e in envelopes],
        }
        for envelopes in (tree(count) for count in (1, 2, 3, 7))
    ]


def naive_root(envelopes: list[Envelope]) -> bytes:
    """The root, word for word by the format page."""

    def digest(context: str, data: bytes) -> bytes:
        return blake3(data, derive_key_context="proofroom 2026 v1 rooted signature " + context).digest()

    def mth(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        split = 1 << (len(leaves) - 1).bit_length() - 1
        return digest("node", mth(leaves[:split]) + mth(leaves[split:]))

    return mth([digest("leaf", pae(*e[:2])) for e in envelopes])


def test_published_vectors_have_not_drifted() -> None:
    """The roots are computed by the page's words and the paths by the code; the file has what both give."""
    assert json.loads(VECTORS.read_text()) == vectors()


def test_places_that_are_none() -> None:
    """Before the first, behind the last, in too large a tree, with too long a path or half a hash."""
    for place in (RootedPath(3, 0, b""), RootedPath(MAX_ROOTED, MAX_ROOTED - 1, bytes(512))):
        check_place(signer(1).keyid, place)
    for size, position, path in (
        *((3, position, b"") for position in (-1, 3, 4, 300)),
        (0, 0, b""),
        (MAX_ROOTED + 1, 0, b""),
        (3, 0, bytes(544)),
        (3, 0, bytes(33)),
    ):
        with pytest.raises(BadRooted):
            check_place(signer(1).keyid, RootedPath(size, position, path))


def test_a_payload_and_its_paths_have_one_limit() -> None:
    """Together they are as large as a payload may be, and not a byte larger."""
    place = RootedPath(3, 0, bytes(64))
    for more, refused in ((-1, False), (0, False), (1, True), (2, True)):
        signatures = (Signature(signer(1).keyid, bytes(64), place),)
        envelope = Envelope("application/vnd.proofroom.tick.v1+json", bytes(MAX_PAYLOAD - 64 + more), signatures)
        if refused:
            with pytest.raises(TooLarge):
                check_form(envelope)
        else:
            check_form(envelope)


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")


def test_a_tree_of_nothing() -> None:
    """Has a root, and no place."""
    message, places = rooted.tree_of([])
    assert (message, places) == (rooted.root_message(0, b""), [])
