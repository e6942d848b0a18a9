"""Consent: who allowed what to whom, in every version; the status of a grant at any moment; what was erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from proofroom.domain.consent import GrantStatus
from proofroom.domain.ids import KeyId
from proofroom.projections.base import Macro, Projection, Table, step

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONSENT = Projection(
    "consent",
    [
        Table(
            "vaults",
            "Vaults and the wallets that own them.",
            """
            entry_index BIGINT NOT NULL        -- entry that opened the vault
            vault VARCHAR NOT NULL             -- vault id
            user_key VARCHAR NOT NULL          -- wallet that owns it
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            """,
        ),
        Table(
            "grants",
            "Every version of what a user granted to an agent service; the newest counts. For the status see grant_status(as_of).",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded this version
            recorded_at TIMESTAMP NOT NULL     -- when the ledger recorded it, UTC
            recorded_at_ms BIGINT NOT NULL     -- the same in milliseconds since 1970
            grant_id VARCHAR NOT NULL          -- statement id of this version, which records rely on
            user_key VARCHAR NOT NULL          -- wallet that grants
            agent VARCHAR NOT NULL             -- agent service that is granted
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            expires_at TIMESTAMP               -- last moment it holds, UTC; null when it does not expire
            expires_at_ms BIGINT               -- the same in milliseconds since 1970
            revoked BOOLEAN NOT NULL           -- this version ends the grant
            scopes VARCHAR[] NOT NULL          -- granted scopes, "vault / scope", sorted
            operations VARCHAR[]               -- allowed operations; null when not limited
            limit_cpu_ms BIGINT                -- processor time it allows; null when not limited
            limit_gpu_micro BIGINT             -- GPU units it allows, in millionths; null when not limited
            limit_per VARCHAR                  -- "era" or "grant": the period over which limits count; null without limits
            delegable BOOLEAN NOT NULL         -- the agent service may delegate it
            replaces BOOLEAN NOT NULL          -- meant to replace other scopes in force
            wire BOOLEAN NOT NULL              -- came in the wallet wire form, which names no ledger
            """,
        ),
        Table(
            "agent_keys",
            "Certificates of derived keys: an agent service lets a key sign for one vault scope.",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded the certificate
            agent VARCHAR NOT NULL             -- agent service
            vault_scope VARCHAR NOT NULL       -- "vault / scope" that the key signs for
            key VARCHAR NOT NULL               -- derived key
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            expires_at TIMESTAMP NOT NULL      -- last moment it holds, UTC
            """,
        ),
        Table(
            "payers",
            "Every version of what a customer pays for; the newest counts.",
            """
            entry_index BIGINT NOT NULL        -- entry that recorded this version
            customer VARCHAR NOT NULL          -- who pays
            agent VARCHAR NOT NULL             -- agent service whose use it pays for
            cluster VARCHAR NOT NULL           -- cluster in which it pays
            cap_per_era DECIMAL(38,0) NOT NULL -- at most this much an era, base units
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            expires_at TIMESTAMP               -- last moment it holds, UTC; null when it does not expire
            revoked BOOLEAN NOT NULL           -- this version ends it
            """,
        ),
        Table(
            "erasures",
            "Payloads that their owner destroyed outside the ledger; the entries about them stay.",
            """
            entry_index BIGINT NOT NULL        -- entry that states the erasure
            user_key VARCHAR NOT NULL          -- wallet that owns the vault
            vault_scope VARCHAR NOT NULL       -- "vault / scope" of which something was erased
            epoch BIGINT                       -- epoch whose scope key was destroyed; null for a single payload
            record_id VARCHAR                  -- record whose payload was destroyed; null for an epoch
            digest VARCHAR                     -- the record's input_commitment or result_hash; null for an epoch
            created_at TIMESTAMP NOT NULL      -- when it was signed, UTC
            """,
        ),
        Macro(
            "grant_status",
            "Status of each grant at a moment, a TIMESTAMP of recorded time: active, expired or revoked; absent grants have no row. "
            "Delegations and stolen keys: consent_status(as_of).",
            "as_of",
            """
            SELECT user_key, agent, newest.entry_index, newest.grant_id,
                CASE WHEN newest.revoked THEN 'revoked'
                    WHEN newest.expires_at_ms < epoch_ms(as_of::TIMESTAMP) THEN 'expired'
                    ELSE 'active' END AS status,
                newest.scopes, newest.expires_at
            FROM (SELECT user_key, agent, arg_max(grants, entry_index) AS newest
                FROM grants WHERE recorded_at_ms <= epoch_ms(as_of::TIMESTAMP) GROUP BY user_key, agent)
            """,
            "status -- active, expired or revoked",
        ),
    ],
    [
        step(
            "vault-opened",
            """
            INSERT INTO vaults SELECT entry_index, s.vaultId, s.user_pub_key, s.created_at
            FROM (SELECT *, from_json(payload, '{"vaultId": "VARCHAR", "user_pub_key": "VARCHAR", "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
        step(
            "grant grant-wire",
            """
            INSERT INTO grants
            SELECT entry_index, make_timestamp_ms(recorded_at_ms), recorded_at_ms, statement_id,
                s.user_pub_key, s.agent_service_pub_key, s.created_at, s.expires_at, epoch_ms(s.expires_at), s.revoked,
                list_sort(list_distinct([concat(x.context.vaultId, ' / ', x.context.scopeId) FOR x IN s.metadata.scopes])),
                s.metadata.limits.operations, s.metadata.limits.cpu_ms,
                (s.metadata.limits.gpu_units::DECIMAL(38,6) * 1000000)::BIGINT,
                CASE WHEN s.metadata.limits IS NOT NULL THEN coalesce(s.metadata.limits.per, 'grant') END,
                coalesce(s.metadata.delegable, false), coalesce(s.metadata.replace, false), kind = 'grant-wire'
            FROM (SELECT *, from_json(payload, '{
                "user_pub_key": "VARCHAR", "agent_service_pub_key": "VARCHAR", "created_at": "TIMESTAMP",
                "expires_at": "TIMESTAMP", "revoked": "BOOLEAN", "metadata": {
                    "scopes": [{"context": {"vaultId": "VARCHAR", "scopeId": "VARCHAR"}}],
                    "limits": {"operations": ["VARCHAR"], "cpu_ms": "BIGINT", "gpu_units": "DECIMAL(18,6)", "per": "VARCHAR"},
                    "delegable": "BOOLEAN", "replace": "BOOLEAN"}}') AS s
                FROM batch)
            """,
        ),
        step(
            "agent-key",
            """
            INSERT INTO agent_keys SELECT entry_index, s.agent, s.vault_scope, s.key, s.created_at, s.expires_at
            FROM (SELECT *, from_json(payload, '{
                "agent": "VARCHAR", "vault_scope": "VARCHAR", "key": "VARCHAR", "created_at": "TIMESTAMP",
                "expires_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
        step(
            "payer",
            """
            INSERT INTO payers
            SELECT entry_index, s.customer, s.agent, s.cluster, s.cap_per_era, s.created_at, s.expires_at, s.revoked
            FROM (SELECT *, from_json(payload, '{
                "customer": "VARCHAR", "agent": "VARCHAR", "cluster": "VARCHAR", "cap_per_era": "DECIMAL(38,0)",
                "created_at": "TIMESTAMP", "expires_at": "TIMESTAMP", "revoked": "BOOLEAN"}') AS s
                FROM batch)
            """,
        ),
        step(
            "erased",
            """
            INSERT INTO erasures
            SELECT entry_index, s.user_pub_key, s.vault_scope,
                nullif(regexp_extract(s.what, '^epoch (.*)$', 1), '')::BIGINT,
                nullif(regexp_extract(s.what, ' of (.*)$', 1), ''), nullif(regexp_extract(s.what, '^(.*) of ', 1), ''), s.created_at
            FROM (SELECT *, from_json(payload, '{
                "user_pub_key": "VARCHAR", "vault_scope": "VARCHAR", "what": "VARCHAR", "created_at": "TIMESTAMP"}') AS s
                FROM batch)
            """,
        ),
    ],
)


def grant_status(
    connection: DuckDBPyConnection, user: KeyId, agent: KeyId, *, at_ms: int, last_index: int
) -> GrantStatus:
    """The status at a moment, by the versions that were recorded by then and stand no later in the log than ``last_index``."""
    row = connection.execute(
        """
        SELECT CASE WHEN revoked THEN 'revoked' WHEN expires_at_ms < $at_ms THEN 'expired' ELSE 'active' END
        FROM grants
        WHERE user_key = $user AND agent = $agent AND recorded_at_ms <= $at_ms AND entry_index <= $last_index
        ORDER BY entry_index DESC LIMIT 1
        """,
        {"user": user, "agent": agent, "at_ms": at_ms, "last_index": last_index},
    ).fetchone()
    return "absent" if row is None else cast(GrantStatus, row[0])
