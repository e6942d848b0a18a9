"""One envelope in all its forms, to be changed: values, JSON, and the wire form of wallets in the field."""

from __future__ import annotations

import base64
import json
from typing import Any

from proofroom.adapters.keys import Key
from proofroom.domain.envelope import (
    Envelope,
)
from proofroom.domain.statements import payload_type_of
from proofroom.testing.keys import signer
from strategies.statements import example, example_envelope

ENVELOPE = example_envelope()
JSON = ENVELOPE.to_json()
TICK = payload_type_of("tick")


def as_dict(envelope: Envelope) -> dict[str, Any]:
    """The envelope's JSON, to be changed."""
    value: dict[str, Any] = json.loads(envelope.to_json())
    return value


def dumped(value: object) -> bytes:
    """The bytes of some JSON, compact."""
    return json.dumps(value, separators=(",", ":")).encode()


def wire_payload(**changes: Any) -> bytes:
    """A wallet's grant as some wallets write it: with blanks, in their own order."""
    value = example("grant")
    del value["ledger"]
    value["metadata"]["limits"].pop("gpu_units")
    return json.dumps(value | changes, indent=1).encode()


def wire(payload: bytes | None = None, key: Key | None = None, **changes: Any) -> dict[str, Any]:
    """The wallet wire form, with fields of the signature changed."""
    payload, key = payload or wire_payload(), key or signer(2)
    signature = {"algorithm": "ed25519", "signer": key.keyid[8:], "value": "0x" + key.sign(payload).hex()}
    return {"payload": base64.urlsafe_b64encode(payload).decode(), "signature": signature | changes}
