"""Every way in which proofroom says no.

One base class, four families by who is at fault, one class for each reason. A reason has typed fields, a stable ``code``
(used by ``--json``), a message that is filled from its fields, and advice for a person.

================  =============================================  ===========
family            meaning                                        exit status
================  =============================================  ===========
:class:`Refused`      a rule of the protocol said no             3
:class:`Malformed`    bytes are not what they claim to be        4
:class:`Conflict`     someone else was first; look, then retry   5
:class:`Unavailable`  the store, a file or a process failed      6
================  =============================================  ===========
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


def _rebuild(kind: type[ProofroomError], fields: dict[str, Any]) -> ProofroomError:
    return kind(**fields)


@dataclass(eq=False)
class ProofroomError(Exception):
    """The base of every error that proofroom raises on purpose."""

    code: ClassVar[str] = "error"
    message: ClassVar[str] = "proofroom failed"
    advice: ClassVar[str] = ""
    exit_status: ClassVar[int] = 1

    def __str__(self) -> str:
        return self.message.format(**vars(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), {k: v for k, v in vars(self).items() if not k.startswith("__")})

    def to_json(self) -> dict[str, Any]:
        """The error as plain values: ``code``, ``message``, ``advice`` and its own fields."""
        own = {k: v for k, v in vars(self).items() if not k.startswith("__")}
        return {"code": self.code, "message": str(self), "advice": self.advice, **own}


@dataclass(eq=False)
class Refused(ProofroomError):
    """A rule of the protocol said no."""

    exit_status: ClassVar[int] = 3


@dataclass(eq=False)
class Malformed(ProofroomError):
    """Bytes are not what they claim to be."""

    exit_status: ClassVar[int] = 4


@dataclass(eq=False)
class Conflict(ProofroomError):
    """Someone else was first."""

    exit_status: ClassVar[int] = 5


@dataclass(eq=False)
class Unavailable(ProofroomError):
    """The store, a file or a process failed; the ledger is as it was."""

    exit_status: ClassVar[int] = 6


# --- Malformed: JSON -------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class NotJson(Malformed):
    """The bytes are not one JSON text in UTF-8."""

    at: int
    why: str
    code: ClassVar[str] = "not-json"
    message: ClassVar[str] = "not JSON at byte {at}: {why}"
    advice: ClassVar[str] = "send one complete JSON object, encoded as UTF-8"


@dataclass(eq=False)
class TooLarge(Malformed):
    """A payload, envelope or entry exceeds its size limit."""

    what: str
    size: int
    limit: int
    code: ClassVar[str] = "too-large"
    message: ClassVar[str] = "{what} has {size} bytes, the limit is {limit}"
    advice: ClassVar[str] = "keep large content off the ledger and commit to it by digest"


@dataclass(eq=False)
class TooDeep(Malformed):
    """JSON is nested beyond the limit."""

    limit: int
    code: ClassVar[str] = "too-deep"
    message: ClassVar[str] = "JSON is nested deeper than {limit} levels"
    advice: ClassVar[str] = "flatten the object; no statement needs this depth"


@dataclass(eq=False)
class DuplicateKey(Malformed):
    """One JSON object names the same key twice."""

    key: str
    code: ClassVar[str] = "duplicate-key"
    message: ClassVar[str] = "the key {key!r} stands twice in one object"
    advice: ClassVar[str] = "remove one; parsers disagree on which of the two counts"


@dataclass(eq=False)
class LoneSurrogate(Malformed):
    """A string holds half of a surrogate pair, which UTF-8 cannot carry."""

    text: str
    code: ClassVar[str] = "lone-surrogate"
    message: ClassVar[str] = "a string holds a lone surrogate: {text}"
    advice: ClassVar[str] = "encode the character whole"


@dataclass(eq=False)
class BadNumber(Malformed):
    """A number is outside what statements may hold."""

    text: str
    code: ClassVar[str] = "bad-number"
    message: ClassVar[str] = "the number {text} is not allowed here"
    advice: ClassVar[str] = "use integers up to 2^53-1, decimal strings above; gpu_units has at most 6 decimals"


@dataclass(eq=False)
class NotCanonical(Malformed):
    """The payload is valid JSON but not in RFC 8785 form, so two byte strings would mean the same."""

    at: int
    code: ClassVar[str] = "not-canonical"
    message: ClassVar[str] = "the payload differs from its RFC 8785 (JCS) form at byte {at}"
    advice: ClassVar[str] = "serialise with a JCS library before signing"


# --- Malformed: statements, envelopes, entries, notes ----------------------------------------------------------------


@dataclass(eq=False)
class BadField(Malformed):
    """A field is missing, unknown, or not of its form."""

    kind: str
    field: str
    why: str
    code: ClassVar[str] = "bad-field"
    message: ClassVar[str] = "{kind}: field {field}: {why}"
    advice: ClassVar[str] = "compare the statement with its schema in domain/statements"


@dataclass(eq=False)
class UnknownKind(Malformed):
    """The payload type is not one that this release knows."""

    payload_type: str
    code: ClassVar[str] = "unknown-kind"
    message: ClassVar[str] = "unknown payload type {payload_type!r}"
    advice: ClassVar[str] = "check the spelling, or use a release that knows this kind"


@dataclass(eq=False)
class BadEnvelope(Malformed):
    """The outer object is neither a DSSE envelope nor the wallet wire form."""

    why: str
    code: ClassVar[str] = "bad-envelope"
    message: ClassVar[str] = "not an envelope: {why}"
    advice: ClassVar[str] = "send {payloadType, payload, signatures: [{keyid, sig}]} with payload and sig in base64"


@dataclass(eq=False)
class BadBase64(Malformed):
    """A field is not exact base64."""

    field: str
    code: ClassVar[str] = "bad-base64"
    message: ClassVar[str] = "{field} is not base64 with correct padding"
    advice: ClassVar[str] = "use standard or URL-safe base64, padded, without blanks"


@dataclass(eq=False)
class BadKeyId(Malformed):
    """A key id is not ``ed25519:`` and 64 lowercase hex digits."""

    keyid: str
    code: ClassVar[str] = "bad-keyid"
    message: ClassVar[str] = "{keyid!r} is not a key id"
    advice: ClassVar[str] = "write ed25519: followed by the public key in 64 lowercase hex digits"


@dataclass(eq=False)
class BadSignature(Malformed):
    """A signature does not verify, or its key or encoding is one that strict Ed25519 refuses."""

    keyid: str
    code: ClassVar[str] = "bad-signature"
    message: ClassVar[str] = "the signature by {keyid} does not verify"
    advice: ClassVar[str] = "sign the exact payload bytes under their payload type with this key"


@dataclass(eq=False)
class DuplicateSignature(Malformed):
    """One key signed the envelope twice."""

    keyid: str
    code: ClassVar[str] = "duplicate-signature"
    message: ClassVar[str] = "{keyid} signed twice"
    advice: ClassVar[str] = "give one signature per key"


@dataclass(eq=False)
class RootedUnsupported(Malformed):
    """The signature covers a tree of statements, a form that is fixed but not verified by this release."""

    keyid: str
    code: ClassVar[str] = "rooted-unsupported"
    message: ClassVar[str] = "{keyid} signed a tree of statements; this release verifies direct signatures only"
    advice: ClassVar[str] = "sign each statement directly"


@dataclass(eq=False)
class BadEntry(Malformed):
    """Stored bytes are not an entry."""

    why: str
    code: ClassVar[str] = "bad-entry"
    message: ClassVar[str] = "not an entry: {why}"
    advice: ClassVar[str] = "the stored bytes were changed; restore them from a copy and audit"


@dataclass(eq=False)
class BadNote(Malformed):
    """Text is not a signed checkpoint of this log."""

    why: str
    code: ClassVar[str] = "bad-note"
    message: ClassVar[str] = "not a checkpoint: {why}"
    advice: ClassVar[str] = "use the checkpoint text unchanged, with its final line break"


@dataclass(eq=False)
class BadProof(Malformed):
    """A Merkle path does not lead from the leaf to the root."""

    why: str
    code: ClassVar[str] = "bad-proof"
    message: ClassVar[str] = "the proof does not hold: {why}"
    advice: ClassVar[str] = "the entry is not in the tree of this checkpoint, or the proof was altered"


@dataclass(eq=False)
class BadAmount(Malformed):
    """An amount or ratio is not a plain decimal integer within its range."""

    text: str
    code: ClassVar[str] = "bad-amount"
    message: ClassVar[str] = "{text!r} is not an amount"
    advice: ClassVar[str] = "write base units as a decimal string without sign or leading zeros, below 10^36"


# --- Refused: order, time, authority ---------------------------------------------------------------------------------


@dataclass(eq=False)
class WrongIndex(Refused):
    """An entry does not continue the log."""

    index: int
    expected: int
    code: ClassVar[str] = "wrong-index"
    message: ClassVar[str] = "entry has index {index}, the log continues at {expected}"
    advice: ClassVar[str] = "entries cannot be left out, repeated or moved"


@dataclass(eq=False)
class TimeWentBack(Refused):
    """``recorded_at`` of an entry lies before that of the entry before it."""

    recorded_at_ms: int
    last_ms: int
    code: ClassVar[str] = "time-went-back"
    message: ClassVar[str] = "the clock reads {recorded_at_ms} ms, the last entry was recorded at {last_ms} ms"
    advice: ClassVar[str] = "set the host's clock right; steps back of up to 5 s are absorbed"


@dataclass(eq=False)
class NotGenesis(Refused):
    """Entry 0 must be ``genesis`` and no other entry may be."""

    kind: str
    index: int
    code: ClassVar[str] = "not-genesis"
    message: ClassVar[str] = "entry {index} cannot be {kind}: the first entry is genesis, and only the first"
    advice: ClassVar[str] = "create the ledger first"


@dataclass(eq=False)
class UnknownRules(Refused):
    """Genesis names a rules version that this release does not have."""

    rules: int
    code: ClassVar[str] = "unknown-rules"
    message: ClassVar[str] = "rules version {rules} is not known"
    advice: ClassVar[str] = "use a release that has this rules version"


@dataclass(eq=False)
class OtherLedger(Refused):
    """The statement was made for another ledger."""

    ledger: str
    expected: str
    code: ClassVar[str] = "other-ledger"
    message: ClassVar[str] = "the statement names ledger {ledger}, this one is {expected}"
    advice: ClassVar[str] = "sign the statement with this ledger's digest"


@dataclass(eq=False)
class MissingRole(Refused):
    """A required signature is not there."""

    kind: str
    role: str
    keyid: str
    code: ClassVar[str] = "missing-role"
    message: ClassVar[str] = "{kind} lacks the signature of {role} ({keyid})"
    advice: ClassVar[str] = "have this key sign the same payload"


@dataclass(eq=False)
class ExtraSignature(Refused):
    """A key signed that has no role in the statement."""

    kind: str
    keyid: str
    code: ClassVar[str] = "extra-signature"
    message: ClassVar[str] = "{kind} is signed by {keyid}, which has no role in it"
    advice: ClassVar[str] = "send exactly the required signatures"


@dataclass(eq=False)
class SharedKey(Refused):
    """Two roles are held by one key, so one party would vouch for itself."""

    kind: str
    keyid: str
    code: ClassVar[str] = "shared-key"
    message: ClassVar[str] = "{kind} names {keyid} for two roles"
    advice: ClassVar[str] = "each role needs a key of its own"


@dataclass(eq=False)
class AlreadyRecorded(Refused):
    """A statement with this unique key is on the ledger already."""

    what: str
    key: str
    code: ClassVar[str] = "already-recorded"
    message: ClassVar[str] = "{what} {key} is recorded already"
    advice: ClassVar[str] = "nothing to do if it is the same statement; otherwise choose a new identifier"


@dataclass(eq=False)
class Unregistered(Refused):
    """A statement relies on something that the ledger does not know."""

    what: str
    key: str
    code: ClassVar[str] = "unregistered"
    message: ClassVar[str] = "{what} {key} is not registered here"
    advice: ClassVar[str] = "record its registration first"


@dataclass(eq=False)
class NotYet(Refused):
    """The schema has this value, but the rules version of this ledger does not."""

    what: str
    code: ClassVar[str] = "not-yet"
    message: ClassVar[str] = "{what} is not part of this rules version"
    advice: ClassVar[str] = "leave it out, or use a release and a ledger whose rules have it"


@dataclass(eq=False)
class DueFirst(Refused):
    """A statement of the ledger itself is due, and nothing else may come before it."""

    due: str
    kind: str
    code: ClassVar[str] = "due-first"
    message: ClassVar[str] = "{due} is due and must come before {kind}"
    advice: ClassVar[str] = "the ledger may not hold back what it decided"


@dataclass(eq=False)
class NotDue(Refused):
    """A statement of the ledger itself that the state does not call for."""

    kind: str
    code: ClassVar[str] = "not-due"
    message: ClassVar[str] = "{kind} is not due"
    advice: ClassVar[str] = "the ledger may state only what follows from earlier entries"


@dataclass(eq=False)
class NotDerived(Refused):
    """A statement of the ledger itself differs from what the earlier entries give."""

    kind: str
    field: str
    code: ClassVar[str] = "not-derived"
    message: ClassVar[str] = "{kind} differs from what earlier entries give, in {field}"
    advice: ClassVar[str] = "recompute it; the ledger may not decide otherwise"


# --- Refused: consent ------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class StaleVersion(Refused):
    """``created_at`` is not strictly newer than the version in the ledger: a replay, or a race that was lost."""

    what: str
    created_at: str
    newest: str
    code: ClassVar[str] = "stale-version"
    message: ClassVar[str] = "{what} was created at {created_at}, the ledger has {newest}"
    advice: ClassVar[str] = "sign a new version with the current time"


@dataclass(eq=False)
class FromTheFuture(Refused):
    """A time lies further ahead of the ledger's clock than clocks may differ."""

    field: str
    time: str
    code: ClassVar[str] = "from-the-future"
    message: ClassVar[str] = "{field} {time} lies more than 5 minutes ahead of the ledger's clock"
    advice: ClassVar[str] = "set the signer's clock right"


