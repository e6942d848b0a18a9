"""What usage costs: the formulas of protocol 6, in its order and rounding.

They apply once to the summed usage of a customer, and once to that of a customer on a node for weights; never to a single record.
"""

from __future__ import annotations

from typing import NamedTuple

from proofroom.domain.money import RATIO_ONE, nearest_half_down, share
from proofroom.domain.state import Parameters, UsageSum

MONTH_SECONDS = 2_630_016
"""A month of 30.44 days, the period of the storage price."""

MIB = 2**20


class Parts(NamedTuple):
    """A charge by what it is for, in base units."""

    cpu: int
    gpu: int
    streamed: int
    stored: int
    puts: int
    gets: int


class Rates(NamedTuple):
    """The parameters that the settlement of an era depends on, where there is no cluster that has more of them."""

    cpu_second: int
    gpu_unit: int
    mib_streamed: int
    mib_stored_month: int
    put: int
    get: int
    treasury_share: int
    reserve_share: int
    validators_share: int


def charge(usage: UsageSum, parameters: Parameters | Rates, seconds: int) -> Parts:
    """What ``usage`` in an era of ``seconds`` costs."""
    cpu_ms, gpu_micro, byte_seconds, bytes_streamed, puts, gets = usage
    return Parts(
        cpu_charge(cpu_ms, parameters.cpu_second),
        gpu_charge(gpu_micro, parameters.gpu_unit),
        streamed_charge(bytes_streamed, parameters.mib_streamed),
        stored_charge(byte_seconds, parameters.mib_stored_month, seconds),
        puts * parameters.put,
        gets * parameters.get,
    )


def charge_at_most(usage: UsageSum, parameters: Parameters) -> int:
    """The most that ``usage`` can add to a charge, however long its era turns out to be and whatever else it is summed with.

    Each part is rounded up. The part for storage depends on the era's length, and lies within half a unit of ``byte_seconds * price /
    (2^20 * month)``.
    """
    stored = usage.byte_seconds * parameters.mib_stored_month // (MIB * MONTH_SECONDS) + 1 if usage.byte_seconds else 0
    cpu = -(-usage.cpu_ms * parameters.cpu_second // 1000)
    gpu = -(-usage.gpu_micro * parameters.gpu_unit // 10**6)
    streamed = -(-usage.bytes_streamed * parameters.mib_streamed // MIB)
    return cpu + gpu + streamed + stored + usage.puts * parameters.put + usage.gets * parameters.get


def cpu_charge(cpu_ms: int, price: int) -> int:
    """``floor(cpu_ms * price / 1000)``, the price being of a second."""
    return cpu_ms * price // 1000


def gpu_charge(gpu_micro: int, price: int) -> int:
    """``floor(gpu_micro * price / 10^6)``, the price being of a unit."""
    return gpu_micro * price // 10**6


def streamed_charge(bytes_streamed: int, price: int) -> int:
    """``floor(bytes * price / 2^20)``, the price being of a MiB."""
    return bytes_streamed * price // MIB


def stored_charge(byte_seconds: int, price: int, seconds: int) -> int:
    """The sum over month slices of ``nearest_half_down(f * floor(bytes * price / 2^20) / 10^18)``.

    ``bytes = floor(byte_seconds / seconds)`` and ``f = floor(slice * 10^18 / 2_630_016)``. Eras longer than a month are charged in
    slices, not capped.
    """
    monthly = byte_seconds // seconds * price // MIB
    months, rest = divmod(seconds, MONTH_SECONDS)
    return months * monthly + nearest_half_down(rest * RATIO_ONE // MONTH_SECONDS * monthly, RATIO_ONE)


def listing_fee(records: int, value: int, price: int, ratio: int) -> int:
    """``records * price + floor(ratio * value / 10^18)``: a price for each record, and a ratio of what they cost together."""
    return records * price + share(value, ratio)
