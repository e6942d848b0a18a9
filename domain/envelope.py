"""Envelopes: a statement's bytes and the signatures over them (DSSE v1), and the one way to a verified statement.

DSSE signs ``PAE(type, payload) = "DSSEv1" SP len(type) SP type SP len(payload) SP payload``, so that a signature for one kind never
serves for another. What was signed is what is stored and what travels; nothing is serialised again in order to verify it.

One exception, for wallets in the field: a grant may come as ``{"payload": base64url, "signature": {"algorithm": "ed25519", "signer",
"value": "0x.."}}``, signed over the raw payload bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple, Self

import orjson

from proofroom.domain import canonical, hashing
from proofroom.domain.errors import BadBase64, BadEnvelope, BadRooted, BadSignature, DuplicateSignature, TooLarge
from proofroom.domain.ids import Digest, KeyId, public_key_of
from proofroom.domain.rooted import MAX_ROOTED, RootedPath, check_place, message_at, tree_of, verify_root_signature
from proofroom.domain.signatures import Signature, decode_signatures, encode_signatures
from proofroom.domain.signing import SIGNATURE_BYTES, Signer, pae, verify_signature
from proofroom.domain.statements import GRANT_WIRE, KINDS, Statement, parse, payload_type_of

MAX_ENVELOPE = 96 * 1024
"""Bytes of an envelope in JSON: base64 of a full payload, and 80 signatures."""

MAX_SIGNATURES = 80


class Envelope(NamedTuple):
    """A statement's bytes with signatures in key order, nothing of it verified."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def freeze(self) -> Frozen:
        """The envelope as an entry keeps it.

        Raises:
            BadKeyId, BadSignature: see :func:`~proofroom.domain.signatures.encode_signatures`.
        """
        return self.payload_type, self.payload, encode_signatures(self.signatures)

    def to_json(self) -> bytes:
        """The envelope as it travels: DSSE JSON, or the wallet wire form of a wire grant."""
        if self.payload_type == GRANT_WIRE:
            return _wire_json(self)
        signatures = [_signature_json(s) for s in self.signatures]
        payload = base64.b64encode(self.payload).decode()
        return orjson.dumps({"payload": payload, "payloadType": self.payload_type, "signatures": signatures})


Frozen = tuple[str, bytes, bytes]
"""Payload type, payload and signatures as an entry keeps them: an envelope in the store, and on its way between processes."""


def thaw(frozen: Frozen) -> Envelope:
    """The envelope that was frozen; nothing of it is verified.

    Raises:
        BadEntry: its signatures are not those of an entry.
    """
    payload_type, payload, signatures = frozen
    return Envelope(payload_type, payload, decode_signatures(signatures))


def statement_id(payload_type: str, payload: bytes) -> bytes:
    """The 32 bytes that name a statement; they do not depend on its signatures."""
    return hashing.digest(hashing.STATEMENT_ID, pae(payload_type, payload))


class Verified:
    """A statement whose schema, bytes and signatures were checked. Only :func:`verify` makes one.

    That the keys are the *right* ones is for the transition to say, since it depends on the ledger's state.
    """

    __slots__ = ("frozen", "id", "keys", "statement")

    frozen: Frozen
    statement: Statement
    id: bytes
    keys: frozenset[KeyId]

    _pass: ClassVar[object] = object()

    def __init__(self, frozen: Frozen, keys: Iterable[KeyId], statement: Statement, id: bytes, key: object) -> None:
        if key is not Verified._pass:
            raise TypeError("only proofroom.domain.envelope.verify makes a Verified")
        set_field = object.__setattr__
        set_field(self, "frozen", frozen)
        set_field(self, "statement", statement)
        set_field(self, "id", id)
        set_field(self, "keys", frozenset(keys))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Verified never changes")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Verified never changes")

    def __init_subclass__(cls) -> None:
        raise TypeError("a Verified has no other kinds")

    def __copy__(self) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Between processes the bytes travel and are verified again.
        return verify, (self.envelope,)

    @property
    def envelope(self) -> Envelope:
        """The envelope, read from its frozen form."""
        return thaw(self.frozen)

    @property
    def kind(self) -> str:
        """The kind of the statement."""
        return self.statement.kind

    @property
    def digest(self) -> Digest:
        """The statement id, tagged."""
        return hashing.tagged(self.id)


