"""The payment of one record, and the work of an era, on entries made by hand: large numbers, other orders, one more and one less."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from proofroom.domain import merkle, recount
from proofroom.domain.recount_lines import Work, check_lines, inner_root
from proofroom.domain.verifier.entry import Entry, canonical, untag
from proofroom.domain.verifier.verdict import Fault, Verdict
from strategies.bare import BEGAN, DONE, GENESIS, LEDGER, VOTERS, entry, round_of, why

PLACE = {"cluster": "c", "era": 5}
AT = 300
"""Where the record stands."""


def root_of(*items: bytes) -> str:
    """The root of these, as a statement has it."""
    return f"blake3:{inner_root(items).hex()}"


def payment(
    work: int = AT,
    last: int = AT + 3,
    counted: int = 300,
    line: dict[str, Any] | None = None,
    whose: tuple[str, str] = ("customer", "u"),
    judged: int = AT + 2,
    at: int = AT + 3,
) -> str:
    """What is said of a record in a batch behind it, its tally, its line and the payment of the era at ``AT + 4``."""
    leaf: dict[str, Any] = {"party": whose[0], "key": whose[1], "attested": counted}
    paid = BEGAN | PLACE | {"first_index": 9, "last_index": last, "lines": 1}
    charge = entry(at, "payout", charge_of(300) | (line or {}), LEDGER)
    roots = {"completeness_root": root_of(canonical(leaf)), "lines_root": root_of(untag(charge.id))}
    entries = [
        GENESIS,
        entry(work, "activity", PLACE | DONE | {"customer": "u"}),
        entry(AT + 1, "batch-sealed", PLACE),
        entry(judged, "round-tallied", {}),
        charge,
        entry(AT + 4, "era-paid", paid | roots, LEDGER),
        entry(AT + 5, "tick", {}, LEDGER),
    ]
    return why(recount._check_payment, entries, [[]], leaf, (0, 1), [])


def charge_of(records: int) -> dict[str, Any]:
    """A charge of 7 units for so many records, all of it collected."""
    parts = {"charged": {"cpu": "7"}, "collected": {"cpu": "7"}, "debt": "0"}
    sides = {"debit": "customer:c:u", "credit": "clearing:c:5"}
    basis = {"customer": "u", "records": records} | parts
    return PLACE | {"line": 0, "role": "charge", "amount": "7", "basis": basis} | sides


def test_payments() -> None:
    """The record stands in the era, which ends right before its payment; the line is of this era, and counts as many."""
    assert payment() == payment(work=10) == ""
    for work, last in ((9, AT + 3), (AT + 4, AT + 3), (AT + 5, AT + 3), (AT, AT + 2), (AT, AT + 4)):
        assert payment(work, last) == "it does not pay the era of the record"
    for other in ({"era": 4}, {"era": 6}, {"cluster": "b"}, {"cluster": "d"}):
        assert payment(line=other) == "the line is of another era"
    for party, holder in (("customer", "t"), ("customer", "v"), ("agent", "u"), ("dealer", "u")):
        assert payment(whose=(party, holder)) == "the record's customer is not counted"
    for records in (299, 301):
        assert (
            payment(line={"basis": {"customer": "u", "records": records}})
            == "the line counts other records than the era"
        )
    for other in ({"debit": "customer:c:v"}, {"credit": "clearing:c:4"}):
        assert payment(line=other) == "its accounts are not those of its role"
    assert payment(line={"amount": "8"}) == "charges differ from what was collected and what is owed"


def test_nothing_is_paid_before_it_is_attested() -> None:
    """The lines stand right before the payment, and all tallies before them."""
    for at in (AT + 1, AT + 2):
        assert payment(at=at) == "the line is of another era"
    for judged in (AT + 3, AT + 4):
        assert payment(judged=judged) == "it was paid before it was attested"


def test_hundreds_of_lines() -> None:
    """A file may hold as many lines as it likes, each with its path: behind the charge those of the record's node."""
    pay = PLACE | {
        "role": "provider",
        "amount": "7",
        "debit": "clearing:c:5",
        "credit": "provider:p",
        "basis": {"node": "n"},
    }
    lines = [entry(AT + 101 + i, "payout", (pay if i else charge_of(1)) | {"line": i}, LEDGER) for i in range(300)]
    ids, leaf = [untag(e.id) for e in lines], {"party": "customer", "key": "u", "attested": 1}
    bounds = BEGAN | PLACE | {"first_index": 9, "last_index": AT + 400, "lines": 300}
    roots = {"completeness_root": root_of(canonical(leaf)), "lines_root": root_of(*ids)}
    entries = [
        GENESIS,
        entry(AT, "activity", PLACE | DONE | {"customer": "u", "node": "n"}),
        entry(AT + 1, "batch-sealed", PLACE),
        *lines,
        entry(AT + 401, "era-paid", bounds | roots, LEDGER),
    ]
    tree, nodes = merkle.Tree(), list[list[bytes]]()
    for id in ids:
        tree, completed = merkle.append(tree, merkle.INNER.leaf(id), merkle.INNER)
        nodes.append(completed)
    paths = [merkle.inclusion_path(i, 300, lambda h, k: nodes[(k + 1 << h) - 1][h], merkle.INNER) for i in range(300)]
    assert why(recount._check_payment, entries, paths, leaf, (0, 1), []) == ""
    assert why(recount._check_payment, entries, paths[1:], leaf, (0, 1), []) == "the lines and their paths do not match"


