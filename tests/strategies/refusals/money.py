"""What is refused of clusters, eras and money."""

from __future__ import annotations

from typing import Any

from proofroom.adapters.cast import Work
from proofroom.domain import errors
from proofroom.domain.envelope import Envelope
from proofroom.domain.statements.governance import Node
from proofroom.testing.histories import HOUR_MS, History, resign, with_parameters
from proofroom.testing.keys import key
from strategies.refusals.cases import refused
from strategies.spending import withdraw

# --- clusters, eras, money


@refused(errors.AlreadyRecorded, what="cluster", key="dragon-1")
def _cluster_twice(h: History) -> Envelope:
    return h.cast.found_cluster()


def nodes(h: History, *changes: dict[str, Any]) -> list[Node]:
    """Nodes 0 to 2 of the first provider, with changes."""
    plain = [
        {"node": f"n-{i}", "provider": h.cast.providers[0].keyid, "runtime_key": r.keyid}
        for i, r in enumerate(h.cast.runtimes)
    ]
    return [Node.model_validate({**node, **change}) for node, change in zip(plain, changes, strict=False)]


@refused(errors.BadParameters, why="two nodes share a name or a runtime key")
def _two_nodes_of_one_name(h: History) -> Envelope:
    return h.cast.found_cluster(cluster="c-2", nodes=nodes(h, {}, {"node": "n-0"}))


@refused(errors.BadParameters, why="two nodes share a name or a runtime key")
def _two_nodes_of_one_runtime(h: History) -> Envelope:
    return h.cast.found_cluster(cluster="c-2", nodes=nodes(h, {}, {"runtime_key": h.cast.runtimes[0].keyid}))


@refused(errors.BadParameters, why=f"a node belongs to {key('stranger').keyid}, who is not a founding provider")
def _node_of_a_stranger(h: History) -> Envelope:
    return h.cast.found_cluster(cluster="c-2", nodes=nodes(h, {}, {"provider": key("stranger").keyid}))


@refused(errors.BadParameters, why="a price is 10^18 base units or more")
def _price_out_of_range(h: History) -> Envelope:
    return h.cast.found_cluster(cluster="c-2", parameters=with_parameters(prices={"put": str(10**18)}))


@refused(errors.BadParameters, why="the shares sum to more than the whole")
def _shares_one_part_too_many(h: History) -> Envelope:
    shares = {"treasury": str(5 * 10**17), "reserve": str(5 * 10**17), "validators": "1"}
    return h.cast.found_cluster(cluster="c-2", parameters=with_parameters(shares=shares))


@refused(errors.TimesOutOfOrder, what="start 2026-03-01T09:00:02.5Z is not in whole seconds")
def _era_with_half_a_second(h: History) -> Envelope:
    h.write(h.cast.close_era(0))
    return h.cast.open_era(1, start="2026-03-01T09:00:02.5Z")


@refused(errors.WrongNumber, what="the era", number=2, expected=1)
def _era_that_skips_a_number(h: History) -> Envelope:
    h.write(h.cast.close_era(0))
    return h.cast.open_era(2)


@refused(errors.EraNotOpen, cluster="dragon-1", era=0, status="open still")
def _era_beside_an_open_one(h: History) -> Envelope:
    return h.cast.open_era(1)


@refused(errors.UnderBonded, cluster="poor", bond="999999999999", minimum="1000000000000")
def _era_with_a_bond_one_unit_short(h: History) -> Envelope:
    cast = h.cast
    h.write(cast.found_cluster(cluster="poor"))
    bond = cast.deposit(cast.manager.keyid, 10**12 - 1, account="cluster-bond")
    h.write(resign(bond, cluster="poor"))
    return resign(cast.open_era(0), cluster="poor")


@refused(
    errors.TimesOutOfOrder,
    what="era 1 would start at 2026-03-01T09:00:01Z, before the last one ended, or be over already",
)
def _era_over_the_last_one(h: History) -> Envelope:
    h.write(h.cast.close_era(0))
    return h.cast.open_era(1, start="2026-03-01T09:00:01Z")


@refused(
    errors.TimesOutOfOrder,
    what="era 1 would start at 2026-03-01T09:00:02Z, before the last one ended, or be over already",
)
def _era_that_is_over(h: History) -> Envelope:
    h.write(h.cast.close_era(0))
    h.sleep(24 * HOUR_MS)
    return h.cast.open_era(1, start="2026-03-01T09:00:02Z")


@refused(errors.FromTheFuture, field="start", time="2026-03-01T09:05:03Z")
def _era_of_tomorrow(h: History) -> Envelope:
    h.write(h.cast.close_era(0))
    return h.cast.open_era(1, start="2026-03-01T09:05:03Z")


@refused(errors.UnsealedRecords, cluster="dragon-1", era=0, records=2)
def _close_over_unsealed_records(h: History) -> Envelope:
    h.work(0, Work(), Work())
    return h.cast.close_era(0)


