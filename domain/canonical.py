"""Strict JSON and its canonical form (RFC 8785, JCS), cut down to what statements may hold.

A statement is an object with ASCII keys whose values are strings, integers of at most 2^53-1 in size, booleans, null, arrays and objects;
and, for ``gpu_units`` alone, a number with at most six decimals. Within these limits sorted compact JSON *is* JCS, which a
property test holds against an independent JCS library.
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn, cast

import orjson

from proofroom.domain.errors import (
    BadNumber,
    DuplicateKey,
    LoneSurrogate,
    NotCanonical,
    NotJson,
    TooDeep,
    TooLarge,
)

MAX_PAYLOAD = 32 * 1024
"""Bytes of one payload (protocol 1.1)."""

MAX_DEPTH = 16
"""Levels of nesting; the deepest statement has 6."""

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

MILLIONTHS = 10**6

_QUICK = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_QUICK_WRITE = (
    _QUICK | orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
)


@lru_cache(maxsize=4096)
def millionths(number: float | Decimal | int) -> int:
    """The integer count of millionths that a JSON number writes. Remembered: the schema asks for it, and then the rules.

    Raises:
        BadNumber: negative, 2^53 millionths or more, or with more than six decimals.
    """
    if isinstance(number, float):
        # A double with at most six decimals and below 2^53 millionths is the one nearest to that decimal, so division gives it back.
        micro = round(number * MILLIONTHS) if 0 <= number < MAX_SAFE_INTEGER / MILLIONTHS else -1
        exact = micro >= 0 and micro / MILLIONTHS == number
    else:
        micro = int(number * MILLIONTHS) if 0 <= number * MILLIONTHS <= MAX_SAFE_INTEGER else -1
        exact = micro >= 0 and micro == number * MILLIONTHS
    if not exact:
        raise BadNumber(text=str(number)[:40])
    return micro


def number_text(micro: int) -> str:
    """The one JSON text of a count of millionths: no exponent, no trailing zeros (as ECMAScript prints it)."""
    whole, fraction = divmod(micro, MILLIONTHS)
    return f"{whole}.{fraction:06d}".rstrip("0") if fraction else str(whole)


def encode(value: dict[str, Any]) -> bytes:
    """The canonical bytes of a statement that was built in this process.

    The quick way is a fast printer, for what it prints as RFC 8785 does; see :func:`decode`.

    Raises:
        BadNumber: a number that statements may not hold.
        LoneSurrogate: a string that UTF-8 cannot carry.
    """
    try:
        quick = orjson.dumps(value, option=_QUICK_WRITE)
        if quick.isascii() and _is_plain(value):
            return quick
    except orjson.JSONEncodeError:
        pass
    return _write(value).encode()


def decode(payload: bytes) -> dict[str, Any]:
    """The object that canonical ``payload`` writes.

    The quick way: what a fast parser reads and prints back to the same bytes has no duplicate key, blank, escape variant, unsorted key
    or long integer, and there are no fractions but those that it prints as we do. Everything else goes the slow way, which decides
    exactly and names the fault.

    Raises:
        TooLarge, TooDeep, NotJson, DuplicateKey, LoneSurrogate, BadNumber, NotCanonical: each says what and where.
    """
    _check_size(payload)
    try:
        # ASCII sorts alike by code point and by UTF-16 unit.
        value = orjson.loads(payload) if payload.isascii() else None
        if isinstance(value, dict) and orjson.dumps(value, option=_QUICK) == payload and _is_plain(value):
            return value
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass
    value = parse_strict(payload, fractions=True)
    canonical = encode(value)
    if canonical != payload:
        at = next((i for i, (a, b) in enumerate(zip(canonical, payload, strict=False)) if a != b), len(canonical))
        raise NotCanonical(at=min(at, len(payload)))
    return value


def _is_plain(value: Any, depth: int = 1) -> bool:
    """Whether it is not too deep, and every fraction in it is printed by the fast parser as it is by :func:`number_text`."""
    if depth > MAX_DEPTH:
        return False
    for item in value.values() if type(value) is dict else value:
        kind = type(item)
        if kind not in _LOOKED_AT:
            continue
        if kind is not float:
            if not _is_plain(item, depth + 1):
                return False
        elif not 0 < item < _MOST or orjson.dumps(item).decode() != number_text(round(item * MILLIONTHS)):
            return False
    return True


_LOOKED_AT = frozenset((dict, list, tuple, float))
_MOST = MAX_SAFE_INTEGER / MILLIONTHS


def parse_strict(data: bytes, *, fractions: bool = False, limit: int = MAX_PAYLOAD) -> dict[str, Any]:
    """One JSON object, in any layout, that every parser reads alike.

    Raises:
        TooLarge, TooDeep, NotJson, DuplicateKey, LoneSurrogate, BadNumber: each says what and where.
    """
    _check_size(data, limit)
    try:
        text = data.decode("utf-8", errors="strict")
    except UnicodeDecodeError as e:
        raise NotJson(at=e.start, why="not UTF-8") from None
    _check_depth(text)
    try:
        value = _decoder(fractions).decode(text)
    except json.JSONDecodeError as e:
        raise NotJson(at=len(text[: e.pos].encode()), why=e.msg) from None
    if not isinstance(value, dict):
        raise NotJson(at=0, why="not an object")
    _check_strings(value)
    return cast(dict[str, Any], value)


def _check_size(data: bytes, limit: int = MAX_PAYLOAD) -> None:
    if len(data) > limit:
        raise TooLarge(what="JSON", size=len(data), limit=limit)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth, in_string, escaped = 0, False, False
    for c in text:
        if in_string:
            in_string, escaped = escaped or c != '"', c == "\\" and not escaped
        elif c == '"':
            in_string = True
        elif c in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise TooDeep(limit=MAX_DEPTH)
        elif c in "]}":
            depth -= 1


def _decoder(fractions: bool) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_int=_integer,
        parse_float=_fraction if fractions else _no_number,
        parse_constant=_no_number,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        raise DuplicateKey(key=next(k for k, _ in pairs if k in seen or seen.add(k)))  # type: ignore[func-returns-value]  # add() gives None, which is false
    return result


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_SAFE_INTEGER or text == "-0":
        raise BadNumber(text=text[:40])
    return int(text)


def _fraction(text: str) -> float:
    if len(text) > 24 or "e" in text or "E" in text or number_text(millionths(Decimal(text))) != text:
        raise BadNumber(text=text[:40])
    return float(text)


def _no_number(text: str) -> NoReturn:
    raise BadNumber(text=text[:40])


def _check_strings(value: Any) -> None:
    if isinstance(value, str):
        if not value.isascii():
            _utf8(value)
    elif isinstance(value, dict):
        for k, v in value.items():
            _check_strings(k)
            _check_strings(v)
    elif isinstance(value, list):
        for v in value:
            _check_strings(v)


def _utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise LoneSurrogate(text=ascii(text[:40])) from None


def _write(value: Any) -> str:
    """RFC 8785 3.2: sorted by UTF-16 code units, no blanks, shortest escapes."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        _utf8(value)
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise BadNumber(text=str(value))
        return str(value)
    if isinstance(value, float | Decimal):
        return number_text(millionths(value))
    if isinstance(value, dict):
        keys = sorted(value, key=lambda k: k.encode("utf-16-be", errors="surrogatepass"))
        return "{" + ",".join(f"{_write(k)}:{_write(value[k])}" for k in keys) + "}"
    return "[" + ",".join(map(_write, value)) + "]"
