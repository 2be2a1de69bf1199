"""Finds the storage class of SQLite columns that are declared BLOB or without a type.

SQLite keeps a value's class with the value (https://sqlite.org/datatype3.html): programs write text into
columns that they declare BLOB. A column whose values all have one class is mapped by that class; a column
with several classes stays as it is declared, and a value that does not fit raises an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hdm.catalog.measure_types import Query
from hdm.catalog.model import Path, Relation, Schema
from hdm.dialects import find
from hdm.dialects.base import Dialect
from hdm.model import Column, Kind

Classes = Mapping[Path, Mapping[str, str]]
"""Table -> column -> the one storage class of its values."""


def unsaid_columns(relation: Relation) -> list[Column]:
    """Return the columns whose declaration does not say which values they have: BLOB, or no type."""
    return [c for c in relation.table.columns if c.kind in (Kind.BINARY, Kind.OTHER) and c.generated is None]


def classes(schema: Schema, query: Query) -> dict[Path, dict[str, str]]:
    """Return, by table and column, the storage class of columns whose values all have the same.

    Runs one query per table. Empty for a system whose columns have fixed types.
    """
    found: dict[Path, dict[str, str]] = {}
    known = find(schema.system)
    if known is None or not known.storage_classes:
        return found
    for relation in schema.relations:
        columns = unsaid_columns(relation)
        if not columns:
            continue
        names = [known.quote(column.name) for column in columns]
        given = [f"CASE WHEN {name} IS NOT NULL THEN TYPEOF({name}) END" for name in names]
        parts = [f"MIN({one}), MAX({one})" for one in given]
        row = query(f"SELECT {', '.join(parts)} FROM {known.qualify(relation.path)}")[0]
        for number, column in enumerate(columns):
            least, most = row[2 * number : 2 * number + 2]
            if least is not None and least == most:
                found.setdefault(relation.path, {})[column.name] = str(least)
    return found


def classed(schema: Schema, found: Classes) -> Schema:
    """Return ``schema`` with column types set by the storage classes in ``found``."""
    known = find(schema.system)
    if known is None or not known.storage_classes:
        return schema
    return replace(
        schema,
        relations=tuple(_classed(one, found.get(one.path, {}), known) for one in schema.relations),
    )


def _classed(relation: Relation, found: Mapping[str, str], known: Dialect) -> Relation:
    columns = (_typed(column, found.get(column.name), known) for column in relation.table.columns)
    return relation.with_columns(tuple(columns))


def _typed(column: Column, found: str | None, known: Dialect) -> Column:
    if found is None or (found == "blob" and column.kind is Kind.BINARY):
        return column
    made = known.column_from_catalog(column.name, known.storage_classes[found], nullable=column.nullable)
    return replace(made, default=column.default, comment=column.comment)
