"""Offences: what was established against nodes and validators, what it cost, and how each validator stands."""

from __future__ import annotations

from proofroom.projections.base import Projection, Table, View, step

OFFENCES = Projection(
    "offences",
    [
        Table(
            "slashes",
            "Bonds that paid for an offence.",
            """
            entry_index BIGINT NOT NULL        -- entry that states the slash
            cluster VARCHAR NOT NULL           -- cluster
            offence VARCHAR NOT NULL           -- misreport, equivocation or false-beacon
            debit VARCHAR NOT NULL             -- account of the bond
            amount DECIMAL(38,0) NOT NULL      -- base units, to the treasury
            era BIGINT                         -- of a misreport: era of the records
            node VARCHAR                       -- of a misreport
            records BIGINT                     -- of a misreport: records finally rejected
            charge DECIMAL(38,0)               -- of a misreport: what they would have cost
            validator VARCHAR                  -- of the others
            evidence VARCHAR                   -- of the others: statement id of the evidence
            """,
        ),
        Table(
            "accusations",
            "Evidence against validators that held: each is followed by a slash.",
            """
            entry_index BIGINT NOT NULL        -- entry of the evidence
            statement_id VARCHAR NOT NULL      -- its statement id
            kind VARCHAR NOT NULL              -- equivocation or false-beacon
            cluster VARCHAR NOT NULL           -- cluster
            validator VARCHAR NOT NULL         -- who signed what is inside
            reporter VARCHAR NOT NULL          -- who brought it
            """,
        ),
        Table(
            "node_removals",
            "Nodes that misreported in three of ten eras.",
            """
            entry_index BIGINT NOT NULL        -- entry that removed the node
            cluster VARCHAR NOT NULL           -- cluster
            node VARCHAR NOT NULL              -- node
            provider VARCHAR NOT NULL          -- its provider
            offences BIGINT[] NOT NULL         -- the eras
            """,
        ),
        Table(
            "suspensions",
            "Validators that withheld their beacon value in too many of ten eras.",
            """
            entry_index BIGINT NOT NULL        -- entry that suspended it
            cluster VARCHAR NOT NULL           -- cluster
            validator VARCHAR NOT NULL         -- validator
            withheld_eras BIGINT[] NOT NULL    -- the eras
            until_era BIGINT NOT NULL          -- last era in which it is not eligible
            """,
        ),
        Table(
            "departures",
            "Validators that left a cluster.",
            """
            entry_index BIGINT NOT NULL        -- entry with which it left
            cluster VARCHAR NOT NULL           -- cluster
            validator VARCHAR NOT NULL         -- validator
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            """,
        ),
        View(
            "validator_standing",
            "How each validator stands now.",
            """
            standing      -- active, left or removed; who is suspended is active, and not eligible until the era is over
            slashed       -- what its bond paid, base units
            last_index    -- newest entry that changed it
            """,
            """
            SELECT v.cluster, v.validator, v.controller,
                CASE WHEN s.entry_index IS NOT NULL THEN 'removed' WHEN d.entry_index IS NOT NULL THEN 'left' ELSE 'active' END
                    AS standing,
                u.until_era, coalesce(s.amount, 0)::DECIMAL(38,0) AS slashed,
                greatest(v.entry_index, s.entry_index, d.entry_index, u.entry_index) AS last_index
            FROM validators v
            LEFT JOIN slashes s USING (cluster, validator)
            LEFT JOIN departures d USING (cluster, validator)
            LEFT JOIN (
                SELECT cluster, validator, max(until_era) AS until_era, max(entry_index) AS entry_index FROM suspensions GROUP BY ALL
            ) u USING (cluster, validator)
            """,
        ),
    ],
    [
        step(
            "slashed",
            """
            INSERT INTO slashes
            SELECT entry_index, s.cluster, s.offence, s.debit, s.amount, s.basis.era, s.basis.node, s.basis.records,
                s.basis.charge, s.basis.validator, s.basis.evidence
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "offence": "VARCHAR", "debit": "VARCHAR", "amount": "DECIMAL(38,0)",
                "basis": {"era": "BIGINT", "node": "VARCHAR", "records": "BIGINT", "charge": "DECIMAL(38,0)",
                    "validator": "VARCHAR", "evidence": "VARCHAR"}}') AS s
                FROM batch)
            """,
        ),
        step(
            "equivocation false-beacon",
            """
            INSERT INTO accusations SELECT entry_index, statement_id, kind, s.cluster, s.validator, s.reporter
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "validator": "VARCHAR", "reporter": "VARCHAR"}') AS s
                FROM batch)
            """,
        ),
        step(
            "node-removed",
            """
            INSERT INTO node_removals SELECT entry_index, s.cluster, s.node, s.provider, s.offences
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "node": "VARCHAR", "provider": "VARCHAR", "offences": ["BIGINT"]}') AS s
                FROM batch)
            """,
        ),
        step(
            "validator-suspended",
            """
            INSERT INTO suspensions SELECT entry_index, s.cluster, s.validator, s.withheld, s.until_era
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "validator": "VARCHAR", "withheld": ["BIGINT"], "until_era": "BIGINT"}') AS s
                FROM batch)
            """,
        ),
        step(
            "validator-left",
            """
            INSERT INTO departures SELECT entry_index, s.cluster, s.validator, s.created_at
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "validator": "VARCHAR", "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
    ],
)
