"""Verifying many envelopes at once: parsed and checked in threads (libsodium releases the interpreter), given back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from proofroom.domain.envelope import Envelope, Verified, parse_envelope, verify
from proofroom.domain.errors import ProofroomError

CHUNK = 64
"""Envelopes that a thread takes at once."""

AHEAD = 16
"""Chunks in flight: bounds memory, whatever the length of the stream."""


def verify_one(envelope: bytes | Envelope | Verified) -> Verified:
    """The verified statement in an envelope, in JSON or parsed.

    Raises:
        Malformed: each fault has its own class.
    """
    if isinstance(envelope, Verified):
        return envelope
    return verify(parse_envelope(envelope) if isinstance(envelope, bytes) else envelope)


def _verify_chunk(chunk: list[bytes | Envelope | Verified]) -> list[Verified | ProofroomError]:
    outcomes: list[Verified | ProofroomError] = []
    for envelope in chunk:
        try:
            outcomes.append(verify_one(envelope))
        except ProofroomError as e:
            outcomes.append(e)
    return outcomes


def verify_stream(
    envelopes: Iterable[bytes | Envelope | Verified], pool: ThreadPoolExecutor
) -> Iterator[Verified | ProofroomError]:
    """The outcome for each envelope, in order; a bad one gives its error and does not stop the rest."""
    source = iter(envelopes)
    pending: deque[Future[list[Verified | ProofroomError]]] = deque()
    while True:
        while len(pending) < AHEAD and (chunk := list(islice(source, CHUNK))):
            pending.append(pool.submit(_verify_chunk, chunk))
        if not pending:
            return
        yield from pending.popleft().result()
