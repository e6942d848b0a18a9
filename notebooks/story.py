"""What happens in the world of the notebooks: who allows what to whom, and who misbehaves when. Days are counted from the first."""

from __future__ import annotations

from typing import NamedTuple

DAYS = 84
ERA_DAYS = 7
PEOPLE = ("Ada", "Ben", "Cleo", "Dana", "Eli", "Fay")
SCOPES = ("calendar", "mail", "health")


class Profile(NamedTuple):
    """What an agent's runs burn, at most; a run burns a tenth of it or more."""

    operation: str
    cpu_ms: int
    gpu_units: float
    bytes_streamed: int
    puts: int
    gets: int


AGENTS = {
    "Planner": Profile("plan", 900, 0.02, 40_000, 2, 30),
    "Inbox": Profile("triage", 600, 0.05, 900_000, 4, 120),
    "Coach": Profile("read + inference", 2_400, 0.6, 200_000, 1, 60),
    "Concierge": Profile("book", 400, 0.01, 20_000, 6, 12),
}


class Consent(NamedTuple):
    """One grant: the days on which it is given, on which it ends by itself, and on which it is taken back."""

    person: str
    agent: str
    scopes: tuple[str, ...]
    given: int
    expires: int
    revoked: int | None = None
    weight: float = 1.0
    """How much the agent works under it."""
    delegable: bool = False

    @property
    def ends(self) -> int:
        return self.expires if self.revoked is None else min(self.expires, self.revoked)


CONSENTS = (
    Consent("Ada", "Planner", ("calendar",), 0, 60, 47, 1.2, delegable=True),
    Consent("Ada", "Inbox", ("mail",), 5, 84, None, 1.0),
    Consent("Ben", "Coach", ("health",), 0, 28, None, 0.7),
    Consent("Ben", "Coach", ("calendar", "health"), 35, 84, None, 0.9),
    Consent("Ben", "Planner", ("calendar",), 10, 84, 66, 0.6),
    Consent("Cleo", "Inbox", ("mail",), 0, 84, None, 1.6),
    Consent("Cleo", "Planner", ("calendar", "mail"), 14, 56, None, 0.8),
    Consent("Dana", "Planner", ("calendar",), 3, 84, 24, 0.9),
    Consent("Dana", "Coach", ("health",), 30, 84, None, 0.8),
    Consent("Eli", "Inbox", ("mail",), 20, 62, None, 1.1),
    Consent("Eli", "Inbox", ("mail",), 70, 84, None, 1.1),
    Consent("Fay", "Coach", ("health",), 42, 84, 78, 0.7),
    Consent("Fay", "Planner", ("calendar",), 44, 84, None, 1.3),
)
PASSED_ON = Consent("Ada", "Concierge", ("calendar",), 18, 60, None, 0.5)
"""What Planner passes on to Concierge. It ends with the grant above it, on the day that Ada takes that back."""

SPONSOR = ("Clinic", "Coach")
"""Who pays for whose work in place of the users."""

DEPOSITS = {"Cleo": 1_100, "Clinic": 18_000}
"""What customers bring first, in CERE of a world of full size; the others bring 4,000."""
MORE = ("Cleo", 58, 3_000)
"""Who runs short, and on which day brings how much more."""

VALIDATORS = ((0, 9), (28, 6), (56, 9))
"""On which day how many validators join."""
COMMITTEE = 7
WITHHOLDS = {2: 0.3}
"""Validators that now and then give no beacon value, and how often."""
SILENT = {4: 0.25}
"""Validators that now and then do not vote."""
LAZY = (6,)
"""Validators that agree to whatever is claimed."""

CHEAT = 2
"""The node that overstates."""
OVERSTATES = {3: 0.01, 7: 0.12}
"""In which eras, and in which part of its records."""
OUTAGE = (30, 31)
"""Days on which the gateway saw only half of what ran."""


def busy(day: int) -> float:
    """How much is done on a day: more every week, less at weekends."""
    return (0.7 + 0.8 * day / DAYS) * (0.45 if day % 7 in (2, 3) else 1.0)
