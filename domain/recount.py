"""Money, counted again: that a record was paid, and an era whole, with every entry from its opening to its payment.

Built on the parts of :mod:`proofroom.domain.verifier`, under the same rule: it needs nothing else of proofroom. What each line *should*
amount to also needs prices, and deposits from before the era: see ``docs/verify.md``.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from proofroom.domain.verifier import proof
from proofroom.domain.verifier.entry import Entry, canonical, one, parse_entry, untag
from proofroom.domain.verifier.note import Trust, unbase64
from proofroom.domain.verifier.proof import File
from proofroom.domain.verifier.record import check_record, check_round, place
from proofroom.domain.verifier.tree import check_inclusion, inner_leaf, inner_node, log_leaf, log_node
from proofroom.domain.verifier.verdict import Fault, Report, Verdict

USAGE = {
    "cpu_ms": "compute.cpu_ms",
    "gpu_micro": "compute.gpu_units",
    "byte_seconds": "data.byte_seconds",
    "bytes_streamed": "data.bytes_streamed",
    "puts": "data.puts",
    "gets": "data.gets",
}
MARKET = ("fee", "marketplace", "creator")
"""Lines of marketplaces' money, which never mixes with the protocol's."""
ROLES = ("charge", "provider", "validator", "treasury", "reserve", *MARKET)
"""Of lines: money under another would be in no total."""
TOTALS = {
    "charged": "charged",
    "collected": "charge",
    "debt": "debt",
    "providers": "provider",
    "validators": "validator",
    "treasury": "treasury",
    "reserve": "reserve",
}
FEE_TOTALS = {
    "fees_charged": "fees",
    "fees_collected": "fee",
    "fees_debt": "fees_debt",
    "marketplaces": "marketplace",
    "creators": "creator",
}
"""Totals of an era, and the lines that they sum. Fees have theirs only where a record was sold under a listing."""


def verify(data: bytes, trust: Trust | None = None) -> Report:
    """Check any file that proofroom makes: those of :mod:`proofroom.domain.verifier`, payouts and era bundles.

    Raises:
        BadTrust: the checkpoint to compare with is not of this log.
    """
    return proof.verify(data, trust, CLAIMS)


def check_payout(file: File, entries: list[Entry]) -> tuple[str, list[str]]:
    """The claim of a payout file: a record, and that it was paid."""
    entries = proof.check_genesis(file, entries)
    why, notes = check_record(entries, *proof.place_of(file), one(entries, "era-paid"))
    counted, lines = proof.take(file.value, "counted", dict), proof.take(file.value, "lines", list)
    leaf, where = proof.take(counted, "leaf", dict), [proof.take(counted, name, int) for name in ("position", "size")]
    paths = [proof.path_of({"path": path}) for path in lines]
    return f"{why}; {_check_payment(entries, paths, leaf, (where[0], where[1]), proof.path_of(counted))}", notes


def _check_payment(
    entries: Sequence[Entry],
    paths: Sequence[Sequence[bytes]],
    leaf: dict[str, Any],
    place_of: tuple[int, int],
    path: Sequence[bytes],
) -> str:
    """The era of the record is paid, its customer's records are counted, and the lines are those that the era commits to."""
    work, paid, ledger_key = one(entries, "activity"), one(entries, "era-paid"), entries[0].get("ledger_key", str)
    paid.signed_by(ledger_key)
    batch = one(entries, "batch-sealed")
    own = batch if place(work) != place(batch) else work  # a late record is older than the era that counts it
    inside = paid.get("first_index", int) < own.index < paid.index == paid.get("last_index", int) + 1
    paid.need(place(paid) == place(batch) and inside, "it does not pay the era of the record")
    customer = work.get("customer", str)
    check_inclusion(_leaf(canonical(leaf)), *place_of, path, untag(paid.get("completeness_root", str)), inner_node)
    counted = leaf.get("attested")
    whose = (leaf.get("party"), leaf.get("key")) == ("customer", customer)
    paid.need(whose and type(counted) is int and counted > 0, "the record's customer is not counted")
    lines = [e for e in entries if e.kind == "payout"]
    paid.need(0 < len(lines) == len(paths), "the lines and their paths do not match")
    for line, steps in zip(lines, paths, strict=True):
        line.signed_by(ledger_key)
        line.need(place(line) == place(paid) and line.index < paid.index, "the line is of another era")
        at, root = line.get("line", int), untag(paid.get("lines_root", str))
        check_inclusion(_leaf(untag(line.id)), at, paid.get("lines", int), steps, root, inner_node)
    charge = lines[0]
    theirs = charge.get("role", str) == "charge" and charge.get("basis.customer", str) == customer
    charge.need(theirs, "not the customer's charge")
    charge.need(charge.get("basis.records", int) == counted, "the line counts other records than the era")
    return f"it is one of {counted} paid with {_amount(charge, 'amount')} at entry {charge.index}, in the era closed at {paid.index}"


