"""Measures what SQLite columns hold that are declared BLOB or not at all.

SQLite keeps a value's class with the value (https://sqlite.org/datatype3.html): programs write text into
columns that they declare BLOB. A column all of whose values are of one class is of that class; one that
holds several stays as it is declared, and a value that does not fit is refused, aloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hdm.catalog.measure_types import Query
from hdm.catalog.model import Path, Relation, Schema
from hdm.dialects import dialect
from hdm.model import Column, Kind

_WORDS = {"text": "TEXT", "blob": "BLOB", "integer": "BIGINT", "real": "DOUBLE"}
Classes = Mapping[Path, Mapping[str, str]]
"""Table -> column -> the one storage class of its values."""


def unsaid_columns(relation: Relation) -> list[Column]:
    """Columns whose declaration does not say what they hold."""
    return [c for c in relation.table.columns if c.kind in (Kind.BINARY, Kind.OTHER) and c.generated is None]


def classes(schema: Schema, query: Query) -> dict[Path, dict[str, str]]:
    """The columns that hold values of one storage class alone; one query per table of a SQLite file."""
    found: dict[Path, dict[str, str]] = {}
    known = dialect("sqlite")
    for relation in schema.relations if schema.system == "sqlite" else ():
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
    """``schema`` with those columns of the type that they hold."""
    return replace(
        schema, relations=tuple(_classed(one, found.get(one.path, {})) for one in schema.relations)
    )


def _classed(relation: Relation, found: Mapping[str, str]) -> Relation:
    columns = (_typed(column, found.get(column.name)) for column in relation.table.columns)
    return relation.with_columns(tuple(columns))


def _typed(column: Column, found: str | None) -> Column:
    if found is None or (found == "blob" and column.kind is Kind.BINARY):
        return column
    made = dialect("sqlite").column_from_catalog(column.name, _WORDS[found], nullable=column.nullable)
    return replace(made, default=column.default, comment=column.comment)
