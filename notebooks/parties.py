"""Who lives in the world of the notebooks: their keys, their ledger and its founding, and what time it is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from blake3 import blake3

from notebooks.story import (
    COMMITTEE,
    DAYS,
    DEPOSITS,
    PEOPLE,
    SPONSOR,
    VALIDATORS,
)
from proofroom import Ledger, ProofroomError, sign
from proofroom.adapters.cast import DAY_MS, PARAMETERS, Cast
from proofroom.adapters.keys import Key
from proofroom.adapters.simulation.rooms import store_in
from proofroom.domain.envelope import Envelope
from proofroom.domain.ids import Digest, from_ms, to_ms
from proofroom.domain.state import RULES
from proofroom.domain.statements.governance import Bonds, Prices
from proofroom.domain.statements.ledger import Genesis

START_MS = to_ms("2026-01-05T00:00:00Z")
CERE = 10**10

PRICES = Prices(
    cpu_second="2000000000",
    gpu_unit="15000000000",
    mib_streamed="400000000",
    mib_stored_month="4000000",
    put="20000000",
    get="4000000",
)


class Parties:
    """Everybody, and what time it is.

    Args:
        room: the folder of the ledger.
        seed: what keys and chance follow from.
        scale: of amounts, against a world of full size.
    """

    def __init__(self, room: Path, seed: int, scale: float) -> None:
        self.now, self.random, self.names = START_MS, random.Random(seed), dict[str, str]()
        self.key = self._keys(seed)
        self.scale = scale
        self.ledger = Ledger(store_in(room)(lambda: self.now), [self.key("ledger"), self.key("checkpoint")])
        self.ledger.append(sign(self._genesis(), self.key("ledger"), self.key("checkpoint")))
        self._cast = cache(self._make_cast)
        self.cluster = self._cast()
        self._found()

    def _keys(self, seed: int) -> Callable[[str], Key]:
        @cache
        def key(name: str) -> Key:
            made = Key(blake3(b"proofroom notebooks %d %b" % (seed, name.encode())).digest())
            self.names[made.keyid] = name
            return made

        return key

    def _make_cast(self, person: str = "nobody", agent: str = "nothing", scope: str = "calendar") -> Cast:
        """The parties as one person and one agent meet them."""
        own = {"wallet": person, "agent-service": agent}
        vault = f"v-{person.lower()}"

        def key(name: str) -> Key:
            return self.key(f"{agent} at {vault} / {scope}" if name.startswith("derived ") else own.get(name, name))

        attestation = PARAMETERS.attestation.model_copy(update={"committee": COMMITTEE})
        bonds = Bonds(
            cluster_minimum=str(1_000 * CERE),
            validator_minimum=str(100 * CERE),
            slash_floor=str(CERE),
            slash_multiple=3,
        )
        changes = {"prices": PRICES, "attestation": attestation, "bonds": bonds, "era_seconds": 30 * 86_400}
        return Cast(
            self.ledger.id,
            lambda: self.now,
            key,
            randomness=self.random.randbytes,
            vault=vault,
            scope=scope,
            validators=sum(count for _, count in VALIDATORS),
            parameters=PARAMETERS.model_copy(update=changes),
            chain=2 * DAYS,
        )

    def _genesis(self) -> Genesis:
        return Genesis(
            origin="notebooks.invalid/room",
            created_at=from_ms(START_MS),
            rules=RULES,
            ledger_key=self.key("ledger").keyid,
            ledger_recovery_key=self.key("ledger-recovery").keyid,
            checkpoint_key=self.key("checkpoint").keyid,
            checkpoint_recovery_key=self.key("checkpoint-recovery").keyid,
            bank_keys=(self.key("bank").keyid,),
            unit="CERE",
        )

    def _found(self) -> None:
        cast = self.cluster
        self.write([cast.found_cluster(), cast.deposit(cast.manager.keyid, 20_000 * CERE, account="cluster-bond")])
        for person in PEOPLE:
            self.write([self._cast(person).open_vault()])
            self.write([self._deposit(person, DEPOSITS.get(person, 4_000))])
        sponsor, sponsored = SPONSOR
        agent = self._cast(agent=sponsored)
        self.write([self._deposit(sponsor, DEPOSITS[sponsor]), agent.payer(self.key(sponsor), 20_000 * CERE)])

    def _deposit(self, person: str, amount: float) -> Envelope:
        """Amounts are in CERE for a world of full size."""
        return self.cluster.deposit(self.key(person).keyid, max(CERE, round(amount * self.scale) * CERE))

    # --- the ledger

    def write(self, envelopes: Iterable[Envelope]) -> None:
        """All of them are to be recorded: this world writes nothing that is refused."""
        for outcome in self.ledger.append_stream(envelopes):
            if isinstance(outcome, ProofroomError):
                raise outcome

    def _id(self, envelope: Envelope) -> Digest:
        """Record a statement that others name."""
        return self.ledger.append(envelope).statement

    def at(self, day: int, hour: float) -> None:
        """Let time pass."""
        self.now = max(self.now, START_MS + day * DAY_MS + round(hour * 3_600_000))

    def _wait(self, ms: int) -> None:
        """Until the phase is over."""
        self.now += ms
        self.ledger.tick()
