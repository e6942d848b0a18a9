"""The history of consent: what was passed on, whose keys changed, and everything that one person or one agent is a party to."""

from __future__ import annotations

from proofroom.projections.base import Macro, Projection, Table, View, step

HISTORY = Projection(
    "history",
    [
        Table(
            "delegations",
            "Every version of what an agent service passed on to another; the newest counts. For the status see consent_status(as_of).",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded this version
            recorded_at TIMESTAMP NOT NULL     -- when the ledger recorded it, UTC
            recorded_at_ms BIGINT NOT NULL     -- the same in milliseconds since 1970
            grant_id VARCHAR NOT NULL          -- statement id of this version, which records rely on
            user_key VARCHAR NOT NULL          -- wallet at the root
            agent VARCHAR NOT NULL             -- agent service to which it is passed on
            delegator VARCHAR NOT NULL         -- agent service that passes it on
            parent_id VARCHAR NOT NULL         -- version of the grant or delegation that is passed on
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            expires_at TIMESTAMP               -- last moment it holds, UTC; null when it does not expire
            expires_at_ms BIGINT               -- the same in milliseconds since 1970
            revoked BOOLEAN NOT NULL           -- this version ends the delegation
            scopes VARCHAR[] NOT NULL          -- scopes, "vault / scope", sorted
            operations VARCHAR[]               -- allowed operations; null when not limited
            limit_cpu_ms BIGINT                -- processor time it allows; null when not limited
            limit_gpu_micro BIGINT             -- GPU units it allows, in millionths; null when not limited
            limit_per VARCHAR                  -- "era" or "grant": the period over which limits count; null without limits
            delegable BOOLEAN NOT NULL         -- it may be passed on further
            """,
        ),
        Table(
            "key_changes",
            "New keys and recovery keys of parties, who keep the name of their first key.",
            """
            entry_index BIGINT NOT NULL        -- entry that changed it; the key acts from the next one on
            recorded_at TIMESTAMP NOT NULL     -- when the ledger recorded it, UTC
            recorded_at_ms BIGINT NOT NULL     -- the same in milliseconds since 1970
            identity VARCHAR NOT NULL          -- the party's first key, its name
            change VARCHAR NOT NULL            -- "rotated", "recovery" or "compromise"
            key VARCHAR NOT NULL               -- the new key, or the recovery key
            since_index BIGINT                 -- what the party signed from here on is in doubt; null but for a compromise
            """,
        ),
        View(
            "consent_versions",
            "Grants and delegations, every version of both.",
            """
            delegator -- agent service that passes it on; null for a grant, which the wallet signed
            parent_id -- version that is passed on; null for a grant
            """,
            """
            SELECT entry_index, recorded_at, recorded_at_ms, grant_id, user_key, agent, NULL::VARCHAR AS delegator,
                NULL::VARCHAR AS parent_id, created_at, expires_at, expires_at_ms, revoked, scopes, operations, limit_cpu_ms,
                limit_gpu_micro, limit_per, delegable FROM grants
            UNION ALL
            SELECT entry_index, recorded_at, recorded_at_ms, grant_id, user_key, agent, delegator,
                parent_id, created_at, expires_at, expires_at_ms, revoked, scopes, operations, limit_cpu_ms,
                limit_gpu_micro, limit_per, delegable FROM delegations
            """,
        ),
        View(
            "consent_history",
            "Everything that a person or an agent service is a party to, in the order of the log.",
            """
            event      -- what happened
            person     -- wallet or customer; of a key change, the party
            agent      -- agent service; of a key change, the party
            other      -- delegator, derived key, new key or recovery key
            subject_id -- statement id of the grant or delegation; null for others
            names      -- scopes, vault, or what was erased
            ends_at    -- until when it holds; null when it does not end by itself, or is no permission
            """,
            """
            SELECT entry_index, log.recorded_at, event, person, agent, other, subject_id, names, ends_at FROM (
                SELECT entry_index, 'opened a vault' AS event, user_key AS person, NULL AS agent, NULL AS other, NULL AS subject_id,
                    [vault] AS names, NULL::TIMESTAMP AS ends_at FROM vaults
                UNION ALL SELECT entry_index, if(revoked, 'revoked', 'granted'), user_key, agent, NULL, grant_id, scopes,
                    if(revoked, NULL, expires_at) FROM grants
                UNION ALL SELECT entry_index, if(revoked, 'ended a delegation', 'delegated'), user_key, agent, delegator, grant_id, scopes,
                    if(revoked, NULL, expires_at) FROM delegations
                UNION ALL SELECT entry_index, 'certified a key', NULL, agent, key, NULL, [vault_scope], expires_at FROM agent_keys
                UNION ALL SELECT entry_index, if(revoked, 'no longer pays', 'pays'), customer, agent, NULL, NULL, [cluster],
                    if(revoked, NULL, expires_at) FROM payers
                UNION ALL SELECT entry_index, 'erased', user_key, NULL, NULL, NULL,
                    [vault_scope, coalesce('epoch ' || epoch, digest || ' of ' || record_id)], NULL FROM erasures
                UNION ALL SELECT entry_index, CASE change WHEN 'rotated' THEN 'changed its key' WHEN 'recovery' THEN 'set a recovery key'
                    ELSE 'declared its keys compromised since entry ' || since_index END, identity, identity, key, NULL, [], NULL
                    FROM key_changes
            ) JOIN log USING (entry_index)
            """,
        ),
        Macro(
            "grant_chain",
            "What a version of a grant or delegation rests on: itself at depth 0, then what it passes on, up to the wallet's grant.",
            "id",
            """
            WITH RECURSIVE chain AS (
                SELECT 0 AS depth, * FROM consent_versions WHERE grant_id = id
                UNION ALL
                SELECT chain.depth + 1, above.* FROM chain JOIN consent_versions AS above ON above.grant_id = chain.parent_id
            ) SELECT * FROM chain ORDER BY depth
            """,
            "depth -- steps from the version that was asked for, towards the wallet's grant",
        ),
        Macro(
            "consent_status",
            "Each newest grant and delegation at a moment, a TIMESTAMP of recorded time: active, expired, revoked, distrusted, or ended "
            "above.",
            "as_of",
            """
            WITH RECURSIVE newest AS (
                SELECT v.*, CASE WHEN revoked THEN 'revoked'
                    WHEN expires_at_ms < epoch_ms(as_of::TIMESTAMP) THEN 'expired'
                    WHEN EXISTS (SELECT 1 FROM key_changes AS c WHERE c.change = 'compromise'
                        AND c.identity = coalesce(delegator, user_key) AND c.recorded_at_ms <= epoch_ms(as_of::TIMESTAMP)
                        AND v.entry_index >= c.since_index AND v.entry_index < c.entry_index) THEN 'distrusted'
                    ELSE 'active' END AS own
                FROM consent_versions AS v WHERE recorded_at_ms <= epoch_ms(as_of::TIMESTAMP)
                QUALIFY row_number() OVER (PARTITION BY user_key, agent, delegator ORDER BY entry_index DESC) = 1
            ), walk AS (
                SELECT grant_id AS leaf, parent_id, own FROM newest
                UNION ALL
                SELECT walk.leaf, above.parent_id, coalesce(above.own, 'superseded')
                FROM walk LEFT JOIN newest AS above ON above.grant_id = walk.parent_id WHERE walk.parent_id IS NOT NULL
            ), broken AS (SELECT leaf FROM walk GROUP BY leaf HAVING bool_or(own <> 'active'))
            SELECT user_key, agent, delegator, entry_index, grant_id,
                if(own = 'active' AND grant_id IN (FROM broken), 'ended above', own) AS status, scopes, expires_at
            FROM newest
            """,
            """
            status -- active, expired, revoked, distrusted (its keys were declared stolen), or ended above
            entry_index -- entry that recorded this version
            """,
        ),
    ],
    [
        step(
            "delegation",
            """
            INSERT INTO delegations
            SELECT entry_index, make_timestamp_ms(recorded_at_ms), recorded_at_ms, statement_id,
                s.user_pub_key, s.agent_service_pub_key, s.delegator, s.parent, s.created_at, s.expires_at, epoch_ms(s.expires_at),
                s.revoked, list_sort(list_distinct([concat(x.context.vaultId, ' / ', x.context.scopeId) FOR x IN s.metadata.scopes])),
                s.metadata.limits.operations, s.metadata.limits.cpu_ms,
                (s.metadata.limits.gpu_units::DECIMAL(38,6) * 1000000)::BIGINT,
                CASE WHEN s.metadata.limits IS NOT NULL THEN coalesce(s.metadata.limits.per, 'grant') END,
                coalesce(s.metadata.delegable, false)
            FROM (SELECT *, from_json(payload, '{
                "user_pub_key": "VARCHAR", "agent_service_pub_key": "VARCHAR", "delegator": "VARCHAR", "parent": "VARCHAR",
                "created_at": "TIMESTAMP", "expires_at": "TIMESTAMP", "revoked": "BOOLEAN", "metadata": {
                    "scopes": [{"context": {"vaultId": "VARCHAR", "scopeId": "VARCHAR"}}],
                    "limits": {"operations": ["VARCHAR"], "cpu_ms": "BIGINT", "gpu_units": "DECIMAL(18,6)", "per": "VARCHAR"},
                    "delegable": "BOOLEAN"}}') AS s
                FROM batch)
            """,
        ),
        step(
            "key-rotated identity compromise",
            """
            INSERT INTO key_changes
            SELECT entry_index, make_timestamp_ms(recorded_at_ms), recorded_at_ms, s.identity,
                CASE kind WHEN 'key-rotated' THEN 'rotated' WHEN 'identity' THEN 'recovery' ELSE kind END,
                coalesce(s.new_key, s.recovery_key), s.since_index
            FROM (SELECT *, from_json(payload, '{"identity": "VARCHAR", "new_key": "VARCHAR", "recovery_key": "VARCHAR",
                "since_index": "BIGINT"}') AS s
                FROM batch)
            """,
        ),
    ],
)
