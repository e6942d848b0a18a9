"""Entries: their bytes are frozen, and read back to exactly what they were."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proofroom.domain import merkle
from proofroom.domain.entry import MAX_ENTRY, Entry, entry_bytes, parse_entry
from proofroom.domain.envelope import Envelope, verify
from proofroom.domain.errors import BadEntry, BadSignature, TooLarge
from proofroom.domain.rooted import RootedPath
from proofroom.domain.signatures import Signature, decode_signatures, encode_signatures
from proofroom.testing.bytes import bit_flipped, mutated
from proofroom.testing.keys import signer
from proofroom.testing.statements import envelopes
from strategies.statements import example_envelope, example_verified

U64 = st.integers(0, 2**64 - 1)
HASHES = st.binary(min_size=32, max_size=32)
KEYIDS = st.integers(1, 40).map(lambda n: signer(n).keyid)
ROOTED = st.builds(RootedPath, U64, U64, st.lists(HASHES, max_size=3).map(b"".join))
SIGNATURES = st.lists(
    st.builds(Signature, KEYIDS, st.binary(min_size=64, max_size=64), st.none() | ROOTED), min_size=1, max_size=4
).map(tuple)
TYPES = st.text(st.characters(max_codepoint=127), max_size=60)

FROZEN = bytes.fromhex("""
00000000000000070000019b76daa801000000266170706c69636174696f6e2f766e642e70726f6f66726f6f6d2e7469
636b2e76312b6a736f6e0000005e7b22696e646578223a372c226c6564676572223a22626c616b65333a313131313131
313131313131313131313131313131313131313131313131313131313131313131313131313131313131313131313131
31313131313131313131227d004cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba2962ef69
0f907fa3801fb18dac3c37cf863b3c84d751b0820eeab9d76aaf95505ea686dfa4b2ea25ebdaa0d8a15c9f1ac1c88c9d
dbf688e02bca86b13719361b04007422b9887598068e32c4448a949adb290d0f4e35b9e01b0ee5f1a1e600fe2674b358
45df6344067ca1a0622c950efacea62ad757d9900014b6a358e12daf68b5c71939b1386450846e4983a82d49f0a394dd
53f9693f74187d3172833786340f
""")
"""Entry 7, recorded at 2026-01-01T00:00:00.001Z: a tick by two keys."""


def bytes_of(index: int, recorded_at_ms: int, envelope: Envelope) -> bytes:
    """The bytes of an envelope as an entry."""
    signatures = encode_signatures(envelope.signatures)
    return entry_bytes(index, recorded_at_ms, envelope.payload_type, envelope.payload, signatures)


EXAMPLE = bytes_of(7, 1_767_225_600_001, example_envelope("activity", 3))


@given(U64, U64, TYPES, st.binary(max_size=100), SIGNATURES)
def test_round_trip(index: int, ms: int, kind: str, payload: bytes, signatures: tuple[Signature, ...]) -> None:
    """Index, time, type, payload and signatures, direct or rooted, come back as they were."""
    envelope = Envelope(kind, payload, signatures)
    assert parse_entry(bytes_of(index, ms, envelope)) == (index, ms, envelope)


@given(U64, U64, envelopes())
def test_round_trip_of_statements(index: int, ms: int, envelope: Envelope) -> None:
    """A signed statement of any kind verifies again from an entry's bytes."""
    found_index, found_ms, found = parse_entry(bytes_of(index, ms, envelope))
    entry = Entry(found_index, found_ms, verify(found))
    assert (entry.index, entry.recorded_at_ms, entry.verified.envelope) == (index, ms, envelope)
    assert entry.statement is entry.verified.statement


@given(SIGNATURES)
def test_signatures_round_trip(signatures: tuple[Signature, ...]) -> None:
    """The codec knows both forms of signature, whatever this release verifies."""
    assert decode_signatures(encode_signatures(signatures)) == signatures


@pytest.mark.parametrize("size", [0, 63, 65, 128])
def test_a_signature_of_another_length_is_not_encoded(size: int) -> None:
    """What could not be read again is not written."""
    with pytest.raises(BadSignature):
        encode_signatures((Signature(signer(1).keyid, bytes(size)),))


@given(st.binary(max_size=300) | mutated(EXAMPLE) | mutated(FROZEN))
@example(b"")
@example(bytes(20))
def test_bytes_have_one_reading(data: bytes) -> None:
    """Any bytes are refused, or are exactly what the entry read from them is written as."""
    try:
        index, ms, envelope = parse_entry(data)
    except BadEntry:
        return
    assert bytes_of(index, ms, envelope) == data


@given(bit_flipped(EXAMPLE))
def test_turned_bit_changes_the_leaf(data: bytes) -> None:
    """One bit turned in an entry's bytes gives another leaf, so that no proof holds for it."""
    assert merkle.SHA256.leaf(data) != merkle.SHA256.leaf(EXAMPLE)
    try:
        changed = parse_entry(data)
    except BadEntry:
        return
    assert changed != parse_entry(EXAMPLE)


