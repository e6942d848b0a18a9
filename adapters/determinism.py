"""Whether a query gives the same result whenever and wherever it is asked over the same entries.

Read from the query's text alone: the read models' own views and macros are written so that it holds for them. What cannot be told from the
text is not refused but said, as a caution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proofroom.adapters.query import Node, nodes_of, relations_of, tree_of
from proofroom.domain.errors import Malformed
from proofroom.projections import PROJECTIONS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MAKERS = {"unnest", "range", "generate_series"}
"""Table functions that look at nothing but their arguments."""

_MOMENTS = {"current_catalog", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
_MOMENTS |= {"current_role", "current_user", "session_user", "user", "current_schema", "current_database"}
"""Names that SQL lets stand without parentheses, and that are no columns."""

_FIRST_COMES = {"any_value", "arbitrary", "array_agg", "first", "group_concat", "last", "list", "listagg", "string_agg"}
_FIRST_COMES |= {"arg_max", "arg_max_null", "arg_min", "arg_min_null", "argmax", "argmin", "max_by", "min_by", "mode"}
"""Aggregates whose result depends on which row comes first."""

_GUESSES = {"approx_count_distinct", "approx_quantile", "approx_top_k", "reservoir_quantile"}
_INEXACT = {"avg", "mean", "fsum", "kahan_sum", "sumkahan", "favg", "stddev", "stddev_pop", "stddev_samp", "variance"}
_INEXACT |= {
    "corr",
    "covar_pop",
    "covar_samp",
    "entropy",
    "exp",
    "kurtosis",
    "ln",
    "log",
    "power",
    "regr_slope",
    "sqrt",
}

_RANKS = {"WINDOW_ROW_NUMBER", "WINDOW_FIRST_VALUE", "WINDOW_LAST_VALUE", "WINDOW_NTH_VALUE", "WINDOW_LEAD"}
_RANKS |= {"WINDOW_LAG", "WINDOW_NTILE", "WINDOW_FILL"}


class NotDeterministic(
    Malformed,
    code="not-deterministic",
    message="the result may differ when it is computed again: {why}",
    advice="ask so that the log alone decides: fixed times, exact types, LIMIT only with ORDER BY over every column",
):
    """A query whose result cannot be bound by a receipt."""

    why: str


class Form(NamedTuple):
    """What is known of a query's result before it is computed."""

    ordered: bool
    """The query's own ORDER BY decides the place of every row."""
    cautions: list[str]
    """What the text leaves open."""


def check(connection: DuckDBPyConnection, query: str) -> Form:
    """The form of a query's result.

    Raises:
        NotDeterministic: by its text the result depends on time, chance, the machine, or on which row comes first.
    """
    tree = tree_of(connection, query)
    if tree is None:
        raise NotDeterministic(why="only a plain SELECT can be bound; PIVOT, PRAGMA and EXPLAIN cannot")
    known = {relation.name for projection in PROJECTIONS for relation in projection.relations} | _MAKERS
    for name in sorted(relations_of(tree) - known):
        raise NotDeterministic(why=f"{name} is no table that the log alone decides")
    found = connection.execute("SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'")
    volatile = {name for (name,) in found.fetchall()} | _GUESSES
    cautions: list[str] = []
    for node in nodes_of(tree):
        _check_node(node, volatile, cautions)
    return Form(_is_total(tree), sorted(set(cautions)))


def check_types(columns: list[str], types: list[str]) -> None:
    """No column of a result is inexact.

    Raises:
        NotDeterministic: one is of floating point, whose last digits depend on the order of sums.
    """
    for name, kind in zip(columns, types, strict=True):
        if "DOUBLE" in kind or "FLOAT" in kind:
            raise NotDeterministic(why=f"column {name} is {kind}; write CAST(... AS DECIMAL(38,6)) or use integers")


def _check_node(node: Node, volatile: set[str], cautions: list[str]) -> None:
    name = str(node.get("function_name", "")).lower()
    if name in volatile:
        raise NotDeterministic(why=f"{name}() depends on time, chance or the machine")
    names = node.get("column_names")
    if node.get("type") == "COLUMN_REF" and names and len(names) == 1 and names[0].lower() in _MOMENTS:
        raise NotDeterministic(why=f"{names[0]} depends on time or the machine")
    if node.get("sample"):
        raise NotDeterministic(why="a sample depends on chance")
    if node.get("class") == "FUNCTION" and name in _FIRST_COMES:
        if not node["order_bys"]["orders"]:
            raise NotDeterministic(why=f"{name}() without an ORDER BY of its own depends on which row comes first")
        cautions.append(f"{name}() is as certain as its ORDER BY is without ties")
    if name in _INEXACT:
        cautions.append(f"{name}() computes in floating point; rounding hides it, or does not")
    _check_window(node, cautions)
    _check_limits(node)


def _check_window(node: Node, cautions: list[str]) -> None:
    if node.get("class") != "WINDOW":
        return
    by_rows = node.get("type") == "WINDOW_AGGREGATE" and "ROWS" in f"{node.get('start')} {node.get('end')}"
    if node.get("type") in _RANKS or by_rows:
        if not node["orders"]:
            raise NotDeterministic(why="a window over rows without ORDER BY depends on which row comes first")
        cautions.append("a window over rows is as certain as its ORDER BY is without ties")


def _check_limits(node: Node) -> None:
    modifiers = node.get("modifiers") or []
    for modifier in modifiers:
        cut = modifier["type"] in {"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"}
        one_of = modifier["type"] == "DISTINCT_MODIFIER" and modifier.get("distinct_on_targets")
        if (cut or one_of) and not _is_total(node):
            what = "LIMIT" if cut else "DISTINCT ON"
            raise NotDeterministic(why=f"{what} needs an ORDER BY that names every column of the result, or ALL")


def _is_total(node: Node) -> bool:
    """The node's ORDER BY names every column of its result, so that rows that tie are equal."""
    orders = [
        o["expression"] for m in node.get("modifiers") or [] if m["type"] == "ORDER_MODIFIER" for o in m["orders"]
    ]
    if any(order["class"] == "STAR" for order in orders):
        return True
    columns = node.get("select_list")
    if not orders or columns is None or any(column["class"] == "STAR" for column in columns):
        return False
    keys = [_key(order) for order in orders]
    places = {str(order["literal"]["text"]) for order in orders if order["class"] == "CONSTANT" and "literal" in order}
    return all(
        str(place) in places or _key(column) in keys or [column["alias"].lower()] in keys
        for place, column in enumerate(columns, 1)
    )


def _key(expression: Node) -> object:
    """What two expressions share that are the same: for a column its last name, else all but where it stands."""
    if expression["class"] == "COLUMN_REF":
        return [expression["column_names"][-1].lower()]
    return _bare(expression)


def _bare(expression: Node) -> list[object]:
    """All that an expression says, one after the other, however deep it is."""
    said, waiting = list[object](), list[object]([expression])
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            kept = {k: v for k, v in found.items() if not k.startswith("query_location") and k != "alias"}
            said.append(("object", *kept))
            waiting += reversed(kept.values())
        elif isinstance(found, list):
            said.append(("list", len(found)))
            waiting += reversed(found)
        else:
            said.append(found)
    return said