@dataclass(eq=False)
class NotOwner(Refused):
    """The vault belongs to another wallet."""

    vault: str
    owner: str
    code: ClassVar[str] = "not-owner"
    message: ClassVar[str] = "vault {vault} belongs to {owner}"
    advice: ClassVar[str] = "only the wallet that opened a vault may grant scopes of it"


@dataclass(eq=False)
class GrantAbsent(Refused):
    """No grant of this user to this agent service is recorded."""

    grant: str
    code: ClassVar[str] = "grant-absent"
    message: ClassVar[str] = "no grant {grant} is in force"
    advice: ClassVar[str] = "have the wallet sign a grant, and rely on its newest version"


@dataclass(eq=False)
class GrantSuperseded(Refused):
    """The record relies on a version of the grant that is not the one in force."""

    grant: str
    in_force: str
    code: ClassVar[str] = "grant-superseded"
    message: ClassVar[str] = "grant {grant} was superseded by {in_force}"
    advice: ClassVar[str] = "run again under the version in force"


@dataclass(eq=False)
class GrantRevoked(Refused):
    """The wallet revoked the grant."""

    grant: str
    code: ClassVar[str] = "grant-revoked"
    message: ClassVar[str] = "grant {grant} is revoked"
    advice: ClassVar[str] = "stop; only the wallet can grant again"


