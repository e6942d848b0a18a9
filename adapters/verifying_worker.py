"""A process that does nothing but check envelopes: frames in on standard input, frames out on standard output.

A frame is a big-endian u32 length and that many bytes of ``marshal``: in, a list of envelopes, each in JSON or as plain values; out, for
each its plain values and its statement id, when its payload is canonical and every signature holds, or else None: whoever asked then
looks for the fault itself. The process holds no key and writes nothing.
"""

from __future__ import annotations

import gc
import marshal
import os
import queue
import signal
import struct
import sys
import threading
from collections.abc import Sequence
from typing import IO

from proofroom.domain.envelope import Envelope, Signature, parse_envelope, statement_id, verify_signatures
from proofroom.domain.errors import ProofroomError
from proofroom.domain.ids import KeyId
from proofroom.domain.rooted import RootedPath
from proofroom.domain.statements import decode

Plain = tuple[str, bytes, tuple[tuple[KeyId, bytes, tuple[int, int, bytes] | None], ...]]
"""An envelope as plain values: payload type, payload, of each signature the key, the value, and where it stands in a tree."""


def plain(envelope: Envelope) -> Plain:
    """An envelope as plain values, which is what ``marshal`` writes."""
    payload_type, payload, signatures = envelope
    return payload_type, payload, tuple([(key, value, place and (*place,)) for key, value, place in signatures])


def envelope_of(values: Plain) -> Envelope:
    """The envelope behind plain values; nothing of it is verified."""
    payload_type, payload, signatures = values
    signed = [Signature(key, value, place and RootedPath(*place)) for key, value, place in signatures]
    return Envelope(payload_type, payload, tuple(signed))


def check_all(frame: Sequence[bytes | Envelope | Plain]) -> list[tuple[Plain, bytes] | None]:
    """Of each envelope its plain values and statement id, if its payload is canonical and its signatures hold; whether it fits a schema is
    not looked at.

    First all are read, then all signatures are checked: taking turns, the two would drive each other out of the processor's caches.
    """
    envelopes = [_read(given) for given in frame]
    return [None if envelope is None or not _holds(envelope) else _passed(envelope) for envelope in envelopes]


def _read(given: bytes | Envelope | Plain) -> Envelope | None:
    try:
        envelope = parse_envelope(given) if isinstance(given, bytes) else envelope_of(given)
        decode(envelope.payload_type, envelope.payload)
    except ProofroomError:
        return None
    return envelope


def _holds(envelope: Envelope) -> bool:
    try:
        verify_signatures(envelope)
    except ProofroomError:
        return False
    return True


def _passed(envelope: Envelope) -> tuple[Plain, bytes]:
    return plain(envelope), statement_id(envelope.payload_type, envelope.payload)


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Send one frame, as ``marshal`` wrote it."""
    stream.write(struct.pack(">I", len(data)))
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes:
    """The next frame, for ``marshal`` to load when its values are needed.

    Raises:
        EOFError: the other side is gone.
    """
    head = stream.read(4)
    size = struct.unpack(">I", head)[0] if len(head) == 4 else 0
    data = stream.read(size)
    if not data or len(data) < size:
        raise EOFError
    return data


def _read_ahead(frames: queue.SimpleQueue[bytes | None]) -> None:
    """Take frames off the pipe at once: a parent that writes while we write must never wait for us."""
    try:
        while True:
            frames.put(read_frame(sys.stdin.buffer))
    except EOFError:
        frames.put(None)


def main() -> None:
    """Serve until the parent closes standard input. An interrupt at the terminal is for the parent to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # what is made here is freed by its reference count
    frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read_ahead, args=(frames,), daemon=True).start()
    while (frame := frames.get()) is not None:
        try:
            write_frame(sys.stdout.buffer, marshal.dumps(check_all(marshal.loads(frame))))
        except BrokenPipeError:
            os._exit(0)  # whoever asked was killed; there is nobody to tell, and nothing to flush


if __name__ == "__main__":
    main()
