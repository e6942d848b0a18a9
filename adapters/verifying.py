"""Verifying many envelopes at once, in order.

Signatures are the wall: three of them cost some 180 us, all the rest of a record about 100 us. A :class:`VerifyingPool` has bytes
and signatures checked by processes of its own, which need nothing of the host's program (no ``__main__`` guard, no fork). What they
pass is read into a statement here; what they do not pass is verified here once more, so that every fault has its own error.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from proofroom.adapters.verifying_worker import Passed, check_all, envelope_of, read_frame, write_frame
from proofroom.domain.envelope import Envelope, Frozen, Verified, _mint, check_form, verify
from proofroom.domain.errors import BadInput, ProofroomError
from proofroom.domain.statements import parse_decoded

CHUNK = 64
"""Envelopes that a process takes at once."""

AHEAD = 32
"""Chunks under way while earlier ones are written: twice as many as are written at once; four for each process where that is more."""

AnyEnvelope = bytes | Envelope | Verified
"""An envelope in JSON, parsed, or already verified."""

Given = AnyEnvelope | Frozen
"""The same, or frozen, as a store gives it."""


def verify_one(envelope: Given) -> Verified:
    """The verified statement in an envelope.

    Raises:
        Malformed: each fault has its own class.
    """
    if isinstance(envelope, Verified):
        return envelope
    return verify(envelope_of(envelope))


Outcomes = Iterable[Verified | ProofroomError]
"""What became of each envelope: a bad one gives its error and does not stop the rest."""


def verify_chunks(envelopes: Iterable[Given]) -> Iterator[Outcomes]:
    """The outcomes for :data:`CHUNK` envelopes at a time, in order, checked in the calling thread."""
    source = iter(envelopes)
    while chunk := list(islice(source, CHUNK)):
        yield _checked(chunk, check_all([b"" if isinstance(e, Verified) else e for e in chunk]))


def _checked(chunk: list[Given], answer: Sequence[Passed | None]) -> Outcomes:
    """The statements of what passed, made as they are iterated, once; what did not pass is verified once more, for its error."""
    return map(_made, [passed or _verified(envelope) for envelope, passed in zip(chunk, answer, strict=True)])


def _verified(envelope: Given) -> Verified | ProofroomError:
    try:
        return verify_one(envelope)
    except ProofroomError as e:
        return e


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python's cycle collector from looking through what is in flight, again and again, for cycles that we do not make.

    It costs a fifth of a bulk append. What is in flight is bounded, and freed by reference counts; a host that has switched the collector
    off itself finds it off.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class VerifyingPool:
    """Verifies streams with ``workers`` processes. Close it; nothing lingers.

    Raises:
        BadInput: there are none, for whom one would wait for ever.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise BadInput(path="workers", why=f"{workers} is no number of processes")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._workers = [_Worker(self._jobs) for _ in range(workers)]
        self._ahead = max(AHEAD, 4 * workers)

    def verify_chunks(self, envelopes: Iterable[Given]) -> Iterator[Outcomes]:
        """As :func:`verify_chunks`. What is in flight is bounded, whatever the length of the stream.

        A chunk that is given has been checked. Its statements are made as it is iterated, once, to be used while the processor's caches
        hold them.
        """
        source = iter(envelopes)
        under_way: deque[tuple[list[Given], _Job]] = deque()
        while True:
            while len(under_way) < self._ahead and (chunk := list(islice(source, CHUNK))):
                job = _Job(marshal.dumps([_travelling(envelope) for envelope in chunk]), Future())
                self._jobs.put(job)
                under_way.append((chunk, job))
            if not under_way:
                return
            chunk, job = under_way.popleft()
            yield _checked(chunk, _read_answer(job.answer.result(), len(chunk)))

    def close(self) -> None:
        """Stop threads and processes."""
        for _ in self._workers:
            self._jobs.put(None)
        for worker in self._workers:
            worker.join()


def _read_answer(frame: bytes, count: int) -> Sequence[Passed | None]:
    """What a process answered to ``count`` envelopes: nothing of them is checked where it died."""
    with contextlib.suppress(EOFError, ValueError):
        answer: list[Passed | None] = marshal.loads(frame)
        if len(answer) == count:
            return answer
    return [None] * count


def _travelling(envelope: Given) -> bytes | Frozen:
    """The envelope as it goes to a process; empty when this process has to look at it."""
    if isinstance(envelope, Verified):
        return b""
    if not isinstance(envelope, Envelope):
        return envelope
    try:
        check_form(envelope)
        return envelope.freeze()
    except ProofroomError:
        return b""


def _made(checked: Passed | Verified | ProofroomError) -> Verified | ProofroomError:
    if not isinstance(checked, tuple):
        return checked
    frozen, keys, id = checked
    try:
        return _mint(frozen, keys, parse_decoded(frozen[0], frozen[1]), id)
    except ProofroomError as e:
        return e


class _Job(NamedTuple):
    """A chunk on its way: what a process is to check, and its answer to come."""

    frame: bytes
    """Written by whoever asks: what cannot be written is told there, and not to a thread that serves all."""
    answer: Future[bytes]
    """Its frame, or nothing where the process died. It is read when its turn comes: as values, what waits would be looked at by
    Python's cycle collector again and again."""


class _Worker:
    """One process, and the thread that hands it chunks."""

    def __init__(self, jobs: queue.SimpleQueue[_Job | None]) -> None:
        # -P: a file in the current folder must not pass for a module of ours. What the child imports is what this process would.
        path = os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p)
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "proofroom.adapters.verifying_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.defpath, "PYTHONPATH": path, **kept},
        )
        self._jobs = jobs
        self._thread = threading.Thread(target=self._serve, name="proofroom-verify", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        """Hand over chunks until told to stop; one ahead, so that the process need not wait until this thread is scheduled again."""
        sent: deque[_Job] = deque()
        stopped = False
        while sent or not stopped:
            if not stopped and len(sent) < 2:
                with contextlib.suppress(queue.Empty):
                    job = self._jobs.get(block=not sent)
                    if job is None:
                        stopped = True
                    else:
                        self._send(job)
                        sent.append(job)
                    continue
            job = sent.popleft()
            answer = b""
            try:
                answer = self._receive()
            finally:
                job.answer.set_result(answer)

    def _send(self, job: _Job) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            write_frame(self._process.stdin, job.frame)

    def _receive(self) -> bytes:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, EOFError):
            return read_frame(self._process.stdout)
        return b""

    def join(self) -> None:
        """End the process, once the thread has stopped, and wait for it."""
        self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._process.wait()
