"""Counts the digits of numbers whose precision the catalogue does not declare.

One query per table, run in the source, returns the largest number of digits before and after the decimal
point. The measured type fits the values of today; the target refuses a later value that does not fit, with an
error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hdm.catalog.model import Path, Relation, Schema
from hdm.dialects import find
from hdm.dialects.facts import Facts
from hdm.dialects.types import carrier
from hdm.model import Column, Kind

Query = Callable[[str], list[tuple[Any, ...]]]
HEADROOM = 2
"""Digits before the point that are added to those that were measured."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Greatest numbers of digits before and after the decimal point among ``rows`` values of a column.

    ``odd`` is how many values are not numbers, such as NaN.
    """

    whole: int
    scale: int
    rows: int
    odd: int = 0


def open_columns(relation: Relation) -> list[Column]:
    """Return the table's decimal columns that are declared without precision."""
    return [c for c in relation.table.columns if c.kind is Kind.DECIMAL and c.precision is None]


def measuring_sql(system: str, path: Path, columns: list[Column]) -> str | None:
    """Return the query that counts the digits of columns; None if there is nothing to count.

    It gives four numbers for each column: most digits before the point, most after it, values, values that
    are not numbers. Nothing is counted in systems whose numbers always have a precision.
    """
    known = find(system)
    if known is None or known.decimal_digits is None or not columns:
        return None
    parts = []
    for column in columns:
        name = known.quote(column.name)
        parts.append(", ".join(part.replace("{c}", name) for part in known.decimal_digits))
    return f"SELECT {', '.join(parts)} FROM {known.qualify(path)}"


def measure(schema: Schema, query: Query) -> dict[Path, dict[str, Measure]]:
    """Count the digits of decimal columns without a declared precision; return them by table and column.

    Runs one query per table that has such columns. A column without values is left out.
    """
    found: dict[Path, dict[str, Measure]] = {}
    for relation in schema.relations:
        columns = open_columns(relation)
        sql = measuring_sql(schema.system, relation.path, columns)
        if sql is None:
            continue
        row = query(sql)[0]
        for number, column in enumerate(columns):
            whole, scale, rows, odd = (int(value or 0) for value in row[4 * number : 4 * number + 4])
            if rows:
                found.setdefault(relation.path, {})[column.name] = Measure(whole, scale, rows, odd)
    return found


def measured(schema: Schema, measures: Mapping[Path, Mapping[str, Measure]]) -> Schema:
    """Return ``schema`` with decimal types for the measured digits and ``HEADROOM`` more before the point.

    Columns with NaN or infinity stay as they are: no decimal of another system has such a value.
    """
    return replace(
        schema, relations=tuple(_measured(one, measures.get(one.path, {})) for one in schema.relations)
    )


def declared(before: Relation, after: Relation, system: str) -> dict[str, str]:
    """Return the type in the source's own SQL, by column, for the columns that were measured.

    These are decimals with their digits, and SQLite columns with their storage class. ``before`` and
    ``after`` are the table without and with the measured types.
    """
    known = find(system)
    word = known.decimal_word if known else Facts.decimal_word
    old = {column.name: column for column in before.table.columns}
    digits = {
        column.name: f"{word}({column.precision},{column.scale})"
        for column in after.table.columns
        if column.precision is not None and old[column.name].precision is None and column.kind is Kind.DECIMAL
    }
    other = {c.name: c.native for c in after.table.columns if c.kind is not old[c.name].kind}
    return {**digits, **other}


def _measured(relation: Relation, measures: Mapping[str, Measure]) -> Relation:
    columns = tuple(_fitted(column, measures.get(column.name)) for column in relation.table.columns)
    return relation.with_columns(columns)


def _fitted(column: Column, found: Measure | None) -> Column:
    if found is None or found.odd:
        return column
    precision = max(found.whole + HEADROOM + found.scale, 1)
    return replace(
        column, precision=precision, scale=found.scale, type=carrier(Kind.DECIMAL, precision, found.scale)
    )