def verify(envelope: Envelope, kinds: Mapping[str, type[Statement]] = KINDS) -> Verified:
    """Check an envelope's schema, canonical bytes and every signature.

    Args:
        envelope: nothing of it is verified yet.
        kinds: what it may be; by default what the ledger records.

    Raises:
        Malformed: each fault has its own class.
    """
    statement = parse(envelope.payload_type, envelope.payload, kinds)
    verify_signatures(envelope)
    keys = [signature.keyid for signature in envelope.signatures]
    return _mint(envelope.freeze(), keys, statement, statement_id(envelope.payload_type, envelope.payload))


def verify_signatures(envelope: Envelope) -> None:
    """Check every signature of an envelope over its bytes; whether they are a statement is not looked at.

    Raises:
        BadEnvelope, DuplicateSignature, BadRooted: see :func:`check_form`.
        BadRooted: a path over a tree is too long or too short.
        BadSignature: a signature does not verify.
    """
    check_form(envelope)
    message = signed_message(envelope)
    roots: dict[RootedPath, bytes] = {}
    for keyid, value, place in envelope.signatures:
        if place is None:
            verify_signature(keyid, message, value)
            continue
        if place not in roots:  # where the roles signed one tree, its path is walked once
            roots[place] = message_at(keyid, message, place)
        verify_root_signature(keyid, roots[place], value)


def _mint(frozen: Frozen, keys: Iterable[KeyId], statement: Statement, id: bytes) -> Verified:
    """The verified statement. Besides :func:`verify`, only ``adapters.verifying`` calls this, after other processes checked the same, and
    ``adapters.replay``, to go on past an entry that does not hold.
    """
    return Verified(frozen, keys, statement, id, Verified._pass)


def check_form(envelope: Envelope) -> None:
    """Check that an envelope has signatures, one for a key, in key order.

    Raises:
        BadEnvelope: no signature, too many, or not in key order; or one over a tree, where the wallet's wire form has no place for it.
        DuplicateSignature: a key signed twice.
        BadRooted: a signature over a tree names no place in one.
        TooLarge: payload and paths together are larger than a payload may be, so that they fit into an entry.
    """
    payload_type, payload, signatures = envelope
    if (type(payload_type), type(payload), type(signatures)) != (str, bytes, tuple):
        raise BadEnvelope(why=_NOT_PLAIN)
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise BadEnvelope(why=f"it has {len(signatures)} signatures")
    last, size = "", len(payload)
    for keyid, value, place in signatures:
        if (type(keyid), type(value)) != (str, bytes):
            raise BadEnvelope(why=_NOT_PLAIN)
        if keyid <= last:
            raise (
                DuplicateSignature(keyid=keyid) if keyid == last else BadEnvelope(why="signatures are not in key order")
            )
        if place is not None:
            if payload_type == GRANT_WIRE:
                raise BadEnvelope(why="a wallet signs the wire form directly")
            check_place(keyid, place)
            size += len(place.path)
        last = keyid
    if size > canonical.MAX_PAYLOAD:
        raise TooLarge(what="the payload with its paths", size=size, limit=canonical.MAX_PAYLOAD)


_NOT_PLAIN = "its parts are not text and bytes, and could change after they were checked"


def signed_message(envelope: Envelope) -> bytes:
    """The bytes that a direct signature covers; of a rooted one, those behind its leaf."""
    return _message(envelope.payload_type, envelope.payload)


def _message(payload_type: str, payload: bytes) -> bytes:
    return payload if payload_type == GRANT_WIRE else pae(payload_type, payload)


def sign(statement: Statement, *signers: Signer) -> Envelope:
    """The envelope of a statement, signed by each signer."""
    payload_type, payload = _to_sign(statement)
    message = _message(payload_type, payload)
    return _envelope(payload_type, payload, [Signature(s.keyid, s.sign(message)) for s in signers])


