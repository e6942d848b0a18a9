"""A key that was stolen, in proofs: what was paid proves so, what was taken back does not, and no honest file is called invalid."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
import pytest

from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.keys import Key
from proofroom.adapters.proving import Prover
from proofroom.domain.entry import Entry
from proofroom.domain.errors import ProofImpossible
from proofroom.domain.recount import verify
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.attestation import RoundTallied
from proofroom.domain.statements.settlement import EraPaid
from proofroom.domain.verifier import Report, Verdict
from proofroom.domain.voting import make_vote, write_bitmap
from proofroom.testing.histories import HOUR_MS, History, resign
from proofroom.testing.keys import key
from strategies.consenting import compromise, set_recovery
from strategies.doubting import NEW, PARTIES, RECOVERY, prepared
from strategies.forging import Change, become, forge, set_to

BEFORE, AFTER, LATER = "before the tally", "after the tally", "after it was paid"


@cache
def stolen(name: str, party: Callable[[Cast], Key], when: str) -> History:
    """A paid era with six records, and a theft that is declared then and reaches back to the last three."""
    history, since = prepared(party)
    cast = history.cast
    history.work(0, Work(1_000), Work(1_000))
    history.work(0, Work(1_000), customer=key("sponsor").keyid)
    identity = party(cast) if name != "derived key" else key("derived v-7c21 / calendar")
    declared = compromise(cast, identity, since, NEW, RECOVERY)
    seal = history.seal(0)
    if when == BEFORE:
        history.write(declared)
    history.attest(seal)
    if when == AFTER:
        history.write(declared)
    history.tick(25 * HOUR_MS)
    history.tick(HOUR_MS)
    if when == LATER:
        history.write(declared)
    return history


def only(history: History, kind: type[Any]) -> Any:
    """The one statement of a kind, and where it stands."""
    ((index, statement),) = [(e.index, e.statement) for e in history.entries if isinstance(e.statement, kind)]
    return index, statement


@cache
def files_of(history: History) -> tuple[list[bytes], list[bytes | None], bytes]:
    """Of each record its file and that of its payment, None where there can be none; and the era's."""
    prover = forge(history=history)
    ids = [e.statement.record_id for e in history.entries if isinstance(e.statement, Activity)]
    return [prover.record(i) for i in ids], [payment(prover, i) for i in ids], prover.era(history.cast.cluster, 0)


def payment(prover: Prover, record_id: str) -> bytes | None:
    """The file about a record's payment."""
    try:
        return prover.payout(record_id)
    except ProofImpossible:
        return None


@pytest.mark.parametrize(
    ("name", "party", "when"), [(*party, AFTER) for party in PARTIES] + [(*party, BEFORE) for party in PARTIES[1::4]]
)
def test_what_was_paid_proves_so_and_nothing_else(name: str, party: Callable[[Cast], Key], when: str) -> None:
    """As many records as the era attested in the end, of those who signed nothing with the stolen key, and rely on nothing such."""
    history = stolen(name, party, when)
    attested = only(history, EraPaid)[1].records.attested
    files, paid, era = files_of(history)
    records, payments = (
        [verify(file).verdict for file in files],
        [verify(file).verdict if file else None for file in paid],
    )
    assert records.count(Verdict.VALID) == payments.count(Verdict.VALID) == attested
    assert set(records) <= {Verdict.VALID, Verdict.SUSPECT}
    assert set(payments) <= {Verdict.VALID, Verdict.SUSPECT, None}
    assert verify(era).verdict is (Verdict.VALID if attested == len(files) else Verdict.SUSPECT)


def test_a_theft_excuses_no_more_than_it_explains() -> None:
    """A tally may give less than the votes where a theft was declared before it, and never more."""
    party = dict(PARTIES)["agent service"]
    early, late = (stolen("agent service", party, when) for when in (BEFORE, AFTER))
    none, more = set_to("attested", write_bitmap(0, 6)), set_to("rejected", write_bitmap(0b1000, 6))
    assert first(early, none).verdict is Verdict.SUSPECT
    for history, change in ((late, none), (early, more)):
        report = first(history, change)
        assert (report.verdict, report.why) == (Verdict.INVALID, "the votes give another tally")


def first(history: History, change: Change) -> Report:
    """What the verifier says about the first record, with another tally."""
    prover = forge({only(history, RoundTallied)[0]: change}, history=history)
    return verify(
        prover.record(next(e.statement.record_id for e in history.entries if isinstance(e.statement, Activity)))
    )