def check_era(file: File, alone: list[Entry]) -> tuple[str, list[str]]:
    """The claim of an era bundle: its run, and that this is the era whole."""
    return check_whole_era(file, alone, run_of(file))


def check_whole_era(file: File, alone: Sequence[Entry], run: list[Entry]) -> tuple[str, list[str]]:
    """The run is the era; records, votes and sums give its counts and its completeness root; the lines give its root and balance."""
    entries = sorted([*alone, *run], key=lambda entry: entry.index)
    proof.check_order(entries)
    entries = proof.check_genesis(file, entries)
    alone = [entry for entry in entries if entry.index < run[0].index]
    run = [entry for entry in entries if run[0].index <= entry.index <= run[-1].index]
    opened, paid, ledger_key = run[0], run[-1], entries[0].get("ledger_key", str)
    paid.need(paid.kind == "era-paid", "the run does not end with the payment of an era")
    paid.signed_by(ledger_key)
    mine = [e for e in run if place(e) == place(paid)]
    whole = (paid.get("first_index", int), paid.get("last_index", int)) == (opened.index, paid.index - 1)
    paid.need(whole and opened.kind == "era-opened" and mine[0] == opened, "the run is not the whole era")
    attested = _check_work(entries, [*_late(alone, paid, ledger_key), *mine], paid, ledger_key)
    lines = _check_lines([e for e in mine if e.kind == "payout"], paid, ledger_key, attested)
    attested_count, collected = paid.get("records.attested", int), _amount(paid, "totals.collected")
    counts = f"{attested_count} attested records, {lines} lines, {collected} collected and paid out"
    return (
        f"era {paid.get('era', int)} of {paid.get('cluster', str)}, entries {opened.index} to {paid.index}: {counts}",
        [],
    )


def _late(alone: Sequence[Entry], paid: Entry, ledger_key: str) -> list[Entry]:
    """The late records that the era before, sealed, left to this one: the file holds them beside the run."""
    late = [e for e in alone if e.kind == "activity"]
    if late:
        (cluster, era), seal = place(paid), one(alone, "era-sealed")
        seal.signed_by(ledger_key)
        left = place(seal) == (cluster, era - 1) and seal.get("carried", int) == len(late)
        seal.need(left, "it left other records to the era")
        for record in late:
            older = record.get("cluster", str) == cluster and record.get("era", int) < era and record.index < seal.index
            record.need(older, "it was not left to the era")
    return late


def run_of(file: File) -> list[Entry]:
    """The entries of the file's run: a part of the log without a gap."""
    value = proof.take(file.value, "run", dict)
    data = [unbase64(item, "an entry") for item in proof.take(value, "entries", list)]
    first, checkpoint = proof.take(value, "first", int), file.checkpoint
    check_run(
        [log_leaf(item) for item in data], first, checkpoint.size, proof.path_of(value, "around"), checkpoint.root
    )
    run = [parse_entry(item) for item in data]
    if [entry.index for entry in run] != list(range(first, first + len(run))):
        raise Fault("an entry of the run has another index")
    return run