def sign_rooted(statements: Sequence[Statement], *signers: Signer, tree: int = 256) -> list[Envelope]:
    """The envelopes of many statements, in order; each signer signs once for every ``tree`` of them.

    A larger tree saves little more and makes the path that each statement carries longer by 32 bytes a doubling.

    Raises:
        BadEnvelope: a grant in the wire form, which a wallet signs directly.
        TooLarge: a statement is.
    """
    envelopes: list[Envelope] = []
    for first in range(0, len(statements), min(tree, MAX_ROOTED)):
        parts = [_to_sign(statement) for statement in statements[first : first + min(tree, MAX_ROOTED)]]
        message, places = tree_of([_message(*part) for part in parts])
        roots = [(s.keyid, s.sign(message)) for s in signers]
        for part, place in zip(parts, places, strict=True):
            envelopes.append(_envelope(*part, [Signature(*root, place) for root in roots]))
            check_form(envelopes[-1])
    return envelopes


def join(*envelopes: Envelope) -> Envelope:
    """One envelope with the signatures of several over the same statement, direct or rooted, as each signer sent its own.

    Raises:
        BadEnvelope, DuplicateSignature: they are not of one statement, or a key signed twice.
    """
    first = envelopes[0]
    if any(envelope[:2] != first[:2] for envelope in envelopes):
        raise BadEnvelope(why="the signatures are over different statements")
    joined = _envelope(*first[:2], [s for envelope in envelopes for s in envelope.signatures])
    check_form(joined)
    return joined


def _to_sign(statement: Statement) -> tuple[str, bytes]:
    payload_type, payload = payload_type_of(statement.kind), statement.payload()
    if len(payload) > canonical.MAX_PAYLOAD:
        raise TooLarge(what=statement.kind, size=len(payload), limit=canonical.MAX_PAYLOAD)
    return payload_type, payload


def _envelope(payload_type: str, payload: bytes, signatures: list[Signature]) -> Envelope:
    return Envelope(payload_type, payload, tuple(sorted(signatures, key=_keyid)))


_keyid = itemgetter(0)


def parse_envelope(data: bytes) -> Envelope:
    """The envelope that ``data`` writes in JSON; its statement and signatures are not looked at.

    Raises:
        TooLarge, NotJson, DuplicateKey: not one JSON object.
        BadEnvelope: keys are missing or unknown.
        BadBase64, BadKeyId, BadSignature: a field is not of its form.
    """
    value = _parse_outer(data)
    if value.keys() == {"payload", "signature"}:
        return _wire_envelope(value)
    if value.keys() != {"payload", "payloadType", "signatures"}:
        raise BadEnvelope(why=f"its keys are {sorted(value)}"[:200])
    payload_type, signatures = value["payloadType"], value["signatures"]
    if not isinstance(payload_type, str) or not isinstance(signatures, list) or payload_type == GRANT_WIRE:
        raise BadEnvelope(why="payloadType or signatures is not of its form")
    if len(signatures) > MAX_SIGNATURES:
        raise BadEnvelope(why=f"it has {len(signatures)} signatures")
    return _envelope(payload_type, _unbase64("payload", value["payload"]), [_signature(s) for s in signatures])


def _parse_outer(data: bytes) -> dict[str, Any]:
    """The quick way for compact JSON: what prints back to the same bytes names no key twice."""
    if len(data) <= MAX_ENVELOPE:
        try:
            value = orjson.loads(data)
            if isinstance(value, dict) and orjson.dumps(value) == data:
                return value
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            pass
    return canonical.parse_strict(data, limit=MAX_ENVELOPE)


def _signature(value: object) -> Signature:
    if not isinstance(value, dict) or value.keys() not in _SIGNATURE_KEYS:
        raise BadEnvelope(why="a signature is not {keyid, sig} or {keyid, rooted, sig}")
    keyid = value["keyid"]
    if not isinstance(keyid, str):
        raise BadEnvelope(why="a keyid is not text")
    public_key_of(keyid)
    raw = _unbase64("sig", value["sig"])
    if len(raw) != SIGNATURE_BYTES:
        raise BadSignature(keyid=keyid)
    return Signature(KeyId(keyid), raw, _place(keyid, value["rooted"]) if "rooted" in value else None)


