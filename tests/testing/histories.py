"""Whole histories of a ledger in memory: a fake clock, keys that follow from names, the cast, and nothing but ``transition``.

>>> history = History()                        # genesis, nothing else
>>> history.write(*history.cast.founding())    # cluster, validators, bonds; what is due is stated before and after each
>>> history.sleep(60_000)                      # only the clock moves; `tick` records that it did
>>> history.attest(0)                          # beacon, commitments and votes of round 0
>>> history.entries, history.states            # states[i] is the state before entry i, states[-1] the newest

:func:`store_of` puts a history into a ``MemoryStore`` with its checkpoints. :mod:`proofroom.testing.worlds` draws histories at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from proofroom.adapters.cast import PARAMETERS, Cast, Work
from proofroom.adapters.keys import Key
from proofroom.adapters.mapper import StoredEntry, originator_id, to_stored_entry
from proofroom.adapters.stores import Batch, MemoryStore
from proofroom.domain import merkle
from proofroom.domain.checkpoint import Checkpoint, sign_checkpoint
from proofroom.domain.entry import Entry, entry_bytes
from proofroom.domain.envelope import Envelope, sign, verify
from proofroom.domain.ids import Digest, KeyId, from_ms, to_ms
from proofroom.domain.signing import Signer
from proofroom.domain.state import RULES, State
from proofroom.domain.statements import KINDS, Statement
from proofroom.domain.statements.attestation import Vote
from proofroom.domain.statements.consent import Metadata, ScopeContext, ScopeName, WireGrant
from proofroom.domain.statements.fields import Model
from proofroom.domain.statements.governance import Parameters
from proofroom.domain.statements.ledger import Genesis, Tick
from proofroom.domain.transition import next_due, transition
from proofroom.domain.voting import make_vote
from proofroom.testing.keys import deterministic_randomness, key, key_of

START_MS = to_ms("2026-03-01T09:00:00Z")
HOUR_MS = 3_600_000
ORIGIN = "example.org/room"


def make_genesis(**changes: Any) -> Genesis:
    """A genesis statement with keys of the names ``ledger``, ``checkpoint`` and ``bank``."""
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "created_at": from_ms(START_MS),
        "rules": RULES,
        "ledger_key": key("ledger").keyid,
        "ledger_recovery_key": key("ledger-recovery").keyid,
        "checkpoint_key": key("checkpoint").keyid,
        "checkpoint_recovery_key": key("checkpoint-recovery").keyid,
        "bank_keys": [key("bank").keyid],
        "unit": "CERE",
    }
    return Genesis(**fields | changes)


def with_parameters(**groups: dict[str, Any]) -> Parameters:
    """The cast's parameters with some fields changed, by group; ``top`` are those that have none."""
    changes: dict[str, Any] = {
        group: getattr(PARAMETERS, group).model_copy(update=fields)
        for group, fields in groups.items()
        if group != "top"
    }
    return PARAMETERS.model_copy(update=changes | groups.get("top", {}))


def resign(
    envelope: Envelope, *, without: Iterable[KeyId] = (), extra: Iterable[Signer] = (), **changes: Any
) -> Envelope:
    """The same statement with some fields changed, signed by the same keys, but for those left out and added."""
    value = orjson.loads(envelope.payload)
    plain = {name: field.to_json() if isinstance(field, Model) else field for name, field in changes.items()}
    signers: list[Signer] = [key_of(s.keyid) for s in envelope.signatures if s.keyid not in set(without)]
    return sign(KINDS[envelope.payload_type].model_validate({**value, **plain}), *signers, *extra)


