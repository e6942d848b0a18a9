"""Why a payout line is what it is: from the line back to the records, the rounds and votes that judged them, and the grants behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proofroom.adapters.finding import Row, rows, select
from proofroom.adapters.head import as_recorded
from proofroom.adapters.pages import money_text, shorten
from proofroom.domain.errors import NoSuchEntry

if TYPE_CHECKING:
    from rich.tree import Tree

    from proofroom.adapters.ledger import Ledger

Facts = dict[str, Any]

RECORDS = """
    SELECT r.entry_index, r.record_id, r.cluster, v.era, r.node, r.customer, r.agent, r.listing, r.vault_scope, r.operation,
        r.cpu_ms, r.gpu_micro, r.byte_seconds, r.bytes_streamed, r.puts, r.gets, r.grant_id, v.verdict, v.batch, v.position,
        v.batch_index, v.tally_index
    FROM records r JOIN record_verdicts v USING (entry_index)
    """

USAGE = ("cpu_ms", "gpu_micro", "byte_seconds", "bytes_streamed", "puts", "gets")

LIMIT = 20
"""Records that are shown unless more are asked for."""


def explain(ledger: Ledger, cluster: str, era: int, line: int, *, limit: int = LIMIT) -> Facts:
    """The line, the era that it belongs to, and what it follows from.

    A charge or fee follows from the customer's attested records; what a node, a creator or a marketplace got, from the records that it
    served or sold; what a validator got, from the records of the rounds it voted in. What the treasury and the reserve got is a share of
    the era's charges, which are named instead.

    Args:
        ledger: open for questions to its read models.
        cluster, era, line: the line.
        limit: how many records to name; all are counted.

    Raises:
        NoSuchEntry: there is no such line (yet).
    """
    found = rows(ledger, "FROM payouts", cluster=cluster, era=era, line=line)
    if not found:
        raise NoSuchEntry(what=f"payout line {line} of era {era} of {cluster}")
    payout = _plain(found[0])
    (paid,) = rows(ledger, "FROM eras", order="era", cluster=cluster, era=era) or [{}]
    facts: Facts = {
        "line": payout,
        "era": _era(paid),
        "unit": ledger.state.founding.unit if ledger.state.founding else "",
    }
    if payout["role"] in ("treasury", "reserve"):
        charges = [r for r in rows(ledger, "FROM payouts", cluster=cluster, era=era) if r["role"] in ("charge", "fee")]
        return facts | {"share_of": [_plain(r) for r in charges[:limit]], "share_of_count": len(charges)}
    return facts | _work(ledger, payout, limit)


def _work(ledger: Ledger, payout: Row, limit: int) -> Facts:
    """The records behind a line, and what they rest on; and how many of them a theft took back, that was told after their round."""
    key = {"cluster": payout["cluster"], "era": payout["era"]}
    where: Row = {"customer": payout.get("customer"), "node": payout.get("node"), "listing": payout.get("listing")}
    if payout["role"] == "validator":
        seats = rows(ledger, "FROM votes", order="opened_index", validator=payout["validator"], **key)
        where = {"batch": tuple(sorted({s["batch"] for s in seats if s["reveal_index"] is not None}))}
    else:
        where["verdict"] = "attested"
    count = select(ledger, RECORDS, **key, **where).aggregate("count(*)").fetchall()[0][0]
    records = [_plain(r) for r in rows(ledger, RECORDS, limit=limit, **key, **where)]
    batches = tuple(sorted({r["batch"] for r in records if r["batch"] is not None}))
    return {
        "records": records,
        "records_count": count,
        "taken_back": count - payout["records"] if payout["role"] in ("charge", "fee", "provider") else 0,
        "rounds": [_round(ledger, r) for r in rows(ledger, "FROM rounds", order="batch_index", batch=batches, **key)],
        "grants": [_grant(ledger, grant) for grant in dict.fromkeys(r["grant_id"] for r in records)],
    }


def _era(row: Row) -> Facts:
    names = ("status", "opened_index", "sealed_index", "paid_index", "recorded", "attested", "collected")
    return {name: _value(row.get(name)) for name in names}


def _round(ledger: Ledger, row: Row) -> Facts:
    names = ("batch", "round", "status", "threshold", "agree", "records", "records_attested", "records_rejected")
    places = ("batch_index", "opened_index", "tally_index")
    key = {name: row[name] for name in ("cluster", "era", "batch", "round")}
    votes = rows(ledger, "FROM votes", order="validator", **key)
    return {name: row[name] for name in (*names, *places)} | {
        "votes": [{n: v[n] for n in ("validator", "commit_index", "reveal_index", "agreed", "doubted")} for v in votes]
    }


def _grant(ledger: Ledger, statement_id: str) -> Facts:
    """The grant, or what was passed on of one, that a record names."""
    with as_recorded(ledger.store):
        (place,) = rows(ledger, "FROM log", statement_id=statement_id)
    statement = ledger.entry(place["entry_index"]).statement
    parties = {name: getattr(statement, name, None) for name in ("user_pub_key", "agent_service_pub_key")}
    return {"id": statement_id, "entry_index": place["entry_index"], "kind": place["kind"], **parties}


def _plain(row: Row) -> Facts:
    return {name: _value(value) for name, value in row.items() if value is not None}


def _value(value: Any) -> Any:
    """Amounts as decimal strings, as everywhere in JSON; all else as it is."""
    return value if isinstance(value, int | str | None) else str(value)


# --- for a person


def tree_of(facts: Facts, *, short: bool = False) -> Tree:
    """The facts as a tree."""
    from rich.text import Text
    from rich.tree import Tree

    def say(*parts: object) -> Text:
        text = " · ".join(str(part) for part in parts if part)
        return Text(shorten(text) if short else text)

    line, era, unit = facts["line"], facts["era"], facts["unit"]
    amount = money_text(int(line["amount"]), unit)
    title = f"line {line['line']} of era {line['era']}, {line['cluster']}"
    tree = Tree(say(title, line["role"], amount, _entry(line["entry_index"])))
    tree.add(say(f"from {line['debit']}"))
    tree.add(say(f"to {line['credit']}"))
    if int(line["debt"]):
        tree.add(say(f"not covered by the deposit: {money_text(int(line['debt']), unit)}"))
    if "share_of" in facts:
        branch = tree.add(say(f"a share of {facts['share_of_count']} charges and fees of the era"))
        for charge in facts["share_of"]:
            collected = money_text(int(charge["amount"]), unit)
            branch.add(
                say(f"line {charge['line']}", charge["role"], collected, charge["debit"], _entry(charge["entry_index"]))
            )
    else:
        _add_work(tree, facts, say)
    if era["paid_index"] is not None:
        tree.add(say("closed by ClusterEraPaid", _entry(era["paid_index"])))
    return tree


def _add_work(tree: Tree, facts: Facts, say: Any) -> None:
    shown, count = facts["records"], facts["records_count"]
    counted = f"for {count} {'record' if count == 1 else 'records'}"
    gone = f"a theft that was told later took back {facts['taken_back']} of them" if facts["taken_back"] else ""
    branch = tree.add(say(counted if len(shown) == count else f"{counted}, of which {len(shown)} here", gone))
    grants = {grant["id"]: grant for grant in facts["grants"]}
    for record in shown:
        usage = ", ".join(f"{record[name]} {name}" for name in USAGE if record[name])
        place = f"batch {record['batch']}, position {record['position']}" if "batch" in record else "in no batch"
        leaf = branch.add(say(record["record_id"], record["verdict"], usage, _entry(record["entry_index"])))
        leaf.add(
            say(
                f"{record['operation']} on {record['vault_scope']}",
                f"on {record['node']}",
                f"paid by {record['customer']}",
            )
        )
        grant = grants[record["grant_id"]]
        leaf.add(
            say(f"under {grant['kind']} {grant['id']}", f"by {grant['user_pub_key']}", _entry(grant["entry_index"]))
        )
        leaf.add(say(place, "tallied in " + _entry(record["tally_index"]) if "tally_index" in record else ""))
    for judged in facts["rounds"]:
        outcome = f"{judged['records_attested']} of {judged['records']} attested"
        title = "no committee" if judged["round"] is None else f"round {judged['round']}"
        sub = tree.add(say(title, f"batch {judged['batch']}", outcome, _entry(judged["tally_index"])))
        for vote in judged["votes"]:
            voted = vote["reveal_index"] is not None
            said = f"agreed to {vote['agreed']}, doubted {vote['doubted']}" if voted else "did not vote"
            sub.add(say(vote["validator"], said, _entry(vote["reveal_index"]) if voted else ""))


def _entry(index: int | None) -> str:
    return "not yet" if index is None else f"entry {index}"
