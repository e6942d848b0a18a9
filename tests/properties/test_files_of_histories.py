"""Every file of a random history in which keys change and are stolen: what was paid proves so, what was taken back never does.

The histories are drawn from numbers, the same in each run.
"""

from __future__ import annotations

import pytest

from proofroom.adapters.audit import audit
from proofroom.adapters.proving import Prover
from proofroom.domain.doubt import taken_back
from proofroom.domain.errors import ProofImpossible
from proofroom.domain.recount import verify
from proofroom.domain.statements.activity import Activity
from proofroom.domain.statements.identity import Compromise
from proofroom.domain.statements.settlement import EraPaid
from proofroom.domain.verifier import Verdict
from proofroom.domain.voting import pick
from proofroom.testing.histories import store_of
from proofroom.testing.keys import key
from strategies.robbed import Robbed
from strategies.rooms import soak

VALID, SUSPECT = Verdict.VALID, Verdict.SUSPECT


def paid_records(history: Robbed) -> set[int]:
    """The entries of all records that an era paid, by the states before."""
    paid = set[int]()
    for entry, state in zip(history.entries, history.states, strict=False):
        if isinstance(s := entry.statement, EraPaid):
            for judged in state.eras[s.cluster, s.era].judged.values():
                attested = {record.log_index for record in pick(judged.records, judged.attested)}
                paid |= attested - {record.log_index for record in taken_back(state, judged)}
    return paid


@pytest.mark.parametrize("number", range(1, soak(2, 300)))
def test_all_files_hold(number: int) -> None:
    """Of a record its own and that of its payment, of each era its bundle, as the states say; and the audit is VALID."""
    history = Robbed(f"robbed {number}", 150 if number == 1 else 400)
    history.live()
    store, paid = store_of(history), paid_records(history)
    prover = Prover(store, key("checkpoint").keyid)
    thefts = [e.index for e in history.entries if isinstance(e.statement, Compromise)]
    assert audit(store).verdict is VALID
    assert paid or number > 1
    for entry in history.entries:
        if isinstance(s := entry.statement, Activity):
            check_record(prover, s.record_id, is_paid=entry.index in paid, thefts=thefts)
        elif isinstance(s, EraPaid):
            report = verify(prover.era(s.cluster, s.era))
            is_robbed = any(theft < entry.index for theft in thefts)  # late records may be older than the era
            assert report.verdict in ((VALID, SUSPECT) if is_robbed else (VALID,)), report.sentence()


def check_record(prover: Prover, name: str, *, is_paid: bool, thefts: list[int]) -> None:
    """Its two files; a theft after the payment makes its own SUSPECT, which shows no payment."""
    try:
        own, payment = verify(prover.record(name)), verify(prover.payout(name))
    except ProofImpossible:
        assert not is_paid
        return
    assert own.verdict in ((VALID,) if is_paid and not thefts else (VALID, SUSPECT)), own.sentence()
    assert payment.verdict is (VALID if is_paid else SUSPECT), payment.sentence()
