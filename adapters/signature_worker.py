"""A process that does nothing but check signatures: frames in on standard input, frames out on standard output.

A frame is a big-endian u32 length and that many bytes of ``marshal``: in, a list of ``(message, [(keyid, signature), ...])``;
out, for each, the first keyid whose signature does not verify, or None. It holds no key and writes nothing.
"""

from __future__ import annotations

import marshal
import signal
import struct
import sys
from typing import IO, Any

from proofroom.domain.errors import Malformed
from proofroom.domain.ids import KeyId
from proofroom.domain.signing import verify_signature

Jobs = list[tuple[bytes, list[tuple[KeyId, bytes]]]]
"""Messages, each with the signatures to hold against it."""


def check_all(jobs: Jobs) -> list[KeyId | None]:
    """For each message the first key whose signature does not verify, or None."""
    return [
        next((keyid for keyid, value in signatures if not _holds(keyid, message, value)), None)
        for message, signatures in jobs
    ]


def _holds(keyid: KeyId, message: bytes, value: bytes) -> bool:
    try:
        verify_signature(keyid, message, value)
    except Malformed:
        return False
    return True


def write_frame(stream: IO[bytes], value: Any) -> None:
    """Send one frame."""
    data = marshal.dumps(value)
    stream.write(struct.pack(">I", len(data)) + data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Any:
    """The next frame.

    Raises:
        EOFError: the other side is gone.
    """
    head = stream.read(4)
    data = stream.read(struct.unpack(">I", head)[0]) if len(head) == 4 else b""
    if not data:
        raise EOFError
    return marshal.loads(data)


def main() -> None:
    """Serve until the parent closes standard input. An interrupt at the terminal is for the parent to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            jobs = read_frame(sys.stdin.buffer)
        except EOFError:
            return
        write_frame(sys.stdout.buffer, check_all(jobs))


if __name__ == "__main__":
    main()
