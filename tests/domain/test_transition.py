"""The one function: order and time, genesis, what the ledger itself must state, and that nothing else matters."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest

from proofroom.adapters.cast import Work
from proofroom.domain.authority import AUTHORITY
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, sign, verify
from proofroom.domain.errors import (
    DueFirst,
    ExtraSignature,
    Malformed,
    MissingRole,
    NotDerived,
    NotDue,
    NotGenesis,
    OtherLedger,
    ProofroomError,
    SharedKey,
    TimeWentBack,
    UnknownRules,
    WrongIndex,
)
from proofroom.domain.ids import from_ms
from proofroom.domain.snapshot import encode_state
from proofroom.domain.state import State
from proofroom.domain.statements import KINDS, Statement, payload_type_of
from proofroom.domain.statements.attestation import RoundOpened, RoundTallied
from proofroom.domain.statements.ledger import Tick
from proofroom.domain.statements.settlement import Payout
from proofroom.domain.transition import next_due, transition
from proofroom.domain.voting import make_vote
from proofroom.testing.histories import HOUR_MS, START_MS, History, make_genesis, resign
from proofroom.testing.keys import key, key_of
from strategies.whole import whole_history, written

DERIVED = sorted(kind for kind, rule in AUTHORITY.items() if rule.derived)
Place = tuple[State, Entry]


def places(kind: str | None = None) -> list[Place]:
    """The entries of the whole history, each with the state before it."""
    pairs = zip(whole_history().states, whole_history().entries, strict=False)
    return [(state, entry) for state, entry in pairs if kind in (None, entry.statement.kind)]


# --- order and time


def test_every_kind_happens() -> None:
    """The history on which the tests below rest has each kind of statement in it."""
    assert {payload_type_of(entry.statement.kind) for _, entry in places()} == set(KINDS)


@pytest.mark.parametrize("shift", [-1, 1, 100])
def test_entries_continue_the_log(shift: int) -> None:
    """An entry anywhere but at the end is refused, at every point of a history."""
    for state, entry in places():
        moved = Entry(entry.index + shift, entry.recorded_at_ms, entry.verified)
        with pytest.raises(WrongIndex) as refused:
            transition(state, moved)
        assert (refused.value.index, refused.value.expected) == (entry.index + shift, entry.index)


def test_time_never_goes_back() -> None:
    """One millisecond before the last entry is refused; the same millisecond is not."""
    for state, entry in places()[1:]:
        with pytest.raises(TimeWentBack) as refused:
            transition(state, Entry(entry.index, state.recorded_at_ms - 1, entry.verified))
        assert (refused.value.recorded_at_ms, refused.value.last_ms) == (state.recorded_at_ms - 1, state.recorded_at_ms)


# --- genesis


@pytest.mark.parametrize("kind", sorted(AUTHORITY))
def test_nothing_comes_before_genesis(kind: str) -> None:
    """No other kind can be entry 0."""
    _, entry = places(kind)[0]
    with pytest.raises(NotGenesis) as refused:
        transition(State(), Entry(0, entry.recorded_at_ms, entry.verified))
    assert (refused.value.kind, refused.value.index) == (kind, 0)


def test_genesis_comes_once() -> None:
    """Neither the same genesis nor another one is accepted later, whatever is due."""
    again = [verify(sign(make_genesis(**change), key("ledger"), key("checkpoint"))) for change in ({}, {"unit": "EUR"})]
    for state, entry in places()[1:]:
        for verified in again:
            with pytest.raises(NotGenesis):
                transition(state, Entry(entry.index, entry.recorded_at_ms, verified))


@pytest.mark.parametrize("rules", [2, 2**16])
def test_rules_that_are_not_known(rules: int) -> None:
    """A ledger of later rules is not read by these."""
    with pytest.raises(UnknownRules) as refused:
        History(genesis={"rules": rules})
    assert refused.value.rules == rules


def test_genesis_needs_both_keys() -> None:
    """Genesis is signed by the ledger key and the checkpoint key, which differ, and by nobody else."""
    statement = make_genesis()

    def found(envelope: Envelope) -> State:
        return transition(State(), Entry(0, START_MS, verify(envelope)))

    assert found(sign(statement, key("ledger"), key("checkpoint"))).size == 1
    with pytest.raises(MissingRole) as missing:
        found(sign(statement, key("ledger")))
    assert (missing.value.role, missing.value.keyid) == ("checkpoint", key("checkpoint").keyid)
    with pytest.raises(MissingRole):
        found(sign(statement, key("checkpoint")))
    with pytest.raises(ExtraSignature):
        found(sign(statement, key("ledger"), key("checkpoint"), key("bank")))
    with pytest.raises(SharedKey):
        found(sign(make_genesis(checkpoint_key=key("ledger").keyid), key("ledger")))


def test_a_ledger_is_named_by_its_genesis() -> None:
    """The name is the statement id; whatever genesis says is kept."""
    history = History()
    founding = history.state.founding
    assert founding is not None
    assert founding.ledger == history.state.ledger == history.entries[0].verified.digest
    assert (founding.ledger_key, founding.checkpoint_key) == (key("ledger").keyid, key("checkpoint").keyid)
    assert founding.bank_keys == (key("bank").keyid,)


def test_statements_of_another_ledger() -> None:
    """Each statement names its ledger; on a ledger of another name it is refused. The wallets' wire form names none."""
    other = History(genesis={"unit": "EUR"}).state.ledger
    for state, entry in places()[1:]:
        if entry.statement.kind == "grant-wire":
            continue
        moved = verify(resign(entry.verified.envelope, ledger=other))
        with pytest.raises(OtherLedger) as refused:
            transition(state, Entry(entry.index, entry.recorded_at_ms, moved))
        assert (refused.value.ledger, refused.value.expected) == (other, state.ledger)


