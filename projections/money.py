"""Money: deposits, payout lines, and the double-entry journal that both write. Amounts are exact: base units, DECIMAL(38,0)."""

from __future__ import annotations

from proofroom.projections.base import Macro, Projection, Table, View, step

MONEY = Projection(
    "money",
    [
        Table(
            "deposits",
            "Money that came in from outside, as banks state it.",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded it
            bank VARCHAR NOT NULL              -- bank key that signed
            reference VARCHAR NOT NULL         -- the bank's own reference, unique
            cluster VARCHAR NOT NULL           -- cluster
            account VARCHAR NOT NULL           -- customer, validator-bond or cluster-bond
            owner VARCHAR NOT NULL             -- customer, validator or manager
            amount DECIMAL(38,0) NOT NULL      -- base units
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            """,
        ),
        Table(
            "payouts",
            "Lines of eras' settlements: each a transfer between two accounts, with the work behind it.",
            """
            entry_index BIGINT NOT NULL        -- entry that states the line
            cluster VARCHAR NOT NULL           -- cluster
            era BIGINT NOT NULL                -- era
            line BIGINT NOT NULL               -- number in the era, from 0
            role VARCHAR NOT NULL              -- charge and fee: paid by a customer; the others: who received it
            debit VARCHAR NOT NULL             -- account that gives
            credit VARCHAR NOT NULL            -- account that receives
            amount DECIMAL(38,0) NOT NULL      -- base units
            customer VARCHAR                   -- of a charge or a fee
            node VARCHAR                       -- of a provider's line
            validator VARCHAR                  -- of a validator's line
            records BIGINT NOT NULL            -- attested records, or records inspected with the outcome
            charged_cpu DECIMAL(38,0)          -- of a charge: what the attested usage costs, by part
            charged_gpu DECIMAL(38,0)          -- likewise
            charged_streamed DECIMAL(38,0)     -- likewise
            charged_stored DECIMAL(38,0)       -- likewise
            charged_puts DECIMAL(38,0)         -- likewise
            charged_gets DECIMAL(38,0)         -- likewise
            collected_cpu DECIMAL(38,0)        -- of a charge: what the deposit covered, by part
            collected_gpu DECIMAL(38,0)        -- likewise
            collected_streamed DECIMAL(38,0)   -- likewise
            collected_stored DECIMAL(38,0)     -- likewise
            collected_puts DECIMAL(38,0)       -- likewise
            collected_gets DECIMAL(38,0)       -- likewise
            debt DECIMAL(38,0) NOT NULL        -- of a charge or a fee: what the deposit did not cover
            listing VARCHAR                    -- of a fee and of whom it goes to: statement id of the listing
            marketplace VARCHAR                -- of a marketplace's line
            creator VARCHAR                    -- of a creator's line
            fee DECIMAL(38,0)                  -- of a fee: what the listing's records cost
            """,
        ),
        Table(
            "repayments",
            "Lines of what deposits repaid of debts: each a transfer between two accounts.",
            """
            entry_index BIGINT NOT NULL        -- entry that states the line
            cluster VARCHAR NOT NULL           -- cluster
            customer VARCHAR NOT NULL          -- who owed
            deposit_index BIGINT NOT NULL      -- entry of the deposit
            line BIGINT NOT NULL               -- number among the lines of the deposit, from 0
            era BIGINT NOT NULL                -- era of the debt
            role VARCHAR NOT NULL              -- charge and fee: paid by the customer; the others: who received it
            debit VARCHAR NOT NULL             -- account that gives
            credit VARCHAR NOT NULL            -- account that receives
            amount DECIMAL(38,0) NOT NULL      -- base units
            listing VARCHAR                    -- statement id of the listing that a fee was for
            """,
        ),
        View(
            "debts",
            "What is owed now, by cluster, customer and era.",
            """
            owed       -- what the deposit did not cover, base units
            repaid     -- what later deposits repaid, base units
            debt       -- what is still owed, base units
            last_index -- newest entry that changed it
            """,
            """
            SELECT cluster, customer, era, sum(owed)::DECIMAL(38,0) AS owed, sum(repaid)::DECIMAL(38,0) AS repaid,
                sum(owed - repaid)::DECIMAL(38,0) AS debt, max(entry_index) AS last_index
            FROM (
                SELECT cluster, customer, era, debt AS owed, 0::DECIMAL(38,0) AS repaid, entry_index FROM payouts WHERE debt > 0
                UNION ALL
                SELECT cluster, customer, era, 0, amount, entry_index FROM repayments WHERE role IN ('charge', 'fee'))
            GROUP BY cluster, customer, era HAVING sum(owed - repaid) > 0
            """,
        ),
        Table(
            "journal",
            "Double entry: each transfer is two rows of one entry that sum to zero.",
            """
            entry_index BIGINT NOT NULL        -- entry that moved the money
            kind VARCHAR NOT NULL              -- its kind: why the money moved
            account VARCHAR NOT NULL           -- account
            amount DECIMAL(38,0) NOT NULL      -- base units; negative leaves the account
            cluster VARCHAR                    -- cluster; null where money leaves
            era BIGINT                         -- era that was settled; null where no settlement moved the money
            """,
        ),
        Table(
            "withdrawals",
            "Money that its owners asked for.",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded the request
            account VARCHAR NOT NULL           -- account that the money is on
            cluster VARCHAR                    -- of a deposit or a bond
            owner VARCHAR NOT NULL             -- whose money it is
            amount DECIMAL(38,0) NOT NULL      -- asked for, base units
            bank VARCHAR NOT NULL              -- through which it is to leave
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            unlocked_at TIMESTAMP NOT NULL     -- when it is to leave, UTC
            """,
        ),
        Table(
            "withdrawal_payments",
            "Requests that were unlocked, and what left.",
            """
            entry_index BIGINT NOT NULL        -- entry that states it
            request_index BIGINT NOT NULL      -- entry of the request
            waited_ms BIGINT NOT NULL          -- how long it had to wait
            debit VARCHAR NOT NULL             -- account that gives
            credit VARCHAR NOT NULL            -- the bank's account
            amount DECIMAL(38,0) NOT NULL      -- base units; less than asked where charges or slashes came first
            """,
        ),
        View(
            "unlocking",
            "Requests that wait. Until they are unlocked, charges and slashes may take from them, the newest first.",
            """
            asked       -- asked for, base units
            balance     -- on the account now: no more than this is left of all its requests together
            """,
            """
            SELECT w.entry_index, w.account, w.owner, w.amount AS asked, coalesce(b.balance, 0) AS balance, w.unlocked_at
            FROM withdrawals w ANTI JOIN withdrawal_payments p ON p.request_index = w.entry_index
            LEFT JOIN (SELECT account, sum(amount)::DECIMAL(38,0) AS balance FROM journal GROUP BY account) b ON b.account = w.account
            """,
        ),
        View(
            "balances",
            "What is on each account now. Accounts at zero are left out; all sum to zero, as only banks are below it.",
            """
            balance    -- base units
            last_index -- newest entry that moved it
            """,
            """
            SELECT account, sum(amount) AS balance, max(entry_index) AS last_index
            FROM journal GROUP BY account HAVING sum(amount) <> 0
            """,
        ),
        Macro(
            "balances",
            "What was on each account right after an entry. Accounts at zero are left out.",
            "as_of_index",
            """
            SELECT account, sum(amount) AS balance, max(entry_index) AS last_index
            FROM journal WHERE entry_index <= as_of_index GROUP BY account HAVING sum(amount) <> 0
            """,
            """
            balance    -- base units
            last_index -- newest entry that moved it by then
            """,
        ),
        Macro(
            "balances_at",
            "What was on each account at a moment of recorded time, with all that was recorded by then. Accounts at zero are left out.",
            "as_of",
            """
            SELECT account, sum(amount) AS balance, max(entry_index) AS last_index
            FROM journal JOIN log USING (entry_index) WHERE recorded_at_ms <= epoch_ms(as_of::TIMESTAMP)
            GROUP BY account HAVING sum(amount) <> 0
            """,
            """
            balance    -- base units
            last_index -- newest entry that moved it by then
            """,
        ),
        Macro(
            "balances_of_era",
            "What was on each account of any cluster right after an era was paid; no rows before that. Accounts at zero are left out.",
            "of_cluster, of_era",
            """
            SELECT account, sum(amount) AS balance, max(j.entry_index) AS last_index
            FROM journal j JOIN era_payments p ON p.cluster = of_cluster AND p.era = of_era AND j.entry_index <= p.entry_index
            GROUP BY account HAVING sum(amount) <> 0
            """,
            """
            balance    -- base units
            last_index -- newest entry that moved it by then
            """,
        ),
        View(
            "balances_per_era",
            "What the settlement of each paid era moved on each account, and what was on it right after. Of accounts that it did not move, "
            "see balances_of_era(cluster, era).",
            """
            cluster    -- cluster
            era        -- era that was settled
            debits     -- what left the account, base units
            credits    -- what came to it, base units
            balance    -- what was on it when the era was paid
            paid_index -- entry that closed the era
            """,
            """
            SELECT m.cluster, m.era, m.account, m.debits, m.credits, h.balance, p.entry_index AS paid_index
            FROM (SELECT cluster, era, account, coalesce(-sum(amount) FILTER (amount < 0), 0) AS debits,
                    coalesce(sum(amount) FILTER (amount > 0), 0) AS credits
                FROM journal WHERE era IS NOT NULL GROUP BY cluster, era, account) m
            JOIN era_payments p USING (cluster, era)
            ASOF JOIN (SELECT account, entry_index, sum(amount) OVER (PARTITION BY account ORDER BY entry_index) AS balance
                FROM journal) h
                ON h.account = m.account AND h.entry_index <= p.entry_index
            """,
        ),
    ],
    [
        step(
            "deposit",
            """
            INSERT INTO deposits
            SELECT entry_index, s.bank, s.reference, s.cluster, s.account, s.owner, s.amount, s.created_at
            FROM (SELECT *, from_json(payload, '{
                "bank": "VARCHAR", "reference": "VARCHAR", "cluster": "VARCHAR", "account": "VARCHAR", "owner": "VARCHAR",
                "amount": "DECIMAL(38,0)", "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
        step(
            "payout",
            """
            INSERT INTO payouts
            SELECT entry_index, s.cluster, s.era, s.line, s.role, s.debit, s.credit, s.amount, b.customer, b.node, b.validator,
                coalesce(b.records, 0), b.charged.cpu, b.charged.gpu, b.charged.streamed, b.charged.stored, b.charged.puts,
                b.charged.gets, b.collected.cpu, b.collected.gpu, b.collected.streamed, b.collected.stored, b.collected.puts,
                b.collected.gets, coalesce(b.debt, 0), b.listing, b.marketplace, b.creator, b.fee
            FROM (SELECT *, s.basis AS b
                FROM (SELECT *, from_json(payload, '{
                    "cluster": "VARCHAR", "era": "BIGINT", "line": "BIGINT", "role": "VARCHAR", "debit": "VARCHAR",
                    "credit": "VARCHAR", "amount": "DECIMAL(38,0)", "basis": {
                        "customer": "VARCHAR", "node": "VARCHAR", "validator": "VARCHAR", "records": "BIGINT",
                        "charged": {"cpu": "DECIMAL(38,0)", "gpu": "DECIMAL(38,0)", "streamed": "DECIMAL(38,0)",
                            "stored": "DECIMAL(38,0)", "puts": "DECIMAL(38,0)", "gets": "DECIMAL(38,0)"},
                        "collected": {"cpu": "DECIMAL(38,0)", "gpu": "DECIMAL(38,0)", "streamed": "DECIMAL(38,0)",
                            "stored": "DECIMAL(38,0)", "puts": "DECIMAL(38,0)", "gets": "DECIMAL(38,0)"},
                        "debt": "DECIMAL(38,0)", "listing": "VARCHAR", "marketplace": "VARCHAR", "creator": "VARCHAR",
                        "fee": "DECIMAL(38,0)"}}') AS s
                    FROM batch))
            """,
        ),
        step(
            "withdrawal",
            """
            INSERT INTO withdrawals
            SELECT entry_index, CASE WHEN s.account = 'customer' OR s.cluster IS NULL THEN s.account ELSE 'bond' END
                || coalesce(':' || s.cluster, '') || ':' || s.owner, s.cluster, s.owner, s.amount, s.bank, s.created_at,
                make_timestamp_ms(recorded_at_ms) + CASE WHEN s.cluster IS NULL THEN INTERVAL 0 DAYS
                WHEN s.account = 'customer' THEN INTERVAL 7 DAYS ELSE INTERVAL 28 DAYS END
            FROM (SELECT *, from_json(payload, '{
                "account": "VARCHAR", "cluster": "VARCHAR", "owner": "VARCHAR", "amount": "DECIMAL(38,0)", "bank": "VARCHAR",
                "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
        step(
            "withdrawal-paid",
            """
            INSERT INTO withdrawal_payments
            SELECT entry_index, s.request, s.waited_ms, s.debit, s.credit, s.amount
            FROM (SELECT *, from_json(payload, '{
                "request": "BIGINT", "waited_ms": "BIGINT", "debit": "VARCHAR", "credit": "VARCHAR", "amount": "DECIMAL(38,0)"}') AS s
                FROM batch)
            """,
        ),
        step(
            "repayment",
            """
            INSERT INTO repayments
            SELECT entry_index, s.cluster, s.customer, s.deposit, s.line, s.era, s.role, s.debit, s.credit, s.amount, s.basis.listing
            FROM (SELECT *, from_json(payload, '{
                "cluster": "VARCHAR", "customer": "VARCHAR", "deposit": "BIGINT", "line": "BIGINT", "era": "BIGINT", "role": "VARCHAR",
                "debit": "VARCHAR", "credit": "VARCHAR", "amount": "DECIMAL(38,0)", "basis": {"listing": "VARCHAR"}}') AS s
                FROM batch)
            """,
        ),
        step(
            "deposit payout repayment withdrawal-paid slashed",
            """
            INSERT INTO journal
            SELECT entry_index, kind, unnest([debit, credit]), unnest([-amount, amount]), cluster, era
            FROM (SELECT entry_index, kind, coalesce(s.debit, 'bank:' || s.bank) AS debit,
                    coalesce(s.credit, CASE s.account WHEN 'customer' THEN 'customer' ELSE 'bond' END || ':' || s.cluster || ':'
                        || s.owner) AS credit,
                    s.amount, s.cluster, CASE kind WHEN 'payout' THEN s.era END AS era
                FROM (SELECT *, from_json(payload, '{
                    "debit": "VARCHAR", "credit": "VARCHAR", "amount": "DECIMAL(38,0)", "cluster": "VARCHAR", "era": "BIGINT",
                    "bank": "VARCHAR", "account": "VARCHAR", "owner": "VARCHAR"}') AS s
                    FROM batch))
            ORDER BY entry_index
            """,
        ),
    ],
)
