"""The sample agent: it reads a calendar and says what it amounts to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from proofroom.domain.errors import AgentFailed

if TYPE_CHECKING:
    from icalendar import Component

SUMMARISE_CALENDAR = "proofroom.adapters.agents:summarise_calendar"
"""The name by which a runtime finds the agent."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

DAY = timedelta(days=1)


class Event(NamedTuple):
    """One event, as far as the summary needs it."""

    title: str
    start: datetime | date
    duration: timedelta

    @property
    def is_all_day(self) -> bool:
        """Whether it has a date and no time."""
        return not isinstance(self.start, datetime)

    @property
    def day(self) -> date:
        """The day it starts on, where it takes place."""
        return self.start.date() if isinstance(self.start, datetime) else self.start

    @property
    def moment(self) -> datetime:
        """Its start on one line of time; without a zone it is taken for UTC."""
        start = self.start if isinstance(self.start, datetime) else datetime.combine(self.start, time(), UTC)
        return start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)


_UNREADABLE = (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, OSError)
"""What the library raises of what is no calendar; the last where a zone is named like a folder of zones."""


def summarise_calendar(ics: bytes) -> bytes:
    """A summary of a calendar in JSON: events, span, hours per weekday, busiest day, longest and next event.

    Recurring events count once. All-day events have no hours. Events that cannot be read are counted as such.

    Raises:
        AgentFailed: the bytes are not a calendar.
    """
    components = [event for calendar in _parse(ics) for event in calendar.walk("VEVENT")]
    read = [_read(component) for component in components]
    events = sorted((event for event in read if event is not None), key=lambda event: event.moment)
    summary = {
        "events": len(components),
        "unreadable": len(components) - len(events),
        "recurring": sum("RRULE" in component for component in components),
        "all_day": sum(event.is_all_day for event in events),
        **(_summarise(events) if events else {}),
    }
    return json.dumps(summary, ensure_ascii=False, indent=2).encode()


def _parse(ics: bytes) -> list[Component]:
    from icalendar import Calendar

    try:
        calendars = Calendar.from_ical(ics, multiple=True)
    except _UNREADABLE:
        raise AgentFailed(why="the input is not an iCalendar file") from None
    if not calendars or any(calendar.name != "VCALENDAR" for calendar in calendars):
        raise AgentFailed(why="the input is not an iCalendar file: it holds no VCALENDAR")
    return list(calendars)


def _read(component: Component) -> Event | None:
    """The event, or None when its start makes no sense."""
    try:
        start = _first(component, "DTSTART").dt
        event = Event(str(_first(component, "SUMMARY") or "(no title)"), start, timedelta())
        event.moment + DAY  # the last days of time overflow
        return event._replace(duration=_duration(component, start))
    except (AttributeError, ValueError, TypeError, OverflowError):
        return None


def _duration(component: Component, start: datetime | date) -> timedelta:
    """From DTEND or DURATION; without either a whole day for a date, nothing for a time (RFC 5545 3.6.1)."""
    otherwise = timedelta() if isinstance(start, datetime) else DAY
    try:
        if (end := _first(component, "DTEND")) is not None:
            duration = Event("", end.dt, timedelta()).moment - Event("", start, timedelta()).moment
        elif (length := _first(component, "DURATION")) is not None:
            duration = length.dt
        else:
            return otherwise
        return max(duration, timedelta())
    except (AttributeError, ValueError, TypeError, OverflowError):
        return otherwise


def _first(component: Component, name: str) -> Any:
    """A property, the first where there are several."""
    value = component.get(name)
    return value[0] if isinstance(value, list) else value


def _summarise(events: list[Event]) -> dict[str, Any]:
    hours = dict.fromkeys(WEEKDAYS, 0.0)
    for event in events:
        for weekday, part in _by_weekday(event):
            hours[weekday] += part.total_seconds() / 3600
    per_day = Counter(event.day for event in events)
    busiest = max(per_day, key=lambda day: (per_day[day], -day.toordinal()))
    longest = max((event for event in events if not event.is_all_day), key=lambda event: event.duration, default=None)
    now = datetime.now(UTC)
    following = next((event for event in events if event.moment >= now), None)
    return {
        "span": [events[0].day.isoformat(), events[-1].day.isoformat()],
        "hours_by_weekday": {weekday: round(total, 2) for weekday, total in hours.items()},
        "busiest_day": {"day": busiest.isoformat(), "weekday": WEEKDAYS[busiest.weekday()], "events": per_day[busiest]},
        "longest_event": None if longest is None else _show(longest),
        "next_event": None if following is None else _show(following),
    }


def _by_weekday(event: Event) -> Iterator[tuple[str, timedelta]]:
    """How a timed event's duration falls on weekdays: whole weeks evenly, what remains from midnight to midnight."""
    if not isinstance(event.start, datetime):
        return
    weeks, rest = divmod(event.duration, 7 * DAY)
    if weeks:
        yield from ((weekday, weeks * DAY) for weekday in WEEKDAYS)
    weekday, local = event.day.weekday(), event.start.time()
    left = DAY - timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    while rest:
        part = min(rest, left)
        yield WEEKDAYS[weekday % 7], part
        rest, weekday, left = rest - part, weekday + 1, DAY


def _show(event: Event) -> dict[str, Any]:
    return {
        "title": event.title,
        "start": event.start.isoformat(),
        "hours": round(event.duration.total_seconds() / 3600, 2),
    }