# --- what the ledger itself must state


def test_what_is_due_comes_first() -> None:
    """While a statement of the ledger is due, no other kind is accepted, not even from the ledger."""
    stranger = verify(sign(Tick(ledger=whole_history().state.ledger, index=0), key("ledger")))
    every_kind = [places(kind)[0][1].verified for kind in AUTHORITY]
    for state, entry in places():
        if entry.statement.kind not in DERIVED:
            continue
        for verified in (stranger, *every_kind):
            if verified.kind == entry.statement.kind:
                continue
            with pytest.raises(DueFirst) as refused:
                transition(state, Entry(entry.index, entry.recorded_at_ms, verified))
            assert (refused.value.due, refused.value.kind) == (entry.statement.kind, verified.kind)


def test_what_is_not_due_is_refused() -> None:
    """No derived statement is accepted when nothing is due."""
    derived = [places(kind)[0][1].verified for kind in DERIVED]
    for state, entry in places()[1:]:
        if entry.statement.kind in DERIVED:
            continue
        for verified in derived:
            with pytest.raises(NotDue) as refused:
                transition(state, Entry(entry.index, entry.recorded_at_ms, verified))
            assert refused.value.kind == verified.kind


def test_what_is_due_is_what_is_written() -> None:
    """At each point ``next_due`` gives exactly the derived entry that follows, and nothing elsewhere."""
    for state, entry in places()[1:]:
        due = next_due(state, entry.recorded_at_ms)
        if entry.statement.kind in DERIVED:
            assert due is not None
            assert due.payload() == entry.verified.envelope.payload
        else:
            assert due is None


def test_what_is_due_depends_on_state_and_time_alone() -> None:
    """Whatever was asked before: each answer is that of a state and a time of which nothing was asked yet."""
    state, entry = places(RoundOpened.kind)[0]
    later = entry.recorded_at_ms + 1
    apart = [next_due(state._replace(size=state.size), at) for at in (entry.recorded_at_ms, later)]
    assert apart[0] != apart[1]
    for at in (0, 1, 1, 0, 0, 0, 1):
        assert next_due(state, entry.recorded_at_ms + at) == apart[at]
    other, another = places(RoundTallied.kind)[0]
    for _ in range(2):
        assert next_due(state, later) == apart[1]
        assert next_due(other, another.recorded_at_ms) == another.statement


