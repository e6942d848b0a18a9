"""Verifying many envelopes at once, in order.

Signatures are the wall: three of them cost some 180 us, all the rest of a record about 100 us. A :class:`VerifyingPool` parses
in threads and has signatures checked by processes of its own, which need nothing of the host's program (no ``__main__`` guard,
no fork).
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from proofroom.adapters.signature_worker import Jobs, check_all, read_frame, write_frame
from proofroom.domain.envelope import Envelope, Verified, _mint, parse_envelope, signed_message, verify
from proofroom.domain.errors import BadSignature, ProofroomError
from proofroom.domain.ids import KeyId
from proofroom.domain.statements import Statement, parse

CHUNK = 64
"""Envelopes that are taken at once."""

AnyEnvelope = bytes | Envelope | Verified
"""An envelope in JSON, parsed, or already verified."""


def verify_one(envelope: AnyEnvelope) -> Verified:
    """The verified statement in an envelope.

    Raises:
        Malformed: each fault has its own class.
    """
    if isinstance(envelope, Verified):
        return envelope
    return verify(parse_envelope(envelope) if isinstance(envelope, bytes) else envelope)


def verify_each(envelopes: Iterable[AnyEnvelope]) -> Iterator[Verified | ProofroomError]:
    """The outcome for each envelope; a bad one gives its error and does not stop the rest."""
    for envelope in envelopes:
        try:
            yield verify_one(envelope)
        except ProofroomError as e:
            yield e


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
    """Verifies streams with ``workers`` processes. Close it; nothing lingers."""

    def __init__(self, workers: int) -> None:
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = [_Worker() for _ in range(workers)]
        for worker in self._workers:
            self._idle.put(worker)
        # Twice as many threads as processes: while one waits for a process, another has the next chunk ready.
        self._threads = ThreadPoolExecutor(2 * workers, thread_name_prefix="proofroom-verify")

    def verify_each(self, envelopes: Iterable[AnyEnvelope]) -> Iterator[Verified | ProofroomError]:
        """As :func:`verify_each`, in order. What is in flight is bounded, whatever the length of the stream."""
        source = iter(envelopes)
        pending: deque[Future[list[Verified | ProofroomError]]] = deque()
        while True:
            while len(pending) < 4 * len(self._workers) and (chunk := list(islice(source, CHUNK))):
                pending.append(self._threads.submit(self._verify_chunk, chunk))
            if not pending:
                return
            yield from pending.popleft().result()

    def _verify_chunk(self, chunk: list[AnyEnvelope]) -> list[Verified | ProofroomError]:
        outcomes: list[Verified | ProofroomError] = []
        jobs: Jobs = []
        waiting: list[tuple[int, Envelope, Statement]] = []
        for envelope in chunk:
            try:
                if isinstance(envelope, Verified):
                    outcomes.append(envelope)
                    continue
                parsed = parse_envelope(envelope) if isinstance(envelope, bytes) else envelope
                statement = parse(parsed.payload_type, parsed.payload)
                jobs.append(signed_message(parsed))
            except ProofroomError as e:
                outcomes.append(e)
                continue
            waiting.append((len(outcomes), parsed, statement))
            outcomes.append(_PENDING)
        for (place, parsed, statement), bad in zip(waiting, self._check(jobs), strict=True):
            outcomes[place] = _mint(parsed, statement) if bad is None else BadSignature(keyid=bad)
        return outcomes

    def _check(self, jobs: Jobs) -> list[KeyId | None]:
        worker = self._idle.get()
        try:
            return worker.check(jobs)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """Stop threads and processes."""
        self._threads.shutdown()
        for worker in self._workers:
            worker.close()


_PENDING = ProofroomError()


class _Worker:
    """One signature process, as its parent sees it."""

    def __init__(self) -> None:
        # -P: a file in the current folder must not pass for a module of ours. What the child imports is what this process would.
        path = os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p)
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "proofroom.adapters.signature_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.defpath, "PYTHONPATH": path, **kept},
        )

    def check(self, jobs: Jobs) -> list[KeyId | None]:
        """The process's answer; where it died, our own."""
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        try:
            write_frame(to, jobs)
            answer: list[KeyId | None] = read_frame(back)
        except (OSError, EOFError, ValueError):
            return check_all(jobs)
        return answer if len(answer) == len(jobs) else check_all(jobs)

    def close(self) -> None:
        """End the process and wait for it."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._process.wait()
