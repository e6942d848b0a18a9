"""What the rules refuse: consent, keys and payers."""

from __future__ import annotations

from proofroom.domain.errors.base import Conflict, Refused


class StaleVersion(
    Refused,
    code="stale-version",
    message="{what} was created at {created_at}, the ledger has {newest}",
    advice="sign a new version with the current time",
):
    """``created_at`` is not strictly newer than the version in the ledger: a replay, or a race that was lost."""

    what: str
    created_at: str
    newest: str


class FromTheFuture(
    Refused,
    code="from-the-future",
    message="{field} {time} lies more than 5 minutes ahead of the ledger's clock",
    advice="set the signer's clock right",
):
    """A time lies further ahead of the ledger's clock than clocks may differ."""

    field: str
    time: str


class NotOwner(
    Refused,
    code="not-owner",
    message="vault {vault} belongs to {owner}",
    advice="only the wallet that opened a vault may grant scopes of it",
):
    """The vault belongs to another wallet."""

    vault: str
    owner: str


class GrantAbsent(
    Refused,
    code="grant-absent",
    message="no grant {grant} is in force",
    advice="have the wallet sign a grant, and rely on its newest version",
):
    """No such grant of this user to this agent service, nor delegation to it, is recorded."""

    grant: str


class GrantSuperseded(
    Refused,
    code="grant-superseded",
    message="grant {grant} was superseded by {in_force}",
    advice="run again under the version in force",
):
    """The record relies on a version of the grant that is not the one in force."""

    grant: str
    in_force: str


class GrantRevoked(
    Refused,
    code="grant-revoked",
    message="grant {grant} is revoked",
    advice="stop; only the wallet can grant again",
):
    """The wallet revoked the grant."""

    grant: str


class GrantExpired(
    Refused,
    code="grant-expired",
    message="grant {grant} expired at {expires_at}",
    advice="ask the wallet for a renewed grant",
):
    """The work ended after the grant expired."""

    grant: str
    expires_at: str


class NotDelegable(
    Refused,
    code="not-delegable",
    message="grant {grant} may not be passed on",
    advice="ask its signer for a version with metadata.delegable",
):
    """The version that would be passed on does not allow that."""

    grant: str


class ChainTooLong(
    Refused,
    code="chain-too-long",
    message="grant {grant} was passed on {limit} times already",
    advice="have an agent service nearer to the wallet delegate",
):
    """A delegation would stand too far below the wallet's grant."""

    grant: str
    limit: int


class NotNarrower(
    Refused,
    code="not-narrower",
    message="{what} of the delegation is wider than in its parent {grant}",
    advice="name scopes, operations, limits and an expiry that are equal to the parent's or narrower",
):
    """A delegation would allow more than what it passes on."""

    what: str
    grant: str


class OutOfScope(
    Refused,
    code="out-of-scope",
    message="{vault_scope} is not granted; in force: {granted}",
    advice="use a granted scope, or ask the wallet for this one",
):
    """The grant does not cover the vault scope that was used."""

    vault_scope: str
    granted: tuple[str, ...]


class OverLimit(
    Refused,
    code="over-limit",
    message="{limit} allows {allowed}, the record asks for {asked}",
    advice="ask the signer of the limit for a wider one",
):
    """The record would exceed a limit that the wallet or the payer set."""

    limit: str
    allowed: str
    asked: str


class ScopesInForce(
    Conflict,
    code="scopes-in-force",
    message="an active grant has other scopes: {in_force}",
    advice="set metadata.replace to true if the new scopes are meant to replace these",
):
    """A create over an active grant with other scopes, which would narrow or widen consent silently."""

    in_force: tuple[str, ...]


class NotPayer(
    Refused,
    code="not-payer",
    message="{customer} has not signed to pay for this agent service in this cluster",
    advice="name the grant's user as customer, or record a payer statement first",
):
    """The customer neither is the grant's user nor signed to pay for this agent service."""

    customer: str


class KeyNotInForce(
    Refused,
    code="key-not-in-force",
    message="{keyid} is not in force as {role}",
    advice="use the registered key, or record a new certificate",
):
    """A key signed for something that it is not registered for, or after its certificate ended."""

    keyid: str
    role: str


class NamedByLaterKey(
    Refused,
    code="named-by-later-key",
    message="{keyid} is a later key of {identity}",
    advice="name a party by its first key, and sign with the key in force",
):
    """A statement names a party by a key that took the place of another."""

    keyid: str
    identity: str


class NoRecoveryKey(
    Refused,
    code="no-recovery-key",
    message="{identity} has set no recovery key",
    advice="set one with an identity statement while the key in force can be trusted",
):
    """Only a recovery key can declare a compromise."""

    identity: str


class BeyondTheLog(
    Refused,
    code="beyond-the-log",
    message="index {index} lies beyond the log's {size} entries",
    advice="name the first entry that somebody else may have signed",
):
    """A statement speaks of an entry that is not there yet."""

    index: int
    size: int


class Distrusted(
    Refused,
    code="distrusted",
    message="{what}, entry {index}, was signed by a key of {identity} that has since been declared compromised",
    advice="have it signed again by the key in force",
):
    """What would be relied on was signed while the key was in other hands."""

    what: str
    index: int
    identity: str