@pytest.mark.parametrize("kind", DERIVED)
def test_any_change_to_a_derived_statement(kind: str) -> None:
    """Each number changed by one, each bit of each bitmap, each item of each list, each text: not derived, and the field is named."""
    tried = 0
    for state, entry in places(kind)[:6]:
        value = orjson.loads(entry.verified.envelope.payload)
        for path, changed in changes(value):
            if path[0] == "ledger":
                continue
            try:
                statement = KINDS[payload_type_of(kind)].model_validate(changed)
                verified = verify(sign(statement, key("ledger")))
            except (Malformed, ValueError):
                continue  # not even a statement
            tried += 1
            with pytest.raises(NotDerived) as refused:
                transition(state, Entry(entry.index, entry.recorded_at_ms, verified))
            assert (refused.value.kind, refused.value.field) == (kind, path[0])
    assert tried > 7


@pytest.mark.parametrize("kind", [*DERIVED, "tick"])
def test_the_ledgers_statements_need_the_ledgers_key(kind: str) -> None:
    """What follows from earlier entries is accepted from the ledger's key alone."""
    for state, entry in places(kind):
        for other in (key("checkpoint"), key("manager"), key("ledger-recovery")):
            with pytest.raises(MissingRole) as refused:
                transition(state, Entry(entry.index, entry.recorded_at_ms, verify(sign(entry.statement, other))))
            assert (refused.value.role, refused.value.keyid) == ("ledger", key("ledger").keyid)
        both = verify(sign(entry.statement, key("ledger"), key("bank")))
        with pytest.raises(ExtraSignature):
            transition(state, Entry(entry.index, entry.recorded_at_ms, both))