SIGNERS = {"agent-derived-key": "k", "orchestrator": "o", "agent-runtime": "r"}


def record(index: int, **signers: str) -> Entry:
    """A record by an orchestrator."""
    usage = {
        "compute": {"cpu_ms": 1, "gpu_units": 0},
        "data": dict.fromkeys(("byte_seconds", "bytes_streamed", "puts", "gets"), 0),
    }
    return entry(
        index,
        "activity",
        usage
        | DONE
        | {"agent": "a", "customer": "u", "node": "n", "record_id": f"dac-{index}", "signers": SIGNERS | signers},
        *(SIGNERS | signers).values(),
    )


def judged(
    at: int, records: list[Entry], number: int, votes: dict[str, int], attested: int | None = None
) -> list[Entry]:
    """A batch of these at an index, and its round: all five voters agree with some and find others out of scope."""
    count, place = len(records), {"cluster": "c", "era": 0, "batch": number}
    root = root_of(*(untag(e.id) for e in records))
    sealed = entry(at, "batch-sealed", place | {"count": count, "orchestrator": "o", "root": root}, "o")
    agree, reject = votes.get("agree", 0), votes.get("reject", 0)
    given = agree if attested is None else attested
    held = round_of(count, [(agree, {"out-of-scope": reject})] * 5, given, reject, start=at + 1, round=number)
    return [
        sealed,
        *(
            entry(e.index, e.kind, e.body | ({"batch": number} if "batch" in e.body else {}), *e.signers, id=e.id)
            for e in held
        ),
    ]


def paid(entries: list[Entry], attested: Counter[tuple[str, ...]], rejected: int = 0, **other: str) -> Entry:
    """The payment of an era with these."""
    records = [e for e in entries if e.kind == "activity"]
    counted = attested["customer", "u"]
    root = inner_root(recount._completeness(records, attested))
    unattested = len(records) - counted - rejected
    counts = {"recorded": len(records), "attested": counted, "rejected": rejected, "unattested": unattested}
    return entry(9_999, "era-paid", BEGAN | {"records": counts, "completeness_root": f"blake3:{root.hex()}"} | other)


def parties(count: int) -> Counter[tuple[str, ...]]:
    """Whom so many records count for."""
    return Counter({("agent", "a"): count, ("customer", "u"): count, ("node", "n"): count})


def test_many_records() -> None:
    """A batch of 300, all of them attested."""
    records = [record(i) for i in range(1, 301)]
    entries = [GENESIS, *records, *judged(400, records, 0, {"agree": (1 << 300) - 1})]
    assert recount._check_work(entries, entries, paid(entries, parties(300)), LEDGER).attested == parties(300)


def test_who_made_a_record_of_the_batch_does_not_vote_on_it() -> None:
    """Be it another record of the batch."""
    records = [record(1), record(2, **{"agent-runtime": VOTERS[0]})]
    entries = [GENESIS, *records, *judged(10, records, 0, {"agree": 0b11})]
    assert why(recount._check_work, entries, entries, paid(entries, parties(2)), LEDGER) == "a party to it votes on it"


def test_an_empty_batch() -> None:
    """There is none, although an empty tree has a root too."""
    sealed = entry(3, "batch-sealed", {"batch": 0, "count": 0, "orchestrator": "o", "root": root_of()}, "o")
    said = why(recount._check_work, [sealed], [sealed], entry(9, "era-paid", {}), LEDGER)
    assert said == "the batch is not of the oldest unsealed records"


