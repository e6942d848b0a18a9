"""Money, counted again: that a record was paid, and an era whole, with every entry from its opening to its payment.

Built on the parts of :mod:`proofroom.domain.verifier`, under the same rule: it needs nothing else of proofroom. What each line *should*
amount to also needs prices, and deposits from before the era: see ``docs/verify.md``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from proofroom.domain.recount_lines import Work, amount_of, check_line, check_lines, inner_root, item_leaf
from proofroom.domain.verifier import proof
from proofroom.domain.verifier.entry import Entry, canonical, one, parse_entry, untag
from proofroom.domain.verifier.note import Trust, unbase64
from proofroom.domain.verifier.proof import File
from proofroom.domain.verifier.record import (
    check_in_era,
    check_independent,
    check_links,
    check_record,
    check_round,
    check_sizes,
    check_source,
    gpu_micro,
    grants_of,
    in_doubt,
    place,
    thefts_before,
    uphold,
)
from proofroom.domain.verifier.tree import check_inclusion, inner_node, log_leaf, log_node
from proofroom.domain.verifier.verdict import Fault, Report, Verdict

MISSING_LISTED = 128
"""Of those who withheld a beacon value a round names so many."""
USAGE = {
    "cpu_ms": "compute.cpu_ms",
    "byte_seconds": "data.byte_seconds",
    "bytes_streamed": "data.bytes_streamed",
    "puts": "data.puts",
    "gets": "data.gets",
}


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
    check_in_era(work, paid)
    customer = work.get("customer", str)
    check_inclusion(item_leaf(canonical(leaf)), *place_of, path, untag(paid.get("completeness_root", str)), inner_node)
    counted = leaf.get("attested")
    whose = (leaf.get("party"), leaf.get("key")) == ("customer", customer)
    paid.need(whose and type(counted) is int and counted > 0, "the record's customer is not counted")
    lines = [e for e in entries if e.kind == "payout"]
    paid.need(0 < len(lines) == len(paths), "the lines and their paths do not match")
    settled = paid.index - paid.get("lines", int)  # from here on nothing but the lines
    judged = all(e.index < settled for e in entries if e.kind == "round-tallied")
    paid.need(judged, "it was paid before it was attested")
    for line, steps in zip(lines, paths, strict=True):
        line.signed_by(ledger_key)
        at, root = line.get("line", int), untag(paid.get("lines_root", str))
        line.need(place(line) == place(paid) and line.index == settled + at, "the line is of another era")
        check_inclusion(item_leaf(untag(line.id)), at, paid.get("lines", int), steps, root, inner_node)
    charge = lines[0]
    theirs = charge.get("role", str) == "charge" and charge.get("basis.customer", str) == customer
    charge.need(theirs, "not the customer's charge")
    charge.need(charge.get("basis.records", int) == counted, "the line counts other records than the era")
    check_line(charge, paid)
    for line in lines[1:]:
        its = check_line(line, paid) == "provider" and line.get("basis.node", str) == work.get("node", str)
        line.need(its, "not what its node got")
    return f"it is one of {counted} paid with {amount_of(charge, 'amount')} at entry {charge.index}, in the era closed at {paid.index}"


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
    late, lines = _late(alone, paid, ledger_key), [e for e in mine if e.kind == "payout"]
    paid.need(lines == run[len(run) - 1 - len(lines) : -1], "a line was stated before the era was settled")
    _check_seal(late, mine, ledger_key)
    work = _check_work([*alone, *run], [*late, *mine], paid, ledger_key)
    _check_said(mine, paid)
    _check_numbers(run, paid)
    check_lines(lines, paid, ledger_key, work)
    attested_count, collected = paid.get("records.attested", int), amount_of(paid, "totals.collected")
    counts = f"{_counted(attested_count, 'attested record')}, {_counted(len(lines), 'line')}"
    place_of = f"era {paid.get('era', int)} of {paid.get('cluster', str)}, entries {opened.index} to {paid.index}"
    return f"{place_of}: {counts}, {collected} collected and paid out", []


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _late(alone: Sequence[Entry], paid: Entry, ledger_key: str) -> list[Entry]:
    """The late records that the era before left to this one: the file holds its seal, and them, beside the run."""
    late, (cluster, era) = [e for e in alone if e.kind == "activity"], place(paid)
    if late or era:
        seal = one(alone, "era-sealed")
        seal.signed_by(ledger_key)
        left = place(seal) == (cluster, era - 1) and seal.body.get("carried", 0) == len(late)
        seal.need(left, "it left other records to the era")
        for record in late:
            older = record.get("cluster", str) == cluster and record.get("era", int) < era and record.index < seal.index
            record.need(older, "it was not left to the era")
    return late


def _check_seal(late: Sequence[Entry], mine: Sequence[Entry], ledger_key: str) -> None:
    """The era was sealed once, and counts what was recorded and put into batches until then; nothing came after."""
    seal = one(mine, "era-sealed")
    seal.signed_by(ledger_key)
    for kind, name, came in (("activity", "recorded", len(late)), ("batch-sealed", "batches", 0)):
        indexes = [e.index for e in mine if e.kind == kind]
        seal.need(max(indexes, default=0) < seal.index, f"the {kind} comes after the seal of its era")
        seal.need(seal.get(name, int) == came + len(indexes), f"the era has other {name}")


def _check_said(mine: Sequence[Entry], paid: Entry) -> None:
    """What the seal says of the era, and of what it leaves to the next, is so, and the payment says it too."""
    seal, opened = one(mine, "era-sealed"), one(mine, "era-opened")
    late = seal.get("recorded", int) - sum(e.get("count", int) for e in mine if e.kind == "batch-sealed")
    same = all(seal.body.get(name) == paid.body.get(name) for name in ("start", "end", "batches", "carried"))
    same = same and seal.body.get("start") == opened.body.get("start") and seal.get("late", int) == late
    seal.need(same, "the seal says other things of the era")


def _check_numbers(run: Sequence[Entry], paid: Entry) -> None:
    """The rounds of the cluster follow each other: none was begun and then forgotten for another draw."""
    own, number = [e for e in run if e.body.get("cluster") == paid.body.get("cluster")], -1
    tallies = [e for e in own if e.kind == "round-tallied"]
    firsts = {(e.get("era", int), e.get("batch", int)): e.get("round", int) for e in tallies if not e.body.get("level")}
    for e in own:
        if e.kind == "batch-sealed":
            began = firsts.get((e.get("era", int), e.get("batch", int)), number)
        elif e.kind == "round-tallied" and "next_round" in e.body:
            began = e.get("next_round", int)
        else:
            continue
        e.need(number in (-1, began), "its round is not the cluster's next")
        number = began + (began >= 0)


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


def _check_work(entries: Sequence[Entry], mine: Sequence[Entry], paid: Entry, ledger_key: str) -> Work:
    """Every record of the era, signed by whom it names, once, in its batch; every batch with its votes. Gives what the votes give.

    What is in no batch at the end counts as well, unless the era left it to the next.
    """
    records, openings = ([e for e in mine if e.kind == kind] for kind in ("activity", "era-opened"))
    attested, judged, served = Counter[tuple[str, ...]](), Counter[str](), defaultdict[str, set[str]](set)
    decided, most, thefts = Counter[str](), Counter[str](), thefts_before(entries, paid)
    queues, rounds, owners = _queues(entries, records, paid), _rounds(entries, paid), _owners(mine)
    for number, batch in enumerate(e for e in mine if e.kind == "batch-sealed"):
        batch.need(batch.get("batch", int) == number, "it is not the next batch")
        queue, count = queues[batch.get("orchestrator", str)], batch.get("count", int)
        batch.signed_by(batch.get("orchestrator", str))
        sealed, queue[:] = queue[:count], queue[count:]
        root = inner_root([untag(record.id) for record in sealed])
        holds = root == untag(batch.get("root", str)) and 0 < count == len(sealed) and sealed[-1].index < batch.index
        batch.need(holds, "the batch is not of the oldest unsealed records")
        outcome = check_round(rounds[number], batch, ledger_key)
        batch.need(not outcome.open, "nobody judged what was left open")
        check_sizes(outcome, batch)
        theirs = [owners.get(record.get("node", str), "") for record in sealed]
        check_independent(outcome, batch, [*sealed, *openings], *theirs)
        for verdict in ("attested", "rejected", "left_out"):
            decided[verdict] += getattr(outcome, verdict).bit_count()
        agreed = [record for i, record in enumerate(sealed) if outcome.attested >> i & 1]
        attested.update(party for record in agreed for party in parties(record))
        for record in agreed:
            served[record.get("node", str)].add(record.get("customer", str))
        *upheld, by = uphold(outcome, thefts, count)
        judged.update(by)
        stolen = sum(1 << i for i, record in enumerate(sealed) if _is_stolen(thefts, record))
        for verdict, positions in zip(("attested", "rejected"), upheld, strict=True):
            most[verdict] += (positions & ~stolen).bit_count()
    left = {record.index for queue in queues.values() for record in queue} if "carried" in paid.body else set[int]()
    paid.need(paid.body.get("carried", 0) == len(left), "another number of records was left to the next era")
    records = [record for record in records if record.index not in left]
    _check_counts(paid, len(records), decided, most, thefts)
    leaves = _completeness(records, attested)
    paid.need(
        inner_root(leaves) == untag(paid.get("completeness_root", str)), "the records give another completeness root"
    )
    gone, all_named = _gone(entries, paid)
    return Work(attested, Counter({v: n for v, n in judged.items() if v not in gone}), served, all_named)


def _queues(entries: Sequence[Entry], records: Sequence[Entry], paid: Entry) -> defaultdict[str, list[Entry]]:
    """The records by who seals them: each signed at its source, in its era, once, and under what the file shows of its grant."""
    queues, ids, grants = defaultdict[str, list[Entry]](list), set[str](), grants_of(entries)
    for record in records:
        check_source(record)
        check_in_era(record, paid)
        check_links(grants, record, whole=False)
        record.need(record.get("record_id", str) not in ids, "a record of this id was counted before")
        ids.add(record.get("record_id", str))
        queues[record.get("signers.orchestrator", str)].append(record)
    return queues


def _owners(mine: Sequence[Entry]) -> dict[str, str]:
    """Whom the era pays for each node."""
    lines = [e for e in mine if e.kind == "payout" and e.body.get("role") == "provider"]
    return {line.get("basis.node", str): line.get("credit", str).removeprefix("provider:") for line in lines}


def _rounds(entries: Sequence[Entry], paid: Entry) -> defaultdict[int, list[Entry]]:
    """By number of a batch: its rounds with their votes, and every theft; so that nobody looks through all entries for each batch."""
    votes, rounds = defaultdict[int, list[Entry]](list), defaultdict[int, list[Entry]](list)
    for e in (e for e in entries if e.body.get("cluster") == paid.body.get("cluster")):
        if e.kind in ("vote-committed", "vote-revealed"):
            votes[e.get("round", int)].append(e)
        elif e.kind in ("round-opened", "round-tallied"):
            rounds[e.get("batch", int)].append(e)
    thefts = thefts_before(entries, paid)
    for found in rounds.values():
        cast = [vote for number in {e.get("round", int) for e in found} for vote in votes[number]]
        found[:] = sorted([*found, *cast, *thefts], key=lambda e: e.index)
    return rounds


def _gone(entries: Sequence[Entry], paid: Entry) -> tuple[set[str], bool]:
    """Who withheld a beacon value in a round of the era, or was removed in the meantime, and earns nothing; whether all are named."""
    gone, all_named, shown = set[str](), True, defaultdict[int, set[str]](set)
    for e in (e for e in entries if e.body.get("cluster") == paid.body.get("cluster")):
        if e.kind == "beacon-revealed":
            shown[e.get("round", int)].add(e.get("validator", str))
        elif e.kind == "round-opened" and place(e) == place(paid):
            missing = set(map(str, e.get("missing", list)))
            e.need(not missing & shown[e.get("round", int)], "who revealed its value is said to be missing")
            told = e.get("assurance.missing", int)
            e.need(told == len(missing) or told > len(missing) == MISSING_LISTED, "other numbers are missing")
            all_named = all_named and told == len(missing)
            gone |= missing
        elif e.kind == "slashed":
            gone.add(str(e.get("basis", dict).get("validator")))
    return gone, all_named


def _check_counts(
    paid: Entry, recorded: int, decided: Counter[str], most: Counter[str], thefts: Sequence[Entry]
) -> None:
    """The era counts what the votes decide; or less, as a theft takes back what this file may not show, and never what one surely takes."""
    told = {verdict: paid.get(f"records.{verdict}", int) for verdict in ("attested", "rejected")}
    for verdict, count in told.items():
        paid.need(not most[verdict] < count <= decided[verdict], "it counts what rests on a key that was stolen")
    counted = {verdict: min(count, decided[verdict]) if thefts else decided[verdict] for verdict, count in told.items()}
    counts = {"recorded": recorded, **counted, "unattested": recorded - sum(counted.values())}
    paid.need(paid.get("records", dict) == counts, "the records give other counts")
    if sum(counted.values()) < decided.total():
        found = f"it counts {sum(counted.values())} of {decided.total()} verdicts"
        why = f"{found}: a compromise declared by entry {thefts[-1].index} took back what rests on it"
        raise Fault(why, paid.index, Verdict.SUSPECT)


def _is_stolen(thefts: Sequence[Entry], record: Entry) -> bool:
    """Whether one of the thefts reaches back to a signature on the record itself."""
    return any(in_doubt(thefts, who, record.index) for who in record.signers)


def parties(record: Entry) -> list[tuple[str, ...]]:
    """Whom a record counts for."""
    found: list[tuple[str, ...]] = [(party, record.get(party, str)) for party in ("agent", "customer", "node")]
    if record.body.get("listing") is not None:
        found.append(("fee", record.get("customer", str), record.get("listing", str)))
    return found


def _completeness(records: Sequence[Entry], attested: Counter[tuple[str, ...]]) -> list[bytes]:
    """For each agent and customer, in key order: how many records, how many attested, and the sums of what was recorded."""
    recorded, sums = Counter[tuple[str, ...]](), defaultdict[tuple[str, ...], Counter[str]](Counter)
    for record in records:
        for party in parties(record)[:2]:
            recorded[party] += 1
            sums[party].update({name: record.get(path, int) for name, path in USAGE.items()})
            sums[party]["gpu_micro"] += gpu_micro(record, "compute")
    return [
        canonical(
            {"party": party[0], "key": party[1], "recorded": recorded[party], "attested": attested[party]}
            | {name: str(sums[party][name]) for name in (*USAGE, "gpu_micro")}
        )
        for party in sorted(recorded)
    ]


CLAIMS: dict[str, proof.Claim] = {**proof.CLAIMS, "payout": check_payout, "era": check_era}
"""What a file may claim."""


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
