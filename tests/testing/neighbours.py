"""Invalid neighbours of valid statements: one rule broken at a time, labelled with the error that must name it.

:func:`neighbours` takes what a ledger would record next and gives what it must refuse instead, each in the bytes that a stranger
would send. The parties' keys must be those of :func:`~proofroom.testing.keys.key`: a changed statement is signed again by whoever signed
the first, so that what is refused is refused for the one change.

>>> for neighbour in neighbours(history.clock, envelope):        # doctest: +SKIP
...     assert answer_of(neighbour.envelope) == neighbour.error.code
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson
from hypothesis import strategies as st

from proofroom.domain import errors, ids
from proofroom.domain.canonical import encode
from proofroom.domain.envelope import Envelope, signed_message
from proofroom.domain.errors import ProofroomError
from proofroom.domain.ids import SKEW_MS, from_ms, to_ms
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import Signer
from proofroom.domain.statements import GRANT_WIRE, KINDS, payload_type_of
from proofroom.testing.keys import key, key_of

Body = dict[str, Any]
NOWHERE = "blake3:" + "00" * 32
STRANGER = key("a stranger to every ledger")
FAR = 1_000_000
"""No round, era, batch or proposal of a test has this number."""


class Neighbour(NamedTuple):
    """What must be refused."""

    rule: str
    """The rule that it breaks."""
    error: type[ProofroomError]
    envelope: bytes
    """In JSON, as it would be sent."""


Unfit = Callable[[Envelope], Envelope | bytes | None]
Change = Callable[[Body, int], Body | None]
"""The fields that change, at a time; None where this statement has no such neighbour."""

_ENVELOPES: list[tuple[str, type[ProofroomError], Unfit]] = []
_KINDS: dict[str, list[tuple[str, type[ProofroomError], Change]]] = {}


def neighbours(now_ms: int, envelope: Envelope) -> list[Neighbour]:
    """All invalid neighbours of a statement that a ledger would record at this time, in a fixed order."""
    return [*_of_envelope(envelope), *_of_kind(now_ms, envelope)]


def invalid(now_ms: int, envelope: Envelope) -> st.SearchStrategy[Neighbour]:
    """One of them."""
    return st.sampled_from(neighbours(now_ms, envelope))


def _of_envelope(envelope: Envelope) -> Iterator[Neighbour]:
    for rule, error, make in _ENVELOPES:
        unfit = make(envelope)
        if unfit is not None:
            yield Neighbour(rule, error, unfit.to_json() if isinstance(unfit, Envelope) else unfit)


def _of_kind(now_ms: int, envelope: Envelope) -> Iterator[Neighbour]:
    kind, body = KINDS[envelope.payload_type].kind, orjson.loads(envelope.payload)
    for rule, error, change in _KINDS.get(kind, []):
        fields = change(body, now_ms)
        if fields is not None:
            yield Neighbour(rule, error, _signed_again(envelope, body | fields).to_json())


def _signed_again(envelope: Envelope, body: Body, *, plain: bytes | None = None) -> Envelope:
    """Other bytes, signed by the same keys."""
    unsigned = envelope._replace(payload=encode(body) if plain is None else plain)
    return _signed(unsigned, *[key_of(s.keyid) for s in envelope.signatures])


def _signed(envelope: Envelope, *signers: Signer) -> Envelope:
    message = signed_message(envelope)
    return envelope._replace(signatures=tuple(sorted(Signature(s.keyid, s.sign(message)) for s in signers)))


def _envelope(error: type[ProofroomError]) -> Callable[[Unfit], Unfit]:
    """A rule that holds for every kind; its docstring names it."""

    def add(make: Unfit) -> Unfit:
        _ENVELOPES.append((str(make.__doc__), error, make))
        return make

    return add


def _kind(error: type[ProofroomError], *kinds: str) -> Callable[[Change], Change]:
    """A rule that holds for some kinds."""

    def add(change: Change) -> Change:
        for kind in kinds:
            _KINDS.setdefault(kind, []).append((str(change.__doc__), error, change))
        return change

    return add


# --- every kind


@_envelope(errors.NotJson)
def _cut_off(e: Envelope) -> bytes:
    """The end is missing."""
    return e.to_json()[:-1]


@_envelope(errors.BadEnvelope)
def _more_in_the_envelope(e: Envelope) -> bytes:
    """The envelope says something that nobody signed."""
    return orjson.dumps(orjson.loads(e.to_json()) | {"note": "urgent"})


@_envelope(errors.DuplicateKey)
def _said_twice(e: Envelope) -> bytes:
    """The envelope has its payload twice."""
    return b'{"payload":"",' + e.to_json()[1:]


@_envelope(errors.BadSignature)
def _signature_bit(e: Envelope) -> Envelope:
    """One bit of a signature is another."""
    first, *others = e.signatures
    changed = bytes([first.value[0] ^ 1]) + first.value[1:]
    return e._replace(signatures=(first._replace(value=changed), *others))


@_envelope(errors.BadSignature)
def _signature_of_another_statement(e: Envelope) -> Envelope | None:
    """The signatures are over another payload."""
    body = orjson.loads(e.payload)
    if "created_at" not in body:
        return None
    return e._replace(payload=encode(body | {"created_at": from_ms(to_ms(body["created_at"]) - 1)}))


@_envelope(errors.NotCanonical)
def _not_canonical(e: Envelope) -> Envelope | None:
    """The signed bytes are not in their one form."""
    return None if e.payload_type == GRANT_WIRE else _signed_again(e, {}, plain=e.payload.replace(b":", b": ", 1))


@_envelope(errors.BadField)
def _more_in_the_statement(e: Envelope) -> Envelope:
    """The statement has a field that its kind has not."""
    return _signed_again(e, orjson.loads(e.payload) | {"zzz": 1})


@_envelope(errors.BadField)
def _less_in_the_statement(e: Envelope) -> Envelope:
    """The statement lacks a field."""
    body = orjson.loads(e.payload)
    del body["ledger" if "ledger" in body else "created_at"]
    return _signed_again(e, body)


@_envelope(errors.UnknownKind)
def _unknown_kind(e: Envelope) -> Envelope | None:
    """Nobody has heard of such a kind."""
    kind = payload_type_of("bribe")
    return (
        None if e.payload_type == GRANT_WIRE else _signed_again(e._replace(payload_type=kind), orjson.loads(e.payload))
    )


@_envelope(errors.OtherLedger)
def _other_ledger(e: Envelope) -> Envelope | None:
    """It was signed for another ledger."""
    body = orjson.loads(e.payload)
    return _signed_again(e, body | {"ledger": NOWHERE}) if "ledger" in body else None


@_envelope(errors.MissingRole)
def _signature_missing(e: Envelope) -> Envelope | None:
    """One who must sign did not."""
    return e._replace(signatures=e.signatures[1:]) if len(e.signatures) > 1 else None


@_envelope(errors.MissingRole)
def _stranger_signs_instead(e: Envelope) -> Envelope | None:
    """A stranger signed for a party."""
    if e.payload_type == GRANT_WIRE:
        return None
    return _signed(e, STRANGER, *[key_of(s.keyid) for s in e.signatures[1:]])


@_envelope(errors.ExtraSignature)
def _stranger_signs_too(e: Envelope) -> Envelope | None:
    """A stranger signed as well."""
    if e.payload_type == GRANT_WIRE:
        return None
    return _signed(e, STRANGER, *[key_of(s.keyid) for s in e.signatures])


@_envelope(errors.DuplicateSignature)
def _signed_twice(e: Envelope) -> Envelope | None:
    """A party signed twice."""
    return None if e.payload_type == GRANT_WIRE else e._replace(signatures=(e.signatures[0], *e.signatures))


# --- what wallets and agent services sign

_CONSENT = ("vault-opened", "grant", "grant-wire", "delegation", "agent-key", "payer", "erased")
_KEYS = ("key-rotated", "identity", "compromise")
_MARKET = ("marketplace", "listing", "withdrawal")


@_kind(errors.FromTheFuture, *_CONSENT, *_KEYS, *_MARKET, "proposal-vote", "node-left", "validator-left")
def _from_the_future(body: Body, now_ms: int) -> Body:
    """It says that it was made later than now."""
    return {"created_at": from_ms(now_ms + SKEW_MS + 1)}


@_kind(errors.TimesOutOfOrder, "grant", "grant-wire", "delegation", "agent-key", "payer")
def _never_in_force(body: Body, now_ms: int) -> Body | None:
    """It ends when it begins."""
    return None if body.get("revoked") else {"expires_at": body["created_at"]}


# --- records and batches


@_kind(errors.Unregistered, "activity")
def _no_node(body: Body, now_ms: int) -> Body:
    """Nobody registered the node."""
    return {"node": "node-nowhere"}


@_kind(errors.Unregistered, "activity", "deposit", "validator-registered", "era-opened", "era-close", "proposal")
def _no_cluster(body: Body, now_ms: int) -> Body:
    """Nobody founded the cluster."""
    return {"cluster": "nowhere"}


@_kind(errors.EraNotOpen, "activity")
def _another_era(body: Body, now_ms: int) -> Body:
    """The era is not open."""
    return {"era": body["era"] + FAR}


@_kind(errors.NotPayer, "activity")
def _who_signed_nothing(body: Body, now_ms: int) -> Body:
    """The customer never agreed to pay."""
    return {"customer": STRANGER.keyid}


@_kind(errors.OutOfScope, "activity")
def _nobodys_vault(body: Body, now_ms: int) -> Body:
    """Nobody opened the vault."""
    return {"vault_scope": "nobodys / secrets"}


@_kind(errors.TimesOutOfOrder, "activity")
def _ended_before_it_started(body: Body, now_ms: int) -> Body:
    """The work ended before it started."""
    return {"ended_at": from_ms(to_ms(body["started_at"]) - 1)}


@_kind(errors.FromTheFuture, "activity")
def _not_ended_yet(body: Body, now_ms: int) -> Body:
    """The work ends later than now."""
    return {"ended_at": from_ms(now_ms + SKEW_MS + 1)}


@_kind(errors.TimesOutOfOrder, "activity")
def _id_from_the_future(body: Body, now_ms: int) -> Body:
    """The record's id was made later than now."""
    return {"record_id": ids.record_id(now_ms + SKEW_MS + 1, bytes(10))}


