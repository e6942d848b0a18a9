"""Bytes that are not what they claim to be."""

from __future__ import annotations

from proofroom.domain.errors.base import Malformed


class NotJson(
    Malformed,
    code="not-json",
    message="not JSON at byte {at}: {why}",
    advice="send one complete JSON object, encoded as UTF-8",
):
    """The bytes are not one JSON text in UTF-8."""

    at: int
    why: str


class TooLarge(
    Malformed,
    code="too-large",
    message="{what} has {size} bytes, the limit is {limit}",
    advice="keep large content off the ledger and commit to it by digest",
):
    """A payload, envelope or entry exceeds its size limit."""

    what: str
    size: int
    limit: int


class TooDeep(
    Malformed,
    code="too-deep",
    message="JSON is nested deeper than {limit} levels",
    advice="flatten the object; no statement needs this depth",
):
    """JSON is nested beyond the limit."""

    limit: int


class DuplicateKey(
    Malformed,
    code="duplicate-key",
    message="the key {key!r} stands twice in one object",
    advice="remove one; parsers disagree on which of the two counts",
):
    """One JSON object names the same key twice."""

    key: str


class LoneSurrogate(
    Malformed,
    code="lone-surrogate",
    message="a string holds a lone surrogate: {text}",
    advice="encode the character whole",
):
    """A string holds half of a surrogate pair, which UTF-8 cannot carry."""

    text: str


class BadNumber(
    Malformed,
    code="bad-number",
    message="the number {text} is not allowed here",
    advice="use integers up to 2^53-1, decimal strings above; gpu_units has at most 6 decimals",
):
    """A number is outside what statements may hold."""

    text: str


class NotCanonical(
    Malformed,
    code="not-canonical",
    message="the payload differs from its RFC 8785 (JCS) form at byte {at}",
    advice="serialise with a JCS library before signing",
):
    """The payload is valid JSON but not in RFC 8785 form, so two byte strings would mean the same."""

    at: int


class BadField(
    Malformed,
    code="bad-field",
    message="{kind}: field {field}: {why}",
    advice="compare the statement with its schema in domain/statements",
):
    """A field is missing, unknown, or not of its form."""

    kind: str
    field: str
    why: str


class UnknownKind(
    Malformed,
    code="unknown-kind",
    message="unknown payload type {payload_type!r}",
    advice="check the spelling, or use a release that knows this kind",
):
    """The payload type is not one that this release knows."""

    payload_type: str


class BadEnvelope(
    Malformed,
    code="bad-envelope",
    message="not an envelope: {why}",
    advice="send {payloadType, payload, signatures: [{keyid, sig}]} with payload and sig in base64",
):
    """The outer object is neither a DSSE envelope nor the wallet wire form."""

    why: str


class BadBase64(
    Malformed,
    code="bad-base64",
    message="{field} is not base64 with correct padding",
    advice="use standard or URL-safe base64, padded, without blanks",
):
    """A field is not exact base64."""

    field: str


class BadKeyId(
    Malformed,
    code="bad-keyid",
    message="{keyid!r} is not a key id",
    advice="write ed25519: followed by the public key in 64 lowercase hex digits",
):
    """A key id is not ``ed25519:`` and 64 lowercase hex digits."""

    keyid: str


class BadSignature(
    Malformed,
    code="bad-signature",
    message="the signature by {keyid} does not verify",
    advice="sign the exact payload bytes under their payload type with this key",
):
    """A signature does not verify, or its key or encoding is one that strict Ed25519 refuses."""

    keyid: str


class DuplicateSignature(
    Malformed,
    code="duplicate-signature",
    message="{keyid} signed twice",
    advice="give one signature per key",
):
    """One key signed the envelope twice."""

    keyid: str


class BadRooted(
    Malformed,
    code="bad-rooted",
    message="the signature of {keyid} over a tree does not place the statement in it: {why}",
    advice="send {path, position, size} as the signer of the root made them",
):
    """A signature over a tree of statements does not say, in its one form, where in the tree this statement stands."""

    keyid: str
    why: str


class BadEntry(
    Malformed,
    code="bad-entry",
    message="not an entry: {why}",
    advice="the stored bytes were changed; restore them from a copy and audit",
):
    """Stored bytes are not an entry."""

    why: str


class BadNote(
    Malformed,
    code="bad-note",
    message="not a checkpoint: {why}",
    advice="use the checkpoint text unchanged, with its final line break",
):
    """Text is not a signed checkpoint of this log."""

    why: str


class BadProof(
    Malformed,
    code="bad-proof",
    message="the proof does not hold: {why}",
    advice="the entry is not in the tree of this checkpoint, or the proof was altered",
):
    """A Merkle path does not lead from the leaf to the root."""

    why: str


class BadAmount(
    Malformed,
    code="bad-amount",
    message="{text!r} is not an amount",
    advice="write base units as a decimal string without sign or leading zeros, below 10^36",
):
    """An amount or ratio is not a plain decimal integer within its range."""

    text: str
