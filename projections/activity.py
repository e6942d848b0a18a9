"""Activity: every record with what it cost, and the batches that seal records.

A batch does not list its records: it seals the oldest ``count`` of its orchestrator's queue. So a record keeps its place in the queue
(``rank``) and a batch the place it begins at (``first_rank``); who is in which batch follows by comparing the two. Both count from 0 in
each era; where late records go to the next era, ``queue_places`` shifts them, so that they run on.
"""

from __future__ import annotations

from proofroom.projections.base import Projection, Table, View, step

ACTIVITY = Projection(
    "activity",
    [
        Table(
            "records",
            "Activity records: one operation of an agent on one vault scope, with what it cost.",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded it
            recorded_at TIMESTAMP NOT NULL     -- when the ledger recorded it, UTC
            statement_id VARCHAR NOT NULL      -- digest that names the signed record
            record_id VARCHAR NOT NULL         -- "dac-" and a UUIDv7
            agent VARCHAR NOT NULL             -- agent service
            vault_scope VARCHAR NOT NULL       -- "vault / scope" it worked on
            operation VARCHAR NOT NULL         -- what it did
            cpu_ms BIGINT NOT NULL             -- processor time, milliseconds
            gpu_micro BIGINT NOT NULL          -- GPU units, in millionths
            byte_seconds BIGINT NOT NULL       -- bytes stored, times seconds
            bytes_streamed BIGINT NOT NULL     -- bytes moved
            puts BIGINT NOT NULL               -- write operations
            gets BIGINT NOT NULL               -- read operations
            result_hash VARCHAR NOT NULL       -- digest of the encrypted result
            input_commitment VARCHAR NOT NULL  -- salted commitment to the input
            grant_id VARCHAR NOT NULL          -- statement id of the grant's version it relied on
            cluster VARCHAR NOT NULL           -- cluster
            era BIGINT NOT NULL                -- era
            node VARCHAR NOT NULL              -- node that ran it
            customer VARCHAR NOT NULL          -- whose deposit pays
            listing VARCHAR                    -- marketplace listing it is sold under, or null
            started_at TIMESTAMP NOT NULL      -- begin of the work, UTC
            ended_at TIMESTAMP NOT NULL        -- end of the work, UTC
            derived_key VARCHAR NOT NULL       -- signed as agent-derived-key
            orchestrator VARCHAR NOT NULL      -- signed as orchestrator
            runtime_key VARCHAR NOT NULL       -- signed as agent-runtime
            rank BIGINT NOT NULL               -- place in its orchestrator's queue of the era, from 0 in log order
            """,
        ),
        Table(
            "batches",
            "Sealed batches: each holds the oldest unsealed records of its orchestrator.",
            """
            entry_index BIGINT NOT NULL        -- entry that sealed it
            cluster VARCHAR NOT NULL           -- cluster
            era BIGINT NOT NULL                -- era
            batch BIGINT NOT NULL              -- number in the era, from 0
            orchestrator VARCHAR NOT NULL      -- who sealed it
            records BIGINT NOT NULL            -- how many it holds
            first_rank BIGINT NOT NULL         -- records that earlier batches of the orchestrator in the era hold
            root VARCHAR NOT NULL              -- inner Merkle root over the records' statement ids
            """,
        ),
        Table(
            "queues",
            "Orchestrators' queues, era by era: the counters behind records.rank and batches.first_rank.",
            """
            last_index BIGINT NOT NULL         -- newest record or batch of the queue
            cluster VARCHAR NOT NULL           -- cluster
            era BIGINT NOT NULL                -- era
            orchestrator VARCHAR NOT NULL      -- whose queue it is
            recorded BIGINT NOT NULL           -- records so far
            sealed BIGINT NOT NULL             -- of these in batches
            """,
        ),
        View(
            "queue_places",
            "Where each queue of an era begins in what its orchestrator recorded and sealed since late records were last refused.",
            """
            until        -- first era from this one on at whose end late records are refused; null while there is none
            first_record -- place of the era's first record, from 0
            first_sealed -- place of the first record that the era's batches hold: lower where the era before left records to it
            sealed_until -- records that were sealed by the end of the queue
            """,
            """
            SELECT cluster, era, orchestrator, until, last_index,
                (sum(recorded) OVER up_to - recorded)::BIGINT AS first_record, (sum(sealed) OVER up_to - sealed)::BIGINT AS first_sealed,
                (sum(sealed) OVER whole)::BIGINT AS sealed_until
            FROM (SELECT q.*, e.era AS until FROM queues q ASOF LEFT JOIN (SELECT cluster, era FROM era_seals WHERE carried IS NULL) e
                ON e.cluster = q.cluster AND q.era <= e.era)
            WINDOW up_to AS (PARTITION BY cluster, orchestrator, until ORDER BY era),
                whole AS (PARTITION BY cluster, orchestrator, until)
            """,
        ),
        View(
            "record_batches",
            "Each record with the batch that holds it and its position there; nulls while it is in no batch.",
            """
            entry_index -- entry of the record
            era         -- era that counts it: its batch's; without one, that whose end refused it; else the one that it waits for
            batch       -- number of the batch in the era
            position    -- place in the batch, from 0: the bit that votes and tallies speak of
            batch_index -- entry that sealed the batch
            until       -- first era from its own on at whose end late records are refused; null while there is none
            """,
            """
            SELECT r.entry_index, r.record_id, r.cluster, coalesce(b.era, r.until, greatest(r.era, n.era)) AS era, b.batch,
                CASE WHEN b.batch IS NOT NULL THEN r.place - b.first_place END AS position, b.entry_index AS batch_index, r.until
            FROM (SELECT r.entry_index, r.record_id, r.cluster, r.era, r.orchestrator, p.until, coalesce(p.until, -1) AS run,
                    p.first_record + r.rank AS place
                FROM records r JOIN queue_places p USING (cluster, era, orchestrator)) r
            ASOF LEFT JOIN (
                SELECT b.cluster, b.orchestrator, coalesce(p.until, -1) AS run, p.first_sealed + b.first_rank AS first_place, b.era,
                    b.batch, b.entry_index
                FROM batches b JOIN queue_places p USING (cluster, era, orchestrator)
                UNION ALL
                SELECT DISTINCT cluster, orchestrator, coalesce(until, -1), sealed_until, NULL, NULL, NULL FROM queue_places
            ) b ON r.cluster = b.cluster AND r.orchestrator = b.orchestrator AND r.run = b.run AND r.place >= b.first_place
            LEFT JOIN (SELECT cluster, max(era) + 1 AS era FROM era_seals GROUP BY cluster) n ON n.cluster = r.cluster
            """,
        ),
    ],
    [
        step(
            "activity",
            """
            INSERT INTO records
            SELECT b.entry_index, make_timestamp_ms(b.recorded_at_ms), b.statement_id, b.record_id, b.agent, b.vault_scope,
                b.operation, b.cpu_ms, (b.gpu_units::DECIMAL(38,6) * 1000000)::BIGINT, b.byte_seconds, b.bytes_streamed, b.puts, b.gets,
                b.result_hash, b.input_commitment, b.grant_id, b.cluster, b.era, b.node, b.customer, b.listing, b.started_at,
                b.ended_at, b.derived_key, b.orchestrator, b.runtime_key,
                coalesce(q.recorded, 0) - 1 + row_number() OVER (
                    PARTITION BY b.cluster, b.era, b.orchestrator ORDER BY b.entry_index)
            FROM fields b
            LEFT JOIN queues q USING (cluster, era, orchestrator)
            """,
            """
            record_id VARCHAR
            agent VARCHAR
            vault_scope VARCHAR
            operation VARCHAR
            cpu_ms BIGINT compute.cpu_ms
            gpu_units DECIMAL(18,6) compute.gpu_units
            byte_seconds BIGINT data.byte_seconds
            bytes_streamed BIGINT data.bytes_streamed
            puts BIGINT data.puts
            gets BIGINT data.gets
            result_hash VARCHAR
            input_commitment VARCHAR
            grant_id VARCHAR grant
            cluster VARCHAR
            era BIGINT
            node VARCHAR
            customer VARCHAR
            listing VARCHAR
            started_at TIMESTAMP
            ended_at TIMESTAMP
            derived_key VARCHAR signers."agent-derived-key"
            orchestrator VARCHAR signers.orchestrator
            runtime_key VARCHAR signers."agent-runtime"
            """,
        ),
        step(
            "batch-sealed",
            """
            INSERT INTO batches
            SELECT b.entry_index, s.cluster, s.era, s.batch, s.orchestrator, s.count,
                coalesce(q.sealed, 0) - s.count + sum(s.count) OVER (
                    PARTITION BY s.cluster, s.era, s.orchestrator ORDER BY b.entry_index),
                s.root
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "era": "BIGINT", "orchestrator": "VARCHAR", "batch": "BIGINT", "count": "BIGINT",
                "root": "VARCHAR"}') AS s
                FROM batch) b
            LEFT JOIN queues q ON q.cluster = s.cluster AND q.era = s.era AND q.orchestrator = s.orchestrator
            """,
        ),
        step(
            "activity batch-sealed",
            """
            MERGE INTO queues q
            USING (
                SELECT max(entry_index) AS last_index, cluster, era, orchestrator, sum(recorded) AS recorded, sum(sealed) AS sealed
                FROM (
                    SELECT entry_index, cluster, era, orchestrator, 1 AS recorded, 0 AS sealed
                    FROM records WHERE entry_index >= getvariable('first_index')
                    UNION ALL
                    SELECT entry_index, cluster, era, orchestrator, 0, records
                    FROM batches WHERE entry_index >= getvariable('first_index'))
                GROUP BY cluster, era, orchestrator
            ) n ON q.cluster = n.cluster AND q.era = n.era AND q.orchestrator = n.orchestrator
            WHEN MATCHED THEN UPDATE
                SET last_index = n.last_index, recorded = q.recorded + n.recorded, sealed = q.sealed + n.sealed
            WHEN NOT MATCHED THEN INSERT VALUES (n.last_index, n.cluster, n.era, n.orchestrator, n.recorded, n.sealed)
            """,
        ),
    ],
)