@_kind(errors.NotListed, "activity")
def _not_for_sale(body: Body, now_ms: int) -> Body:
    """Nobody listed what is sold."""
    return {"listing": NOWHERE}


@_kind(errors.WrongNumber, "batch-sealed")
def _skipped_number(body: Body, now_ms: int) -> Body:
    """A batch is passed over."""
    return {"batch": body["batch"] + 1}


@_kind(errors.BatchMismatch, "batch-sealed")
def _other_records(body: Body, now_ms: int) -> Body:
    """The root is not that of the records that wait."""
    return {"root": NOWHERE}


# --- rounds and money


@_kind(errors.WrongPhase, "beacon-revealed", "vote-committed", "vote-revealed")
def _no_round(body: Body, now_ms: int) -> Body:
    """There is no such round."""
    return {"round": body["round"] + FAR}


@_kind(errors.FalseReveal, "beacon-revealed")
def _other_value(body: Body, now_ms: int) -> Body:
    """The value is not the next of the chain."""
    return {"value": "00" * 32}


@_kind(errors.FalseReveal, "vote-revealed")
def _other_salt(body: Body, now_ms: int) -> Body:
    """The vote is not the one that was committed to."""
    return {"salt": "00" * 32}


@_kind(errors.WrongNumber, "era-opened", "proposal")
def _another_number(body: Body, now_ms: int) -> Body:
    """It is not the next."""
    name = "era" if "era" in body else "proposal"
    return {name: body[name] + 1}


@_kind(errors.WrongIndex, "tick")
def _another_place(body: Body, now_ms: int) -> Body:
    """It names another place in the log."""
    return {"index": body["index"] + 1}
