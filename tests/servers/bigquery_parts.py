"""What the stand-in for BigQuery is made of: tables, sessions, results, and single pieces of SQL."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from tests.servers.bigquery_values import Field
from tests.servers.bigquery_values import field as made_of

Name = tuple[str, str]
AS_TEXT = r"""CREATE MACRO as_text(x) AS CASE
    WHEN typeof(x) LIKE 'DECIMAL%' AND contains(CAST(x AS VARCHAR), '.')
    THEN regexp_replace(CAST(x AS VARCHAR), '\.?0+$', '') ELSE CAST(x AS VARCHAR) END"""
"""A number's text has no zeros at its end."""


class Refused(Exception):
    """An error that BigQuery would give: its reason and text."""

    def __init__(self, reason: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.reason, self.message, self.status = reason, message, status


@dataclass
class Table:
    """What DuckDB does not keep of a table."""

    fields: list[Field]
    created: int
    clauses: dict[str, str] = field(default_factory=dict)
    expires: int | None = None
    is_view: bool = False
    key: list[str] = field(default_factory=list)
    versions: list[tuple[int, pa.Table]] = field(default_factory=list)


@dataclass
class Session:
    """A session of the server, with at most one open transaction."""

    connection: Any
    begun: int | None = None
    changed: set[Name] = field(default_factory=set)
    mutated: set[Name] = field(default_factory=set)
    """Those whose rows were updated or deleted: no other transaction may do that meanwhile."""
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Result:
    """What a statement gave."""

    kind: str
    rows: pa.Table | None = None
    fields: list[Field] | None = None
    changed: int | None = None


def declared(column: Any) -> Field:
    required = any(isinstance(one.kind, exp.NotNullColumnConstraint) for one in column.constraints)
    return made_of(column.name, column.kind.sql("bigquery"), required)


def quoted(name: Name) -> str:
    return ".".join(f'"{part}"' for part in name)


def translated(node: Any) -> Any:
    """What sqlglot leaves or makes wrong of BigQuery's functions."""
    if isinstance(node, exp.CurrentDatetime):
        return sqlglot.parse_one("CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP)", read="duckdb")
    if isinstance(node, exp.JSONFormat):
        made = exp.func("to_json", node.this.transform(translated))
        return exp.func("COALESCE", exp.cast(made, "varchar"), exp.Literal.string("null"))
    if not isinstance(node, exp.Cast):
        return node
    inner = node.this.transform(translated)
    if node.to.is_type("text"):
        return exp.func("as_text", inner)
    if node.to.expressions or not node.to.is_type("decimal", "bigdecimal"):
        return node
    digits = 9
    if node.to.is_type("bigdecimal") and isinstance(node.this, exp.Literal):
        digits = len(node.this.name.partition(".")[2])
    return exp.cast(inner, f"DECIMAL(38, {digits})", dialect="duckdb")
