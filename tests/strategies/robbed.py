"""Random histories in which everybody's key changes, or is stolen, at any moment: of the ledger too, and in the middle of a round.

Nothing but ``transition``, unlike :mod:`strategies.living`, whose acts these are besides: whoever has a new key signs with it.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

from proofroom.adapters.cast.parties import PARAMETERS
from proofroom.adapters.keys import Key
from proofroom.domain.entry import Entry
from proofroom.domain.envelope import Envelope, sign
from proofroom.domain.errors import Conflict, NamedByLaterKey, Refused
from proofroom.domain.identity import key_in_force, keyring
from proofroom.domain.statements.activity import Signers
from proofroom.domain.statements.consent import AgentKey
from proofroom.domain.transition import transition
from proofroom.testing.clocks import Clock
from proofroom.testing.histories import HOUR_MS, START_MS, History, resign
from proofroom.testing.keys import key, key_of
from strategies import living
from strategies.consenting import compromise, delegate, rotate, set_recovery
from strategies.living import SPONSOR, SUB, Life, LongEnough

DERIVED = key("derived of the sub-agent")


class Robbed(Life):
    """A history of about so many entries.

    Args:
        seed: draws everything.
        size: entries after which it ends.
    """

    def __init__(self, seed: str, size: int) -> None:
        self.chance, self.wanted, self.changes, self._ms = Random(seed), 10**9, 0, Clock(START_MS)
        draw = self.chance.choice
        parts: dict[str, Any] = {
            "attestation": PARAMETERS.attestation.model_copy(
                update={"escalations": draw((0, 1)), "committee": draw((5, 6))}
            ),
            "late_records": draw(("refused", "next-era")),
        }
        parameters = PARAMETERS.model_copy(update=parts)
        History.__init__(self, seed=seed, parameters=parameters, validators=draw((9, 17)), chain=60)
        self.wanted = size

    @property
    def state(self) -> Any:
        """The newest state."""
        return self.states[-1]

    def record(self, envelope: Envelope) -> Entry:
        """Signed by the keys in force."""
        for signature in envelope.signatures:
            try:
                now = key_in_force(self.state, signature.keyid)
            except NamedByLaterKey:
                continue
            if now != signature.keyid:
                envelope = resign(envelope, without=[signature.keyid], extra=[key_of(now)])
        entry = self.entry(envelope)
        state = transition(self.state, entry)
        self.entries.append(entry)
        self.states.append(state)
        if self.state.size >= self.wanted and self.due() is None:
            raise LongEnough
        return entry

    def state_due(self) -> None:
        """The ledger states what is due."""
        History.state_due(self)

    def live(self) -> None:
        """To its end."""
        cast = self.cast
        self.write(*cast.founding(), *cast.consent(), cast.payer(SPONSOR, 10**15), cast.payer(cast.user, 10**15))
        self.write(sign(_certificate(self), SUB, DERIVED))
        self.write(
            *(cast.deposit(owner.keyid, self.chance.choice((0, 10**9, 10**13))) for owner in (cast.user, SPONSOR))
        )
        with suppress(LongEnough):
            while True:
                self.sleep(self.chance.choice((1, 1, 700, 2_000)))
                self.state_due()
                self._act()

    def _act(self) -> None:
        assert self.cluster is not None
        acts = [living._deposit, living._market, _grant_anew, _rotate, *[_steal] * 2]
        acts += _OPEN if self.cluster.open else [living._open_era] * 20
        with suppress(Refused, Conflict):
            self.chance.choice(acts)(self)


def _certificate(life: Life) -> AgentKey:
    fields: dict[str, Any] = {"ledger": life.state.ledger, "agent": SUB.keyid, "key": DERIVED.keyid}
    fields |= {"created_at": life.cast.now(), "expires_at": life.cast.now(10**9)}
    return AgentKey(vault_scope=life.cast.vault_scope, **fields)


def _somebody(life: Life) -> tuple[Key, Key]:
    """A party, and a key that was never used."""
    cast = life.cast
    parties = [
        cast.user,
        cast.agent,
        cast.derived,
        SUB,
        DERIVED,
        cast.orchestrator,
        SPONSOR,
        cast.manager,
        key("ledger"),
    ]
    parties += [*cast.runtimes, *cast.validators]
    return life.chance.choice(parties), key(f"new key at {life.state.size}")


def _rotate(life: Life) -> None:
    party, new = _somebody(life)
    life.write(rotate(life.cast, party, new))


def _steal(life: Life) -> None:
    """It is told at once, or of any time before."""
    party, new = _somebody(life)
    recovery = keyring(life.state, party.keyid).recovery
    if recovery is None:
        recovery = key(f"recovery of {party.keyid}").keyid
        life.write(set_recovery(life.cast, party, key_of(recovery)))
    size = life.state.size
    since = life.chance.choice((size, max(0, size - 3), max(0, size - 40), life.chance.randrange(size)))
    life.write(compromise(life.cast, party, since, new, key_of(recovery)))


def _grant_anew(life: Life) -> None:
    cast = life.cast
    life.write(cast.grant(delegable=True, replace=True))
    granted = life.state.grants[cast.user.keyid, cast.agent.keyid].digest
    life.write(delegate(cast, cast.agent, SUB.keyid, granted))


def _work_for_another(life: Life) -> None:
    """The sub-agent works."""
    cast, node = life.cast, life.chance.randrange(3)
    passed_on = life.state.delegations.get((cast.user.keyid, SUB.keyid))
    if passed_on is not None and life.cluster is not None:
        names = {"orchestrator": cast.orchestrator.keyid, "agent-runtime": cast.runtimes[node].keyid}
        signers = Signers.model_validate({**names, "agent-derived-key": DERIVED.keyid})
        link = passed_on[cast.agent.keyid].digest
        record = cast.record(link, life.cluster.opened, agent=SUB.keyid, signers=signers, node=node)
        life.write(sign(record, DERIVED, cast.orchestrator, cast.runtimes[node]))


def _end_era(life: Life) -> None:
    if life.chance.random() < 0.5:
        life.tick(25 * HOUR_MS)
    else:
        living._close_era(life)


_OPEN = [
    *[living._work] * 10,
    *[_work_for_another] * 3,
    *[living._seal] * 6,
    *[living._attest] * 16,
    _grant_anew,
    _end_era,
]
