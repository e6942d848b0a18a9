"""What the rules refuse: order, time, authority, and what the ledger itself must state."""

from __future__ import annotations

from proofroom.domain.errors.base import Refused


class WrongIndex(
    Refused,
    code="wrong-index",
    message="entry has index {index}, the log continues at {expected}",
    advice="entries cannot be left out, repeated or moved",
):
    """An entry does not continue the log."""

    index: int
    expected: int


class TimeWentBack(
    Refused,
    code="time-went-back",
    message="the clock reads {recorded_at_ms} ms, the last entry was recorded at {last_ms} ms",
    advice="set the host's clock right; steps back of up to 5 s are absorbed",
):
    """``recorded_at`` of an entry lies before that of the entry before it."""

    recorded_at_ms: int
    last_ms: int


class TimeOutOfRange(
    Refused,
    code="time-out-of-range",
    message="the time {recorded_at_ms} ms lies outside what an entry may have",
    advice="set the host's clock right",
):
    """``recorded_at`` lies so far ahead that deadlines counted from it could not be written."""

    recorded_at_ms: int


class NotGenesis(
    Refused,
    code="not-genesis",
    message="entry {index} cannot be {kind}: the first entry is genesis, and only the first",
    advice="create the ledger first",
):
    """Entry 0 must be ``genesis`` and no other entry may be."""

    kind: str
    index: int


class UnknownRules(
    Refused,
    code="unknown-rules",
    message="rules version {rules} is not known",
    advice="use a release that has this rules version",
):
    """Genesis names a rules version that this release does not have."""

    rules: int


class OtherLedger(
    Refused,
    code="other-ledger",
    message="the statement names ledger {ledger}, this one is {expected}",
    advice="sign the statement with this ledger's digest",
):
    """The statement was made for another ledger."""

    ledger: str
    expected: str


class MissingRole(
    Refused,
    code="missing-role",
    message="{kind} lacks the signature of {role} ({keyid})",
    advice="have this key sign the same payload",
):
    """A required signature is not there."""

    kind: str
    role: str
    keyid: str


class ExtraSignature(
    Refused,
    code="extra-signature",
    message="{kind} is signed by {keyid}, which has no role in it",
    advice="send exactly the required signatures",
):
    """A key signed that has no role in the statement."""

    kind: str
    keyid: str


class SharedKey(
    Refused,
    code="shared-key",
    message="{kind} names {keyid} for two roles",
    advice="each role needs a key of its own",
):
    """Two roles are held by one key, so one party would vouch for itself."""

    kind: str
    keyid: str


class AlreadyRecorded(
    Refused,
    code="already-recorded",
    message="{what} {key} is recorded already",
    advice="nothing to do if it is the same statement; otherwise choose a new identifier",
):
    """A statement with this unique key is on the ledger already."""

    what: str
    key: str


class Unregistered(
    Refused,
    code="unregistered",
    message="{what} {key} is not registered here",
    advice="record its registration first",
):
    """A statement relies on something that the ledger does not know."""

    what: str
    key: str


class DueFirst(
    Refused,
    code="due-first",
    message="{due} is due and must come before {kind}",
    advice="the ledger may not hold back what it decided",
):
    """A statement of the ledger itself is due, and nothing else may come before it."""

    due: str
    kind: str


class NotDue(
    Refused,
    code="not-due",
    message="{kind} is not due",
    advice="the ledger may state only what follows from earlier entries",
):
    """A statement of the ledger itself that the state does not call for."""

    kind: str


class NotDerived(
    Refused,
    code="not-derived",
    message="{kind} differs from what earlier entries give, in {field}",
    advice="recompute it; the ledger may not decide otherwise",
):
    """A statement of the ledger itself differs from what the earlier entries give."""

    kind: str
    field: str
