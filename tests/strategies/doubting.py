"""Histories in which a key was stolen."""

from __future__ import annotations

from collections.abc import Callable

from proofroom.adapters.cast import Cast, Work
from proofroom.adapters.keys import Key
from proofroom.testing.histories import History
from proofroom.testing.keys import key
from strategies.consenting import set_recovery

RECOVERY, NEW = key("recovery"), key("successor")

PARTIES: list[tuple[str, Callable[[Cast], Key]]] = [
    ("wallet", lambda cast: cast.user),
    ("agent service", lambda cast: cast.agent),
    ("derived key", lambda cast: cast.derived),
    ("orchestrator", lambda cast: cast.orchestrator),
    ("runtime", lambda cast: cast.runtimes[1]),
    ("payer", lambda cast: key("sponsor")),
]


def prepared(party: Callable[[Cast], Key]) -> tuple[History, int]:
    """Two records under all that is honest, then a thief's grant, certificate and payer statement, and two records on top of these."""
    history = History()
    history.found()
    cast = history.cast
    history.write(cast.open_era(0), cast.payer(key("sponsor"), 10**12), cast.deposit(key("sponsor").keyid, 10**12))
    history.write(set_recovery(cast, party(cast), RECOVERY))
    history.work(0, Work(1_000), Work(1_000))
    history.work(0, Work(1_000), customer=key("sponsor").keyid)
    history.sleep(1_000)
    since = history.state.size
    history.write(cast.grant(replace=True), cast.payer(key("sponsor"), 10**12))
    cast.derived = key("second derived")
    history.write(cast.certify())
    return history, since
