"""Payouts of what was collected, by hand: what has no receiver, and how many records a line is for."""

from __future__ import annotations

from proofroom.domain.claims import Terms
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.payouts import Collected, Shares, compute_payouts
from proofroom.testing.keys import signer

CUSTOMER, JUDGE, PROVIDER, CREATOR = (signer(n).keyid for n in range(4))
LISTING = Digest(f"blake3:{1:064x}")
TENTH = 10**17
TERMS = Terms(
    digest=LISTING,
    agent=CUSTOMER,
    cluster="",
    price=0,
    ratio=0,
    creators=((CREATOR, 1),),
    marketplace="bazaar",
    owner=PROVIDER,
    share=3 * TENTH,
)
PAID = Collected(
    paid={CUSTOMER: 100},
    fees={LISTING: 10},
    shares=Shares(0, 0, TENTH),
    judges={JUDGE: 7},
    values={CUSTOMER: {"alpha": 5}},
    providers={"alpha": PROVIDER},
    records={"alpha": 9},
    terms={LISTING: TERMS},
)


def lines_of(collected: Collected) -> dict[str, tuple[int, int]]:
    """Amount and number of records of each line that is not zero, by role."""
    return {line.role: (line.amount, line.records) for line in compute_payouts("c", 7, collected) if line.amount}


def test_lines_say_for_how_many_records() -> None:
    """Those of validators and providers; where nothing is known of the work, as in what repays a debt, they say none."""
    assert lines_of(PAID) == {"validator": (10, 7), "provider": (90, 9), "marketplace": (3, 0), "creator": (7, 0)}
    assert lines_of(PAID._replace(records={}))["provider"] == (90, 0)


def test_what_has_no_receiver_is_reserved() -> None:
    """The part of the validators, where none judged as the rounds did; what a customer pays for work that costs nothing; both, summed."""
    nobody: dict[KeyId, int] = {}
    assert lines_of(PAID._replace(judges=nobody))["reserve"] == (10, 0)
    assert lines_of(PAID._replace(values={CUSTOMER: {"alpha": 0}}))["reserve"] == (90, 0)
    assert lines_of(PAID._replace(judges=nobody, values={CUSTOMER: {}}))["reserve"] == (100, 0)
