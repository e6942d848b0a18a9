"""Money on its way out: it waits, and while it waits it still pays (protocol 6).

A deposit is unlocked 7 days after its owner asked for it, a bond after 28, what was earned at once. Until then the money stays on its
account: charges and slashes take what is free first, then what is being unlocked, the newest request first.
"""

from __future__ import annotations

from proofroom.domain.accounts import transfer
from proofroom.domain.claims import Chunk, Openings, Unlocking
from proofroom.domain.errors import NotFree, TooManyChunks
from proofroom.domain.state import Due, State, schedule, unschedule

DAY_MS = 86_400_000

DEPOSIT_MS = 7 * DAY_MS
"""How long a deposit is being unlocked."""

BOND_MS = 28 * DAY_MS
"""How long a bond is being unlocked."""

MAX_CHUNKS = 32
"""Requests of one account that may be open at a time."""


def get_chunks(state: State, account: str) -> tuple[Chunk, ...]:
    """The open requests of an account, oldest first."""
    return state.unlocking.get(account, Unlocking()).chunks


def get_free(state: State, account: str) -> int:
    """``balance - sum(chunks)``: what is on an account and not being unlocked. This is what counts as a bond, and what can be asked for."""
    return state.balances.get(account, 0) - sum(chunk.amount for chunk in get_chunks(state, account))


def move(state: State, debit: str, credit: str, amount: int) -> State:
    """Transfer money; what is being unlocked on ``debit`` shrinks where free money does not suffice.

    Every transfer out of an account goes through here, whatever its reason, so that a chunk never exceeds what is there.
    """
    balances = transfer(state.balances, debit, credit, amount)
    facts = state.unlocking.get(debit)
    if facts is None or not facts.chunks:
        return state._replace(balances=balances)
    facts = facts._replace(chunks=trim(facts.chunks, balances.get(debit, 0)))
    return state._replace(balances=balances, unlocking=state.unlocking.set(debit, facts))


def trim(chunks: tuple[Chunk, ...], balance: int) -> tuple[Chunk, ...]:
    """The chunks that a balance still covers: the oldest are covered first, so that the newest give way first. None is dropped."""
    covered = []
    for chunk in chunks:
        covered.append(chunk._replace(amount=min(chunk.amount, balance)))
        balance -= covered[-1].amount
    return tuple(covered)


def unlock(state: State, account: str, chunk: Chunk, asked_ms: int, wait_ms: int) -> State:
    """Begin to unlock a chunk, which will be over after ``wait_ms``.

    Raises:
        TooManyChunks: too many requests of this account are open.
        NotFree: the account holds less that is free.
    """
    chunks, free = get_chunks(state, account), get_free(state, account)
    if len(chunks) >= MAX_CHUNKS:
        raise TooManyChunks(account=account, limit=MAX_CHUNKS)
    if chunk.amount > free:
        raise NotFree(account=account, free=str(free), asked=str(chunk.amount))
    state = state._replace(unlocking=state.unlocking.set(account, Unlocking(asked_ms, (*chunks, chunk))))
    head, tail, accounts = state.openings.get(wait_ms, Openings())
    return _wait(state, wait_ms, Openings(head, tail + 1, accounts.set(tail, account)))


def close_first(state: State, wait_ms: int) -> State:
    """The oldest of the chunks that wait equally long is over; what was left of it is free again until it is moved."""
    head, tail, accounts = state.openings[wait_ms]
    facts = state.unlocking[accounts[head]]
    state = state._replace(
        unlocking=state.unlocking.set(accounts[head], facts._replace(chunks=facts.chunks[1:])),
    )
    return _wait(state, wait_ms, Openings(head + 1, tail, accounts.delete(head)))


def first_unlocked(state: State, wait_ms: int) -> tuple[str, Chunk]:
    """The oldest of the chunks that wait equally long, and its account."""
    openings = state.openings[wait_ms]
    account = openings.accounts[openings.head]
    return account, get_chunks(state, account)[0]


def _wait(state: State, wait_ms: int, openings: Openings) -> State:
    """All chunks that wait equally long have one appointment: that of the oldest."""
    state = state._replace(openings=state.openings.set(wait_ms, openings))
    due = Due(0, "withdrawal", "", wait_ms)
    if openings.head == openings.tail:
        return state._replace(agenda=unschedule(state.agenda, due))
    due = due._replace(at_ms=first_unlocked(state, wait_ms)[1].at_ms)
    return state._replace(agenda=schedule(state.agenda, due))
