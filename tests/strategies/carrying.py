"""A history of late records that go to later eras."""

from __future__ import annotations

from functools import cache

from proofroom.adapters.cast import DAY_MS, Work
from proofroom.domain.statements.activity import Activity
from proofroom.testing.histories import History, with_parameters
from proofroom.testing.keys import key
from strategies.governing import pass_all, settings


@cache
def carried_history() -> History:
    """Four eras, in which records are late once, twice, in vain, and still waiting; to read, not to write.

    Of era 0's records the first is sealed there, the second in era 1, the third, of another customer, in era 2. Era 1's only record is
    refused at the end of era 2, like era 2's own, since from era 2 on late records are refused. Era 3 carries again, and is the last:
    its record waits for an era 4.
    """
    history = History(seed="carried", validators=6, parameters=with_parameters(top={"late_records": "next-era"}))
    history.found()
    history.write(history.cast.payer(key("sponsor"), 10**15), history.cast.deposit(key("sponsor").keyid, 10**12))
    sealed = [(1, None), (1, "refused"), (1, "next-era"), (0, None)]
    for era, (count, then) in enumerate(sealed):
        history.write(history.cast.open_era(era))
        history.sleep(1_000)
        history.work(era, *[Work(1_000 + era, puts=era)] * (2 if era == 0 else 1))
        if era == 0:
            history.work(era, Work(3_000), customer=key("sponsor").keyid)
        if count:
            history.attest(history.seal(era, count))
        if then is not None:
            pass_all(history, (settings(late_records=then),))
        history.tick(DAY_MS)
    return history


def records() -> list[int]:
    """The entries of its six records."""
    return [e.index for e in carried_history().entries if isinstance(e.statement, Activity)]
