"""An era counted again: for each check a bundle in which only that check fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
import pytest

from proofroom.adapters.cast import Work
from proofroom.adapters.proving import Prover
from proofroom.domain import merkle
from proofroom.domain.envelope import Envelope
from proofroom.domain.hashing import tagged
from proofroom.domain.recount import verify
from proofroom.domain.signing import Signer
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import VoteRevealed
from proofroom.domain.statements.settlement import Payout
from proofroom.domain.verifier import Verdict
from proofroom.domain.voting import make_vote, write_bitmap
from proofroom.testing.histories import History, resign, store_of
from proofroom.testing.keys import key, key_of
from strategies.consenting import rotate
from strategies.forging import Change, become, body_at, forge, id_at, indexes, proven_history, set_to
from strategies.selling import TENTH, list_work, open_market
from strategies.whole import whole_history

CLUSTER = proven_history().cast.cluster
PAID = indexes("era-paid")[0]
LINES = [index for index in indexes("payout") if index < PAID]
BATCH = indexes("batch-sealed")[1]
TALLY, WORK = indexes("round-tallied")[1], indexes("activity")[3]
OPENED = indexes("era-opened")[0]
CHARGE = next(i for i in LINES if body_at(i)["role"] == "charge")
PROVIDER = next(i for i in LINES if body_at(i)["role"] == "provider")
TREASURY = next(i for i in LINES if body_at(i)["role"] == "treasury")
CHARGES = [i for i in LINES if body_at(i)["role"] == "charge"]
JUDGE = next(i for i in LINES if body_at(i)["role"] == "validator")
RECORDS, SEALED = indexes("activity"), indexes("era-sealed")[0]
FIRST = body_at(RECORDS[0])
UNDECIDED, ROUND = indexes("round-tallied")[2], indexes("round-opened")[1]
JUDGES = [i for i in LINES if body_at(i)["role"] == "validator"]
JUDGED = body_at(JUDGE)["basis"]
REVEALED = next(
    i
    for i in indexes("beacon-revealed")
    if (body_at(i)["round"], body_at(i)["validator"]) == (body_at(ROUND)["round"], JUDGED["validator"])
)
STRANGER, EARLIER = key("stranger"), "2026-03-01T08:00:00Z"
_PROVIDER = f"provider:{STRANGER.keyid}"


def more(text: str) -> str:
    """One base unit more."""
    return str(int(text) + 1)


def less(text: str) -> str:
    """One base unit less."""
    return str(int(text) - 1)


def another(text: str) -> str:
    """Another digest."""
    return text[:-1] + ("1" if text[-1] == "0" else "0")


def both(*changes: Change) -> Change:
    """One change after another."""
    return lambda body: [change(body) for change in changes]


class Forged(NamedTuple):
    """A bundle with one fault."""

    why: str
    changes: dict[int, Change]
    signers: Mapping[int, list[Signer]] = MappingProxyType({})
    kinds: Mapping[int, str] = MappingProxyType({})
    file: Callable[[Any], object] = lambda value: None


FORGED = {
    "paid by a stranger": Forged("the era-paid is not signed", {}, {PAID: [STRANGER]}),
    "first index": Forged("the run is not the whole era", {PAID: set_to("first_index", OPENED + 1)}),
    "last index": Forged("the run is not the whole era", {PAID: set_to("last_index", PAID - 2)}),
    "batch by a stranger": Forged("the batch-sealed is not signed", {}, {BATCH: [STRANGER]}),
    "batch of other records": Forged("not of the oldest unsealed", {BATCH: set_to("root", another)}),
    "batch of a lesser root": Forged("not of the oldest unsealed", {BATCH: set_to("root", "blake3:" + "0" * 64)}),
    "batch of a greater root": Forged("not of the oldest unsealed", {BATCH: set_to("root", "blake3:" + "f" * 64)}),
    "records counted": Forged("the records give other counts", {PAID: set_to("records.recorded", lambda n: n + 1)}),
    "records attested": Forged("the records give other counts", {PAID: set_to("records.attested", lambda n: n - 1)}),
    "records rejected": Forged("the records give other counts", {PAID: set_to("records.rejected", 0)}),
    "records unattested": Forged("the records give other counts", {PAID: set_to("records.unattested", 0)}),
    "tally of another committee": Forged("it counts another committee", {TALLY: set_to("assigned", 6)}),
    "completeness": Forged("another completeness root", {PAID: set_to("completeness_root", another)}),
    "line by a stranger": Forged("the payout is not signed", {}, {TREASURY: [STRANGER]}),
    "lines root": Forged("other lines", {PAID: set_to("lines_root", another)}),
    "lines": Forged("other lines", {PAID: set_to("lines", lambda n: n + 1)}),
    "record by a stranger": Forged("the activity is not signed", {}, {RECORDS[0]: [STRANGER]}),
    "record twice": Forged("of this id was counted before", {RECORDS[1]: set_to("record_id", FIRST["record_id"])}),
    "record of an hour before the era": Forged(
        "ended before its era began", {RECORDS[0]: both(set_to("started_at", EARLIER), set_to("ended_at", EARLIER))}
    ),
    "record of work to come": Forged("before it ended", {RECORDS[0]: set_to("ended_at", "2026-03-02T09:00:00Z")}),
    "batch of an earlier number": Forged("it is not the next batch", {BATCH: set_to("batch", 0)}),
    "batch of a later number": Forged("it is not the next batch", {BATCH: set_to("batch", 2)}),
    "seal by a stranger": Forged("the era-sealed is not signed", {}, {SEALED: [STRANGER]}),
    "records at the seal": Forged("the era has other recorded", {SEALED: set_to("recorded", lambda n: n + 1)}),
    "batches at the seal": Forged("the era has other batches", {SEALED: set_to("batches", lambda n: n - 1)}),
    **{
        f"seal with {which} start": Forged(
            "the seal says other things", {i: set_to("start", at) for i in (SEALED, PAID)}
        )
        for which, at in (("a later", "2026-03-01T09:00:01Z"), ("an earlier", "2026-02-28T09:00:00Z"))
    },
    **{
        f"{name} of the payment": Forged("the seal says other things", {PAID: set_to(name, value)})
        for name, value in (("start", "2026-02-28T09:00:00Z"), ("end", EARLIER), ("batches", 4))
    },
    "late records": Forged("the seal says other things", {SEALED: set_to("late", lambda n: n + 1)}),
    "a late record less": Forged("the seal says other things", {SEALED: set_to("late", lambda n: n - 1)}),
    "a round of a later number": Forged("not the cluster's next", {UNDECIDED: set_to("round", 3)}),
    "somebody who revealed is missing": Forged(
        "said to be missing", {ROUND: both(set_to("missing", [JUDGED["validator"]]), set_to("assurance.missing", 1))}
    ),
    "somebody who was missing is paid": Forged(
        "counts other records",
        {
            ROUND: both(set_to("missing", [JUDGED["validator"]]), set_to("assurance.missing", 1)),
            REVEALED: set_to("round", 99),
        },
    ),
    "more are missing than are named": Forged("other numbers are missing", {ROUND: set_to("assurance.missing", 1)}),
    "the manager votes": Forged("a party to it votes on it", {}, {OPENED: [key_of(JUDGED["validator"])]}),
    "a provider votes": Forged(
        "a party to it votes on it", {PROVIDER: set_to("credit", f"provider:{JUDGED['validator']}")}
    ),
    "one validator's part goes to another": Forged(
        "did not share by what they judged", {JUDGE: set_to("amount", less), JUDGES[1]: set_to("amount", more)}
    ),
    "left to a committee that never sat": Forged(
        "nobody judged what was left open", {UNDECIDED: set_to("escalated", write_bitmap(1, 1))}
    ),
    "paid before it was judged": Forged(
        "stated before the era was settled",
        {UNDECIDED: become(body_at(LINES[0])), LINES[0]: become(body_at(UNDECIDED))},
        kinds={UNDECIDED: "payout", LINES[0]: "round-tallied"},
    ),
    "charged to another": Forged(
        "its accounts are not", {CHARGE: set_to("debit", f"customer:{CLUSTER}:{STRANGER.keyid}")}
    ),
    "treasury's part to a stranger": Forged("its accounts are not", {TREASURY: set_to("credit", _PROVIDER)}),
    "validator's part to a stranger": Forged("its accounts are not", {JUDGE: set_to("credit", _PROVIDER)}),
    "a validator that was not there": Forged(
        "counts other records",
        {JUDGE: both(set_to("credit", f"validator:{STRANGER.keyid}"), set_to("basis.validator", STRANGER.keyid))},
    ),
    "records of a validator": Forged("counts other records", {JUDGE: set_to("basis.records", lambda n: n + 1)}),
    "charged twice": Forged("a second line for the same", {CHARGES[1]: become(body_at(CHARGE), line=1)}),
    "charged for another": Forged(
        "charges differ", {CHARGES[0]: set_to("amount", more), CHARGES[1]: set_to("amount", less)}
    ),
    "number of a line": Forged("a line is missing", {TREASURY: set_to("line", lambda n: n + 1)}),
    "one unit more for the treasury": Forged(
        "debits and credits differ", {TREASURY: set_to("amount", more), PAID: set_to("totals.treasury", more)}
    ),
    "two lines changed against each other": Forged(
        "another total providers",
        {TREASURY: set_to("amount", more), PROVIDER: set_to("amount", less), PAID: set_to("totals.treasury", more)},
    ),
    "another account": Forged("its accounts are not", {TREASURY: set_to("debit", "clearing:elsewhere:0")}),
    "records of a charge": Forged("counts other records", {CHARGE: set_to("basis.records", lambda n: n + 1)}),
    "records of a provider": Forged("counts other records", {PROVIDER: set_to("basis.records", lambda n: n + 1)}),
    "what was charged": Forged("charges differ", {CHARGE: set_to("basis.charged.cpu", more)}),
    "what was charged, in all": Forged(
        "charges differ", {CHARGE: set_to("basis.charged.cpu", more), PAID: set_to("totals.charged", more)}
    ),
    "what is owed": Forged("charges differ", {CHARGE: set_to("basis.debt", more)}),
    "an amount that is none": Forged("is no amount", {TREASURY: set_to("amount", "01")}),
    **{
        f"total {name}": Forged(f"another total {name}", {PAID: set_to(f"totals.{name}", more)})
        for name in ("charged", "collected", "debt", "providers", "validators", "treasury", "reserve")
    },
    "an entry changed": Forged(
        "not the run of the log", {}, file=lambda f: f["run"]["entries"].__setitem__(5, f["run"]["entries"][6])
    ),
    "an entry left out": Forged("not the run of the log", {}, file=lambda f: f["run"]["entries"].pop(5)),
    "the last entry left out": Forged("not the run of the log", {}, file=lambda f: f["run"]["entries"].pop()),
    "no entries": Forged("not the run of the log", {}, file=lambda f: f["run"].update(entries=[])),
    "a hash beside it too many": Forged(
        "not the run of the log", {}, file=lambda f: f["run"]["around"].append(f["run"]["around"][0])
    ),
    "a hash beside it missing": Forged("not the run of the log", {}, file=lambda f: f["run"]["around"].pop()),
    "the run elsewhere": Forged(
        "not the run of the log", {}, file=lambda f: f["run"].update(first=f["run"]["first"] + 1)
    ),
}


@cache
def forged_file(name: str) -> bytes:
    """The bundle with this fault."""
    forged = FORGED[name]
    value = orjson.loads(forge(forged.changes, signers=forged.signers, kinds=forged.kinds).era(CLUSTER, 0))
    forged.file(value)
    return orjson.dumps(value)


@pytest.mark.parametrize("name", FORGED)
def test_one_check_fails(name: str) -> None:
    """The verdict is INVALID, for the one reason."""
    forged = FORGED[name]
    report = verify(forged_file(name))
    assert (report.verdict, forged.why in report.why) == (Verdict.INVALID, True), report.sentence()


def test_whole_eras() -> None:
    """Each paid era of the history holds."""
    for number in (0, 1):
        report = verify(forge().era(CLUSTER, number))
        assert report.verdict is Verdict.VALID, report.sentence()
        assert f"era {number} of {CLUSTER}" in report.why


def test_a_grant_that_is_no_longer_in_force_while_the_era_runs() -> None:
    """Where the run holds the grant of a record, the record is held against it."""
    granted = indexes("grant")[1]
    for change in (
        set_to("revoked", True),
        set_to("expires_at", EARLIER),
        set_to("created_at", "2026-03-03T09:00:00Z"),
    ):
        report = verify(forge({granted: change}).era(CLUSTER, 1))
        assert (report.verdict, report.at) == (Verdict.REVOKED_GRANT, indexes("activity")[-1]), report.sentence()
    report = verify(forge({granted: set_to("metadata.limits", {"cpu_ms": 49_999})}).era(CLUSTER, 1))
    assert "used more than the grant" in report.why


def test_a_leaf_with_a_fraction() -> None:
    """What is counted in whole numbers has no form with a fraction in it, and is refused as that."""
    value = orjson.loads(forge().payout(body_at(WORK)["record_id"]))
    value["counted"]["leaf"]["attested"] = 9.5
    report = verify(orjson.dumps(value))
    assert (report.verdict, report.why) == (Verdict.INVALID, "an object has a fraction where none may be")


def test_a_path_too_many() -> None:
    """Each line has its path, and no path is left."""
    value = orjson.loads(forge().payout(body_at(WORK)["record_id"]))
    value["lines"].append([])
    assert verify(orjson.dumps(value)).why == "the lines and their paths do not match"


def test_a_run_that_ends_early() -> None:
    """A run with all its proofs that does not reach the payment."""
    prover = forge()
    value = orjson.loads(prover.era(CLUSTER, 0))
    value["run"]["entries"].pop()
    around = merkle.run_path(OPENED, PAID, prover.size, prover.store.node)
    value["run"]["around"] = orjson.loads(orjson.dumps(around, default=_text))
    assert "does not end with the payment" in verify(orjson.dumps(value)).why
    for kind in ("beacon-revealed", "tick"):
        other = forge(kinds={PAID: kind})
        assert "does not end with the payment" in verify(other._write("era", [0], _run(other))).why


def test_a_run_that_opens_another_era() -> None:
    """The first entry of the run is the era's own opening."""
    for prover in (forge({OPENED: set_to("era", 7)}), *(forge(kinds={OPENED: k}) for k in ("tick", "beacon-revealed"))):
        assert "the run is not the whole era" in verify(prover._write("era", [0], _run(prover))).why


