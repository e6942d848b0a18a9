"""Query receipts: a query's result bound to the entries it follows from, so that anyone who has the log can compute it again.

The digest is over lines of JSON: ``[[name, type], ...]`` of the columns, then one array a row, every value as the text that DuckDB casts it
to, null as null. Rows are sorted as bytes, unless the query's own ORDER BY decides the place of each.

A receipt says that the result follows from the entries under its checkpoint. That those entries are valid is for an audit to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from proofroom.adapters.audit import Verdict
from proofroom.adapters.determinism import NotDeterministic, check, check_types
from proofroom.adapters.mapper import to_entry
from proofroom.adapters.query import check_text, projections_of
from proofroom.adapters.stores import Store
from proofroom.adapters.views import ProjectionStopped, Views
from proofroom.domain import hashing, merkle
from proofroom.domain.checkpoint import verify_checkpoint
from proofroom.domain.errors import BadInput, BadNote, NoSuchEntry, QueryFailed, Unavailable
from proofroom.domain.ids import KeyId
from proofroom.domain.statements.ledger import Genesis
from proofroom.projections import PROJECTIONS

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

TYPE = "proofroom/query-receipt/v1"
MAX_ROWS = 1_000_000
"""Rows of a result that a receipt can bind."""


class OtherProjections(
    Unavailable,
    code="other-projections",
    message="the receipt was made by other tables than this release has: {names}; the result that they give differs",
    advice="verify it with the release that made it",
):
    """Neither valid nor invalid: what could tell is not here."""

    names: str


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class QueryReceipt:
    """What binds a result."""

    type: str
    sql: str
    columns: list[tuple[str, str]]
    rows: int
    ordered: bool
    digest: str
    size: int
    """Entries that the result follows from: those before this index."""
    checkpoint: str
    projections: dict[str, str]
    """Fingerprints of the projections whose tables were asked."""
    duckdb: str
    cautions: list[str]

    def to_json(self) -> bytes:
        """As a file."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2) + b"\n"


class Verification(NamedTuple):
    """What came of computing a result again."""

    verdict: Verdict
    why: str
    notes: list[str]

    def sentence(self) -> str:
        """For a person."""
        return f"{self.verdict.name}: {'; '.join([self.why, *self.notes])}"


def parse_query_receipt(data: bytes, path: str = "receipt") -> QueryReceipt:
    """The receipt in a file.

    Raises:
        BadInput: it is none.
    """
    try:
        found: QueryReceipt = TypeAdapter(QueryReceipt).validate_json(data)
    except ValidationError as e:
        fault = e.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "it"
        raise BadInput(path=path, why=f"no query receipt: {where}: {fault['msg']}") from None
    if found.type != TYPE:
        raise BadInput(path=path, why=f"its type is {found.type}, not {TYPE}")
    return found


def bind(views: Views, store: Store, sql: str) -> tuple[QueryReceipt, DuckDBPyRelation]:
    """Ask a query of read models that follow this log, and bind its result. The relation holds the same rows.

    Raises:
        NotDeterministic: the result may differ when it is computed again.
        QueryFailed: DuckDB refused it.
        NoSuchEntry: the log has no checkpoint.
        ProjectionStopped: it asks for tables of a projection that stopped.
    """
    check_text(sql)
    with views.held() as connection:
        asked = projections_of(connection, sql)
        views.project(store, until=store.size())
        size = views.position
        note = next((note for at, note in store.checkpoints(size, 1) if at == size), None)
        if note is None:
            raise NoSuchEntry(what=f"checkpoint of size {size}")
        form = check(connection, sql)
        relation = views.sql(sql)
        columns = list(zip(relation.columns, map(str, relation.types), strict=True))
        check_types(relation.columns, [kind for _, kind in columns])
        rows, digest = digest_of(relation, ordered=form.ordered)
        if (rows, digest) != digest_of(views.sql(sql), ordered=form.ordered):
            raise NotDeterministic(why="asked twice, it gave two results")
    fingerprints = {p.name: p.fingerprint for p in PROJECTIONS if p.name in asked}
    receipt = QueryReceipt(
        type=TYPE,
        sql=sql,
        columns=columns,
        rows=rows,
        ordered=form.ordered,
        digest=digest,
        size=size,
        checkpoint=note,
        projections=fingerprints,
        duckdb=duckdb.__version__,
        cautions=form.cautions,
    )
    return receipt, relation


