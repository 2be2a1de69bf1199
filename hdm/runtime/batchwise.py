"""Finds out whether a ``transform:`` gives the same rows for any division of its input into batches.

DuckDB parses the statement, as it also runs it (json_serialize_sql,
https://duckdb.org/docs/stable/data/json/sql_to_and_from_json).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

BATCH = "batch"
_MODIFIERS = {
    "LIMIT_MODIFIER": "LIMIT or OFFSET",
    "LIMIT_PERCENT_MODIFIER": "LIMIT",
    "DISTINCT_MODIFIER": "DISTINCT",
}
_HARMLESS = frozenset({"error"})
"""Functions that DuckDB calls volatile, but that return no value."""


_WORDS = frozenset(
    {"current_timestamp", "current_date", "current_time", "localtimestamp", "localtime", "rowid"}
)
"""Names that give another value at each time, or in each batch, unless a column has the name."""


@lru_cache(maxsize=256)
def depends_on_batches(sql: str, columns: tuple[str, ...] = ()) -> str | None:
    """Return why the result of a SELECT over ``batch`` depends on how rows are batched, or on the time.

    None if it does not. ``columns`` are the columns of ``batch``.
    """
    import duckdb

    engine = duckdb.connect(":memory:", config={"autoload_known_extensions": "false"})
    try:
        found = _parsed(engine, sql)
        if found is None:
            return "it is of a kind that cannot be looked into"
        return _Look(engine, found, columns).verdict()
    finally:
        engine.close()


def _parsed(engine: Any, sql: str) -> dict[str, Any] | None:
    said = json.loads(engine.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()[0])
    if said.get("error") or len(said["statements"]) != 1:
        return None
    node: dict[str, Any] = said["statements"][0]["node"]
    return node


class _Look:
    """Looks through one parsed statement with DuckDB's list of functions at hand."""

    def __init__(self, engine: Any, node: dict[str, Any], columns: tuple[str, ...]) -> None:
        self._engine = engine
        self._node = node
        rows = engine.execute(
            "SELECT DISTINCT lower(function_name), function_type, stability, macro_definition "
            "FROM duckdb_functions()"
        ).fetchall()
        self._aggregates = {name for name, kind, _, _ in rows if kind == "aggregate"}
        unstable = {"VOLATILE", "CONSISTENT_WITHIN_QUERY"}
        self._volatile = {name for name, _, how, _ in rows if how in unstable} - _HARMLESS
        self._macros = {name: body for name, kind, _, body in rows if kind == "macro" and body}
        self._tables = {BATCH}
        self._words = _WORDS - {name.casefold() for name in columns}

    def verdict(self) -> str | None:
        """Return the first reason why the result depends on the batches or the time; None if it does not."""
        self._tables |= {
            name for node in _nodes(self._node) for name in _named_queries(node) if self._reads(node)
        }
        named = [
            one["table_name"].casefold() for one in _nodes(self._node) if one.get("type") == "BASE_TABLE"
        ]
        if BATCH not in named:
            return f"it does not read {BATCH}, so that each batch gives the same rows again"
        twice = next((name for name in self._tables if named.count(name) > 1), None)
        if twice is not None:
            return f"it reads {twice} more than once, and sees only its own batch each time"
        return next((why for node in _nodes(self._node) if (why := self._why(node))), None)

    def _reads(self, node: Any) -> bool:
        """Return whether the node, or one below it, reads rows of the batch."""
        tables = (one["table_name"].casefold() for one in _nodes(node) if one.get("type") == "BASE_TABLE")
        return any(name in self._tables for name in tables)

    def _why(self, node: dict[str, Any]) -> str | None:
        kind = node.get("type")
        if node.get("class") == "FUNCTION" and node["function_name"].casefold() in self._volatile:
            return f"{node['function_name']}() gives another value each time"
        if node.get("class") == "COLUMN_REF" and node["column_names"][-1].casefold() in self._words:
            return f"{node['column_names'][-1]} gives another value each time"
        if kind in ("SET_OPERATION_NODE", "RECURSIVE_CTE_NODE") and self._reads(node):
            return "UNION, EXCEPT, INTERSECT or a recursive query"
        if kind != "SELECT_NODE" or not self._reads(node):
            return None
        for modifier in node.get("modifiers") or ():
            if modifier["type"] in _MODIFIERS:
                return _MODIFIERS[modifier["type"]]
        if node.get("group_expressions") or node.get("aggregate_handling") == "FORCE_AGGREGATES":
            return "GROUP BY"
        if node.get("sample"):
            return "SAMPLE"
        own = [node.get(part) for part in ("select_list", "where_clause", "having", "qualify")]
        return next((why for one in self._expressions(own) if (why := self._many_rows(one))), None)

    def _many_rows(self, node: dict[str, Any], depth: int = 0) -> str | None:
        """Return why an expression needs more than one row of the batch; None if it does not."""
        if node.get("class") == "WINDOW":
            return f"the window function {node.get('function_name') or ''}".rstrip()
        if node.get("class") != "FUNCTION":
            return None
        name = node["function_name"].casefold()
        if name in self._aggregates:
            return f"the aggregate {name}()"
        if name in self._macros and depth < 8:
            body = _parsed(self._engine, f"SELECT {self._macros[name]}")
            inner = self._expressions([body]) if body else ()
            return next((why for one in inner if (why := self._many_rows(one, depth + 1))), None)
        return None

    def _expressions(self, of: Any) -> Iterator[dict[str, Any]]:
        """Yield every expression below, except those of subqueries, which have rows of their own."""
        for one in of if isinstance(of, list) else of.values():
            if isinstance(one, dict):
                if one.get("type") == "SUBQUERY":
                    continue
                yield one
            if isinstance(one, dict | list):
                yield from self._expressions(one)


def _named_queries(node: dict[str, Any]) -> Iterator[str]:
    entries = (node.get("cte_map") or {}).get("map") or ()
    for entry in entries:
        yield str(entry["key"]).casefold()


def _nodes(of: Any) -> Iterator[dict[str, Any]]:
    if isinstance(of, dict):
        yield of
        for one in of.values():
            yield from _nodes(one)
    elif isinstance(of, list):
        for one in of:
            yield from _nodes(one)
