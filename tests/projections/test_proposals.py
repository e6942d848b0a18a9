"""How a cluster changed, by SQL: seats at any entry, the parameters of every era, and what became of each proposal."""

from __future__ import annotations

from proofroom.domain.proposals import seats_of
from proofroom.domain.statements.governance import EraOpened
from proofroom.domain.transition import next_due
from proofroom.testing.histories import History, store_of, with_parameters
from proofroom.testing.keys import key
from strategies.governing import admission, leave, next_era, pass_all, propose, seated, settings, validation, vote
from strategies.viewing import fresh_views
from strategies.whole import whole_history


def course() -> History:
    """Votes that change, a rejection, a node that is validated and leaves."""
    history = History(seed="course")
    history.found()
    history.write(history.cast.open_era(0))
    cast, provider, runtime = history.cast, key("provider-9"), key("runtime-9")
    pass_all(history, (admission("node-9", provider, runtime), provider, runtime), (settings(era_seconds=3_600),))
    next_era(history)
    pass_all(history, (validation("node-9"),), (settings(prices__put="7", prices__get="9"),))
    next_era(history)
    history.write(propose(cast, 4, settings(majority="two-thirds")), vote(cast, 4, cast.manager))
    history.write(vote(cast, 4, cast.manager, aye=False, created_at=cast.now(1)))
    history.tick(7_200_000)
    history.write(propose(cast, 5, settings(era_seconds=60), by=provider))
    history.write(*(vote(cast, 5, voter) for voter in [*seated(cast), provider]))
    history.write(leave(cast, "node-9", provider))
    history.tick(7_200_000)
    history.write(propose(cast, 6, settings(era_seconds=61)))
    return history


def test_seats_at_any_entry() -> None:
    """After every entry, those of the domain; a change that an era's opening makes is told by the statements right after it."""
    for history in (course(), whole_history()):
        views = fresh_views()
        views.project(store_of(history))
        for index, state in enumerate(history.states[1:]):
            stated = next_due(state, state.recorded_at_ms) is None
            if state.clusters and stated and (index % 3 == 0 or index > 130):
                rows = views.sql(f"SELECT seat FROM seats('dragon-1', {index})").fetchall()
                assert {seat for (seat,) in rows} == seats_of(state.clusters["dragon-1"]), index
        views.close()


def test_the_parameters_of_every_era() -> None:
    """The rows name the eras in which they held: each era has the parameters it was bound to."""
    for history in (course(), whole_history()):
        views = fresh_views()
        views.project(store_of(history))
        for entry, state in zip(history.entries, history.states[1:], strict=True):
            if isinstance(entry.statement, EraOpened):
                bound = state.eras["dragon-1", entry.statement.era].parameters
                query = f"""SELECT cpu_second, put, treasury_share, reserve_share, era_seconds FROM parameters_history
                    WHERE cluster = 'dragon-1' AND {entry.statement.era} BETWEEN from_era AND coalesce(until_era, 1000000)"""
                (row,) = views.sql(query).fetchall()
                names = ("cpu_second", "put", "treasury_share", "reserve_share", "era_seconds")
                assert [int(n) for n in row] == [getattr(bound, name) for name in names]
        views.close()


def test_what_became_of_each_proposal() -> None:
    """Open, rejected, passed, enacted or lapsed, with the count and the era."""
    views = fresh_views()
    views.project(store_of(course()))
    query = "SELECT proposal, what, status, seats, ayes, from_era FROM proposal_outcomes ORDER BY 1"
    assert views.sql(query).fetchall() == [
        (0, "admit-node", "enacted", 4, 4, 1),
        (1, "parameters", "enacted", 4, 4, 1),
        (2, "validate-node", "enacted", 4, 4, 2),
        (3, "parameters", "enacted", 4, 4, 2),
        (4, "parameters", "rejected", 5, 0, None),
        (5, "parameters", "passed", 4, 4, None),
        (6, "parameters", "open", None, None, None),
    ]
    votes = "SELECT aye FROM proposal_votes WHERE proposal = 4 ORDER BY entry_index"
    assert views.sql(votes).fetchall() == [(True,), (False,)]
    nodes = "SELECT status FROM node_changes WHERE node = 'node-9' ORDER BY entry_index"
    assert views.sql(nodes).fetchall() == [("admitted",), ("validated",), ("left",)]
    assert views.sql("SELECT count(*) FROM nodes").fetchall() == [(4,)]
    views.close()
    views = fresh_views()
    views.project(store_of(whole_history()))
    lapsed = "SELECT proposal, lapsed FROM proposal_outcomes WHERE status = 'lapsed'"
    assert views.sql(lapsed).fetchall() == [(2, "bad-parameters")]
    managers = "SELECT manager FROM managers ORDER BY entry_index"
    assert views.sql(managers).fetchall() == [(key("manager").keyid,), (key("manager-2").keyid,)]
    majority = "SELECT majority FROM parameters ORDER BY entry_index"
    assert views.sql(majority).fetchall() == [("unanimous",), ("two-thirds",)]
    views.close()


def test_a_removed_node_has_no_seat() -> None:
    """Three eras with a record that is rejected: the ledger removes the node, and its provider decides nothing more."""
    history = History(seed="removed", parameters=with_parameters(bonds={"slash_floor": "1"}))
    history.found()
    cast = history.cast
    history.write(cast.deposit(cast.manager.keyid, 10**12, account="cluster-bond"))
    for era in range(3):
        history.write(cast.open_era(era), cast.activity(history.grant, era))
        history.sleep(1_000)
        history.attest(history.seal(era), *[{0: "overclaimed-cpu"}] * 5)
        history.write(cast.close_era(era))
    views = fresh_views()
    views.project(store_of(history))
    assert views.sql("SELECT status FROM node_changes WHERE node = 'node-0'").fetchall() == [
        ("validated",),
        ("removed",),
    ]
    rows = views.sql(f"SELECT seat FROM seats('dragon-1', {len(history.entries)})").fetchall()
    assert {seat for (seat,) in rows} == {cast.manager.keyid, cast.providers[1].keyid, cast.providers[2].keyid}
    assert {seat for (seat,) in rows} == seats_of(history.state.clusters["dragon-1"])
    views.close()