def digest_of(relation: DuckDBPyRelation, *, ordered: bool) -> tuple[int, str]:
    """The number of rows of a result, and its digest.

    Raises:
        QueryFailed: it cannot be computed, or is larger than :data:`MAX_ROWS`.
    """
    head = orjson.dumps([[n, str(t)] for n, t in zip(relation.columns, relation.types, strict=True)])
    texts = relation.project(", ".join(f"CAST(#{i} AS VARCHAR)" for i in range(1, len(relation.columns) + 1)))
    try:
        rows = texts.limit(MAX_ROWS + 1).fetchall()
    except duckdb.Error as e:
        raise QueryFailed(why=str(e).strip()) from None
    if len(rows) > MAX_ROWS:
        raise QueryFailed(why=f"a receipt binds at most {MAX_ROWS:,} rows")
    lines = [orjson.dumps(row) for row in rows]
    if not ordered:
        lines.sort()
    return len(rows), hashing.tagged(hashing.digest(hashing.QUERY_RESULT, b"\n".join([head, *lines])))


def verify_query_receipt(
    receipt: QueryReceipt,
    store: Store,
    *,
    keys: tuple[KeyId, ...] = (),
    progress: Callable[[int], object] | None = None,
) -> Verification:
    """Compute the result again, from the entries of the log and nothing else.

    Args:
        receipt: what was claimed.
        store: a copy of the log, at least as long as it was then.
        keys: checkpoint keys besides that of genesis, for a log whose key was changed.
        progress: called with the number of entries read.

    Raises:
        OtherProjections: this release has other tables, and they give another result.
        QueryFailed, NotDeterministic, ProjectionStopped: the query cannot be asked here.
    """
    if store.size() < receipt.size:
        return Verification(
            Verdict.INCOMPLETE, f"the log has {store.size()} entries, the receipt is of {receipt.size}", []
        )
    root, genesis = _root_of_entries(store, receipt.size, progress)
    try:
        bound = _checkpoint_of(receipt, genesis, keys)
    except BadNote as e:
        return Verification(Verdict.INVALID, f"its checkpoint does not hold: {e}", [])
    if bound != (receipt.size, root):
        return Verification(Verdict.FORKED, "the log's root is not that of the receipt's checkpoint", [])
    return _compute_again(receipt, store)


def _checkpoint_of(receipt: QueryReceipt, genesis: Genesis, keys: tuple[KeyId, ...]) -> tuple[int, bytes]:
    fault: BadNote | None = None
    for key in (genesis.checkpoint_key, *keys):
        try:
            checkpoint = verify_checkpoint(receipt.checkpoint, genesis.origin, key)
        except BadNote as e:
            fault = fault or e
        else:
            return checkpoint.size, checkpoint.root
    raise fault or BadNote(why="no key to verify it with")


def _root_of_entries(store: Store, size: int, progress: Callable[[int], object] | None) -> tuple[bytes, Genesis]:
    """The root over the entries' own bytes, whatever hashes the store keeps; and what founded the log."""
    tree, genesis = merkle.Tree(), None
    for page in _pages(store, size):
        for stored in page:
            if stored.index == 0:
                statement = to_entry(stored).statement
                genesis = statement if isinstance(statement, Genesis) else None
            tree, _ = merkle.append(tree, merkle.SHA256.leaf(stored.entry_bytes()))
        if progress is not None:
            progress(tree.size)
    if genesis is None:
        raise NoSuchEntry(what="genesis")
    return merkle.root(tree), genesis


def _pages(store: Store, size: int) -> Iterator[list[Any]]:
    start = 0
    while start < size and (page := store.read(start)):
        yield [stored for stored in page if stored.index < size]
        start = page[-1].index + 1


def _compute_again(receipt: QueryReceipt, store: Store) -> Verification:
    here = {p.name: p.fingerprint for p in PROJECTIONS}
    other = [name for name, fingerprint in receipt.projections.items() if here.get(name) != fingerprint]
    views = Views(None)
    try:
        views.project(store, until=receipt.size)
        for letter in views.stopped:
            if letter.projection in receipt.projections:
                raise ProjectionStopped(*letter)
        with views.held() as connection:
            form = check(connection, receipt.sql)
        relation = views.sql(receipt.sql)
        columns = list(zip(relation.columns, map(str, relation.types), strict=True))
        rows, digest = digest_of(relation, ordered=form.ordered)
    finally:
        views.close()
    notes = [f"caution: {caution}" for caution in form.cautions]
    if receipt.duckdb != duckdb.__version__:
        notes.append(f"made by DuckDB {receipt.duckdb}, computed again by {duckdb.__version__}")
    same = (columns, rows, form.ordered, digest) == (receipt.columns, receipt.rows, receipt.ordered, receipt.digest)
    if same:
        why = f"{rows:,} rows follow from the first {receipt.size:,} entries"
        return Verification(Verdict.VALID, why, [*notes, *(f"other tables of {name}" for name in other)])
    if other:
        raise OtherProjections(names=", ".join(other))
    why = f"the log gives {rows:,} rows with digest {digest}, the receipt says {receipt.rows:,} with {receipt.digest}"
    return Verification(Verdict.INVALID, why, notes)