class History:
    """A ledger that grows in memory, from genesis on.

    Args:
        seed: of the randomness in ids and digests.
        genesis: changes to the fields of the genesis statement.
        cast: arguments of :class:`~proofroom.adapters.cast.Cast`.
    """

    def __init__(self, *, seed: str = "", genesis: Mapping[str, Any] | None = None, **cast: Any) -> None:
        self.clock = START_MS
        self.entries: list[Entry] = []
        self.states: list[State] = [State()]
        self.record(sign(make_genesis(**genesis or {}), key("ledger"), key("checkpoint")))
        self.cast = Cast(
            self.state.ledger, lambda: self.clock, key, randomness=deterministic_randomness(f"cast {seed}"), **cast
        )

    @property
    def state(self) -> State:
        """The newest state."""
        return self.states[-1]

    @property
    def grant(self) -> Digest:
        """The newest version that the cast's wallet granted."""
        return self.state.grants[self.cast.user.keyid, self.cast.agent.keyid].digest

    def entry(self, envelope: Envelope, at_ms: int | None = None) -> Entry:
        """The envelope as the next entry, at this time or the clock's; it is not recorded."""
        return Entry(self.state.size, self.clock if at_ms is None else at_ms, verify(envelope))

    def record(self, envelope: Envelope) -> Entry:
        """Record exactly this, now. Raises what the transition raises, and is then unchanged."""
        entry = self.entry(envelope)
        state = transition(self.state, entry)
        self.entries.append(entry)
        self.states.append(state)
        return entry

    def write(self, *envelopes: Envelope) -> Entry:
        """Record all of them, and whatever is due before and after each, as the write path does. The last entry."""
        self.state_due()
        for envelope in envelopes:
            self.record(envelope)
            self.state_due()
        return self.entries[-1]

    def due(self) -> Statement | None:
        """What the ledger must state now."""
        return next_due(self.state, self.clock)

    def state_due(self) -> None:
        """Record all that is due now."""
        while (due := self.due()) is not None:
            self.record(sign(due, key("ledger")))

    def sleep(self, ms: int) -> None:
        """Let the clock run on; nothing is recorded."""
        self.clock += ms

    def tick(self, ms: int = 0) -> None:
        """Let the clock run on, record what is due, and say that time passed."""
        self.sleep(ms)
        self.state_due()
        self.record(sign(Tick(ledger=self.state.ledger, index=self.state.size), key("ledger")))

    def found(self, *, deposit: int = 10**12) -> None:
        """Cluster, validators, bonds, consent and a deposit of the cast's wallet: all that comes before the first era."""
        cast = self.cast
        self.write(*cast.founding(), *cast.consent(), cast.deposit(cast.user.keyid, deposit))

    def work(self, era: int, *works: Work, **changes: Any) -> list[Entry]:
        """Record one activity for each piece of work, on the nodes in turn."""
        return [
            self.write(self.cast.activity(self.grant, era, work, node=i % 3, **changes)) for i, work in enumerate(works)
        ]

    def seal(self, era: int, count: int | None = None) -> int:
        """Seal the oldest unsealed records of the cast's orchestrator: all, or so many. The number of the round."""
        facts = self.state.eras[self.cast.cluster, era]
        queue = facts.queues[self.cast.orchestrator.keyid]
        last = queue.tail if count is None else queue.head + count
        self.write(self.cast.seal(era, facts.batches, [queue.records[i].id for i in range(queue.head, last)]))
        return self.state.clusters[self.cast.cluster].rounds - 1

    def reveal_beacons(self, round: int, validators: Iterable[int] | None = None) -> list[int]:
        """The validators (by number; None is all eligible) reveal their beacon values. The committee, when it was drawn by then."""
        eligible = self.state.rounds[self.cast.cluster, round].eligible
        numbers = [i for i, v in enumerate(self.cast.validators) if v.keyid in eligible]
        for i in numbers if validators is None else validators:
            self.write(self.cast.reveal_beacon(round, i))
        return self.cast.members(self.state, round)

    def vote(self, round: int, votes: Mapping[int, Vote | None]) -> None:
        """The validators commit to votes and reveal them; who has None commits (to nothing in particular) and stays silent."""
        for i, vote in votes.items():
            self.write(self.cast.commit(self.state, round, i, vote or make_vote(1)))
        for i, vote in votes.items():
            if vote is not None:
                self.write(self.cast.reveal(round, i, vote))

    def attest(self, round: int, *doubts: dict[int, str]) -> None:
        """All eligible reveal, and the whole committee votes: the first members with these doubts, the others in agreement."""
        members = self.reveal_beacons(round)
        facts = self.state.rounds[self.cast.cluster, round]
        padded = [*doubts, *({} for _ in members)]
        votes = [make_vote(len(facts.records), d, judged=facts.judged) for d in padded]
        self.vote(round, dict(zip(members, votes, strict=False)))


def wire_grant(history: History, wallet: Key, vault: str, **changes: Any) -> Envelope:
    """A grant as wallets in the field send it."""
    fields: dict[str, Any] = {
        "agent_service_pub_key": history.cast.agent.keyid,
        "user_pub_key": wallet.keyid,
        "created_at": from_ms(history.clock),
        "expires_at": None,
        "revoked": False,
        "metadata": Metadata(scopes=(ScopeContext(context=ScopeName(vaultId=vault, scopeId="mail")),)),
    }
    return sign(WireGrant(**fields | changes), wallet)


def store_of(history: History) -> MemoryStore:
    """The history in a store of its own, with a checkpoint wherever nothing is due, as the write path leaves them."""
    store, tree, group = MemoryStore(), merkle.Tree(), list[StoredEntry]()
    for entry, state in zip(history.entries, history.states[1:], strict=True):
        data = entry_bytes(entry.index, entry.recorded_at_ms, *entry.verified.frozen)
        tree, nodes = merkle.append(tree, merkle.SHA256.leaf(data))
        group.append(to_stored_entry(entry, originator_id(entry.verified), b"".join(nodes)))
        if next_due(state, entry.recorded_at_ms) is None or entry is history.entries[-1]:
            note = sign_checkpoint(Checkpoint(ORIGIN, tree.size, merkle.root(tree)), key("checkpoint"))
            _append(store, group, note)
            group = []
    return store


def _append(store: MemoryStore, entries: list[StoredEntry], note: str) -> None:
    store.append(entries[0].index, lambda _: Batch(entries, note))
