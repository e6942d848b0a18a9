"""Statements of every kind, drawn from the schemas themselves, and signed.

A strategy here draws the JSON value of a statement, with optional fields present or absent, as a signer would send it. It fits its schema,
and no ledger: what it names does not exist. For statements that a ledger takes see :mod:`proofroom.testing.worlds`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from proofroom.domain import ids
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.statements import GRANT_WIRE, KINDS, Statement, fields, proposals
from proofroom.testing.bytes import fractions
from proofroom.testing.keys import distinct_signers, signer

_LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


def times() -> st.SearchStrategy[str]:
    """RFC 3339 times in ``Z``, with no, one, two or three digits after the second."""
    return st.builds(_time, st.integers(1_000, _LAST_MS), st.sampled_from(["", ".{:.1}", ".{:.2}", ".{:.3}"]))


def _time(ms: int, fraction: str) -> str:
    return ids.from_ms(ms - ms % 1000)[:-1] + fraction.format(f"{ms % 1000:03d}") + "Z"


def amounts() -> st.SearchStrategy[str]:
    """Amounts as they are written, of every magnitude."""
    return (st.integers(0, 1000) | st.integers(0, 10**36 - 1)).map(str)


def _hex(count: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=count, max_size=count).map(bytes.hex)


_PRINTABLE = st.text([chr(c) for c in range(0x21, 0x7F) if chr(c) != "/"], min_size=1, max_size=12)

_OURS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (fields.Key, st.integers(1, 40).map(lambda n: signer(n).keyid)),
    (fields.Blake3, _hex(32).map("blake3:".__add__)),
    (fields.ResultDigest, st.tuples(st.sampled_from(["blake2:", "blake3:"]), _hex(32)).map("".join)),
    (fields.RecordId, st.builds(ids.record_id, st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))),
    (fields.Time, times()),
    (fields.Amount, amounts()),
    (fields.Ratio, st.integers(0, 10**18).map(str)),
    (fields.Units, st.integers(0, 10**9) | fractions().filter(lambda units: units < 10**9)),
    (fields.Bitmap, st.binary(max_size=12).map(lambda raw: base64.b64encode(raw).decode())),
    (fields.Bytes32, _hex(32)),
    (fields.Text, st.text(min_size=1, max_size=12)),
    (fields.Scope, _PRINTABLE),
    (fields.VaultScope, st.tuples(_PRINTABLE, _PRINTABLE).map(" / ".join)),
    (proposals.ParameterName, st.sampled_from(sorted(proposals.PARAMETERS))),
    (fields.Name, st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True)),
]
"""Types of which the schema alone does not tell what is valid, or would draw slowly."""


def _of_type(hint: Any) -> st.SearchStrategy[Any]:  # noqa: C901 -- one line a form of type
    for ours, strategy in _OURS:
        if get_args(hint)[: len(get_args(ours))] == get_args(ours):  # a prefix: an alias may follow
            return strategy
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = next((a for a in args[1:] if isinstance(a, FieldInfo)), None)
        return _of_type(args[0]) if limits is None else _constrained(args[0], limits)
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, UnionType):
        return st.one_of([_of_type(arg) for arg in args])
    if origin in (list, tuple):
        return st.lists(_of_type(args[0]), max_size=3)
    if origin in (dict, Mapping):
        return st.dictionaries(_of_type(args[0]), _of_type(args[1]), max_size=3)
    if hint is NoneType:
        return st.none()
    if hint is bool:
        return st.booleans()
    if hint is str:
        return st.text(max_size=12)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return values_of(hint)
    raise TypeError(f"no strategy for {hint}")


def _constrained(hint: Any, field: FieldInfo) -> st.SearchStrategy[Any]:
    limits = {k: v for m in field.metadata for k, v in _attributes(m).items() if v is not None}
    if not limits:  # it only says by which field the members of a union are told apart
        return _of_type(hint)
    if "pattern" in limits:
        pattern = limits["pattern"].removeprefix("^").removesuffix(r"\z")
        return st.from_regex(pattern, fullmatch=True)
    if hint is int:
        return st.integers(limits["ge"], limits["le"])
    if get_origin(hint) in (list, tuple):
        least = limits.get("min_length", 0)
        return st.lists(
            _of_type(get_args(hint)[0]), min_size=least, max_size=min(limits.get("max_length", 99), least + 2)
        )
    if hint is str:
        return st.text(min_size=limits.get("min_length", 0), max_size=12)
    raise TypeError(f"no strategy for {hint} with {limits}")


def _attributes(metadata: object) -> dict[str, Any]:
    names = ("pattern", "ge", "le", "min_length", "max_length")
    return {name: getattr(metadata, name, None) for name in names}


@cache
def values_of(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """The JSON values of a model; an optional field is absent or has a value, and is never null."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        strategy, key = _of_type(hints[name]), field.alias or name
        if field.is_required():
            required[key] = strategy
        else:
            optional[key] = strategy.filter(lambda value: value is not None)
    return st.fixed_dictionaries(required, optional=optional)


def statement_values(payload_type: str) -> st.SearchStrategy[dict[str, Any]]:
    """The JSON values of a kind."""
    return values_of(KINDS[payload_type])


def statements(payload_type: str) -> st.SearchStrategy[Statement]:
    """Statements of a kind, as built in this process."""
    return statement_values(payload_type).map(KINDS[payload_type].model_validate)


def payload_types() -> st.SearchStrategy[str]:
    """The payload type of any kind that travels in DSSE."""
    return st.sampled_from([payload_type for payload_type in KINDS if payload_type != GRANT_WIRE])


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    """A statement of any kind but the wallet's, signed by one or more keys."""
    statement = draw(statements(draw(payload_types())))
    return sign(statement, *draw(distinct_signers()))
