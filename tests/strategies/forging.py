"""A host that holds every key: histories that differ from an honest one in exactly one place, and are consistent in all others.

:func:`forge` changes statements of :func:`proven_history` and then makes everything that depends on them anew: ids, batch roots,
commitments, payout and completeness roots, signatures, tree and checkpoint. What a verifier then refuses, it refuses for the one change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import orjson

from proofroom.adapters.cast import Work
from proofroom.adapters.mapper import StoredEntry
from proofroom.adapters.proving import Prover
from proofroom.adapters.stores import Batch, MemoryStore
from proofroom.domain import hashing, merkle
from proofroom.domain.canonical import encode
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.entry import entry_bytes
from proofroom.domain.envelope import statement_id
from proofroom.domain.ids import KeyId
from proofroom.domain.signatures import Signature, encode_signatures
from proofroom.domain.signing import Signer, pae
from proofroom.domain.statements import GRANT_WIRE, payload_type_of
from proofroom.domain.statements.attestation import Vote
from proofroom.domain.voting import commitment
from proofroom.testing.histories import HOUR_MS, ORIGIN, History
from proofroom.testing.keys import key, key_of
from strategies.consenting import erase

Body = dict[str, Any]
Change = Callable[[Body], object]


@cache
def proven_history() -> History:
    """A history with all that a proof may have to show: two customers, dissent, a rejected record, one that nobody judged, two paid
    eras, a grant that is renewed and revoked, an erasure.
    """
    history = History(seed="proven", validators=8)
    cast, sponsor = history.cast, key("sponsor")
    history.write(*cast.founding())
    history.write(cast.open_vault(), cast.grant(), cast.certify())
    history.write(cast.payer(sponsor, 10**15))
    history.write(cast.deposit(cast.user.keyid, 10**13), cast.deposit(sponsor.keyid, 1_234_567))
    history.write(cast.open_era(0))
    history.sleep(1_500)
    history.work(0, Work(1_000, 0.5), Work(999, 0.000001, 7 * 2**40, 3 * 2**20 + 1, 17, 3))
    history.work(0, Work(777), customer=sponsor.keyid)
    first = history.seal(0)
    history.tick()
    history.attest(first)
    history.work(0, *[Work(100 + i) for i in range(9)])
    second = history.seal(0)
    history.attest(second, *[{2: "result-mismatch"}] * 4, {7: "observation-conflict"})
    history.tick(1_000)
    history.work(0, Work(5), Work(6))
    third = history.seal(0, 1)
    history.reveal_beacons(third, range(5))  # five of eight are too few
    history.tick(24 * HOUR_MS)
    history.write(cast.open_era(1), cast.grant([("v-7c21", "calendar"), ("v-7c21", "mail")], replace=True))
    history.sleep(2_000)
    history.work(1, Work(50_000, 0, 2**50, 2**30, 1, 1))
    history.attest(history.seal(1))
    history.write(cast.close_era(1), cast.grant(created_at=cast.now(1), revoked=True))
    history.tick(1_000)
    history.write(erase(cast, "epoch 0"))
    return history


def indexes(kind: str) -> list[int]:
    """Where the statements of a kind stand."""
    return [e.index for e in proven_history().entries if e.statement.kind == kind]


@cache
def _bodies() -> tuple[bytes, ...]:
    return tuple(e.verified.envelope.payload for e in proven_history().entries)


class _Forger:
    """One pass over the history, from genesis on."""

    def __init__(
        self,
        changes: Mapping[int, Change],
        signers: Mapping[int, Sequence[Signer]],
        times: Mapping[int, int],
        kinds: Mapping[int, str],
        history: History,
    ) -> None:
        self.history = history
        self.changes, self.signers, self.times, self.kinds = changes, signers, times, kinds
        self.ids: dict[str, str] = {}
        self.queues: dict[str, list[bytes]] = defaultdict(list)
        self.lines: dict[int, list[bytes]] = defaultdict(list)
        self.rounds: dict[int, bytes] = {}
        self.bodies = [orjson.loads(e.verified.envelope.payload) for e in history.entries]
        for index, body in enumerate(self.bodies):
            if self._kind(index) == "vote-revealed":  # its commitment comes before it
                self._change(index, body)

    def _change(self, index: int, body: Body) -> None:
        if index in self.changes:
            self.changes[index](body)

    def _kind(self, index: int) -> str:
        return self.kinds.get(index, self.history.entries[index].statement.kind)

    def store(self) -> MemoryStore:
        """The forged history in a store, with one checkpoint over all of it."""
        tree, entries = merkle.Tree(), []
        for entry in self.history.entries:
            kind, payload, signatures = self._statement(entry.index)
            time = self.times.get(entry.index, entry.recorded_at_ms)
            signed = encode_signatures(signatures)
            data = entry_bytes(entry.index, time, kind, payload, signed)
            tree, nodes = merkle.append(tree, merkle.SHA256.leaf(data))
            id = f"{entry.index:076x}"
            entries.append(StoredEntry(id, 1, kind, payload, entry.index, time, signed, b"".join(nodes)))
        note = sign_checkpoint(Checkpoint(ORIGIN, tree.size, merkle.root(tree)), key("checkpoint"))
        store = MemoryStore()
        store.append(0, lambda _: Batch(entries, note))
        return store

    def _statement(self, index: int) -> tuple[str, bytes, tuple[Signature, ...]]:
        verified = self.history.entries[index].verified
        kind, body = payload_type_of(self._kind(index)), self.bodies[index]
        for name in ("ledger", "grant", "parent", "listing"):
            if body.get(name) in self.ids:
                body[name] = self.ids[body[name]]
        self._depend(self._kind(index), body)
        self._change(index, body)
        payload = encode(body)
        id = statement_id(kind, payload)
        self.ids[verified.digest] = hashing.tagged(id)
        self._remember(self._kind(index), body, id)
        if index not in self.signers and verified.envelope[:2] == (kind, payload):
            return kind, payload, verified.envelope.signatures
        message = payload if kind == GRANT_WIRE else pae(kind, payload)
        signers = self.signers.get(index, [key_of(s.keyid) for s in verified.envelope.signatures])
        signatures = sorted(Signature(KeyId(s.keyid), s.sign(message)) for s in signers)
        return kind, payload, tuple(signatures)

    def _depend(self, kind: str, body: Body) -> None:
        """Make anew what this statement says of earlier ones."""
        if kind == "batch-sealed":
            queue = self.queues[body["orchestrator"]]
            body["root"] = hashing.tagged(merkle.root_of(queue[: body["count"]]))
            del queue[: body["count"]]
        elif kind == "era-sealed" and "carried" not in body:
            self.queues.clear()
        elif kind == "vote-committed":
            shown = [b for b in self.bodies if "vote" in b and _seat(b) == _seat(body)]
            if shown:
                salt, vote = bytes.fromhex(shown[0]["salt"]), Vote.model_validate(shown[0]["vote"])
                body["commitment"] = hashing.tagged(
                    commitment(self.rounds[body["round"]], body["validator"], salt, vote)
                )
        elif kind == "era-paid":
            body["lines_root"] = hashing.tagged(merkle.root_of(self.lines[body["era"]]))

    def _remember(self, kind: str, body: Body, id: bytes) -> None:
        if kind == "activity":
            self.queues[body["signers"]["orchestrator"]].append(id)
        elif kind == "round-opened":
            self.rounds[body["round"]] = id
        elif kind == "payout":
            self.lines[body["era"]].append(id)


def _seat(body: Body) -> tuple[Any, Any]:
    return body.get("round"), body.get("validator")


def forge(
    changes: Mapping[int, Change] | None = None,
    *,
    signers: Mapping[int, Sequence[Signer]] | None = None,
    times: Mapping[int, int] | None = None,
    kinds: Mapping[int, str] | None = None,
    history: History | None = None,
) -> Prover:
    """A maker of proof files over a history (:func:`proven_history`, if none is given) with these changes by index: of statements, of
    who signs, of times, of kinds.
    """
    forger = _Forger(changes or {}, signers or {}, times or {}, kinds or {}, history or proven_history())
    return Prover(forger.store(), key("checkpoint").keyid)


@cache
def prover() -> Prover:
    """The honest history."""
    return forge()


def root_at(size: int) -> bytes:
    """The honest root."""
    node = prover().store.node
    return merkle.root(merkle.Tree(size, tuple(node(*peak) for peak in merkle.peaks_of(size))))


def id_at(prover: Prover, index: int) -> bytes:
    """The statement id of an entry."""
    (stored,) = prover.store.read(index, 1)
    return statement_id(stored.topic, stored.state)


def body_at(index: int) -> Body:
    """The statement of an entry of the honest history."""
    body: Body = orjson.loads(_bodies()[index])
    return body


def become(body: Mapping[str, Any], **fields: Any) -> Change:
    """A change into another statement."""

    def change(old: Body) -> None:
        ledger = old["ledger"]
        old.clear()
        old.update(orjson.loads(orjson.dumps(body)) | {"ledger": ledger} | fields)

    return change


def set_to(path: str, value: Any) -> Change:
    """A change of one field."""

    def change(body: Body) -> None:
        *parents, last = path.split(".")
        for name in parents:
            body = body[name]
        body[last] = value(body[last]) if callable(value) else value

    return change
