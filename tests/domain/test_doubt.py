"""A compromise that names an earlier index: unpaid records that rest on what the thief signed end unattested, the others are paid."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.keys import Key
from proofroom.domain.errors import NotListed
from proofroom.domain.recount import verify
from proofroom.domain.statements.attestation import RoundTallied
from proofroom.domain.statements.offences import Slashed
from proofroom.domain.statements.settlement import EraPaid, Payout
from proofroom.domain.verifier import Verdict
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import HOUR_MS, History, with_parameters
from proofroom.testing.keys import key
from strategies.consenting import compromise, set_recovery
from strategies.doubting import NEW, PARTIES, RECOVERY, prepared
from strategies.forging import forge
from strategies.selling import list_work, open_market


def paid(history: History) -> tuple[int, int, int]:
    """Recorded and attested records of the settled era, and what customers paid."""
    history.tick(25 * HOUR_MS)
    history.tick(HOUR_MS)
    (statement,) = [e.statement for e in history.entries if isinstance(e.statement, EraPaid)]
    charged = sum(
        int(e.statement.amount)
        for e in history.entries
        if isinstance(e.statement, Payout) and e.statement.role == "charge"
    )
    assert sum(history.state.balances.values()) == 0
    return statement.records.recorded, statement.records.attested, charged


@pytest.mark.parametrize("when", ["before the tally", "after the tally", "too late"])
@pytest.mark.parametrize(("name", "party"), PARTIES)
def test_what_rests_on_the_thief_is_not_paid(name: str, party: Callable[[Cast], Key], when: str) -> None:
    """Whoever's key it was, and whether the theft is noticed before or after the vote; what was paid before it is noticed stands."""
    history, since = prepared(party)
    cast = history.cast
    history.work(0, Work(1_000), Work(1_000))
    history.work(0, Work(1_000), customer=key("sponsor").keyid)
    declared = compromise(
        cast, party(cast) if name != "derived key" else key("derived v-7c21 / calendar"), since, NEW, RECOVERY
    )
    seal = history.seal(0)
    if when == "before the tally":
        history.write(declared)
    history.attest(seal)
    if when == "after the tally":
        history.write(declared)
    recorded, attested, charged = paid(history)
    # Per thousand ms a base price of 2,000,000; the runtime signed one of three on each side, the sponsor paid for one.
    spoiled = {"wallet": 3, "agent service": 3, "derived key": 0, "orchestrator": 3, "runtime": 1, "payer": 1}[name]
    spoiled = 0 if when == "too late" else spoiled
    assert (recorded, attested) == (6, 6 - spoiled)
    (tally,) = [e.statement for e in history.entries if isinstance(e.statement, RoundTallied)]
    assert tally.records_attested == (6 - spoiled if when == "before the tally" else 6)
    assert charged == (6 - spoiled) * 2_000_000
    if when == "too late":
        history.write(declared)
        assert sum(history.state.balances.values()) == 0


@pytest.mark.parametrize(("thieves", "attested"), [(0, 1), (1, 1), (2, 0)])
@pytest.mark.parametrize("late", [False, True])
def test_votes_of_a_thief_do_not_count(thieves: int, attested: int, late: bool) -> None:
    """Five of five agreed; with one vote in doubt two thirds remain, with two they do not."""
    history = History()
    history.found()
    cast = history.cast
    history.write(cast.open_era(0))
    history.write(*[set_recovery(cast, v, key(f"recovery {v.keyid}")) for v in cast.validators])
    history.work(0, Work(1_000))
    number = history.seal(0)
    since = history.state.size
    members = history.reveal_beacons(number)
    declared = [
        compromise(cast, cast.validators[i], since, key(f"new {i}"), key(f"recovery {cast.validators[i].keyid}"))
        for i in members[:thieves]
    ]
    votes = {i: make_vote(1) for i in members}
    for i, vote in votes.items():
        history.write(cast.commit(history.state, number, i, vote))
    last = members[-1]
    for i in members[:-1]:
        history.write(cast.reveal(number, i, votes[i]))
    if not late:
        history.write(*declared)
    history.write(cast.reveal(number, last, votes[last]))
    if late:
        history.write(*declared)
    assert paid(history)[:2] == (1, attested)


