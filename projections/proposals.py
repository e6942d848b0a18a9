"""How clusters change: proposals, votes, what became of them; nodes, managers and seats at any moment; the history of parameters."""

from __future__ import annotations

from proofroom.projections.base import Macro, Projection, Table, View, step

PROPOSALS = Projection(
    "proposals",
    [
        Table(
            "proposals",
            "Changes that somebody with a seat proposed. What became of them: proposal_outcomes.",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded the proposal
            cluster VARCHAR NOT NULL           -- cluster
            proposal BIGINT NOT NULL           -- number, from 0 in each cluster
            proposer VARCHAR NOT NULL          -- key of who proposed it
            what VARCHAR NOT NULL              -- parameters, admit-node, validate-node, orchestrators or manager
            change VARCHAR NOT NULL            -- the change as JSON
            deadline TIMESTAMP NOT NULL        -- until when votes counted, UTC
            """,
        ),
        Table(
            "proposal_votes",
            "Votes of seats on proposals; the newest of a voter counts.",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded the vote
            cluster VARCHAR NOT NULL           -- cluster
            proposal BIGINT NOT NULL           -- number of the proposal
            voter VARCHAR NOT NULL             -- key that voted
            aye BOOLEAN NOT NULL               -- for the change
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            """,
        ),
        Table(
            "proposal_decisions",
            "What the ledger counted at the deadline of each proposal.",
            """
            entry_index BIGINT NOT NULL        -- entry that stated the decision
            cluster VARCHAR NOT NULL           -- cluster
            proposal BIGINT NOT NULL           -- number of the proposal
            majority VARCHAR NOT NULL          -- unanimous or two-thirds
            seats BIGINT NOT NULL              -- seats at the deadline
            ayes BIGINT NOT NULL               -- of these, for the change
            passed BOOLEAN NOT NULL            -- whether it passed
            """,
        ),
        Table(
            "proposal_enactments",
            "What an era's opening made of each proposal that passed.",
            """
            entry_index BIGINT NOT NULL        -- entry that stated it
            cluster VARCHAR NOT NULL           -- cluster
            proposal BIGINT NOT NULL           -- number of the proposal
            era BIGINT NOT NULL                -- the era from which on the change holds
            lapsed VARCHAR                     -- code of the error why it no longer fitted; null when it holds
            """,
        ),
        Table(
            "managers",
            "Who manages a cluster, from an entry on.",
            """
            entry_index BIGINT NOT NULL        -- entry from which on
            cluster VARCHAR NOT NULL           -- cluster
            manager VARCHAR NOT NULL           -- key of the manager
            """,
        ),
        Table(
            "node_changes",
            "What happened to nodes: only a validated node works and gives its provider a seat.",
            """
            entry_index BIGINT NOT NULL        -- entry from which on
            cluster VARCHAR NOT NULL           -- cluster
            node VARCHAR NOT NULL              -- name
            status VARCHAR NOT NULL            -- admitted, validated, left or removed
            """,
        ),
        View(
            "proposal_outcomes",
            "Every proposal with its votes and what became of it.",
            """
            status          -- open, rejected, passed, enacted or lapsed
            proposed_index  -- entry that recorded the proposal
            decided_index   -- entry that stated the decision
            enacted_index   -- entry that stated what an era's opening made of it
            from_era        -- the era from which on the change holds
            """,
            """
            SELECT p.cluster, p.proposal, p.what, p.change, p.proposer, p.deadline,
                CASE WHEN d.entry_index IS NULL THEN 'open' WHEN NOT d.passed THEN 'rejected' WHEN e.entry_index IS NULL THEN 'passed'
                    WHEN e.lapsed IS NULL THEN 'enacted' ELSE 'lapsed' END AS status,
                d.majority, d.seats, d.ayes, e.lapsed, CASE WHEN e.lapsed IS NULL THEN e.era END AS from_era,
                p.entry_index AS proposed_index, d.entry_index AS decided_index, e.entry_index AS enacted_index
            FROM proposals p LEFT JOIN proposal_decisions d USING (cluster, proposal)
                LEFT JOIN proposal_enactments e USING (cluster, proposal)
            """,
        ),
        View(
            "parameters_history",
            "All parameters of clusters, with the eras in which they held.",
            """
            from_era     -- the first era in which they held
            until_era    -- the last; null while they hold, before from_era when another change came in the same opening
            """,
            """
            SELECT coalesce(e.era, 0) AS from_era,
                lead(coalesce(e.era, 0)) OVER (PARTITION BY p.cluster ORDER BY p.entry_index) - 1 AS until_era, e.proposal, p.*
            FROM parameters p LEFT JOIN proposal_enactments e USING (cluster, entry_index)
            """,
        ),
        Macro(
            "seats",
            "Who had a seat in a cluster after an entry: seats('dragon-1', 1200).",
            "of_cluster, at_index",
            """
            SELECT manager AS seat FROM managers WHERE cluster = of_cluster AND entry_index <= at_index
                QUALIFY row_number() OVER (ORDER BY entry_index DESC) = 1
            UNION
            SELECT provider FROM nodes JOIN (
                SELECT node, arg_max(status, entry_index) AS status FROM node_changes
                WHERE cluster = of_cluster AND entry_index <= at_index GROUP BY node) USING (node)
            WHERE cluster = of_cluster AND status = 'validated'
            """,
            "seat -- key that has it",
        ),
    ],
    [
        step(
            "proposal",
            """
            INSERT INTO proposals
            SELECT entry_index, s.cluster, s.proposal, s.proposer, (payload->>'$.change.what'), (payload->'$.change')::VARCHAR, s.deadline
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "proposal": "BIGINT", "proposer": "VARCHAR", "deadline": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
        step(
            "proposal-vote",
            """
            INSERT INTO proposal_votes SELECT entry_index, s.cluster, s.proposal, s.voter, s.aye, s.created_at
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "proposal": "BIGINT", "voter": "VARCHAR", "aye": "BOOLEAN", "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
        step(
            "proposal-decided",
            """
            INSERT INTO proposal_decisions
            SELECT entry_index, s.cluster, s.proposal, s.majority, s.seats, s.ayes, s.passed
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "proposal": "BIGINT", "majority": "VARCHAR", "seats": "BIGINT", "ayes": "BIGINT",
                "passed": "BOOLEAN"}') AS s
                FROM batch)
            """,
        ),
        step(
            "proposal-enacted",
            """
            INSERT INTO proposal_enactments SELECT entry_index, s.cluster, s.proposal, s.era, s.lapsed
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "proposal": "BIGINT", "era": "BIGINT", "lapsed": "VARCHAR"}') AS s
                FROM batch)
            """,
        ),
        step(
            "cluster-founded proposal-enacted",
            """
            INSERT INTO managers
            SELECT entry_index, (payload->>'$.cluster'), coalesce((payload->>'$.manager'), (payload->>'$.change.manager'))
            FROM batch
            WHERE kind = 'cluster-founded' OR ((payload->>'$.change.what') = 'manager' AND (payload->>'$.lapsed') IS NULL)
            """,
        ),
        step(
            "cluster-founded",
            """
            INSERT INTO node_changes
            SELECT entry_index, cluster, unnest(nodes), 'validated'
            FROM (SELECT entry_index, (payload->>'$.cluster') AS cluster, (payload->>'$.nodes[*].node') AS nodes FROM batch)
            """,
        ),
        step(
            "proposal-enacted",
            """
            INSERT INTO node_changes
            SELECT entry_index, (payload->>'$.cluster'), coalesce((payload->>'$.change.node.node'), (payload->>'$.change.node')),
                CASE (payload->>'$.change.what') WHEN 'admit-node' THEN 'admitted' ELSE 'validated' END
            FROM batch
            WHERE (payload->>'$.change.what') IN ('admit-node', 'validate-node') AND (payload->>'$.lapsed') IS NULL
            """,
        ),
        step(
            "node-left node-removed",
            """
            INSERT INTO node_changes
            SELECT entry_index, (payload->>'$.cluster'), (payload->>'$.node'), CASE kind WHEN 'node-left' THEN 'left' ELSE 'removed' END
            FROM batch
            """,
        ),
    ],
)
