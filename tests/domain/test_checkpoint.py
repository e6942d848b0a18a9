"""Checkpoints: the parser accepts exactly what the printer prints, and other people's notes are read."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.adapters.keys import Key
from proofroom.domain.checkpoint import (
    MAX_NOTE,
    ORIGIN_PATTERN,
    Checkpoint,
    note_key_id,
    parse_note,
    sign_checkpoint,
    verifier_key,
    verify_checkpoint,
)
from proofroom.domain.errors import BadNote
from proofroom.domain.signing import verify_signature
from proofroom.testing.bytes import mutated
from proofroom.testing.keys import signer, signers

ORIGINS = st.from_regex(ORIGIN_PATTERN.removeprefix("^").removesuffix(r"\z"), fullmatch=True)
CHECKPOINTS = st.builds(Checkpoint, ORIGINS, st.integers(0, 10**19 - 1), st.binary(min_size=32, max_size=32))

LOG = signer(1)
ROOM = Checkpoint("example.org/room", 42, bytes(range(32)))
NOTE = sign_checkpoint(ROOM, LOG)
FROZEN_NOTE = """\
example.org/room
42
AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=

— example.org/room iIqRN1yKostGIdfXxZcUCI7miDpj1rRGhp43mnGMrKbNDb1JLlPvarEKffLWvK6veQ9CQ0ML+uGVLZDL3IGyh8P9YA8=
"""

PETER = Key(base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:])
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
"""Key and note of the Go reference implementation (golang.org/x/mod/sumdb/note)."""

SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
"""The example of C2SP tlog-checkpoint."""


def printed(note: str) -> str:
    """What the printer makes of a note that was parsed."""
    checkpoint, signatures = parse_note(note)
    lines = [f"— {name} {base64.b64encode(blob).decode()}\n" for name, blob in signatures]
    return checkpoint.body() + "\n" + "".join(lines)


def cosignature(name: str, blob: bytes) -> str:
    """A further signature line."""
    return f"— {name} {base64.b64encode(blob).decode()}\n"


@given(CHECKPOINTS, signers())
def test_round_trip(checkpoint: Checkpoint, key: Key) -> None:
    """A signed checkpoint verifies to the same checkpoint, and is printed from its parts to the same text."""
    note = sign_checkpoint(checkpoint, key)
    assert verify_checkpoint(note, checkpoint.origin, key.keyid) == checkpoint
    assert printed(note) == note


@given(mutated(NOTE.encode()))
def test_changed_note_is_refused_or_the_same(changed: bytes) -> None:
    """One change to a note is refused by the parser, or parses to what prints exactly these bytes; it never verifies as another."""
    text = changed.decode(errors="surrogateescape")
    with suppress(BadNote):
        assert printed(text) == text
    try:
        assert verify_checkpoint(text, ROOM.origin, LOG.keyid) == ROOM
    except BadNote:
        return
    assert text == NOTE


@given(CHECKPOINTS, signers(), signers())
def test_wrong_key_is_refused(checkpoint: Checkpoint, key: Key, other: Key) -> None:
    """A note that another key signed is not this log's, even under the name and key id of the right one."""
    if key.keyid == other.keyid:
        return
    with pytest.raises(BadNote):
        verify_checkpoint(sign_checkpoint(checkpoint, other), checkpoint.origin, key.keyid)
    body = checkpoint.body()
    blob = note_key_id(checkpoint.origin, key.keyid) + other.sign(body.encode())
    with pytest.raises(BadNote):
        verify_checkpoint(f"{body}\n" + cosignature(checkpoint.origin, blob), checkpoint.origin, key.keyid)


@given(CHECKPOINTS, ORIGINS)
def test_wrong_origin_is_refused(checkpoint: Checkpoint, origin: str) -> None:
    """A checkpoint of another log is refused, though the same key signed it."""
    if origin != checkpoint.origin:
        with pytest.raises(BadNote):
            verify_checkpoint(sign_checkpoint(checkpoint, LOG), origin, LOG.keyid)


@given(CHECKPOINTS, ORIGINS)
def test_origin_is_that_of_the_first_line(checkpoint: Checkpoint, origin: str) -> None:
    """The name on the signature line does not make up for another origin in the text, though the log's key signed it."""
    if origin != checkpoint.origin:
        blob = note_key_id(origin, LOG.keyid) + LOG.sign(checkpoint.body().encode())
        with pytest.raises(BadNote):
            verify_checkpoint(checkpoint.body() + "\n" + cosignature(origin, blob), origin, LOG.keyid)


@given(CHECKPOINTS, CHECKPOINTS)
def test_signature_is_of_one_checkpoint(one: Checkpoint, other: Checkpoint) -> None:
    """A signature cannot be moved to another size, root or origin."""
    if one != other:
        line = sign_checkpoint(one._replace(origin=other.origin), LOG).partition("\n\n")[2]
        moved = other.body() + "\n" + line
        if one._replace(origin=other.origin) != other:
            with pytest.raises(BadNote):
                verify_checkpoint(moved, other.origin, LOG.keyid)


@given(st.lists(st.tuples(ORIGINS, st.binary(min_size=5, max_size=90)), max_size=5), st.integers(0, 5))
def test_cosignatures_are_let_through(others: list[tuple[str, bytes]], at: int) -> None:
    """Lines by unknown keys, before or after the log's, do not disturb, and are handed to whoever knows them."""
    body, _, line = NOTE.partition("\n\n")
    lines = [cosignature(*other) for other in others]
    at = min(at, len(lines))
    note = body + "\n\n" + "".join(lines[:at]) + line + "".join(lines[at:])
    assert verify_checkpoint(note, ROOM.origin, LOG.keyid) == ROOM
    _, signatures = parse_note(note)
    assert [s for i, s in enumerate(signatures) if i != at] == others
    assert printed(note) == note


