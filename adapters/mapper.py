"""Between entries and the eventsourcing library's stored events.

The library's own mapper writes Python paths as topics, so history breaks when a file moves. Ours writes the payload type as topic and the
signed payload bytes, unchanged, as state; the rest of an entry has columns of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from eventsourcing.persistence import StoredEvent

from proofroom.domain.canonical import encode
from proofroom.domain.entry import Entry, entry_bytes
from proofroom.domain.envelope import Envelope, Frozen, Verified, thaw, verify
from proofroom.domain.errors import BadEntry
from proofroom.domain.ids import time_digits
from proofroom.domain.statements import Statement, parse
from proofroom.domain.statements.activity import Activity


@dataclass(frozen=True)
class StoredEntry(StoredEvent):
    """An entry as the store keeps it. ``topic`` is the payload type, ``state`` the payload."""

    index: int
    recorded_at_ms: int
    signatures: bytes
    """The signatures part of the entry's frozen bytes."""
    nodes: bytes
    """The tree nodes that this leaf completes, 32 bytes each, rising: itself first."""

    def entry_bytes(self) -> bytes:
        """The frozen bytes of the entry.

        Raises:
            BadEntry: a column does not hold what it must.
        """
        self._check_columns()
        return entry_bytes(self.index, self.recorded_at_ms, self.topic, self.state, self.signatures)

    def frozen(self) -> Frozen:
        """The envelope, frozen; nothing of it is verified.

        Raises:
            BadEntry: a column does not hold what it must.
        """
        self._check_columns()
        return self.topic, self.state, self.signatures

    def envelope(self) -> Envelope:
        """The envelope; nothing of it is verified.

        Raises:
            BadEntry: a column does not hold what it must.
        """
        return thaw(self.frozen())

    def has_nodes(self, nodes: Iterable[bytes]) -> bool:
        """Whether these are the tree nodes that are kept with it."""
        return b"".join(nodes) == self.nodes

    def has_key_of(self, verified: Verified) -> bool:
        """Whether the store would find it by its statement."""
        return (self.originator_id, self.originator_version) == (originator_id(verified), 1)

    @property
    def signed_leaf(self) -> bytes | None:
        """The leaf that is known to be under the log's checkpoint in its place, where one is known, whatever its bytes give."""
        return None

    def _check_columns(self) -> None:
        """A store that someone edited may hold anything."""
        columns = (self.index, self.recorded_at_ms, self.topic, self.state, self.signatures, self.nodes)
        if [type(column) for column in columns] != [int, int, str, bytes, bytes, bytes]:
            raise BadEntry(why="a column has another type")
        if not (0 <= self.index < 2**63 and 0 <= self.recorded_at_ms < 2**63 and self.topic.isascii()):
            raise BadEntry(why="the time or the payload type is out of range")


def originator_id(verified: Verified) -> str:
    """The store's key of a statement, as 76 hex digits: from its id alone, so that the same statement is found again.

    A record's begins with the time in its record id, so that keys of the one high-volume kind rise with time; random keys cost a B-tree
    a factor of nine at a million rows.
    """
    time = "0" * 12
    if isinstance(verified.statement, Activity):
        time = time_digits(verified.statement.record_id)
    return time + verified.id.hex()


def to_stored_entry(entry: Entry, originator: str, nodes: bytes) -> StoredEntry:
    """The entry as the store keeps it, with its key and the tree nodes it completes."""
    payload_type, payload, signatures = entry.verified.frozen
    return StoredEntry(
        originator_id=originator,
        originator_version=1,
        topic=payload_type,
        state=payload,
        index=entry.index,
        recorded_at_ms=entry.recorded_at_ms,
        signatures=signatures,
        nodes=nodes,
    )


def to_entry(stored: StoredEntry) -> Entry:
    """The entry behind a stored one, verified anew.

    Raises:
        Malformed: the stored bytes are not a verified statement.
    """
    return Entry(stored.index, stored.recorded_at_ms, verify(stored.envelope()))


UPCASTERS: dict[str, Callable[[dict[str, object]], tuple[str, dict[str, object]]]] = {}
"""Payload type of an old version -> what reads it as a newer one: ``(payload type, value)``. Only for reading: signatures, ids and rules
stay with the bytes as they were signed."""


def read_statement(stored: StoredEntry) -> Statement:
    """The statement in its newest version, for readers that do not care in which it was signed."""
    statement, topic = parse(stored.topic, stored.state), stored.topic
    while topic in UPCASTERS:
        topic, value = UPCASTERS[topic](statement.to_json())
        statement = parse(topic, encode(value))
    return statement
