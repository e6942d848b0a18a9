"""Attacks by a host that holds the ledger's own keys, and binds and signs whatever it likes."""

from __future__ import annotations

from typing import Any

import orjson

from proofroom.adapters.keys import Key
from proofroom.adapters.lab.attack import Attack, Scene, attack
from proofroom.domain.canonical import encode
from proofroom.domain.checkpoint import parse_note, sign_checkpoint
from proofroom.domain.envelope import Envelope, statement_id
from proofroom.domain.errors import NothingToAttack
from proofroom.domain.hashing import tagged
from proofroom.domain.statements import payload_type_of

BY_HOST: list[Attack] = []

STRANGER = Key(bytes(32))


def _replaced(scene: Scene, index: int, envelope: Envelope) -> None:
    """The log with one statement replaced, all behind it bound anew."""
    entries = scene.entries()
    entries[index] = (entries[index][0], envelope)
    scene.rewrite(entries)


def _changed(scene: Scene, index: int, change: Any) -> None:
    _replaced(scene, index, scene.by_ledger(scene.entries()[index][1], change))


def _add_one(value: dict[str, Any], *path: str) -> None:
    *way, last = path
    for step in way:
        value = value[step]
    value[last] = value[last] + 1 if isinstance(value[last], int) else str(int(value[last]) + 1)


def _ticks(scene: Scene, ledger: str, at_ms: int, first: int, count: int) -> list[tuple[int, Envelope]]:
    """Statements that the ledger's key may make at any time."""
    kind, signer = payload_type_of("tick"), scene.signers["ledger"]
    return [
        (at_ms, scene.signed(kind, encode({"index": i, "ledger": ledger}), signer)) for i in range(first, first + count)
    ]


@attack("fork", "host", "FORKED", BY_HOST)
def _fork(scene: Scene) -> None:
    """The history is written anew without what happened last, and longer than it was; every signature and rule holds."""
    entries = scene.entries()
    (at_ms, last), earlier = entries[-1], entries[:-1]
    scene.rewrite([*earlier, *_ticks(scene, orjson.loads(last.payload)["ledger"], at_ms, len(earlier), 2)])


@attack("another-ledger", "host", "FORKED", BY_HOST)
def _another_ledger(scene: Scene) -> None:
    """The whole log is replaced by another one under the same name and keys, as long as the first."""
    entries = scene.entries()
    at_ms, genesis = entries[0]
    value = orjson.loads(genesis.payload) | {"unit": "OTHER"}
    other = scene.signed(genesis.payload_type, encode(value), scene.signers["ledger"], scene.signers["checkpoint"])
    name = tagged(statement_id(other.payload_type, other.payload))
    scene.rewrite([(at_ms, other), *_ticks(scene, name, at_ms, 1, len(entries))])


@attack("sign-checkpoint-with-another-key", "host", "INVALID", BY_HOST)
def _another_checkpoint_key(scene: Scene) -> None:
    """The newest checkpoint is signed by a key that is not the ledger's."""
    scene.rewrite(scene.entries())
    note = scene.newest_note()
    signed = sign_checkpoint(parse_note(note)[0], STRANGER)
    scene.edit(("UPDATE checkpoints SET note = ? WHERE size = (SELECT max(size) FROM checkpoints)", [signed]))


@attack("payout-changed", "host", "INVALID", BY_HOST)
def _payout_changed(scene: Scene) -> None:
    """A payout is one unit larger."""
    _changed(scene, scene.find("payout", last=True), lambda v: _add_one(v, "amount"))


@attack("payout-redirected", "host", "INVALID", BY_HOST)
def _payout_redirected(scene: Scene) -> None:
    """A payout goes to another account."""
    _changed(scene, scene.find("payout", last=True), lambda v: v.update(credit="treasury:mine"))


@attack("payout-left-out", "host", "INVALID", BY_HOST)
def _payout_left_out(scene: Scene) -> None:
    """A payout is never written."""
    entries = scene.entries()
    del entries[scene.find("payout")]
    scene.rewrite(entries)


