"""What validators did, by SQL, is what the rules pay them for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from proofroom.domain.statements.attestation import RoundOpened, VoteCommitted, VoteRevealed
from proofroom.testing.histories import History, store_of
from proofroom.testing.worlds import histories
from strategies.disputes import disputed_history, punished_history
from strategies.rooms import soak
from strategies.viewing import fresh_views
from strategies.whole import whole_history


def check_validators(history: History) -> None:
    """Seats and votes against the statements, records judged with the outcome against the state from which the era was settled."""
    views = fresh_views()
    views.project(store_of(history))
    query = "SELECT era, validator, assigned, committed, revealed, with_outcome, withheld FROM validator_records"
    found = {(era, validator): tuple(rest) for era, validator, *rest in views.sql(query).fetchall()}
    statements = [e.statement for e in history.entries]
    opened = [s for s in statements if isinstance(s, RoundOpened)]
    era_of = {s.round: s.era for s in opened}
    seats = [(s.era, v) for s in opened for v in s.committee]
    missing = [(s.era, v) for s in opened for v in s.missing]
    commits = [(era_of[s.round], s.validator) for s in statements if isinstance(s, VoteCommitted)]
    reveals = [(era_of[s.round], s.validator) for s in statements if isinstance(s, VoteRevealed)]
    inspected: dict[tuple[int, str], int] = {}
    for state in history.states:
        for (_, number), era in state.eras.items():
            inspected |= {(number, v): records for v, records in era.inspected.items()}
    expected = {
        who: (seats.count(who), commits.count(who), reveals.count(who), inspected.get(who, 0), missing.count(who))
        for who in {*seats, *missing}
    }
    assert found == expected
    views.close()


@pytest.mark.parametrize("history", [whole_history, disputed_history, punished_history])
def test_records_of_validators(history: object) -> None:
    """With silence, dissent, withholding and larger committees."""
    assert callable(history)
    check_validators(history())


@settings(max_examples=soak(3, 100))
@given(histories())
def test_records_of_validators_in_random_histories(history: History) -> None:
    """Whatever happened."""
    check_validators(history)
