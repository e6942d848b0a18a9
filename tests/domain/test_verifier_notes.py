"""The verifier's notes, keys and signatures: for each limit what is just within it, and what is just beyond."""

from __future__ import annotations

import base64

import pytest

from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.policy import parse_policy
from proofroom.domain.verifier import note as v
from proofroom.domain.verifier.verdict import Fault
from proofroom.testing.keys import key

ORIGIN = "example.org/room"
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 12, bytes(32)), key("checkpoint"))
BODY, LINES = NOTE[: NOTE.index("\n\n") + 1], NOTE[NOTE.index("\n\n") + 2 :]


def b64(raw: bytes) -> str:
    """As notes write bytes."""
    return base64.b64encode(raw).decode()


def public(name: str) -> bytes:
    """The public key of a party."""
    return bytes.fromhex(key(name).keyid[8:])


def key_of(name: str, of: str, type: int) -> v.Key:
    """A verifier key that this name has."""
    return v.Key(name, v.key_id(name, type, public(of)), type, public(of))


def written(name: str, type: int, id: bytes | None = None) -> str:
    """A verifier key as text, with a right hash if none is given."""
    id = v.key_id(name, type, public("checkpoint")) if id is None else id
    return f"{name}+{id.hex()}+{b64(bytes([type]) + public('checkpoint'))}"


def refuses(note: str) -> bool:
    """Whether it is no note."""
    try:
        v.parse_note(note)
    except Fault:
        return True
    return False


def test_lines_of_a_note() -> None:
    """Three lines, an empty one, and at least one whole signature line."""
    origin, size, root = BODY.splitlines()
    assert not refuses(NOTE)
    assert not refuses(f"{BODY}\n{LINES}{LINES}")
    for note in (
        f"{origin}\n{size}\n\n{LINES}",
        f"{BODY}more\n\n{LINES}",
        f"{BODY}\n",
        f"{BODY}{LINES}",
        NOTE[:-1],
        f"{BODY}\n{LINES}{LINES[:-1]}",
        f"{origin} \n{size}\n{root}\n\n{LINES}",
        f"{origin}\n0{size}\n{root}\n\n{LINES}",
        NOTE.replace(root, root[1:]),
        *(f"{BODY}\n{LINES}— a{c}b {b64(bytes(68))}\n" for c in "\0\t\x1b\x7f\u200b"),
    ):
        assert refuses(note), note


def test_length_of_a_note() -> None:
    """As long as it may be, and one character longer."""
    line = f" {b64(bytes(68))}\n"
    room = v.MAX_NOTE - len(NOTE) - len("— " + line)
    assert not refuses(f"{NOTE}— {'x' * room}{line}")
    assert refuses(f"{NOTE}— {'x' * (room + 1)}{line}")
    assert v.MAX_NOTE == 65_536


def test_length_of_a_signature_line() -> None:
    """At least one byte behind the four of the key's id."""
    assert not refuses(f"{NOTE}— x {b64(bytes(5))}\n")
    assert not refuses(f"{NOTE}— x {b64(bytes(6))}\n")
    assert refuses(f"{NOTE}— x {b64(bytes(4))}\n")


def test_base64_has_one_form_and_its_length() -> None:
    """Bits that nothing reads are zero, whichever way the text then compares; a length is a number of bytes."""
    for text in ("A1==", "AB==", "AAF=", "AA9=", "A", "AA", "AA=A", " AA==", "AA==\n", "--==", None, 5):
        with pytest.raises(Fault, match="not base64"):
            v.unbase64(text, "it")
    assert v.unbase64(b64(bytes(300)), "it", 300) == bytes(300)
    for length in (299, 301):
        with pytest.raises(Fault, match="not base64 of its length"):
            v.unbase64(b64(bytes(300)), "it", length)
    assert v.unbase64("", "it", 0) == b""


def test_signatures_have_one_length() -> None:
    """Bytes may not move between a signature and the message behind it."""
    message, signer = b"what was signed", key("a")
    signature = signer.sign(message)
    assert v.is_signed(public("a"), message, signature)
    assert not v.is_signed(public("a"), message[1:], signature + message[:1])
    assert not v.is_signed(public("a"), signature[-1:] + message, signature[:-1])
    assert not v.is_signed(public("a")[:-1], message, signature)
    assert not v.is_signed(public("b"), message, signature)


