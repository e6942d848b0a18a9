"""Withdrawals: money waits, and pays while it waits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proofroom.adapters.cast import Work
from proofroom.domain.accounts import bank_account, bond_account, customer_account, provider_account
from proofroom.domain.claims import Chunk
from proofroom.domain.state import State
from proofroom.domain.statements.withdrawals import WithdrawalPaid
from proofroom.domain.unlocking import DEPOSIT_MS, get_chunks, get_free, trim
from proofroom.testing.histories import History
from proofroom.testing.keys import key
from strategies.spending import withdraw

DAY_MS = 86_400_000


def paid(history: History) -> list[int]:
    """What left, request by request."""
    return [int(e.statement.amount) for e in history.entries if isinstance(e.statement, WithdrawalPaid)]


def founded(deposit: int = 10**12) -> History:
    """A cluster and a deposit."""
    history = History()
    history.found(deposit=deposit)
    return history


def account(history: History) -> str:
    """The deposit of the cast's wallet."""
    return customer_account(history.cast.cluster, history.cast.user.keyid)


def test_a_deposit_leaves_after_seven_days_and_not_a_moment_earlier() -> None:
    """It stays on its account until then; afterwards the bank owes it outside."""
    history = founded()
    bank = history.state.balances[bank_account(history.cast.bank.keyid)]
    history.write(withdraw(history.cast, history.cast.user, 10**12))
    assert get_free(history.state, account(history)) == 0
    history.sleep(7 * DAY_MS - 1)
    assert history.due() is None
    history.tick(1)
    assert paid(history) == [10**12]
    assert account(history) not in history.state.balances
    assert history.state.balances[bank_account(history.cast.bank.keyid)] == bank + 10**12
    assert history.state.agenda == ()


def test_a_bond_leaves_after_twenty_eight_days_and_counts_no_more_at_once() -> None:
    """A validator that asks for its bond is drawn no more, though its bond still stands for what it did."""
    history = founded()
    cast, last = history.cast, history.cast.validators[-1]
    history.write(withdraw(cast, last, 1, "validator-bond"), cast.open_era(0))
    history.work(0, Work())
    round = history.seal(0)
    assert last.keyid not in history.state.rounds[cast.cluster, round].eligible
    history.tick(28 * DAY_MS - 1)
    assert paid(history) == []
    history.tick(1)
    assert paid(history) == [1]
    assert history.state.balances[bond_account(cast.cluster, last.keyid)] == 10**11 - 1


def test_what_was_earned_leaves_at_once() -> None:
    """A provider's earnings wait for nothing."""
    history = founded()
    history.write(history.cast.open_era(0))
    history.work(0, Work(cpu_ms=10**6))
    history.attest(history.seal(0))
    history.tick(DAY_MS)
    provider = history.cast.providers[0]
    earned = history.state.balances[provider_account(provider.keyid)]
    history.write(withdraw(history.cast, provider, earned, "provider"))
    assert paid(history) == [earned]
    assert provider_account(provider.keyid) not in history.state.balances


def test_money_that_is_being_unlocked_still_pays() -> None:
    """A charge takes what is free, then the newest request, then the older one; each request has its answer."""
    history = founded(deposit=4_000_000)
    cast = history.cast
    for _ in range(2):
        history.write(withdraw(cast, cast.user, 1_500_000))
        history.sleep(1)
    history.write(cast.open_era(0))
    history.work(0, Work(cpu_ms=1_100))  # 2,200,000: the free million, and 1,200,000 of the newer request
    history.attest(history.seal(0))
    history.tick(DAY_MS)
    assert [c.amount for c in get_chunks(history.state, account(history))] == [1_500_000, 300_000]
    history.write(cast.deposit(cast.user.keyid, 5))
    assert get_free(history.state, account(history)) == 5  # new money is not what was asked for
    history.tick(6 * DAY_MS + 1)
    assert paid(history) == [1_500_000, 300_000]
    assert history.state.balances[account(history)] == 5


def test_a_request_that_charges_used_up_is_answered_with_nothing() -> None:
    """No request is forgotten."""
    history = founded(deposit=1_000)
    history.write(withdraw(history.cast, history.cast.user, 1_000), history.cast.open_era(0))
    history.work(0, Work(cpu_ms=10**6))
    history.attest(history.seal(0))
    history.tick(8 * DAY_MS)
    assert paid(history) == [0]


def test_what_a_bank_lacks_stays_on_the_account() -> None:
    """Two ask for the same bank's money while both can still be served: the second gets the rest, and keeps what is missing."""
    history = History(genesis={"bank_keys": [key("bank").keyid, key("bank-2").keyid]})
    cast, other = history.cast, key("sponsor")
    history.write(*cast.founding())
    cast.bank = key("bank-2")
    history.write(cast.deposit(cast.user.keyid, 10))
    cast.bank = key("bank")
    history.write(cast.deposit(other.keyid, 10))
    cast.bank = key("bank-2")
    history.write(withdraw(cast, cast.user, 7), withdraw(cast, other, 7))
    history.tick(DEPOSIT_MS)
    assert paid(history) == [7, 3]
    assert get_free(history.state, customer_account(cast.cluster, other.keyid)) == 7


@given(st.lists(st.integers(0, 10**36), max_size=8), st.integers(0, 10**36))
def test_trimming_covers_the_oldest(amounts: list[int], balance: int) -> None:
    """What is left is all that the balance covers, taken from the newest first."""
    chunks = tuple(Chunk(i, amount, i, key("bank").keyid) for i, amount in enumerate(amounts))
    left = [chunk.amount for chunk in trim(chunks, balance)]
    assert sum(left) == min(sum(amounts), balance)
    for i, amount in enumerate(left):
        assert amount == amounts[i] or not any(left[i + 1 :])


def covered(state: State) -> None:
    """No account promises more than it holds."""
    for name, facts in state.unlocking.items():
        assert sum(chunk.amount for chunk in facts.chunks) <= state.balances.get(name, 0)
        assert all(chunk.amount >= 0 for chunk in facts.chunks)


@settings(max_examples=settings().max_examples // 4)
@given(st.lists(st.tuples(st.sampled_from(["ask", "work", "wait", "pay in"]), st.integers(1, 3_000_000)), max_size=12))
def test_no_account_promises_more_than_it_holds(steps: list[tuple[str, int]]) -> None:
    """Whatever comes in between, requests are covered, and every request is answered once."""
    history = founded(deposit=3_000_000)
    cast, era, asked = history.cast, 0, 0
    for step, size in steps:
        history.sleep(1_000)
        if step == "ask" and size <= get_free(history.state, account(history)):
            history.write(withdraw(cast, cast.user, size))
            asked += 1
        elif step == "pay in":
            history.write(cast.deposit(cast.user.keyid, size))
        elif step == "wait":
            history.tick(size % 172_800 * 1_000)
        elif step == "work":
            history.write(cast.open_era(era))
            history.work(era, Work(cpu_ms=size // 2_000))
            history.attest(history.seal(era))
            history.sleep(1_000)
            history.write(cast.close_era(era))
            era += 1
    for state in history.states:
        covered(state)
    history.tick(DEPOSIT_MS)
    assert len(paid(history)) == asked
