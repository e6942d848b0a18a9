"""Random histories that a ledger takes: whole worlds over several eras."""

from __future__ import annotations

from hypothesis import strategies as st

from proofroom.adapters.cast import PARAMETERS, Work
from proofroom.domain.canonical import MILLIONTHS, number_text
from proofroom.domain.ids import from_ms
from proofroom.domain.statements.attestation import ABSTAIN_REASONS, REJECT_REASONS
from proofroom.domain.statements.consent import Limits
from proofroom.testing.histories import HOUR_MS, History, wire_grant
from proofroom.testing.keys import key

REASONS = [*REJECT_REASONS, *ABSTAIN_REASONS]


def units(micro: int) -> int | float:
    """GPU units as statements write this many millionths."""
    return micro // MILLIONTHS if micro % MILLIONTHS == 0 else float(number_text(micro))


def works() -> st.SearchStrategy[Work]:
    """What a run may burn."""
    small = st.integers(0, 10**6)
    large = st.integers(0, 2**40)
    return st.tuples(small, st.integers(0, 10**9).map(units), large, large, small, small).map(
        lambda parts: Work(*parts)
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Up to three eras with work, partial seals, dissent, late records, short deposits, and grants that come and go."""
    late = draw(st.sampled_from(["refused", "next-era"]))
    parameters = PARAMETERS.model_copy(update={"late_records": late})
    history = History(seed=str(draw(st.integers(0, 9))), parameters=parameters)
    history.found(deposit=draw(st.sampled_from([1, 10**9, 10**13, 10**30])))
    history.write(history.cast.payer(key("sponsor"), 10**15))
    for era in range(draw(st.integers(1, 3))):
        history.write(history.cast.open_era(era))
        history.sleep(1_500)
        for _ in range(draw(st.integers(0, 5))):
            _act(draw, history, era)
        _end(draw, history, era)
    return history


def _act(draw: st.DrawFn, history: History, era: int) -> None:
    cast = history.cast
    history.sleep(draw(st.sampled_from([1, 1, 999, 40_000])))
    action = draw(
        st.sampled_from(["work", "work", "work", "seal", "seal", "attest", "attest", "money", "consent", "wire"])
    )
    if action == "work":
        customer = draw(st.sampled_from([cast.user, cast.user, key("sponsor")])).keyid
        history.work(era, *draw(st.lists(works(), min_size=1, max_size=4)), customer=customer)
    elif action == "seal":
        _seal(draw, history, era)
    elif action == "attest":
        _attest(draw, history)
    elif action == "money":
        owner = draw(st.sampled_from([cast.user, key("sponsor")])).keyid
        history.write(cast.deposit(owner, draw(st.integers(0, 10**33))))
    elif action == "consent":
        _consent(draw, history)
    else:
        expires_at = draw(st.sampled_from([None, from_ms(history.clock + 700)]))
        revoked = draw(st.booleans())
        history.write(wire_grant(history, key("wallet-2"), "v-2", expires_at=expires_at, revoked=revoked))


def _consent(draw: st.DrawFn, history: History) -> None:
    """End the grant, or let it run out, and grant anew at once."""
    cast = history.cast
    limits = draw(st.none() | st.builds(Limits, cpu_ms=st.just(10**15), gpu_units=st.just(10**9)))
    if draw(st.booleans()):
        history.write(cast.grant(revoked=True))
    else:
        history.write(cast.grant(expires_at=cast.now(500), replace=True))
        history.sleep(draw(st.sampled_from([499, 500, 501])))
        history.tick()
    history.sleep(1)
    scopes = draw(st.sampled_from([[("v-7c21", "calendar")], [("v-7c21", "mail"), ("v-7c21", "calendar")]]))
    history.write(cast.grant(scopes, limits=limits, replace=True))


def _unsealed(history: History, era: int) -> int:
    queues = history.state.eras[history.cast.cluster, era].queues
    queue = queues.get(history.cast.orchestrator.keyid)
    return 0 if queue is None else queue.tail - queue.head


def _seal(draw: st.DrawFn, history: History, era: int) -> None:
    if unsealed := _unsealed(history, era):
        history.seal(era, draw(st.integers(1, unsealed)))


def _attest(draw: st.DrawFn, history: History) -> None:
    """A whole round, for the oldest batch that awaits its beacon."""
    history.state_due()
    waiting = sorted(number for (_, number), round in history.state.rounds.items() if not round.reveals)
    if waiting:
        count = len(history.state.rounds[history.cast.cluster, waiting[0]].records)
        doubts = st.dictionaries(st.integers(0, count - 1), st.sampled_from(REASONS), max_size=3)
        shared = draw(doubts)
        history.attest(waiting[0], *[shared] * draw(st.integers(0, 5)), draw(doubts))


def _end(draw: st.DrawFn, history: History, era: int) -> None:
    """Close the era when all is sealed; else let it run out."""
    if draw(st.booleans()):
        carries = history.cast.parameters.late_records == "next-era" and draw(st.booleans())
        while _unsealed(history, era) and not carries:
            history.seal(era)
        _attest(draw, history)
        history.write(history.cast.close_era(era))
        history.tick(200_000)
    else:
        history.tick(25 * HOUR_MS)