@pytest.mark.parametrize("stolen", ["payer", "listing", "neither"])
def test_what_was_sold_rests_on_its_cap_and_its_listing(stolen: str) -> None:
    """Also where the wallet itself buys; and after the theft is told, nothing more is sold under such a listing."""
    history = History()
    history.found()
    cast = history.cast
    party = cast.user if stolen == "payer" else cast.agent
    history.write(set_recovery(cast, party, RECOVERY), open_market(cast), cast.open_era(0))
    since = [history.state.size]
    history.write(cast.payer(cast.user, 10**15))
    since.append(history.state.size)
    listing = list_work(history)
    since.append(history.state.size)
    history.work(0, Work(1_000), listing=listing)
    history.attest(history.seal(0))
    history.write(compromise(cast, party, since[["payer", "listing", "neither"].index(stolen)], NEW, RECOVERY))
    if stolen == "listing":
        with pytest.raises(NotListed):
            history.work(0, Work(1_000), listing=listing)
    assert paid(history)[:2] == (1, int(stolen == "neither"))


@cache
def told(whose: str, when: str) -> History:
    """Two records of which the first is rejected, by the second committee, and a theft that is told before the last vote, or after it."""
    bonds = {"slash_floor": "1000", "slash_multiple": 2}
    history = History(validators=17, parameters=with_parameters(attestation={"escalations": 1}, bonds=bonds))
    history.found()
    cast, lost = history.cast, [key(f"recovery {i}") for i in range(17)]
    history.write(cast.open_era(0), *map(set_recovery, [cast] * 17, cast.validators, lost))
    history.write(set_recovery(cast, cast.runtimes[0], RECOVERY))
    since = history.state.size
    history.work(0, Work(1_000), Work(1_000))
    number = history.seal(0)
    early = history.reveal_beacons(number)
    undecided = [make_vote(2, {0: "out-of-scope"})] * 3 + [make_vote(2)] * 2
    history.vote(number, dict(zip(early, undecided, strict=True)))
    late = history.reveal_beacons(number + 1, sorted(set(range(17)) - set(early)))
    thief = {"early": early[0], "late": late[0]}.get(whose)
    stolen = (cast.runtimes[0], since, NEW, RECOVERY)
    if thief is not None:
        stolen = (cast.validators[thief], since, NEW, lost[thief])
    votes = {i: make_vote(2, {0: "out-of-scope"}, judged=1) for i in late}
    votes |= {i: make_vote(2, judged=1) for i in late[8:]}
    for i, vote in votes.items():
        history.write(cast.commit(history.state, number + 1, i, vote))
    for i in late[:-1]:
        history.write(cast.reveal(number + 1, i, votes[i]))
    declared = compromise(cast, *stolen)
    if when == "before":
        history.write(declared)
    history.write(cast.reveal(number + 1, late[-1], votes[late[-1]]))
    if when == "after":
        history.write(declared)
    return history


@pytest.mark.parametrize(("whose", "rejected"), [("runtime", 0), ("early", 1), ("late", 0)])
def test_it_does_not_matter_when_a_theft_is_noticed(whose: str, rejected: int) -> None:
    """Verdicts, what validators earn and what is slashed are the same; a proof of the era never calls it invalid."""
    outcomes = []
    for when in ("before", "after"):
        history = told(whose, when)
        paid(history)
        kinds = (Payout, Slashed)
        lines = [
            (e.statement.debit, e.statement.credit, e.statement.amount)
            for e in history.entries
            if isinstance(e.statement, kinds)
        ]
        (counts,) = [e.statement.records for e in history.entries if isinstance(e.statement, EraPaid)]
        outcomes.append((lines, counts))
        verdict = verify(forge(history=history).era(history.cast.cluster, 0)).verdict
        assert verdict in (Verdict.VALID, Verdict.SUSPECT)
    before, after = outcomes
    assert before == after
    assert before[1].rejected == rejected


def test_an_honest_era_is_counted_once() -> None:
    """Without any compromise nothing is counted again, and with one of another party nothing changes."""
    history, since = prepared(lambda cast: cast.manager)
    history.work(0, Work(1_000))
    history.attest(history.seal(0))
    before = history.state.eras[history.cast.cluster, 0]
    history.write(compromise(history.cast, history.cast.manager, since, NEW, RECOVERY))
    assert paid(history)[:2] == (4, before.attested) == (4, 4)
