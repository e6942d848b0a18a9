"""Who is a party to a batch, and does not judge it; and who is only said to be one."""

from __future__ import annotations

import pytest

from proofroom.adapters.cast import Work
from proofroom.testing.histories import History
from proofroom.testing.keys import key
from strategies.governing import orchestrators, pass_all

CLUSTER = "dragon-1"
PARTIES = ["provider-0", "manager", "orchestrator", "wallet", "agent-service", "runtime-0", "derived v-7c21 / calendar"]


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("role", ["controllers", "validators"])
def test_parties_do_not_judge(party: str, role: str) -> None:
    """Who answers for a party of the batch, or is one, is not eligible; a provider whose node did no work is no party."""
    history = History(validators=8)
    getattr(history.cast, role)[7] = key(party)
    getattr(history.cast, role)[6] = key("provider-2")
    history.found()
    history.write(history.cast.open_era(0))
    history.work(0, Work(), Work())  # on nodes 0 and 1
    round = history.seal(0)
    eligible = history.state.rounds[CLUSTER, round].eligible
    assert set(eligible) == {v.keyid for v in history.cast.validators[:7]}


def test_an_office_that_was_never_held_takes_nobody_out_of_the_draw() -> None:
    """The seats name whom they like orchestrators, without their word: a validator among them judges what it did not orchestrate."""
    history = History(validators=8)
    history.found()
    cast = history.cast
    pass_all(history, (orchestrators(cast.orchestrator, *cast.validators[:6]),))
    history.write(cast.open_era(0))
    history.work(0, Work())
    round = history.seal(0)
    assert len(history.state.rounds[CLUSTER, round].eligible) == 8
    cast.orchestrator = cast.validators[0]
    history.work(0, Work())
    round = history.seal(0)
    assert set(history.state.rounds[CLUSTER, round].eligible) == {v.keyid for v in cast.validators[1:]}


@pytest.mark.parametrize("party", ["wallet", "sponsor"])
def test_whose_data_it_is_and_who_pays_do_not_judge(party: str) -> None:
    """The wallet that granted is a party also where another pays."""
    history = History(validators=8)
    cast, sponsor = history.cast, key("sponsor")
    cast.validators[7] = key(party)
    history.found()
    history.write(cast.open_era(0), cast.payer(sponsor, 10**12))
    history.work(0, Work(), customer=sponsor.keyid)
    number = history.seal(0)
    eligible = history.state.rounds[CLUSTER, number].eligible
    assert set(eligible) == {v.keyid for v in cast.validators[:7]}