@dataclass(eq=False)
class GrantExpired(Refused):
    """The work ended after the grant expired."""

    grant: str
    expires_at: str
    code: ClassVar[str] = "grant-expired"
    message: ClassVar[str] = "grant {grant} expired at {expires_at}"
    advice: ClassVar[str] = "ask the wallet for a renewed grant"


@dataclass(eq=False)
class OutOfScope(Refused):
    """The grant does not cover the vault scope that was used."""

    vault_scope: str
    granted: tuple[str, ...]
    code: ClassVar[str] = "out-of-scope"
    message: ClassVar[str] = "{vault_scope} is not granted; in force: {granted}"
    advice: ClassVar[str] = "use a granted scope, or ask the wallet for this one"


@dataclass(eq=False)
class OverLimit(Refused):
    """The record would exceed a limit that the wallet or the payer set."""

    limit: str
    allowed: str
    asked: str
    code: ClassVar[str] = "over-limit"
    message: ClassVar[str] = "{limit} allows {allowed}, the record asks for {asked}"
    advice: ClassVar[str] = "ask the signer of the limit for a wider one"


@dataclass(eq=False)
class ScopesInForce(Conflict):
    """A create over an active grant with other scopes, which would narrow or widen consent silently."""

    in_force: tuple[str, ...]
    code: ClassVar[str] = "scopes-in-force"
    message: ClassVar[str] = "an active grant has other scopes: {in_force}"
    advice: ClassVar[str] = "set metadata.replace to true if the new scopes are meant to replace these"


