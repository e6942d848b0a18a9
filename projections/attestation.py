"""Attestation: rounds, votes, tallies, and what became of each record.

Sets of batch positions stay as they were signed: bit ``i`` is bit ``i % 8`` of byte ``i // 8``. DuckDB's bit strings count from the highest
bit of a byte, so position ``i`` is ``get_bit(positions::BIT, i + 7 - 2 * (i % 8))``.
"""

from __future__ import annotations

from proofroom.projections.base import Projection, Table, View, step

ATTESTATION = Projection(
    "attestation",
    [
        Table(
            "beacons",
            "Revealed values of validators' chains, from which committees are drawn.",
            """
            entry_index BIGINT NOT NULL        -- entry that revealed it
            cluster VARCHAR NOT NULL           -- cluster
            round BIGINT NOT NULL              -- round it belongs to
            validator VARCHAR NOT NULL         -- whose chain
            value VARCHAR NOT NULL             -- 32 bytes in hex
            """,
        ),
        Table(
            "round_openings",
            "Committees as they were drawn, with the assurance that a round gives.",
            """
            entry_index BIGINT NOT NULL        -- entry that opened the round
            cluster VARCHAR NOT NULL           -- cluster
            era BIGINT NOT NULL                -- era of the batch
            batch BIGINT NOT NULL              -- batch that is judged
            round BIGINT NOT NULL              -- number in the cluster, from 0
            level BIGINT NOT NULL              -- committees that judged the batch before
            judged BLOB                        -- positions to judge, as a bitmap; null for all
            seed VARCHAR NOT NULL              -- what the committee was drawn with
            committee VARCHAR[] NOT NULL       -- members
            missing VARCHAR[] NOT NULL         -- eligible validators that did not reveal, the first 128
            commit_until TIMESTAMP NOT NULL    -- end of the commit phase, UTC
            reveal_until TIMESTAMP NOT NULL    -- end of the reveal phase, UTC
            eligible BIGINT NOT NULL           -- eligible validators
            colluding BIGINT NOT NULL          -- of these assumed to collude: a third of those eligible at the seal
            threshold BIGINT NOT NULL          -- votes that carry a record
            withheld BIGINT NOT NULL           -- eligible validators that did not reveal
            capture BIGINT NOT NULL            -- chance that the colluding hold the threshold, in 10^18ths, rounded up
            """,
        ),
        Table(
            "vote_commits",
            "Commitments of committee members to their votes.",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded the commitment
            cluster VARCHAR NOT NULL           -- cluster
            round BIGINT NOT NULL              -- round
            validator VARCHAR NOT NULL         -- member
            commitment VARCHAR NOT NULL        -- digest of the salted vote
            """,
        ),
        Table(
            "vote_reveals",
            "Votes of committee members, opened.",
            """
            entry_index BIGINT NOT NULL        -- entry that revealed the vote
            cluster VARCHAR NOT NULL           -- cluster
            round BIGINT NOT NULL              -- round
            validator VARCHAR NOT NULL         -- member
            agree BLOB NOT NULL                -- positions agreed to, as a bitmap
            agreed BIGINT NOT NULL             -- how many they are
            """,
        ),
        Table(
            "vote_doubts",
            "The reasons for which votes reject records or abstain, one row each.",
            """
            entry_index BIGINT NOT NULL        -- entry that revealed the vote
            cluster VARCHAR NOT NULL           -- cluster
            round BIGINT NOT NULL              -- round
            validator VARCHAR NOT NULL         -- member
            reason VARCHAR NOT NULL            -- why; "unobserved" and "observation-conflict" abstain, all others reject
            positions BLOB NOT NULL            -- positions doubted for this reason, as a bitmap
            doubted BIGINT NOT NULL            -- how many they are
            """,
        ),
        Table(
            "tallies",
            "Outcomes of rounds.",
            """
            entry_index BIGINT NOT NULL        -- entry that tallied the round
            cluster VARCHAR NOT NULL           -- cluster
            era BIGINT NOT NULL                -- era of the batch
            batch BIGINT NOT NULL              -- batch that was judged
            round BIGINT NOT NULL              -- round
            level BIGINT NOT NULL              -- committees that judged the batch before
            assigned BIGINT NOT NULL           -- members of the committee
            committed BIGINT NOT NULL          -- members that committed
            revealed BIGINT NOT NULL           -- members that revealed
            agree BIGINT NOT NULL              -- fewest agreeing votes that any attested record has
            attested BLOB NOT NULL             -- positions attested, as a bitmap
            rejected BLOB NOT NULL             -- positions rejected, as a bitmap
            judged BLOB                        -- positions judged, as a bitmap; null for all
            escalated BLOB                     -- positions that go to a larger committee, as a bitmap; null for none
            next_round BIGINT                  -- round in which they do
            records BIGINT NOT NULL            -- records judged
            records_attested BIGINT NOT NULL   -- of these attested
            records_rejected BIGINT NOT NULL   -- of these rejected
            records_observed BIGINT NOT NULL   -- of these judged by at least one vote that did not abstain
            catch BIGINT NOT NULL              -- chance that a misreport rate of 1 % was caught, in 10^18ths, rounded down
            """,
        ),
        View(
            "rounds",
            "Rounds of attestation: one for each batch from its seal on, and one for each larger committee that a dispute went to.",
            """
            status       -- beacon, voting or final
            round        -- number in the cluster; null until the first committee is drawn or the round ends without one
            records      -- records it judges
            next_round   -- round that judges again what was disputed; null for none
            batch_index  -- entry that sealed the batch
            opened_index -- entry that opened the round
            tally_index  -- entry that tallied it
            """,
            """
            SELECT b.cluster, b.era, b.batch, b.level, coalesce(b.round, o.round, t.round) AS round,
                CASE WHEN t.entry_index IS NOT NULL THEN 'final' WHEN o.entry_index IS NOT NULL THEN 'voting' ELSE 'beacon' END
                    AS status,
                b.records, o.eligible, o.committee, o.threshold, o.withheld, o.commit_until, o.reveal_until, t.committed,
                t.revealed, t.agree, t.records_attested, t.records_rejected, t.records_observed, t.next_round, o.capture, t.catch,
                b.batch_index, o.entry_index AS opened_index, t.entry_index AS tally_index
            FROM (
                SELECT cluster, era, batch, 0 AS level, NULL AS round, records, entry_index AS batch_index FROM batches
                UNION ALL
                SELECT t.cluster, t.era, t.batch, t.level + 1, t.next_round, bit_count(t.escalated::BIT), b.entry_index
                FROM tallies t JOIN batches b USING (cluster, era, batch) WHERE t.next_round IS NOT NULL
            ) b
            LEFT JOIN round_openings o USING (cluster, era, batch, level)
            LEFT JOIN tallies t USING (cluster, era, batch, level)
            """,
        ),
        View(
            "votes",
            "One row for each member of each committee: whether it committed, revealed, and what it agreed to.",
            """
            opened_index -- entry that drew the committee
            commit_index -- entry of its commitment; null when there is none
            reveal_index -- entry of its vote; null when there is none
            agreed       -- records it agreed to; null without a vote
            doubted      -- records it gave a reason against, or could not tell
            """,
            """
            SELECT s.cluster, s.round, s.era, s.batch, s.validator, s.opened_index, c.entry_index AS commit_index,
                r.entry_index AS reveal_index, r.agreed,
                coalesce(bit_count(s.judged::BIT), b.records) - r.agreed AS doubted
            FROM (SELECT cluster, round, era, batch, judged, entry_index AS opened_index, unnest(committee) AS validator
                FROM round_openings) s
            JOIN batches b USING (cluster, era, batch)
            LEFT JOIN vote_commits c USING (cluster, round, validator)
            LEFT JOIN vote_reveals r USING (cluster, round, validator)
            """,
        ),
        View(
            "record_verdicts",
            "What became of each record: attested, rejected, unattested (also when it missed the seal of its era), or pending, also "
            "while a dispute is open.",
            """
            entry_index -- entry of the record
            verdict     -- attested, rejected, unattested or pending
            tally_index -- entry of the tally that says so; null for a record in no batch
            """,
            """
            SELECT r.entry_index, r.record_id, r.cluster, r.era, r.batch, r.position,
                CASE WHEN get_bit(t.attested, r.bit) = 1 THEN 'attested' WHEN get_bit(t.rejected, r.bit) = 1 THEN 'rejected'
                    WHEN t.entry_index IS NOT NULL OR (r.batch IS NULL AND e.entry_index IS NOT NULL) THEN 'unattested'
                    ELSE 'pending' END AS verdict,
                r.batch_index, t.entry_index AS tally_index
            FROM (SELECT *, (position + 7 - 2 * (position % 8))::INTEGER AS bit FROM record_batches) r
            LEFT JOIN (
                SELECT entry_index, cluster, era, batch, attested::BIT AS attested, rejected::BIT AS rejected,
                    judged::BIT AS judged, escalated::BIT AS escalated
                FROM tallies
            ) t ON t.cluster = r.cluster AND t.era = r.era AND t.batch = r.batch
                AND (t.judged IS NULL OR get_bit(t.judged, r.bit) = 1)
                AND (t.escalated IS NULL OR get_bit(t.escalated, r.bit) = 0)
            LEFT JOIN era_seals e ON e.cluster = r.cluster AND e.era = r.until
            """,
        ),
    ],
    [
        step(
            "beacon-revealed",
            """
            INSERT INTO beacons SELECT entry_index, s.cluster, s.round, s.validator, s.value
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "round": "BIGINT", "validator": "VARCHAR", "value": "VARCHAR"}') AS s
                FROM batch)
            """,
        ),
        step(
            "round-opened",
            """
            INSERT INTO round_openings
            SELECT entry_index, s.cluster, s.era, s.batch, s.round, coalesce(s.level, 0), from_base64(s.judged), s.seed,
                s.committee, s.missing, s.commit_until, s.reveal_until, s.assurance.eligible, s.assurance.colluding,
                s.assurance.threshold, s.assurance.missing, s.assurance.capture
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "era": "BIGINT", "batch": "BIGINT", "round": "BIGINT", "level": "BIGINT",
                "judged": "VARCHAR", "seed": "VARCHAR",
                "committee": ["VARCHAR"], "missing": ["VARCHAR"], "commit_until": "TIMESTAMP", "reveal_until": "TIMESTAMP",
                "assurance": {"eligible": "BIGINT", "colluding": "BIGINT", "threshold": "BIGINT", "missing": "BIGINT",
                    "capture": "BIGINT"}}') AS s
                FROM batch)
            """,
        ),
        step(
            "vote-committed",
            """
            INSERT INTO vote_commits SELECT entry_index, s.cluster, s.round, s.validator, s.commitment
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "round": "BIGINT", "validator": "VARCHAR", "commitment": "VARCHAR"}') AS s
                FROM batch)
            """,
        ),
        step(
            "vote-revealed",
            """
            INSERT INTO vote_reveals SELECT entry_index, s.cluster, s.round, s.validator, agree, bit_count(agree::BIT)
            FROM (SELECT *, from_base64(s.vote.agree) AS agree
                FROM (SELECT *, from_json(payload, '{
                    "cluster": "VARCHAR", "round": "BIGINT", "validator": "VARCHAR", "vote": {"agree": "VARCHAR"}}') AS s
                    FROM batch))
            """,
        ),
        step(
            "vote-revealed",
            """
            INSERT INTO vote_doubts
            SELECT entry_index, cluster, round, validator, reason.key, from_base64(reason.value),
                bit_count(from_base64(reason.value)::BIT)
            FROM (SELECT entry_index, s.cluster, s.round, s.validator, unnest(map_entries(s.vote.reasons)) AS reason
                FROM (SELECT *, from_json(payload, '{
                    "cluster": "VARCHAR", "round": "BIGINT", "validator": "VARCHAR",
                    "vote": {"reasons": "MAP(VARCHAR, VARCHAR)"}}') AS s
                    FROM batch))
            """,
        ),
        step(
            "round-tallied",
            """
            INSERT INTO tallies
            SELECT entry_index, s.cluster, s.era, s.batch, s.round, coalesce(s.level, 0), s.assigned, s.committed, s.revealed,
                s.agree, from_base64(s.attested), from_base64(s.rejected), from_base64(s.judged), from_base64(s.escalated),
                s.next_round, coalesce(bit_count(from_base64(s.judged)::BIT), s.records), s.records_attested, s.records_rejected,
                s.records_observed, s.catch
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "era": "BIGINT", "batch": "BIGINT", "round": "BIGINT", "level": "BIGINT",
                "assigned": "BIGINT", "committed": "BIGINT", "revealed": "BIGINT", "agree": "BIGINT", "attested": "VARCHAR",
                "rejected": "VARCHAR", "judged": "VARCHAR", "escalated": "VARCHAR", "next_round": "BIGINT", "records": "BIGINT",
                "records_attested": "BIGINT", "records_rejected": "BIGINT", "records_observed": "BIGINT", "catch": "BIGINT"}') AS s
                FROM batch)
            """,
        ),
    ],
)
