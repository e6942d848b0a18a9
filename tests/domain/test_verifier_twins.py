"""What is written twice, in the domain and in the verifier, says the same: roots, proofs, entries and notes, honest and changed."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proofroom.domain import checkpoint, entry, envelope, merkle
from proofroom.domain.errors import ProofroomError
from proofroom.domain.recount_lines import inner_root
from proofroom.domain.verifier import entry as v_entry
from proofroom.domain.verifier import note as v_note
from proofroom.domain.verifier import tree as v_tree
from proofroom.domain.verifier.verdict import Fault
from strategies.forging import forge, indexes, proven_history, prover, root_at

SIZE, WORK = len(proven_history().entries), indexes("activity")[3]


@given(st.lists(st.binary(max_size=9), max_size=40))
def test_inner_roots_are_the_domains(items: list[bytes]) -> None:
    """The tree inside statements."""
    assert inner_root(items) == merkle.root_of(items)


@given(st.integers(1, SIZE), st.integers(1, SIZE))
def test_proofs_are_the_domains(first: int, second: int) -> None:
    """What the domain proves, the verifier takes, and what one refuses the other refuses."""
    first, second = sorted((first, second))
    node = prover().store.node
    path = merkle.inclusion_path(first - 1, second, node)
    v_tree.check_inclusion(node(0, first - 1), first - 1, second, path, root_at(second))
    for index, size, hashes, root in (
        (first, second, path, root_at(second)),
        (first - 1, second, path[1:] or [bytes(32)], root_at(second)),
        (first - 1, second, [*path, bytes(32)], root_at(second)),
        (first - 1, second, path, root_at(second - 1)),
        (-1, second, path, root_at(second)),
    ):
        with pytest.raises(Fault):
            v_tree.check_inclusion(node(0, first - 1), index, size, hashes, root)
    if first == second:
        return
    path = merkle.consistency_path(first, second, node)
    v_tree.check_consistency(first, second, path, root_at(first), root_at(second))
    for hashes, roots in (
        (path[1:], (root_at(first), root_at(second))),
        (path[:-1], (root_at(first), root_at(second))),
        ([*path, bytes(32)], (root_at(first), root_at(second))),
        (path, (bytes(32), root_at(second))),
        (path, (root_at(first), bytes(32))),
    ):
        with pytest.raises(Fault):
            v_tree.check_consistency(first, second, hashes, *roots)


def test_every_proof_of_small_trees() -> None:
    """All leaves and all older trees of all trees up to 40; a root that is less or greater is another."""
    node, low, high = prover().store.node, bytes(32), b"\xff" * 32
    for size in range(1, 41):
        root = root_at(size)
        for index in range(size):
            path, leaf = merkle.inclusion_path(index, size, node), node(0, index)
            v_tree.check_inclusion(leaf, index, size, path, root)
            for other in (low, high):
                with pytest.raises(Fault, match="another root"):
                    v_tree.check_inclusion(leaf, index, size, path, other)
        for first in range(1, size):
            path, older = merkle.consistency_path(first, size, node), root_at(first)
            v_tree.check_consistency(first, size, path, older, root)
            for roots in ((low, root), (high, root), (older, low), (older, high)):
                with pytest.raises(Fault, match="other roots"):
                    v_tree.check_consistency(first, size, path, *roots)
            with pytest.raises(Fault, match="too long"):
                v_tree.check_consistency(first, size, [*path, low], older, root)
            with pytest.raises(Fault, match="too short"):
                v_tree.check_consistency(first, size, path[:-1], older, root)


def test_no_leaf_stands_behind_the_last() -> None:
    """Whatever the path: a place before the first leaf, or behind the last, is none of the tree."""
    for size in range(5):
        for index in (-1, size, size + 1, 2 * size + 1, 300, 2**63):
            for length in range(4):
                with pytest.raises(Fault, match="there is no leaf"):
                    v_tree.root_from(bytes(32), index, size, [bytes(32)] * length)


def test_entries_are_the_domains() -> None:
    """Both read the same from the bytes of every entry, and refuse the same cuts and additions."""
    for stored in prover().store.read(0, 1000):
        data = stored.entry_bytes()
        index, time_ms, parts = entry.parse_entry(data)
        mine = v_entry.parse_entry(data)
        verified = envelope.verify(parts)
        assert (mine.index, mine.time_ms, mine.kind, mine.id) == (index, time_ms, verified.kind, verified.digest)
        assert mine.signers == verified.keys
        assert mine.body.keys() == orjson.loads(parts.payload).keys()


ENTRY = forge().store.read(WORK, 1)[0].entry_bytes()


@given(st.integers(0, len(ENTRY) - 1), st.integers(1, 255))
def test_any_byte_of_an_entry(at: int, change: int) -> None:
    """An entry with one byte changed is refused, unless the byte is of its index or time, which the tree binds."""
    data = ENTRY[:at] + bytes([ENTRY[at] ^ change]) + ENTRY[at + 1 :]
    if at < 16:
        assert v_entry.parse_entry(data).id == v_entry.parse_entry(ENTRY).id
    else:
        with pytest.raises(Fault):
            v_entry.parse_entry(data)


@given(st.integers(0, len(ENTRY) - 1))
@example(len(ENTRY) - 97)
def test_cut_entries(length: int) -> None:
    """No part of an entry is one, nor is one with more behind; without its last signatures it lacks signers that its kind asks for."""
    whole = v_entry.parse_entry(ENTRY)
    for data in (ENTRY[:length], ENTRY + ENTRY[length:], ENTRY + bytes(97)):
        try:
            cut = v_entry.parse_entry(data)
        except Fault:
            continue
        assert (len(ENTRY) - len(data)) % 97 == 0
        assert cut.signers < whole.signers


NOTE = forge().note


@given(
    st.integers(0, len(NOTE) - 1), st.characters(max_codepoint=0x2100), st.sampled_from(["replace", "insert", "delete"])
)
def test_notes_are_the_domains(at: int, character: str, how: str) -> None:
    """What either parser of notes takes, the other takes alike."""
    rest = NOTE[at:] if how == "insert" else NOTE[at + 1 :]
    text = NOTE[:at] + ("" if how == "delete" else character) + rest
    ours: object
    theirs: object
    try:
        parsed, lines = checkpoint.parse_note(text)
        ours = (*parsed, [(name, blob) for name, blob in lines])
    except ProofroomError:
        ours = None
    try:
        mine = v_note.parse_note(text)
        theirs = (mine.origin, mine.size, mine.root, [(name, id + blob) for name, id, blob in mine.signatures])
    except Fault:
        theirs = None
    assert ours == theirs