@dataclass(eq=False)
class NotPayer(Refused):
    """The customer neither is the grant's user nor signed to pay for this agent service."""

    customer: str
    code: ClassVar[str] = "not-payer"
    message: ClassVar[str] = "{customer} has not signed to pay for this agent service in this cluster"
    advice: ClassVar[str] = "name the grant's user as customer, or record a payer statement first"


@dataclass(eq=False)
class KeyNotInForce(Refused):
    """A key signed for something that it is not registered for, or after its certificate ended."""

    keyid: str
    role: str
    code: ClassVar[str] = "key-not-in-force"
    message: ClassVar[str] = "{keyid} is not in force as {role}"
    advice: ClassVar[str] = "use the registered key, or record a new certificate"


# --- Refused: activity, attestation, settlement ----------------------------------------------------------------------


@dataclass(eq=False)
class TimesOutOfOrder(Refused):
    """Times of a statement contradict each other or lie outside their window."""

    what: str
    code: ClassVar[str] = "times-out-of-order"
    message: ClassVar[str] = "times do not fit: {what}"
    advice: ClassVar[str] = "check the clocks of the node and of the host"


@dataclass(eq=False)
class EraNotOpen(Refused):
    """The era is not open for this statement."""

    cluster: str
    era: int
    status: str
    code: ClassVar[str] = "era-not-open"
    message: ClassVar[str] = "era {era} of {cluster} is {status}"
    advice: ClassVar[str] = "use the cluster's open era"


