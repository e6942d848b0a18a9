"""The beacon chain of a validator: values that it was bound to before it could know what they will decide (protocol 5)."""

from __future__ import annotations

from proofroom.domain import hashing


def beacon_step(value: bytes) -> bytes:
    """The chain value before ``value``: values are revealed against the direction in which they were computed."""
    return hashing.digest(hashing.BEACON, value)
