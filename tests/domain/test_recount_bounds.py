"""The recount's rules of money, each by itself on entries of its own: just within the rule, and just beyond."""

from __future__ import annotations

import base64
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import merkle, recount
from proofroom.domain.entry import entry_bytes
from proofroom.domain.ids import KeyId
from proofroom.domain.signatures import Signature, encode_signatures
from proofroom.domain.signing import pae
from proofroom.domain.verifier.entry import Entry, canonical, digest, untag
from proofroom.domain.verifier.note import Checkpoint
from proofroom.domain.verifier.proof import File
from proofroom.domain.verifier.tree import inner_leaf, log_leaf, log_node
from proofroom.testing.keys import key
from strategies.bare import LEDGER, why


def entry(index: int, kind: str, body: dict[str, Any], *signers: str) -> Entry:
    """An entry that says this, signed by these, or by the ledger."""
    return Entry(index, index, kind, f"blake3:{index:064x}", frozenset(signers or (LEDGER,)), body)


# --- amounts and usage


@pytest.mark.parametrize("text", ["0", "1", "10", "9" * 36])
def test_amounts(text: str) -> None:
    """Of up to 36 digits."""
    assert recount._amount(entry(0, "x", {"a": text}), "a") == int(text)


@pytest.mark.parametrize("text", ["", "00", "01", "-1", "+1", "1.0", "9" * 37, " 1", "1\n", "\u0661"])
def test_what_is_no_amount(text: str) -> None:
    """One form each, and no more than 36 digits."""
    assert why(recount._amount, entry(0, "x", {"a": text}), "a") == "a is no amount"


def test_usage() -> None:
    """GPU seconds in millionths, whether written with a fraction or without; all else as it stands."""
    compute: dict[str, Any] = {"cpu_ms": 7}
    body = {"compute": compute, "data": {"puts": 3}}
    for units, micro in ((Decimal("1.000001"), 1_000_001), (Decimal("0.5"), 500_000), (2, 2_000_000), (0, 0)):
        compute["gpu_units"] = units
        assert recount._usage(entry(0, "x", body), "gpu_micro", "compute.gpu_units") == micro
    assert recount._usage(entry(0, "x", body), "cpu_ms", "compute.cpu_ms") == 7
    assert recount._usage(entry(0, "x", body), "puts", "data.puts") == 3


# --- the run


@given(st.integers(1, 70), st.data())
def test_runs(size: int, data: st.DataObject) -> None:
    """Any part of a tree without a gap; nothing else in its place."""
    first = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(first + 1, size))
    leaves = [log_leaf(bytes([i])) for i in range(size)]
    root = _mth(leaves)
    around = merkle.run_path(first, end, size, lambda height, k: _mth(leaves[k << height : (k + 1) << height]))
    run = leaves[first:end]
    recount.check_run(run, first, size, around, root)
    bad = [
        (run, first + 1, size, around, root),
        (run, first - 1, size, around, root),
        ([], first, size, around, root),
        (run[:-1], first, size, around, root),
        ([*run, bytes(32)], first, size, around, root),
        (run, first, size, [*around, bytes(32)], root),
        (run, first, size, around, bytes(32)),
        (run, first, size, around, b"\xff" * 32),
        (run, first, end - 1, around, root),
        (run, first, 0, around, root),
        ([bytes(32), *run[1:]], first, size, around, root),
    ]
    if around:
        bad += [(run, first, size, around[:-1], root), (run, first, size, [bytes(32), *around[1:]], root)]
    for arguments in bad:
        assert why(recount.check_run, *arguments).startswith("the entries are not the run"), arguments


