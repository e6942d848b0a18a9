"""Errors: each reason is a class with a code, a sentence, fields, and advice for a person."""

from __future__ import annotations

import copy
import json
import pickle
import re
import string
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, cast, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.domain import errors
from proofroom.domain.errors import Conflict, Malformed, ProofroomError, Refused, Unavailable

FAMILIES: dict[type[ProofroomError], int] = {Refused: 3, Malformed: 4, Conflict: 5, Unavailable: 6}


def below(kind: type[ProofroomError]) -> Iterator[type[ProofroomError]]:
    """All classes below one."""
    for sub in kind.__subclasses__():
        yield sub
        yield from below(sub)


ALL = sorted(set(below(ProofroomError)), key=lambda kind: kind.__name__)
REASONS = [kind for kind in ALL if kind not in FAMILIES and kind.__module__.startswith(errors.__name__)]
every_reason = pytest.mark.parametrize("kind", REASONS, ids=lambda kind: kind.__name__)

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**70), 2**70),
    str: st.text() | st.sampled_from(["{why}", "{0}", "{", "}}", "%s", "ed25519:" + "a" * 64]),
    tuple[str, ...]: st.lists(st.text(max_size=5), max_size=3).map(tuple),
    bool: st.booleans(),
    str | None: st.none() | st.text(),
    int | None: st.none() | st.integers(),
}


def field_values(kind: type[ProofroomError]) -> st.SearchStrategy[dict[str, Any]]:
    """Values for the fields of a reason."""
    hints = get_type_hints(kind)
    return st.fixed_dictionaries({field.name: VALUES[hints[field.name]] for field in fields(cast(Any, kind))})


def test_reasons_are_found() -> None:
    """The checks below look at real classes, in all four families."""
    assert len(REASONS) > 50
    assert {family for family in FAMILIES for kind in REASONS if issubclass(kind, family)} == set(FAMILIES)


def test_codes_are_unique() -> None:
    """A code names one reason, in words and hyphens."""
    codes = [kind.code for kind in REASONS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in codes)
    assert ProofroomError.code not in codes


@every_reason
def test_reason_is_of_one_family(kind: type[ProofroomError]) -> None:
    """Each reason says who is at fault, and its exit status follows from that."""
    (family,) = [family for family in FAMILIES if issubclass(kind, family)]
    assert kind.exit_status == FAMILIES[family]


@every_reason
def test_reason_speaks(kind: type[ProofroomError]) -> None:
    """A docstring of its own in whole sentences, a code, a message and advice of its own."""
    doc = vars(kind).get("__doc__") or ""
    assert re.match(r"[A-Z`].*\.$", doc.strip(), re.DOTALL)
    assert not doc.startswith(kind.__name__ + "(")
    assert "code" in vars(kind)
    assert kind.advice
    assert kind.message != ProofroomError.message
    assert not kind.advice.endswith(".")


@every_reason
def test_message_names_only_fields(kind: type[ProofroomError]) -> None:
    """The message is filled from the fields, each of which it names."""
    named = {name.partition(".")[0] for _, name, _, _ in string.Formatter().parse(kind.message) if name is not None}
    assert named == {field.name for field in fields(cast(Any, kind))}
    assert not {"code", "message", "advice"} & {field.name for field in fields(cast(Any, kind))}


@every_reason
@settings(max_examples=settings().max_examples // 5)
@given(data=st.data())
def test_reason_formats_pickles_and_is_json(kind: type[ProofroomError], data: st.DataObject) -> None:
    """Whatever its fields hold, an error can be shown, sent to another process, copied and written as JSON."""
    values = data.draw(field_values(kind))
    error = kind(**values)
    assert str(error) == kind.message.format(**values)
    for back in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 -- our own bytes
        assert type(back) is kind
        assert vars(back) == values
        assert str(back) == str(error)
    shown = json.loads(json.dumps(error.to_json()))
    assert (shown["code"], shown["message"], shown["advice"]) == (kind.code, str(error), kind.advice)
    assert shown.keys() - {"code", "message", "advice"} == values.keys()


@every_reason
def test_reason_is_raised_and_noted(kind: type[ProofroomError]) -> None:
    """A raised error with a cause, a traceback and notes still pickles and is JSON."""
    zero: dict[Any, Any] = {int: 0, str: "x", tuple[str, ...]: ("x",), bool: False, str | None: None, int | None: None}
    hints = get_type_hints(kind)
    values = {field.name: zero[hints[field.name]] for field in fields(cast(Any, kind))}
    with pytest.raises(ProofroomError) as caught:
        raise kind(**values) from ValueError("cause")
    caught.value.add_note("seen by a test")
    assert vars(pickle.loads(pickle.dumps(caught.value))) == values  # noqa: S301 -- our own bytes
    assert "__notes__" not in json.dumps(caught.value.to_json())
    assert hash(caught.value) == hash(caught.value)


def test_errors_are_told_apart() -> None:
    """Two errors with the same fields are two events, as with any exception."""
    one, other = errors.BadNote(why="x"), errors.BadNote(why="x")
    assert one != other
    assert {one, other} == {other, one}


def test_an_error_for_a_reader() -> None:
    """What a person sees, and what a program gets."""
    error = errors.WrongIndex(index=9, expected=7)
    assert str(error) == "entry has index 9, the log continues at 7"
    assert error.to_json() == {
        "code": "wrong-index",
        "message": "entry has index 9, the log continues at 7",
        "advice": "entries cannot be left out, repeated or moved",
        "index": 9,
        "expected": 7,
    }
