"""Nobody is paid twice: statements of settlement hold at one place, once, and to the unit."""

from __future__ import annotations

import pytest

from proofroom.adapters.audit import Verdict, audit
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, verify
from proofroom.domain.errors import DueFirst, NotDerived, NotDue, ProofroomError
from proofroom.domain.statements.settlement import EraPaid, Payout
from proofroom.domain.transition import transition
from proofroom.testing.histories import resign
from strategies.rooms import entries_of, forge, whole_checkpoints
from strategies.whole import whole_history

MONEY = ("payout", "repayment", "withdrawal-paid", "slashed")
SETTLEMENT = (*MONEY, "era-sealed", "era-paid")


def places(*kinds: str) -> list[int]:
    """The entries of these kinds in the whole history."""
    return [e.index for e in whole_history().entries if e.statement.kind in kinds]


def submit(index: int, envelope: Envelope) -> None:
    """Have the transition judge an envelope as the entry at this place of the whole history."""
    history = whole_history()
    transition(history.states[index], Entry(index, history.entries[index].recorded_at_ms, verify(envelope)))


def test_the_history_holds_them_all() -> None:
    """Else the tests below would show nothing."""
    assert {e.statement.kind for e in whole_history().entries} >= set(SETTLEMENT)


def test_an_era_is_settled_in_one_append() -> None:
    """The ledger never stops between the first line of an era and its payment: no checkpoint stands there."""
    history, eras = whole_history(), set[tuple[str, int]]()
    for index in places("era-paid"):
        paid = history.entries[index].statement
        assert isinstance(paid, EraPaid)
        assert not set(whole_checkpoints()) & set(range(index - paid.lines + 1, index + 1))
        lines = [e.statement for e in history.entries[index - paid.lines : index]]
        assert all(isinstance(line, Payout) and (line.cluster, line.era) == (paid.cluster, paid.era) for line in lines)
        assert (paid.cluster, paid.era) not in eras
        eras.add((paid.cluster, paid.era))


@pytest.mark.parametrize("kind", MONEY)
@pytest.mark.parametrize("change", [-1, 1])
def test_one_unit_more_or_less_is_refused(kind: str, change: int) -> None:
    """At its own place, signed by the ledger itself: the refusal names the amount."""
    for index in places(kind):
        entry = whole_history().entries[index]
        amount = int(getattr(entry.statement, "amount")) + change  # noqa: B009
        if amount < 0:
            continue
        with pytest.raises(NotDerived) as refused:
            submit(index, resign(entry.verified.envelope, amount=str(amount)))
        assert (refused.value.kind, refused.value.field) == (kind, "amount")


@pytest.mark.parametrize("kind", SETTLEMENT)
def test_at_any_other_place_it_is_refused(kind: str) -> None:
    """Replayed later, brought forward, or in the place of its neighbour: whatever the state, it is not what is due."""
    history = whole_history()
    others = places(*SETTLEMENT)
    for index in places(kind)[:6]:
        envelope = history.entries[index].verified.envelope
        near = {index - 1, index + 1, *others[:: max(1, len(others) // 8)], history.entries[-1].index} - {index}
        for place in sorted(near):
            with pytest.raises((NotDue, DueFirst, NotDerived)):
                submit(place, envelope)
        end = history.states[-1]
        with pytest.raises((NotDue, DueFirst, ProofroomError)):
            transition(end, Entry(end.size, end.recorded_at_ms, verify(envelope)))


@pytest.mark.parametrize("kind", MONEY)
def test_the_audit_names_a_line_that_was_changed(kind: str) -> None:
    """A host with the ledger's own keys changes one unit: the log is INVALID at that entry."""
    history = whole_history()
    index = places(kind)[-1]
    entries = entries_of(history)
    at, envelope = entries[index]
    amount = int(getattr(history.entries[index].statement, "amount"))  # noqa: B009
    entries[index] = (at, resign(envelope, amount=str(amount + 1)))
    report = audit(forge(entries))
    assert (report.verdict, report.first_bad) == (Verdict.INVALID, index)