@attack("double-pay", "host", "INVALID", BY_HOST)
def _double_pay(scene: Scene) -> None:
    """A payout is written twice."""
    entries, index = scene.entries(), scene.find("payout", last=True)
    entries.insert(index, entries[index])
    scene.rewrite(entries)


@attack("era-totals-changed", "host", "INVALID", BY_HOST)
def _totals_changed(scene: Scene) -> None:
    """The era's statement counts one record more than were attested."""
    _changed(scene, scene.find("era-paid"), lambda v: _add_one(v, "records", "attested"))


@attack("tally-changed", "host", "INVALID", BY_HOST)
def _tally_changed(scene: Scene) -> None:
    """A tally says that more agreed than did."""
    _changed(scene, scene.find("round-tallied"), lambda v: _add_one(v, "agree"))


@attack("tally-left-out", "host", "INVALID", BY_HOST)
def _tally_left_out(scene: Scene) -> None:
    """A round never ends."""
    entries = scene.entries()
    del entries[scene.find("round-tallied")]
    scene.rewrite(entries)


@attack("jury-chosen", "host", "INVALID", BY_HOST)
def _jury_chosen(scene: Scene) -> None:
    """The ledger names a committee that was not drawn."""
    _changed(scene, scene.find("round-opened"), lambda v: v["committee"].reverse())


@attack("assurance-flattered", "host", "INVALID", BY_HOST)
def _assurance_flattered(scene: Scene) -> None:
    """A round claims that more validators were eligible than were."""
    _changed(scene, scene.find("round-opened"), lambda v: _add_one(v, "assurance", "eligible"))


@attack("record-omitted", "host", "INVALID", BY_HOST)
def _record_omitted(scene: Scene) -> None:
    """A record is taken out of an era, and all behind it is bound anew."""
    entries = scene.entries()
    del entries[scene.find("activity")]
    scene.rewrite(entries)


@attack("vote-omitted", "host", "INVALID", BY_HOST)
def _vote_omitted(scene: Scene) -> None:
    """A vote that was shown is taken out, and the tally stays as it was."""
    entries = scene.entries()
    del entries[scene.find("vote-revealed", last=True)]
    scene.rewrite(entries)


@attack("sign-for-another", "host", "INVALID", BY_HOST)
def _sign_for_another(scene: Scene) -> None:
    """A deposit is written that no bank signed."""
    index = scene.find("deposit", last=True)
    envelope = scene.entries()[index][1]
    value = orjson.loads(envelope.payload)
    _add_one(value, "amount")
    payload = encode(value)
    _replaced(scene, index, scene.signed(envelope.payload_type, payload, scene.signers["ledger"]))


@attack("signature-stripped", "host", "INVALID", BY_HOST)
def _signature_stripped(scene: Scene) -> None:
    """One of the three signatures of a record is taken away."""
    index = scene.find("activity")
    envelope = scene.entries()[index][1]
    _replaced(scene, index, envelope._replace(signatures=envelope.signatures[1:]))


@attack("signature-of-another-statement", "host", "INVALID", BY_HOST)
def _signature_reused(scene: Scene) -> None:
    """A statement carries the signatures that its parties gave to another."""
    entries = scene.entries()
    places = [
        i for i, (_, e) in enumerate(entries) if e.payload_type == entries[scene.find("activity")][1].payload_type
    ]
    if len(places) < 2:
        raise NothingToAttack(what="second record")
    first, second = entries[places[0]][1], entries[places[1]][1]
    _replaced(scene, places[0], first._replace(signatures=second.signatures))


@attack("clock-turned-back", "host", "INVALID", BY_HOST)
def _clock_back(scene: Scene) -> None:
    """An entry is recorded before the one in front of it."""
    entries = scene.entries()
    index = next(i for i in range(1, len(entries)) if entries[i][0] > entries[i - 1][0])
    entries[index] = (entries[index - 1][0] - 1, entries[index][1])
    scene.rewrite(entries)


@attack("history-backdated", "host", "FORKED", BY_HOST)
def _backdated(scene: Scene) -> None:
    """The last entries are recorded a millisecond later than they were; every rule holds."""
    entries = scene.entries()
    at, envelope = entries[-1]
    scene.rewrite([*entries[:-1], (at + 1, envelope)])