def changes(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The value with one thing changed, again and again, each with the path to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            for where, changed in changes(inner, (*path, name)):
                yield where, {**value, name: changed}
            if path:
                yield path, {n: deepcopy(v) for n, v in value.items() if n != name}
    elif isinstance(value, list):
        yield from ((path, changed) for changed in changed_lists(value))
        for i, inner in enumerate(value):
            for where, changed in changes(inner, path):
                yield where, [*value[:i], changed, *value[i + 1 :]]
    elif isinstance(value, int):
        yield from ((path, value + step) for step in (-1, 1))
    elif isinstance(value, str):
        yield from ((path, text) for text in changed_texts(value, path[-1]))
    else:
        yield path, "no attested work"


def changed_lists(items: list[Any]) -> Iterator[list[Any]]:
    """Near lists: an item left out, repeated at the end, or swapped with the one before."""
    for i, item in enumerate(items):
        yield items[:i] + items[i + 1 :]
        yield [*items, item]
        if i:
            yield [*items[: i - 1], item, items[i - 1], *items[i + 1 :]]


def changed_texts(text: str, name: str) -> Iterator[str]:
    """Near texts: amounts by one unit, bitmaps by one bit, digests and keys by one digit, times by one millisecond."""
    if name in ("attested", "rejected") and not text.isdigit():
        raw = int.from_bytes(base64.b64decode(text), "little")
        size = len(base64.b64decode(text))
        yield from (base64.b64encode((raw ^ 1 << i).to_bytes(size, "little")).decode() for i in range(8 * size))
    elif text.isdigit():
        yield from (str(int(text) + step) for step in (-1, 1))
    elif text.endswith("Z") and "T" in text:
        yield text[:-1].partition(".")[0] + ".001Z"
        yield text.replace("2026", "2027")
    else:
        last = text[-1]
        yield text[:-1] + ("0" if last != "0" else "1")
        yield text + "0"


# --- replays


def test_nothing_is_recorded_twice() -> None:
    """Each statement of a whole history, said again at every later point, is refused."""
    history = whole_history()
    for entry in history.entries:
        for later in range(entry.index + 1, len(history.entries) + 1):
            state = history.states[later]
            with pytest.raises(ProofroomError):
                transition(state, Entry(later, state.recorded_at_ms, entry.verified))


# --- purity


def test_transitions_are_pure() -> None:
    """A history replayed from the same entries goes through equal states, and leaves the states before it as they were."""
    history = whole_history()
    before = [encode_state(state, b"") for state in history.states]
    state = State()
    for entry, expected in zip(history.entries, history.states[1:], strict=True):
        state = transition(state, Entry(entry.index, entry.recorded_at_ms, verify(entry.verified.envelope)))
        assert state == expected
    assert [encode_state(state, b"") for state in history.states] == before


def test_states_do_not_depend_on_hash_order() -> None:
    """A process that hashes text differently than this one builds the same history to the byte."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from strategies.whole import whole_history, written\n"
        "sys.stdout.buffer.write(written(whole_history()))\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parents[1])],
        env={**os.environ, "PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"},
        capture_output=True,
        check=True,
    )
    assert other.stdout == written(whole_history())
    assert len(other.stdout) > 10_000


# --- a few that a reader should see


def test_a_host_cannot_hide_the_end_of_an_era() -> None:
    """From the era's last millisecond on, the seal comes first; one millisecond before, work is still recorded."""
    history = History()
    history.found()
    history.write(history.cast.open_era(0))
    history.clock = START_MS + 24 * HOUR_MS - 1
    history.record(history.cast.activity(history.grant, 0))
    history.sleep(1)
    with pytest.raises(DueFirst) as refused:
        history.record(history.cast.activity(history.grant, 0))
    assert refused.value.due == "era-sealed"


@pytest.mark.parametrize("batches", [1, 2])
def test_eras_that_end_together_do_not_pay_from_one_purse(batches: int) -> None:
    """Two eras of a cluster that become final in the same moment are settled one after the other: the second from what the first left.

    Nobody wrote for hours; both last rounds end, and both eras charge the same customer, whose deposit covers only the first.
    """
    history = History()
    history.found(deposit=25_000_000)
    cast = history.cast
    for era in range(2):
        history.write(cast.open_era(era))
        history.sleep(2_000)
        for _ in range(1 if era else batches):
            history.work(era, Work(10_000 if era else 10_000 // batches))
            round = history.seal(era)
            first, *others = history.reveal_beacons(round)
            history.vote(round, {first: None, **dict.fromkeys(others, make_vote(1))})
            history.sleep(1)
        history.write(cast.close_era(era))
    history.tick(HOUR_MS)
    charges = [s for s in (e.statement for e in history.entries) if isinstance(s, Payout) and s.role == "charge"]
    assert [(line.era, line.amount, line.basis.debt) for line in charges] == [
        (0, "20000000", "0"),
        (1, "5000000", "15000000"),
    ]


def test_an_error_names_the_first_field_that_differs() -> None:
    """A derived statement with several faults is refused for the first field in order of names."""
    state, entry = places("era-paid")[0]
    value = orjson.loads(entry.verified.envelope.payload)
    value["batches"] += 1
    value["totals"] = {**value["totals"], "debt": "7"}
    statement: Statement = KINDS[payload_type_of("era-paid")].model_validate(value)
    with pytest.raises(NotDerived) as refused:
        transition(state, Entry(entry.index, entry.recorded_at_ms, verify(sign(statement, key("ledger")))))
    assert refused.value.field == "batches"


def test_ticks_let_time_pass() -> None:
    """A tick changes nothing but size and time, and needs its own index."""
    history = History()
    before = history.state
    history.tick(5)
    assert history.state == before._replace(size=2, recorded_at_ms=START_MS + 5)
    assert from_ms(history.state.recorded_at_ms) == "2026-03-01T09:00:00.005Z"
    assert key_of(key("ledger").keyid) is key("ledger")
