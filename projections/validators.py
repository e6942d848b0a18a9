"""Validators: who they are, and what each did in each era."""

from __future__ import annotations

from proofroom.projections.base import Projection, Table, View, step

VALIDATORS = Projection(
    "validators",
    [
        Table(
            "validators",
            "Validators of clusters.",
            """
            entry_index BIGINT NOT NULL        -- entry that registered the validator
            cluster VARCHAR NOT NULL           -- cluster
            validator VARCHAR NOT NULL         -- its key
            controller VARCHAR NOT NULL        -- who answers for it
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            """,
        ),
        View(
            "validator_records",
            "What each validator did in each era: how often it was drawn, voted, judged as the final verdict did, and withheld.",
            """
            assigned     -- committees it was drawn for
            committed    -- of these it committed to a vote in
            revealed     -- of these it revealed its vote in
            with_outcome -- records that it judged as their verdict does: what it is paid for, but for withholding and stolen keys
            withheld     -- rounds it gave no beacon value for, as far as the openings list it
            last_index   -- newest entry that this is from
            """,
            """
            SELECT cluster, era, validator, count(*) FILTER (seat) AS assigned, count(commit_index) AS committed,
                count(reveal_index) AS revealed, coalesce(sum(with_outcome), 0)::BIGINT AS with_outcome,
                count(*) FILTER (NOT seat) AS withheld,
                max(greatest(opened_index, commit_index, reveal_index, outcome_index)) AS last_index
            FROM (
                SELECT v.cluster, v.era, v.validator, true AS seat, v.opened_index, v.commit_index, v.reveal_index,
                    bit_count((r.agree::BIT & o.attested) | (coalesce(d.rejects, o.nothing) & o.rejected)) AS with_outcome,
                    o.outcome_index
                FROM votes v
                LEFT JOIN vote_reveals r USING (cluster, round, validator)
                LEFT JOIN (
                    SELECT cluster, round, validator, bit_or(positions::BIT) AS rejects FROM vote_doubts
                    WHERE reason NOT IN ('unobserved', 'observation-conflict') GROUP BY ALL
                ) d USING (cluster, round, validator)
                LEFT JOIN (
                    SELECT cluster, era, batch, bit_or(attested::BIT) AS attested, bit_or(rejected::BIT) AS rejected,
                        bit_and(attested::BIT & rejected::BIT) AS nothing, max(entry_index) AS outcome_index
                    FROM tallies GROUP BY ALL
                ) o USING (cluster, era, batch)
                UNION ALL
                SELECT cluster, era, unnest(missing), false, entry_index, NULL, NULL, NULL, NULL FROM round_openings
            )
            GROUP BY ALL
            """,
        ),
    ],
    [
        step(
            "validator-registered",
            """
            INSERT INTO validators SELECT entry_index, s.cluster, s.validator, s.controller, s.created_at
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "validator": "VARCHAR", "controller": "VARCHAR", "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
    ],
)
