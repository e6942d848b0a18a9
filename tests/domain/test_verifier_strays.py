"""What a file holds besides, and what only nearly fits: other kinds, other places, other parties, large numbers."""

from __future__ import annotations

from typing import Any

import pytest

from proofroom.domain import merkle
from proofroom.domain.verifier import record
from proofroom.domain.verifier.tree import check_consistency, check_inclusion, log_leaf
from proofroom.domain.verifier.verdict import Fault
from strategies.bare import (
    LEDGER,
    b64,
    batch,
    certificate,
    entry,
    grant,
    granted,
    judged,
    link,
    refused,
    round_of,
    unfounded,
)

PLACE = {"cluster": "c", "era": 0, "batch": 0}


def test_an_era_that_nobody_reaches() -> None:
    """A batch says that it is of the last era there can be: without a seal between, that is looked at no further."""
    work = entry(10, "activity", {"cluster": "c", "era": 3})
    held = entry(30, "batch-sealed", {"cluster": "c", "era": 2**53 - 1})
    with pytest.raises(Fault, match="it is not the batch of the record"):
        record._check_batch([entry(0, "genesis", {"ledger_key": LEDGER}, LEDGER)], work, held)


def test_an_era_that_left_less_than_nothing() -> None:
    """Left no record."""
    work, held = (
        entry(10, "activity", {"cluster": "c", "era": 3}),
        entry(30, "batch-sealed", {"cluster": "c", "era": 4}),
    )
    seal = entry(20, "era-sealed", {"cluster": "c", "era": 3, "carried": -1}, LEDGER)
    with pytest.raises(Fault, match="it left no such record"):
        record._check_batch([entry(0, "genesis", {"ledger_key": LEDGER}, LEDGER), seal], work, held)


def test_names_that_are_none() -> None:
    """What stands beside the record may name a list where a party belongs: it is refused, or looked past, and ends no verifier."""
    work, held = (
        entry(10, "activity", {"cluster": "c", "era": 3}),
        entry(30, "batch-sealed", {"cluster": "c", "era": 4}),
    )
    genesis = entry(0, "genesis", {"ledger_key": LEDGER}, LEDGER)
    for kind, said in (("era-sealed", "has no str cluster"), ("round-tallied", "it is not the batch of the record")):
        with pytest.raises(Fault, match=said):
            record._check_batch([genesis, entry(20, kind, {"cluster": ["c"], "era": 3})], work, held)
    outcome = record.check_round([genesis, batch(9), *round_of(9, [(1, {})] * 3, 1)], batch(9), LEDGER)
    others: list[dict[str, Any]] = [{"agent": ["a"]}, {"customer": {}}, {"creators": [5, {}, {"creator": []}]}]
    for body in others:
        record.check_independent(outcome, batch(9), [entry(5, "listing", {"creators": []} | body, "x")])
    delegation = entry(4, "delegation", grant(4).body | {"delegator": ["d"]}, "user")
    assert granted(grant(3), certificate(), delegation) == []


@pytest.mark.parametrize("other", ["aaa", "zzz"])
def test_a_chain_is_one_users(other: str) -> None:
    """A delegation under a grant that another user gave to the same agent passes nothing on."""
    chain = grant(3, by=other, user_pub_key=other), link(4, "L1", "agent", "s1", "G")
    why, _ = refused(*chain, certificate(agent="s1"), relies="L1", agent="s1", customer="user")
    assert why == "the grant is for another agent, scope or operation, or may not be passed on"


@pytest.mark.parametrize("key", ["a", "z"])
def test_a_certificate_of_another_key(key: str) -> None:
    """Before or behind the record's own in order."""
    other = entry(4, "agent-key", certificate().body | {"key": key}, "agent", key)
    assert refused(grant(3), other)[0] == "it certifies another key, or for another scope"
    assert granted(grant(3), certificate()) == []


@pytest.mark.parametrize("kind", ["aaa", "zzz"])
def test_other_kinds_are_no_part_of_a_round(kind: str) -> None:
    """Whatever they say of themselves, and whoever signed them."""
    held = round_of(9, [(1, {})] * 3, 1)
    opened, tallied = held[0], held[-1]
    for index, like in ((21, opened), (69, tallied)):
        assert judged(9, *held, entry(index, kind, like.body, "x")) == (1, 0, 0)


def test_rounds_of_other_places() -> None:
    """Of another cluster, era or batch: not of this one."""
    for other in ({"cluster": "b"}, {"cluster": "d"}, {"era": -1}, {"era": 1}, {"batch": -1}, {"batch": 1}):
        away = [entry(e.index, e.kind, e.body | other, *e.signers) for e in round_of(9, [(1, {})] * 3, 1)]
        assert unfounded(9, *away) == "the file holds no tally of the batch"


def test_what_was_not_passed_on() -> None:
    """Where a tally leaves nothing open, no later one judges its first position either."""
    first = round_of(9, [(0b10, {})] * 3, 0b10)
    later = round_of(9, [(0b1, {})] * 3, 0b1, judged=b64(0b1, 9), start=100, round=1, level=1)
    assert unfounded(9, *first, *later) == "it judges other records than were left open"


def test_large_numbers() -> None:
    """Batches and rounds beyond 256, of as many records."""
    count = int("300")
    entries = [
        entry(
            e.index,
            e.kind,
            e.body | {"round": int("300")} | ({"batch": int("301")} if "batch" in e.body else {}),
            *e.signers,
        )
        for e in round_of(count, [], 0, seats=1)
    ]
    held = entry(10, "batch-sealed", batch(int("300")).body | {"batch": int("301")})
    assert record.check_round([held, *entries], held, LEDGER)[:3] == (0, 0, 0)


def test_the_last_leaf_of_many() -> None:
    """A leaf, and an older tree, at the end of one of 1,025."""
    leaves = [log_leaf(b"%d" % i) for i in range(1_025)]
    tree, root = merkle.extend(merkle.Tree(), leaves[:-1]), merkle.root(merkle.extend(merkle.Tree(), leaves))
    check_inclusion(leaves[-1], 1_024, 1_025, [merkle.root(tree)], root)
    check_consistency(1_024, 1_025, [leaves[-1]], merkle.root(tree), root)
