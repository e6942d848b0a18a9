"""The marketplace: who sells what, on which terms, and what it brought in."""

from __future__ import annotations

from proofroom.projections.base import Projection, Table, View, step

MARKETPLACE = Projection(
    "marketplace",
    [
        Table(
            "marketplaces",
            "Versions of marketplaces: the newest by name is in force.",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded it
            marketplace VARCHAR NOT NULL       -- its name
            owner VARCHAR NOT NULL             -- whose account gets its part
            share DECIMAL(38,0) NOT NULL       -- part of fees that new listings must give, in 10^18ths
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            """,
        ),
        Table(
            "listings",
            "Versions of listings. A record keeps the version that it names (records.listing = listings.listing_id).",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded it
            listing_id VARCHAR NOT NULL        -- statement id: names this version
            agent VARCHAR NOT NULL             -- agent service that sells
            listing VARCHAR NOT NULL           -- its own name of the listing
            cluster VARCHAR                    -- where it is sold; null for any
            price_per_record DECIMAL(38,0) NOT NULL  -- base units
            ratio DECIMAL(38,0) NOT NULL       -- of what its records cost, in 10^18ths
            creators VARCHAR[] NOT NULL        -- who made it, in the order of the listing
            weights VARCHAR[] NOT NULL         -- how what remains for creators is split, in the same order
            marketplace VARCHAR NOT NULL       -- where it is listed
            marketplace_share DECIMAL(38,0) NOT NULL  -- the marketplace's part of the fee, in 10^18ths
            withdrawn BOOLEAN NOT NULL         -- nothing more is sold under it
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            """,
        ),
        View(
            "listings_in_force",
            "The newest version of each listing that is not withdrawn: what records may name now.",
            "",
            """
            SELECT * FROM listings QUALIFY row_number() OVER (PARTITION BY agent, listing ORDER BY entry_index DESC) = 1
                AND NOT withdrawn
            """,
        ),
        View(
            "marketplace_lines",
            "What was paid for listings and to whom, by line: of settlements, and of debts that were repaid later.",
            """
            party      -- customer of a fee; marketplace or creator that received
            role       -- fee: paid by a customer; creator and marketplace: who received it
            amount     -- base units
            listing    -- the agent service's own name of the listing
            listing_id -- statement id of its version
            marketplace -- where it is listed
            line_index -- entry that states the line
            """,
            """
            SELECT p.entry_index AS line_index, p.cluster, p.era, p.role, p.amount, l.agent, l.listing, l.listing_id, l.marketplace,
                coalesce(p.customer, p.marketplace, p.creator) AS party
            FROM payouts p JOIN listings l ON l.listing_id = p.listing
            UNION ALL
            SELECT r.entry_index, r.cluster, r.era, r.role, r.amount, l.agent, l.listing, l.listing_id, l.marketplace,
                CASE r.role WHEN 'fee' THEN r.customer WHEN 'marketplace' THEN l.marketplace ELSE substr(r.credit, 9) END
            FROM repayments r JOIN listings l ON l.listing_id = r.listing
            """,
        ),
        View(
            "marketplace_revenue",
            "What each marketplace, each creator and each agent service's listings brought in, by cluster and era.",
            """
            kind       -- marketplace, creator, or agent (all fees of its listings, before they are shared)
            party      -- marketplace, creator or agent service
            amount     -- base units
            last_index -- newest line of it
            """,
            """
            SELECT kind, party, cluster, era, sum(amount)::DECIMAL(38,0) AS amount, max(line_index) AS last_index
            FROM (
                SELECT role AS kind, party, cluster, era, amount, line_index FROM marketplace_lines WHERE role <> 'fee'
                UNION ALL
                SELECT 'agent', agent, cluster, era, amount, line_index FROM marketplace_lines WHERE role = 'fee')
            GROUP BY kind, party, cluster, era
            """,
        ),
    ],
    [
        step(
            "marketplace",
            """
            INSERT INTO marketplaces
            SELECT entry_index, s.marketplace, s.owner, s.share, s.created_at
            FROM (SELECT *, from_json(payload, '{
                "marketplace": "VARCHAR", "owner": "VARCHAR", "share": "DECIMAL(38,0)", "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
        step(
            "listing",
            """
            INSERT INTO listings
            SELECT entry_index, statement_id, s.agent, s.listing, s.cluster, s.price_per_record, s.ratio,
                list_transform(s.creators, lambda c: c.creator), list_transform(s.creators, lambda c: c.weight), s.marketplace,
                s.marketplace_share, s.withdrawn, s.created_at
            FROM (SELECT *, from_json(payload, '{
                "agent": "VARCHAR", "listing": "VARCHAR", "cluster": "VARCHAR", "price_per_record": "DECIMAL(38,0)",
                "ratio": "DECIMAL(38,0)", "creators": [{"creator": "VARCHAR", "weight": "VARCHAR"}], "marketplace": "VARCHAR",
                "marketplace_share": "DECIMAL(38,0)", "withdrawn": "BOOLEAN", "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
    ],
)
