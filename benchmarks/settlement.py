"""Settling an era: 1,000,000 attested records of 10,000 customers on nodes of 1,000 providers.

The arithmetic is what the domain computes: records counted batch by batch, their sums for customers, nodes and agents, charges, shares,
splits, and all payout lines, by processor time and with the collector paused, as the ledger does in every append. Records are made and
paid for outside, a batch at a time. Each customer is served by ten nodes, and each batch has a record of every customer.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice

from benchmarks.compare import print_sample, run_side
from proofroom.adapters.cast import PARAMETERS
from proofroom.adapters.verifying import collector_paused
from proofroom.domain import counting
from proofroom.domain.governance import read_parameters
from proofroom.domain.ids import KeyId
from proofroom.domain.settlement import Work, compute_lines
from proofroom.domain.state import Era, Pending, UsageSum

CUSTOMERS, NODES, SERVED_BY = 10_000, 1_000, 10
BATCH = 10_000
SIZES = (10_000, 100_000, 1_000_000)
GOAL = 200_000
"""Records a second of processor time, so on one core."""


def records(count: int) -> Iterator[Pending]:
    """Attested records, one at a time: each customer on its nodes in turn, for one agent."""
    agent = KeyId("ed25519:" + "a" * 64)
    customers = [KeyId(f"ed25519:{n:064x}") for n in range(CUSTOMERS)]
    nodes = [f"node-{n}" for n in range(NODES)]
    usages = [UsageSum(400 + n, n * 10_000, n * 2**30, n * 2**20 + 1, n % 7, n % 5) for n in range(97)]
    places = (
        (customer, nodes[(i * SERVED_BY + turn) % NODES])
        for turn in cycle(range(SERVED_BY))
        for i, customer in enumerate(customers)
    )
    works = zip(places, cycle(usages), strict=False)
    return (Pending(0, b"", agent, customer, node, usage) for (customer, node), usage in islice(works, count))


def settle(count: int) -> float:
    """Seconds of processor time that an era of so many records takes."""
    era, todo, worked = Era(read_parameters(PARAMETERS), 0, 0, 86_400), records(count), 0.0
    with collector_paused():
        while batch := tuple(islice(todo, BATCH)):
            begin = time.process_time()
            era = counting.leave_out(counting.count(era, batch), ())
            worked += time.process_time() - begin
        begin = time.process_time()
        attested = counting.attested_of(era)
        work = Work(
            parameters=era.parameters,
            seconds=era.end,
            served=counting.by_node(attested),
            inspected={KeyId(f"ed25519:{n:064x}"): count // (n + 1) for n in range(61)},
            deposits={customer: 10**10 for _, customer, _, _ in attested},
            providers={f"node-{n}": KeyId(f"ed25519:{n:064x}") for n in range(NODES)},
            sold=counting.by_listing(attested),
        )
        compute_lines("c", 0, work)
        counting.tallies_of(era)
        return worked + time.process_time() - begin


def main(runs: int = 3) -> None:
    """Print records a second of processor time and memory for each size, in turn."""
    samples = {size: [run_side(__spec__.name, size) for _ in range(runs)] for size in SIZES}
    print(
        f"settling an era of {CUSTOMERS:,} customers and {NODES:,} providers, the arithmetic alone, by processor time"
    )
    rate = 0.0
    for size, taken in samples.items():
        rate = size / statistics.median(s.cpu_seconds for s in taken)
        peak = max(s.peak_mib for s in taken)
        print(f"  {size:9,} records: {rate:9,.0f} a second, {1e6 / rate:.2f} us each, peak {peak:.0f} MiB")
    print(f"  goal {GOAL:,} a second at {SIZES[-1]:,}: {'met' if rate >= GOAL else 'MISSED'}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [size]:
            begin = time.perf_counter()
            worked = settle(int(size))
            print_sample(time.perf_counter() - begin, worked)
        case _:
            main()