def test_verifier_keys() -> None:
    """A name without blanks, one of two types, the hash of both with the key."""
    for type in (1, 4):
        assert v.parse_key(written("a.example", type)) == key_of("a.example", "checkpoint", type)
    assert v.parse_key(written("n" * 200, 1)).name == "n" * 200
    for text in (
        written("a b", 1),
        written("", 1),
        written("n" * 201, 1),
        *(written("a.example", type) for type in (0, 2, 3, 5)),
        *(written("a.example", 1, id) for id in (bytes(4), b"\xff" * 4)),
        written("a.example", 1).replace("+", "+0", 1),
        written("a.example", 1) + "AAAA",
    ):
        with pytest.raises(Fault, match="verifier key"):
            v.parse_key(text)


def test_lines_of_others_are_not_read() -> None:
    """Whoever else signed, before or behind the log's key in order: only the log's own lines must verify, and they must be there."""
    log = key_of(ORIGIN, "checkpoint", 1)
    before, behind = (f"— {name} {b64(bytes(68))}\n" for name in ("a.example", "z.example"))
    v.check_signed(v.parse_note(NOTE + before + behind), log)
    for lines in ("", before, behind, before + behind):
        if lines:
            with pytest.raises(Fault, match="is not signed by"):
                v.check_signed(v.parse_note(f"{BODY}\n{lines}"), log)
        with pytest.raises(Fault, match="does not verify"):
            v.check_signed(v.parse_note(f"{NOTE}{lines}— {ORIGIN} {b64(log.id + bytes(64))}\n"), log)


def test_the_log_signs_under_its_own_name() -> None:
    """A checkpoint of another origin, or a key of another type, is not the log's, whatever the lines say."""
    for name, type in (("a.example", 1), ("z.example", 1), (ORIGIN, 0), (ORIGIN, 4)):
        other = key_of(name, "checkpoint", type)
        signature = key("checkpoint").sign(BODY.encode())
        with pytest.raises(Fault, match="is not signed by"):
            v.check_signed(v.parse_note(f"{NOTE}— {name} {b64(other.id + signature)}\n"), other)


def cosigned(by: v.Key, time: int, name: str | None = None, id: bytes | None = None) -> v.Checkpoint:
    """The note with a cosignature by this key, under its own name and id or others."""
    signature = key("w").sign(b"cosignature/v1\ntime %d\n%b" % (time, BODY.encode()))
    blob = (by.id if id is None else id) + time.to_bytes(8, "big") + signature
    return v.parse_note(f"{NOTE}— {by.name if name is None else name} {b64(blob)}\n")


def test_cosignatures() -> None:
    """By the witness's own name, id and type of key, at a time that signed integers hold."""
    witness = key_of("w.example", "w", 4)
    for time in (0, 1, 2**62, 2**63 - 1):
        assert v.is_cosigned(cosigned(witness, time), witness)
    for time in (2**63, 2**63 + 1, 2**64 - 1):
        assert not v.is_cosigned(cosigned(witness, time), witness)
    for other in ({"name": "a.example"}, {"name": "z.example"}, {"id": bytes(4)}, {"id": b"\xff" * 4}):
        assert not v.is_cosigned(cosigned(witness, 5, **other), witness)
    for type in (1, 3, 5):
        assert not v.is_cosigned(cosigned(key_of("w.example", "w", type), 5), key_of("w.example", "w", type))
    assert not v.is_cosigned(v.parse_note(f"{NOTE}— w.example {b64(witness.id + bytes(3))}\n"), witness)
    assert not v.is_cosigned(v.parse_note(NOTE), witness)
    again = f"{NOTE}— w.example {b64(witness.id + bytes(72))}\n" + cosigned(witness, 5).note[len(NOTE) :]
    assert v.is_cosigned(v.parse_note(again), witness)


def test_no_quorum_asked_for() -> None:
    """A policy that asks for none has it."""
    assert v.witnessed_by(v.parse_note(NOTE), parse_policy("quorum none\n")) == (set(), True)
