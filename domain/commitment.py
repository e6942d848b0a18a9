"""Salted commitments: what a record says of a run without saying it (protocol 3 and 4).

``input_commitment`` is the digest of a salt and of a canonical object that names the agent, what confined it, and salted digests of input
and result. Whoever is given the opening checks all of it; whoever is not learns nothing, however short the input. Once the salt is
destroyed nobody can tell any more what was committed to, and the record stays what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from proofroom.domain import hashing
from proofroom.domain.canonical import decode, encode
from proofroom.domain.errors import BadField
from proofroom.domain.ids import Digest

SALT_BYTES = 32


class Opening(NamedTuple):
    """What a run's commitment commits to, with the salt that opens it."""

    salt: bytes
    agent: str
    confinement: Mapping[str, str]
    """For each limit what held: ``kernel``, ``supervisor`` or ``none``."""
    input: Digest
    result: Digest

    @classmethod
    def of(cls, salt: bytes, agent: str, confinement: Mapping[str, str], data: bytes, result: bytes) -> Opening:
        """The opening of a run over ``data`` that gave ``result``."""
        return cls(salt, agent, confinement, _salted(hashing.INPUT, salt, data), _salted(hashing.OUTPUT, salt, result))

    def commitment(self) -> Digest:
        """The ``input_commitment`` of the record."""
        return _salted(hashing.RUN, self.salt, encode(self._facts()))

    def is_of(self, *, data: bytes | None = None, result: bytes | None = None) -> bool:
        """Whether these bytes are the input, or the result, of the run."""
        return (data is None or self.input == _salted(hashing.INPUT, self.salt, data)) and (
            result is None or self.result == _salted(hashing.OUTPUT, self.salt, result)
        )

    def to_bytes(self) -> bytes:
        """Its form outside the ledger."""
        return encode({"salt": self.salt.hex(), **self._facts()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Opening:
        """An opening from its form.

        Raises:
            BadField, Malformed: it is none.
        """
        value = decode(data)
        if set(value) != {"salt", "agent", "confinement", "input", "result"}:
            raise BadField(kind="opening", field="(all)", why="not the fields of an opening")
        try:
            salt = bytes.fromhex(value.pop("salt"))
        except (ValueError, TypeError):
            salt = b""
        if len(salt) != SALT_BYTES:
            raise BadField(kind="opening", field="salt", why=f"not {SALT_BYTES} bytes in hex")
        return cls(salt, **value)

    def _facts(self) -> dict[str, object]:
        return {
            "agent": self.agent,
            "confinement": dict(self.confinement),
            "input": self.input,
            "result": self.result,
        }


def _salted(context: str, salt: bytes, data: bytes) -> Digest:
    return hashing.tagged(hashing.digest(context, salt, data))
