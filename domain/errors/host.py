"""What fails around the rules: store, ledger, files, processes, input of a person."""

from __future__ import annotations

from proofroom.domain.errors.base import Conflict, Malformed, Refused, Unavailable


class LogMoved(
    Conflict,
    code="log-moved",
    message="the log has {size} entries, expected {expected}",
    advice="read the new entries and try again",
):
    """Another writer appended first: the log has another size than expected."""

    expected: int
    size: int


class StoreUnavailable(
    Unavailable,
    code="store-unavailable",
    message="store {path}: {why}",
    advice="check permissions, free space and the path",
):
    """The store cannot be read or written now."""

    path: str
    why: str


class StoreReadOnly(
    StoreUnavailable,
    code="store-read-only",
    advice="make the folder and its files writable for this user",
):
    """The store admits no writes."""


class StoreLocked(
    StoreUnavailable,
    code="store-locked",
    advice="wait for the other writer, or find out why it hangs",
):
    """Another process holds the store's write lock for too long."""


class OpenedByParent(
    StoreUnavailable,
    code="opened-by-parent",
    advice="open it only after the fork, or start processes by spawn",
):
    """The store was open when this process was forked: the locks by which SQLite keeps processes apart are the parent's."""


class StoreFull(
    StoreUnavailable,
    code="store-full",
    advice="free some space and append again",
):
    """There is no room for the write; nothing of it was kept."""


class NotALedger(
    StoreUnavailable,
    code="not-a-ledger",
    advice="give the folder that `proofroom demo` or Ledger.create made; if this was one, restore a good copy",
):
    """The file or folder is not a proofroom ledger, or one of another format."""


class LedgerExists(
    Conflict,
    code="ledger-exists",
    message="{path} holds a ledger already",
    advice="open it, or choose another folder",
):
    """There is a ledger at this path already."""

    path: str


class HistoryChanged(
    Unavailable,
    code="history-changed",
    message="the log does not match its checkpoint at size {size}: {why}",
    advice="stop writing, keep the files, run `proofroom audit`, restore from a good copy",
):
    """The store's tail is not what its own last checkpoint signed; nothing is written over it."""

    size: int
    why: str


class NoSigner(
    Unavailable,
    code="no-signer",
    message="no signer for {keyid}",
    advice="open the ledger with its keys, or use it for reading only",
):
    """The ledger was opened without the secret keys that writing needs."""

    keyid: str


class Closed(
    Unavailable,
    code="closed",
    message="this ledger is closed",
    advice="open it again; what was open before a fork is the parent's alone",
):
    """The ledger was closed, or was opened by the process from which this one was forked."""


class NoSuchEntry(
    Refused,
    code="no-such-entry",
    message="this ledger has no {what}",
    advice="list what there is with `proofroom sql`",
):
    """Nothing on this ledger has the given index, id or number."""

    what: str


class QueryFailed(
    Malformed,
    code="query-failed",
    message="{why}",
    advice="see the tables with: SHOW TABLES",
):
    """DuckDB refused the SQL text."""

    why: str


class VaultUnavailable(
    Unavailable,
    code="vault-unavailable",
    message="vault: {what}: {why}",
    advice="check the scope, the key and that the blob was not altered",
):
    """A blob is not in the vault, or cannot be opened with the keys at hand."""

    what: str
    why: str


class PayloadErased(
    VaultUnavailable,
    code="payload-erased",
    advice="it is gone by the owner's wish; what the ledger says of it stays valid",
):
    """The owner had the keys or the salt of it destroyed."""


class BadInput(
    Malformed,
    code="bad-input",
    message="{path}: {why}",
    advice="check the file's name and content",
):
    """A file given by a person cannot be used."""

    path: str
    why: str


class WrongPassword(
    Unavailable,
    code="wrong-password",
    message="{path}: the password does not open it, or the file was altered",
    advice="try again, or restore the key file from a copy",
):
    """A password-encrypted key file stays closed."""

    path: str


class SignerFailed(
    Unavailable,
    code="signer-failed",
    message="{signer}: {why}",
    advice="check the signer's URI and that what holds the key is reachable",
):
    """Whatever holds a secret key does not sign now."""

    signer: str
    why: str


class BadScenario(
    Malformed,
    code="bad-scenario",
    message="no such world: {field}: {why}",
    advice="see proofroom simulate --help",
):
    """The parts of a simulated world do not fit together."""

    field: str
    why: str


class MissingExtra(
    Unavailable,
    code="missing-extra",
    message="{package} is not installed; it comes with the extra {extra}",
    advice="install proofroom with that extra",
):
    """A capability needs a package that comes with an extra."""

    extra: str
    package: str


class NothingToAttack(
    Refused,
    code="nothing-to-attack",
    message="the room has no {what}",
    advice="use a room in which an era was settled, or the lab's own",
):
    """The tamper lab found nothing in the room that it could tamper with in this way."""

    what: str
