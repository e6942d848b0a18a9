"""What marketplaces and agent services sign to sell, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proofroom.adapters.cast import Cast
from proofroom.adapters.keys import Key
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.statements.marketplace import Creator, Listing, Marketplace

if TYPE_CHECKING:
    from proofroom.testing.histories import History

TENTH = 10**17


def open_market(
    cast: Cast, name: str = "bazaar", share: int = TENTH, owner: Key | None = None, **changes: Any
) -> Envelope:
    """A marketplace opens, or asks for another share; its owner is the key of its name."""
    owner = owner or cast.key(name)
    fields: dict[str, Any] = {
        "ledger": cast.ledger,
        "marketplace": name,
        "owner": owner.keyid,
        "share": str(share),
        "created_at": cast.now(),
    }
    return sign(Marketplace(**fields | changes), owner)


def sell(
    cast: Cast, price: int = 1_000, ratio: int = 0, creators: Mapping[KeyId, int] | None = None, **changes: Any
) -> Envelope:
    """The cast's agent service lists its work."""
    made_by = creators or {cast.key("creator").keyid: 1}
    fields: dict[str, Any] = {
        "ledger": cast.ledger,
        "agent": cast.agent.keyid,
        "listing": "calendar-pro",
        "cluster": None,
        "price_per_record": str(price),
        "ratio": str(ratio),
        "creators": tuple(Creator(creator=c, weight=w) for c, w in made_by.items()),
        "marketplace": "bazaar",
        "marketplace_share": str(TENTH),
        "withdrawn": False,
        "created_at": cast.now(),
    }
    return sign(Listing(**fields | changes), cast.agent)


def list_work(history: History, **changes: Any) -> Digest:
    """Record a version of the cast's listing; the digest by which records name it."""
    return Digest(history.write(sell(history.cast, **changes)).verified.digest)
