"""The recount's rules of money, each by itself on entries of its own: just within the rule, and just beyond."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proofroom.domain import merkle, recount
from proofroom.domain.entry import entry_bytes
from proofroom.domain.ids import KeyId
from proofroom.domain.recount_lines import inner_root
from proofroom.domain.signatures import Signature, encode_signatures
from proofroom.domain.signing import pae
from proofroom.domain.verifier.entry import Entry, canonical, untag
from proofroom.domain.verifier.note import Checkpoint
from proofroom.domain.verifier.proof import File
from proofroom.domain.verifier.tree import log_leaf, log_node
from proofroom.testing.keys import key
from strategies.bare import BEGAN, DONE, LEDGER, round_of, why


def entry(index: int, kind: str, body: dict[str, Any], *signers: str) -> Entry:
    """An entry that says this, signed by these, or by the ledger."""
    return Entry(index, index, kind, f"blake3:{index:064x}", frozenset(signers or (LEDGER,)), body)


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
    first = entry(99, "era-paid", {"cluster": "c", "era": 0})
    assert recount._late([], first, LEDGER) == []
    assert why(recount._late, [entry(18, "activity", {"cluster": "c", "era": 0}, "x")], first, LEDGER) != ""
    assert late_hold({"carried": 0}) == ""
    assert late_hold({}) == "it left other records to the era"
    second = entry(99, "era-paid", {"cluster": "c", "era": 1})
    assert why(recount._late, [], second, LEDGER) == "the file has 0 entries of the kind era-sealed, not one"


# --- what an era counts

SIGNERS = {"agent-derived-key": "k", "orchestrator": "o", "agent-runtime": "r"}


def work(index: int, agent: str, customer: str, cpu: int) -> Entry:
    compute, data = (
        {"cpu_ms": cpu, "gpu_units": 0},
        dict.fromkeys(("byte_seconds", "bytes_streamed", "puts", "gets"), 1),
    )
    names = {"agent": agent, "customer": customer, "node": "n", "record_id": f"dac-{index}", "signers": SIGNERS}
    return entry(index, "activity", DONE | names | {"compute": compute, "data": data}, *SIGNERS.values())


def test_completeness() -> None:
    """A leaf for each agent and customer, in order, with counts and sums."""
    records = [work(1, "b", "u", 5), work(2, "a", "u", 7)]
    attested = Counter[tuple[str, ...]]({("agent", "a"): 1, ("customer", "u"): 1, ("node", "n"): 1})
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
    root = inner_root(recount._completeness(records, Counter()))
    counts = {"recorded": recorded, "attested": 0, "rejected": 0, "unattested": unattested}
    body: dict[str, Any] = BEGAN | {"records": counts, "completeness_root": f"blake3:{root.hex()}"}
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
    """Of two records one is rejected by all voters, who abstain from the other."""
    records = [work(i, "a", "u", i) for i in (1, 2)]
    root = inner_root([untag(e.id) for e in records])
    sealed = {"cluster": "c", "era": 0, "batch": 0, "count": 2, "orchestrator": "o", "root": f"blake3:{root.hex()}"}
    held = round_of(2, [(0, {"out-of-scope": 0b01, "unobserved": 0b10})] * 5, 0, 0b01)
    entries = [entry(0, "genesis", {}), *records, entry(3, "batch-sealed", sealed, "o"), *held]
    root = inner_root(recount._completeness(records, Counter()))
    for unattested, said in ((1, ""), (0, "the records give other counts"), (3, "the records give other counts")):
        counts = {"recorded": 2, "attested": 0, "rejected": 1, "unattested": unattested}
        paid = entry(99, "era-paid", BEGAN | {"records": counts, "completeness_root": f"blake3:{root.hex()}"})
        assert why(recount._check_work, entries, entries, paid, LEDGER) == said


def test_a_batch_of_later_records() -> None:
    """What was recorded after a batch is not in it, nor are more than there are, whatever its root says."""
    records = [work(i, "a", "u", i) for i in (4, 6)]
    root = inner_root([untag(e.id) for e in records])
    sealed = {"batch": 0, "count": 2, "orchestrator": "o", "root": f"blake3:{root.hex()}"}
    for index, count in ((3, 2), (5, 2), (7, 3), (7, 1)):
        mine = [*records, entry(index, "batch-sealed", sealed | {"count": count}, "o")]
        said = why(recount._check_work, mine, mine, entry(99, "era-paid", BEGAN), LEDGER)
        assert said == "the batch is not of the oldest unsealed records"


# --- rounds of an era

PLACE = {"cluster": "c", "era": 0}
ERA = entry(99, "era-paid", PLACE)


def opened(index: int, round: int, missing: list[str], told: int | None = None, **place: Any) -> Entry:
    numbers = {"round": round, "missing": missing, "assurance": {"missing": len(missing) if told is None else told}}
    return entry(index, "round-opened", PLACE | numbers | place)


def revealed(index: int, round: int, validator: str, cluster: str = "c") -> Entry:
    return entry(index, "beacon-revealed", {"cluster": cluster, "round": round, "validator": validator}, validator)


def test_who_earns_nothing() -> None:
    """Who is missing in a round of the era, or was removed; who revealed before it opened is not missing. 128 are named of any more."""
    many = [f"v{i}" for i in range(128)]
    removed = entry(7, "slashed", {"cluster": "c", "basis": {"validator": "w"}})
    shown = [revealed(3, 4, "v"), revealed(4, 5, "u"), revealed(5, 4, "u", "d")]
    assert recount._gone([*shown, opened(6, 4, ["u"]), removed, revealed(9, 4, "u")], ERA) == ({"u", "w"}, True)
    assert recount._gone([opened(6, 4, ["u"]), opened(7, 5, ["t"])], ERA) == ({"u", "t"}, True)
    away = [
        *(opened(6, 4, ["u"], era=era) for era in (-1, 1)),
        opened(7, 4, ["u"], cluster="d"),
        entry(8, "slashed", removed.body | {"cluster": "d"}),
    ]
    assert recount._gone(away, ERA) == (set(), True)
    assert recount._gone([opened(6, 4, many)], ERA) == (set(many), True)
    assert recount._gone([opened(6, 4, many, 129), opened(7, 5, [])], ERA) == (set(many), False)
    for missing, told in ((many[1:], 128), (many, 127), (["u"], 2), (["u"], 0), ([], 1)):
        assert why(recount._gone, [opened(6, 4, missing, told)], ERA) == "other numbers are missing"
    assert why(recount._gone, [opened(6, 4, [*many, "v"], 130)], ERA) == "other numbers are missing"
    assert why(recount._gone, [*shown, opened(6, 5, ["u"])], ERA) == "who revealed its value is said to be missing"


def test_numbers_of_rounds() -> None:
    """One more for each batch and for each committee that something is passed on to, also of the era before; in this cluster."""

    def sealed(index: int, batch: int, **place: Any) -> Entry:
        return entry(index, "batch-sealed", PLACE | {"batch": batch} | place)

    def tallied(index: int, batch: int, round: int, **more: Any) -> Entry:
        return entry(index, "round-tallied", PLACE | {"batch": batch, "round": round} | more)

    def said(*run: Entry) -> str:
        return why(recount._check_numbers, run, ERA)

    run = [
        sealed(1, 0),
        sealed(2, 1),
        tallied(3, 0, 7, next_round=9),
        sealed(4, 2),
        tallied(5, 1, 8),
        tallied(6, 2, 10),
    ]
    assert said(*run) == said(*run, tallied(7, 0, 9, level=1)) == said() == ""
    assert said(tallied(1, 9, 3, era=-1, next_round=5), sealed(2, 0), tallied(3, 0, 6)) == ""
    assert said(sealed(1, 0, era=1), sealed(2, 0), tallied(3, 0, 7)) == said(*run, sealed(8, 0, era=1)) == ""
    for stray in (entry(2, "batch-sealed", {"cluster": "d"}), entry(2, "tick", {"cluster": "c", "next_round": 0})):
        assert said(*run[:2], stray, *run[2:]) == ""
    other = "its round is not the cluster's next"
    assert (
        said(*run[:4], tallied(5, 1, 9), run[5])
        == said(*run[:5], tallied(6, 2, 11))
        == said(*run[:5], tallied(6, 2, 9))
        == other
    )
    assert (
        said(*run[:2], tallied(3, 0, 7, next_round=10), *run[3:]) == said(*run[:2], tallied(3, 0, 7), *run[3:]) == other
    )
    assert said(sealed(1, 0), sealed(2, 1), sealed(3, 2), tallied(4, 0, 0), tallied(5, 2, 3)) == other