def test_rejected_in_several_batches() -> None:
    """Are summed."""
    first, second = [record(1), record(2)], [record(3), record(4)]
    entries = [GENESIS, *first, *second, *judged(10, first, 0, {"reject": 1}), *judged(100, second, 1, {"reject": 1})]
    for rejected, said in ((2, ""), (1, "the records give other counts"), (0, "the records give other counts")):
        assert why(recount._check_work, entries, entries, paid(entries, Counter(), rejected), LEDGER) == said


def test_what_a_theft_takes_of_what_was_rejected() -> None:
    """The record of the stolen key, not its neighbours, wherever it stands in the batch."""
    records = [record(1), record(2), record(3, **{"agent-runtime": "stolen"}), record(4, **{"agent-runtime": "stolen"})]
    theft = entry(8, "compromise", {"identity": "stolen", "since_index": 0})
    entries = [GENESIS, *records, theft, *judged(10, records, 0, {"reject": 0b1110})]
    for rejected in (2, 3):
        said = why(recount._check_work, entries, entries, paid(entries, Counter(), rejected), LEDGER)
        assert said == "it counts what rests on a key that was stolen"
    said = why(recount._check_work, entries, entries, paid(entries, Counter(), 1), LEDGER)
    assert said == "it counts 1 of 3 verdicts: a compromise declared by entry 8 took back what rests on it"


def test_the_seal_comes_behind_all_that_it_counts() -> None:
    """And counts what was late before, too."""

    def said(seal: int, recorded: int = 300, batches: int = 1) -> str:
        sealed = entry(seal, "era-sealed", {"recorded": recorded, "batches": batches}, LEDGER)
        mine = [*(record(i) for i in range(1, 300)), entry(400, "batch-sealed", {}), sealed]
        return why(recount._check_seal, [record(0)], mine, LEDGER)

    assert said(500) == ""
    assert said(399) == "the batch-sealed comes after the seal of its era"
    assert said(298) == "the activity comes after the seal of its era"
    assert said(500, recorded=299) == said(500, recorded=301) == "the era has other recorded"
    assert said(500, batches=0) == said(500, batches=2) == "the era has other batches"


def test_left_out_of_several_batches() -> None:
    """Are summed, and the last theft is named."""
    first, second = [record(1)], [record(3)]
    thefts = [entry(at, "compromise", {"identity": "x", "since_index": 0}) for at in (5, 6)]
    judgements = [*judged(10, first, 0, {"agree": 1}, attested=0), *judged(100, second, 1, {"agree": 1}, attested=0)]
    entries = [GENESIS, *first, *second, *thefts, *judgements]
    with pytest.raises(Fault, match=r"it counts 0 of 2 verdicts: .* by entry 6 took") as raised:
        recount._check_work(entries, entries, paid(entries, Counter()), LEDGER)
    assert raised.value.verdict is Verdict.SUSPECT


@pytest.mark.parametrize("digit", "0f")
def test_other_roots(digit: str) -> None:
    """Lesser and greater ones than that of the records, or of the lines."""
    records, other = [record(1)], "blake3:" + 64 * digit
    assert why(recount._check_work, records, records, paid(records, Counter(), completeness_root=other), LEDGER) == (
        "the records give another completeness root"
    )
    assert (
        why(
            check_lines,
            [],
            entry(9, "era-paid", {"lines_root": other, "lines": 0}),
            LEDGER,
            Work(Counter(), Counter(), {}, True),
        )
        == "other lines"
    )


@pytest.mark.parametrize("kind", ["aaa", "zzz"])
def test_other_kinds_are_no_records(kind: str) -> None:
    """Neither of the era, nor of those that came late to it."""
    assert why(recount._check_work, [], [entry(1, kind, {})], paid([], Counter()), LEDGER) == ""
    first = entry(9, "era-paid", PLACE | {"era": 0})
    assert recount._late([entry(1, kind, {})], first, LEDGER) == []


def test_many_late_records() -> None:
    """As many as the era before says."""
    late = [entry(i, "activity", PLACE | {"era": 4}) for i in range(1, 301)]
    seal = entry(400, "era-sealed", PLACE | {"era": 4, "carried": int("300")}, LEDGER)
    assert recount._late([*late, seal], entry(999, "era-paid", PLACE), LEDGER) == late
