"""Proof files from a store: a receipt, a record with all that vouches for it, its payment, an era whole.

It gathers and proves; whether what it gathered holds is for :mod:`proofroom.domain.verifier` to say, which gives only the size of a file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from immutables import Map

from proofroom.adapters.head import looking_up
from proofroom.adapters.mapper import StoredEntry, to_entry
from proofroom.adapters.stores import Store, from_nodes
from proofroom.domain import merkle
from proofroom.domain.activity import usage_of
from proofroom.domain.checkpoint import parse_note, verifier_key
from proofroom.domain.counting import Tally, tallies_of
from proofroom.domain.doubt import taken_back
from proofroom.domain.envelope import statement_id
from proofroom.domain.eras import completeness_leaves
from proofroom.domain.errors import NoSuchEntry, ProofImpossible
from proofroom.domain.hashing import tagged
from proofroom.domain.ids import KeyId
from proofroom.domain.merkle import INNER
from proofroom.domain.receipt import Receipt, write_proof
from proofroom.domain.state import State
from proofroom.domain.statements import KINDS
from proofroom.domain.statements.activity import Activity
from proofroom.domain.transition import transition
from proofroom.domain.verifier.proof import MAX_FILE
from proofroom.domain.voting import read_bitmap

PAGE = 5_000
KEY_CHANGES = ("key-rotated", "identity", "compromise")
GRANTS = ("grant", "grant-wire", "delegation")


def earlier(store: Store, note: str) -> int:
    """The size of a checkpoint whose tree the store's log begins with.

    Raises:
        ProofImpossible: it does not.
    """
    head = parse_note(note)[0]
    tree = merkle.Tree(head.size, tuple(store.nodes(merkle.peaks_of(head.size))))
    if not 0 < head.size <= store.size() or merkle.root(tree) != head.root:
        raise ProofImpossible(
            what=f"a proof under the checkpoint of size {head.size}", why="the log does not extend it"
        )
    return head.size


@dataclass(frozen=True, slots=True)
class Found:
    """A statement in the log."""

    index: int
    kind: str
    id: bytes
    body: dict[str, Any]


class Prover:
    """Makes proof files under the newest checkpoint of a store.

    Args:
        store: the log; it is only read.
        checkpoint_key: the key that signs its checkpoints.
        since: size of a checkpoint that the reader of the file kept: the file then also proves that the log extends it.
        note: an earlier checkpoint of this store to prove under, such as one with cosignatures; without it, the newest.

    Raises:
        NoSuchEntry: the log has no checkpoint.
        ProofImpossible: the log is shorter than the checkpoint kept.
    """

    def __init__(self, store: Store, checkpoint_key: KeyId, since: int | None = None, note: str | None = None) -> None:
        last = store.last_checkpoint()
        if last is None:
            raise NoSuchEntry(what="checkpoint")
        self.store, (self.size, self.note) = store, last
        if note is not None:
            self.size, self.note = earlier(store, note), note
        self.log = verifier_key(parse_note(self.note)[0].origin, checkpoint_key)
        self.parts: dict[str, Any] = {}
        if since is not None and since > self.size:
            raise ProofImpossible(what=f"a log that extends {since} entries", why=f"it has {self.size}")
        if since is not None and 0 < since < self.size:
            path = from_nodes(store, lambda node: merkle.consistency_path(since, self.size, node))
            self.parts["consistency"] = {"size": since, "path": path}

    def receipt(self, index: int) -> Receipt:
        """The receipt of an entry."""
        entry, path = self._item(index)
        return Receipt(entry, tuple(path), self.note)

    def entry(self, index: int) -> bytes:
        """The receipt of an entry as a proof file."""
        return self._write("entry", [index])

    @looking_up
    def record(self, record_id: str) -> bytes:
        """A record from its grant to its tally.

        Raises:
            NoSuchEntry: no such record.
            ProofImpossible: it is in no batch, or its round is not final.
        """
        return self._write("record", *self._record(self._find_record(record_id)))

    @looking_up
    def payout(self, record_id: str) -> bytes:
        """A record from its grant to the lines that paid for it: its customer's charge, and what its node's provider got.

        Raises:
            NoSuchEntry: no such record.
            ProofImpossible: its era is not paid yet, or did not pay it, since a compromise took it back.
        """
        work = self._find_record(record_id)
        indexes, parts = self._record(work)
        era = self._era_of(work)
        paid, lines = era.last("era-paid"), era.of("payout")
        sought = {("charge", "customer", work.body["customer"]), ("provider", "node", work.body["node"])}
        mine = [
            x
            for x in lines
            if any((x.body["role"], x.body["basis"].get(by)) == (role, key) for role, by, key in sought)
        ]
        leaves, ids = self._leaves(era, paid, work), [line.id for line in lines]
        place = next(
            i for i, leaf in enumerate(leaves) if _names(orjson.loads(leaf), "customer", work.body["customer"])
        )
        parts["lines"] = [_inner_path(line.body["line"], ids) for line in mine]
        counted = {"leaf": orjson.loads(leaves[place]), "position": place, "size": len(leaves)}
        parts["counted"] = {**counted, "path": _inner_path(place, leaves)}
        return self._write("payout", {*indexes, paid.index, *(line.index for line in mine)}, parts)

    @looking_up
    def era(self, cluster: str, number: int) -> bytes:
        """An era whole: every entry of the log from its opening to its payment.

        Raises:
            ProofImpossible: it is not paid yet, or larger than any verifier reads, as from some 40,000 entries on.
        """
        era = _Era(self._scan, cluster, number)
        came = [x.index for x in era.came]
        first, end = era.last("era-opened").index, era.last("era-paid").index + 1
        founded = [x.index for x in self._scan() if x.kind == "cluster-founded" and x.body["cluster"] == cluster]
        entries = [self._bytes(index) for index in range(first, end)]
        around = from_nodes(self.store, lambda node: merkle.run_path(first, end, self.size, node))
        run = {"first": first, "entries": entries, "around": around}
        return self._write("era", {0, *founded, *came}, {"run": run}, range(first, end))

    def _leaves(self, era: _Era, paid: Found, work: Found) -> list[bytes]:
        """What the completeness root of a record's era commits to: by a replay, where a theft took back what its rounds attested.

        Raises:
            ProofImpossible: the record was taken back.
        """
        leaves, opened = completeness_leaves(era.tallies()), era.last("era-opened").index
        stolen = any(x.kind == "compromise" and opened < x.index < paid.index for x in self._scan())
        if not stolen or tagged(merkle.root_of(leaves)) == paid.body["completeness_root"]:
            return leaves
        state = State()
        for start in range(0, paid.index, PAGE):
            for stored in self.store.read(start, min(PAGE, paid.index - start)):
                state = transition(state, to_entry(stored))
        settled = state.eras[paid.body["cluster"], era.number]
        if any(work.id == record.id for judged in settled.judged.values() for record in taken_back(state, judged)):
            raise ProofImpossible(
                what=f"the payment of record {work.body['record_id']}", why="a compromise took it back"
            )
        return completeness_leaves(tallies_of(settled))

    def _write(
        self, claim: str, indexes: Iterable[int], parts: dict[str, Any] | None = None, run: range = range(0)
    ) -> bytes:
        changes = () if claim == "entry" else self._key_changes([*indexes, *run])  # one entry names keys, not parties
        alone = {*indexes, *changes} - set(run)
        items = [self._item(index) for index in sorted(alone)]
        data = write_proof(claim, self.log, self.note, items, **(parts or {}), **self.parts)
        if len(data) > MAX_FILE:
            why = f"it has {len(data)} bytes, verifiers read {MAX_FILE}: audit the log instead"
            raise ProofImpossible(what=f"a file of {len(run) or len(items)} entries", why=why)
        return data

    def _key_changes(self, indexes: Iterable[int]) -> Iterator[int]:
        """The entries by which a party to these, or the checkpoint key, came to its keys."""
        payloads = [self._stored(index).state for index in {0, *indexes}]
        for x in self._scan():
            if x.kind in KEY_CHANGES and any(x.body["identity"].encode() in payload for payload in payloads):
                yield x.index

    def _item(self, index: int) -> tuple[bytes, list[bytes]]:
        entry = self._bytes(index)
        return entry, from_nodes(self.store, lambda node: merkle.inclusion_path(index, self.size, node))

    def _bytes(self, index: int) -> bytes:
        return self._stored(index).entry_bytes()

    def _stored(self, index: int) -> StoredEntry:
        if not 0 <= index < self.size:
            raise NoSuchEntry(what=f"entry {index}")
        (stored,) = self.store.read(index, 1)
        return stored

    def _scan(self, needle: bytes = b"") -> Iterator[Found]:
        """Every statement up to the checkpoint whose payload holds these bytes."""
        start = 0
        while start < self.size and (page := self.store.scan(start, min(PAGE, self.size - start))):
            for index, _, topic, payload in page:
                if needle in payload:
                    yield Found(index, KINDS[topic].kind, statement_id(topic, payload), orjson.loads(payload))
            start = page[-1][0] + 1

    def _find_record(self, record_id: str) -> Found:
        for found in self._scan(record_id.encode()):
            if found.kind == Activity.kind and found.body["record_id"] == record_id:
                return found
        raise NoSuchEntry(what=f"record {record_id}")

    def _links(self, work: Found) -> set[tuple[str | None, ...]]:
        """Who grants to whom, from the grant or delegation that a record names up to the wallet's grant."""
        grants = {tagged(x.id): x for x in self._scan() if x.kind in GRANTS}
        parties, link = set(), grants.get(work.body["grant"])
        while link is not None:
            parties.add(_parties(link))
            link = grants.get(link.body.get("parent", ""))
        return parties

    def _era_of(self, work: Found) -> _Era:
        """The era that counts a record: that of its batch, to which it may have been left.

        Raises:
            ProofImpossible: it is in no batch.
        """
        cluster = work.body["cluster"]
        for x, records in _queue_ends(self._scan(), cluster):
            if x.kind == "batch-sealed" and any(record.index == work.index for record in records):
                return _Era(self._scan, cluster, x.body["era"])
        raise ProofImpossible(what=f"record {work.body['record_id']}", why="it is in no batch")

    def _record(self, work: Found) -> tuple[set[int], dict[str, Any]]:
        """The entries that vouch for a record, and its place in its batch."""
        era = self._era_of(work)
        batch, records = era.batch_of(work)
        left = [x.index for x in self._scan() if _left(x, work, era.number)]
        judged = era.judgement(batch)
        since = min(record.index for record in records)
        stolen = [x.index for x in self._scan() if x.kind == "compromise" and since < x.index < max(judged)]
        links = self._links(work)
        consent = [x.index for x in self._scan() if _vouches(x, work) or (x.kind in GRANTS and _parties(x) in links)]
        payers = [x.index for x in self._scan() if _pays(x, work)][-1:]
        position = next(i for i, record in enumerate(records) if record.index == work.index)
        path = _inner_path(position, [record.id for record in records])
        return {0, work.index, batch.index, *left, *judged, *stolen, *consent, *payers}, {
            "batch": {"position": position, "path": path}
        }