def _check_work(
    entries: Sequence[Entry], mine: Sequence[Entry], paid: Entry, ledger_key: str
) -> Counter[tuple[str, str]]:
    """Every record of the era, in its batch; every batch with its votes. Gives the attested records of each party.

    What is in no batch at the end counts as well, unless the era left it to the next.
    """
    records = [e for e in mine if e.kind == "activity"]
    queues, attested = defaultdict[str, list[Entry]](list), Counter[tuple[str, str]]()
    rejected = left_out = 0
    for record in records:
        queues[record.get("signers.orchestrator", str)].append(record)
    for batch in (e for e in mine if e.kind == "batch-sealed"):
        queue, count = queues[batch.get("orchestrator", str)], batch.get("count", int)
        batch.signed_by(batch.get("orchestrator", str))
        sealed, queue[:] = queue[:count], queue[count:]
        root = inner_root([untag(record.id) for record in sealed])
        holds = root == untag(batch.get("root", str)) and 0 < count == len(sealed) and sealed[-1].index < batch.index
        batch.need(holds, "the batch is not of the oldest unsealed records")
        agreed, refused, doubted = check_round(entries, batch, ledger_key)
        rejected, left_out = rejected + refused.bit_count(), left_out + doubted.bit_count()
        attested.update(party for i, record in enumerate(sealed) if agreed >> i & 1 for party in parties(record))
    left = {record.index for queue in queues.values() for record in queue} if "carried" in paid.body else set[int]()
    paid.need(paid.body.get("carried", 0) == len(left), "another number of records was left to the next era")
    records = [record for record in records if record.index not in left]
    total, paid_for = sum(attested.values()) // 3, paid.get("records.attested", int)
    stolen = [e.index for e in entries if e.kind == "compromise" and e.index < paid.index]
    counted = paid_for if stolen and paid_for < total else total
    counts = {
        "recorded": len(records),
        "attested": counted,
        "rejected": rejected,
        "unattested": len(records) - counted - rejected,
    }
    paid.need(paid.get("records", dict) == counts, "the records give other counts")
    if counted < (voted := total + left_out):
        why = f"of {voted} attested records it pays {counted}: a compromise declared by entry {stolen[-1]} took back what rests on it"
        raise Fault(why, paid.index, Verdict.SUSPECT)
    leaves = _completeness(records, attested)
    paid.need(
        inner_root(leaves) == untag(paid.get("completeness_root", str)), "the records give another completeness root"
    )
    return attested


def parties(record: Entry) -> list[tuple[str, str]]:
    """Whom a record counts for."""
    return [(party, record.get(party, str)) for party in ("agent", "customer", "node")]


def _completeness(records: Sequence[Entry], attested: Counter[tuple[str, str]]) -> list[bytes]:
    """For each agent and customer, in key order: how many records, how many attested, and the sums of what was recorded."""
    recorded, sums = Counter[tuple[str, str]](), defaultdict[tuple[str, str], Counter[str]](Counter)
    for record in records:
        for party in parties(record)[:2]:
            recorded[party] += 1
            sums[party].update({name: _usage(record, name, path) for name, path in USAGE.items()})
    return [
        canonical(
            {"party": party[0], "key": party[1], "recorded": recorded[party], "attested": attested[party]}
            | {name: str(sums[party][name]) for name in USAGE}
        )
        for party in sorted(recorded)
    ]


def _usage(record: Entry, name: str, path: str) -> int:
    if name == "gpu_micro" and isinstance(units := record.get("compute", dict).get("gpu_units"), Decimal):
        return int(units * 10**6)
    return record.get(path, int) * (10**6 if name == "gpu_micro" else 1)


