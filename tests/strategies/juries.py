"""A cluster whose validators are the component that hosts run, on a ledger whose clock the test moves."""

from __future__ import annotations

import hashlib
from pathlib import Path

from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.ledger import Ledger
from proofroom.adapters.observations import ObservationFolder, sign_observation
from proofroom.adapters.stores import MemoryStore, Store
from proofroom.adapters.validator import Validator
from proofroom.domain.crosscheck import Observation, claim_of
from proofroom.domain.envelope import Envelope, sign, statement_id, verify
from proofroom.domain.ids import from_ms
from proofroom.domain.signing import Signer
from proofroom.domain.state import Round
from proofroom.domain.statements.activity import Activity
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import START_MS, make_genesis
from proofroom.testing.keys import deterministic_randomness, key
from strategies.rooms import signers

GATEWAY = key("gateway")


def make_validator(ledger: Ledger, folder: Path, i: int, *, signer: Signer | None = None) -> Validator:
    """Validator ``i`` of cluster dragon-1 as it is after a start, with its journal and the observations in a folder."""
    return Validator(
        ledger,
        "dragon-1",
        signer or key(f"validator-{i}"),
        hashlib.sha256(b"secret %d" % i).digest(),
        observations=ObservationFolder(folder / "observations"),
        sources={GATEWAY.keyid},
        journal=folder / f"journal-{i}",
        chain=50,
    )


class Pen:
    """The key of validator ``i``, and a file of all that it was asked to sign."""

    def __init__(self, folder: Path, i: int) -> None:
        self.path, self.key = folder / "signed", key(f"validator-{i}")
        self.keyid = self.key.keyid

    def sign(self, message: bytes) -> bytes:
        """Remember, and sign."""
        with self.path.open("ab") as file:
            file.write(message.hex().encode() + b" ")
        return self.key.sign(message)

    def signed(self) -> list[bytes]:
        """All that it was asked to sign."""
        return self.path.read_bytes().split()


def observe(folder: Path, record: Envelope, source: Signer = GATEWAY, **changes: object) -> Path:
    """The gateway hands out what it saw: what the record says, but for some changes. The folder of the record's observations."""
    statement = verify(record).statement
    assert isinstance(statement, Activity)
    claim = claim_of(statement)
    seen = Observation(*claim.usage, (claim.vault_scope,), claim.result_hash)._replace(**changes)  # type: ignore[arg-type]  # a claim as plain values
    name = statement_id(record.payload_type, record.payload)
    observation = sign_observation(statement.ledger, name, seen, source, at_ms=START_MS)
    ObservationFolder(folder / "observations").put(name, observation)
    return folder / "observations" / name.hex()


class Chamber:
    """A ledger with an open era, seven validators, and a gateway whose observations they believe."""

    def __init__(self, folder: Path, *, store: Store | None = None, clock: Clock | None = None) -> None:
        self.folder = folder
        self.clock = clock or Clock(START_MS)
        self.ledger = Ledger(store or MemoryStore(self.clock), signers())
        self.ledger.append(sign(make_genesis(), *signers()))
        self.cast = Cast(self.ledger.id, self.clock, key, randomness=deterministic_randomness("jury"), validators=0)
        self.validators = [make_validator(self.ledger, folder, i) for i in range(7)]
        cast = self.cast
        self.ledger.append_many([*cast.founding(), *cast.consent(), cast.deposit(cast.user.keyid, 10**13)])
        for i, validator in enumerate(self.validators):
            self.ledger.append(validator.registration(key(f"controller-{i}"), from_ms(self.clock())))
            self.ledger.append(cast.deposit(validator.keyid, 10**12, account="validator-bond"))
        self.ledger.append(cast.open_era(0))

    def record(self, cpu_ms: int = 412) -> Envelope:
        """One more record on the ledger."""
        grant = self.ledger.state.grants[self.cast.user.keyid, self.cast.agent.keyid].digest
        envelope = self.cast.activity(grant, 0, Work(cpu_ms))
        self.ledger.append(envelope)
        return envelope

    def observe(self, record: Envelope, source: Signer = GATEWAY, **changes: object) -> Path:
        """The gateway hands out what it saw of a record."""
        return observe(self.folder, record, source, **changes)

    def seal(self) -> None:
        """The orchestrator seals all its records: a round begins."""
        self.ledger.append(self.cast.seal_all(self.ledger.state, 0))

    def round(self, number: int = 0) -> Round | None:
        """A round that is not final."""
        return self.ledger.state.rounds.get((self.cast.cluster, number))

    def go_on(self) -> None:
        """Each validator does its part, once."""
        for validator in self.validators:
            validator.step()
        self.ledger.tick()

    def hold(self, number: int = 0) -> None:
        """Have the validators end a round."""
        while self.round(number) is not None:
            self.go_on()