def _queue_ends(scan: Iterator[Found], cluster: str) -> Iterator[tuple[Found, list[Found]]]:
    """Each batch of a cluster with its records, the oldest of its orchestrator's queue; each seal of an era with those left in any."""
    queues: dict[str, list[Found]] = defaultdict(list)
    for x in scan:
        if x.body.get("cluster") != cluster:
            continue
        if x.kind == Activity.kind:
            queues[x.body["signers"]["orchestrator"]].append(x)
        elif x.kind == "batch-sealed":
            queue, count = queues[x.body["orchestrator"]], x.body["count"]
            yield x, queue[:count]
            del queue[:count]
        elif x.kind == "era-sealed":
            yield x, [record for queue in queues.values() for record in queue]
            if "carried" not in x.body:
                queues.clear()


class _Era:
    """All statements of an era, by kind, and the records that it counts: they may have come to it from an earlier one."""

    def __init__(self, scan: Callable[[], Iterator[Found]], cluster: str, number: int) -> None:
        self.name, self.number = f"era {number} of {cluster}", number
        self._kinds: dict[str, list[Found]] = defaultdict(list)
        self._votes: dict[int, list[Found]] = defaultdict(list)
        for x in scan():
            if x.body.get("cluster") == cluster and x.body.get("era") == number:
                self._kinds[x.kind].append(x)
            elif x.body.get("cluster") == cluster and x.kind in ("vote-committed", "vote-revealed"):
                self._votes[x.body["round"]].append(x)
        self.batches: list[tuple[Found, list[Found]]] = []
        self.refused: list[Found] = []
        self.came: list[Found] = []
        """The seal of the era before, if there is one, and the records that it left to this one."""
        for x, records in _queue_ends(scan(), cluster):
            if x.kind == "batch-sealed" and x.body["era"] == number:
                self.batches.append((x, records))
            elif x.kind == "era-sealed" and x.body["era"] == number and "carried" not in x.body:
                self.refused = records
            elif x.kind == "era-sealed" and x.body["era"] == number - 1:
                self.came = [x, *(records if "carried" in x.body else [])]

    def of(self, kind: str) -> list[Found]:
        """In log order."""
        return self._kinds[kind]

    def last(self, kind: str) -> Found:
        """The only one of a kind.

        Raises:
            ProofImpossible: it is not there yet.
        """
        if not self.of(kind):
            raise ProofImpossible(what=self.name, why=f"it has no {kind} yet")
        return self.of(kind)[-1]

    def batch_of(self, work: Found) -> tuple[Found, list[Found]]:
        """The batch that a record is in."""
        return next((b, records) for b, records in self.batches if any(r.index == work.index for r in records))

    def judgement(self, batch: Found) -> set[int]:
        """The indexes of the round, the votes and the tally of a batch."""
        number = batch.body["batch"]
        mine = [x for kind in ("round-opened", "round-tallied") for x in self.of(kind) if x.body["batch"] == number]
        if not any(x.kind == "round-tallied" and "escalated" not in x.body for x in mine):
            raise ProofImpossible(what=f"batch {number} of {self.name}", why="its round is not final")
        return {x.index for opened in mine for x in (opened, *self._votes[opened.body["round"]])}

    def tallies(self) -> Map[tuple[str, KeyId], Tally]:
        """What the completeness root commits to."""
        attested: set[int] = set()
        tallied: dict[int, int] = defaultdict(int)
        for x in self.of("round-tallied"):  # a batch may have one of each committee
            tallied[x.body["batch"]] |= read_bitmap(x.body["attested"], x.body["records"])
        for batch, records in self.batches:
            attested |= {record.index for i, record in enumerate(records) if tallied[batch.body["batch"]] >> i & 1}
        sums: dict[tuple[str, KeyId], Tally] = defaultdict(Tally)
        for record in (record for records in (*(r for _, r in self.batches), self.refused) for record in records):
            usage = usage_of(Activity.model_validate(record.body))
            for party in ("agent", "customer"):
                key = (party, record.body[party])
                sums[key] = Tally(
                    sums[key].recorded + 1, sums[key].attested + (record.index in attested), sums[key].usage.plus(usage)
                )
        return Map(sums)


