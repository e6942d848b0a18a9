"""An omission is provable: by one leaf that counts too little, or by all leaves where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.domain.canonical import decode, encode
from proofroom.domain.completeness import (
    Counted,
    find_omission,
    find_omission_over,
    parse_leaf,
    prove_leaf,
    verify_leaf,
    verify_leaves,
)
from proofroom.domain.counting import tallies_of
from proofroom.domain.eras import completeness_leaves
from proofroom.domain.errors import BadProof
from proofroom.domain.hashing import tagged
from proofroom.domain.ids import Digest, KeyId
from proofroom.domain.merkle import root_of
from proofroom.domain.state import UsageSum
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.settlement import EraPaid
from proofroom.testing.histories import History
from proofroom.testing.keys import key
from strategies.carrying import carried_history
from strategies.rooms import soak
from strategies.whole import whole_history


def paid_eras(history: History) -> list[tuple[EraPaid, list[bytes], dict[Digest, Activity]]]:
    """Each paid era with its leaves, as they stood just before, and its records."""
    found = []
    for entry, state in zip(history.entries, history.states, strict=False):
        if isinstance(paid := entry.statement, EraPaid):
            leaves = completeness_leaves(tallies_of(state.eras[paid.cluster, paid.era]))
            records = {
                Digest(e.verified.digest): e.statement
                for e in history.entries
                if isinstance(e.statement, Activity) and e.statement.era == paid.era
            }
            found.append((paid, leaves, records))
    return found


def test_what_is_counted_is_what_the_receipts_hold() -> None:
    """Of every party of every era: its leaf verifies, counts all its records, and one record more would be an omission."""
    for paid, leaves, records in paid_eras(whole_history()):
        for leaf in leaves:
            party, holder, *_ = parse_leaf(leaf)
            proof = prove_leaf(leaves, party, holder)
            assert proof is not None
            counted = verify_leaf(paid, proof)
            assert counted == verify_leaves(paid, leaves, party, holder)
            assert find_omission(paid, party, holder, counted, records) is None
            mine = {i: r for i, r in records.items() if getattr(r, party) == holder}
            assert len(mine) == counted.recorded
            more = records | {Digest("blake3:" + "00" * 32): next(iter(mine.values()))}
            assert "records" in (find_omission(paid, party, holder, counted, more) or "")


@settings(max_examples=soak(25, 2_000))
@given(st.data())
def test_a_leaf_that_says_less_or_more_does_not_verify(data: st.DataObject) -> None:
    """Any number of a leaf changed, or its place or path: the proof leads to another root."""
    paid, leaves, _ = data.draw(st.sampled_from([p for p in paid_eras(whole_history()) if p[1]]))
    party, holder, *_ = parse_leaf(data.draw(st.sampled_from(leaves)))
    proof = prove_leaf(leaves, party, holder)
    assert proof is not None
    value = decode(proof.leaf)
    name = data.draw(st.sampled_from(sorted(set(value) - {"party", "key"})))
    value[name] = type(value[name])(int(value[name]) + data.draw(st.sampled_from([1, 2, 10**6])))
    with pytest.raises(BadProof):
        verify_leaf(paid, proof._replace(leaf=encode(value)))
    if proof.path:
        at = data.draw(st.integers(0, len(proof.path) - 1))
        with pytest.raises(BadProof):
            verify_leaf(paid, proof._replace(path=(*proof.path[:at], bytes(32), *proof.path[at + 1 :])))


def test_an_omission_is_found() -> None:
    """A ledger that forgets a party, or a part of its work, commits to a root under which receipts contradict it."""
    paid, leaves, records = paid_eras(whole_history())[0]
    counted = parse_leaf(leaves[0])
    value = decode(leaves[0])
    forged = [
        leaves[1:],
        [encode(value | {"recorded": counted.recorded - 1}), *leaves[1:]],
        [encode(value | {"cpu_ms": str(counted.usage.cpu_ms - 1)}), *leaves[1:]],
    ]
    for lie in forged:
        dishonest = paid.model_copy(update={"completeness_root": tagged(root_of(lie))})
        with pytest.raises(BadProof):
            verify_leaves(paid, lie, counted.party, counted.key)
        told = verify_leaves(dishonest, lie, counted.party, counted.key)
        assert find_omission(dishonest, counted.party, counted.key, told, records)


def test_late_records_hide_no_omission() -> None:
    """An era that took in a late record of a wallet's and counts one record too few: seen only with the eras before it."""
    eras = paid_eras(carried_history())[:3]
    user = carried_history().cast.user.keyid
    told = [(paid, verify_leaves(paid, leaves, "customer", user)) for paid, leaves, _ in eras]
    records = {digest: record for _, _, mine in eras for digest, record in mine.items()}
    for until in (1, 2, 3):
        assert find_omission_over(told[:until], "customer", user, records) is None
    paid, counted = told[2]
    assert counted is not None
    assert counted.recorded == 2  # its own, and one that era 1 left
    lies = [
        counted._replace(recorded=1),
        counted._replace(usage=counted.usage._replace(cpu_ms=counted.usage.cpu_ms - 1)),
    ]
    for lie in lies:
        assert find_omission(paid, "customer", user, lie, records) is None
        assert "the eras count" in (find_omission_over([*told[:2], (paid, lie)], "customer", user, records) or "")
    assert find_omission_over(told[1:], "customer", user, {}) is None  # they may begin anywhere
    for others in ([told[0], told[2]], [told[0], told[0]], [told[1], told[0]], []):
        with pytest.raises(ValueError, match="consecutive"):
            find_omission_over(others, "customer", user, records)


