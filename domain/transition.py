"""The whole validity rule, in one sentence: ``state' = transition(state, entry)``; whatever raises is not valid.

The write path, the audit's replay and the property tests use this one function (protocol 1.4 to 1.6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from immutables import Map

from proofroom.domain import debts, eras, penalties, proposals, verdicts, withdrawals
from proofroom.domain.authority import AUTHORITY, Rule, check_authority
from proofroom.domain.entry import Entry
from proofroom.domain.errors import (
    DueFirst,
    NotDerived,
    NotDue,
    NotGenesis,
    OtherLedger,
    TimeOutOfRange,
    TimeWentBack,
    UnknownRules,
    WrongIndex,
)
from proofroom.domain.ids import MAX_TIME_MS, Digest, KeyId
from proofroom.domain.keyring import Keyring
from proofroom.domain.state import Due, Founding, State
from proofroom.domain.statements import LedgerStatement, Statement
from proofroom.domain.statements.ledger import Genesis

RULEBOOKS = {1: AUTHORITY}
"""Rules version -> authority table. A ledger is held to the version of its genesis for ever; a version once released never changes."""

_DERIVE: dict[str, Callable[[State, Due, int], Statement]] = {
    "era": eras.derive_era,
    "penalty": penalties.derive_penalty,
    "proposal": proposals.derive_proposal,
    "round": verdicts.derive_round,
    "repayment": debts.derive_repayment,
    "withdrawal": withdrawals.derive_withdrawal,
}
"""Subject of an appointment -> what the ledger must state about it."""


def transition(state: State, entry: Entry) -> State:
    """The state after ``entry``.

    Raises:
        WrongIndex, TimeWentBack, TimeOutOfRange: the entry does not continue the log.
        DueFirst, NotDue, NotDerived: it is not what the ledger itself must state now.
        Refused: a rule said no; each has its own class.
    """
    if entry.index != state.size:
        raise WrongIndex(index=entry.index, expected=state.size)
    if entry.recorded_at_ms < state.recorded_at_ms:
        raise TimeWentBack(recorded_at_ms=entry.recorded_at_ms, last_ms=state.recorded_at_ms)
    if entry.recorded_at_ms > MAX_TIME_MS:
        raise TimeOutOfRange(recorded_at_ms=entry.recorded_at_ms)
    if state.founding is None or isinstance(entry.statement, Genesis):
        return _found(state, entry)
    statement = entry.statement
    if isinstance(statement, LedgerStatement) and statement.ledger != state.founding.ledger:
        raise OtherLedger(ledger=statement.ledger, expected=state.founding.ledger)
    rule = RULEBOOKS[state.founding.rules][statement.kind]
    _check_due(state, entry, rule)
    check_authority(state, rule, entry.verified)
    state = rule.apply(state, entry, statement)
    return state._replace(size=entry.index + 1, recorded_at_ms=entry.recorded_at_ms)


def next_due(state: State, now_ms: int) -> Statement | None:
    """What the ledger itself must state next, at this time: None when nothing is due.

    A pure function of state and time. While something is due nothing else is accepted, so a host cannot hide it by not writing it.
    """
    if not state.agenda or state.agenda[0].at_ms > now_ms:
        return None
    due = state.agenda[0]
    # Asked twice for each: by who writes, and by the transition, which takes nobody's word. The first answer is kept for the second.
    of, at_ms, statement = _kept.pop(id(state), (None, 0, None))
    if of is not state or at_ms != now_ms:
        statement = _DERIVE[due.subject](state, due, now_ms)
        _kept.clear()
        _kept[id(state)] = state, now_ms, statement
    return statement


_kept: dict[int, tuple[State | None, int, Statement | None]] = {}
"""By the identity of a state, which is held so that no other can have it: the last answer of :func:`next_due`, until it is asked again."""


def _check_due(state: State, entry: Entry, rule: Rule) -> None:
    due = next_due(state, entry.recorded_at_ms)
    if due is None:
        if rule.derived:
            raise NotDue(kind=entry.statement.kind)
        return
    if due.kind != entry.statement.kind:
        raise DueFirst(due=due.kind, kind=entry.statement.kind)
    _, payload, _ = entry.verified.frozen
    if due.payload() != payload:
        raise NotDerived(kind=due.kind, field=_first_difference(due, entry.statement))


def _first_difference(due: Statement, given: Statement) -> str:
    expected, actual = due.to_json(), given.to_json()
    return next((k for k in sorted(expected.keys() | actual.keys()) if expected.get(k) != actual.get(k)), "its bytes")


def _found(state: State, entry: Entry) -> State:
    """Genesis: entry 0, and only entry 0. Its statement id is the name of the ledger."""
    genesis = entry.statement
    if not isinstance(genesis, Genesis) or state.founding is not None:
        raise NotGenesis(kind=genesis.kind, index=entry.index)
    if genesis.rules not in RULEBOOKS:
        raise UnknownRules(rules=genesis.rules)
    check_authority(state, _GENESIS, entry.verified)
    founding = Founding(
        ledger=Digest(entry.verified.digest),
        origin=genesis.origin,
        rules=genesis.rules,
        ledger_key=genesis.ledger_key,
        checkpoint_key=genesis.checkpoint_key,
        bank_keys=genesis.bank_keys,
        unit=genesis.unit,
    )
    return state._replace(size=1, recorded_at_ms=entry.recorded_at_ms, founding=founding, **_own_keys(genesis))


def _own_keys(genesis: Genesis) -> dict[str, Any]:
    """The ledger's two identities, with the recovery keys that genesis gives them."""
    pairs = [
        (genesis.ledger_key, genesis.ledger_recovery_key),
        (genesis.checkpoint_key, genesis.checkpoint_recovery_key),
    ]
    rings = {name: Keyring(((-1, name),), ((0, recovery),)) for name, recovery in pairs}
    return {"keyrings": Map(rings), "later_keys": Map({recovery: name for name, recovery in pairs})}


def _genesis_roles(state: State, s: Genesis) -> dict[str, KeyId]:
    return {"ledger": s.ledger_key, "checkpoint": s.checkpoint_key}


_GENESIS = Rule(_genesis_roles, lambda state, entry, s: state)
