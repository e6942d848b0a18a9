"""Ids and times: they sort as time does, and each has one form."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proofroom.domain import ids
from proofroom.domain.errors import BadKeyId
from proofroom.testing.statements import times

MS = st.integers(0, 2**48 - 1)
LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
RANDOM = st.binary(min_size=10, max_size=10)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(MS, MS, RANDOM, RANDOM)
def test_uuid7_sorts_by_time(one: int, other: int, random_one: bytes, random_other: bytes) -> None:
    """Of two ids of different milliseconds, the later sorts later, as text and as bytes."""
    a, b = ids.record_id(one, random_one), ids.record_id(other, random_other)
    if one != other:
        assert (a < b) == (one < other)
        assert (ids.record_id_bytes(a) < ids.record_id_bytes(b)) == (one < other)


@given(MS, RANDOM)
def test_uuid7_is_a_uuid(ms: int, randomness: bytes) -> None:
    """Python's own reader sees a UUID of version 7 and the RFC's variant, with the time in front."""
    parsed = uuid.UUID(ids.uuid7(ms, randomness))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == ms
    assert str(parsed) == ids.uuid7(ms, randomness)


@given(MS, RANDOM, RANDOM)
def test_uuid7_keeps_its_randomness(ms: int, one: bytes, other: bytes) -> None:
    """All 74 random bits that a UUIDv7 has room for tell two ids apart."""
    free = (2**80 - 1) & ~(0xF << 76) & ~(0x3 << 62)
    same = (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")) & free == 0
    assert (ids.uuid7(ms, one) == ids.uuid7(ms, other)) == same


def test_uuid7_example_of_the_rfc() -> None:
    """The example of RFC 9562, A.6: 2022-02-22T19:22:22Z."""
    randomness = bytes.fromhex("0cc3" + "18c4dc0c0c07398f")
    assert ids.uuid7(0x017F22E279B0, randomness) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(MS, RANDOM)
def test_record_id_is_of_its_form(ms: int, randomness: bytes) -> None:
    """A record id matches the pattern of the schema, and its 16 bytes begin with its time."""
    text = ids.record_id(ms, randomness)
    assert re.match(ids.RECORD_ID_PATTERN.replace(r"\z", r"\Z"), text)
    raw = ids.record_id_bytes(text)
    assert len(raw) == 16
    assert int.from_bytes(raw[:6], "big") == ms
    assert text == "dac-" + str(uuid.UUID(bytes=raw))


@given(st.integers(0, LAST_MS))
@example(0)
@example(LAST_MS)
@example(1_767_225_600_001)
def test_ms_round_trip(ms: int) -> None:
    """A time in ms is written and read back exactly, to the last year that RFC 3339 can write."""
    text = ids.from_ms(ms)
    assert ids.to_ms(text) == ms
    assert re.match(ids.TIME_PATTERN.replace(r"\z", r"\Z"), text)
    assert datetime.fromisoformat(text) == EPOCH + timedelta(milliseconds=ms)


@given(st.integers(-62_135_596_800_000, -1))
@example(-1)
@example(-62_135_596_800_000)
def test_ms_before_1970_round_trip(ms: int) -> None:
    """The schema admits times before 1970, so they too are written with four digits of the year and read back exactly."""
    text = ids.from_ms(ms)
    assert re.match(ids.TIME_PATTERN.replace(r"\z", r"\Z"), text)
    assert ids.to_ms(text) == ms


@given(times(), times())
def test_times_compare_as_ms(one: str, other: str) -> None:
    """What is later in the calendar is later in ms, whatever the number of digits after the second."""
    a, b = datetime.fromisoformat(one), datetime.fromisoformat(other)
    assert (a < b) == (ids.to_ms(one) < ids.to_ms(other))
    assert ids.to_ms(one) == (a - EPOCH) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.5Z", 500),
        ("1970-01-01T00:00:00.05Z", 50),
        ("1970-01-01T00:00:00.005Z", 5),
        ("1970-01-01T00:00:00.000Z", 0),
        ("2024-02-29T23:59:59.999Z", 1_709_251_199_999),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
    ],
)
def test_to_ms_examples(text: str, ms: int) -> None:
    """A few times that a reader can check."""
    assert ids.to_ms(text) == ms


@pytest.mark.parametrize("text", ["2026-02-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T23:60:00Z",
                                  "2026-06-30T23:59:60Z", "0000-01-01T00:00:00Z", "2025-02-29T00:00:00Z"])  # fmt: skip
def test_invalid_time(text: str) -> None:
    """There is no such moment: the 31st of February, hour 24, minute 60, a leap second."""
    with pytest.raises(ValueError):  # noqa: PT011 -- its text is Python's
        ids.to_ms(text)


def test_from_ms_writes_ms_only_when_there_are_any() -> None:
    """Whole seconds are written short, all else with three digits."""
    assert ids.from_ms(1_767_225_600_000) == "2026-01-01T00:00:00Z"
    assert ids.from_ms(1_767_225_600_010) == "2026-01-01T00:00:00.010Z"


@given(st.binary(min_size=32, max_size=32))
def test_keyid_round_trips(public_key: bytes) -> None:
    """A key id names exactly one public key."""
    keyid = ids.keyid_of(public_key)
    assert ids.public_key_of(keyid) == public_key
    assert re.match(ids.KEYID_PATTERN.replace(r"\z", r"\Z"), keyid)


@pytest.mark.parametrize(
    "keyid",
    [
        "", "ed25519:", "ed25519:" + "a" * 63, "ed25519:" + "a" * 65, "ed25519:" + "A" * 64, "ED25519:" + "a" * 64,
        "ed25519:" + "a" * 64 + "\n", "\ned25519:" + "a" * 64, "a" * 64, "0x" + "a" * 64, "ed25519:" + "g" * 64, "ed25519:" + "٣" * 64,
        "rsa:" + "a" * 64, "x" * 100_000,
    ],
)  # fmt: skip
def test_invalid_keyid(keyid: str) -> None:
    """Only ``ed25519:`` and 64 lowercase hex digits are a key id; the error quotes no more than 80 characters."""
    with pytest.raises(BadKeyId) as refusal:
        ids.public_key_of(keyid)
    assert refusal.value.keyid == keyid[:80]