@dataclass(eq=False)
class EraFull(Refused):
    """The era holds as many records as an era may."""

    cluster: str
    era: int
    limit: int
    code: ClassVar[str] = "era-full"
    message: ClassVar[str] = "era {era} of {cluster} holds {limit} records, the most an era may"
    advice: ClassVar[str] = "close the era and open the next"


@dataclass(eq=False)
class WrongNumber(Conflict):
    """A gapless number is not the next one."""

    what: str
    number: int
    expected: int
    code: ClassVar[str] = "wrong-number"
    message: ClassVar[str] = "{what} has number {number}, the next is {expected}"
    advice: ClassVar[str] = "sign again with the next number"


@dataclass(eq=False)
class BatchMismatch(Refused):
    """A batch does not seal the oldest unsealed records of its orchestrator."""

    what: str
    code: ClassVar[str] = "batch-mismatch"
    message: ClassVar[str] = "the batch does not match the log: {what}"
    advice: ClassVar[str] = "seal the oldest records that are not in a batch, in log order"


@dataclass(eq=False)
class UnsealedRecords(Refused):
    """The era still has records outside any batch, which closing now would leave unpaid."""

    cluster: str
    era: int
    records: int
    code: ClassVar[str] = "unsealed-records"
    message: ClassVar[str] = "era {era} of {cluster} has {records} records in no batch"
    advice: ClassVar[str] = "have the orchestrator seal them first, or let the era end by time"


