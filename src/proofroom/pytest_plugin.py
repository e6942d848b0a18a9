"""Fixtures for the tests of a host application; pytest finds them by itself where proofroom is installed.

They need the extra: ``pip install 'proofroom[testing]'``. Until a test asks for one, nothing of proofroom is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from proofroom.adapters.cast import Cast
    from proofroom.adapters.ledger import Ledger
    from proofroom.testing.clocks import Clock


@pytest.fixture
def proofroom_clock() -> Clock:
    """The clock of ``proofroom_ledger``; it moves when the test moves it: ``proofroom_clock.ms += 1_000``."""
    from proofroom.testing.clocks import Clock
    from proofroom.testing.histories import START_MS

    return Clock(START_MS)


@pytest.fixture
def proofroom_ledger(tmp_path: Path, proofroom_clock: Clock) -> Iterator[Ledger]:
    """A fresh ledger in a folder of its own. When the test has ended, all of it is audited."""
    from proofroom.adapters.audit import Verdict, audit
    from proofroom.testing.hosting import ledger_in

    with ledger_in(tmp_path / "proofroom", proofroom_clock) as ledger:
        yield ledger
        report = audit(ledger.store)
        assert report.verdict is Verdict.VALID, report.sentence()


@pytest.fixture
def proofroom_cast(proofroom_ledger: Ledger, proofroom_clock: Clock) -> Cast:
    """Everybody who signs something for that ledger, with their keys."""
    from proofroom.adapters.cast import Cast
    from proofroom.testing.keys import deterministic_randomness, key

    randomness = deterministic_randomness("proofroom_cast")
    return Cast(proofroom_ledger.id, proofroom_clock, key, randomness=randomness, chain=50)