def test_receipts_of_other_work_show_nothing() -> None:
    """Records of another era, or of somebody else, are passed over."""
    (paid, leaves, records), (_, _, others), *_ = paid_eras(whole_history())
    stranger = KeyId(key("stranger").keyid)
    assert prove_leaf(leaves, "customer", stranger) is None
    assert verify_leaves(paid, leaves, "customer", stranger) is None
    assert find_omission(paid, "customer", stranger, None, records) is None
    party, holder, *_ = parse_leaf(leaves[0])
    assert find_omission(paid, party, holder, None, others) is None
    assert find_omission(paid, party, holder, None, records)


def test_what_is_carried_excuses_as_many_records() -> None:
    """Of four and two that were left to the next era, six receipts say nothing, and seven show one to be missing: in one era or two."""
    paid, _, records = paid_eras(whole_history())[0]
    carrying, first = paid.model_copy(update={"carried": 2}), next(iter(records.values()))
    next_era = carrying.model_copy(update={"era": paid.era + 1})
    counted = Counted("customer", first.customer, 4, 4, UsageSum())
    for held, said in ((6, None), (7, f"4 records of {first.customer}, the receipts hold 7")):
        mine = {Digest(f"blake3:{i:064x}"): first for i in range(held)}
        one = find_omission(carrying, "customer", first.customer, counted, mine)
        two = find_omission_over([(paid, counted), (next_era, None)], "customer", first.customer, mine)
        assert (one, two) == (said and f"the era counts {said}", said and f"the eras count {said}")


@pytest.mark.parametrize("count", range(1, 20))
def test_every_leaf_of_many_is_proven(count: int) -> None:
    """At its place, against the root of all of them."""
    usage = dict.fromkeys(UsageSum._fields, "1")
    leaves = [encode({"party": "agent", "key": f"k{i}", "recorded": i, "attested": 0} | usage) for i in range(count)]
    paid = paid_eras(whole_history())[0][0].model_copy(update={"completeness_root": tagged(root_of(leaves))})
    for i in range(count):
        proof = prove_leaf(leaves, "agent", KeyId(f"k{i}"))
        assert proof is not None
        assert verify_leaf(paid, proof).recorded == i


@pytest.mark.parametrize("leaf", [b"{}", b'{"party":"agent"}', encode({"party": "agent", "key": "k", "recorded": 1})])
def test_what_is_no_leaf(leaf: bytes) -> None:
    """Something else than a leaf is named so."""
    with pytest.raises(BadProof):
        parse_leaf(leaf)
