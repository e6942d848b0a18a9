"""How far each projection is, and what stopped it: the books that a file of read models keeps of itself.

A position is the number of entries taken in, which is the index of the next entry, and the notification id of the last one in the words
of the eventsourcing library.
"""

from __future__ import annotations

from proofroom.projections.base import Table, View

LAYOUT = 1
"""Version of the tables below. A file with another one is made anew, or, when it is newer, left alone."""

PROGRESS = (
    Table(
        "file_layout",
        "Version of the tables in which this file keeps its own books. One row.",
        """
        version BIGINT NOT NULL            -- version of projections and dead_letters
        """,
    ),
    Table(
        "projections",
        "Groups of tables that are fed together, each at its own pace. See read_models.",
        """
        name VARCHAR NOT NULL              -- name of the projection
        version BIGINT                     -- its version, raised by a release that changes it
        fingerprint VARCHAR                -- digest of its SQL
        relations VARCHAR[]                -- its tables, views and macros, as DROP takes them
        position BIGINT                    -- entries taken in: index of the next
        root VARCHAR                       -- root of the log's tree at this position, in hex
        log_size BIGINT                    -- entries of the log when it last took some in
        """,
    ),
    Table(
        "dead_letters",
        "Entries that a projection could not take in. It waits before them, and tries again each time; the other projections go on.",
        """
        projection VARCHAR NOT NULL        -- projection that stopped
        entry_index BIGINT NOT NULL        -- entry that stopped it
        kind VARCHAR NOT NULL              -- kind of statement
        statement_id VARCHAR NOT NULL      -- digest that names the signed statement
        why VARCHAR NOT NULL               -- what DuckDB said
        """,
    ),
    View(
        "read_models",
        "How far each projection is behind the log as it was last seen, and what stopped it.",
        """
        projection    -- name of the projection
        version       -- its version
        position      -- entries taken in: index of the next
        log_size      -- entries of the log when it was last seen
        why           -- what DuckDB said of the entry that stopped it
        lag           -- entries of the log that it has not taken in
        status        -- current, behind or stopped
        stopped_index -- entry that stopped it, or null
        """,
        """
        SELECT p.name AS projection, p.version, p.position, s.log_size, s.log_size - p.position AS lag,
            CASE WHEN d.entry_index IS NOT NULL THEN 'stopped' WHEN p.position < s.log_size THEN 'behind' ELSE 'current' END AS status,
            d.entry_index AS stopped_index, d.why
        FROM projections p CROSS JOIN (SELECT max(log_size) AS log_size FROM projections) s
        LEFT JOIN dead_letters d ON d.projection = p.name
        """,
    ),
)