@dataclass(eq=False)
class WrongPhase(Refused):
    """The attestation round does not accept this now."""

    cluster: str
    round: int
    phase: str
    code: ClassVar[str] = "wrong-phase"
    message: ClassVar[str] = "round {round} of {cluster} is in phase {phase}"
    advice: ClassVar[str] = "reveal the beacon, then commit, then reveal the vote, each in its phase"


@dataclass(eq=False)
class NotAssigned(Refused):
    """The validator has no part in this round."""

    validator: str
    round: int
    code: ClassVar[str] = "not-assigned"
    message: ClassVar[str] = "{validator} has no part in round {round}"
    advice: ClassVar[str] = "only eligible validators reveal, and only the drawn committee votes"


@dataclass(eq=False)
class FalseReveal(Refused):
    """A revealed value does not open what was committed before."""

    what: str
    code: ClassVar[str] = "false-reveal"
    message: ClassVar[str] = "the revealed {what} does not match its commitment"
    advice: ClassVar[str] = "reveal exactly what was committed"


@dataclass(eq=False)
class BadVote(Refused):
    """A vote does not judge each position of its batch exactly once."""

    why: str
    code: ClassVar[str] = "bad-vote"
    message: ClassVar[str] = "not a vote on this batch: {why}"
    advice: ClassVar[str] = "cover each position by agree or by at least one reason, not both"


@dataclass(eq=False)
class BadParameters(Refused):
    """Cluster parameters contradict each other or are out of range."""

    why: str
    code: ClassVar[str] = "bad-parameters"
    message: ClassVar[str] = "parameters do not fit: {why}"
    advice: ClassVar[str] = "see the ranges in domain/statements/governance.py"


@dataclass(eq=False)
class UnderBonded(Refused):
    """The cluster's bond is below its minimum."""

    cluster: str
    bond: str
    minimum: str
    code: ClassVar[str] = "under-bonded"
    message: ClassVar[str] = "{cluster} has a bond of {bond}, its minimum is {minimum}"
    advice: ClassVar[str] = "record a deposit to the cluster's bond"


@dataclass(eq=False)
class Overflow(Refused):
    """Money would exceed the range of amounts."""

    account: str
    code: ClassVar[str] = "overflow"
    message: ClassVar[str] = "{account} would reach 10^36 base units"
    advice: ClassVar[str] = "no honest currency holds this much; check the deposit"


# --- Store, ledger, runtime ------------------------------------------------------------------------------------------


@dataclass(eq=False)
class LogMoved(Conflict):
    """Another writer appended first: the log has another size than expected."""

    expected: int
    size: int
    code: ClassVar[str] = "log-moved"
    message: ClassVar[str] = "the log has {size} entries, expected {expected}"
    advice: ClassVar[str] = "read the new entries and try again"


@dataclass(eq=False)
class StoreUnavailable(Unavailable):
    """The store cannot be read or written now."""

    path: str
    why: str
    code: ClassVar[str] = "store-unavailable"
    message: ClassVar[str] = "store {path}: {why}"
    advice: ClassVar[str] = "check permissions, free space and the path"


