"""Questions that analysts ask first: use by whom and where, money by role, bonds, assurance of rounds, parameters over time. Views only."""

from __future__ import annotations

from proofroom.projections.base import Macro, Projection, View

USAGE = Projection(
    "usage",
    [
        View(
            "usage",
            "What was recorded, summed by cluster, era, node, agent, customer, scope and operation; sum further as you like.",
            """
            era            -- era that the records name; verdicts_per_node has the era that counts them
            records        -- activity records, whatever became of them
            cpu_ms         -- processor time, milliseconds
            gpu_micro      -- GPU units, in millionths
            byte_seconds   -- bytes stored, times seconds
            bytes_streamed -- bytes moved
            puts           -- write operations
            gets           -- read operations
            first_index    -- oldest entry that it sums
            last_index     -- newest entry that it sums
            """,
            """
            SELECT cluster, era, node, agent, customer, vault_scope, operation, count(*) AS records,
                sum(cpu_ms)::DECIMAL(38,0) AS cpu_ms, sum(gpu_micro)::DECIMAL(38,0) AS gpu_micro,
                sum(byte_seconds)::DECIMAL(38,0) AS byte_seconds, sum(bytes_streamed)::DECIMAL(38,0) AS bytes_streamed,
                sum(puts)::DECIMAL(38,0) AS puts, sum(gets)::DECIMAL(38,0) AS gets, min(entry_index) AS first_index,
                max(entry_index) AS last_index
            FROM records GROUP BY ALL
            """,
        ),
        View(
            "verdicts_per_node",
            "What became of the records of each node in each era.",
            """
            era        -- era that counts them, to which late records may have been left
            verdict    -- attested, rejected, unattested or pending
            records    -- how many
            last_index -- newest record or tally among them
            """,
            """
            SELECT r.cluster, v.era, r.node, v.verdict, count(*) AS records,
                max(greatest(r.entry_index, v.tally_index)) AS last_index
            FROM records r JOIN record_verdicts v USING (entry_index) GROUP BY ALL
            """,
        ),
        View(
            "assurance",
            "What each finished round is worth. Chances in 10^18ths: divide by 10^18.",
            """
            capture -- chance that the colluding third held the threshold, rounded up
            catch   -- chance that a misreport rate of 1 % was caught, rounded down
            """,
            """
            SELECT cluster, era, batch, round, records, records_observed, eligible, threshold, withheld, capture, catch,
                opened_index, tally_index
            FROM rounds WHERE status = 'final'
            """,
        ),
        View(
            "payouts_per_role",
            "What each paid era moved, by the role of its lines.",
            """
            lines      -- payout lines
            amount     -- base units
            last_index -- newest of the lines
            """,
            """
            SELECT cluster, era, role, count(*) AS lines, sum(amount)::DECIMAL(38,0) AS amount, max(entry_index) AS last_index
            FROM payouts GROUP BY ALL
            """,
        ),
        View(
            "balances_per_role",
            "What is on all accounts of a kind now: the part of the account's name before its first colon. All sum to zero.",
            """
            role       -- kind of account
            accounts   -- accounts that are not at zero
            balance    -- base units
            last_index -- newest entry that moved one of them
            """,
            """
            SELECT split_part(account, ':', 1) AS role, count(*) AS accounts, sum(balance)::DECIMAL(38,0) AS balance,
                max(last_index) AS last_index
            FROM balances GROUP BY ALL
            """,
        ),
        Macro(
            "balances_per_role",
            "What was on all accounts of a kind right after an entry. All sum to zero.",
            "as_of_index",
            """
            SELECT split_part(account, ':', 1) AS role, count(*) AS accounts, sum(balance)::DECIMAL(38,0) AS balance,
                max(last_index) AS last_index
            FROM balances(as_of_index) GROUP BY ALL
            """,
            """
            role       -- kind of account
            accounts   -- accounts that were not at zero
            balance    -- base units
            last_index -- newest entry that moved one of them by then
            """,
        ),
        View(
            "bonds",
            "What secures each cluster and validator now.",
            """
            owner      -- validator, or manager of the cluster
            bond       -- base units
            last_index -- newest entry that moved it
            """,
            """
            SELECT split_part(account, ':', 2) AS cluster, substr(account, 7 + length(split_part(account, ':', 2))) AS owner,
                balance AS bond, last_index
            FROM balances WHERE account LIKE 'bond:%'
            """,
        ),
        View(
            "grant_scopes",
            "Every version of every grant, one row a scope.",
            """
            scope -- "vault / scope"
            """,
            """
            SELECT entry_index, recorded_at, grant_id, user_key, agent, unnest(scopes) AS scope, revoked, expires_at FROM grants
            """,
        ),
        Macro(
            "parameters",
            "The parameters of each cluster right after an entry.",
            "as_of_index",
            """
            SELECT newest.* FROM (
                SELECT arg_max(parameters, entry_index) AS newest FROM parameters WHERE entry_index <= as_of_index GROUP BY cluster)
            """,
        ),
    ],
    [],
)