def _mth(leaves: list[bytes]) -> bytes:
    """RFC 9162 2.1.1, as it is written."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return log_node(_mth(leaves[:k]), _mth(leaves[k:]))


def test_a_run_beyond_the_log() -> None:
    """Leaves that would stand behind the last are none of the tree, even if what is before them fits."""
    leaves = [log_leaf(bytes([i])) for i in range(3)]
    root = _mth(leaves)
    assert why(recount.check_run, [*leaves, bytes(32)], 0, 3, [], root).startswith("the entries are not the run")
    assert why(recount.check_run, leaves, 0, 3, [], root) == ""


def test_indexes_of_a_run() -> None:
    """Each entry says the index at which it stands, from the first to the last."""

    def run(*indexes: int) -> str:
        kind, signer = "application/vnd.proofroom.tick.v1+json", key("a")
        signed = encode_signatures((Signature(KeyId(signer.keyid), signer.sign(pae(kind, b"{}"))),))
        data = [entry_bytes(index, 0, kind, b"{}", signed) for index in indexes]
        head = Checkpoint("", len(data), _mth([log_leaf(item) for item in data]), b"", (), "")
        entries = [base64.b64encode(item).decode() for item in data]
        return why(recount.run_of, File("era", None, head, [], {"run": {"entries": entries, "around": [], "first": 0}}))

    assert run(0) == run(0, 1, 2) == ""
    for indexes in ((1,), (0, 2), (0, 0), (1, 0), (0, 1, 3)):
        assert run(*indexes) == "an entry of the run has another index"


# --- the lines


def line(number: int, role: str, amount: int, **fields: Any) -> Entry:
    """A payout line: charges go into a pot, and all else out of it; fees and their shares into and out of another."""
    pot = "market" if role in recount.MARKET else "pot"
    sides = {"debit": "someone", "credit": pot} if role in ("charge", "fee") else {"debit": pot, "credit": "someone"}
    body = {"line": number, "role": role, "amount": str(amount), "basis": {}} | sides
    return entry(10 + number, "payout", body | fields)


def charge(number: int, amount: int, debt: int = 0, records: int = 0, customer: str = "u", **fields: Any) -> Entry:
    parts = {"cpu": str(amount), "gpu": str(debt)}
    basis = {"charged": parts, "debt": str(debt), "customer": customer, "records": records}
    return line(number, "charge", amount, **{"basis": basis} | fields)


def fee(number: int, amount: int, debt: int = 0) -> Entry:
    return line(number, "fee", amount, basis={"fee": str(amount + debt), "debt": str(debt)})


def provider(number: int, amount: int, records: int = 0, node: str = "n") -> Entry:
    return line(number, "provider", amount, basis={"node": node, "records": records})


def lines_hold(lines: list[Entry], attested: Any = None, **totals: Any) -> str:
    """What is said of an era with these lines and totals."""
    names = {**recount.TOTALS, **(recount.FEE_TOTALS if any(e.body["role"] == "fee" for e in lines) else {})}
    count = totals.pop("count", len(lines))
    stated = {name: str(totals.pop(name, 0)) for name in names} | totals
    root = f"blake3:{recount.inner_root([untag(e.id) for e in lines]).hex()}"
    paid = entry(99, "era-paid", {"lines_root": root, "lines": count, "totals": stated})
    return why(recount._check_lines, lines, paid, LEDGER, Counter(attested or {}))


def test_lines_in_balance() -> None:
    """What went in comes out, to the unit; a pot each for charges and for fees."""
    assert lines_hold([]) == ""
    one = [charge(0, 10), provider(1, 7), line(2, "treasury", 2), line(3, "reserve", 1)]
    totals = {"charged": 10, "collected": 10, "providers": 7, "treasury": 2, "reserve": 1}
    assert lines_hold(one, **totals) == ""
    for wrong in (6, 8):
        assert (
            lines_hold([*one[:1], provider(1, wrong), *one[2:]], **totals | {"providers": wrong})
            == "debits and credits differ"
        )
    aside = line(3, "reserve", 1, debit="elsewhere")
    assert lines_hold([*one[:3], aside], **totals) == "debits and credits differ"
    for name, total in totals.items():
        assert lines_hold(one, **totals | {name: total + 1}) == f"the lines give another total {name}"
    for count in (3, 5):
        assert lines_hold(one, **totals, count=count) == "other lines"
    for number in (1, 3):
        moved = [*one[:2], line(number, "treasury", 2), one[3]]
        assert lines_hold(moved, **totals) == "a line is missing"
    assert "is not signed" in lines_hold([entry(10, "payout", one[0].body, "x"), *one[1:]], **totals)


def test_lines_of_what_is_owed() -> None:
    """What was charged is what was collected and what is owed, for charges and for fees."""
    owing = [charge(0, 10, debt=6), provider(1, 10)]
    totals = {"charged": 16, "collected": 10, "debt": 6, "providers": 10}
    assert lines_hold(owing, **totals) == ""
    for basis in ({"cpu": "10"}, {"cpu": "10", "gpu": "7"}):
        other = charge(0, 10, debt=6)
        other.body["basis"]["charged"] = basis
        total = sum(map(int, basis.values()))
        said = lines_hold([other, owing[1]], **totals | {"charged": total})
        assert said == "charges differ from what was collected and what is owed"
    sold = [charge(0, 0), fee(1, 8, debt=8), line(2, "marketplace", 5), line(3, "creator", 3)]
    fees = {"fees_charged": 16, "fees_collected": 8, "fees_debt": 8, "marketplaces": 5, "creators": 3}
    assert lines_hold(sold, **fees) == ""
    for name, total in fees.items():
        assert lines_hold(sold, **fees | {name: total - 1}) == f"the lines give another total {name}"
    other = fee(1, 8, debt=8)
    other.body["basis"]["fee"] = "17"
    said = lines_hold([sold[0], other, *sold[2:]], **fees | {"fees_charged": 17})
    assert said == "charges differ from what was collected and what is owed"


def test_totals_of_fees() -> None:
    """Are asked for where a line has a fee, and where the era states them."""
    unpaid = [fee(0, 0, debt=4)]
    assert lines_hold(unpaid, fees_charged=4, fees_debt=4) == ""
    paid = {"lines_root": f"blake3:{recount.inner_root([]).hex()}", "lines": 0}
    for stated, said in (({}, ""), ({"fees_charged": "1"}, "the lines give another total fees_charged")):
        body = paid | {"totals": dict.fromkeys(recount.TOTALS, "0") | stated}
        assert why(recount._check_lines, [], entry(9, "era-paid", body), LEDGER, Counter()) == said


def test_pots() -> None:
    """Protocol and marketplace have one each, and not the same."""
    fees = {"fees_charged": 8, "fees_collected": 8, "creators": 8}
    totals = {"charged": 5, "collected": 5, "treasury": 5} | fees
    both = [charge(0, 5), line(1, "treasury", 5), fee(2, 8), line(3, "creator", 8)]
    assert lines_hold(both, **totals) == ""
    one = [charge(0, 5), line(1, "treasury", 5), line(2, "fee", 8, credit="pot", basis=both[2].body["basis"])]
    assert lines_hold([*one, line(3, "creator", 8, debit="pot")], **totals) == "debits and credits differ"
    shared = [line(4, "fee", 8, credit="pot", basis=both[2].body["basis"]), line(5, "creator", 8, debit="pot")]
    sold = {"charged": 5, "collected": 5, "treasury": 5, "fees_charged": 16, "fees_collected": 16, "creators": 16}
    assert lines_hold([*both, *shared], **sold) == "debits and credits differ"
    two = [charge(0, 5), line(1, "treasury", 5), charge(2, 5, credit="b"), line(3, "treasury", 5, debit="b")]
    twice = {"charged": 10, "collected": 10, "treasury": 10}
    assert lines_hold(two, **twice) == "debits and credits differ"


@pytest.mark.parametrize("role", ["bonus", "charged", "debt", "fees", "fees_debt", "treasuries", ""])
def test_roles_of_a_line(role: str) -> None:
    """Money that goes out under a role of which there is no total is found, however well all else adds up."""
    lines = [charge(0, 10), provider(1, 7), line(2, role, 3)]
    stated = {"charged": 10, "collected": 10, "providers": 7} | ({"debt": 3} if role == "debt" else {})
    assert lines_hold(lines, **stated) == "its role is in no total"


def test_records_of_a_line() -> None:
    """A customer's charge and a node's part count the attested records of each; no other line counts any."""
    assert lines_hold([charge(0, 0, records=int("300"))], {("customer", "u"): int("300")}) == ""
    assert lines_hold([line(i, "reserve", 0) for i in range(300)]) == ""
    attested = {("customer", "u"): 3, ("node", "n"): 2}
    lines = [charge(0, 9, records=3), provider(1, 9, records=2)]
    totals = {"charged": 9, "collected": 9, "providers": 9}
    assert lines_hold(lines, attested, **totals) == ""
    for n in (2, 4):
        assert lines_hold([charge(0, 9, records=n), lines[1]], attested, **totals) == "the line counts other records"
    for n in (1, 3):
        assert lines_hold([lines[0], provider(1, 9, records=n)], attested, **totals) == "the line counts other records"


# --- late records


def late_hold(seal: dict[str, Any], *records: dict[str, Any], index: int = 20, by: str = LEDGER) -> str:
    """What is said of these records before era 4 of cluster c, with a seal at 20 that left two."""
    sealed = entry(index, "era-sealed", {"cluster": "c", "era": 3, "carried": 2} | seal, by)
    alone = [*(entry(18 + i, "activity", {"cluster": "c", "era": 3} | r, "x") for i, r in enumerate(records)), sealed]
    return why(recount._late, alone, entry(99, "era-paid", {"cluster": "c", "era": 4}), LEDGER)


def test_late_records() -> None:
    """As many as the era before left, older than its seal and than this era, of this cluster."""
    assert late_hold({}, {}, {}) == late_hold({}, {"era": 1}, {}) == ""
    for seal in ({"carried": 1}, {"carried": 3}, {"era": 2}, {"era": 4}, {"cluster": "b"}, {"cluster": "d"}):
        assert late_hold(seal, {}, {}) == "it left other records to the era"
    for other in ({"era": 4}, {"era": 5}, {"cluster": "b"}, {"cluster": "d"}):
        assert late_hold({}, {}, other) == "it was not left to the era"
    for index in (17, 18, 19):
        assert late_hold({}, {}, {}, index=index) == "it was not left to the era"
    assert "is not signed" in late_hold({}, {}, {}, by="x")
    assert recount._late([], entry(99, "era-paid", {}), LEDGER) == []


# --- what an era counts


def work(index: int, agent: str, customer: str, cpu: int) -> Entry:
    compute, data = (
        {"cpu_ms": cpu, "gpu_units": 0},
        dict.fromkeys(("byte_seconds", "bytes_streamed", "puts", "gets"), 1),
    )
    names = {"agent": agent, "customer": customer, "node": "n", "signers": {"orchestrator": "o"}}
    return entry(index, "activity", names | {"compute": compute, "data": data}, "o")


def test_completeness() -> None:
    """A leaf for each agent and customer, in order, with counts and sums."""
    records = [work(1, "b", "u", 5), work(2, "a", "u", 7)]
    attested = Counter({("agent", "a"): 1, ("customer", "u"): 1, ("node", "n"): 1})
    ones = dict.fromkeys(("byte_seconds", "bytes_streamed", "puts", "gets"), "1") | {"gpu_micro": "0"}
    twos = dict.fromkeys(("byte_seconds", "bytes_streamed", "puts", "gets"), "2") | {"gpu_micro": "0"}
    assert recount._completeness(records, attested) == [
        canonical({"party": "agent", "key": "a", "recorded": 1, "attested": 1, "cpu_ms": "7"} | ones),
        canonical({"party": "agent", "key": "b", "recorded": 1, "attested": 0, "cpu_ms": "5"} | ones),
        canonical({"party": "customer", "key": "u", "recorded": 2, "attested": 1, "cpu_ms": "12"} | twos),
    ]


def era_holds(*mine: Entry, recorded: int, unattested: int, carried: int | None = None) -> str:
    """What is said of an era with these records and batches, none of them attested."""
    records = [e for e in mine if e.kind == "activity"][: recorded or None] if recorded else []
    root = recount.inner_root(recount._completeness(records, Counter()))
    counts = {"recorded": recorded, "attested": 0, "rejected": 0, "unattested": unattested}
    body: dict[str, Any] = {"records": counts, "completeness_root": f"blake3:{root.hex()}"}
    paid = entry(99, "era-paid", body | ({} if carried is None else {"carried": carried}))
    return why(recount._check_work, list(mine), list(mine), paid, LEDGER)


def test_records_that_nobody_sealed() -> None:
    """Count as recorded, unless the era says that it left them to the next, and then exactly so many."""
    records = [work(i, "a", "u", i) for i in (1, 2)]
    assert era_holds(*records, recorded=2, unattested=2) == ""
    assert (
        era_holds(*records, recorded=2, unattested=2, carried=0) == "another number of records was left to the next era"
    )
    assert era_holds(*records, recorded=0, unattested=0, carried=2) == ""
    assert era_holds(*(work(i, "a", "u", 1) for i in range(300)), recorded=0, unattested=0, carried=int("300")) == ""
    for carried in (1, 3):
        said = era_holds(*records, recorded=0, unattested=0, carried=carried)
        assert said == "another number of records was left to the next era"
    for recorded, unattested in ((1, 1), (2, 1), (2, 3)):
        assert era_holds(*records, recorded=recorded, unattested=unattested) == "the records give other counts"


def test_rejected_and_undecided() -> None:
    """Of two records one is rejected by the only voter, who abstains from the other."""
    voter, ids = f"ed25519:{7:064x}", {"cluster": "c", "era": 0, "batch": 0, "round": 0}
    records = [work(i, "a", "u", i) for i in (1, 2)]
    root = recount.inner_root([untag(e.id) for e in records])
    sealed = {"cluster": "c", "era": 0, "batch": 0, "count": 2, "orchestrator": "o", "root": f"blake3:{root.hex()}"}
    vote = {"agree": "AA==", "reasons": {"out-of-scope": "AQ==", "unobserved": "Ag=="}}
    opened = entry(4, "round-opened", ids | {"committee": [voter]})
    made = digest("vote commitment", untag(opened.id), untag(voter), b"\5", canonical(vote))
    cast = {"cluster": "c", "round": 0, "validator": voter}
    tallied = {"attested": "AA==", "rejected": "AQ==", "records": 2, "assigned": 1}
    entries = [
        entry(0, "genesis", {}),
        *records,
        entry(3, "batch-sealed", sealed, "o"),
        opened,
        entry(5, "vote-committed", cast | {"commitment": made}, voter),
        entry(6, "vote-revealed", cast | {"salt": "05", "vote": vote}, voter),
        entry(7, "round-tallied", ids | tallied),
    ]
    root = recount.inner_root(recount._completeness(records, Counter()))
    for unattested, said in ((1, ""), (0, "the records give other counts"), (3, "the records give other counts")):
        counts = {"recorded": 2, "attested": 0, "rejected": 1, "unattested": unattested}
        paid = entry(99, "era-paid", {"records": counts, "completeness_root": f"blake3:{root.hex()}"})
        assert why(recount._check_work, entries, entries, paid, LEDGER) == said


def test_a_batch_of_later_records() -> None:
    """What was recorded after a batch is not in it, nor are more than there are, whatever its root says."""
    records = [work(i, "a", "u", i) for i in (4, 6)]
    root = recount.inner_root([untag(e.id) for e in records])
    sealed = {"batch": 0, "count": 2, "orchestrator": "o", "root": f"blake3:{root.hex()}"}
    for index, count in ((3, 2), (5, 2), (7, 3), (7, 1)):
        mine = [*records, entry(index, "batch-sealed", sealed | {"count": count}, "o")]
        said = why(recount._check_work, mine, mine, entry(99, "era-paid", {}), LEDGER)
        assert said == "the batch is not of the oldest unsealed records"


def test_inner_roots() -> None:
    """Of as many items as one likes; over nothing it is that of an empty tree, and not of an empty item."""
    for count in (1, 2, 3, 300, 301, 515):
        items = [bytes([i % 256, i // 256]) for i in range(count)]
        assert recount.inner_root(items) == merkle.root_of(items)
    assert recount.inner_root([]) == inner_leaf() != recount.inner_root([b""])
