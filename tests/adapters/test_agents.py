"""The sample agent: right on what it can read, and a typed answer to everything else."""

from __future__ import annotations

import contextlib
import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.agents import WEEKDAYS, summarise_calendar
from proofroom.domain.errors import AgentFailed
from proofroom.testing.bytes import mutated

SAMPLE = resources.files("proofroom.adapters").joinpath("sample.ics").read_bytes()


def calendar(*events: str) -> bytes:
    """A calendar of events, each given by its lines."""
    inner = "".join(f"BEGIN:VEVENT\nUID:{i}\n{event}\nEND:VEVENT\n" for i, event in enumerate(events))
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{inner}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def summarise(*events: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(summarise_calendar(calendar(*events)))
    return summary


def test_sample() -> None:
    """The shipped calendar: some two dozen events, of every sort."""
    summary = json.loads(summarise_calendar(SAMPLE))
    counts = {k: summary[k] for k in ("events", "unreadable", "recurring", "all_day")}
    assert counts == {"events": 26, "unreadable": 0, "recurring": 2, "all_day": 3}
    assert summary["span"] == ["2027-01-04", "2027-01-29"]
    assert summary["longest_event"]["title"] == "Workshop: consent and records, day 2"


@pytest.mark.parametrize(
    ("event", "hours"),
    [
        ("DTSTART:20260302T100000Z\nDTEND:20260302T113000Z", {"Monday": 1.5}),
        ("DTSTART:20260302T100000\nDURATION:PT45M", {"Monday": 0.75}),
        ("DTSTART:20260302T230000\nDTEND:20260303T020000", {"Monday": 1, "Tuesday": 2}),
        ("DTSTART;TZID=America/New_York:20260308T010000\nDTEND;TZID=America/New_York:20260308T040000", {"Sunday": 2}),
        ("DTSTART:20260302T000000\nDTEND:20260316T000000", dict.fromkeys(WEEKDAYS, 48)),
        ("DTSTART:20260302T120000\nDTEND:20260310T120000", dict.fromkeys(WEEKDAYS, 24) | {"Monday": 36, "Tuesday": 36}),
        ("DTSTART:20260302T100000", {}),
        ("DTSTART:20260302T100000\nDTEND:20260302T090000", {}),
        ("DTSTART:20260302T100000\nDTEND:nonsense", {}),
        ("DTSTART;VALUE=DATE:20260302", {}),
        ("DTSTART;VALUE=DATE:20260302\nDTEND;VALUE=DATE:20260305", {}),
    ],
)  # fmt: skip
def test_hours(event: str, hours: dict[str, float]) -> None:
    """Hours fall on the days they fall on, where they take place; days without a time have none."""
    summary = summarise(event)
    assert summary["hours_by_weekday"] == dict.fromkeys(WEEKDAYS, 0) | hours
    assert (summary["events"], summary["unreadable"]) == (1, 0)


@pytest.mark.parametrize(
    "event",
    [
        "SUMMARY:no start",
        "DTSTART:nonsense",
        "DTSTART:00010101T000000Z",
        "DTSTART;VALUE=PERIOD:20260302T100000Z/PT1H",
        "DTSTART;VALUE=TIME:100000",
        "DTSTART;VALUE=DATE:99991231",
    ],
)
def test_event_without_a_usable_start_is_counted(event: str) -> None:
    """It is told as unreadable, or read; it never takes the others with it."""
    summary = summarise(event, "DTSTART:20260302T100000Z\nDTEND:20260302T113000Z\nSUMMARY:good")
    assert summary["events"] == 2
    assert summary["unreadable"] <= 1
    assert summary["longest_event"]["title"] == "good"


def test_calendar_without_events() -> None:
    """Nothing to summarise is an answer too."""
    assert summarise() == {"events": 0, "unreadable": 0, "recurring": 0, "all_day": 0}


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\xff\xfe\x00", b"BEGIN:VEVENT\r\nEND:VEVENT\r\n", b"BEGIN:VCALENDAR"]
)
def test_what_is_no_calendar_is_refused(data: bytes) -> None:
    """The reason is plain and quotes nothing."""
    with pytest.raises(AgentFailed, match="not an iCalendar file"):
        summarise_calendar(data)


LINES = st.sampled_from(
    [
        "DTSTART:20260302T100000Z",
        "DTSTART;VALUE=DATE:20260302",
        "DTSTART:99991231T235959",
        "DTSTART;TZID=Nowhere/Land:20260302T100000",
        "DTSTART;TZID=Europe/Berlin:20260329T023000",
        "DTEND:20260302T113000Z",
        "DTEND;VALUE=DATE:20260303",
        "DTEND:99991231T235959Z",
        "DURATION:P1W",
        "DURATION:-PT1H",
        "DURATION:P99999999D",
        "DURATION:x",
        "SUMMARY:a\\, b",
        "SUMMARY;LANGUAGE=de:ä",
        "SUMMARY:",
        "RRULE:FREQ=DAILY",
        "RRULE:nonsense",
        "DTSTART:",
        "DTEND:",
        "EXDATE:x",
        "X-ODD;P=1:2",
        "DTSTART;VALUE=TIME:100000",
        "ATTACH:x",
    ]
)


@given(st.lists(st.lists(LINES, max_size=6).map("\n".join), max_size=4))
def test_odd_events_never_break_it(events: list[str]) -> None:
    """Any mixture of lines, twice or missing, gives a summary."""
    assert summarise(*events)["events"] == len(events)


@settings(max_examples=200)
@given(mutated(SAMPLE) | st.binary(max_size=50))
def test_damaged_file_gives_a_summary_or_a_refusal(data: bytes) -> None:
    """Damage is survived or refused, never anything else."""
    with contextlib.suppress(AgentFailed):
        json.loads(summarise_calendar(data))