@pytest.mark.parametrize(("when", "attested"), [(BEFORE, 4), (LATER, 5)])
def test_an_era_pays_for_less_only_where_a_theft_took_back(when: str, attested: int) -> None:
    """It never pays for more than was attested, and what is declared after the payment takes nothing back."""
    history = stolen("agent service", dict(PARTIES)["agent service"], when)
    counts = {"recorded": 6, "attested": attested, "rejected": 0, "unattested": 6 - attested}
    prover = forge({only(history, EraPaid)[0]: set_to("records", counts)}, history=history)
    report = verify(prover.era(history.cast.cluster, 0))
    assert (report.verdict, report.why) == (Verdict.INVALID, "the records give other counts")


def sealed_with_recovery() -> tuple[History, list[Key], Entry, int]:
    """A sealed batch of one record where each validator has a recovery key: these keys, the record, and its round."""
    history = History()
    history.found()
    cast, lost = history.cast, [key(f"recovery {i}") for i in range(len(history.cast.validators))]
    history.write(cast.open_era(0), *map(set_recovery, [cast] * len(lost), cast.validators, lost))
    (work,) = history.work(0, Work(1_000))
    return history, lost, work, history.seal(0)


def test_what_stolen_votes_attested_has_no_payment() -> None:
    """Of five votes two are in doubt: the round attested, and the settlement took it back."""
    history, lost, work, number = sealed_with_recovery()
    cast = history.cast
    members = history.reveal_beacons(number)
    since = history.state.size
    history.vote(number, {i: make_vote(1) for i in members})
    for i in members[:2]:
        history.write(compromise(cast, cast.validators[i], since, key(f"new {i}"), lost[i]))
    history.tick(25 * HOUR_MS)
    history.tick(HOUR_MS)
    assert only(history, EraPaid)[1].records.attested == 0
    assert isinstance(work.statement, Activity)
    assert payment(forge(history=history), work.statement.record_id) is None


def test_an_era_whose_tally_leaves_out_more_than_its_votes_is_suspect() -> None:
    """Any theft before a tally lets it give less: whoever uses that to leave honest work out does not get a VALID era for it."""
    history = stolen("agent service", dict(PARTIES)["agent service"], BEFORE)
    tally, attested = only(history, RoundTallied)
    fewer = write_bitmap(0b1, 6)
    assert attested.attested != fewer
    counts = {"recorded": 6, "attested": 1, "rejected": 0, "unattested": 5}
    changes = {tally: set_to("attested", fewer), only(history, EraPaid)[0]: set_to("records", counts)}
    report = verify(forge(changes, history=history).era(history.cast.cluster, 0))
    assert (report.verdict, "it counts 1 of 6 verdicts" in report.why) == (Verdict.SUSPECT, True), report.sentence()


def test_a_theft_hides_no_misreport() -> None:
    """Nor does a rejection that the votes give, and the tally leaves out, go unseen behind a theft of anybody."""
    history, since = prepared(lambda cast: cast.manager)
    number = history.seal(0)
    members = history.reveal_beacons(number)
    history.write(compromise(history.cast, history.cast.manager, since, NEW, RECOVERY))
    history.vote(number, {i: make_vote(3, {0: "out-of-scope"}) for i in members})
    history.tick(25 * HOUR_MS)
    history.tick(HOUR_MS)
    (tally, stated), (paid, _) = only(history, RoundTallied), only(history, EraPaid)
    assert (stated.records_attested, stated.records_rejected) == (2, 1)
    assert verify(forge(history=history).era(history.cast.cluster, 0)).verdict is Verdict.VALID
    counts = {"recorded": 3, "attested": 2, "rejected": 0, "unattested": 1}
    changes = {tally: set_to("rejected", write_bitmap(0, 3)), paid: set_to("records", counts)}
    report = verify(forge(changes, history=history).era(history.cast.cluster, 0))
    assert (report.verdict, "it counts 2 of 3 verdicts" in report.why) == (Verdict.SUSPECT, True), report.sentence()


