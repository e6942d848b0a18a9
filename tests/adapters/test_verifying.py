"""Verifying many envelopes at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proofroom.adapters.ledger import Ledger
from proofroom.adapters.verifying import AHEAD, CHUNK, Given, VerifyingPool, verify_chunks, verify_one
from proofroom.adapters.writer import Recorded
from proofroom.domain.envelope import Envelope, Verified
from proofroom.domain.errors import BadInput, BadSignature, Malformed, ProofroomError
from strategies.rooms import make_folder
from strategies.whole import whole_history

ENVELOPES = [e.verified.envelope for e in whole_history().entries]


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifyingPool]:
    made = VerifyingPool(2)
    yield made
    made.close()


def spoiled(envelope: Envelope, at: int) -> Envelope:
    first, *rest = envelope.signatures
    value = bytearray(first.value)
    value[at % 64] ^= 1
    return envelope._replace(signatures=(first._replace(value=bytes(value)), *rest))


class Text(str):
    """Text that is not plain, and that no process would take."""


def misshapen(envelope: Envelope, change: dict[str, Any]) -> Envelope:
    """As a host may build one, against its types."""
    return envelope._replace(signatures=tuple(s._replace(**change) for s in envelope.signatures))


def forms() -> st.SearchStrategy[Given]:
    """Good and bad envelopes in every form."""
    good = st.sampled_from(ENVELOPES)
    return st.one_of(
        good,
        good.map(Envelope.to_json),
        good.map(verify_one),
        good.map(Envelope.freeze),
        st.builds(spoiled, good, st.integers(0, 63)).map(Envelope.freeze),
        good.map(Envelope.freeze).map(lambda f: (f[0], f[1], f[2][:-1])),
        st.builds(spoiled, good, st.integers(0, 63)),
        st.builds(spoiled, good, st.integers(0, 63)).map(Envelope.to_json),
        good.map(lambda e: e.to_json()[:-1]),
        good.map(lambda e: e._replace(payload=e.payload + b" ")),
        good.map(lambda e: e._replace(signatures=())),
        good.map(lambda e: e._replace(signatures=e.signatures * 2)),
        st.builds(
            misshapen,
            good,
            st.sampled_from(
                [{"value": bytes(63)}, {"value": bytearray(64)}, {"value": None}, {"keyid": None}, {"keyid": Text("k")}]
            ),
        ),
        good.map(lambda e: e._replace(payload_type=Text(e.payload_type))),
        st.just(b""),
    )


def shape(outcomes: list[Verified | ProofroomError]) -> list[object]:
    return [(o.id, o.envelope, o.statement) if isinstance(o, Verified) else o.to_json() for o in outcomes]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(envelopes=st.lists(forms(), max_size=3 * CHUNK))
def test_processes_find_what_one_thread_finds(pool: VerifyingPool, envelopes: list[Given]) -> None:
    """The same outcome for each, in the same order."""
    assert shape(list(chain.from_iterable(pool.verify_chunks(envelopes)))) == shape(
        list(chain.from_iterable(verify_chunks(envelopes)))
    )


def test_order_is_kept_over_many_chunks(pool: VerifyingPool) -> None:
    """However the chunks are shared out."""
    many = [ENVELOPES[i % len(ENVELOPES)] for i in range(30 * CHUNK)]
    outcomes = list(chain.from_iterable(pool.verify_chunks(iter(many))))
    assert [o.envelope for o in outcomes if isinstance(o, Verified)] == many


def test_one_bad_signature_among_many_is_named(pool: VerifyingPool) -> None:
    """Its place, its key, and no other."""
    many = [ENVELOPES[i % len(ENVELOPES)] for i in range(10 * CHUNK)]
    many[321] = spoiled(many[321], 7)
    outcomes = list(chain.from_iterable(pool.verify_chunks(many)))
    assert [i for i, o in enumerate(outcomes) if not isinstance(o, Verified)] == [321]
    bad = outcomes[321]
    assert isinstance(bad, BadSignature)
    assert bad.keyid == many[321].signatures[0].keyid


def test_no_more_is_taken_than_is_in_flight(pool: VerifyingPool) -> None:
    """Memory does not grow with the stream."""
    taken = 0

    def endless() -> Iterator[Envelope]:
        nonlocal taken
        while True:
            taken += 1
            yield ENVELOPES[taken % len(ENVELOPES)]

    chunks = pool.verify_chunks(endless())
    for _ in range(5):
        next(chunks)
    assert taken <= (5 + 1 + AHEAD) * CHUNK


def test_a_source_that_fails_is_the_callers_own_error(pool: VerifyingPool) -> None:
    """What the iterable raises comes through, and the pool works on."""

    def failing() -> Iterator[Envelope]:
        yield ENVELOPES[0]
        raise KeyError

    with pytest.raises(KeyError):
        list(chain.from_iterable(pool.verify_chunks(failing())))
    assert len(list(chain.from_iterable(pool.verify_chunks(ENVELOPES[:3])))) == 3


@pytest.mark.parametrize("given", ["{}", {}, None, ("a", "b"), (1, 2, 3)])
def test_what_is_no_envelope_in_any_form_is_the_callers_own_error(pool: VerifyingPool, given: Any) -> None:
    """And ends no process."""
    with pytest.raises((TypeError, ValueError, ProofroomError)):
        list(chain.from_iterable(pool.verify_chunks([given])))
    assert [worker._process.poll() for worker in pool._workers] == [None, None]


def test_several_threads_share_a_pool(pool: VerifyingPool) -> None:
    """Each gets its own outcomes."""
    failures: list[int] = []

    def run(start: int) -> None:
        mine = ENVELOPES[start:] * 3
        if [o.envelope for o in chain.from_iterable(pool.verify_chunks(mine)) if isinstance(o, Verified)] != mine:
            failures.append(start)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_process_that_dies_costs_time_and_nothing_else() -> None:
    """Good and bad are still told apart when every signature process was killed."""
    pool = VerifyingPool(2)
    try:
        list(chain.from_iterable(pool.verify_chunks(ENVELOPES)))
        for worker in pool._workers:
            os.kill(worker._process.pid, signal.SIGKILL)
            worker._process.wait()
        many: list[Given] = [*ENVELOPES, spoiled(ENVELOPES[3], 3), b"{"]
        outcomes = list(chain.from_iterable(pool.verify_chunks(many)))
        assert [isinstance(o, Verified) for o in outcomes] == [True] * len(ENVELOPES) + [False, False]
    finally:
        pool.close()


def test_a_ledger_with_workers_records_as_one_without(tmp_path: Path) -> None:
    """A stream through processes: the same places and errors, and no process lingers."""
    room = make_folder(tmp_path)
    lines: list[bytes] = [e.to_json() for e in room.records(150)]
    lines[70:70] = [b"{}", lines[3], spoiled(room.record(), 1).to_json()]
    room.ledger.close()
    before = threading.active_count()
    with Ledger.open(tmp_path, workers=2) as ledger:
        outcomes = list(ledger.append_stream(lines))
        assert ledger._pool is not None
        processes = [w._process for w in ledger._pool._workers]
    assert [p.returncode is not None for p in processes] == [True, True]
    assert [i for i, o in enumerate(outcomes) if not isinstance(o, Recorded)] == [70, 72]
    assert [o.repeated for o in outcomes if isinstance(o, Recorded)].count(True) == 1
    assert threading.active_count() <= before


def test_one_bad_envelope_raises_its_own_error() -> None:
    """For a single one there is nothing to collect."""
    with pytest.raises(Malformed):
        verify_one(b"[]")
    verified = verify_one(ENVELOPES[0])
    assert verify_one(verified) is verified
    assert verify_one(ENVELOPES[0].to_json()).id == verified.id


@pytest.mark.parametrize("workers", [0, -1])
def test_no_processes_verify_nothing(workers: int) -> None:
    """It is said, and not waited for."""
    with pytest.raises(BadInput, match="no number of processes"):
        VerifyingPool(workers)
