"""The marketplace: listings, their versions, and what a record that is sold owes (protocol 6).

A record names the version of a listing that is in force at its index, and keeps it: what a later version says never changes what was
recorded. A fee is charged only under a cap that the customer signed (a ``payer`` statement), also where the customer is the grant's user.
"""

from __future__ import annotations

from proofroom.domain.charging import charge_at_most
from proofroom.domain.claims import ListingFacts, MarketFacts, Terms
from proofroom.domain.consent import check_not_ahead
from proofroom.domain.entry import Entry
from proofroom.domain.errors import AlreadyRecorded, BadListing, NotListed, StaleVersion
from proofroom.domain.identity import is_trusted
from proofroom.domain.ids import Digest, from_ms
from proofroom.domain.money import RATIO_ONE, parse_amount, parse_ratio
from proofroom.domain.state import Parameters, State, UsageSum
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.marketplace import Listing, Marketplace


def apply_marketplace(state: State, entry: Entry, s: Marketplace) -> State:
    """A marketplace opens, or asks for another share from now on.

    Raises:
        AlreadyRecorded: the name belongs to another owner.
        StaleVersion: not newer than the version before.
    """
    created_at_ms = check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    before = state.marketplaces.get(s.marketplace)
    if before is not None and before.owner != s.owner:
        raise AlreadyRecorded(what="marketplace", key=s.marketplace)
    if before is not None and created_at_ms <= before.created_at_ms:
        raise StaleVersion(what="the marketplace", created_at=s.created_at, newest=from_ms(before.created_at_ms))
    facts = MarketFacts(s.owner, parse_ratio(s.share), created_at_ms)
    return state._replace(marketplaces=state.marketplaces.set(s.marketplace, facts))


def apply_listing(state: State, entry: Entry, s: Listing) -> State:
    """A new version of a listing; records can name it from now on, and the one before no more.

    Raises:
        StaleVersion: not newer than the version before.
        BadListing: no such marketplace, another share than it asks for, or a creator twice.
    """
    created_at_ms = check_not_ahead("created_at", s.created_at, entry.recorded_at_ms)
    before = state.listings.get((s.agent, s.listing))
    if before is not None and created_at_ms <= before.created_at_ms:
        raise StaleVersion(what="the listing", created_at=s.created_at, newest=from_ms(before.created_at_ms))
    terms = _read_terms(state, entry, s)
    offers = state.offers if before is None or before.digest not in state.offers else state.offers.delete(before.digest)
    return state._replace(
        listings=state.listings.set((s.agent, s.listing), ListingFacts(terms.digest, created_at_ms)),
        offers=offers if s.withdrawn else offers.set(terms.digest, terms),
    )


def _read_terms(state: State, entry: Entry, s: Listing) -> Terms:
    market = state.marketplaces.get(s.marketplace)
    if market is None:
        raise BadListing(listing=s.listing, why=f"there is no marketplace {s.marketplace}")
    if parse_ratio(s.marketplace_share) != market.share:
        raise BadListing(listing=s.listing, why=f"{s.marketplace} asks for a share of {market.share}")
    creators = sorted((c.creator, c.weight) for c in s.creators)
    if len({creator for creator, _ in creators}) < len(creators):
        raise BadListing(listing=s.listing, why="a creator is named twice")
    return Terms(
        digest=Digest(entry.verified.digest),
        agent=s.agent,
        cluster=s.cluster or "",
        price=parse_amount(s.price_per_record),
        ratio=parse_ratio(s.ratio),
        creators=tuple(creators),
        marketplace=s.marketplace,
        owner=market.owner,
        share=market.share,
        log_index=entry.index,
    )


def terms_in_force(state: State, s: Activity) -> Terms | None:
    """The version of the listing that a record is sold under; None when it is not sold.

    Raises:
        NotListed: it is not in force, of another agent service, of another cluster, in doubt since a key was stolen, or names a judge.
    """
    if s.listing is None:
        return None
    terms = state.offers.get(s.listing)
    if terms is None or terms.agent != s.agent or terms.cluster not in ("", s.cluster):
        raise NotListed(listing=s.listing)
    if not is_trusted(state, terms.agent, terms.log_index) or _names_judge(state, s.cluster, terms):
        raise NotListed(listing=s.listing)
    return terms


def _names_judge(state: State, cluster: str, terms: Terms) -> bool:
    """Whether a creator is a validator of the cluster, or controls one.

    Creators do not judge what they earn from, and an agent service names them without their word: it could leave its friends alone in
    the draw.
    """
    creators = {creator for creator, _ in terms.creators}
    validators = state.validators[cluster].items() if creators else ()
    return any(facts.status == "active" and {key, facts.controller} & creators for key, facts in validators)


def fee_at_most(usage: UsageSum, parameters: Parameters, terms: Terms | None) -> int:
    """The most that one record can add to a listing's fee, whatever else it is summed with: ``price + ceil(ratio * charge_at_most)``."""
    if terms is None:
        return 0
    return terms.price - (-charge_at_most(usage, parameters) * terms.ratio // RATIO_ONE)