def test_same_name_other_key_is_ignored() -> None:
    """A line that shares only the name, or only the key id, with the log's key is one of an unknown key (signed-note)."""
    body, _, line = NOTE.partition("\n\n")
    key_id = note_key_id(ROOM.origin, LOG.keyid)
    same_name = cosignature(ROOM.origin, b"\x00\x01\x02\x03" + bytes(64))
    same_id = cosignature("example.org/witness", key_id + bytes(64))
    note = body + "\n\n" + same_name + same_id + line
    assert verify_checkpoint(note, ROOM.origin, LOG.keyid) == ROOM


def test_false_signature_of_the_log_is_not_passed_over() -> None:
    """Where name and key id match and the signature does not verify, the note is refused, whatever follows."""
    body, _, line = NOTE.partition("\n\n")
    false = cosignature(ROOM.origin, note_key_id(ROOM.origin, LOG.keyid) + bytes(64))
    with pytest.raises(BadNote, match="does not verify"):
        verify_checkpoint(body + "\n\n" + false + line, ROOM.origin, LOG.keyid)


def test_key_of_the_reference_implementation() -> None:
    """Key id and verifier key are those that Go's note package prints, and our signature is its signature."""
    assert verifier_key("PeterNeumann", PETER.keyid) == PETER_KEY
    signed = note_key_id("PeterNeumann", PETER.keyid) + PETER.sign(PETER_TEXT.encode())
    assert base64.b64encode(signed).decode() == PETER_SIGNATURE
    verify_signature(PETER.keyid, PETER_TEXT.encode(), base64.b64decode(PETER_SIGNATURE)[4:])


def test_example_of_the_specification() -> None:
    """The checkpoint in C2SP's page is read, and printed to the same bytes."""
    checkpoint, signatures = parse_note(SOFA)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert [(name, len(blob)) for name, blob in signatures] == [("example.com/behind-the-sofa", 68)]
    assert printed(SOFA) == SOFA


def test_note_is_frozen() -> None:
    """A checkpoint for a reader: origin, size, root, an empty line, and the signature line."""
    assert NOTE == FROZEN_NOTE


BODY, _, LINE = NOTE.partition("\n\n")
ROOT = BODY.split("\n")[2]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "\n\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "x\n",
        NOTE.replace("\n", "\r\n"),
        "\n" + NOTE,
        " " + NOTE,
        "\ufeff" + NOTE,
        BODY + "\n\n",
        BODY + "\n\n\n" + LINE,
        BODY + "\nextension\n\n" + LINE,
        BODY.replace("42", "042") + "\n\n" + LINE,
        BODY.replace("42", "+42") + "\n\n" + LINE,
        BODY.replace("42", "-1") + "\n\n" + LINE,
        BODY.replace("42", "4_2") + "\n\n" + LINE,
        BODY.replace("42", "٤٢") + "\n\n" + LINE,
        BODY.replace("42", "") + "\n\n" + LINE,
        BODY.replace("42", "1" * 5000) + "\n\n" + LINE,
        BODY.replace("example.org/room", "example.org/ room") + "\n\n" + LINE,
        BODY.replace("example.org/room", "a+b") + "\n\n" + LINE,
        BODY.replace("example.org/room", "") + "\n\n" + LINE,
        BODY.replace("example.org/room", "é") + "\n\n" + LINE,
        BODY.replace("example.org/room", "x" * 201) + "\n\n" + LINE,
        BODY.replace(ROOT, ROOT[:-1]) + "\n\n" + LINE,
        BODY.replace(ROOT, ROOT[:-2] + "9=") + "\n\n" + LINE,
        BODY.replace(ROOT, ROOT + " ") + "\n\n" + LINE,
        BODY.replace(ROOT, "AAAA") + "\n\n" + LINE,
        BODY.replace(ROOT, "é") + "\n\n" + LINE,
        BODY + "\n\n" + LINE.replace("—", "-"),
        BODY + "\n\n" + LINE.replace("— ", "—  "),
        BODY + "\n\n" + LINE.replace("— ", "—"),
        BODY + "\n\n— example.org/room\n",
        BODY + "\n\n— example.org/room AAAA\n",
        BODY + "\n\n— example.org/room AAAAAA=\n",
        BODY + "\n\n" + LINE[:-1] + " x\n",
        BODY + "\n\n" + LINE + "\n" + LINE,
        NOTE + cosignature("x" * MAX_NOTE, bytes(10)),
    ],
)
def test_invalid_note(note: str) -> None:
    """Whatever the printer would not print is refused by the parser itself, before any signature."""
    with pytest.raises(BadNote):
        parse_note(note)


@pytest.mark.parametrize("name", ["a+b", "a\u00a0b", "a\u2003b", "a\tb", "a\rb", "a\x00b", "\x7f\x1b[31m", "\ud800"])
def test_invalid_name_of_a_cosigner(name: str) -> None:
    """A key name has no Unicode blank and no plus, and a note no control character and no half of a pair (signed-note)."""
    with pytest.raises(BadNote):
        parse_note(NOTE + cosignature(name, bytes(68)))
