"""What several files of this folder begin with; a file that has its own of a name uses that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proofroom.adapters.stores import MemoryStore
from proofroom.adapters.views import Views
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS, store_of
from strategies.rooms import Room, make_room
from strategies.whole import whole_history


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock(START_MS)


@pytest.fixture
def room(clock: Clock) -> Iterator[Room]:
    """A ledger in memory with a clock that stands still."""
    made = make_room(MemoryStore(clock), clock)
    with made.ledger:
        yield made


@pytest.fixture(scope="session")
def whole() -> Iterator[Views]:
    """Read models of the whole history, for who does not change them."""
    views = Views(None)
    views.project(store_of(whole_history()))
    yield views
    views.close()