def _check_lines(lines: Sequence[Entry], paid: Entry, ledger_key: str, attested: Counter[tuple[str, str]]) -> int:
    """The lines are those committed to, debits equal credits, totals are their sums, and each counts the records that are there."""
    root = untag(paid.get("lines_root", str))
    paid.need(
        inner_root([untag(line.id) for line in lines]) == root and paid.get("lines", int) == len(lines), "other lines"
    )
    sums, accounts = Counter[str](), Counter[str]()
    for number, line in enumerate(lines):
        line.signed_by(ledger_key)
        role, amount, basis = line.get("role", str), _amount(line, "amount"), line.get("basis", dict)
        line.need(line.get("line", int) == number, "a line is missing")
        line.need(role in ROLES, "its role is in no total")
        accounts.update({line.get("debit", str): -amount})
        accounts.update({line.get("credit", str): amount})
        sums[role] += amount
        if role == "charge":
            sums["charged"] += sum(_amount(line, f"basis.charged.{part}") for part in line.get("basis.charged", dict))
            sums["debt"] += _amount(line, "basis.debt")
        elif role == "fee":
            sums["fees"] += _amount(line, "basis.fee")
            sums["fees_debt"] += _amount(line, "basis.debt")
        party = {"charge": "customer", "provider": "node"}.get(role)
        if party is not None:
            counted = attested[party, line.get(f"basis.{party}", str)]
            line.need(basis.get("records") == counted, "the line counts other records")
    sides = {(line.body["role"] in MARKET, _pot(line)) for line in lines}
    apart = len({pot for _, pot in sides}) == len({market for market, _ in sides}) == len(sides)
    paid.need(apart and all(accounts[pot] == 0 for _, pot in sides), "debits and credits differ")
    totals = TOTALS | (FEE_TOTALS if sums["fees"] or "fees_charged" in paid.get("totals", dict) else {})
    for total, role in totals.items():
        paid.need(_amount(paid, f"totals.{total}") == sums[role], f"the lines give another total {total}")
    owed = sums["charge"] + sums["debt"], sums["fee"] + sums["fees_debt"]
    paid.need((sums["charged"], sums["fees"]) == owed, "charges differ from what was collected and what is owed")
    return len(lines)


def _pot(line: Entry) -> str:
    """The account that charges, or fees, go into, and that pays them out: each has one of its own in an era."""
    return line.get("credit" if line.body["role"] in ("charge", "fee") else "debit", str)


CLAIMS: dict[str, proof.Claim] = {**proof.CLAIMS, "payout": check_payout, "era": check_era}
"""What a file may claim."""


def inner_root(items: Sequence[bytes]) -> bytes:
    """The root of a tree inside a statement, over all items."""
    row = [_leaf(item) for item in items] or [inner_leaf()]
    while len(row) > 1:  # a last one without partner moves up unchanged, which is RFC 9162's shape
        row = [inner_node(*row[i : i + 2]) if i + 1 < len(row) else row[i] for i in range(0, len(row), 2)]
    return row[0]


def _leaf(item: bytes) -> bytes:
    return inner_leaf(b"\x00", item)


def _amount(entry: Entry, path: str) -> int:
    """An amount of base units, which JSON carries as text."""
    text = entry.get(path, str)
    entry.need(re.fullmatch("0|[1-9][0-9]{0,35}", text, re.ASCII) is not None, f"{path} is no amount")
    return int(text)


def check_run(leaves: Sequence[bytes], first: int, size: int, around: Sequence[bytes], root: bytes) -> None:
    """The leaves are all those from index ``first`` on, in order; ``around`` holds the roots of the subtrees beside them, from the left."""
    end, outside = first + len(leaves), iter(around)

    def mth(start: int, stop: int) -> bytes:
        if stop <= first or end <= start:
            return next(outside, b"")
        if stop - start == 1:
            return leaves[start - first]
        middle = start + (1 << (stop - start - 1).bit_length() - 1)
        return log_node(mth(start, middle), mth(middle, stop))

    if not leaves or end > size or mth(0, size) != root or next(outside, None) is not None:
        raise Fault("the entries are not the run of the log that they claim to be")