_SIGNATURE_KEYS = ({"keyid", "sig"}, {"keyid", "rooted", "sig"})


def _place(keyid: str, value: object) -> RootedPath:
    if not isinstance(value, dict) or value.keys() != {"path", "position", "size"}:
        raise BadRooted(keyid=keyid, why="its place is not {path, position, size}")
    size, position = value["size"], value["position"]
    if type(size) is not int or type(position) is not int:
        raise BadRooted(keyid=keyid, why="its position or size is not an integer")
    path = value["path"]
    if not isinstance(path, str):
        raise BadEnvelope(why="path is not text")
    return _rooted_path(size, position, path)


@lru_cache(maxsize=16)
def _rooted_path(size: int, position: int, path: str) -> RootedPath:
    """Remembered for a moment: roles that signed one tree give the same place, one after the other."""
    return RootedPath(size, position, _unbase64("path", path))


def _signature_json(signature: Signature) -> dict[str, Any]:
    keyid, value, place = signature
    plain: dict[str, Any] = {"keyid": keyid, "sig": base64.b64encode(value).decode()}
    if place is not None:
        path = base64.b64encode(place.path).decode()
        plain["rooted"] = {"path": path, "position": place.position, "size": place.size}
    return plain


def _unbase64(field: str, text: object) -> bytes:
    """DSSE admits the standard and the URL-safe alphabet; either must be exact."""
    if not isinstance(text, str):
        raise BadEnvelope(why=f"{field} is not text")
    try:
        url_safe = "-" in text or "_" in text
        standard = text.translate(_URL_SAFE) if url_safe else text
        raw = binascii.a2b_base64(standard, strict_mode=True)
    except (binascii.Error, ValueError):
        raise BadBase64(field=field) from None
    # Strict mode leaves two freedoms: padding where none is due, and the bits of the last character that no byte takes.
    spare = len(raw) % 3
    if len(standard) != (len(raw) + 2) // 3 * 4 or (spare and standard[spare - 4] not in _LAST[spare]):
        raise BadBase64(field=field)
    return raw


_LAST = ("", "AQgw", "AEIMQUYcgkosw048")
"""The characters that may stand before the padding, by the bytes in the last group: those whose spare bits are zero."""
_URL_SAFE = str.maketrans("-_+/", "+/**")
"""To the standard alphabet; what mixes both alphabets is left invalid."""
_WIRE_SIGNER = re.compile(r"(?:ed25519:|0x)?([0-9a-f]{64})\Z")
_WIRE_VALUE = re.compile(r"0x([0-9a-f]{128})\Z")


def _wire_envelope(value: dict[str, Any]) -> Envelope:
    signature, payload = value["signature"], value["payload"]
    if not isinstance(signature, dict) or signature.keys() != {"algorithm", "signer", "value"}:
        raise BadEnvelope(why="the wallet's signature is not {algorithm, signer, value}")
    signer = _WIRE_SIGNER.match(str(signature["signer"]))
    raw = _WIRE_VALUE.match(str(signature["value"]))
    if signature["algorithm"] != "ed25519" or signer is None or raw is None:
        raise BadEnvelope(why="the wallet's signature is not ed25519, a key in hex and a value in 0x hex")
    if not isinstance(payload, str):
        raise BadEnvelope(why="payload is not text")
    padded = payload if payload.endswith("=") else payload + "=" * (-len(payload) % 4)
    keyid = KeyId("ed25519:" + signer[1])
    return Envelope(GRANT_WIRE, _unbase64("payload", padded), (Signature(keyid, bytes.fromhex(raw[1])),))


def _wire_json(envelope: Envelope) -> bytes:
    (signature,) = envelope.signatures
    payload = base64.urlsafe_b64encode(envelope.payload).decode()
    wire = {"algorithm": "ed25519", "signer": signature.keyid[8:], "value": "0x" + signature.value.hex()}
    return orjson.dumps({"payload": payload, "signature": wire})