def test_a_record_left_out_of_its_batch() -> None:
    """A batch that skips the oldest record: the records that were counted are not those that were there."""
    ids = [id_at(forge(), i) for i in indexes("activity")[3:12]]
    prover = forge({BATCH: both(set_to("count", 8), set_to("root", tagged(merkle.root_of(ids[1:]))))})
    report = verify(prover._write("era", [0], _run(prover)))
    assert "not of the oldest unsealed" in report.why


def test_a_run_of_one() -> None:
    """The payment alone is no era, whatever it says of its bounds."""
    prover = forge({PAID: both(set_to("first_index", PAID), set_to("last_index", PAID - 1))})
    assert "the run is not the whole era" in verify(prover._write("era", [0], _run(prover, PAID))).why


def _run(prover: Any, first: int = OPENED) -> dict[str, Any]:
    entries = [prover._bytes(i) for i in range(first, PAID + 1)]
    around = merkle.run_path(first, PAID + 1, prover.size, prover.store.node)
    return {"run": {"first": first, "entries": entries, "around": around}}


def _text(raw: bytes) -> str:
    import base64

    return base64.b64encode(raw).decode()


def test_keys_that_changed_before_and_during_an_era() -> None:
    """A validator votes with its second key, and a wallet takes one while the era runs: the bundle holds both changes, each once."""
    history = History(seed="keys", validators=5)
    history.found()
    cast, second = history.cast, key("validator-0-b")
    first = cast.validators[0]
    history.write(rotate(cast, first, second), cast.open_era(0))
    history.work(0, Work(1))
    history.write(rotate(cast, cast.user, key("wallet-b")))
    round = history.seal(0)

    def by_second(envelope: Envelope) -> Envelope:
        return resign(envelope, without=[first.keyid], extra=[second])

    for i in range(5):
        reveal = cast.reveal_beacon(round, i)
        history.write(reveal if i else by_second(reveal))
    for i in range(5):
        commit = cast.commit(history.state, round, i, make_vote(1))
        history.write(commit if i else by_second(commit))
    for i in range(5):
        shown = cast.reveal(round, i, make_vote(1))
        history.write(shown if i else by_second(shown))
    history.sleep(1_000)
    history.write(cast.close_era(0))
    prover = Prover(store_of(history), key("checkpoint").keyid)
    for file in (prover.era(cast.cluster, 0), *map(prover.entry, range(prover.size))):
        report = verify(file)
        assert report.verdict is Verdict.VALID, report.sentence()


