"""Positions of projections in DuckDB: a tracking recorder of the eventsourcing library, over the table ``projections``.

``application_name`` is the name of a projection, ``notification_id`` its position. One row a projection: a position only rises, and the
rows that it speaks of are written in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class DuckDBTrackingRecorder(TrackingRecorder):
    """The library's tracking recorder over a connection whose database has the table ``projections``."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record a position, in the caller's transaction where there is one.

        Raises:
            IntegrityError: the projection is as far already.
        """
        name, position = tracking.application_name, tracking.notification_id
        reached = self.max_tracking_id(name)
        if reached is None:
            self._connection.execute("INSERT INTO projections (name, position) VALUES (?, ?)", [name, position])
        elif reached < position:
            self._connection.execute("UPDATE projections SET position = ? WHERE name = ?", [position, name])
        else:
            raise IntegrityError(f"{name} is at {reached}, which is not before {position}")

    def advance(self, names: Collection[str], start: int, position: int, root: str, log_size: int) -> None:
        """Record that these projections took in the entries from ``start`` up to ``position``, in the caller's transaction.

        Raises:
            IntegrityError: one of them was not at ``start``.
        """
        query = """
            UPDATE projections SET position = $position, root = $root, log_size = $log_size
            WHERE position = $start AND list_contains($names, name)"""
        values = {"position": position, "root": root, "log_size": log_size, "start": start, "names": sorted(names)}
        changed = self._connection.execute(query, values).fetchall()
        if changed != [(len(names),)]:
            raise IntegrityError(f"not all of {', '.join(sorted(names))} were at {start}")

    def max_tracking_id(self, application_name: str) -> int | None:
        """The position of a projection, None when it has none."""
        query = "SELECT max(position) FROM projections WHERE name = ?"
        ((position,),) = self._connection.execute(query, [application_name]).fetchall()
        found: int | None = position
        return found
