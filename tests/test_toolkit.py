"""The toolkit that hosts use finds what it is for: each rule, each change, and each way in which a host may be wrong."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

import proofroom.testing
from proofroom import Ledger
from proofroom.adapters.audit import Verdict, audit
from proofroom.adapters.cast import Cast
from proofroom.adapters.lab.perturb import PERTURBATIONS
from proofroom.adapters.writer import CLAMP_MS
from proofroom.domain.authority import AUTHORITY
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import parse_envelope, verify
from proofroom.domain.errors import MissingExtra, ProofroomError
from proofroom.domain.transition import transition
from proofroom.testing import neighbours as near
from proofroom.testing.clocks import Clock, interleavings, steps
from proofroom.testing.histories import History, store_of
from proofroom.testing.hosting import Host, HostMachine, ledger_in
from proofroom.testing.neighbours import invalid, neighbours
from proofroom.testing.tampering import Tampered, tampered
from proofroom.testing.worlds import histories
from strategies.rooms import soak
from strategies.whole import whole_history

# --- neighbours


def assert_refused(history: History, index: int, neighbour: near.Neighbour) -> None:
    """In the place of an entry its neighbour is refused, by the error on its label."""
    entry = history.entries[index]

    def record() -> None:
        verified = verify(parse_envelope(neighbour.envelope))
        transition(history.states[index], Entry(index, entry.recorded_at_ms, verified))

    with pytest.raises(ProofroomError) as refused:
        record()
    assert type(refused.value) is neighbour.error, (entry.statement.kind, neighbour.rule)


def said(history: History) -> list[int]:
    """The entries that parties signed."""
    return [e.index for e in history.entries[1:] if not AUTHORITY[e.statement.kind].derived]


def test_each_neighbour_of_each_kind_is_refused_by_the_error_on_its_label() -> None:
    """Of every kind that a party signs, and by every rule that there is."""
    history, rules, kinds = whole_history(), set[str](), set[str]()
    for index in said(history):
        entry = history.entries[index]
        if entry.statement.kind in kinds and index % soak(8, 1):
            continue
        kinds.add(entry.statement.kind)
        for neighbour in neighbours(entry.recorded_at_ms, entry.verified.envelope):
            assert_refused(history, index, neighbour)
            rules.add(neighbour.rule)
    assert kinds == {kind for kind, rule in AUTHORITY.items() if not rule.derived}
    assert rules == {rule for rule, _, _ in near._ENVELOPES} | {r for of in near._KINDS.values() for r, _, _ in of}


@settings(max_examples=soak(3, 2_000), suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), data=st.data())
def test_a_neighbour_in_any_world_is_refused_by_the_error_on_its_label(history: History, data: st.DataObject) -> None:
    """Wherever it stands."""
    index = data.draw(st.sampled_from(said(history)))
    entry = history.entries[index]
    neighbour = data.draw(invalid(entry.recorded_at_ms, entry.verified.envelope))
    assert_refused(history, index, neighbour)


# --- tampering


@pytest.mark.parametrize("kind", PERTURBATIONS)
@settings(max_examples=soak(2, 500))
@given(data=st.data())
def test_any_change_to_a_stored_log_is_found_where_it_was_made(data: st.DataObject, kind: str) -> None:
    """Bits, fields, entries dropped, put in, swapped and spliced, ends cut off, statements signed by a stranger."""
    log = data.draw(tampered(store_of(small()), [kind]))
    report = audit(log)
    assert report.verdict is not Verdict.VALID, log
    assert report.entries == log.first, (log, report.sentence())
    if report.verdict is Verdict.INVALID:
        assert report.first_bad == log.first
    else:
        assert report.verdict is Verdict.INCOMPLETE
        assert log.size() == log.first


def small() -> History:
    """A few entries."""
    history = History(validators=1, chain=5)
    history.write(*history.cast.consent())
    history.tick(1)
    return history


def test_a_log_that_nobody_touched_is_valid() -> None:
    """The store itself leaves nothing that an audit would stumble over."""
    store = store_of(small())
    untouched = Tampered("nothing", store.read(0), store.checkpoints(0), -1)
    assert audit(untouched).verdict is Verdict.VALID


# --- clocks and orders


@given(parties=st.lists(st.lists(st.integers(), max_size=3), max_size=3), data=st.data())
def test_an_interleaving_keeps_each_partys_order(parties: list[list[int]], data: st.DataObject) -> None:
    """Nothing is lost, doubled or overtaken."""
    marked = [[(i, j) for j, _ in enumerate(party)] for i, party in enumerate(parties)]
    merged = data.draw(interleavings(*marked))
    assert [[said for said in merged if said[0] == i] for i in range(len(parties))] == marked


@pytest.mark.parametrize("order", ["aabb", "abab", "abba", "baab", "baba", "bbaa"])
def test_every_order_can_be_drawn(order: str) -> None:
    """Of two parties with two words each."""
    assert find(interleavings("aa", "bb"), lambda merged: "".join(merged) == order)


def test_a_clock_goes_both_ways() -> None:
    """As far back as a ledger forgives, and not by default further."""
    assert find(steps(), lambda ms: ms == -CLAMP_MS) == -CLAMP_MS
    with pytest.raises(Exception, match="No examples"):
        find(steps(), lambda ms: ms < -CLAMP_MS, settings=settings(database=None, max_examples=100))


# --- hosts


class Plain:
    """A host that does nothing but embed a ledger."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.ledger = ledger_in(folder, clock)

    def submit(self, envelope: bytes) -> int | str:
        try:
            return self.ledger.append(envelope).entry_index
        except ProofroomError as e:
            return e.code

    def close(self) -> None:
        self.ledger.close()


