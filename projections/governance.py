"""Clusters, their nodes and parameters, and the life of their eras."""

from __future__ import annotations

from proofroom.projections.base import Projection, Table, View, step

GOVERNANCE = Projection(
    "governance",
    [
        Table(
            "clusters",
            "Clusters as they were founded. How they changed: proposal_outcomes, managers, node_changes, parameters_history.",
            """
            entry_index BIGINT NOT NULL        -- entry that founded the cluster
            cluster VARCHAR NOT NULL           -- name
            manager VARCHAR NOT NULL           -- key that opens and closes eras
            providers VARCHAR[] NOT NULL       -- founding providers
            orchestrators VARCHAR[] NOT NULL   -- keys that co-sign records and seal batches
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            """,
        ),
        Table(
            "nodes",
            "Machines that run agents.",
            """
            entry_index BIGINT NOT NULL        -- entry that admitted the node
            cluster VARCHAR NOT NULL           -- cluster
            node VARCHAR NOT NULL              -- name
            provider VARCHAR NOT NULL          -- who is paid for it
            runtime_key VARCHAR NOT NULL       -- signs records as agent runtime
            """,
        ),
        Table(
            "parameters",
            "Parameters of clusters, by the entry that set them. Prices and bonds in base units, ratios in 10^18ths.",
            """
            entry_index BIGINT NOT NULL               -- entry that set them
            cluster VARCHAR NOT NULL                  -- cluster
            cpu_second DECIMAL(38,0) NOT NULL         -- price of a second of processor time
            gpu_unit DECIMAL(38,0) NOT NULL           -- price of a GPU unit
            mib_streamed DECIMAL(38,0) NOT NULL       -- price of 2^20 bytes streamed
            mib_stored_month DECIMAL(38,0) NOT NULL   -- price of 2^20 bytes stored for a month
            put DECIMAL(38,0) NOT NULL                -- price of a put
            get DECIMAL(38,0) NOT NULL                -- price of a get
            treasury_share BIGINT NOT NULL            -- of what an era collects, in 10^18ths
            reserve_share BIGINT NOT NULL             -- of what an era collects, in 10^18ths
            validators_share BIGINT NOT NULL          -- of what an era collects, in 10^18ths
            committee BIGINT NOT NULL                 -- validators drawn for a round
            beacon_ms BIGINT NOT NULL                 -- length of a round's beacon phase
            commit_ms BIGINT NOT NULL                 -- length of a round's commit phase
            reveal_ms BIGINT NOT NULL                 -- length of a round's reveal phase
            escalations BIGINT NOT NULL               -- how often a disputed record goes to a larger committee
            suspend_after BIGINT                      -- eras of ten in which a validator may withhold before it is suspended; null: never
            cpu_tolerance BIGINT NOT NULL             -- in 10^18ths of what was observed
            gpu_tolerance BIGINT NOT NULL             -- in 10^18ths of what was observed
            bytes_tolerance BIGINT NOT NULL           -- in 10^18ths of what was observed
            cluster_bond DECIMAL(38,0) NOT NULL       -- least bond of the cluster
            validator_bond DECIMAL(38,0) NOT NULL     -- least bond of a validator
            slash_floor DECIMAL(38,0) NOT NULL        -- least slash
            slash_multiple BIGINT NOT NULL            -- slash as a multiple of the charge
            era_seconds BIGINT NOT NULL               -- an open era ends by itself after this time
            late_records VARCHAR NOT NULL             -- what becomes of records that miss the seal
            majority VARCHAR NOT NULL                 -- ayes that a proposal needs: unanimous or two-thirds
            """,
        ),
        Table(
            "era_openings",
            "Statements that opened an era.",
            """
            entry_index BIGINT NOT NULL        -- entry that opened the era
            cluster VARCHAR NOT NULL           -- cluster
            era BIGINT NOT NULL                -- number, from 0
            start_at TIMESTAMP NOT NULL        -- begin, UTC
            """,
        ),
        Table(
            "era_seals",
            "Statements after which an era takes no more records.",
            """
            entry_index BIGINT NOT NULL        -- entry that sealed the era
            cluster VARCHAR NOT NULL           -- cluster
            era BIGINT NOT NULL                -- number
            start_at TIMESTAMP NOT NULL        -- begin, UTC
            end_at TIMESTAMP NOT NULL          -- end, UTC
            batches BIGINT NOT NULL            -- sealed batches
            recorded BIGINT NOT NULL           -- records
            late BIGINT NOT NULL               -- records in no batch
            carried BIGINT                     -- of these, records that go to the next era; null where they end unattested
            """,
        ),
        Table(
            "era_payments",
            "Statements that closed an era for ever: ClusterEraPaid. Amounts in base units.",
            """
            entry_index BIGINT NOT NULL            -- entry that closed the era
            cluster VARCHAR NOT NULL               -- cluster
            era BIGINT NOT NULL                    -- number
            start_at TIMESTAMP NOT NULL            -- begin, UTC
            end_at TIMESTAMP NOT NULL              -- end, UTC
            first_index BIGINT NOT NULL            -- entry that opened the era
            last_index BIGINT NOT NULL             -- last entry before this one
            batches BIGINT NOT NULL                -- sealed batches
            lines BIGINT NOT NULL                  -- payout lines
            recorded BIGINT NOT NULL               -- records
            attested BIGINT NOT NULL               -- records that two thirds of a committee agreed to
            rejected BIGINT NOT NULL               -- records that two thirds of a committee rejected
            unattested BIGINT NOT NULL             -- all others
            charged DECIMAL(38,0) NOT NULL         -- what the attested usage costs
            collected DECIMAL(38,0) NOT NULL       -- what deposits covered
            debt DECIMAL(38,0) NOT NULL            -- what they did not
            providers DECIMAL(38,0) NOT NULL       -- paid to node providers
            validators DECIMAL(38,0) NOT NULL      -- paid to validators
            treasury DECIMAL(38,0) NOT NULL        -- paid to the treasury
            reserve DECIMAL(38,0) NOT NULL         -- paid to the reserve
            fees_charged DECIMAL(38,0) NOT NULL    -- what listings' records cost
            fees_collected DECIMAL(38,0) NOT NULL  -- what deposits covered of it
            fees_debt DECIMAL(38,0) NOT NULL       -- what they did not
            marketplaces DECIMAL(38,0) NOT NULL    -- paid to marketplaces
            creators DECIMAL(38,0) NOT NULL        -- paid to creators
            lines_root VARCHAR NOT NULL            -- inner Merkle root over the lines' statement ids
            completeness_root VARCHAR NOT NULL     -- inner Merkle root over counts and sums per agent and customer
            note VARCHAR                           -- "no attested work", or null
            """,
        ),
        View(
            "eras",
            "The eras of all clusters, from opening to payment.",
            """
            status       -- open, sealed or paid
            opened_index -- entry that opened the era
            sealed_index -- entry that sealed it
            paid_index   -- entry that closed it for ever
            """,
            """
            SELECT o.cluster, o.era,
                CASE WHEN p.entry_index IS NOT NULL THEN 'paid' WHEN s.entry_index IS NOT NULL THEN 'sealed' ELSE 'open' END
                    AS status,
                o.start_at, s.end_at, o.entry_index AS opened_index, s.entry_index AS sealed_index,
                p.entry_index AS paid_index, s.batches, s.recorded, s.late, p.attested, p.rejected, p.unattested, p.lines,
                p.charged, p.collected, p.debt, p.providers, p.validators, p.treasury, p.reserve, p.fees_charged,
                p.fees_collected, p.fees_debt, p.marketplaces, p.creators
            FROM era_openings o LEFT JOIN era_seals s USING (cluster, era) LEFT JOIN era_payments p USING (cluster, era)
            """,
        ),
    ],
    [
        step(
            "cluster-founded",
            """
            INSERT INTO clusters SELECT entry_index, s.cluster, s.manager, s.providers, s.orchestrators, s.created_at
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "manager": "VARCHAR", "providers": ["VARCHAR"], "orchestrators": ["VARCHAR"],
                "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
        step(
            "cluster-founded",
            """
            INSERT INTO nodes SELECT entry_index, cluster, n.node, n.provider, n.runtime_key
            FROM (SELECT entry_index, s.cluster, unnest(s.nodes) AS n
                FROM (SELECT *, from_json(payload, '{
                    "cluster": "VARCHAR", "nodes": [{"node": "VARCHAR", "provider": "VARCHAR", "runtime_key": "VARCHAR"}]}') AS s
                    FROM batch))
            """,
        ),
        step(
            "cluster-founded proposal-enacted",
            """
            INSERT INTO parameters
            SELECT entry_index, s.cluster, p.prices.cpu_second, p.prices.gpu_unit, p.prices.mib_streamed,
                p.prices.mib_stored_month, p.prices.put, p.prices.get, p.shares.treasury, p.shares.reserve, p.shares.validators,
                p.attestation.committee, p.attestation.beacon_ms, p.attestation.commit_ms, p.attestation.reveal_ms,
                p.attestation.escalations, p.attestation.suspend_after, p.attestation.cpu_tolerance, p.attestation.gpu_tolerance,
                p.attestation.bytes_tolerance, p.bonds.cluster_minimum, p.bonds.validator_minimum, p.bonds.slash_floor,
                p.bonds.slash_multiple, p.era_seconds, p.late_records, coalesce(p.majority, 'unanimous')
            FROM (SELECT *, s.parameters AS p
                FROM (SELECT *, from_json(payload, '{"cluster": "VARCHAR", "parameters": {
                    "prices": {"cpu_second": "DECIMAL(38,0)", "gpu_unit": "DECIMAL(38,0)", "mib_streamed": "DECIMAL(38,0)",
                        "mib_stored_month": "DECIMAL(38,0)", "put": "DECIMAL(38,0)", "get": "DECIMAL(38,0)"},
                    "shares": {"treasury": "BIGINT", "reserve": "BIGINT", "validators": "BIGINT"},
                    "attestation": {"committee": "BIGINT", "beacon_ms": "BIGINT", "commit_ms": "BIGINT", "reveal_ms": "BIGINT",
                        "escalations": "BIGINT", "suspend_after": "BIGINT", "cpu_tolerance": "BIGINT", "gpu_tolerance": "BIGINT",
                        "bytes_tolerance": "BIGINT"},
                    "bonds": {"cluster_minimum": "DECIMAL(38,0)", "validator_minimum": "DECIMAL(38,0)",
                        "slash_floor": "DECIMAL(38,0)", "slash_multiple": "BIGINT"},
                    "era_seconds": "BIGINT", "late_records": "VARCHAR", "majority": "VARCHAR"}}') AS s
                    FROM batch))
            WHERE (payload->>'$.parameters') IS NOT NULL
            """,
        ),
        step(
            "proposal-enacted",
            """
            INSERT INTO nodes
            SELECT entry_index, (payload->>'$.cluster'), (payload->>'$.change.node.node'), (payload->>'$.change.node.provider'),
                (payload->>'$.change.node.runtime_key')
            FROM batch
            WHERE (payload->>'$.change.what') = 'admit-node' AND (payload->>'$.lapsed') IS NULL
            """,
        ),
        step(
            "era-opened",
            """
            INSERT INTO era_openings SELECT entry_index, s.cluster, s.era, s.start
            FROM (SELECT *, from_json(payload, '{"cluster": "VARCHAR", "era": "BIGINT", "start": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
        step(
            "era-sealed",
            """
            INSERT INTO era_seals SELECT entry_index, s.cluster, s.era, s.start, s."end", s.batches, s.recorded, s.late, s.carried
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "era": "BIGINT", "start": "TIMESTAMP", "end": "TIMESTAMP", "batches": "BIGINT",
                "recorded": "BIGINT", "late": "BIGINT", "carried": "BIGINT"}') AS s
                FROM batch)
            """,
        ),
        step(
            "era-paid",
            """
            INSERT INTO era_payments
            SELECT entry_index, s.cluster, s.era, s.start, s."end", s.first_index, s.last_index, s.batches, s.lines,
                s.records.recorded, s.records.attested, s.records.rejected, s.records.unattested,
                t.charged, t.collected, t.debt, t.providers, t.validators, t.treasury, t.reserve,
                coalesce(t.fees_charged, 0), coalesce(t.fees_collected, 0), coalesce(t.fees_debt, 0), coalesce(t.marketplaces, 0),
                coalesce(t.creators, 0),
                s.lines_root, s.completeness_root, s.note
            FROM (SELECT *, s.totals AS t
                FROM (SELECT *, from_json(payload, '{
                    "cluster": "VARCHAR", "era": "BIGINT", "start": "TIMESTAMP", "end": "TIMESTAMP", "first_index": "BIGINT",
                    "last_index": "BIGINT", "batches": "BIGINT", "lines": "BIGINT",
                    "records": {"recorded": "BIGINT", "attested": "BIGINT", "rejected": "BIGINT", "unattested": "BIGINT"},
                    "totals": {"charged": "DECIMAL(38,0)", "collected": "DECIMAL(38,0)", "debt": "DECIMAL(38,0)",
                        "providers": "DECIMAL(38,0)", "validators": "DECIMAL(38,0)", "treasury": "DECIMAL(38,0)",
                        "reserve": "DECIMAL(38,0)", "fees_charged": "DECIMAL(38,0)", "fees_collected": "DECIMAL(38,0)",
                        "fees_debt": "DECIMAL(38,0)", "marketplaces": "DECIMAL(38,0)", "creators": "DECIMAL(38,0)"},
                    "lines_root": "VARCHAR", "completeness_root": "VARCHAR", "note": "VARCHAR"}') AS s
                    FROM batch))
            """,
        ),
    ],
)
