"""Lines as statements write them: the work behind each role, and the sums of an era."""

from __future__ import annotations

from typing import Any

import pytest

from proofroom.domain.claims import Line
from proofroom.domain.ids import Digest
from proofroom.domain.lines import basis_of, totals_of

PARTY = "ed25519:" + "2" * 64
LISTING = Digest("blake3:" + "1" * 64)
CHARGE = Line("charge", "a", "b", 9, PARTY, 4, (1, 2, 3, 4, 5, 6), (0, 1, 2, 1, 2, 3))
FEE = Line("fee", "a", "b", 6, PARTY, 2, (13,), (6,), LISTING)


def of(role: Any, amount: int = 7, party: str = PARTY) -> Line:
    """A line that pays out."""
    return Line(role, "b", "c", amount, party, 3, (), (), LISTING)


def read(line: Line) -> Line:
    """The same line with its role as a text of its own, as what was read has it."""
    return line._replace(role="".join(list(line.role)))  # type: ignore[arg-type]  # one of the roles


@pytest.mark.parametrize(
    ("line", "basis"),
    [
        (CHARGE, {
            "customer": PARTY, "records": 4, "debt": "12",
            "charged": {"cpu": "1", "gpu": "2", "streamed": "3", "stored": "4", "puts": "5", "gets": "6"},
            "collected": {"cpu": "0", "gpu": "1", "streamed": "2", "stored": "1", "puts": "2", "gets": "3"},
        }),
        (FEE, {"customer": PARTY, "listing": LISTING, "records": 2, "fee": "13", "debt": "7"}),
        (of("validator"), {"validator": PARTY, "records": 3}),
        (of("provider", party="alpha"), {"node": "alpha", "records": 3}),
        (of("marketplace", party="bazaar"), {"marketplace": "bazaar", "listing": LISTING}),
        (of("creator"), {"creator": PARTY, "listing": LISTING}),
        (of("treasury"), {}),
        (of("reserve"), {}),
    ],
)  # fmt: skip
def test_basis(line: Line, basis: dict[str, Any]) -> None:
    """Who, how many records, what was asked and what is owed."""
    assert basis_of(read(line)).model_dump(exclude_none=True, exclude_unset=True) == basis


def test_totals() -> None:
    """Sums by role; those of fees only where there is one, also one that nobody could pay."""
    protocol = [
        CHARGE,
        CHARGE,
        of("treasury", 1),
        of("reserve", 2),
        of("validator", 3),
        of("provider", 5),
        of("provider", 7),
    ]
    plain = {
        "charged": "42", "collected": "18", "debt": "24", "treasury": "1", "reserve": "2", "validators": "3", "providers": "12",
    }  # fmt: skip
    assert totals_of(tuple(map(read, protocol))).model_dump(exclude_none=True, exclude_unset=True) == plain
    sold = [FEE, FEE._replace(amount=0), of("marketplace", 2), of("creator", 1), of("creator", 2)]
    fees = {"fees_charged": "26", "fees_collected": "6", "fees_debt": "20", "marketplaces": "2", "creators": "3"}
    assert (
        totals_of(tuple(map(read, (*protocol, *sold)))).model_dump(exclude_none=True, exclude_unset=True)
        == plain | fees
    )