class TooSoon(Plain):
    """It answers before it records."""

    waiting: bytes = b""

    def submit(self, envelope: bytes) -> int | str:
        answer = super().submit(self.waiting) if self.waiting else 0
        self.waiting = b"" if isinstance(answer, str) else envelope
        return self.ledger.size


class Trusting(Plain):
    """It takes a stranger's word for the signatures, and says that all is well."""

    def submit(self, envelope: bytes) -> int | str:
        answer = super().submit(envelope)
        return self.ledger.size if answer == "bad-signature" else answer


class Talkative(Plain):
    """It writes down that it refused something."""

    def submit(self, envelope: bytes) -> int | str:
        answer = super().submit(envelope)
        if isinstance(answer, str):
            self.ledger.tick()
        return answer


class Vague(Plain):
    """It does not say why."""

    def submit(self, envelope: bytes) -> int | str:
        answer = super().submit(envelope)
        return "refused" if isinstance(answer, str) else answer


class Touchy(Plain):
    """What it has recorded already, it refuses: whoever lost its answer never learns the place."""

    def submit(self, envelope: bytes) -> int | str:
        before = self.ledger.size
        answer = super().submit(envelope)
        return "already-recorded" if isinstance(answer, int) and answer < before else answer


def machine_of(host: type[Plain]) -> type[RuleBasedStateMachine]:
    """The machine for a host."""

    class Machine(HostMachine):
        def make_host(self, folder: Path, clock: Clock) -> Host:
            return host(folder, clock)

    return Machine


quick = settings(
    max_examples=soak(3, 300),
    stateful_step_count=soak(15, 40),
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
    database=None,
)


def test_a_host_that_keeps_the_rules_passes() -> None:
    """In any sequence of what anybody may send it."""
    run_state_machine_as_test(machine_of(Plain), settings=quick)


@pytest.mark.parametrize("host", [TooSoon, Trusting, Talkative, Vague, Touchy])
def test_a_host_that_breaks_a_rule_is_found(host: type[Plain]) -> None:
    """Each in another way; by the same draws every time, so that it is found every time."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine_of(host), settings=settings(quick, max_examples=300, derandomize=True))


# --- as it is shipped


def test_the_fixtures_are_found_by_pytest(proofroom_ledger: Ledger, proofroom_cast: Cast) -> None:
    """Without a line in a conftest."""
    place = proofroom_ledger.append(proofroom_cast.open_vault())
    assert proofroom_ledger.entry(place.entry_index).statement.kind == "vault-opened"


@pytest.mark.parametrize("package", ["hypothesis", "pytest"])
def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Instead of a traceback of imports."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra) as missing:
        importlib.reload(proofroom.testing)
    assert missing.value.fields() == {"extra": "testing", "package": package}
