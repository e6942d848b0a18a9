"""A process that does nothing but check envelopes: frames in on standard input, frames out on standard output.

A frame is a big-endian u32 length and that many bytes of ``marshal``: in, a list of envelopes, each in JSON or frozen; out, for each
the frozen envelope, its signers and its statement id, when its payload is canonical and every signature holds, or else None: whoever
asked then looks for the fault itself. The process holds no key and writes nothing.
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

from proofroom.domain.envelope import Envelope, Frozen, parse_envelope, statement_id, thaw, verify_signatures
from proofroom.domain.errors import ProofroomError
from proofroom.domain.ids import KeyId
from proofroom.domain.statements import decode

Passed = tuple[Frozen, list[KeyId], bytes]
"""What a check leaves to be read: an envelope, frozen, who signed it, and its statement id."""


def envelope_of(given: bytes | Envelope | Frozen) -> Envelope:
    """The envelope, in whichever form it is given; nothing of it is verified.

    Raises:
        Malformed: it is none.
        TypeError: it is in no form at all, such as text.
    """
    if isinstance(given, bytes):
        return parse_envelope(given)
    if isinstance(given, Envelope):
        return given
    form: object = given
    if not isinstance(form, tuple):
        raise TypeError(
            f"an envelope is its JSON as bytes, or what sign() or verify() gave, not {type(given).__name__}"
        )
    return thaw(given)


def check_all(frame: Sequence[bytes | Envelope | Frozen]) -> list[Passed | None]:
    """What passes of the envelopes: those whose payload is canonical and whose signatures hold; whether it fits a schema is not looked at.

    First all are read, then all signatures are checked: taking turns, the two would drive each other out of the processor's caches.
    """
    envelopes = [_read(given) for given in frame]
    return [None if envelope is None or not _holds(envelope) else _passed(envelope) for envelope in envelopes]


def _read(given: bytes | Envelope | Frozen) -> Envelope | None:
    try:
        envelope = envelope_of(given)
        decode(envelope.payload_type, envelope.payload)
    except (
        ProofroomError,
        TypeError,
        ValueError,
    ):  # what is no envelope in any form ends no process that others wait for
        return None
    return envelope


def _holds(envelope: Envelope) -> bool:
    try:
        verify_signatures(envelope)
    except ProofroomError:
        return False
    return True


def _passed(envelope: Envelope) -> Passed:
    keys = [signature.keyid for signature in envelope.signatures]
    return envelope.freeze(), keys, statement_id(envelope.payload_type, envelope.payload)


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
