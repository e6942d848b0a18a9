"""A signer that is another program, such as a wrapper around a KMS or a hardware key.

The program is called as ``PROGRAM ARGS... keyid`` and prints the key id, and as ``PROGRAM ARGS... sign``, reads the message on stdin and
prints the signature in 128 hex digits. It is trusted with signing and with nothing else: each signature is verified before it is used.
"""

from __future__ import annotations

import os
import subprocess
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
            done = subprocess.run(
                [*self._command, request],
                input=message,
                capture_output=True,
                env=environment,
                timeout=WAIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._failed(f"no answer within {WAIT_SECONDS:g} s") from None
        except (OSError, ValueError) as e:
            raise self._failed(str(getattr(e, "strerror", None) or "it cannot be started")) from None
        if done.returncode or len(done.stdout) > MAX_ANSWER:
            raise self._failed(f"exit status {done.returncode}, {len(done.stdout)} bytes")
        return done.stdout.decode("ascii", "replace").strip()

    def _failed(self, why: str) -> SignerFailed:
        return SignerFailed(signer=f"exec:{self._command[0]}", why=why)

    def __repr__(self) -> str:
        return f"ExecSigner({self._command[0]})"