@dataclass(eq=False)
class StoreReadOnly(StoreUnavailable):
    """The store admits no writes."""

    code: ClassVar[str] = "store-read-only"
    advice: ClassVar[str] = "make the folder and its files writable for this user"


@dataclass(eq=False)
class StoreLocked(StoreUnavailable):
    """Another process holds the store's write lock for too long."""

    code: ClassVar[str] = "store-locked"
    advice: ClassVar[str] = "wait for the other writer, or find out why it hangs"


@dataclass(eq=False)
class StoreFull(StoreUnavailable):
    """There is no room for the write; nothing of it was kept."""

    code: ClassVar[str] = "store-full"
    advice: ClassVar[str] = "free some space and append again"


@dataclass(eq=False)
class NotALedger(StoreUnavailable):
    """The file or folder is not a proofroom ledger, or one of another format."""

    code: ClassVar[str] = "not-a-ledger"
    advice: ClassVar[str] = "give the folder that `proofroom demo` or Ledger.create made"


@dataclass(eq=False)
class LedgerExists(Conflict):
    """There is a ledger at this path already."""

    path: str
    code: ClassVar[str] = "ledger-exists"
    message: ClassVar[str] = "{path} holds a ledger already"
    advice: ClassVar[str] = "open it, or choose another folder"


@dataclass(eq=False)
class HistoryChanged(Unavailable):
    """The store's tail is not what its own last checkpoint signed; nothing is written over it."""

    size: int
    why: str
    code: ClassVar[str] = "history-changed"
    message: ClassVar[str] = "the log does not match its checkpoint at size {size}: {why}"
    advice: ClassVar[str] = "stop writing, keep the files, run `proofroom audit`, restore from a good copy"


@dataclass(eq=False)
class NoSigner(Unavailable):
    """The ledger was opened without the secret keys that writing needs."""

    keyid: str
    code: ClassVar[str] = "no-signer"
    message: ClassVar[str] = "no signer for {keyid}"
    advice: ClassVar[str] = "open the ledger with its keys, or use it for reading only"


@dataclass(eq=False)
class Closed(Unavailable):
    """The ledger was closed."""

    code: ClassVar[str] = "closed"
    message: ClassVar[str] = "this ledger is closed"
    advice: ClassVar[str] = "open it again"


@dataclass(eq=False)
class NoSuchEntry(Refused):
    """Nothing on this ledger has the given index, id or number."""

    what: str
    code: ClassVar[str] = "no-such-entry"
    message: ClassVar[str] = "this ledger has no {what}"
    advice: ClassVar[str] = "list what there is with `proofroom sql`"


@dataclass(eq=False)
class QueryFailed(Malformed):
    """DuckDB refused the SQL text."""

    why: str
    code: ClassVar[str] = "query-failed"
    message: ClassVar[str] = "{why}"
    advice: ClassVar[str] = "see the tables with: SHOW TABLES"


@dataclass(eq=False)
class AgentFailed(Unavailable):
    """The agent's child process gave no result; no record was made."""

    why: str
    code: ClassVar[str] = "agent-failed"
    message: ClassVar[str] = "the agent gave no result: {why}"
    advice: ClassVar[str] = "see the agent's own messages; nothing was recorded or charged"


@dataclass(eq=False)
class VaultUnavailable(Unavailable):
    """A blob is not in the vault, or cannot be opened with the keys at hand."""

    what: str
    why: str
    code: ClassVar[str] = "vault-unavailable"
    message: ClassVar[str] = "vault: {what}: {why}"
    advice: ClassVar[str] = "check the scope, the key and that the blob was not altered"


@dataclass(eq=False)
class BadInput(Malformed):
    """A file given by a person cannot be used."""

    path: str
    why: str
    code: ClassVar[str] = "bad-input"
    message: ClassVar[str] = "{path}: {why}"
    advice: ClassVar[str] = "check the file's name and content"
