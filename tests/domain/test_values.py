"""Wide values: replaced at the cost of what changes, and otherwise as the library does it."""

from __future__ import annotations

import collections
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain.state import Cluster, Era, Round, State
from proofroom.domain.values import cheap_to_replace

WIDE: list[Any] = [State, Era, Cluster, Round]


@given(st.data())
def test_replaces_as_the_library_does(data: st.DataObject) -> None:
    """Whatever fields change: the same value, of the same type, and the one before stays as it was."""
    kind = data.draw(st.sampled_from(WIDE))
    library: Any = collections.namedtuple("library", kind._fields)  # type: ignore[misc]  # the names are those of the class under test
    values = tuple(range(len(kind._fields)))
    before = kind._make(values)
    changes = data.draw(st.dictionaries(st.sampled_from(kind._fields), st.integers()))
    after = before._replace(**changes)
    assert type(after) is kind
    assert tuple(after) == tuple(library._make(values)._replace(**changes))
    assert tuple(before) == values


def test_no_such_field() -> None:
    """A field that the type does not have is an error."""

    @cheap_to_replace
    class Pair(NamedTuple):
        one: int
        two: int

    with pytest.raises(KeyError, match="three"):
        Pair(1, 2)._replace(three=3)  # type: ignore[call-arg]  # the fault under test
