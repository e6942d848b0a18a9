"""A case of a refusal, and the table of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from proofroom.domain.envelope import Envelope
from proofroom.domain.errors import ProofroomError
from proofroom.testing.histories import History
from proofroom.testing.keys import key
from strategies import consenting

NOWHERE = "blake3:" + "00" * 32


class Case(NamedTuple):
    """A history that is made ready, a statement that must be refused, and how."""

    name: str
    make: Callable[[History], Envelope]
    error: type[ProofroomError]
    fields: Callable[[History], dict[str, Any]]


CASES: list[Case] = []


def refused(
    error: type[ProofroomError], fields: Callable[[History], dict[str, Any]] | None = None, **plain: Any
) -> Callable[[Callable[[History], Envelope]], Callable[[History], Envelope]]:
    """What the function returns is refused with this error and these fields, given plainly or from the history."""

    def add(make: Callable[[History], Envelope]) -> Callable[[History], Envelope]:
        name = f"{error.__name__}: {make.__name__.strip('_')}"
        CASES.append(Case(name, make, error, lambda h: plain | (fields(h) if fields else {})))
        return make

    return add


def started() -> History:
    """A founded cluster with an open era 0, two seconds in, and two banks."""
    return consenting.started(genesis={"bank_keys": [key("bank").keyid, key("bank-2").keyid]})
