"""The beacon chain of a validator: values that it was bound to before it could know what they will decide (protocol 5).

    secret -> ... -> value of round n+1 -> value of round n -> ... -> the end, which is registered

Each arrow is one hash. Values are revealed against the arrows, so that nobody can foresee one, and everybody can check it.
"""

from __future__ import annotations

from proofroom.domain import hashing
from proofroom.domain.errors import ChainSpent


def beacon_step(value: bytes) -> bytes:
    """The chain value before ``value``: values are revealed against the direction in which they were computed."""
    return hashing.digest(hashing.BEACON, value)


def compute_chain(secret: bytes, length: int) -> tuple[bytes, ...]:
    """The end of a chain and then ``length`` values in the order in which rounds reveal them."""
    values = [secret]
    for _ in range(length):
        values.append(beacon_step(values[-1]))
    return tuple(reversed(values))


def value_of_round(chain: tuple[bytes, ...], tip: bytes, next_round: int, round: int) -> bytes:
    """The value that belongs to ``round``, when ``tip`` is the last value the ledger knows and its preimage belongs to ``next_round``.

    Raises:
        ChainSpent: ``tip`` is not on the chain, or the chain has no value left for the round.
    """
    place = chain.index(tip) + 1 + round - next_round if tip in chain else len(chain)
    if place >= len(chain):
        raise ChainSpent(length=len(chain) - 1)
    return chain[place]