@pytest.mark.parametrize(
    ("whose", "thefts", "what"), [("votes", 1, "the line"), ("votes", 2, "it"), ("runtime", 1, "it")]
)
def test_an_era_does_not_pay_what_rests_on_a_theft(whose: str, thefts: int, what: str) -> None:
    """A thief's vote; the record, as soon as too few votes remain, or where its runtime's key was stolen: told after the tally."""
    history, lost, work, number = sealed_with_recovery()
    cast, runtime = history.cast, history.cast.runtimes[0]
    history.write(set_recovery(cast, runtime, RECOVERY))
    members = history.reveal_beacons(number)
    since = history.state.size
    history.vote(number, {i: make_vote(1) for i in members})
    told = [history.state.size + i for i in range(thefts)]
    for _ in told:
        history.tick(1)
    stolen = [(cast.validators[i], since, key(f"new {i}"), lost[i]) for i in members[:thefts]]
    if whose == "runtime":
        stolen = [(runtime, work.index, NEW, RECOVERY)]
    history.tick(25 * HOUR_MS)
    history.tick(HOUR_MS)
    prover = forge(
        {i: become(orjson.loads(compromise(cast, *theft).payload)) for i, theft in zip(told, stolen, strict=True)},
        kinds=dict.fromkeys(told, "compromise"),
        signers={i: theft[2:] for i, theft in zip(told, stolen, strict=True)},
        history=history,
    )
    report = verify(prover.era(cast.cluster, 0))
    why = "it counts what rests on a key that was stolen" if what == "it" else "the line counts other records"
    assert (report.verdict, report.why) == (Verdict.INVALID, why), report.sentence()


def test_a_key_that_was_stolen_after_all_that_it_signed() -> None:
    """The wallet's, from behind its grant on: nothing of the record rests on it, and the payment holds."""
    history = History()
    history.found()
    cast = history.cast
    history.write(set_recovery(cast, cast.user, RECOVERY), cast.open_era(0))
    since = history.state.size
    (work,) = history.work(0, Work(1_000))
    history.attest(history.seal(0))
    history.write(compromise(cast, cast.user, since, NEW, RECOVERY))
    history.tick(25 * HOUR_MS)
    history.tick(HOUR_MS)
    assert isinstance(work.statement, Activity)
    report = verify(forge(history=history).payout(work.statement.record_id))
    assert report.verdict is Verdict.VALID, report.sentence()


def test_a_vote_of_a_thief_does_not_count() -> None:
    """Four of five attest, one of them with a key that was stolen by then: two thirds are four, so a tally that counts it is another."""
    history, lost, work, number = sealed_with_recovery()
    cast = history.cast
    silent, thief, *rest = history.reveal_beacons(number)
    since = history.state.size
    history.vote(number, {silent: None, thief: make_vote(1), **{i: make_vote(1) for i in rest}})
    history.write(compromise(cast, cast.validators[thief], since, key("new"), lost[thief]))
    history.tick(25 * HOUR_MS)
    index, tally = only(history, RoundTallied)
    assert (tally.assigned, tally.records_attested) == (5, 0)
    assert isinstance(work.statement, Activity)
    report = verify(
        forge({index: set_to("attested", write_bitmap(1, 1))}, history=history).record(work.statement.record_id)
    )
    assert (report.verdict, report.why) == (Verdict.INVALID, "the votes give another tally")


@pytest.mark.parametrize("party", ["wallet", "derived key"])
def test_who_goes_on_after_a_theft_is_believed(party: str) -> None:
    """Its key was stolen from the first entry on; what it signs with its new key has nothing to do with that.

    The wallet has to grant anew. A derived key's certificate is the word of the agent service.
    """
    history, identity = History(seed="after a theft"), dict(PARTIES)[party]
    history.found()
    cast, robbed = history.cast, identity(history.cast)
    history.write(set_recovery(cast, robbed, RECOVERY), compromise(cast, robbed, 1, NEW, RECOVERY))
    history.tick(1_000)
    if party == "wallet":
        history.write(resign(cast.grant(), without=[robbed.keyid], extra=[NEW]))
    history.write(cast.open_era(0))
    history.sleep(1_000)
    work = cast.activity(history.grant, 0, Work(1_000))
    history.write(work if party == "wallet" else resign(work, without=[robbed.keyid], extra=[NEW]))
    history.attest(history.seal(0))
    history.tick(25 * HOUR_MS)
    for files in files_of(history):
        for file in files if isinstance(files, list) else [files]:
            assert file is not None
            assert verify(file).verdict is Verdict.VALID, verify(file).sentence()
