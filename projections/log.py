"""The log itself: every entry, and the founding of the ledger."""

from __future__ import annotations

from proofroom.projections.base import Projection, Table, step

LOG = Projection(
    "log",
    [
        Table(
            "log",
            "Every entry of the log. Any row of any table leads here by its entry index.",
            """
            entry_index BIGINT NOT NULL        -- place in the log, from 0 without gaps
            recorded_at TIMESTAMP NOT NULL     -- when the ledger recorded it, UTC
            recorded_at_ms BIGINT NOT NULL     -- the same in milliseconds since 1970
            kind VARCHAR NOT NULL              -- kind of statement
            statement_id VARCHAR NOT NULL      -- digest that names the signed statement
            """,
        ),
        Table(
            "genesis",
            "Entry 0: who keeps this ledger and by which rules. Its statement id is the name of the ledger.",
            """
            entry_index BIGINT NOT NULL        -- 0
            ledger VARCHAR NOT NULL            -- statement id of genesis, which later statements name
            origin VARCHAR NOT NULL            -- name of the log on its checkpoints
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            rules BIGINT NOT NULL              -- version of the rules
            ledger_key VARCHAR NOT NULL        -- signs what the ledger derives
            checkpoint_key VARCHAR NOT NULL    -- signs tree heads
            bank_keys VARCHAR[] NOT NULL       -- may state that money came in
            unit VARCHAR NOT NULL              -- currency; amounts are its base units
            """,
        ),
    ],
    [
        step(
            "",
            """
            INSERT INTO log
            SELECT entry_index, make_timestamp_ms(recorded_at_ms), recorded_at_ms, kind, statement_id FROM batch
            """,
        ),
        step(
            "genesis",
            """
            INSERT INTO genesis
            SELECT entry_index, statement_id, s.origin, s.created_at, s.rules, s.ledger_key, s.checkpoint_key, s.bank_keys, s.unit
            FROM (SELECT *, from_json(payload, '{
                "origin": "VARCHAR", "created_at": "TIMESTAMP", "rules": "BIGINT", "ledger_key": "VARCHAR",
                "checkpoint_key": "VARCHAR", "bank_keys": ["VARCHAR"], "unit": "VARCHAR"}') AS s
                FROM batch)
            """,
        ),
    ],
)
