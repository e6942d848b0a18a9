"""Lines of settlements as statements write them: the work behind each, and the sums."""

from __future__ import annotations

from proofroom.domain.charging import Parts
from proofroom.domain.claims import Line
from proofroom.domain.ids import KeyId
from proofroom.domain.statements.settlement import Basis, ChargeParts, Totals


def basis_of(line: Line) -> Basis:
    """The work behind a line, in the fields of its role."""
    if line.role == "charge":
        return Basis(
            customer=KeyId(line.party),
            records=line.records,
            charged=_parts(line.charged),
            collected=_parts(line.collected),
            debt=str(sum(line.charged) - line.amount),
        )
    if line.role == "fee":
        (fee,) = line.charged
        return Basis(
            customer=KeyId(line.party),
            listing=line.listing,
            records=line.records,
            fee=str(fee),
            debt=str(fee - line.amount),
        )
    if line.role == "validator":
        return Basis(validator=KeyId(line.party), records=line.records)
    if line.role == "provider":
        return Basis(node=line.party, records=line.records)
    if line.role == "marketplace":
        return Basis(marketplace=line.party, listing=line.listing)
    if line.role == "creator":
        return Basis(creator=KeyId(line.party), listing=line.listing)
    return Basis()


def _parts(amounts: tuple[int, ...]) -> ChargeParts:
    return ChargeParts(**{name: str(amount) for name, amount in zip(Parts._fields, amounts, strict=True)})


def totals_of(lines: tuple[Line, ...]) -> Totals:
    """The sums of an era's lines, by role."""

    def total(role: str) -> int:
        return sum(line.amount for line in lines if line.role == role)

    def charged(role: str) -> int:
        return sum(sum(line.charged) for line in lines if line.role == role)

    amounts = {
        "charged": charged("charge"),
        "collected": total("charge"),
        "debt": charged("charge") - total("charge"),
        "providers": total("provider"),
        "validators": total("validator"),
        "treasury": total("treasury"),
        "reserve": total("reserve"),
    }
    if any(line.role == "fee" for line in lines):
        amounts |= {
            "fees_charged": charged("fee"),
            "fees_collected": total("fee"),
            "fees_debt": charged("fee") - total("fee"),
            "marketplaces": total("marketplace"),
            "creators": total("creator"),
        }
    return Totals(**{name: str(amount) for name, amount in amounts.items()})
