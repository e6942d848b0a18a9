"""Late records that went to later eras, in proofs: each is counted in one era, and for each check there is a file in which it fails."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
import pytest

from proofroom.adapters.proving import Prover
from proofroom.domain import merkle, recount
from proofroom.domain.errors import ProofImpossible
from proofroom.domain.recount import verify
from proofroom.domain.signing import Signer
from proofroom.domain.statements.activity import Activity
from proofroom.domain.verifier import Verdict
from proofroom.testing.keys import key
from strategies.carrying import carried_history, records
from strategies.forging import Change, forge, set_to

HISTORY = carried_history()
CLUSTER = HISTORY.cast.cluster
TIMELY, LATE, TWICE, REFUSED, OWN, WAITING = records()
SEALS = [e.index for e in HISTORY.entries if e.statement.kind == "era-sealed"]
PAID = [e.index for e in HISTORY.entries if e.statement.kind == "era-paid"]
OPENED = [e.index for e in HISTORY.entries if e.statement.kind == "era-opened"]


@cache
def honest() -> Prover:
    """Proofs of the history as it was."""
    return forge(history=HISTORY)


def name_of(index: int) -> str:
    """The id of a record."""
    record = HISTORY.entries[index].statement
    assert isinstance(record, Activity)
    return record.record_id


@pytest.mark.parametrize("index", [TIMELY, LATE, TWICE])
def test_a_record_is_paid_in_the_era_that_counts_it(index: int) -> None:
    """However late: the proof holds the seals of the eras that passed it on, and the line of the era that pays."""
    era = [TIMELY, LATE, TWICE].index(index)
    report = verify(honest().payout(name_of(index)))
    assert report.verdict is Verdict.VALID, report.sentence()
    assert f"in the era closed at {PAID[era]}" in report.why
    assert verify(honest().record(name_of(index))).verdict is Verdict.VALID


@pytest.mark.parametrize("index", [REFUSED, OWN, WAITING])
def test_what_no_batch_holds_has_no_proof(index: int) -> None:
    """Refused, or still waiting."""
    with pytest.raises(ProofImpossible):
        honest().payout(name_of(index))


def test_what_is_counted_is_named() -> None:
    """As one says it."""
    assert [recount._counted(number, "line") for number in (0, 1, 2)] == ["0 lines", "1 line", "2 lines"]


@pytest.mark.parametrize("era", range(4))
def test_whole_eras(era: int) -> None:
    """Each era counts its own, what came to it, and not what it left: one, one, three (two of them refused), none; in good English."""
    report = verify(honest().era(CLUSTER, era))
    assert report.verdict is Verdict.VALID, report.sentence()
    assert (
        f": {['1 attested record', '1 attested record', '1 attested record', '0 attested records'][era]}, "
        in report.why
    )


class Forged(NamedTuple):
    """A file with one fault."""

    why: str
    file: Any
    """The honest one."""
    changes: dict[int, Change]
    signers: Mapping[int, Sequence[Signer]] = MappingProxyType({})
    without: int = -1


def era(number: int) -> Any:
    """The bundle of an era."""
    return orjson.loads(honest().era(CLUSTER, number))


def paid(index: int) -> Any:
    """The payout proof of a record."""
    return orjson.loads(honest().payout(name_of(index)))


def again(value: Any, prover: Prover, without: int) -> bytes:
    """The same file over another history, without one of its entries."""
    indexes = {int.from_bytes(base64.b64decode(item["entry"])[:8], "big") for item in value["entries"]} - {without}
    parts = {name: value[name] for name in ("batch", "lines", "counted") if name in value}
    if "run" not in value:
        return prover._write(value["claim"], indexes, parts)
    run = range(value["run"]["first"], value["run"]["first"] + len(value["run"]["entries"]))
    around = merkle.run_path(run.start, run.stop, prover.size, prover.store.node)
    parts["run"] = {"first": run.start, "entries": [prover._bytes(index) for index in run], "around": around}
    return prover._write(value["claim"], indexes, parts, run)


STRANGER: list[Signer] = [key("stranger")]
FORGED = {
    "passed on by a stranger": Forged("the era-sealed is not signed", paid(TWICE), {}, {SEALS[0]: STRANGER}),
    "passed on without its seal": Forged("not the batch of the record", paid(TWICE), {}, without=SEALS[1]),
    "passed on by an era that left nothing": Forged(
        "left no such record", paid(LATE), {SEALS[0]: set_to("carried", 0)}
    ),
    "paid by the era that left it": Forged("not pay the era", paid(LATE), {PAID[1]: set_to("era", 0)}),
    "paid by an era before": Forged("not pay the era", paid(LATE), {PAID[1]: set_to("first_index", PAID[1] - 1)}),
    "left by a stranger": Forged("the era-sealed is not signed", era(1), {}, {SEALS[0]: STRANGER}),
    "left to another era": Forged("it left other records", era(2), {SEALS[1]: set_to("era", 0)}),
    "one more left": Forged("it left other records", era(1), {SEALS[0]: set_to("carried", 3)}),
    "without the seal": Forged("0 entries of the kind era-sealed", era(1), {}, without=SEALS[0]),
    "all that was left to it hidden": Forged("0 entries of the kind era-sealed", era(3), {}, without=SEALS[2]),
    "one left out": Forged("it left other records", era(1), {}, without=LATE),
    "a record of the era itself": Forged("it was not left to the era", era(1), {LATE: set_to("era", 1)}),
    "a record of another cluster": Forged("it was not left to the era", era(1), {LATE: set_to("cluster", "dragon-2")}),
    "left, and kept from the next": Forged(
        "the seal says other things", era(0), {SEALS[0]: lambda body: body.pop("carried")}
    ),
    "one more carried": Forged("left to the next era", era(1), {PAID[1]: set_to("carried", 3)}),
    "refused and not counted": Forged("give other counts", era(2), {PAID[2]: set_to("records.recorded", 1)}),
}


@cache
def forged_file(name: str) -> bytes:
    """The file with this fault."""
    forged = FORGED[name]
    prover = forge(forged.changes, signers=forged.signers, history=HISTORY)
    return again(forged.file, prover, forged.without)


@pytest.mark.parametrize("name", FORGED)
def test_one_check_fails(name: str) -> None:
    """The verdict is INVALID, for the one reason."""
    forged = FORGED[name]
    report = verify(forged_file(name))
    assert (report.verdict, forged.why in report.why) == (Verdict.INVALID, True), report.sentence()
