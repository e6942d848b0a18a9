"""What a query asks for, read from its syntax tree as DuckDB gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from proofroom.adapters.files import is_text
from proofroom.domain.errors import QueryFailed
from proofroom.projections import PROJECTIONS
from proofroom.projections.base import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Node = dict[str, Any]


def check_text(query: str) -> None:
    """DuckDB takes only what UTF-8 can hold.

    Raises:
        QueryFailed: the query holds half a character.
    """
    if not is_text(query):
        raise QueryFailed(why="it is not text in UTF-8")


def tree_of(connection: DuckDBPyConnection, query: str) -> Node | None:
    """The syntax tree of one SELECT; None when the query is none (PIVOT, PRAGMA, EXPLAIN).

    Raises:
        QueryFailed: it is nested too deep, some hundreds of levels.
    """
    ((text,),) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    try:
        tree: Node = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise QueryFailed(why="it is nested too deep to be looked into") from None
    if tree["error"] or len(tree["statements"]) != 1:
        return None
    node: Node = tree["statements"][0]["node"]
    return node


def nodes_of(tree: object) -> Iterator[Node]:
    """All objects of a syntax tree, from its root on, however deep it is."""
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting += reversed(found.values())
        elif isinstance(found, list):
            waiting += reversed(found)


def relations_of(tree: Node) -> set[str]:
    """Names of the tables, views and table functions that a query looks at, but for those that it defines itself."""
    found, own = set[str](), set[str]()
    for node in nodes_of(tree):
        if node.get("type") == "BASE_TABLE":
            found.add(str(node["table_name"]).lower())
        elif node.get("type") == "TABLE_FUNCTION":
            found.add(str(node["function"]["function_name"]).lower())
        elif "cte_map" in node:
            own |= {str(item["key"]).lower() for item in node["cte_map"]["map"]}
    return found - own


def projections_of(connection: DuckDBPyConnection, query: str) -> set[str]:
    """Names of the projections whose tables a query looks at, through views and macros too; all, when it cannot be told."""
    tree = tree_of(connection, query)
    if tree is None:
        return {projection.name for projection in PROJECTIONS}
    relations = [(p.name, r) for p in PROJECTIONS for r in p.relations]
    wanted, seen, asked = relations_of(tree), set[str](), set[str]()
    while wanted - seen:
        seen |= wanted
        for projection, relation in relations:
            if relation.name not in seen:
                continue
            if isinstance(relation, Table):
                asked.add(projection)
                continue
            inner = tree_of(connection, relation.sql)
            wanted |= relations_of(inner) if inner is not None else set()
    return asked
