"""A signer that is another program, such as a wrapper around a KMS or a hardware key.

The program is called as ``PROGRAM ARGS... keyid`` and prints the key id, and as ``PROGRAM ARGS... sign``, reads the message on stdin and
prints the signature in 128 hex digits. It is trusted with signing and with nothing else: each signature is verified before it is used.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence

from proofroom.domain.errors import BadKeyId, BadSignature, SignerFailed
from proofroom.domain.ids import KeyId, public_key_of
from proofroom.domain.signing import verify_signature

WAIT_SECONDS = 30.0
MAX_ANSWER = 1_024
_ALWAYS = ("PATH", "HOME", "LANG")


class ExecSigner:
    """Asks a program for each signature.

    Args:
        command: the program and its arguments; they are visible to others on the machine, so no secret belongs there.
        environment: names of variables that it gets besides PATH, HOME and LANG; of passwords for other keys it sees nothing.

    Raises:
        SignerFailed: it does not say which key it holds.
    """

    def __init__(self, command: Sequence[str], *, environment: Iterable[str] = ()) -> None:
        self._command, self._environment = list(command), (*_ALWAYS, *environment)
        text = self._ask("keyid", b"")
        try:
            public_key_of(KeyId(text))
        except BadKeyId:
            raise self._failed("it named no key id") from None
        self.keyid = KeyId(text)

    def sign(self, message: bytes) -> bytes:
        """The program's signature of ``message``.

        Raises:
            SignerFailed: it gave none, or one that does not verify.
        """
        try:
            signature = bytes.fromhex(self._ask("sign", message))
            verify_signature(self.keyid, message, signature)
        except (ValueError, BadSignature):
            raise self._failed("what it gave is no signature of its key") from None
        return signature

    def _ask(self, request: str, message: bytes) -> str:
        environment = {name: os.environ[name] for name in self._environment if name in os.environ}
        try:
            with tempfile.TemporaryFile() as given:
                given.write(message)
                given.seek(0)
                with subprocess.Popen(
                    [*self._command, request],
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                ) as process:
                    try:
                        return self._answer(process)
                    finally:
                        process.kill()
        except (OSError, ValueError) as e:
            raise self._failed(str(getattr(e, "strerror", None) or "it cannot be started")) from None

    def _answer(self, process: subprocess.Popen[bytes]) -> str:
        """What the program prints, until it has ended: in time, and no more than an answer has."""
        assert process.stdout is not None
        until, answer, part = time.monotonic() + WAIT_SECONDS, b"", b"-"
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while part and selector.select(until - time.monotonic()):
                part = os.read(process.stdout.fileno(), MAX_ANSWER)
                answer += part
                if len(answer) > MAX_ANSWER:
                    raise self._failed(f"it printed more than {MAX_ANSWER:,} bytes")
        status = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(max(0.0, until - time.monotonic()))
        if status is None or part:  # where it has ended, what it started may still hold its standard output
            raise self._failed(f"no answer within {WAIT_SECONDS:g} s")
        if status:
            raise self._failed(f"exit status {status}")
        return answer.decode("ascii", "replace").strip()

    def _failed(self, why: str) -> SignerFailed:
        return SignerFailed(signer=f"exec:{self._command[0]}", why=why)

    def __repr__(self) -> str:
        return f"ExecSigner({self._command[0]})"