@refused(errors.TimesOutOfOrder, what="the era cannot end at 2026-03-01T09:00:00Z")
def _close_at_the_start(h: History) -> Envelope:
    return h.cast.close_era(0, end="2026-03-01T09:00:00Z")


@refused(errors.TimesOutOfOrder, what="the era cannot end at 2026-03-01T09:00:03Z")
def _close_ahead_of_the_clock(h: History) -> Envelope:
    return h.cast.close_era(0, end="2026-03-01T09:00:03Z")


@refused(errors.Unregistered, what="cluster", key="nowhere")
def _deposit_in_no_cluster(h: History) -> Envelope:
    return resign(h.cast.deposit(h.cast.user.keyid, 1), cluster="nowhere")


@refused(errors.FromTheFuture, field="created_at", time="2026-03-01T09:05:02.001Z")
def _deposit_from_the_future(h: History) -> Envelope:
    return resign(h.cast.deposit(h.cast.user.keyid, 1), created_at="2026-03-01T09:05:02.001Z")


@refused(errors.Unregistered, what="manager", key=key("stranger").keyid)
def _cluster_bond_of_a_stranger(h: History) -> Envelope:
    return h.cast.deposit(key("stranger").keyid, 1, account="cluster-bond")


@refused(errors.AlreadyRecorded, what="deposit", key="wire-1")
def _deposit_twice(h: History) -> Envelope:
    h.write(h.cast.deposit(h.cast.user.keyid, 1, reference="wire-1"))
    return h.cast.deposit(key("sponsor").keyid, 2, reference="wire-1")


@refused(errors.Overflow, account="all accounts together")
def _deposit_of_all_money(h: History) -> Envelope:
    h.write(h.cast.deposit(key("sponsor").keyid, 10**36 - 1 - 10**12 - 7 * 10**11 - 10**12))
    return h.cast.deposit(h.cast.user.keyid, 1)


# --- withdrawals


@refused(errors.FromTheFuture, field="created_at", time="2026-03-01T09:05:02.001Z")
def _withdrawal_from_the_future(h: History) -> Envelope:
    return withdraw(h.cast, h.cast.user, 1, created_at="2026-03-01T09:05:02.001Z")


@refused(errors.Unregistered, what="account", key="provider of dragon-1")
def _withdrawal_of_earnings_in_a_cluster(h: History) -> Envelope:
    return withdraw(h.cast, h.cast.providers[0], 1, "provider", cluster="dragon-1")


@refused(errors.KeyNotInForce, lambda h: {"keyid": key("stranger").keyid}, role="bank")
def _withdrawal_through_no_bank(h: History) -> Envelope:
    return withdraw(h.cast, h.cast.user, 1, bank=key("stranger").keyid)


@refused(errors.StaleVersion, what="the withdrawal", created_at="2026-03-01T09:00:02Z", newest="2026-03-01T09:00:02Z")
def _withdrawal_of_the_same_moment(h: History) -> Envelope:
    h.write(withdraw(h.cast, h.cast.user, 1))
    return withdraw(h.cast, h.cast.user, 2)


@refused(errors.NotFree, lambda h: {"account": f"customer:dragon-1:{h.cast.user.keyid}"}, free="1", asked="2")
def _withdrawal_of_one_unit_more_than_is_free(h: History) -> Envelope:
    h.write(withdraw(h.cast, h.cast.user, 10**12 - 1))
    h.sleep(1)
    return withdraw(h.cast, h.cast.user, 2)


@refused(errors.NotFree, lambda h: {"account": f"provider:{h.cast.providers[0].keyid}"}, free="0", asked="1")
def _withdrawal_of_what_was_not_earned(h: History) -> Envelope:
    return withdraw(h.cast, h.cast.providers[0], 1, "provider")


@refused(errors.TooManyChunks, lambda h: {"account": f"customer:dragon-1:{h.cast.user.keyid}"}, limit=32)
def _withdrawal_number_33(h: History) -> Envelope:
    for _ in range(32):
        h.write(withdraw(h.cast, h.cast.user, 1))
        h.sleep(1)
    return withdraw(h.cast, h.cast.user, 1)


@refused(errors.InDebt, lambda h: {"customer": key("sponsor").keyid}, cluster="dragon-1", debt="2000000")
def _withdrawal_of_who_owes(h: History) -> Envelope:
    h.write(h.cast.payer(key("sponsor"), 10**15))
    h.work(0, Work(cpu_ms=1_000), customer=key("sponsor").keyid)
    h.attest(h.seal(0))
    h.tick(24 * HOUR_MS)
    return withdraw(h.cast, key("sponsor"), 1)


@refused(errors.BankShort, lambda h: {"bank": key("bank-2").keyid}, held="7", asked="8")
def _withdrawal_of_more_than_the_bank_brought_in(h: History) -> Envelope:
    h.write(
        resign(
            h.cast.deposit(h.cast.user.keyid, 7),
            without=[key("bank").keyid],
            extra=[key("bank-2")],
            bank=key("bank-2").keyid,
        )
    )
    return withdraw(h.cast, h.cast.user, 8, bank=key("bank-2").keyid)