@cache
def selling_history() -> History:
    """An era with a record that is sold, and paid in full."""
    history = History(seed="selling", validators=5)
    history.found()
    cast = history.cast
    history.write(cast.payer(cast.user, 10**15), open_market(cast), cast.open_era(0))
    history.work(0, Work(1_000), listing=list_work(history, ratio=TENTH))
    history.attest(history.seal(0))
    history.sleep(1_000)
    history.write(history.cast.close_era(0))
    return history


def test_eras_in_which_something_was_sold() -> None:
    """Charges and fees have an account each, whether the fee was paid or not."""
    for history, era in ((selling_history(), 0), (whole_history(), 1)):
        report = verify(forge(history=history).era(history.cast.cluster, era))
        assert report.verdict is Verdict.VALID, report.sentence()
    record = next(e.statement for e in selling_history().entries if isinstance(e.statement, Activity))
    assert verify(forge(history=selling_history()).payout(record.record_id)).verdict is Verdict.VALID


def test_what_is_sold_is_on_offer() -> None:
    """The version that a record names is not one that ends the sale, and is of its cluster."""
    entries = selling_history().entries
    (listing,) = (e.index for e in entries if e.statement.kind == "listing")
    record = next(e.statement for e in entries if isinstance(e.statement, Activity))
    for field, value in (("withdrawn", True), ("cluster", "dragon-2")):
        report = verify(forge({listing: set_to(field, value)}, history=selling_history()).payout(record.record_id))
        assert (report.verdict, report.why) == (Verdict.INVALID, "the record was sold under another listing")
    voter = next(e.statement.validator for e in entries if isinstance(e.statement, VoteRevealed))
    made = forge({listing: set_to("creators", [{"creator": voter, "weight": 1}])}, history=selling_history())
    assert verify(made.payout(record.record_id)).why == "a party to it votes on it"
    there = forge({listing: set_to("cluster", record.cluster)}, history=selling_history())
    assert verify(there.payout(record.record_id)).verdict is Verdict.VALID


def test_charges_and_fees_do_not_mix() -> None:
    """A line of the marketplace's money out of the protocol's account, all of them on it, or one unit too many."""
    accounts = "its accounts are not those of its role"
    lines = {e.statement.role: e for e in selling_history().entries if isinstance(e.statement, Payout)}
    fee, charge, creator, market = (lines[role] for role in ("fee", "charge", "creator", "marketplace"))
    assert isinstance(charge.statement, Payout)
    pot = charge.statement.credit
    changes: list[tuple[str, dict[int, Change]]] = [
        (accounts, {creator.index: set_to("debit", pot)}),
        (
            accounts,
            {line.index: set_to(side, pot) for line, side in ((fee, "credit"), (creator, "debit"), (market, "debit"))},
        ),
        ("debits and credits differ", {creator.index: set_to("amount", more)}),
    ]
    for said, change in changes:
        report = verify(forge(change, history=selling_history()).era(CLUSTER, 0))
        assert (report.verdict, said in report.why) == (Verdict.INVALID, True), report.sentence()
