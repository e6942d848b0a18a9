"""Every door holds against what was ever interesting at it (``tests/corpus``), and against a few new inputs in each run."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.testing.bytes import mutated
from strategies.all_doors import DOORS, SLOW
from strategies.arguments import VERBS
from strategies.doors import knock, stage
from strategies.rooms import TESTS, soak

CORPUS = TESTS / "corpus"
READERS = sorted(folder.name for folder in CORPUS.iterdir() if folder.name not in DOORS)
"""What ``fuzz/targets.py`` has beside the doors: functions that read bytes, and touch nothing else."""


def kept(door: str, more: int) -> Iterator[Path]:
    """The inputs that are kept for a door: whatever was a fault once, and some of the others; all in a soak."""
    others = []
    for path in sorted((CORPUS / door).iterdir()):
        if path.name.startswith("found-"):
            yield path
        else:
            others.append(path)
    yield from random.sample(others, min(len(others), soak(more, 1_000)))


@pytest.mark.parametrize("door", DOORS)
def test_what_was_kept_is_answered(door: str) -> None:
    """By an answer or a typed error with code and advice; what was refused changed no file."""
    for path in kept(door, 0 if door in SLOW | {"arguments"} else 1):
        try:
            knock(DOORS[door], path.read_bytes())
        except BaseException as e:
            e.add_note(f"by {path.relative_to(TESTS)}")
            raise


@settings(max_examples=soak(5, 3_000))
@given(st.data())
def test_what_is_nearly_honest_is_answered(data: st.DataObject) -> None:
    """What each door is made for, with one change."""
    door = DOORS[data.draw(st.sampled_from(sorted(DOORS.keys() - SLOW - {"arguments"})))]
    knock(door, data.draw(mutated(data.draw(st.sampled_from(door.seeds(stage()))))))


@pytest.mark.parametrize("reader", READERS)
def test_what_was_kept_is_read(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the functions that read strangers' bytes: a report or a typed error, the same by both where a rule is written twice."""
    if not (TESTS.parent / "fuzz").exists():
        pytest.skip("the fuzzer's targets are not in this distribution")
    monkeypatch.syspath_prepend(TESTS.parent)
    monkeypatch.setenv("FUZZ_SEEDS", str(CORPUS))
    read, _ = importlib.import_module("fuzz.targets").TARGETS[reader]
    for path in kept(reader, 1_000):
        read(path.read_bytes())


def test_each_door_keeps_something() -> None:
    """A new door comes with inputs of its own."""
    assert {folder.name for folder in CORPUS.iterdir()} == {*DOORS, *READERS}
    assert all(any((CORPUS / name).iterdir()) for name in (*DOORS, *READERS))


def test_every_verb_where_there_is_no_room() -> None:
    """Each verb that the parser knows says so, or what else is wrong, and makes nothing."""
    for i in range(len(VERBS)):
        third = bytes([i, *[2] * 12])  # of what each parameter might be given: a room that is missing
        knock(DOORS["arguments"], third)
