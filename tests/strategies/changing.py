"""A history in which a record is vouched for by all that may change on the way: keys, delegations, a second committee."""

from __future__ import annotations

from functools import cache

from proofroom.adapters.cast import Work
from proofroom.domain.envelope import sign
from proofroom.domain.statements.activity import Signers
from proofroom.domain.statements.consent import AgentKey
from proofroom.testing.histories import History, resign, with_parameters
from proofroom.testing.keys import key
from strategies.consenting import compromise, delegate, rotate, set_recovery
from strategies.disputes import UNSEEN

SUBS = (key("sub-1"), key("sub-2"), key("sub-3"))
DERIVED = key("derived of sub-3")


@cache
def changed_history() -> History:
    """The wallet sets a recovery key twice and takes a new key; so does the orchestrator. The wallet's grant is passed on three times, and
    the last sub-agent works. Of its three records the first committee attests one and cannot tell about two; the second attests these.
    The orchestrator's key is declared stolen, from then on; the era is paid; then the wallet's, from its beginning. To read, not to write.
    """
    history = History(seed="changed", validators=17, parameters=with_parameters(attestation={"escalations": 1}))
    history.found()
    cast, calendar = history.cast, history.cast.vault_scope
    wallet, orchestrator = key("wallet-b"), key("orchestrator-b")
    history.write(set_recovery(cast, cast.user, key("user-recovery")), rotate(cast, cast.user, wallet))
    history.write(set_recovery(cast, cast.user, key("user-recovery-2"), key("user-recovery"), by=wallet))
    history.write(set_recovery(cast, cast.orchestrator, key("orchestrator-recovery")))
    history.write(rotate(cast, cast.orchestrator, orchestrator))
    history.tick(1_000)
    granted = cast.grant(delegable=True, replace=True)
    link = history.write(resign(granted, without=[cast.user.keyid], extra=[wallet])).verified.digest
    for giver, agent in zip((cast.agent, *SUBS), SUBS, strict=False):
        link = history.write(delegate(cast, giver, agent.keyid, link, metadata={"delegable": True})).verified.digest
    certificate = AgentKey(
        ledger=cast.ledger, agent=SUBS[2].keyid, vault_scope=calendar, key=DERIVED.keyid, created_at=cast.now(),
        expires_at=cast.now(10**9),
    )  # fmt: skip
    history.write(sign(certificate, SUBS[2], DERIVED), cast.open_era(0))
    history.tick(2_000)
    for i in range(3):
        names = {"orchestrator": cast.orchestrator.keyid, "agent-runtime": cast.runtimes[0].keyid}
        signers = Signers.model_validate({**names, "agent-derived-key": DERIVED.keyid})
        record = cast.record(link, 0, Work(100 + i), agent=SUBS[2].keyid, signers=signers)
        history.write(sign(record, DERIVED, orchestrator, cast.runtimes[0]))
    history.tick()
    queue = history.state.eras[cast.cluster, 0].queues[cast.orchestrator.keyid]
    sealed = cast.seal(0, 0, [queue.records[i].id for i in range(queue.head, queue.tail)])
    history.write(resign(sealed, without=[cast.orchestrator.keyid], extra=[orchestrator]))
    history.attest(0, *[{1: UNSEEN, 2: UNSEEN}] * 5)
    history.attest(1)
    later, since = key("orchestrator-c"), history.state.size
    history.write(compromise(cast, cast.orchestrator, since, later, key("orchestrator-recovery")))
    history.sleep(1_000)
    history.write(cast.close_era(0))
    history.write(compromise(cast, cast.user, 1, key("wallet-c"), key("user-recovery-2")))
    history.tick(1_000)
    return history
