"""Cosignatures as C2SP has them, and when a witness may give one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.cosigning import (
    MAX_PROOF,
    Request,
    add_cosignatures,
    check_extends,
    cosign,
    parse_request,
    witness_key,
    write_request,
)
from proofroom.domain.errors import BadNote, BadProof, BadRequest, HeadMoved, ProofroomError
from proofroom.domain.verifier import note as notes
from proofroom.testing.keys import key

ORIGIN, NAME = "example.org/room", "witness.example/w1"
LEAVES = [merkle.SHA256.leaf(bytes([i])) for i in range(40)]


def head(size: int) -> Checkpoint:
    """The head of a log of so many entries."""
    return Checkpoint(ORIGIN, size, merkle.root(merkle.extend(merkle.Tree(), LEAVES[:size])))


def node(height: int, position: int) -> bytes:
    """A node of the log."""
    tree = merkle.extend(merkle.Tree(), LEAVES[position << height : (position + 1) << height])
    return merkle.root(tree)


def request(old: int, new: int, proof: tuple[bytes, ...] | None = None) -> Request:
    """The honest request, or one with another proof."""
    path = tuple(merkle.consistency_path(old, new, node)) if 0 < old < new else ()
    return Request(old, path if proof is None else proof, sign_checkpoint(head(new), key("checkpoint")))


@given(st.integers(0, 40), st.integers(0, 2**40))
def test_a_cosignature_verifies_for_another_reader(size: int, at: int) -> None:
    """The verifier, which shares no code with it, finds the witness among the signatures, and only under this text."""
    note = sign_checkpoint(head(size), key("checkpoint"))
    signed = notes.parse_note(add_cosignatures(note, cosign(head(size), NAME, key("w"), at)))
    witness = notes.parse_key(witness_key(NAME, key("w").keyid))
    assert notes.is_cosigned(signed, witness)
    assert not notes.is_cosigned(signed._replace(text=signed.text + b"x"), witness)
    assert not notes.is_cosigned(signed, notes.parse_key(witness_key("other", key("w").keyid)))
    assert not notes.is_cosigned(signed, notes.parse_key(witness_key(NAME, key("x").keyid)))


@given(st.integers(0, 40), st.integers(0, 40))
def test_what_extends_is_cosigned(old: int, new: int) -> None:
    """Every head of one log extends every smaller one, and none a larger one."""
    last = None if old == 0 else head(old)
    if old > new:
        with pytest.raises(BadRequest):
            check_extends(last, request(old, new), head(new))
    else:
        check_extends(last, request(old, new), head(new))


@pytest.mark.parametrize(
    ("last", "asked", "new", "error"),
    [
        (None, request(3, 9), head(9), HeadMoved),
        (head(5), request(3, 9), head(9), HeadMoved),
        (head(5), request(0, 9), head(9), HeadMoved),
        (head(9), request(9, 9), head(9)._replace(root=bytes(32)), HeadMoved),
        (head(5), request(5, 9, ()), head(9), BadProof),
        (head(5), request(5, 9), head(9)._replace(root=bytes(32)), BadProof),
        (head(5)._replace(root=bytes(32)), request(5, 9), head(9), BadProof),
        (None, request(0, 9, (bytes(32),)), head(9), BadProof),
        (head(9), request(9, 9, (bytes(32),)), head(9), BadProof),
        (head(9), request(9, 5), head(5), BadRequest),
    ],
)
def test_what_does_not_extend(
    last: Checkpoint | None, asked: Request, new: Checkpoint, error: type[ProofroomError]
) -> None:
    """Another old head, another root, a proof that does not lead there."""
    with pytest.raises(error):
        check_extends(last, asked, new)


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_request_is_read_as_it_is_written(old: int, new: int) -> None:
    """To the byte."""
    asked = request(min(old, new), max(old, new))
    assert parse_request(write_request(asked)) == asked


HASH = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 1\n",
        b"old 01\n\nnote",
        b"old -1\n\nnote",
        b"old 1 \n\nnote",
        b"size 1\n\nnote",
        b"old 1\nAA==\n\nnote",
        f"old 1\n{HASH[:-1]}\n\nnote".encode(),
        f"old 1\n {HASH}\n\nnote".encode(),
        ("old 1\n" + f"{HASH}\n" * (MAX_PROOF + 1) + "\nnote").encode(),
        b"old 1\n\n\xff",
        b"old 1\n\n" + b"x" * 100_000,
    ],
)
def test_what_is_no_request(body: bytes) -> None:
    """A parser takes what the printer prints."""
    with pytest.raises(BadRequest):
        parse_request(body)


def test_the_most_lines_that_a_proof_may_have() -> None:
    """63."""
    assert len(parse_request(("old 1\n" + f"{HASH}\n" * MAX_PROOF + "\nnote").encode()).proof) == MAX_PROOF


@pytest.mark.parametrize("lines", ["", "no line\n", "— witness.example/w1 AAAAAAA=", "\n— w AAAAAAA=\n"])
def test_only_signature_lines_are_added(lines: str) -> None:
    """Nothing else can come into a note behind its signatures."""
    note = sign_checkpoint(head(3), key("checkpoint"))
    if lines == "":
        assert add_cosignatures(note, lines) == note
        return
    with pytest.raises(BadNote):
        add_cosignatures(note, lines)
