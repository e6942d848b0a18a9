"""Versions in order, and whose money: what is only just older, later or another's."""

from __future__ import annotations

import pytest

from proofroom.adapters.cast import Work
from proofroom.domain.errors import NotPayer, StaleVersion
from proofroom.testing.histories import resign
from proofroom.testing.keys import key
from strategies.consenting import started

SPONSOR = key("sponsor")


def test_versions_are_counted() -> None:
    """One after the other, revocations too."""
    history = started()
    cast = history.cast
    first = history.state.grants[cast.user.keyid, cast.agent.keyid].version
    for more in range(1, 5):
        history.sleep(1)
        history.write(cast.grant(replace=True, revoked=more == 2))
        assert history.state.grants[cast.user.keyid, cast.agent.keyid].version == first + more


@pytest.mark.parametrize("ms", [-60_000, -1, 0])
def test_payer_statements_get_newer(ms: int) -> None:
    """One that is as old as the one before, or older, changes nothing."""
    history = started()
    history.write(history.cast.payer(SPONSOR, 10**9))
    with pytest.raises(StaleVersion):
        history.record(resign(history.cast.payer(SPONSOR, 2), created_at=history.cast.now(ms)))
    history.sleep(1)
    history.write(history.cast.payer(SPONSOR, 2))


def test_who_signed_nothing_pays_nothing() -> None:
    """The customer is the grant's user or has signed, whichever of the two names comes first in order."""
    history = started()
    cast, user = history.cast, history.cast.user.keyid
    strangers = [key(f"stranger {i}").keyid for i in range(8)]
    assert min(strangers) < user < max(strangers)
    for stranger in strangers:
        with pytest.raises(NotPayer):
            history.record(cast.activity(history.grant, 0, Work(1), customer=stranger))


def test_work_before_the_end_is_paid() -> None:
    """A payer statement that ends covers all that ended before."""
    history = started()
    history.write(history.cast.payer(SPONSOR, 10**9, expires_at=history.cast.now(60_000)))
    history.work(0, Work(1), customer=SPONSOR.keyid)
