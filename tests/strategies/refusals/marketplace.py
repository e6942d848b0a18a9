"""What is refused of listings and what is sold."""

from __future__ import annotations

from proofroom.domain import errors
from proofroom.domain.envelope import Envelope
from proofroom.domain.ids import Digest
from proofroom.domain.statements.marketplace import Creator
from proofroom.testing.histories import History, resign
from proofroom.testing.keys import key
from strategies.consenting import compromise, set_recovery
from strategies.refusals.cases import refused
from strategies.selling import list_work, open_market, sell


@refused(errors.FromTheFuture, field="created_at", time="2026-03-01T09:05:02.001Z")
def _marketplace_from_the_future(h: History) -> Envelope:
    return open_market(h.cast, created_at="2026-03-01T09:05:02.001Z")


@refused(errors.AlreadyRecorded, what="marketplace", key="bazaar")
def _marketplace_of_another(h: History) -> Envelope:
    h.write(open_market(h.cast))
    h.sleep(1)
    return open_market(h.cast, owner=key("stranger"))


@refused(errors.StaleVersion, what="the marketplace", created_at="2026-03-01T09:00:02Z", newest="2026-03-01T09:00:02Z")
def _marketplace_of_the_same_moment(h: History) -> Envelope:
    h.write(open_market(h.cast))
    return open_market(h.cast, share=0)


@refused(errors.StaleVersion, what="the listing", created_at="2026-03-01T09:00:02Z", newest="2026-03-01T09:00:02Z")
def _listing_of_the_same_moment(h: History) -> Envelope:
    h.write(open_market(h.cast), sell(h.cast))
    return sell(h.cast, price=1)


@refused(errors.BadListing, listing="calendar-pro", why="there is no marketplace bazaar")
def _listing_in_no_marketplace(h: History) -> Envelope:
    return sell(h.cast)


@refused(errors.BadListing, listing="calendar-pro", why="bazaar asks for a share of 100000000000000000")
def _listing_that_cuts_its_marketplace(h: History) -> Envelope:
    h.write(open_market(h.cast))
    return sell(h.cast, marketplace_share=str(10**17 - 1))


@refused(errors.BadListing, listing="calendar-pro", why="a creator is named twice")
def _listing_with_a_creator_twice(h: History) -> Envelope:
    h.write(open_market(h.cast))
    twice = Creator(creator=key("creator").keyid, weight=1)
    return resign(sell(h.cast), creators=[twice.to_json()] * 2)


@refused(errors.NotListed, lambda h: {"listing": listed(h)[0]})
def _record_under_a_version_that_was_replaced(h: History) -> Envelope:
    h.write(open_market(h.cast), h.cast.payer(h.cast.user, 10**12))
    list_work(h)
    h.sleep(1)
    list_work(h, price=1)
    return h.cast.activity(h.grant, 0, listing=listed(h)[0])


@refused(errors.NotListed, lambda h: {"listing": listed(h)[1]})
def _record_under_a_listing_that_was_withdrawn(h: History) -> Envelope:
    h.write(open_market(h.cast), h.cast.payer(h.cast.user, 10**12))
    list_work(h)
    h.sleep(1)
    list_work(h, withdrawn=True)
    return h.cast.activity(h.grant, 0, listing=listed(h)[1])


@refused(errors.NotListed, lambda h: {"listing": listed(h)[0]})
def _record_under_a_listing_for_another_cluster(h: History) -> Envelope:
    h.write(open_market(h.cast), h.cast.payer(h.cast.user, 10**12))
    return h.cast.activity(h.grant, 0, listing=list_work(h, cluster="elsewhere"))


@refused(errors.NotListed, lambda h: {"listing": listed(h)[0]})
def _record_under_a_listing_of_another_service(h: History) -> Envelope:
    h.write(open_market(h.cast), h.cast.payer(h.cast.user, 10**12))
    h.write(resign(sell(h.cast), without=[h.cast.agent.keyid], extra=[key("agent-2")], agent=key("agent-2").keyid))
    return h.cast.activity(h.grant, 0, listing=listed(h)[0])


def listed(h: History) -> list[Digest]:
    """The versions of listings, in the order of the log."""
    return [Digest(e.verified.digest) for e in h.entries if e.statement.kind == "listing"]


@refused(errors.NotListed, lambda h: {"listing": listed(h)[0]})
def _record_under_a_listing_of_a_thief(h: History) -> Envelope:
    h.write(open_market(h.cast), h.cast.payer(h.cast.user, 10**12), set_recovery(h.cast, h.cast.agent, key("recovery")))
    since = h.state.size
    list_work(h)
    h.write(compromise(h.cast, h.cast.agent, since, key("successor"), key("recovery")))
    return h.cast.activity(h.grant, 0, listing=listed(h)[0])
