"""Amounts, ratios and splits: integers only, every rounding named.

An amount counts base units (1 CERE = 10^10) and lies in ``0 <= amount < 10**36``; in JSON it is a decimal string. A ratio counts
10^18ths (Substrate's Perquintill). Source: protocol 1.9 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence

from proofroom.domain.errors import BadAmount

AMOUNT_LIMIT = 10**36
"""Amounts lie strictly below this, so that 38 decimal digits hold any sum of up to 100 of them."""

RATIO_ONE = 10**18
"""The ratio that means the whole."""


def parse_amount(text: str) -> int:
    """The amount that ``text`` writes.

    Raises:
        BadAmount: not digits only, a leading zero, or not below :data:`AMOUNT_LIMIT`.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 36 or (len(text) > 1 and text[0] == "0"):
        raise BadAmount(text=text[:40])
    return int(text)


def parse_ratio(text: str) -> int:
    """The ratio, in 10^18ths, that ``text`` writes.

    Raises:
        BadAmount: not an amount, or above :data:`RATIO_ONE`.
    """
    ratio = parse_amount(text)
    if ratio > RATIO_ONE:
        raise BadAmount(text=text)
    return ratio


def share(amount: int, ratio: int) -> int:
    """``floor(amount * ratio / 10^18)``."""
    return amount * ratio // RATIO_ONE


def nearest_half_down(numerator: int, denominator: int) -> int:
    """The integer nearest to a fraction of non-negative integers; a half goes down."""
    return -((denominator - 2 * numerator) // (2 * denominator))


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Split ``amount`` in proportion to ``weights`` by largest remainder; ties go to the earlier weight.

    The parts sum to ``amount`` exactly, and each lies within one base unit of its exact share. Callers order the weights by key, so
    that ties are decided by key order (protocol 6).

    Raises:
        ValueError: no weight is positive, so nobody could receive the amount.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError("a split needs non-negative weights, one of them positive")
    if amount == total:
        return list(weights)
    whole = [divmod(amount * weight, total) for weight in weights]
    parts = [part for part, _ in whole]
    missing = amount - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda i: whole[i][1], reverse=True)  # stable: ties stay in order
    for i in by_remainder[:missing]:
        parts[i] += 1
    return parts
