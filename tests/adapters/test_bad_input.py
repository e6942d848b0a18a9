"""Bad input: each fault has its own typed error with code and advice, by whatever way it comes in, and leaves the ledger as it was."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proofroom.adapters.cast import DAY_MS, Cast
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.stores import MemoryStore
from proofroom.adapters.writer import Recorded
from proofroom.domain.canonical import encode
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.errors import ProofroomError
from proofroom.domain.ids import from_ms
from proofroom.domain.signatures import Signature
from proofroom.domain.signing import pae
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS, make_genesis, resign
from proofroom.testing.keys import key
from strategies.rooms import Room, make_room, signers


class Place:
    """A ledger after a day of work, and the bad input that somebody brings."""

    def __init__(self) -> None:
        self.clock = Clock(START_MS)
        self.room = make_room(MemoryStore(self.clock), self.clock)
        self.cast: Cast = self.room.cast
        self.good = self.room.record()
        self.value: dict[str, Any] = json.loads(self.good.to_json())

    @property
    def ledger(self) -> Ledger:
        return self.room.ledger

    def changed(self, **changes: Any) -> bytes:
        """The good envelope with other outer fields."""
        return json.dumps(self.value | changes).encode()

    def payload(self, payload: bytes) -> Envelope:
        """Any bytes as the payload, duly signed."""
        kind = self.good.payload_type
        keys = (self.cast.derived, self.cast.orchestrator, self.cast.runtimes[0])
        return Envelope(kind, payload, tuple(sorted(Signature(k.keyid, k.sign(pae(kind, payload))) for k in keys)))

    def other(self, **fields: Any) -> Envelope:
        """The good record with other fields, duly signed."""
        return resign(self.good, **fields)


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    with made.ledger:
        yield made


Bad = Callable[[Place], bytes | Envelope]


def revoked(place: Place) -> Envelope:
    place.ledger.append(place.cast.grant(created_at=place.cast.now(1), revoked=True))
    return place.good


def expired(place: Place) -> Envelope:
    place.ledger.append(place.cast.grant(created_at=place.cast.now(1), expires_at=place.cast.now(1_000)))
    place.clock.ms += 2_000
    return place.room.record()


def superseded(place: Place) -> Envelope:
    place.ledger.append(place.cast.grant(created_at=place.cast.now(1)))
    return place.good


def out_of_scope(place: Place) -> Envelope:
    place.ledger.append(place.cast.grant([("v-7c21", "mail")], created_at=place.cast.now(1), replace=True))
    return place.room.record()


def by_one_key(place: Place) -> Envelope:
    names = {"agent-derived-key": place.cast.derived.keyid, "orchestrator": place.cast.runtimes[0].keyid}
    names["agent-runtime"] = place.cast.runtimes[0].keyid
    return place.other(signers=names)._replace(
        signatures=tuple(sorted(signature(place, k, names) for k in (place.cast.derived, place.cast.runtimes[0])))
    )


def signature(place: Place, signer: Any, names: dict[str, Any]) -> Signature:
    payload = place.other(signers=names).payload
    return Signature(signer.keyid, signer.sign(pae(place.good.payload_type, payload)))


def wrong_key(place: Place) -> Envelope:
    """Signed by a key that is not the one it names."""
    first, *rest = place.good.signatures
    false = key("stranger").sign(pae(*place.good[:2]))
    return place.good._replace(signatures=(first._replace(value=false), *rest))


def another_ledger(place: Place) -> Envelope:
    elsewhere = make_room(MemoryStore(Clock(START_MS + 1)), Clock(START_MS + 1), seed="elsewhere")
    with elsewhere.ledger:
        return elsewhere.record()


def without(place: Place, count: int) -> Envelope:
    return place.good._replace(signatures=place.good.signatures[:-count])


def unknown_kind(place: Place) -> bytes:
    return place.changed(payloadType="application/vnd.proofroom.bribe.v1+json")


def wire(place: Place, **changes: Any) -> bytes:
    raw = base64.urlsafe_b64encode(b"{}").decode()
    form = {"algorithm": "ed25519", "signer": "00" * 32, "value": "0x" + "00" * 64}
    return json.dumps({"payload": raw, "signature": form | changes}).encode()


def sign_genesis(place: Place) -> Envelope:
    return sign(make_genesis(unit="EUR"), *signers())


def sign_grant_by(place: Place, name: str) -> Envelope:
    return resign(
        place.cast.grant(created_at=place.cast.now(1)),
        without=[place.cast.user.keyid],
        extra=[key(name)],
        user_pub_key=key(name).keyid,
    )


def second_deposit(place: Place) -> Envelope:
    place.ledger.append(place.cast.deposit(place.cast.user.keyid, 5, reference="wire-1"))
    return place.cast.deposit(place.cast.user.keyid, 6, reference="wire-1")


def no_bank(place: Place) -> Envelope:
    deposit = place.cast.deposit(place.cast.user.keyid, 5)
    return resign(deposit, without=[place.cast.bank.keyid], extra=[key("thief")], bank=key("thief").keyid)


BAD: dict[str, tuple[Bad, str]] = {
    "nothing": (lambda p: b"", "not-json"),
    "truncated": (lambda p: p.good.to_json()[:-7], "not-json"),
    "truncated payload": (lambda p: p.payload(p.good.payload[:-9]), "not-json"),
    "not UTF-8": (lambda p: b"\xff" + p.good.to_json(), "not-json"),
    "two objects": (lambda p: p.good.to_json() * 2, "not-json"),
    "oversized envelope": (lambda p: p.good.to_json() + b" " * 98_304, "too-large"),
    "oversized payload": (lambda p: p.payload(b'{"a":"' + b"a" * 32_768 + b'"}'), "too-large"),
    "too deep": (lambda p: p.payload(b'{"a":' * 40 + b"1" + b"}" * 40), "too-deep"),
    "duplicated outer key": (lambda p: b'{"payload":"",' + p.good.to_json()[1:], "duplicate-key"),
    "duplicated key": (lambda p: p.payload(b'{"agent":"",' + p.good.payload[1:]), "duplicate-key"),
    "not canonical": (lambda p: p.payload(p.good.payload.replace(b":", b": ", 1)), "not-canonical"),
    "a number beyond": (
        lambda p: p.payload(p.good.payload.replace(b'"puts":0', b'"puts":9007199254740992')),
        "bad-number",
    ),
    "a fraction": (lambda p: p.payload(p.good.payload.replace(b'"puts":0', b'"puts":0.5')), "bad-number bad-field"),
    "lone surrogate": (lambda p: p.payload(p.good.payload.replace(b"read + inference", b"\\ud800")), "lone-surrogate"),
    "missing field": (
        lambda p: p.payload(encode({k: v for k, v in json.loads(p.good.payload).items() if k != "node"})),
        "bad-field",
    ),
    "unknown field": (lambda p: p.payload(encode({**json.loads(p.good.payload), "tip": 1})), "bad-field"),
    "missing outer key": (lambda p: json.dumps({"payload": "", "payloadType": ""}).encode(), "bad-envelope"),
    "a list": (lambda p: b"[]", "not-json bad-envelope"),
    "wrong base64": (lambda p: p.changed(payload=p.value["payload"] + "!"), "bad-base64"),
    "base64 without padding": (lambda p: p.changed(payload="YQ"), "bad-base64"),
    "base64 with other last bits": (lambda p: p.changed(payload="YR=="), "bad-base64"),
    "wrong base64 of a signature": (
        lambda p: p.changed(signatures=[{"keyid": key("wallet").keyid, "sig": "?"}]),
        "bad-base64",
    ),
    "a short signature": (
        lambda p: p.changed(signatures=[{"keyid": key("wallet").keyid, "sig": "YQ=="}]),
        "bad-signature",
    ),
    "not a key id": (lambda p: p.changed(signatures=[{"keyid": "rsa:1", "sig": ""}]), "bad-keyid"),
    "no signature": (lambda p: p.changed(signatures=[]), "bad-envelope"),
    "wrong key": (wrong_key, "bad-signature"),
    "changed after signing": (
        lambda p: p.good._replace(payload=p.good.payload.replace(b"412", b"413")),
        "bad-signature",
    ),
    "signed as another kind": (
        lambda p: p.good._replace(payload_type=p.good.payload_type.replace("activity", "tick")),
        "bad-field",
    ),
    "twice by one key": (
        lambda p: p.changed(signatures=[*p.value["signatures"], p.value["signatures"][0]]),
        "duplicate-signature",
    ),
    "rooted": (lambda p: p.changed(signatures=[{**p.value["signatures"][0], "rooted": {}}]), "bad-rooted"),
    "missing role": (lambda p: without(p, 1), "missing-role"),
    "two missing roles": (lambda p: without(p, 2), "missing-role"),
    "a role too many": (lambda p: resign(p.good, extra=[key("stranger")]), "extra-signature"),
    "two roles by one key": (by_one_key, "shared-key"),
    "another ledger's": (another_ledger, "other-ledger"),
    "unknown kind": (unknown_kind, "unknown-kind"),
    "a second genesis": (lambda p: resign(sign_genesis(p)), "not-genesis"),
    "replayed created_at": (lambda p: p.cast.grant(expires_at=None, limits=None, delegable=True), "stale-version"),
    "created in the future": (lambda p: p.cast.grant(created_at=p.cast.now(300_001)), "from-the-future"),
    "other scopes over an active grant": (
        lambda p: p.cast.grant([("v-7c21", "mail")], created_at=p.cast.now(1)),
        "scopes-in-force",
    ),
    "another wallet's vault": (lambda p: sign_grant_by(p, "thief"), "not-owner"),
    "revoked grant": (revoked, "grant-revoked"),
    "expired grant": (expired, "grant-expired"),
    "superseded grant": (superseded, "grant-superseded"),
    "out-of-scope grant": (out_of_scope, "out-of-scope"),
    "a vault that nobody opened": (lambda p: p.other(vault_scope="v-9 / calendar"), "out-of-scope"),
    "absent grant": (lambda p: p.other(agent=key("stranger").keyid), "grant-absent key-not-in-force"),
    "not the payer": (lambda p: p.other(customer=key("stranger").keyid), "not-payer"),
    "an era that is not open": (lambda p: p.other(era=1), "era-not-open"),
    "an unknown cluster": (lambda p: p.other(cluster="dragon-2"), "unregistered"),
    "another node's runtime": (lambda p: p.other(node="node-1"), "key-not-in-force"),
    "an end before the start": (lambda p: p.other(ended_at=from_ms(START_MS - 1)), "times-out-of-order"),
    "an end ahead of the clock": (lambda p: p.other(ended_at=from_ms(START_MS + DAY_MS)), "from-the-future"),
    "a batch out of turn": (lambda p: p.cast.seal(0, 4, [bytes(32)]), "wrong-number"),
    "a batch of nothing there": (lambda p: p.cast.seal(0, 0, [bytes(32)]), "batch-mismatch"),
    "a beacon of no round": (lambda p: p.cast.reveal_beacon(0, 0), "wrong-phase"),
    "a deposit twice": (second_deposit, "already-recorded"),
    "a deposit by no bank": (no_bank, "key-not-in-force"),
    "a wire form of no grant": (wire, "bad-signature bad-field"),
    "a wire form by another algorithm": (lambda p: wire(p, algorithm="rsa"), "bad-envelope"),
}
"""What somebody brings, and the codes of the errors that may name it: each code is a class of its own."""


def picture(ledger: Ledger) -> tuple[object, ...]:
    """All that must not change."""
    return (ledger.state, ledger.store.size(), ledger.store.read(ledger.size - 1), ledger.store.checkpoints())


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_and_leaves_nothing(place: Place, what: str) -> None:
    """Alone, among good ones in an atomic call, and in a stream, where only it is kept out."""
    make, codes = BAD[what]
    bad = make(place)
    before = picture(place.ledger)
    with pytest.raises(ProofroomError) as refused:
        place.ledger.append(bad)
    error = refused.value
    assert error.code in codes.split(), error
    assert error.advice
    assert str(error)
    assert error.to_json()["code"] == error.code
    assert picture(place.ledger) == before
    good = place.cast.deposit(place.cast.user.keyid, 1)
    with pytest.raises(type(error)):
        place.ledger.append_many([good, bad])
    assert picture(place.ledger) == before
    outcomes = list(place.ledger.append_stream([bad, good, bad]))
    assert [isinstance(o, Recorded) for o in outcomes] == [False, True, False]
    assert [o.code for o in outcomes if isinstance(o, ProofroomError)] == [error.code, error.code]
    assert place.ledger.size == before[1] + 1  # type: ignore[operator]  # a size, where there is a ledger


def test_the_good_one_is_good(place: Place) -> None:
    """What the bad ones are made from is accepted."""
    assert isinstance(place.ledger.append(place.good), Recorded)
    assert isinstance(place.ledger.append(place.payload(place.room.record().payload)), Recorded)


def test_every_room_is_its_own(place: Place) -> None:
    """The helper that makes another ledger's statement does make another ledger."""
    assert json.loads(another_ledger(place).payload)["ledger"] != place.ledger.id
    assert isinstance(place.room, Room)