def _parties(grant: Found) -> tuple[str | None, ...]:
    """Versions of one grant, or of one delegation, share these."""
    return tuple(grant.body.get(name) for name in ("user_pub_key", "agent_service_pub_key", "delegator"))


def _vouches(x: Found, work: Found) -> bool:
    """The certificate of the key that signed a record, the listing that it was sold under, and what was erased of it."""
    body = work.body
    if x.kind == "listing":
        return tagged(x.id) == body.get("listing")
    if x.kind == "agent-key":
        return bool(x.body["key"] == body["signers"]["agent-derived-key"])
    return x.kind == "erased" and x.body["vault_scope"] == body["vault_scope"] and body["record_id"] in x.body["what"]


def _left(x: Found, work: Found, until: int) -> bool:
    """The seal of an era that left a record to the next one."""
    return (
        x.kind == "era-sealed"
        and x.body["cluster"] == work.body["cluster"]
        and work.body["era"] <= x.body["era"] < until
    )


def _pays(x: Found, work: Found) -> bool:
    """A customer's word that it pays for this agent service in this cluster."""
    fields = ("customer", "agent", "cluster")
    return x.kind == "payer" and x.index < work.index and all(x.body[f] == work.body[f] for f in fields)


def _inner_path(position: int, items: list[bytes]) -> list[bytes]:
    """The path of an item in a tree inside a statement."""
    nodes: dict[tuple[int, int], bytes] = {}
    tree = merkle.Tree()
    for i, item in enumerate(items):
        tree, completed = merkle.append(tree, INNER.leaf(item), INNER)
        nodes |= {(height, i >> height): hash for height, hash in enumerate(completed)}
    return merkle.inclusion_path(position, len(items), lambda height, k: nodes[height, k], INNER)


def _names(leaf: dict[str, Any], party: str, key: str) -> bool:
    return (leaf["party"], leaf["key"]) == (party, key)
