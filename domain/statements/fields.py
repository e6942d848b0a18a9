"""The field types that statements are made of.

Every value is kept as it was signed; a number is read from it where a rule needs one. Optional fields are absent, never null; a field
that may be null must be present.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from proofroom.domain import ids, money
from proofroom.domain.canonical import MAX_SAFE_INTEGER, encode, millionths
from proofroom.domain.errors import BadNumber, ProofroomError
from proofroom.domain.ids import Digest, KeyId


def _time(text: str) -> str:
    if ids.to_ms(text) <= 0:
        raise ValueError("not after the beginning of 1970")
    return text


def _amount(text: str) -> str:
    try:
        money.parse_amount(text)
    except ProofroomError as e:
        raise ValueError(str(e)) from None
    return text


def _ratio(text: str) -> str:
    try:
        money.parse_ratio(text)
    except ProofroomError as e:
        raise ValueError(str(e)) from None
    return text


def _units(number: float | int) -> float | int:
    if isinstance(number, float) and number.is_integer():
        raise ValueError("write a whole number without a decimal point")
    try:
        micro = millionths(number)
    except BadNumber as e:
        raise ValueError(str(e)) from None
    if micro > 10**15:
        raise ValueError("more than 10^9 units")
    return number


def _base64(text: str) -> str:
    try:
        if base64.b64encode(base64.b64decode(text, validate=True)).decode() == text:
            return text
    except (binascii.Error, ValueError):
        pass
    raise ValueError("not canonical base64")


Key = Annotated[KeyId, Field(pattern=ids.KEYID_PATTERN)]
Blake3 = Annotated[Digest, Field(pattern=ids.DIGEST_PATTERN)]
ResultDigest = Annotated[Digest, Field(pattern=ids.RESULT_DIGEST_PATTERN)]
RecordId = Annotated[str, Field(pattern=ids.RECORD_ID_PATTERN)]
Time = Annotated[str, Field(pattern=ids.TIME_PATTERN), AfterValidator(_time)]
Amount = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,35})$"), AfterValidator(_amount)]
Positive = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,35}$")]
"""An amount above zero."""
Price = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,17})$")]
"""An amount below 10^18, as prices are."""
Ratio = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,18})$"), AfterValidator(_ratio)]
Count = Annotated[int, Field(strict=True, ge=0, le=MAX_SAFE_INTEGER)]
Units = Annotated[int | float, AfterValidator(_units)]
"""``gpu_units``: the one field with decimals, at most six, kept as integer millionths by every rule."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""Of a cluster or a node."""
Scope = Annotated[str, Field(pattern=r"^[!-.0-~]{1,128}$")]
"""``scopeId`` and ``vaultId``: printable ASCII without blanks and without ``/``, which separates the two on the record."""
VaultScope = Annotated[str, Field(pattern=r"^[!-.0-~]{1,128} / [!-.0-~]{1,128}$")]
Account = Annotated[str, Field(max_length=200)]
"""Name of an account, see :mod:`proofroom.domain.accounts`."""
Text = Annotated[str, Field(min_length=1, max_length=256)]
Bitmap = Annotated[str, Field(max_length=1668), AfterValidator(_base64)]
"""A set of batch positions: bit ``i`` is bit ``i % 8`` of byte ``i // 8``; base64."""
Bytes32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Model(BaseModel):
    """A JSON object with exactly these keys."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=False)

    def to_json(self) -> dict[str, Any]:
        """The object as plain JSON values, with the fields that were given."""
        return self.model_dump(exclude_unset=True)


class Sparse(Model):
    """An object with fields that may be absent; absent is not null."""

    @field_validator("*", mode="after")
    @classmethod
    def _no_null(cls, value: object) -> object:
        if value is None:
            raise ValueError("null; leave it out")
        return value


class Statement(Model):
    """What is signed. Its kind is its payload type; every kind but ``genesis`` names the ledger it was made for."""

    kind: ClassVar[str]

    def payload(self) -> bytes:
        """The canonical bytes to sign."""
        return encode(self.to_json())


class LedgerStatement(Statement):
    """A statement for one ledger, so that it cannot be replayed on another."""

    ledger: Blake3
    """Statement id of the ledger's genesis."""


Operations = Annotated[int, Field(strict=True, ge=0, le=10**9)]
"""Operations of one record. With this bound, those below, prices below 10^18 and at most 10^7 records an era, no sum leaves the range
of amounts."""


class Usage(Model):
    """Storage traffic of one record."""

    byte_seconds: Count
    bytes_streamed: Count
    puts: Operations
    gets: Operations


class Compute(Model):
    """What a run burned: milliseconds of processor time and GPU units."""

    cpu_ms: Annotated[int, Field(strict=True, ge=0, le=10**12)]
    gpu_units: Units

    @property
    def gpu_micro(self) -> int:
        """GPU units in millionths."""
        return millionths(self.gpu_units)