@pytest.mark.parametrize("count", [1, 3])
def test_truncation_is_refused(count: int) -> None:
    """Cut short anywhere, bytes are no entry.

    The frozen form does not count its signatures, so a cut between two of them leaves an entry with fewer, which the
    transition refuses for the missing role; a cut that leaves none is no entry.
    """
    data = bytes_of(7, 0, example_envelope("activity", count))
    between = {len(data) - 97 * n for n in range(1, count)}
    for length in range(len(data)):
        if length in between:
            _, _, envelope = parse_entry(data[:length])
            assert len(envelope.signatures) < count
        else:
            with pytest.raises(BadEntry):
                parse_entry(data[:length])


@given(st.builds(Signature, KEYIDS, st.binary(min_size=64, max_size=64), ROOTED), st.data())
def test_truncated_rooted_signature_is_refused(signature: Signature, data: st.DataObject) -> None:
    """A rooted signature is read whole or not at all."""
    whole = encode_signatures((signature,))
    with pytest.raises(BadEntry):
        decode_signatures(whole[: data.draw(st.integers(1, len(whole) - 1))])


@pytest.mark.parametrize("form", [2, 3, 127, 255])
def test_invalid_form_of_signature(form: int) -> None:
    """There are two forms of signature, 0 and 1."""
    for rest in (96, 113, 200):
        with pytest.raises(BadEntry):
            decode_signatures(bytes([form]) + bytes(rest))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(16) + b"\xff\xff\xff\xff",
        bytes(16) + b"\x00\x00\x00\x01\xff" + bytes(4),
        bytes(16) + b"\x00\x00\x00\x00" + b"\xff\xff\xff\xff" + bytes(97),
        EXAMPLE + b"\x00",
        EXAMPLE + bytes(96),
        b"\x00" + EXAMPLE,
    ],
)
def test_invalid_entry(data: bytes) -> None:
    """Lengths that reach beyond the end, a type that is not ASCII, and bytes left over are refused."""
    with pytest.raises(BadEntry):
        parse_entry(data)


def test_entry_has_a_size_limit() -> None:
    """65,535 bytes are an entry, one more are not, for the writer and for the reader."""
    room = MAX_ENTRY - len(entry_bytes(0, 0, "t", b"", bytes(97)))
    full = entry_bytes(0, 0, "t", b"x" * room, bytes(97))
    assert len(full) == MAX_ENTRY == 2**16 - 1
    assert parse_entry(full)[2].payload == b"x" * room
    with pytest.raises(TooLarge) as refusal:
        entry_bytes(0, 0, "t", b"x" * (room + 1), bytes(97))
    assert (refusal.value.size, refusal.value.limit) == (MAX_ENTRY + 1, MAX_ENTRY)
    longer = full[:21] + (room + 1).to_bytes(4, "big") + b"x" + full[25:]
    with pytest.raises((BadEntry, TooLarge)):
        parse_entry(longer)


def test_entry_bytes_are_frozen() -> None:
    """These bytes were an entry in the first release, and are one for ever."""
    verified = example_verified("tick", 2)
    assert bytes_of(7, 1_767_225_600_001, verified.envelope) == FROZEN
    index, ms, envelope = parse_entry(FROZEN)
    assert (index, ms) == (7, 1_767_225_600_001)
    assert verify(envelope).statement == verified.statement


def test_entry_bytes_are_as_their_picture() -> None:
    """The layout of the module's docstring, byte for byte."""
    one, two = example_envelope("tick", 2).signatures
    rooted = Signature(two.keyid, two.value, RootedPath(5, 4, b"p" * 32 + b"q" * 32))
    data = entry_bytes(1, 2, "kind", b"payload", encode_signatures((one, rooted)))
    assert data == b"".join(
        [
            b"\x00\x00\x00\x00\x00\x00\x00\x01" + b"\x00\x00\x00\x00\x00\x00\x00\x02",
            b"\x00\x00\x00\x04" + b"kind" + b"\x00\x00\x00\x07" + b"payload",
            b"\x00" + bytes.fromhex(one.keyid[8:]) + one.value,
            b"\x01" + bytes.fromhex(two.keyid[8:]) + two.value,
            b"\x00\x00\x00\x00\x00\x00\x00\x05" + b"\x00\x00\x00\x00\x00\x00\x00\x04" + b"\x02" + b"p" * 32 + b"q" * 32,
        ]
    )


def test_an_entry_never_changes() -> None:
    """What was verified stays at its index."""
    entry = Entry(3, 5, example_verified())
    for name in ("index", "recorded_at_ms", "verified"):
        with pytest.raises(AttributeError):
            setattr(entry, name, None)
